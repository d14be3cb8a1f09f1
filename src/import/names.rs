//! Which environment a service belongs to, and what is called an application there: guessed from the names of services and
//! clusters, and told.

use std::collections::{BTreeMap, BTreeSet};

use super::ByPipeline;
use crate::model::{EnvironmentName, LiveService};

/// What environments are called, without a number at the end.
const WORDS: [&str; 31] = [
    "acc",
    "acceptance",
    "alpha",
    "beta",
    "ci",
    "demo",
    "dev",
    "devel",
    "develop",
    "development",
    "int",
    "integration",
    "live",
    "perf",
    "pre",
    "preprod",
    "preview",
    "prd",
    "prod",
    "production",
    "qa",
    "sandbox",
    "sbx",
    "stage",
    "staging",
    "stg",
    "test",
    "testing",
    "tst",
    "uat",
    "nonprod",
];
/// Words of a cluster's name that say nothing of what runs there.
const EMPTY_WORDS: [&str; 4] = ["cluster", "ecs", "fargate", "services"];
/// Names of documents have at most 100 letters; there is room for what tells two of them apart.
const LONGEST: usize = 80;

/// Where a service belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub environment: EnvironmentName,
    pub application: String,
    pub evidence: Evidence,
}

/// Why it belongs to that environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Evidence {
    /// The name of the cluster says so.
    Cluster,
    /// The name of the service says so.
    Service,
    /// Neither does, and a stage of the pipeline that deploys it, or the tag that it starts from, says so.
    Pipeline,
    /// Nothing does: the environment is called as the cluster.
    Nothing,
    /// A person has said so.
    Given,
}

/// Where each service belongs, in their order. No two of them have the same place.
pub fn places(
    services: &[&LiveService],
    given: Option<&EnvironmentName>,
    piped: &[Option<&ByPipeline>],
) -> Vec<Place> {
    let piped = piped.iter().map(|piped| piped.and_then(|piped| piped.environment.as_deref()));
    let piped = piped.chain(std::iter::repeat(None));
    let guesses: Vec<Guess<'_>> =
        services.iter().zip(piped).map(|(service, piped)| guess(service, given, piped)).collect();
    let environments = environments(services, &guesses);
    let applications = applications(services, &guesses, &environments);
    let places = guesses.iter().zip(environments).zip(applications);
    places
        .map(|((guess, environment), application)| Place {
            environment: EnvironmentName::new(environment),
            application,
            evidence: guess.evidence,
        })
        .collect()
}

/// The name with `{environment}` for each word that is the environment's name; `None`: none is.
pub fn templated(name: &str, environment: &str) -> Option<String> {
    let mut templated = String::new();
    let mut found = false;
    let mut word = String::new();
    for letter in name.chars().chain(['\0']) {
        if letter.is_ascii_alphanumeric() || (letter == '-' && environment.contains('-')) {
            word.push(letter);
            continue;
        }
        if word == environment {
            templated.push_str("{environment}");
            found = true;
        } else {
            templated.push_str(&word);
        }
        word.clear();
        if letter != '\0' {
            templated.push(letter);
        }
    }
    found.then_some(templated)
}

struct Guess<'s> {
    environment: String,
    evidence: Evidence,
    /// The words of the service's name that are not the environment's.
    words: Vec<&'s str>,
}

fn guess<'s>(service: &'s LiveService, given: Option<&EnvironmentName>, piped: Option<&str>) -> Guess<'s> {
    let (cluster, name) = (service.cluster.as_str(), service.name.as_str());
    let (environment, evidence) = match (given, word_in(cluster), word_in(name), piped) {
        (Some(given), ..) => (given.as_str().to_owned(), Evidence::Given),
        (None, Some(word), ..) => (word.to_ascii_lowercase(), Evidence::Cluster),
        (None, None, Some(word), _) => (word.to_ascii_lowercase(), Evidence::Service),
        (None, None, None, Some(piped)) => (shortened(piped), Evidence::Pipeline),
        (None, None, None, None) => (shortened(cluster), Evidence::Nothing),
    };
    let is_of_environment = |word: &&str| word.eq_ignore_ascii_case(&environment);
    let all: Vec<&str> = words(name).filter(|word| !is_of_environment(word)).collect();
    let of_cluster: Vec<&str> = words(cluster)
        .filter(|word| !is_of_environment(word) && !EMPTY_WORDS.contains(&word.to_ascii_lowercase().as_str()))
        .collect();
    let rest = all.strip_prefix(of_cluster.as_slice()).filter(|rest| !rest.is_empty());
    let words = rest.map_or_else(|| all.clone(), <[&str]>::to_vec);
    Guess { environment, evidence, words: if words.is_empty() { vec![name] } else { words } }
}

/// The word that names an environment: the last one, then the first one, then any.
pub(super) fn word_in(name: &str) -> Option<&str> {
    let all: Vec<&str> = words(name).collect();
    let is_one = |word: &&&str| {
        let word = word.to_ascii_lowercase();
        WORDS.contains(&word.trim_end_matches(|letter: char| letter.is_ascii_digit()))
    };
    let ends = all.last().into_iter().chain(all.first());
    ends.chain(all.iter().rev()).find(is_one).copied()
}

fn words(name: &str) -> impl Iterator<Item = &str> {
    name.split(['-', '_']).filter(|word| !word.is_empty())
}

/// One that is found in several accounts or regions is one environment in each of them.
fn environments(services: &[&LiveService], guesses: &[Guess<'_>]) -> Vec<String> {
    let mut places: BTreeMap<&str, BTreeSet<(&str, &str)>> = BTreeMap::new();
    for (service, guess) in services.iter().zip(guesses) {
        let place = (service.account.as_str(), service.region.as_str());
        places.entry(&guess.environment).or_default().insert(place);
    }
    let named = services.iter().zip(guesses).map(|(service, guess)| {
        let all = places.get(guess.environment.as_str()).into_iter().flatten();
        let accounts: BTreeSet<&str> = all.clone().map(|(account, _)| *account).collect();
        let regions: BTreeSet<&str> = all.map(|(_, region)| *region).collect();
        let mut name = guess.environment.clone();
        for (all, own) in [(accounts, service.account.as_str()), (regions, service.region.as_str())] {
            if all.len() > 1 {
                name = format!("{name}-{own}");
            }
        }
        name
    });
    named.collect()
}

/// By as few words as tell them apart: without those that all have in front, with them, with the cluster's name, and with a number.
fn applications(services: &[&LiveService], guesses: &[Guess<'_>], environments: &[String]) -> Vec<String> {
    let in_common = words_in_common(guesses);
    let mut names: Vec<String> = guesses
        .iter()
        .map(|guess| shortened(&guess.words.get(in_common..).unwrap_or_default().join("-")))
        .collect();
    let longer: [&dyn Fn(usize) -> Option<String>; 3] = [
        &|index| Some(shortened(&guesses.get(index)?.words.join("-"))),
        &|index| {
            let words = guesses.get(index)?.words.join("-");
            Some(shortened(&format!("{}-{words}", services.get(index)?.cluster)))
        },
        &|index| Some(shortened(services.get(index)?.name.as_str())),
    ];
    for longer in longer {
        for index in twice(&names, environments) {
            if let (Some(name), Some(longer)) = (names.get_mut(index), longer(index)) {
                *name = longer;
            }
        }
    }
    // One turn is enough for each: a number is given to one that was there before.
    for number in 2..names.len() + 2 {
        let Some(index) = twice(&names, environments).last().copied() else { break };
        if let Some(name) = names.get_mut(index) {
            *name = format!("{name}-{number}");
        }
    }
    names
}

/// Those whose name another one of the same environment has.
fn twice(names: &[String], environments: &[String]) -> Vec<usize> {
    let mut by_name: BTreeMap<(&String, &String), Vec<usize>> = BTreeMap::new();
    for (index, place) in environments.iter().zip(names).enumerate() {
        by_name.entry(place).or_default().push(index);
    }
    let mut twice: Vec<usize> = by_name.into_values().filter(|all| all.len() > 1).flatten().collect();
    twice.sort_unstable();
    twice
}

/// How many words all names begin with, as long as each has another one.
fn words_in_common(guesses: &[Guess<'_>]) -> usize {
    let all: BTreeSet<&[&str]> = guesses.iter().map(|guess| guess.words.as_slice()).collect();
    let Some(first) = all.first().filter(|_| all.len() > 1) else { return 0 };
    let shared = |count: usize| {
        all.iter().all(|words| words.len() > count && words.get(..count) == first.get(..count))
    };
    (0..first.len()).rev().find(|count| shared(*count)).unwrap_or_default()
}

/// Never the beginning of another option or path: names of documents do not begin so.
fn shortened(name: &str) -> String {
    let name = name.trim_start_matches(['-', '.']);
    let cut = name.get(..LONGEST).unwrap_or(name);
    if cut.is_empty() { "service".to_owned() } else { cut.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::tests::live;

    #[track_caller]
    fn check(services: &[(&str, &str)], given: Option<&str>, expected: &[&str]) {
        let services: Vec<LiveService> =
            services.iter().map(|(cluster, name)| live(cluster, name, Vec::new())).collect();
        let services: Vec<&LiveService> = services.iter().collect();
        let places = places(&services, given.map(EnvironmentName::new).as_ref(), &[]);
        let said: Vec<String> = places
            .iter()
            .map(|place| format!("{}/{} {:?}", place.environment, place.application, place.evidence))
            .collect();
        assert_eq!(said, expected);
    }

    #[test]
    fn the_environment_is_a_word_of_the_service_in_a_cluster_for_all() {
        check(
            &[("mco", "mco-api-test"), ("mco", "mco-api-prod"), ("mco", "mco-worker-test")],
            None,
            &["test/api Service", "prod/api Service", "test/worker Service"],
        );
        check(&[("apps", "prod-api"), ("apps", "dev2-api")], None, &["prod/api Service", "dev2/api Service"]);
        check(&[("apps", "mco-UAT-api")], None, &["uat/mco-api Service"]);
    }

    #[test]
    fn the_environment_is_a_word_of_the_cluster_where_each_has_its_own() {
        check(
            &[("mco-test", "api"), ("mco-prod", "api"), ("mco-prod", "test-runner")],
            None,
            &["test/api Cluster", "prod/api Cluster", "prod/test-runner Cluster"],
        );
        check(
            &[("staging", "web-staging"), ("production", "web-production")],
            None,
            &["staging/web Cluster", "production/web Cluster"],
        );
    }

    #[test]
    fn where_no_name_says_anything_the_environment_is_called_as_the_cluster() {
        check(
            &[("blue", "api"), ("green", "api"), ("green", "web")],
            None,
            &["blue/api Nothing", "green/api Nothing", "green/web Nothing"],
        );
    }

    #[test]
    fn a_given_environment_is_taken_and_the_names_stay_apart() {
        check(
            &[("mco", "mco-api-test"), ("mco", "mco-api-prod")],
            Some("prod"),
            &["prod/api-test Given", "prod/api Given"],
        );
        check(&[("a", "api"), ("b", "api")], Some("live"), &["live/a-api Given", "live/b-api Given"]);
        check(&[("a", "api"), ("a", "api_")], Some("live"), &["live/api Given", "live/api_ Given"]);
    }

    #[test]
    fn words_that_all_begin_with_are_left_out_as_long_as_one_is_left() {
        check(
            &[("apps", "acme-shop-api-test"), ("apps", "acme-shop-web-test"), ("apps", "acme-shop-test")],
            None,
            &["test/shop-api Service", "test/shop-web Service", "test/shop Service"],
        );
        check(&[("mco-prod", "mco-prod")], None, &["prod/mco Cluster"]);
        check(&[("prod", "prod")], None, &["prod/prod Cluster"]);
    }

    #[test]
    fn a_name_is_a_template_only_in_whole_words() {
        for (name, environment, expected) in [
            ("mco-api-test", "test", Some("mco-api-{environment}")),
            ("API-test", "test", Some("API-{environment}")),
            ("mco/test/api_test", "test", Some("mco/{environment}/api_{environment}")),
            ("latest-api", "test", None),
            ("mco-api-TEST", "test", None),
            ("mco-api", "test", None),
        ] {
            assert_eq!(templated(name, environment).as_deref(), expected, "{name}");
        }
    }
}
