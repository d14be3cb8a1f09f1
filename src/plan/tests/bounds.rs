//! What the operator allows, and what others own beside the fields: roles and tags.

use super::*;
use crate::documents::memory;

/// A change to commit b, with these roles in the revision that it starts from.
fn with_roles(allowed: &[&str], task: Option<&str>, execution: Option<&str>) -> Scene {
    Scene::new().with(|scene| {
        scene.desired.allowed_roles = Some(allowed.iter().map(|role| RolePattern::new(*role)).collect());
        let mut base = foreign(1, &format!("{URI}@{}", digest('a')));
        for (key, role) in [("taskRoleArn", task), ("executionRoleArn", execution)] {
            base.input[key] = role.into();
        }
        scene.observed.revisions.insert(arn(1), Reading::Known(base));
    })
}

#[test]
fn a_base_whose_roles_the_operator_does_not_allow_is_not_registered_again() {
    let own = "arn:aws:iam::123456789012:role/api";
    let register = "register bbbbbbb 1/head/ecs-svc/1";
    for (allowed, task, execution, expected) in [
        (&["api"][..], Some(own), None, register),
        (&["api", "ecs*"], Some(own), Some("ecsExecution"), register),
        (&["api"], Some(own), Some("ecsExecution"), "RoleNotAllowed"),
        (&["ecs*"], Some(own), Some("ecsExecution"), "RoleNotAllowed"),
        (&["*"], Some("arn:aws:iam::999999999999:role/api"), None, "RoleNotAllowed"),
        (&[], None, Some(""), register),
        (&[], Some(own), None, "RoleNotAllowed"),
    ] {
        with_roles(allowed, task, execution).check(expected);
        // Terraform's revision is another hand's all the same.
        let family = with_roles(allowed, task, execution)
            .with(|scene| scene.desired.task_definition = TaskDefinitionSource::Family("mco-api".to_owned()));
        family.check(expected);
    }
    let unbounded = with_roles(&[], Some(own), None).with(|scene| scene.desired.allowed_roles = None);
    unbounded.check(register);
    // Nor is a revision deployed that has them already.
    let registered = with_roles(&[], Some(own), None).ours(2, 'b', 1, "ecs-svc/1").with(|scene| {
        let Some(Reading::Known(base)) = scene.observed.revisions.get(&arn(1)).cloned() else { panic!() };
        let Some(Reading::Known(ours)) = scene.observed.revisions.get_mut(&arn(2)) else { panic!() };
        ours.input["taskRoleArn"] = base.input["taskRoleArn"].clone();
        let content = memory::content_hash(&target(), &ours.input);
        ours.tags.insert("trueup:content".to_owned(), content.to_string());
    });
    registered.check("RoleNotAllowed");
}

#[test]
fn an_image_beside_the_own_one_is_of_a_repository_that_the_operator_allows() {
    let with_sidecar = |allowed: Option<&[&str]>, image: &str| {
        Scene::new().with(|scene| {
            scene.desired.allowed_repositories.names =
                allowed.map(|all| all.iter().map(|name| Pattern::new(*name)).collect());
            scene.desired.images[0].containers = Containers::Named(vec!["api".to_owned()]);
            let mut base = foreign(1, &format!("{URI}@{}", digest('a')));
            let sidecar = json!({"name": "router", "image": image});
            base.input["containerDefinitions"].as_array_mut().unwrap().push(sidecar);
            scene.observed.revisions.insert(arn(1), Reading::Known(base));
        })
    };
    let register = "register bbbbbbb 1/head/ecs-svc/1";
    let other = "123456789012.dkr.ecr.eu-west-2.amazonaws.com/tools/router:1";
    let others = "999999999999.dkr.ecr.eu-west-2.amazonaws.com/mco/api:1";
    for (allowed, image, expected) in [
        (None, other, register),
        (Some(&["mco/api", "tools/*"][..]), other, register),
        (None, "public.ecr.aws/tools/router:1", register),
        (Some(&["mco/api", "public.ecr.aws/tools/*"]), "public.ecr.aws/tools/router:1", register),
        (Some(&["mco/api", "*"]), "public.ecr.aws/tools/router:1", "RepositoryNotAllowed"),
        (Some(&["mco/api"]), other, "RepositoryNotAllowed"),
        (Some(&[]), other, "RepositoryNotAllowed"),
        (Some(&["tools/*"]), other, "RepositoryNotAllowed"),
        (None, others, register),
        (Some(&["mco/api"]), others, "RepositoryNotAllowed"),
    ] {
        with_sidecar(allowed, image).check(expected);
    }
}

fn tags(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// A change to commit b; the revision that it starts from has these tags.
fn with_tags(of_the_base: &[(&str, &str)]) -> Scene {
    Scene::new().with(|scene| {
        let mut base = foreign(1, &format!("{URI}@{}", digest('a')));
        base.tags = tags(of_the_base);
        scene.observed.revisions.insert(arn(1), Reading::Known(base));
    })
}

/// The tags of the registration but those of trueup's memory, and what the plan says of tags.
fn registered(scene: &Scene) -> (BTreeMap<String, String>, Vec<String>) {
    let plan = scene.plan();
    let Some(Step::Register { tags, .. }) = plan.steps.first() else { panic!("{plan:#?}") };
    assert_eq!(tags["trueup:commit"], "bbbbbbb");
    let mut others = tags.clone();
    others.retain(|key, _| !key.starts_with("trueup:"));
    let about = plan.differences.iter().filter(|difference| difference.field.starts_with("tags."));
    let said = about.map(|one| {
        format!(
            "{} {:?} -> {:?}",
            one.field,
            one.live.as_deref().map(|live| live != "pay" && live != "42"),
            one.desired.as_deref()
        )
    });
    (others, said.collect())
}

#[test]
fn the_tags_of_the_base_are_kept_and_those_declared_go_before_them() {
    let base = [
        ("team", "pay"),
        ("cost-center", "42"),
        ("trueup:outcome", "failed/x"),
        ("aws:cloudformation:stack-name", "s"),
    ];
    let kept = with_tags(&base);
    assert_eq!(registered(&kept), (tags(&base[..2]), Vec::new()));
    let family = with_tags(&base[..2])
        .with(|scene| scene.desired.task_definition = TaskDefinitionSource::Family("mco-api".to_owned()));
    assert_eq!(registered(&family), (tags(&base[..2]), Vec::new()));
    let declared = with_tags(&base).with(|scene| scene.desired.tags = tags(&[("team", "web"), ("new", "1")]));
    let all = tags(&[("team", "web"), ("cost-center", "42"), ("new", "1")]);
    let said = ["tags.team Some(true) -> Some(\"web\")", "tags.new None -> Some(\"1\")"];
    assert_eq!(registered(&declared), (all.clone(), said.map(str::to_owned).to_vec()));
    // A patch over the base says it too, and `tags` goes before it.
    let patched = with_tags(&base).with(|scene| {
        let patch = json!({"tags": [{"key": "team", "value": "web"}, {"key": "new", "value": "2"}]});
        scene.desired.overlay.patch = Some(patch);
        scene.desired.tags = tags(&[("new", "1")]);
    });
    assert_eq!(registered(&patched), (all, said.map(str::to_owned).to_vec()));
}

#[test]
fn what_a_file_leaves_out_of_the_tags_is_told_before_it_is_lost() {
    let file = with_tags(&[("team", "pay"), ("cost-center", "42")]).with(|scene| {
        let mut input = input("<IMAGE_NAME>");
        input["tags"] = json!([{"key": "team", "value": "pay"}]);
        scene.desired.task_definition =
            TaskDefinitionSource::File { path: "taskdef.json".to_owned(), input: input.into() };
    });
    let (sent, said) = registered(&file);
    assert_eq!((sent.len(), said), (0, vec!["tags.cost-center Some(true) -> None".to_owned()]));
}

#[test]
fn tags_are_no_content() {
    let other = Scene::new().declares_a().with(|scene| scene.desired.tags = tags(&[("team", "web")]));
    other.check("Settled");
    assert_eq!(other.plan().differences, []);
}

#[test]
fn more_tags_than_aws_takes_are_not_sent() {
    let many: Vec<String> = (0..39).map(|number| format!("k{number}")).collect();
    let pairs: Vec<(&str, &str)> = many.iter().map(|key| (key.as_str(), "v")).collect();
    with_tags(&pairs[..36]).check("register bbbbbbb 1/head/ecs-svc/1");
    with_tags(&pairs).check("TooManyTags");
}

/// What nothing rests on gives way.
#[test]
fn where_others_give_all_the_tags_that_there_is_room_for_no_record_is_kept_of_alerts() {
    let many: Vec<String> = (0..36).map(|number| format!("k{number}")).collect();
    let pairs: Vec<(&str, &str)> = many.iter().map(|key| (key.as_str(), "v")).collect();
    for (count, listens, is_kept) in [(35, true, true), (36, true, false), (35, false, false)] {
        let scene = with_tags(&pairs[..count]).with(|scene| {
            scene.desired.alerts = if listens { Matter::ALL.into() } else { BTreeSet::new() };
        });
        let Some(Step::Register { tags, .. }) = scene.plan().steps.pop() else { panic!() };
        assert_eq!(tags.contains_key("trueup:told"), is_kept, "{count} {listens}");
    }
}

/// What runs is another release, and what is remembered is told as it is written.
#[test]
fn a_release_is_told_as_it_is_written_and_compared_exactly() {
    let release = |text: &str| {
        Scene::new().with(|scene| {
            scene.desired.images[0].commit = Commit::release(text);
            scene.desired.images[0].commit_tag = Tag::new(text);
            scene.observed.images[0].built = Reading::Known(image('b', &[text]));
            scene.observed.images[0].tagged = Reading::Known(image('a', &["v1.10.2", "test"]));
            scene.desired.first_contact = FirstContact::Adopt;
        })
    };
    let scene = release("v1.10.20");
    scene.check("register v1.10.20 1/head/ecs-svc/1");
    let status = scene.plan().status;
    assert_eq!(status.declared.unwrap().short(), "v1.10.20");
    assert_eq!(status.tagged.unwrap().short(), "v1.10.2");
    let Some(Step::Register { tags, .. }) = release("20240115").plan().steps.pop() else { panic!() };
    assert_eq!(Commit::from_record(&tags["trueup:commit"]), Commit::release("20240115"));
}
