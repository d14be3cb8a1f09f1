//! Members that AWS's own model requires: what is sent without one is refused.
//!
//! The tables are those of botocore's model of ECS (`required`), which `tests/emulators/required.py` holds them against.

use serde_json::Value;

use crate::model::{Complaint, Shape};

/// A structure by its path, and what it must have.
type Required = (&'static str, &'static [&'static str]);

/// Family and containers are asked for in words of their own.
const OF_TASK_DEFINITIONS: [Required; 22] = [
    ("containerDefinitions[].dependsOn[]", &["containerName", "condition"]),
    ("containerDefinitions[].environmentFiles[]", &["value", "type"]),
    ("containerDefinitions[].extraHosts[]", &["hostname", "ipAddress"]),
    ("containerDefinitions[].firelensConfiguration", &["type"]),
    ("containerDefinitions[].healthCheck", &["command"]),
    ("containerDefinitions[].linuxParameters.devices[]", &["hostPath"]),
    ("containerDefinitions[].linuxParameters.tmpfs[]", &["containerPath", "size"]),
    ("containerDefinitions[].logConfiguration", &["logDriver"]),
    ("containerDefinitions[].logConfiguration.secretOptions[]", &["name", "valueFrom"]),
    ("containerDefinitions[].repositoryCredentials", &["credentialsParameter"]),
    ("containerDefinitions[].resourceRequirements[]", &["type"]),
    ("containerDefinitions[].resourceRequirements[].sharingStrategy.nvidiaMps", &["memory"]),
    ("containerDefinitions[].restartPolicy", &["enabled"]),
    ("containerDefinitions[].secrets[]", &["name", "valueFrom"]),
    ("containerDefinitions[].ulimits[]", &["name", "softLimit", "hardLimit"]),
    ("ephemeralStorage", &["sizeInGiB"]),
    ("inferenceAccelerators[]", &["deviceName", "deviceType"]),
    ("proxyConfiguration", &["containerName"]),
    ("volumes[].efsVolumeConfiguration", &["fileSystemId"]),
    (
        "volumes[].fsxWindowsFileServerVolumeConfiguration",
        &["fileSystemId", "rootDirectory", "authorizationConfig"],
    ),
    (
        "volumes[].fsxWindowsFileServerVolumeConfiguration.authorizationConfig",
        &["credentialsParameter", "domain"],
    ),
    ("volumes[].s3filesVolumeConfiguration", &["fileSystemArn"]),
];

/// Of what `serviceSettings` may own. Lists are sent as they are written; a structure gets what it does not say from the live service,
/// which has no alarms as a rule.
const OF_SERVICES: [Required; 12] = [
    ("capacityProviderStrategy[]", &["capacityProvider"]),
    ("deploymentConfiguration.alarms", &["alarmNames", "rollback", "enable"]),
    ("serviceConnectConfiguration.logConfiguration.secretOptions[]", &["name", "valueFrom"]),
    ("serviceConnectConfiguration.services[]", &["portName"]),
    ("serviceConnectConfiguration.services[].clientAliases[]", &["port"]),
    ("serviceConnectConfiguration.services[].clientAliases[].testTrafficRules", &["header"]),
    ("serviceConnectConfiguration.services[].clientAliases[].testTrafficRules.header", &["name"]),
    ("serviceConnectConfiguration.services[].clientAliases[].testTrafficRules.header.value", &["exact"]),
    ("serviceConnectConfiguration.services[].tls", &["issuerCertificateAuthority"]),
    ("volumeConfigurations[]", &["name"]),
    ("volumeConfigurations[].managedEBSVolume", &["roleArn"]),
    ("volumeConfigurations[].managedEBSVolume.tagSpecifications[]", &["resourceType"]),
];

/// Each member that is not there, at the structure that must have it.
pub fn missing(shape: Shape, input: &Value) -> Vec<Complaint> {
    let table: &[Required] = match shape {
        Shape::TaskDefinition => &OF_TASK_DEFINITIONS,
        Shape::ServiceSettings => &OF_SERVICES,
    };
    let mut found = Vec::new();
    for (path, members) in table {
        at(input, path, "", &mut |structure, path| {
            let missing = members.iter().filter(|member| is_absent(structure.get(**member)));
            found.extend(missing.map(|member| Complaint::error(path, format!("`{member}` is missing"))));
        });
    }
    found
}

/// As [`super::normalise`] has it: an empty text is none.
fn is_absent(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null) => true,
        Some(Value::String(text)) => text.is_empty(),
        Some(_) => false,
    }
}

/// Calls `tell` with every structure at this path, and the path with its indices. What is of another kind there is told as such.
fn at(value: &Value, rest: &str, walked: &str, tell: &mut dyn FnMut(&Value, &str)) {
    if rest.is_empty() {
        if value.is_object() {
            tell(value, walked);
        }
        return;
    }
    let (first, rest) = rest.split_once('.').unwrap_or((rest, ""));
    let key = first.trim_end_matches("[]");
    let walked = if walked.is_empty() { key.to_owned() } else { format!("{walked}.{key}") };
    let Some(value) = value.get(key) else { return };
    if key == first {
        return at(value, rest, &walked, tell);
    }
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        at(item, rest, &format!("{walked}[{index}]"), tell);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(shape: Shape, input: &Value, expected: &[&str]) {
        let found = missing(shape, input);
        let found: Vec<String> = found.iter().map(|one| format!("{}: {}", one.path, one.message)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn what_lacks_a_member_is_named_by_its_place() {
        let containers = json!([{"secrets": [{"name": "A", "valueFrom": "x"}, {"name": "B"}]}, {"ulimits": [{"name": "nofile", "softLimit": 0}]}]);
        check(
            Shape::TaskDefinition,
            &json!({"containerDefinitions": containers, "volumes": [{"efsVolumeConfiguration": {}}]}),
            &[
                "containerDefinitions[0].secrets[1]: `valueFrom` is missing",
                "containerDefinitions[1].ulimits[0]: `hardLimit` is missing",
                "volumes[0].efsVolumeConfiguration: `fileSystemId` is missing",
            ],
        );
        check(
            Shape::ServiceSettings,
            &json!({"capacityProviderStrategy": [{"base": 1}], "networkConfiguration": {"awsvpcConfiguration": {"assignPublicIp": "DISABLED"}}}),
            &["capacityProviderStrategy[0]: `capacityProvider` is missing"],
        );
    }

    #[test]
    fn false_and_zero_are_there_and_an_empty_text_is_not() {
        let policy = |enabled: Value| json!({"containerDefinitions": [{"restartPolicy": {"enabled": enabled}, "extraHosts": "no list"}]});
        check(Shape::TaskDefinition, &policy(json!(false)), &[]);
        for absent in [json!(null), json!("")] {
            check(
                Shape::TaskDefinition,
                &policy(absent),
                &["containerDefinitions[0].restartPolicy: `enabled` is missing"],
            );
        }
    }
}
