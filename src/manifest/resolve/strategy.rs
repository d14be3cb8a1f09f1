//! How a deployment is carried out: by ECS in one of its ways, or by CodeDeploy, whose group can be made from here.

use std::time::Duration;

use super::environment::Environment;
use super::service_settings::tell;
use super::task_definition::{same_key, too_large};
use super::{CheckShape, Found, Resolver};
use crate::documents::placeholders::{self, Unfilled};
use crate::manifest::names::{self, NameKind};
use crate::manifest::service_settings as rules;
use crate::manifest::{app_spec, task_definition, task_set};
use crate::model::{AppSpec, CodeDeploy, Finding, NewGroup, Shape, Strategy, TrafficPattern};
use crate::text::fields::Fields;
use crate::text::nearest::suggestion;
use crate::text::report::{self, Report};
use crate::text::tree::{Kind, Node, Place};

const STRATEGIES: [&str; 7] = ["rolling", "codeDeploy", "blueGreen", "canary", "linear", "task", "schedule"];
/// Minutes that CodeDeploy waits at most before it shifts traffic or ends old tasks (user guide, quotas).
const LONGEST_WAIT: u64 = 2800;

impl<'d, 'f> Resolver<'_, 'd, 'f> {
    pub(super) fn strategy(&mut self) -> Strategy {
        let Some(found) = self.merged.get("strategy") else { return Strategy::Unspecified };
        let Found { node, file, ref path } = found;
        match word(node) {
            Some(("rolling", _)) => {
                // It takes nothing: what stands there belongs elsewhere.
                if let Some(settings) = found.get("rolling").filter(|settings| !settings.node.is_null()) {
                    self.read(&settings, |node, path, report| Fields::of(node, path, report).finish());
                }
                Strategy::Rolling
            }
            // They carry out no deployment of a service: see `task` and `schedule`.
            Some(("task" | "schedule", _)) => Strategy::Unspecified,
            Some(("codeDeploy", _)) => {
                let settings = found.get("codeDeploy").filter(|settings| !settings.node.is_null());
                let settings = settings.map(|settings| self.code_deploy(&settings));
                Strategy::CodeDeploy(Box::new(settings.unwrap_or_default()))
            }
            Some((word, _)) if let Some(pattern) = native_pattern(word) => {
                let settings = found.get(word).filter(|settings| !settings.node.is_null());
                Strategy::Native(Box::new(self.native(pattern, settings.as_ref())))
            }
            other => {
                let message = format!("expected one of {}", STRATEGIES.join(", "));
                self.error(file, node, path, message).hint =
                    other.and_then(|(word, _)| suggestion(word, &STRATEGIES));
                Strategy::Unspecified
            }
        }
    }

    fn code_deploy(&mut self, settings: &Found<'d, 'f>) -> CodeDeploy {
        let environment = self.environment;
        let fill = |text: &str| environment.fill(text);
        let mut code_deploy = self.read(settings, |node, path, report| {
            let mut fields = Fields::of(node, path, report);
            let code_deploy = CodeDeploy {
                application: fields.name("application", NameKind::CodeDeployApplication, &fill),
                group: fields.name("deploymentGroup", NameKind::CodeDeployGroup, &fill),
                app_spec: None,
                configuration: fields.name("deploymentConfig", NameKind::CodeDeployConfiguration, &fill),
                create: fields
                    .node("create")
                    .and_then(|node| new_group(environment, node, &format!("{path}.create"), fields.report)),
            };
            fields.node("appSpec");
            fields.finish();
            code_deploy
        });
        code_deploy.app_spec = settings.get("appSpec").and_then(|file| self.app_spec(&file));
        code_deploy
    }

    fn app_spec(&mut self, named: &Found<'d, 'f>) -> Option<AppSpec> {
        let Some((file, written)) = self.named_file(named) else {
            self.values.all_is_read = false;
            return None;
        };
        let filled = match placeholders::fill(&written.to_json(), &self.values.texts) {
            Ok(filled) => filled,
            Err(unfilled) => {
                let complaint = match unfilled {
                    Unfilled::TooLarge { path } => too_large(path),
                    Unfilled::SameKey { path, key } => same_key(path, &key),
                };
                self.add(file, written.at_path(&complaint.path).place, &complaint);
                return None;
            }
        };
        self.values.used.extend(filled.used);
        let spec = app_spec::filled(&written, &self.values.texts);
        let left = app_spec::leftovers(&spec, &self.values.texts);
        for (place, complaint) in &left {
            self.add(file, *place, complaint);
        }
        let mut report = Report::on(file);
        app_spec::check(&spec, &mut report);
        check_task_set(&spec, self.repository.check_shape, &mut report);
        // What is not filled in yet has no other fault.
        let is_left = |finding: &Finding| {
            left.iter().any(|(place, _)| report::position(file, *place) == finding.position)
        };
        report.findings.retain(|finding| !is_left(finding));
        self.findings.append(&mut report.findings);
        let content = app_spec::content(&spec);
        self.app_spec = Some((file, spec));
        Some(AppSpec { path: file.to_owned(), content })
    }
}

/// What it says of network and capacity is taken by ECS, and refused by its rules.
fn check_task_set(spec: &Node, check_shape: CheckShape<'_>, report: &mut Report<'_>) {
    let Some(settings) = app_spec::properties(spec).map(task_set::settings) else { return };
    let input = task_set::to_json(&settings);
    let mut found = Report::on(report.file());
    names::check_service_settings(&settings, "", &mut found);
    tell(rules::complaints(&input), &settings, "", &mut found);
    let misfits = check_shape(Shape::ServiceSettings, &input).into_iter();
    let misfits = misfits.map(|misfit| task_definition::misfit(misfit, &input, "`Properties`"));
    tell(misfits.collect(), &settings, "", &mut found);
    for finding in &mut found.findings {
        finding.field = task_set::as_in_the_guide(finding.field.trim_start_matches('.'));
    }
    // What CodeDeploy wants to be there is told already.
    found.findings.retain(|finding| !report.findings.iter().any(|told| told.position == finding.position));
    report.findings.append(&mut found.findings);
}

/// The native strategies of ECS, nothing said of their shares and times.
fn native_pattern(word: &str) -> Option<TrafficPattern> {
    match word {
        "blueGreen" => Some(TrafficPattern::AllAtOnce),
        "canary" => Some(TrafficPattern::Canary { share: None, bake: None }),
        "linear" => Some(TrafficPattern::Linear { step: None, bake: None }),
        _ => None,
    }
}

/// The name of a strategy, which stands alone or is the key of its settings.
fn word(node: &Node) -> Option<(&str, Place)> {
    match &node.kind {
        Kind::Scalar { text, .. } => Some((text, node.place)),
        Kind::Map(entries) => match entries.as_slice() {
            [(key, _)] => Some((&key.text, key.place)),
            _ => None,
        },
        Kind::List(_) => None,
    }
}

/// How a CodeDeploy group is made where there is none.
fn new_group(
    environment: &Environment<'_, '_>,
    node: &Node,
    path: &str,
    report: &mut Report<'_>,
) -> Option<NewGroup> {
    let fill = |text: &str| environment.fill(text);
    let minutes = |time: Duration| time.as_secs().div_ceil(60);
    let mut fields = Fields::of(node, path, report);
    fields.require("serviceRole");
    let service_role = fields.name("serviceRole", NameKind::RoleArn, &fill);
    let groups = fields.names("targetGroups", NameKind::TargetGroup, &fill).unwrap_or_default();
    fields.require("productionListener");
    let production = fields.name("productionListener", NameKind::ListenerArn, &fill);
    let test_listener = fields.name("testListener", NameKind::ListenerArn, &fill);
    let ready_wait = fields.duration("readyWait").map(minutes);
    let termination_wait = fields.duration("terminationWait").map_or(5, minutes);
    let alarms = fields.names("alarms", NameKind::Alarm, &fill).unwrap_or_default();
    fields.finish();
    let pair: Result<[String; 2], _> = groups.try_into();
    if pair.is_err() {
        report.error(node, &format!("{path}.targetGroups"), "expected the names of two target groups");
    }
    if ready_wait.is_some_and(|minutes| minutes > LONGEST_WAIT) || termination_wait > LONGEST_WAIT {
        report.error(node, path, format!("a wait is {LONGEST_WAIT} minutes at most"));
    }
    Some(NewGroup {
        service_role: service_role?,
        target_groups: pair.ok()?,
        production_listener: production?,
        test_listener,
        ready_wait,
        termination_wait,
        alarms,
    })
}
