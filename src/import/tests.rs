//! What files come of what runs.

use super::*;
use crate::manifest::{self, Files, ImageAddress};
use crate::model::{
    AccountId, ApplicationName, ClusterName, DeploymentGroupName, Digest, Image, LiveContainer, LiveImage,
    Mutability, Reading, Region, RepositoryName, ServiceName, Severity, Tag, TaskDefinitionArn,
};

pub(super) const REGISTRY: &str = "123456789012.dkr.ecr.eu-west-2.amazonaws.com";

/// A service that ECS deploys.
pub(super) fn live(cluster: &str, name: &str, containers: Vec<LiveContainer>) -> LiveService {
    LiveService {
        account: AccountId::new("123456789012"),
        region: Region::new("eu-west-2"),
        cluster: ClusterName::new(cluster),
        name: ServiceName::new(name),
        controller: Controller::Ecs,
        strategy: DeploymentStrategy::Rolling,
        is_deploying: false,
        revision: TaskDefinitionArn::new("arn:aws:ecs:eu-west-2:123456789012:task-definition/api:1"),
        containers,
        group: None,
        known_as: None,
    }
}

/// A container that runs an image of the repository with these tags, named by the first of them.
fn container(name: &str, repository: &str, tags: &[&str]) -> LiveContainer {
    let tag = tags.first().copied().unwrap_or("untagged");
    let reference = format!("{REGISTRY}/{repository}:{tag}");
    let address = ImageAddress::parse(&reference).unwrap();
    LiveContainer {
        name: name.to_owned(),
        reference,
        image: Some(LiveImage {
            account: AccountId::new(address.account),
            region: Region::new(address.region),
            repository: RepositoryName::new(repository),
            named_by: address.tag.map(Tag::new),
            found: Reading::Known(Image {
                digest: Digest::new(format!("sha256:{}", "0".repeat(64))),
                tags: tags.iter().map(|tag| Tag::new(*tag)).collect(),
                archived: false,
                pushed_at: 0,
                platforms: Vec::new(),
            }),
            mutability: Reading::Known(Mutability { mutable_by_default: true, exceptions: Vec::new() }),
        }),
    }
}

fn imported(services: Vec<LiveService>) -> ImportResult {
    repository(&Inventory { services, unread: Vec::new() }, &Wishes::default())
}

/// The files are read without an error. What each target declares, and where.
#[track_caller]
fn declared(imported: &ImportResult) -> Vec<String> {
    let files: Files = imported.files.iter().map(|(path, text)| (path.clone(), Ok(text.clone()))).collect();
    let declaration = manifest::read(&files, None, &|_, _| Vec::new());
    let errors: Vec<_> =
        declaration.findings.iter().filter(|finding| finding.severity == Severity::Error).collect();
    assert!(errors.is_empty(), "{errors:#?}\n{:#?}", imported.files);
    let said = declaration.readable().map(|desired| {
        let images = desired.images.iter().map(|image| format!("{}:{}", image.repository, image.commit_tag));
        let images = images.collect::<Vec<_>>().join(" ");
        format!("{} {}/{} {images}", desired.target, desired.cluster, desired.name_in_cluster())
    });
    said.collect()
}

#[test]
fn namesakes_in_two_environments_are_one_application() {
    let imported = imported(vec![
        live("mco", "mco-api-prod", vec![container("api", "mco/api", &["3f2c1ab", "prod"])]),
        live("mco", "mco-api-test", vec![container("api", "mco/api", &["8c1f0aa"])]),
        live("mco", "mco-web-test", vec![container("web", "mco/web", &["build-77aa010"])]),
    ]);
    assert_eq!(
        declared(&imported),
        [
            "prod/api mco/mco-api-prod mco/api:3f2c1ab",
            "test/api mco/mco-api-test mco/api:8c1f0aa",
            "test/web mco/mco-web-test mco/web:build-77aa010",
        ]
    );
    let api = imported.files.get("applications/api.yaml").unwrap();
    assert!(api.contains("\n  service: mco-api-{environment}\n"), "{api}");
    let prod = imported.files.get("environments/prod.yaml").unwrap();
    assert!(prod.contains("\n    api: { commit: \"3f2c1ab\" }\n"), "{prod}");
}

#[test]
fn what_an_environment_has_otherwise_stands_in_its_entry() {
    let canary = LiveService {
        controller: Controller::CodeDeploy,
        group: Some(DeploymentGroupName { application: "API".to_owned(), group: "API-test".to_owned() }),
        ..live("mco", "mco-api-test", vec![container("api", "mco/api", &["3f2c1ab"])])
    };
    let sidecar = LiveContainer {
        name: "proxy".to_owned(),
        reference: "public.ecr.aws/envoy:1".to_owned(),
        image: None,
    };
    let imported = imported(vec![
        canary,
        live("mco", "api-prod", vec![container("api", "mco/prod-api", &["v1.2.3"]), sidecar]),
        live(
            "jobs",
            "mco-worker-prod",
            vec![
                container("worker", "mco/worker", &["8c1f0aa"]),
                container("shipper", "mco/shipper", &["77aa010"]),
            ],
        ),
        live("jobs", "other-prod", vec![container("other", "mco/other", &["1234567"])]),
        live("jobs", "true-prod", vec![container("7", "mco/7", &["12345e7"])]),
    ]);
    assert_eq!(
        declared(&imported),
        [
            "prod/api mco/api-prod mco/prod-api:v1.2.3",
            "prod/mco-worker jobs/mco-worker-prod mco/worker:8c1f0aa mco/shipper:77aa010",
            "prod/other jobs/other-prod mco/other:1234567",
            "prod/true jobs/true-prod mco/7:12345e7",
            "test/api mco/mco-api-test mco/api:3f2c1ab",
        ]
    );
}

#[test]
fn an_image_without_a_commit_is_commented_out_with_the_command_that_tags_it() {
    let services = vec![
        live("mco", "mco-api-test", vec![container("api", "mco/api", &["latest"])]),
        live(
            "mco",
            "mco-web-test",
            vec![container("agent", "mco/agent", &["stable"]), container("web", "mco/web", &["3f2c1ab"])],
        ),
    ];
    let imported = imported(services);
    assert_eq!(declared(&imported), ["test/web mco/mco-web-test mco/web:3f2c1ab"]);
    let test = imported.files.get("environments/test.yaml").unwrap();
    assert!(test.contains("\n    # api: { commit: COMMIT }\n"), "{test}");
    assert!(test.contains("aws ecr put-image --registry-id 123456789012 --region eu-west-2 --repository-name mco/api --image-tag COMMIT"), "{test}");
    assert!(imported.files.contains_key("applications/api.yaml"));
    // With the mark taken off, and a commit, it is declared.
    let mut marked = imported.clone();
    let text = test.replace("    # api: { commit: COMMIT }", "    api: { commit: 9b1c22d }");
    marked.files.insert("environments/test.yaml".to_owned(), text);
    assert_eq!(declared(&marked).first().unwrap(), "test/api mco/mco-api-test mco/api:9b1c22d");
}

#[test]
fn what_cannot_be_declared_is_left_out_with_its_reason() {
    let api = || vec![container("api", "mco/api", &["3f2c1ab"])];
    let known =
        Target { environment: EnvironmentName::new("test"), application: ApplicationName::new("api") };
    let elsewhere = LiveContainer { name: "a".to_owned(), reference: "nginx".to_owned(), image: None };
    let imported = imported(vec![
        LiveService { controller: Controller::External, ..live("mco", "a-test", api()) },
        LiveService { strategy: DeploymentStrategy::Unknown, ..live("mco", "b-test", api()) },
        LiveService { controller: Controller::CodeDeploy, ..live("mco", "c-test", api()) },
        live("mco", "d-test", vec![elsewhere]),
        LiveService { known_as: Some(known), ..live("mco", "e-test", api()) },
    ]);
    assert_eq!(imported.files, BTreeMap::new());
    let why: Vec<&str> = imported.left_out.iter().map(|one| one.why.as_str()).collect();
    assert_eq!(why.len(), 5);
    for (why, word) in
        why.iter().zip(["EXTERNAL", "strategy", "deployment group", "other registries", "as test/api"])
    {
        assert!(why.contains(word), "{why}");
    }
}
