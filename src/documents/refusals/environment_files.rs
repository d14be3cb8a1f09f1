//! Files of variables, which the agent reads from S3 (Amazon ECS API reference, `EnvironmentFile`).

use super::{Complaint, Fields, closed_words, list, text};

/// "The only supported value is s3."
const TYPES: [&str; 1] = ["s3"];

pub(super) fn of(container: &Fields, path: &str, found: &mut Vec<Complaint>) {
    for (index, file) in list(container, "environmentFiles").enumerate() {
        let Some(file) = file.as_object() else { continue };
        let path = format!("{path}.environmentFiles[{index}]");
        closed_words(file, &path, "type", &TYPES, found);
        let value = text(file, "value");
        if value.is_empty() || is_object(value) {
            continue;
        }
        let message = "`value` is the ARN of an object in S3";
        let written = value.strip_prefix("s3://").unwrap_or("BUCKET/FOLDER/NAME.env");
        let hint = format!("such as arn:aws:s3:::{written}");
        found.push(Complaint::error(format!("{path}.value"), message).hint(hint));
    }
}

/// `arn:PARTITION:s3:::BUCKET/KEY`.
fn is_object(value: &str) -> bool {
    let named = value.strip_prefix("arn:").and_then(|arn| arn.split_once(":s3:::"));
    named.is_some_and(|(partition, object)| {
        !partition.contains(':')
            && object.split_once('/').is_some_and(|(bucket, key)| !bucket.is_empty() && !key.is_empty())
    })
}
