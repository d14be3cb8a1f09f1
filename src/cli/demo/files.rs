//! The infrastructure repository of the demo.

use std::path::Path;

use crate::git;

pub(super) const ACCOUNT: &str = "123456789012";
pub(super) const REGION: &str = "eu-west-2";
/// Where the environment of most scenes is declared.
pub(super) const TEST: &str = "environments/test.yaml";
const APP_SPEC: &str = "version: 0.0
Resources:
  - TargetService:
      Type: AWS::ECS::Service
      Properties:
        TaskDefinition: <TASK_DEFINITION>
        LoadBalancerInfo: {ContainerName: shop, ContainerPort: 8080}
";

/// What is in the environment `test` alone.
const MORE: &str =
    "    shop: { commit: 3f2c1ab }\n    migrate: { commit: 3f2c1ab }\n    web: { commit: 3f2c1ab }\n";
/// The task of `web`, in a family of its own.
const MIGRATE: &str = r#"{"family": "mco-migrate", "containerDefinitions": [
  {"name": "migrate", "image": "<IMAGE_NAME>", "command": ["db", "migrate"], "memory": 512}]}
"#;

/// Two environments of the rolling `api`; in the first of them `shop` too, which CodeDeploy deploys, and `web`, whose traffic
/// ECS shifts once `migrate` has ended well.
pub(super) fn write(folder: &Path) -> Result<(), git::GitError> {
    let environment = |name: &str, policy: &str, more: &str| {
        format!(
            "apiVersion: trueup.dev/v1\nkind: Environment\nmetadata: {{name: {name}}}\nspec:\n  account: \"{ACCOUNT}\"\n  \
             region: {REGION}\n  cluster: mco\n{policy}  applications:\n    api: {{ commit: 3f2c1ab }}   # a promotion is a change of this line\n{more}"
        )
    };
    let document = |name: &str, specification: &str| {
        format!(
            "apiVersion: trueup.dev/v1\nkind: Application\nmetadata: {{name: {name}}}\nspec:\n{specification}"
        )
    };
    let application = |name: &str, more: &str| {
        document(name, &format!("  repository: mco/{name}\n  service: mco-{name}-{{environment}}\n{more}"))
    };
    let migrate = "  repository: mco/web\n  taskDefinition: migrate.json\n  strategy: task\n";
    let strategy = "  strategy:\n    codeDeploy: {application: shop, deploymentGroup: \"shop-{environment}\", appSpec: appspec.yaml}\n";
    let files = [
        ("applications/api.yaml", application("api", "")),
        ("applications/shop/application.yaml", application("shop", strategy)),
        ("applications/shop/appspec.yaml", APP_SPEC.to_owned()),
        ("applications/web.yaml", application("web", "  strategy: canary\n  after: [migrate]\n")),
        ("applications/migrate/application.yaml", document("migrate", migrate)),
        ("applications/migrate/migrate.json", MIGRATE.to_owned()),
        (TEST, environment("test", "  policy: {drift: heal}\n", MORE)),
        ("environments/staging.yaml", environment("staging", "", "")),
    ];
    for (name, text) in files {
        let path = folder.join(name);
        let failed = |source| git::GitError::WorkingTree { path: name.to_owned(), source };
        path.parent().map_or(Ok(()), std::fs::create_dir_all).map_err(failed)?;
        std::fs::write(&path, text).map_err(failed)?;
    }
    Ok(())
}
