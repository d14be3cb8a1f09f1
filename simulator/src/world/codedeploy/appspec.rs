//! Reading an `AppSpec` file for the ECS platform (`CodeDeploy` user guide, "`AppSpec` File structure for Amazon ECS
//! deployments"). JSON is YAML, and keys are found in any case.

use serde_json::{Value, json};

use crate::world::input::Input;

/// The events that may have a hook.
pub(super) const HOOKABLE: [&str; 5] =
    ["BeforeInstall", "AfterInstall", "AfterAllowTestTraffic", "BeforeAllowTraffic", "AfterAllowTraffic"];

#[derive(Clone, Debug, Default)]
pub(super) struct AppSpec {
    pub task_definition: String,
    pub container: String,
    pub port: u64,
    /// Members of the task set that differ from those of the primary one, in the words of the ECS API.
    pub over: Input,
    /// Event and function.
    pub hooks: Vec<(&'static str, String)>,
}

fn get<'a>(value: &'a Value, key: &str) -> Option<&'a Value> {
    let (_, found) = value.as_object()?.iter().find(|(name, _)| name.eq_ignore_ascii_case(key))?;
    Some(found)
}

impl AppSpec {
    /// What it says, or what is wrong with it.
    pub fn parse(content: &str) -> Result<Self, String> {
        let invalid = |why: &str| format!("The AppSpec file is not valid: {why}");
        let parsed: Value =
            serde_saphyr::from_str(content).map_err(|_| invalid("it is neither YAML nor JSON"))?;
        if !get(&parsed, "version")
            .is_some_and(|version| matches!(version.as_f64(), Some(0.0)) || version == "0.0")
        {
            return Err(invalid("version must be 0.0"));
        }
        let resources = get(&parsed, "Resources").and_then(Value::as_array).map(Vec::as_slice);
        let Some([resource]) = resources else {
            return Err(invalid("Resources must name one TargetService"));
        };
        let target = get(resource, "TargetService").ok_or_else(|| invalid("TargetService is missing"))?;
        if get(target, "Type").and_then(Value::as_str) != Some("AWS::ECS::Service") {
            return Err(invalid("Type must be AWS::ECS::Service"));
        }
        let properties = get(target, "Properties").ok_or_else(|| invalid("Properties are missing"))?;
        let text = |value: &Value, key: &str| get(value, key).and_then(Value::as_str).map(str::to_owned);
        let balancer =
            get(properties, "LoadBalancerInfo").ok_or_else(|| invalid("LoadBalancerInfo is missing"))?;
        let port = get(balancer, "ContainerPort");
        let port = port.and_then(|port| port.as_u64().or_else(|| port.as_str()?.parse().ok()));
        Ok(Self {
            task_definition: text(properties, "TaskDefinition")
                .ok_or_else(|| invalid("TaskDefinition is missing"))?,
            container: text(balancer, "ContainerName").ok_or_else(|| invalid("ContainerName is missing"))?,
            port: port.ok_or_else(|| invalid("ContainerPort is missing or no number"))?,
            over: over(properties).map_err(invalid)?,
            hooks: hooks(&parsed).map_err(|event| invalid(&format!("{event} cannot have a hook")))?,
        })
    }

    pub fn hook(&self, event: &str) -> Option<&str> {
        self.hooks.iter().find(|(name, _)| *name == event).map(|(_, function)| function.as_str())
    }
}

fn over(properties: &Value) -> Result<Input, &'static str> {
    let mut over = Input::new();
    if let Some(version) = get(properties, "PlatformVersion").and_then(Value::as_str) {
        over.insert("platformVersion".to_owned(), json!(version));
    }
    if let Some(network) = get(properties, "NetworkConfiguration") {
        let network = get(network, "AwsvpcConfiguration").ok_or("AwsvpcConfiguration is missing")?;
        let part = |key| {
            get(network, key)
                .filter(|value| !value.is_null())
                .ok_or("a part of AwsvpcConfiguration is missing")
        };
        over.insert(
            "networkConfiguration".to_owned(),
            json!({"awsvpcConfiguration": {
                "subnets": part("Subnets")?,
                "securityGroups": part("SecurityGroups")?,
                "assignPublicIp": part("AssignPublicIp")?,
            }}),
        );
    }
    if let Some(providers) = get(properties, "CapacityProviderStrategy") {
        let providers = providers.as_array().ok_or("CapacityProviderStrategy is no list")?;
        let number = |provider: &Value, key| get(provider, key).and_then(Value::as_u64).unwrap_or_default();
        let described = providers.iter().map(|provider| {
            json!({
                "capacityProvider": get(provider, "CapacityProvider"),
                "base": number(provider, "Base"),
                "weight": number(provider, "Weight"),
            })
        });
        over.insert("capacityProviderStrategy".to_owned(), described.collect());
    }
    Ok(over)
}

/// The event that cannot have one otherwise.
fn hooks(parsed: &Value) -> Result<Vec<(&'static str, String)>, String> {
    let mut found = Vec::new();
    for hook in get(parsed, "Hooks").and_then(Value::as_array).into_iter().flatten() {
        for (event, function) in hook.as_object().into_iter().flatten() {
            let known = HOOKABLE.iter().find(|known| known.eq_ignore_ascii_case(event));
            let known = known.ok_or_else(|| event.clone())?;
            found.push((*known, function.as_str().unwrap_or_default().to_owned()));
        }
    }
    Ok(found)
}
