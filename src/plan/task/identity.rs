//! The names by which AWS knows an attempt: they follow from what it is about, so that whoever asks for it asks for the
//! same.

use sha2::{Digest as _, Sha256};

use crate::model::{ContentHash, Millis, RunStamp, Target, TaskDefinitionArn};

/// Digits of a hash that go into each: `clientToken` has 64 characters at most, and `startedBy` had 36 for years (Amazon ECS
/// API reference, `RunTask`).
const OF_TOKEN: usize = 60;
const OF_STARTED_BY: usize = 24;

/// The token of one try: a refusal for want of capacity uses it up.
pub(super) fn token(target: &Target, content: &ContentHash, run: &RunStamp) -> String {
    let hash = hash(target, content, &[run.attempt, run.refusals.into()]);
    format!("tu{}", cut(&hash, OF_TOKEN))
}

/// Who started the task: the same for every try of an attempt, so that one question finds it.
pub fn started_by(target: &Target, content: &ContentHash, attempt: u64) -> String {
    format!("trueup-{}", cut(&hash(target, content, &[attempt]), OF_STARTED_BY))
}

/// The token of one word of a person, and who started the task, by the moment in which the word was said (Unix milliseconds).
pub fn of_word(target: &Target, revision: &TaskDefinitionArn, said_at: Millis) -> (String, String) {
    let parts = ["now", target.environment.as_str(), target.application.as_str(), revision.as_str()];
    let text = format!("{}\0{said_at}", parts.join("\0"));
    let hash = hex::encode(Sha256::digest(text.as_bytes()));
    (format!("tu{}", cut(&hash, OF_TOKEN)), format!("trueup-now-{}", cut(&hash, OF_STARTED_BY)))
}

fn hash(target: &Target, content: &ContentHash, numbers: &[u64]) -> String {
    let mut parts =
        vec![target.environment.to_string(), target.application.to_string(), content.as_str().to_owned()];
    parts.extend(numbers.iter().map(u64::to_string));
    hex::encode(Sha256::digest(parts.join("\0").as_bytes()))
}

fn cut(hash: &str, digits: usize) -> &str {
    hash.get(..digits).unwrap_or(hash)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ApplicationName, ClusterName, EnvironmentName, RunStanding};

    #[test]
    fn each_word_of_a_person_has_a_token_of_its_own() {
        let target = |name: &str| Target {
            environment: EnvironmentName::new("test"),
            application: ApplicationName::new(name),
        };
        let word = |name: &str, number: u64, said_at| {
            of_word(&target(name), &TaskDefinitionArn::new(format!("arn:{number}")), said_at)
        };
        let (token, name) = word("a", 1, 5);
        assert!(token.len() <= 64 && name.len() <= 36, "{token} {name}");
        assert_eq!(word("a", 1, 5), (token.clone(), name));
        for other in [word("b", 1, 5), word("a", 2, 5), word("a", 1, 6)] {
            assert!(other.0 != token);
        }
    }

    #[test]
    fn a_token_is_of_one_try_and_a_name_of_one_attempt() {
        let target = |name: &str| Target {
            environment: EnvironmentName::new("test"),
            application: ApplicationName::new(name),
        };
        let run = |attempt, refusals, cluster: &str, asked_at| RunStamp {
            attempt,
            refusals,
            asked_at,
            standing: RunStanding::Asked,
            cluster: ClusterName::new(cluster),
        };
        let content = ContentHash::new("c");
        let names = |target: &Target, content: &ContentHash, run: &RunStamp| {
            (token(target, content, run), started_by(target, content, run.attempt))
        };
        let (token, name) = names(&target("a"), &content, &run(1, 0, "mco", 0));
        assert!(token.len() <= 64 && token.bytes().all(|byte| byte.is_ascii_graphic()), "{token}");
        assert!(name.len() <= 36, "{name}");
        // When and where it is asked for changes nothing.
        assert_eq!(names(&target("a"), &content, &run(1, 0, "other", 9)), (token.clone(), name.clone()));
        let again = names(&target("a"), &content, &run(1, 1, "mco", 0));
        assert!(again.0 != token && again.1 == name);
        for other in [
            names(&target("a"), &content, &run(2, 0, "mco", 0)),
            names(&target("b"), &content, &run(1, 0, "mco", 0)),
            names(&target("a"), &ContentHash::new("d"), &run(1, 0, "mco", 0)),
        ] {
            assert!(other.0 != token && other.1 != name);
        }
    }
}
