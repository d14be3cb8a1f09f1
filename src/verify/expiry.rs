//! Which images the lifecycle policy of a repository would delete next, computed from the policy and what is stored: a preview
//! on the side of AWS would be a write. Rules as in the Amazon ECR user guide, "Lifecycle policy evaluation rules".

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Check, Subject, What};
use crate::model::surroundings::{Lifecycle, Shelf, StoredImage, Surroundings};
use crate::model::{Digest, Millis, Reading, RepositoryName, matches_wildcard};

const DAY: Millis = 24 * 60 * 60 * 1000;

/// The repositories of a target, as they are asked for.
pub(super) fn shelves<'s>(subject: &'s Subject<'_>) -> impl Iterator<Item = Shelf> + 's {
    let registry = &subject.desired.registry;
    subject.desired.images.iter().map(|image| Shelf {
        account: registry.account.clone(),
        region: registry.region.clone(),
        name: image.repository.clone(),
    })
}

pub(super) fn checks(subject: &Subject<'_>, surroundings: &Surroundings) -> Vec<Check> {
    let shelves: BTreeSet<Shelf> = shelves(subject).collect();
    let checks = shelves.iter().map(|shelf| match surroundings.lifecycles.get(shelf) {
        None => Check::unseen(What::Lifecycle, format!("{}: it was not asked for", shelf.name)),
        Some(Reading::Unavailable(why)) => Check::unseen(What::Lifecycle, format!("{}: {why}", shelf.name)),
        Some(Reading::Absent) => {
            Check::good(What::Lifecycle, format!("{} has none: no image expires", shelf.name))
        }
        Some(Reading::Known(lifecycle)) => of_repository(&shelf.name, lifecycle, subject),
    });
    checks.collect()
}

fn of_repository(name: &RepositoryName, lifecycle: &Lifecycle, subject: &Subject<'_>) -> Check {
    let Some(rules) = rules(&lifecycle.policy) else {
        return Check::unseen(What::Lifecycle, format!("{name}: a rule of its policy is not understood"));
    };
    if !lifecycle.is_complete {
        return Check::unseen(What::Lifecycle, format!("{name} has more images than are looked through"));
    }
    let expiring = expiring(&rules, &lifecycle.images, subject.observed.checked_at);
    let status = &subject.plan.status;
    let runs =
        status.running.iter().filter_map(|one| one.digest.as_ref()).map(|digest| (digest, "runs here"));
    let good = status.good.get(name).map(|digest| (digest, "is what last succeeded here"));
    for (digest, why) in runs.chain(good) {
        if let Some((_, priority)) = expiring.iter().find(|(expired, _)| *expired == digest) {
            return Check::bad(
                What::Lifecycle,
                format!("{name}: rule {priority} would delete {}, which {why}", digest.short()),
                "tasks that start later could not pull it: keep more images, or do not let images with the environment's tag expire",
            );
        }
    }
    Check::good(What::Lifecycle, format!("{name}: nothing that runs would expire"))
}

/// One rule of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    priority: i64,
    selects: Selects,
    expires: Expires,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Selects {
    Untagged,
    /// Images with a tag for each of these patterns.
    Tagged(Vec<String>),
    Any,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expires {
    BeyondNewest(usize),
    Older(Millis),
}

/// By priority. `None`: there is something in it that this does not know.
fn rules(policy: &str) -> Option<Vec<Rule>> {
    let policy: Value = serde_json::from_str(policy).ok()?;
    let mut rules: Vec<Rule> = policy.get("rules")?.as_array()?.iter().map(rule).collect::<Option<_>>()?;
    rules.sort_by_key(|rule| rule.priority);
    Some(rules)
}

fn rule(rule: &Value) -> Option<Rule> {
    let selection = rule.get("selection")?;
    let texts = |key: &str| {
        let texts = selection.get(key).and_then(Value::as_array).into_iter().flatten();
        texts.filter_map(Value::as_str)
    };
    let number = selection.get("countNumber")?.as_i64()?;
    let expires = match selection.get("countType")?.as_str()? {
        "imageCountMoreThan" => Expires::BeyondNewest(usize::try_from(number).ok()?),
        "sinceImagePushed" => Expires::Older(number.checked_mul(DAY)?),
        _ => return None,
    };
    let selects = match selection.get("tagStatus")?.as_str()? {
        "untagged" => Selects::Untagged,
        "any" => Selects::Any,
        "tagged" => {
            let prefixes = texts("tagPrefixList").map(|prefix| format!("{prefix}*"));
            Selects::Tagged(prefixes.chain(texts("tagPatternList").map(str::to_owned)).collect())
        }
        _ => return None,
    };
    // To the archive is gone too, for tasks that start.
    Some(Rule { priority: rule.get("rulePriority")?.as_i64()?, selects, expires })
}

impl Selects {
    fn holds(&self, image: &StoredImage) -> bool {
        match self {
            Self::Any => true,
            Self::Untagged => image.tags.is_empty(),
            Self::Tagged(patterns) => {
                let has =
                    |pattern: &String| image.tags.iter().any(|tag| matches_wildcard(pattern, tag.as_str()));
                !patterns.is_empty() && patterns.iter().all(has)
            }
        }
    }
}

/// The images that go at the next evaluation, each with the rule that takes it. An image belongs to the first rule that selects
/// it by its tags, and no later rule takes it; a later rule counts it all the same.
fn expiring<'i>(rules: &[Rule], images: &'i [StoredImage], now: Millis) -> Vec<(&'i Digest, i64)> {
    let mut newest: Vec<&StoredImage> = images.iter().collect();
    newest.sort_by_key(|image| std::cmp::Reverse(image.pushed_at));
    let mut taken: BTreeSet<&Digest> = BTreeSet::new();
    let mut expiring = Vec::new();
    for rule in rules {
        let selected = newest.iter().filter(|image| rule.selects.holds(image)).enumerate();
        let selected: Vec<(usize, &&StoredImage)> = selected.collect();
        for (place, image) in &selected {
            let is_due = match rule.expires {
                Expires::BeyondNewest(most) => *place >= most,
                Expires::Older(age) => now.saturating_sub(image.pushed_at) > age,
            };
            if is_due && !taken.contains(&image.digest) {
                expiring.push((&image.digest, rule.priority));
            }
        }
        taken.extend(selected.iter().map(|(_, image)| &image.digest));
    }
    expiring
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Tag;
    use serde_json::json;

    fn images(described: &[(&str, &str, i64)]) -> Vec<StoredImage> {
        let image = |(digest, tags, days): &(&str, &str, i64)| StoredImage {
            digest: Digest::new(*digest),
            tags: tags.split_whitespace().map(Tag::new).collect(),
            pushed_at: (100 - days) * DAY,
        };
        described.iter().map(image).collect()
    }

    #[track_caller]
    fn check(selections: &[Value], expected: &str) {
        // Days of age at day 100.
        let images = images(&[("a", "prod v3", 1), ("b", "v2", 20), ("c", "", 30), ("d", "prod-old v1", 40)]);
        let rules: Vec<Value> = (1..)
            .zip(selections)
            .map(|(priority, selection)| json!({"rulePriority": priority, "selection": selection, "action": {"type": "expire"}}))
            .collect();
        let rules = super::rules(&json!({"rules": rules}).to_string()).unwrap();
        let found = expiring(&rules, &images, 100 * DAY);
        let found: Vec<String> =
            found.iter().map(|(digest, rule)| format!("{}{rule}", digest.as_str())).collect();
        assert_eq!(found.join(" "), expected);
    }

    #[test]
    fn what_expires_is_what_amazon_ecr_would_take() {
        let newest = |status: &str, count: i64| json!({"tagStatus": status, "countType": "imageCountMoreThan", "countNumber": count});
        let older = |status: &str, days: i64| json!({"tagStatus": status, "countType": "sinceImagePushed", "countUnit": "days", "countNumber": days});
        check(&[newest("any", 2)], "c1 d1");
        check(&[newest("any", 4)], "");
        check(&[newest("untagged", 0)], "c1");
        check(&[older("any", 20)], "c1 d1");
        let mut prefixed = newest("tagged", 1);
        prefixed["tagPrefixList"] = json!(["prod"]);
        check(&[prefixed.clone()], "d1");
        prefixed["tagPrefixList"] = json!(["prod", "v3"]);
        check(&[prefixed], "");
        let mut pattern = older("tagged", 10);
        pattern["tagPatternList"] = json!(["v*"]);
        check(&[pattern], "b1 d1");
        // Who is kept by an earlier rule is counted by a later one, and not taken.
        let mut kept = newest("tagged", 9);
        kept["tagPrefixList"] = json!(["prod"]);
        check(&[kept, newest("any", 1)], "b2 c2");
    }

    #[test]
    fn a_policy_that_is_not_understood_is_not_guessed() {
        let of = |selection: Value| {
            rules(&json!({"rules": [{"rulePriority": 1, "selection": selection}]}).to_string())
        };
        assert!(
            of(json!({"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 1})).is_some()
        );
        assert_eq!(of(json!({"tagStatus": "any", "countType": "sinceImagePulled", "countNumber": 1})), None);
        assert_eq!(
            of(json!({"tagStatus": "some", "countType": "imageCountMoreThan", "countNumber": 1})),
            None
        );
        assert_eq!(rules("no JSON"), None);
    }
}
