//! The index of tags (Resource Groups Tagging API reference, `GetResources`). Another service than that of the
//! resources keeps it: it learns of a change a while later, and still tells of what is gone.
//!
//! Here it has clusters, services and task definitions. INACTIVE revisions are in it unless a fault says otherwise: AWS
//! does not document which. AWS publishes no figures for the delays either.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::ids::mixed;
use super::input::{Input, Tags, count, invalid, list, optional, texts};
use super::{Answer, AwsError, World, unknown};

/// Seconds until the index has a change.
const DELAY: u64 = 10;
/// Seconds for which it tells of a revision after its deletion was asked for. Hours are told of (aws/aws-sdk issue 676).
const GHOSTS_STAY: u64 = 3 * 3600;
/// Of one request (botocore's model: `TagFilterList`, `TagValueList`, `ResourceARNListForGet`; the reference: pages).
const MOST_FILTERS: usize = 50;
const MOST_VALUES: usize = 20;
const MOST_ARNS: usize = 100;
const MOST_A_PAGE: u64 = 100;
/// Types of one request (reference, `ResourceTypeFilters`).
const MOST_TYPES: usize = 100;

/// What the index still says of a resource.
#[derive(Clone, Debug)]
pub(super) struct Lag {
    arn: String,
    until: u64,
    /// `None`: it does not know the resource yet.
    seen: Option<Tags>,
}

/// What is asked for.
struct Asked<'i> {
    filters: Vec<(&'i str, Vec<&'i str>)>,
    types: Vec<(&'i str, Option<&'i str>)>,
    arns: Vec<&'i str>,
    size: usize,
    start: usize,
}

impl World {
    pub(super) fn tagging(&self, operation: &str, input: &Input) -> Answer {
        match operation {
            "GetResources" => self.get_resources(input),
            _ => Err(unknown(operation)),
        }
    }

    /// The index does not know yet that the tags of this resource are no longer these; `None`: that it exists.
    pub(super) fn index_lags(&mut self, arn: &str, seen: Option<Tags>) {
        let now = self.now;
        self.lags.retain(|lag| lag.until > now);
        self.lags.push(Lag { arn: arn.to_owned(), until: now + DELAY, seen });
    }

    fn get_resources(&self, input: &Input) -> Answer {
        let asked = asked(input)?;
        let index = self.index();
        let mut found: Vec<(&String, &Tags)> = index
            .iter()
            .filter(|(_, tags)| !tags.is_empty())
            .filter(|(arn, tags)| asked.wants(arn, tags))
            .map(|(arn, tags)| (arn, *tags))
            .collect();
        // Nothing is said about the order.
        found.sort_by_key(|(arn, _)| {
            mixed(arn.bytes().fold(0, |sum: u64, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte))))
        });
        let rest = found.get(asked.start..).unwrap_or_default();
        // "A query can return fewer than this maximum, even if there are more results still to return."
        let size = if rest.len() > asked.size { asked.size.saturating_sub(1).max(1) } else { asked.size };
        let page: Vec<Value> = rest.iter().take(size).map(|(arn, tags)| mapping(arn, tags)).collect();
        let token = if rest.len() > size { format!("page-{}", asked.start + size) } else { String::new() };
        Ok(json!({"PaginationToken": token, "ResourceTagMappingList": page}))
    }

    /// The tags of everything that the index tells of.
    fn index(&self) -> BTreeMap<String, &Tags> {
        let mut index: BTreeMap<String, &Tags> =
            self.clusters.iter().map(|(name, cluster)| (self.cluster_arn(name), &cluster.tags)).collect();
        index.extend(self.services.values().map(|service| {
            let path = format!("service/{}/{}", service.cluster, service.name);
            (self.arn("ecs", &path), &service.tags)
        }));
        let definitions = self.families.values().flatten();
        index.extend(
            definitions
                .filter(|one| one.is_indexed(self.now, GHOSTS_STAY, self.faults.index_has_inactive()))
                .map(|one| (one.arn.clone(), &one.tags)),
        );
        // Of several changes that it does not have, the first says what it has.
        for lag in self.lags.iter().rev().filter(|lag| lag.until > self.now) {
            match &lag.seen {
                Some(tags) => drop(index.insert(lag.arn.clone(), tags)),
                None => drop(index.remove(&lag.arn)),
            }
        }
        index
    }
}

impl Asked<'_> {
    /// All filters must match, and of the values of each any.
    fn wants(&self, arn: &str, tags: &Tags) -> bool {
        let is_of = |(service, kind): &(&str, Option<&str>)| {
            let mut parts = arn.splitn(6, ':').skip(2);
            let (of, resource) = (parts.next(), parts.nth(2).unwrap_or_default());
            let resource_kind = resource.split(['/', ':']).next();
            of == Some(*service) && kind.is_none_or(|kind| resource_kind == Some(kind))
        };
        let matches = |(key, values): &(&str, Vec<&str>)| {
            tags.get(*key).is_some_and(|value| values.is_empty() || values.contains(&value.as_str()))
        };
        (self.types.is_empty() || self.types.iter().any(is_of))
            && (self.arns.is_empty() || self.arns.contains(&arn))
            && self.filters.iter().all(matches)
    }
}

fn asked(input: &Input) -> Result<Asked<'_>, AwsError> {
    let size = count(input, "ResourcesPerPage")?.unwrap_or(MOST_A_PAGE);
    if !(1..=MOST_A_PAGE).contains(&size) {
        return Err(invalid("ResourcesPerPage must be between 1 and 100."));
    }
    for key in ["TagsPerPage", "IncludeComplianceDetails", "ExcludeCompliantResources"] {
        if input.contains_key(key) {
            return Err(invalid(format!("{key} is not simulated.")));
        }
    }
    let arns: Vec<&str> = texts(input, "ResourceARNList").collect();
    let filters = list(input, "TagFilters").map(filter).collect::<Result<Vec<_>, _>>()?;
    if arns.len() > MOST_ARNS || filters.len() > MOST_FILTERS {
        return Err(invalid("At most 50 TagFilters and 100 ARNs may be given."));
    }
    let types: Vec<_> = texts(input, "ResourceTypeFilters").map(resource_type).collect();
    if types.len() > MOST_TYPES {
        return Err(invalid("At most 100 ResourceTypeFilters may be given."));
    }
    let filtered = !filters.is_empty() || !types.is_empty();
    if filtered && !arns.is_empty() {
        return Err(invalid("ResourceARNList cannot be given together with filters."));
    }
    let start = match optional(input, "PaginationToken")?.unwrap_or_default() {
        "" => 0,
        token => {
            let number = token.strip_prefix("page-").and_then(|number| number.parse().ok());
            number.ok_or_else(|| invalid("The PaginationToken is invalid."))?
        }
    };
    Ok(Asked { filters, types, arns, size: usize::try_from(size).unwrap_or(usize::MAX), start })
}

fn filter(one: &Value) -> Result<(&str, Vec<&str>), AwsError> {
    let key = one.get("Key").and_then(Value::as_str).filter(|key| (1..=128).contains(&key.chars().count()));
    let values = one.get("Values").and_then(Value::as_array).into_iter().flatten();
    let values: Vec<&str> = values.filter_map(Value::as_str).collect();
    match key {
        Some(key) if values.len() <= MOST_VALUES => Ok((key, values)),
        _ => Err(invalid("A TagFilter has a key and at most 20 values.")),
    }
}

/// `ecs` or `ecs:task-definition`.
fn resource_type(text: &str) -> (&str, Option<&str>) {
    text.split_once(':').map_or((text, None), |(service, kind)| (service, Some(kind)))
}

fn mapping(arn: &str, tags: &Tags) -> Value {
    let tags: Value = tags.iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect();
    json!({"ResourceARN": arn, "Tags": tags})
}
