//! What AWS says of a reading that it refuses, in the words that such refusals are made of.
//!
//! While nothing could be read, nobody knows which values are to be hidden in what AWS says. So it is told the other way round:
//! words of its refusals, operations, error codes, times, and the principals and resources of the services that are asked.
//! Of a write more has to be told, and it is known what was sent.

use super::HIDDEN;

/// Bytes of a message that are looked at. A refusal has some three hundred.
const MOST_BYTES: usize = 2_000;

/// The words, in small letters (AWS IAM user guide, "Troubleshoot access denied error messages"; "Common error types" of the
/// API references).
const WORDS: &str = "
    a able access accessible account action actual after again allow allowed allows an and api are as assume at authenticated
    authentication authorization authorized available aws because been being blocked boundary busy by calculate calculated call calling
    cannot certificate check client cluster code concurrent conflict consult control controls could credential credentials current
    currently date deactivated definition denied deny describe details did disabled do documentation does due during earlier enabled
    endpoint error exceed exceeded exceeds exist exists expected expire expired explicit explicitly failed failure family find for
    format found frequency from getting given group has have header id identity identity-based image in inactive include included
    inc incomplete internal invalid is it its key kms later latest length limit list made malformed many match matches may
    maximum message method min missing more must name names need needs no not nothing now null number occurred of on one only operation or
    organization organizations our out page parameter parameters passed perform performed permission permissions please policies policy
    possible principal problem process processing provide provided quota rate reached reduce reduced refused region registry reject
    repository request requested requests required requires resource resource-based resources response responded retry role scp
    secret security sent server service session session-based signature signed signing skewed slow specified state still
    subscription support supported task temporarily temporary text than that the there this throttled throttling throttle time timed
    timeout timestamp to token too try trying type unable unavailable unknown unrecognized unsupported until use used user using
    valid validate validated value values verify version vpc was we web when while with within without wrong yet you your";

/// Services whose ARNs are told: those that are asked, and those who ask.
const SERVICES: [&str; 9] = [
    "iam",
    "sts",
    "ecs",
    "ecr",
    "codedeploy",
    "tag",
    "application-autoscaling",
    "elasticloadbalancing",
    "organizations",
];

/// The message without what is none of this.
pub fn of_refusal(message: &str) -> String {
    let end = (0..=MOST_BYTES.min(message.len())).rev().find(|end| message.is_char_boundary(*end));
    let message = message.get(..end.unwrap_or_default()).unwrap_or_default();
    let mut told = Vec::new();
    for word in message.split_whitespace() {
        let is_around = |c: char| "\"'`.,;()[]".contains(c);
        let bare = word.trim_matches(is_around).trim_end_matches(':');
        if is_told(bare) {
            told.push(word);
        } else if told.last() != Some(&HIDDEN) {
            told.push(HIDDEN);
        }
    }
    told.join(" ")
}

fn is_told(word: &str) -> bool {
    let small = word.to_ascii_lowercase();
    let is_word = || WORDS.split_whitespace().any(|known| known == small);
    let is_small_number = word.len() <= 3 && word.bytes().all(|byte| byte.is_ascii_digit());
    matches!(word, "*" | "-")
        || is_small_number
        || is_word()
        || is_operation(word)
        || is_code(word)
        || is_arn(word)
        || is_time(word)
}

/// `ecs:DescribeServices`.
fn is_operation(word: &str) -> bool {
    word.split_once(':').is_some_and(|(service, operation)| {
        SERVICES.contains(&service)
            && operation.starts_with(|first: char| first.is_ascii_uppercase())
            && operation.bytes().all(|byte| byte.is_ascii_alphabetic())
    })
}

/// `ClusterNotFoundException`.
fn is_code(word: &str) -> bool {
    ["Exception", "Error", "Fault", "Failure"].iter().any(|end| word.ends_with(end))
        && word.bytes().all(|byte| byte.is_ascii_alphabetic())
}

/// `arn:<partition>:<service>:<region>:<account>:<resource>`.
fn is_arn(word: &str) -> bool {
    let parts: Vec<&str> = word.splitn(6, ':').collect();
    let ["arn", partition, service, region, account, resource] = parts.as_slice() else { return false };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=,.@-/:*".contains(&byte);
    let is_region =
        region.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    partition.starts_with("aws")
        && SERVICES.contains(service)
        && is_region
        && account.bytes().all(|byte| byte.is_ascii_digit())
        && resource.bytes().all(plain)
}

/// `20261124T120000Z`, as signatures have it.
fn is_time(word: &str) -> bool {
    let shape = |byte: u8| if byte.is_ascii_digit() { b'0' } else { byte };
    word.bytes().map(shape).eq(b"00000000T000000Z".iter().copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_aws_says_of_a_refusal_is_told_as_it_is() {
        for message in [
            "User: arn:aws:sts::123456789012:assumed-role/trueup/i-0a1b is not authorized to perform: ecs:DescribeServices on resource: arn:aws:ecs:eu-west-2:123456789012:service/mco/mco-api because no identity-based policy allows the ecs:DescribeServices action",
            "User: arn:aws:iam::123456789012:user/ci is not authorized to perform: ecr:DescribeImages on resource: arn:aws:ecr:eu-west-2:123456789012:repository/mco/api with an explicit deny in a service control policy",
            "User: arn:aws-cn:sts::123456789012:assumed-role/a/b is not authorized to perform: tag:GetResources because no permissions boundary allows the tag:GetResources action",
            "The security token included in the request is expired",
            "The security token included in the request is invalid.",
            "Rate exceeded",
            "Signature expired: 20261124T115000Z is now earlier than 20261124T120000Z (20261124T121500Z - 15 min.)",
            "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.",
            "Unable to describe task definition.",
            "Service Unavailable. Please try again later.",
            "Cluster not found.",
            "The AWS Access Key Id needs a subscription for the service",
        ] {
            assert_eq!(of_refusal(message), message);
        }
    }

    #[test]
    fn what_else_a_refusal_repeats_is_hidden() {
        for (message, expected) in [
            ("swordfish", "(hidden)"),
            ("DB_PASS is 'hunter2', which is not valid", "(hidden) is (hidden) is not valid"),
            ("correct-horse-battery-staple", "(hidden)"),
            (
                "the value 123456 for ecs:hunter2 of arn:aws:s3:::canary/x",
                "the value (hidden) for (hidden) of (hidden)",
            ),
            ("hunter2Exception arn:aws:ecs:eu-west-2:hunter2:x ecs:list arn:aws:ecs", "(hidden)"),
            ("two secret words: alpha beta gamma", "(hidden) secret (hidden)"),
            ("20261124T12000 1234", "(hidden)"),
        ] {
            assert_eq!(of_refusal(message), expected, "{message}");
        }
        assert!(of_refusal(&"the ".repeat(100_000)).len() <= MOST_BYTES);
        assert_eq!(of_refusal(&"ü".repeat(MOST_BYTES)), "(hidden)");
    }
}
