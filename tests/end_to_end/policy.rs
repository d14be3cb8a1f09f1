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
    let said = String::from_utf8_lossy(&rig.trueup(&["iam-policy"]).stderr).into_owned();
    assert!(!said.contains("a managed policy holds"), "{said}");
}

/// One process and role for each account: what the others have is not its business, and no error.
#[test]
fn what_the_operator_does_not_allow_is_left_out() {
    let rig = Rig::new();
    let test = std::fs::read_to_string(rig.folder.path().join("test.yaml")).unwrap();
    let other = test.replace("name: test", "name: production").replace("123456789012", "210987654321");
    rig.write("production.yaml", &other);
    rig.replace("test.yaml", "cluster:", "registry: {account: \"333333333333\"}\n  cluster:");
    let allow =
        [("TRUEUP_ALLOW_ENVIRONMENTS", "test"), ("TRUEUP_ALLOW_ACCOUNTS", "123456789012,333333333333")];
    let run = || rig.command(&["iam-policy"]).envs(allow).output().unwrap();
    let output = run();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(
        said.contains("left out: production/api: this repository may not use the environment production"),
        "{said}"
    );
    let policy = String::from_utf8(output.stdout).unwrap();
    assert!(policy.contains(":123456789012:service/") && !policy.contains("210987654321"), "{policy}");
    assert!(policy.contains(":333333333333:repository/"), "{policy}");
    rig.replace("test.yaml", "commit:", "comit:");
    assert_eq!(run().status.code(), Some(1), "what is wrong in the files stays an error");
}
