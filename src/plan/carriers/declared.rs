//! What the files say of a carrier: it belongs to what is deployed, as the task definition does.

use serde_json::{Value, json};

use crate::documents::native;
use crate::model::{AppSpec, Strategy};

/// As it is compared: a deployment that failed is not held once this has changed.
pub(in crate::plan) fn declared(strategy: &Strategy) -> Value {
    match strategy {
        Strategy::Unspecified => Value::Null,
        Strategy::Rolling => Value::from("rolling"),
        Strategy::CodeDeploy(settings) => json!({
            "application": settings.application,
            "group": settings.group,
            "configuration": settings.configuration,
            "appSpec": settings.app_spec.as_ref().map(|app_spec| &app_spec.content),
        }),
        Strategy::Native(settings) => native::declared(settings),
    }
}

/// The declared file that says where the traffic goes, where there is one.
pub(in crate::plan) fn app_spec(strategy: &Strategy) -> Option<&AppSpec> {
    match strategy {
        Strategy::CodeDeploy(settings) => settings.app_spec.as_ref(),
        Strategy::Rolling | Strategy::Native(_) | Strategy::Unspecified => None,
    }
}
