//! The declared count of tasks, beside an autoscaler that may set it too.
//!
//! Two owners of one number would undo each other for ever. Where an autoscaler looks after the service the count is its own;
//! a repository that wants a say declares bounds, and only a count outside of them is brought back.

use serde_json::Value;

use super::facts::Facts;
use crate::model::{Desired, Finding, Reading, ScalableTarget, Severity};

const COUNT: &str = "desiredCount";

/// How many tasks are declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    Exactly(i32),
    /// At least one of the two.
    Within {
        least: Option<i32>,
        most: Option<i32>,
    },
}

impl Count {
    /// What is declared of the service's count; `None` where it is left to others.
    pub fn of(desired: &Desired) -> Option<Self> {
        Self::declared(desired.service_settings.as_ref()?)
    }

    /// What `serviceSettings` say of it; `None` where they leave it to others.
    fn declared(settings: &Value) -> Option<Self> {
        let declared = settings.get(COUNT)?;
        let number = |value: &Value| i32::try_from(value.as_i64()?).ok();
        if let Some(count) = number(declared) {
            return Some(Self::Exactly(count));
        }
        let bound = |key: &str| declared.get(key).and_then(number);
        let (least, most) = (bound("min"), bound("max"));
        (least.is_some() || most.is_some()).then_some(Self::Within { least, most })
    }

    /// The count to be set; `None` where the live one is fine, or is not ours to set. What could not be read is not taken for
    /// an autoscaler that is not there.
    fn to_set(self, live: i32, target: Option<&Reading<ScalableTarget>>) -> Option<i32> {
        match self {
            Self::Exactly(count) => matches!(target, Some(Reading::Absent)).then_some(count),
            Self::Within { least, most } => {
                let nearest = live.max(least.unwrap_or(live)).min(most.unwrap_or(i32::MAX));
                (nearest != live).then_some(nearest)
            }
        }
    }

    /// Whether a count that the autoscaler may set lies outside.
    fn is_exceeded_by(self, target: ScalableTarget) -> bool {
        let Self::Within { least, most } = self else { return false };
        least.is_some_and(|least| i64::from(target.least) < i64::from(least))
            || most.is_some_and(|most| i64::from(target.most) > i64::from(most))
    }

    fn words(self) -> String {
        match self {
            Self::Exactly(count) => count.to_string(),
            Self::Within { least: Some(least), most: Some(most) } => format!("{least} to {most}"),
            Self::Within { least: Some(least), most: None } => format!("at least {least}"),
            Self::Within { least: None, most } => format!("at most {}", most.unwrap_or_default()),
        }
    }
}

/// The declared settings with the count as it is compared and sent: left out where nothing is to be set.
fn settled(settings: &Value, live: i32, target: Option<&Reading<ScalableTarget>>) -> Value {
    let Some(count) = Count::declared(settings) else { return settings.clone() };
    let to_set = count.to_set(live, target);
    let members = settings.as_object().into_iter().flatten().filter_map(|(key, value)| {
        let value = if key == COUNT { Value::from(to_set?) } else { value.clone() };
        Some((key.clone(), value))
    });
    Value::Object(members.collect())
}

impl Facts<'_> {
    /// What is declared of the service, as far as it is trueup's to set.
    pub(super) fn settled_settings(&self) -> Option<Value> {
        let declared = self.input.desired.service_settings.as_ref()?;
        let live = self.service.map_or(0, |service| service.desired_count);
        Some(settled(declared, live, self.input.observed.scalable_target.as_ref()))
    }

    /// How many tasks are to run after a deployment.
    pub(super) fn count_to_come(&self) -> i32 {
        let live = self.service.map_or(0, |service| service.desired_count);
        match self.settled_settings().as_ref().and_then(Count::declared) {
            Some(Count::Exactly(count)) => count,
            _ => live,
        }
    }

    /// The autoscaler's bounds, where it is known that there is one.
    pub(super) fn scalable_target(&self) -> Option<ScalableTarget> {
        self.input.observed.scalable_target.as_ref()?.known().copied()
    }

    /// What people should know of a count that has two owners, or may have.
    pub(super) fn count_findings(&self) -> Vec<Finding> {
        let desired = self.input.desired;
        let declared = Count::of(desired);
        let (Some(count), Some(_)) = (declared, self.service) else { return Vec::new() };
        let (message, hint) = match (count, self.input.observed.scalable_target.as_ref()) {
            (Count::Exactly(count), Some(Reading::Known(ScalableTarget { least, most }))) => (
                format!(
                    "an autoscaler sets the count of {} between {least} and {most}, and the declared count of {count} is left to it",
                    desired.name_in_cluster()
                ),
                "leave `desiredCount` out, or declare `min` and `max` in its place",
            ),
            (count, Some(Reading::Known(target))) if count.is_exceeded_by(*target) => (
                format!(
                    "two owners bound the count of {}: {} tasks are declared, and the autoscaler may set {} to {}",
                    desired.name_in_cluster(),
                    count.words(),
                    target.least,
                    target.most
                ),
                "let MinCapacity and MaxCapacity of the scalable target lie inside of what is declared, or leave `desiredCount` out",
            ),
            (count, Some(Reading::Unavailable(why))) => {
                let rest = match count {
                    Count::Exactly(_) => ", and the declared count is left as it is",
                    Count::Within { .. } => "",
                };
                (
                    format!(
                        "it could not be told whether an autoscaler sets the count of {}{rest}: {why}",
                        desired.name_in_cluster()
                    ),
                    "allow application-autoscaling:DescribeScalableTargets",
                )
            }
            _ => return Vec::new(),
        };
        vec![Finding {
            severity: Severity::Warning,
            position: desired.count_declared_at.clone().unwrap_or_default(),
            field: format!("serviceSettings.{COUNT}"),
            message,
            hint: Some(hint.to_owned()),
            excerpt: None,
            targets: vec![desired.target.clone()],
        }]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_count_is_set_where_nobody_else_sets_it_and_bounds_hold_for_everybody() {
        let target = |least, most| Some(Reading::Known(ScalableTarget { least, most }));
        let unreadable = || Some(Reading::Unavailable("denied".to_owned()));
        let absent = || Some(Reading::Absent);
        for (declared, live, found, expected) in [
            (json!(2), 5, absent(), Some(2)),
            (json!(5), 5, absent(), Some(5)),
            (json!(0), 5, absent(), Some(0)),
            (json!(2), 5, target(2, 10), None),
            (json!(2), 5, unreadable(), None),
            (json!(2), 5, None, None),
            (json!({"min": 2, "max": 10}), 1, absent(), Some(2)),
            (json!({"min": 2, "max": 10}), 2, absent(), None),
            (json!({"min": 2, "max": 10}), 10, absent(), None),
            (json!({"min": 2, "max": 10}), 11, target(2, 10), Some(10)),
            (json!({"min": 2, "max": 10}), 11, unreadable(), Some(10)),
            (json!({"min": 2}), 1, absent(), Some(2)),
            (json!({"min": 2}), 99, absent(), None),
            (json!({"max": 10}), 0, absent(), None),
            (json!({"max": 10}), 11, absent(), Some(10)),
            (json!({"max": 10}), 9, absent(), None),
        ] {
            let settings = json!({"desiredCount": declared, "enableExecuteCommand": true});
            let mut rest = json!({"enableExecuteCommand": true});
            if let Some(expected) = expected {
                rest["desiredCount"] = json!(expected);
            }
            assert_eq!(settled(&settings, live, found.as_ref()), rest, "{declared} {live} {found:?}");
        }
        for others in [json!({"enableExecuteCommand": true}), json!({"desiredCount": {}})] {
            assert_eq!(settled(&others, 5, absent().as_ref()), others);
        }
    }

    #[test]
    fn an_autoscaler_exceeds_bounds_that_it_may_leave() {
        let both = Count::Within { least: Some(2), most: Some(10) };
        let exceeds = |count: Count, least, most| count.is_exceeded_by(ScalableTarget { least, most });
        assert!(!exceeds(both, 2, 10));
        assert!(!exceeds(both, 3, 9));
        assert!(exceeds(both, 1, 10));
        assert!(exceeds(both, 2, 11));
        assert!(!exceeds(Count::Within { least: Some(2), most: None }, 2, 99));
        assert!(!exceeds(Count::Within { least: None, most: Some(10) }, 0, 10));
        assert!(!exceeds(Count::Exactly(5), 0, 10));
    }

    #[test]
    fn a_count_is_told_in_words() {
        for (declared, expected) in [
            (json!(2), "2"),
            (json!({"min": 2, "max": 10}), "2 to 10"),
            (json!({"min": 2}), "at least 2"),
            (json!({"max": 10}), "at most 10"),
        ] {
            let count = Count::declared(&json!({"desiredCount": declared}));
            assert_eq!(count.map(Count::words).as_deref(), Some(expected));
        }
    }
}
