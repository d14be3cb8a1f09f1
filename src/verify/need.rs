//! One thing that a deployment needs of its surroundings: how it is found out whether it is there, and what the answer comes to.

use super::{Check, Found, What};
use crate::model::surroundings::{Function, Permission, Placed, Questions, Surroundings, Verdict, Who};
use crate::model::{AlarmState, Reading};
use crate::plan::carriers::UnderAlarm;

/// One thing that is needed, and how it is found out whether it is there.
pub(super) struct Need {
    pub what: What,
    /// What it is, and who needs it.
    pub about: String,
    pub asked: Asked,
}

pub(super) enum Asked {
    /// That a role lets this service in.
    Role {
        arn: String,
        service: &'static str,
    },
    Permission(Permission),
    Secret(Placed),
    Parameter(Placed),
    LogGroup(Placed),
    /// An alarm by its name, and what it does to a deployment that begins while it is on.
    Alarm(String, UnderAlarm),
    /// A function by its ARN.
    Function(String),
    /// Nothing: what is to be said of it.
    Nothing(Found),
}

impl Need {
    /// What has to be asked for it.
    pub fn ask(&self, questions: &mut Questions) {
        match &self.asked {
            Asked::Role { arn, .. } => _ = questions.roles.insert(arn.clone()),
            Asked::Permission(permission) => _ = questions.permissions.insert(permission.clone()),
            Asked::Secret(placed) => _ = questions.secrets.insert(placed.clone()),
            Asked::Parameter(placed) => _ = questions.parameters.insert(placed.clone()),
            Asked::LogGroup(placed) => _ = questions.log_groups.insert(placed.clone()),
            Asked::Alarm(name, _) => _ = questions.alarms.insert(name.clone()),
            Asked::Function(arn) => _ = questions.functions.insert(arn.clone()),
            Asked::Nothing(_) => {}
        }
    }

    /// What the answer comes to.
    pub fn check(&self, surroundings: &Surroundings) -> Check {
        let Self { what, about, asked } = self;
        let (what, about) = (*what, about.as_str());
        match asked {
            Asked::Nothing(found) => Check { what, found: found.clone() },
            Asked::Role { arn, service } => match surroundings.roles.get(arn) {
                Some(Reading::Known(role)) if role.trusts.contains(*service) => {
                    Check::good(what, format!("{about} lets {service} in"))
                }
                Some(Reading::Known(_)) => Check::bad(
                    what,
                    format!("{about} does not let {service} in"),
                    &format!("allow sts:AssumeRole to the service {service} in its trust policy"),
                ),
                other => {
                    told(what, about, other, ": there is no such role", "create it, or name another one")
                }
            },
            Asked::Permission(permission) => match surroundings.permissions.get(permission) {
                Some(Reading::Known(Verdict::Allowed)) => Check::good(
                    what,
                    format!("{about}: allowed by identity policies; SCPs and boundaries not seen"),
                ),
                Some(Reading::Known(Verdict::Denied(actions))) => {
                    let denied = actions.join(", ");
                    let who = if permission.who == Who::Caller { "trueup's credentials" } else { "the role" };
                    Check::bad(
                        what,
                        format!("{about}: {denied} is not allowed"),
                        &format!(
                            "allow {denied} to {who}; `trueup iam-policy` prints what trueup itself needs"
                        ),
                    )
                }
                other => told(
                    what,
                    about,
                    other,
                    ": there is no such user or role",
                    "create it, or name another one",
                ),
            },
            Asked::Secret(placed) => {
                there(what, about, surroundings.secrets.get(placed), "create it, or correct valueFrom")
            }
            Asked::Parameter(placed) => {
                there(what, about, surroundings.parameters.get(placed), "create it, or correct valueFrom")
            }
            Asked::Alarm(name, then) => alarm(about, surroundings.alarms.get(name), *then),
            Asked::Function(arn) => function(about, surroundings.functions.get(arn)),
            Asked::LogGroup(placed) => there(
                what,
                about,
                surroundings.log_groups.get(placed),
                "create it, or let ECS do it: awslogs-create-group: \"true\" and logs:CreateLogGroup for the execution role",
            ),
        }
    }
}

fn there(what: What, about: &str, found: Option<&Reading<()>>, hint: &str) -> Check {
    match found {
        Some(Reading::Known(())) => Check::good(what, about),
        other => told(what, about, other, " is not there", hint),
    }
}

/// What is said where there is nothing to look at. `absent` goes on behind what it is about.
fn told<T>(what: What, about: &str, found: Option<&Reading<T>>, absent: &str, hint: &str) -> Check {
    match found {
        Some(Reading::Absent) => Check::bad(what, format!("{about}{absent}"), hint),
        Some(Reading::Unavailable(why)) => Check::unseen(what, format!("{about}: {why}")),
        Some(Reading::Known(_)) | None => Check::unseen(what, format!("{about}: it was not asked for")),
    }
}

fn alarm(name: &str, found: Option<&Reading<AlarmState>>, then: UnderAlarm) -> Check {
    let over = "wait until it is over, or end what it is about first";
    match (found, then) {
        (Some(Reading::Known(AlarmState::Fine)), _) => Check::good(What::Alarm, format!("{name} is OK")),
        (Some(Reading::Known(AlarmState::Unsettled)), _) => {
            Check::good(What::Alarm, format!("{name} has too little data yet"))
        }
        (Some(Reading::Known(AlarmState::Active)), UnderAlarm::Unwatched) => Check::risk(
            What::Alarm,
            format!("{name} is in ALARM: ECS watches no alarm in a deployment that starts now"),
            over,
        ),
        (Some(Reading::Known(AlarmState::Active)), UnderAlarm::Stopped) => Check::bad(
            What::Alarm,
            format!("{name} is in ALARM: CodeDeploy would stop a deployment at once"),
            over,
        ),
        (Some(Reading::Absent), _) => Check::risk(
            What::Alarm,
            format!("{name}: there is no such alarm, so that it stops nothing"),
            "create it, or take its name out",
        ),
        (other, _) => told(What::Alarm, name, other, "", ""),
    }
}

fn function(name: &str, found: Option<&Reading<Function>>) -> Check {
    match found {
        Some(Reading::Known(Function { reserved: Some(0) })) => Check::bad(
            What::Hook,
            format!("{name} may never run: its reserved concurrency is 0"),
            &format!("aws lambda delete-function-concurrency --function-name {name}"),
        ),
        Some(Reading::Known(_)) => Check::good(What::Hook, format!("{name} is there")),
        other => {
            told(What::Hook, name, other, ": there is no such function", "create it, or name another one")
        }
    }
}
