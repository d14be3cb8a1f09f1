//! Volumes of Amazon EFS (Amazon ECS API reference, `EFSVolumeConfiguration` and `EFSAuthorizationConfig`).

use serde_json::Value;

use super::{Complaint, Fields, closed_words, list, text};

const FLAGS: [&str; 2] = ["ENABLED", "DISABLED"];

/// "Transit encryption must be turned on if Amazon EFS IAM authorization is used."
pub(super) fn of(fields: &Fields, found: &mut Vec<Complaint>) {
    for (index, volume) in list(fields, "volumes").enumerate() {
        let Some(efs) = volume.get("efsVolumeConfiguration").and_then(Value::as_object) else { continue };
        let path = format!("volumes[{index}].efsVolumeConfiguration");
        closed_words(efs, &path, "transitEncryption", &FLAGS, found);
        let Some(access) = efs.get("authorizationConfig").and_then(Value::as_object) else { continue };
        let at = format!("{path}.authorizationConfig");
        closed_words(access, &at, "iam", &FLAGS, found);
        let is_open = matches!(text(efs, "transitEncryption"), "" | "DISABLED");
        if text(access, "iam") == "ENABLED" && is_open {
            let message = "with `iam` ENABLED the transit is encrypted";
            let hint = "write \"transitEncryption\": \"ENABLED\"";
            found.push(Complaint::error(format!("{at}.iam"), message).hint(hint));
        }
    }
}
