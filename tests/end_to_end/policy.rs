//! `iam-policy` and what it says beside the policy.

use std::fmt::Write as _;

use crate::rig::{APPLICATION, Rig};

#[test]
fn patterns_are_said_beside_the_policy() {
    let rig = Rig::new();
    let mut entries = String::new();
    for number in 0..20 {
        let name = format!("worker{number}");
        let application = APPLICATION.replace("{name: api}", &format!("{{name: {name}}}"));
        let application = application.replace("mco-api", &format!("mco-{name}"));
        rig.write(&format!("{name}.yaml"), &application);
        let _ = writeln!(entries, "    {name}: {{ commit: aaaaaaa }}");
    }
    rig.replace("test.yaml", "  applications:\n", &format!("  applications:\n{entries}"));
    let output = rig.trueup(&["iam-policy"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(
        said.contains("a managed policy holds 6144") && said.contains("TRUEUP_ALLOW_ENVIRONMENTS"),
        "{said}"
    );
    let policy: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(policy.to_string().contains(":service/mco/mco-*\""), "{policy:#}");
    rig.replace("test.yaml", &entries, "");
    assert_eq!(rig.trueup(&["iam-policy"]).stderr, b"");
}
