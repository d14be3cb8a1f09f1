//! The least-privilege policy for exactly what a repository declares. Pure.
//!
//! Which action takes which resource and condition: AWS service authorization reference, tables of Amazon ECS, Amazon
//! ECR, AWS CodeDeploy and AWS IAM. `sts:GetCallerIdentity` needs no permission.

mod resource;

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::accounts::Accounts;
use crate::documents::{code_deploy, logs, roles};
use crate::model::{
    AccountId, CodeDeploy, Declaration, Desired, Mode, MoveTag, NewGroup, Region, RolePattern, RunNetwork,
    ScheduleName, Strategy, Target, TaskDefinitionSource,
};
use crate::plan::count::Count;
use resource::{Naming, Resource, named};

/// Characters that a managed policy may have, white space not counted (AWS IAM user guide, quotas).
pub const MOST_CHARACTERS: usize = 6144;

/// What the policy is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// `plan`, `status`, `wait`, `run --observe`.
    Read,
    /// Everything.
    Write,
}

/// A name that a repository gives would stand for many in a policy. Names are held against AWS's own patterns when files are
/// read; this is the last look before somebody is given rights.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{target}: `{name}` holds a wildcard, and cannot stand in a policy")]
pub struct Wildcard {
    pub target: Target,
    pub name: String,
}

/// A policy document, and how it came to name its resources.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    pub document: Value,
    /// White space not counted.
    pub characters: usize,
    /// How many there would be with every resource by its name.
    pub characters_by_name: usize,
    /// For whom every role of the account may be passed: another hand's revision says which, and the operator's settings
    /// bound it by nothing.
    pub any_role: Vec<Target>,
}

/// The policy for all readable applications.
pub fn policy(declaration: &Declaration, access: Access) -> Result<Policy, Wildcard> {
    policy_for(&declaration.readable().collect::<Vec<_>>(), Vec::new(), access)
}

/// What the operator's settings say of the credentials of a process, besides what is declared.
#[derive(Clone, Copy, Debug)]
pub struct Operated<'a> {
    /// The roles of other accounts that they assume.
    pub accounts: &'a Accounts,
    /// The `DynamoDB` table of the leases, in the account and region of the AWS settings.
    pub lease_table: Option<&'a str>,
    /// Topics of SNS by their ARNs, and buses of EventBridge by ARNs or names, that receive alerts.
    pub topics: &'a [String],
    pub buses: &'a [String],
}

/// The policy of the credentials that assume the roles of other accounts: for what no role reaches, for assuming those of the
/// accounts that are declared, and for the leases.
pub fn hub(declaration: &Declaration, operated: Operated<'_>, access: Access) -> Result<Policy, Wildcard> {
    let is_reached = |one: &&Desired| role_of(one, operated.accounts).is_some();
    let (far, own): (Vec<&Desired>, Vec<&Desired>) = declaration.readable().partition(is_reached);
    far.iter().try_for_each(|one| has_plain_names(one))?;
    let roles = far.iter().filter_map(|one| role_of(one, operated.accounts));
    let leases = Statement::new(
        "KeepLeases",
        &["dynamodb:GetItem", "dynamodb:PutItem"],
        operated.lease_table.map(lease_table),
    );
    let alerts = [
        Statement::new("PublishAlerts", &["sns:Publish"], operated.topics.iter().map(|arn| topic(arn))),
        Statement::new("PutAlerts", &["events:PutEvents"], operated.buses.iter().map(|name| bus(name))),
    ];
    let mut statements = vec![Statement::new("AssumeRoles", &["sts:AssumeRole"], roles), leases];
    statements.extend(alerts);
    policy_for(&own, statements, access)
}

/// Whose account and region it is in is known to no repository.
fn lease_table(name: &str) -> Resource {
    Resource { kind: "arn:*:dynamodb:*:*:table/".to_owned(), name: name.to_owned(), rest: "" }
}

fn topic(arn: &str) -> Resource {
    let (kind, name) = arn.rsplit_once(':').unwrap_or_default();
    Resource { kind: format!("{kind}:"), name: name.to_owned(), rest: "" }
}

/// Where one is that is named alone, is known to no repository either.
fn bus(name: &str) -> Resource {
    const BUS: &str = ":event-bus/";
    let (kind, name) = name.split_once(BUS).unwrap_or(("arn:*:events:*:*", name));
    Resource { kind: format!("{kind}{BUS}"), name: name.to_owned(), rest: "" }
}

/// The policy of the role by which this account is reached.
pub fn spoke(declaration: &Declaration, account: &AccountId, access: Access) -> Result<Policy, Wildcard> {
    let here: Vec<&Desired> =
        declaration.readable().filter(|one| one.account.as_ref() == Some(account)).collect();
    policy_for(&here, Vec::new(), access)
}

/// What stands for an external id, which is never printed. A role that asks for it cannot be assumed before somebody has put the id
/// there.
pub const EXTERNAL_ID: &str = "EXTERNAL_ID";

/// Who may assume the role of an account: `principal` is the ARN of those credentials.
pub fn trust(principal: &str, asks_for_id: bool) -> Value {
    let mut statement = json!({
        "Effect": "Allow",
        "Principal": {"AWS": principal},
        "Action": "sts:AssumeRole",
    });
    if asks_for_id {
        statement["Condition"] = json!({"StringEquals": {"sts:ExternalId": EXTERNAL_ID}});
    }
    json!({"Version": "2012-10-17", "Statement": [statement]})
}

/// The role by which the account of a target is reached.
fn role_of(desired: &Desired, accounts: &Accounts) -> Option<Resource> {
    let account = desired.account.as_ref()?;
    let arn = accounts.role(account)?.name.arn(account, desired.region.as_ref());
    let (kind, name) = arn.split_once(":role/")?;
    Some(Resource { kind: format!("{kind}:role/"), name: name.to_owned(), rest: "" })
}

/// Every resource by its name while that fits into a managed policy. Beyond that the longest statement takes the next wider
/// patterns until it fits, or until there are none. `statements`: what is needed besides.
fn policy_for(
    desired: &[&Desired],
    mut statements: Vec<Statement>,
    access: Access,
) -> Result<Policy, Wildcard> {
    desired.iter().try_for_each(|one| has_plain_names(one))?;
    let mut any_role = Vec::new();
    statements.extend(reads(desired));
    if access == Access::Write {
        // The controller writes nothing where an environment is only observed.
        let written: Vec<_> = desired.iter().copied().filter(|one| one.mode != Mode::Observe).collect();
        let passes_any = written.iter().filter(|one| passes_any_role(one));
        any_role.extend(passes_any.map(|one| one.target.clone()));
        statements.extend(writes(&written));
    }
    let mut said: Vec<Said> = statements.iter().filter_map(|one| one.said(Naming::Exact)).collect();
    let characters_by_name = characters(&document(&said));
    // Each turn takes one statement one of three steps.
    while characters(&document(&said)) > MOST_CHARACTERS {
        let candidates = said.iter_mut().filter(|one| one.naming.wider().is_some());
        let Some(longest) = candidates.max_by_key(|one| characters(&one.text)) else { break };
        longest.widen();
    }
    let document = document(&said);
    Ok(Policy { characters: characters(&document), document, characters_by_name, any_role })
}

/// `*` and `?` stand for others in a resource, `${` begins a variable (IAM user guide, policy elements).
fn has_plain_names(desired: &Desired) -> Result<(), Wildcard> {
    let default = CodeDeploy::default();
    let settings = match &desired.strategy {
        Strategy::CodeDeploy(settings) => settings,
        Strategy::Rolling | Strategy::Native(_) | Strategy::Unspecified => &default,
    };
    let (application, group) = code_deploy::names(settings, desired);
    let family = family(desired).map(str::to_owned);
    let places =
        [desired.account.as_ref(), desired.registry.account.as_ref()].map(|it| it.map(ToString::to_string));
    let regions =
        [desired.region.as_ref(), desired.registry.region.as_ref()].map(|it| it.map(ToString::to_string));
    let mut names =
        vec![desired.cluster.to_string(), desired.name_in_cluster().to_owned(), application, group];
    if let Some(RunNetwork::Like(name)) = desired.task().map(|task| &task.network) {
        names.push(name.to_string());
    }
    for name in desired.scheduled_task().into_iter().flat_map(|task| &task.schedules) {
        match name {
            ScheduleName::Rule(name) => names.push(name.clone()),
            ScheduleName::Schedule { group, name } => names.extend([group.clone(), name.clone()]),
        }
    }
    names.extend(desired.images.iter().map(|image| image.repository.to_string()));
    names.extend(places.into_iter().chain(regions).chain([family]).flatten());
    names.extend(roles::declared(desired).into_iter().map(str::to_owned));
    let file = match &desired.task_definition {
        TaskDefinitionSource::File { input, .. } => Some(&**input),
        TaskDefinitionSource::Service | TaskDefinitionSource::Family(_) => None,
    };
    let logs = file.into_iter().chain(&desired.overlay.patch).flat_map(logs::named);
    names.extend(logs.flat_map(|group| group.region.into_iter().chain([group.name])).map(str::to_owned));
    match names.into_iter().find(|name| name.contains(['*', '?', '$'])) {
        Some(name) => Err(Wildcard { target: desired.target.clone(), name }),
        None => Ok(()),
    }
}

fn document(said: &[Said]) -> Value {
    let statements: Vec<&Value> = said.iter().map(|one| &one.text).collect();
    json!({"Version": "2012-10-17", "Statement": statements})
}

fn characters(document: &Value) -> usize {
    document.to_string().chars().count()
}

/// One statement: its name, the actions, and what may be added to them.
struct Statement {
    name: &'static str,
    actions: &'static [&'static str],
    resources: BTreeSet<Resource>,
    condition: Option<Condition>,
}

enum Condition {
    InClusters(BTreeSet<Resource>),
    PassedTo(&'static str),
}

impl Statement {
    fn new(
        name: &'static str,
        actions: &'static [&'static str],
        resources: impl IntoIterator<Item = Resource>,
    ) -> Self {
        Self { name, actions, resources: resources.into_iter().collect(), condition: None }
    }

    fn when(self, condition: Condition) -> Self {
        Self { condition: Some(condition), ..self }
    }

    /// `None` where there is nothing to allow it for.
    fn said(&self, naming: Naming) -> Option<Said<'_>> {
        (!self.resources.is_empty()).then(|| Said { statement: self, naming, text: self.text(naming) })
    }

    fn text(&self, naming: Naming) -> Value {
        let mut text = json!({
            "Sid": self.name,
            "Effect": "Allow",
            "Action": self.actions,
            "Resource": named(&self.resources, naming),
        });
        match &self.condition {
            None => {}
            Some(Condition::InClusters(clusters)) => {
                text["Condition"] = json!({"ArnEquals": {"ecs:cluster": named(clusters, naming)}});
            }
            Some(Condition::PassedTo(service)) => {
                text["Condition"] = json!({"StringEquals": {"iam:PassedToService": service}});
            }
        }
        text
    }
}

/// A statement as it stands in the document.
struct Said<'s> {
    statement: &'s Statement,
    naming: Naming,
    text: Value,
}

impl Said<'_> {
    fn widen(&mut self) {
        if let Some(wider) = self.naming.wider() {
            self.naming = wider;
            self.text = self.statement.text(wider);
        }
    }
}

fn reads(desired: &[&Desired]) -> Vec<Statement> {
    let groups = groups(desired, |_| true);
    vec![
        Statement::new(
            "ReadServices",
            &[
                "ecs:DescribeServices",
                "ecs:ListServiceDeployments",
                "ecs:DescribeServiceDeployments",
                "ecs:DescribeServiceRevisions",
            ],
            services(desired).flat_map(of_service).chain(models(desired)),
        ),
        Statement::new("ReadTasks", &["ecs:ListTasks", "ecs:DescribeTasks"], any(desired))
            .when(Condition::InClusters(clusters(desired.iter().copied()))),
        Statement::new(
            "ReadTaskDefinitions",
            &["ecs:ListTaskDefinitions", "ecs:DescribeTaskDefinition"],
            any(desired),
        ),
        Statement::new(
            "FindRevisions",
            // It takes no resource.
            &["tag:GetResources"],
            any(desired),
        ),
        Statement::new(
            "ReadScalableTargets",
            // It takes no resource. Nobody needs it where no count is declared.
            &["application-autoscaling:DescribeScalableTargets"],
            any(desired.iter().filter(|one| Count::of(one).is_some())),
        ),
        Statement::new(
            "ReadLoadBalancers",
            // None of them takes a resource. Whether ECS shifts traffic is the service's to say where no strategy is declared.
            &[
                "elasticloadbalancing:DescribeRules",
                "elasticloadbalancing:DescribeListeners",
                "elasticloadbalancing:DescribeTargetGroups",
            ],
            any(desired.iter().filter(|one| may_shift_traffic(one))),
        ),
        Statement::new(
            "ReadAlarms",
            // A composite alarm is told to nobody who may not look at all of them. Whether a deployment has alarms is the service's to
            // say, or the group's.
            &["cloudwatch:DescribeAlarms"],
            any(&services(desired).collect::<Vec<_>>()),
        ),
        Statement::new(
            "ReadRules",
            &["events:DescribeRule", "events:ListTargetsByRule"],
            desired.iter().flat_map(|one| rules(one)),
        ),
        Statement::new(
            "ReadSchedules",
            &["scheduler:GetSchedule"],
            desired.iter().flat_map(|one| of_scheduler(one)),
        ),
        Statement::new(
            "ReadTargetHealth",
            // It takes no resource. Without it only the reason is missing why a target is not healthy.
            &["elasticloadbalancing:DescribeTargetHealth"],
            any(desired.iter().filter(|one| one.service().is_some())),
        ),
        Statement::new(
            "ReadLogs",
            // Without it only the last lines are missing of what has failed.
            &["logs:GetLogEvents"],
            desired.iter().flat_map(|one| logs(one)),
        ),
        Statement::new(
            "ReadImages",
            // The manifest of an image for several platforms says which, the configuration of every other one.
            &[
                "ecr:DescribeRepositories",
                "ecr:DescribeImages",
                "ecr:BatchGetImage",
                "ecr:GetDownloadUrlForLayer",
            ],
            desired.iter().flat_map(|one| repositories(one)),
        ),
        Statement::new(
            "ReadDeployments",
            &[
                "codedeploy:GetDeploymentGroup",
                "codedeploy:ListDeployments",
                "codedeploy:BatchGetDeployments",
            ],
            groups.clone(),
        ),
        Statement::new(
            "ReadAppSpecs",
            &["codedeploy:GetApplicationRevision"],
            applications(desired, |_| true),
        ),
        Statement::new("ReadTraffic", &["codedeploy:GetDeploymentTarget"], any(&groups)),
    ]
}

fn writes(desired: &[&Desired]) -> Vec<Statement> {
    let moves = |one: &&&Desired| one.policy.move_tag == MoveTag::AfterSuccess;
    let by_code_deploy = groups(desired, |_| true);
    vec![
        Statement::new(
            "RegisterTaskDefinitions",
            &["ecs:RegisterTaskDefinition", "ecs:TagResource"],
            desired.iter().map(|one| task_definitions(one)),
        ),
        Statement::new(
            "UpdateServices",
            &["ecs:UpdateService"],
            services(desired).filter(|one| updates(one)).map(|one| service(one, "service/", "")),
        ),
        Statement::new(
            "RunTasks",
            // The revision is what is run, and the cluster a condition.
            &["ecs:RunTask"],
            tasks(desired).map(task_definitions),
        )
        .when(Condition::InClusters(clusters(tasks(desired)))),
        Statement::new(
            "StopTasks",
            // With the tags that the task is given when it is started.
            &["ecs:StopTask", "ecs:TagResource"],
            tasks(desired).map(|one| resource(one, "ecs", "task/", one.cluster.as_str(), "/*")),
        ),
        Statement::new("WriteRules", &["events:PutTargets"], desired.iter().flat_map(|one| rules(one))),
        Statement::new(
            "WriteSchedules",
            &["scheduler:UpdateSchedule"],
            desired.iter().flat_map(|one| of_scheduler(one)),
        ),
        // Whoever writes a target passes its role, and which one that is only AWS knows.
        Statement::new(
            "PassRolesToRules",
            &["iam:PassRole"],
            desired.iter().filter(|one| rules(one).next().is_some()).flat_map(|one| any_allowed_role(one)),
        )
        .when(Condition::PassedTo("events.amazonaws.com")),
        Statement::new(
            "PassRolesToSchedules",
            &["iam:PassRole"],
            desired
                .iter()
                .filter(|one| of_scheduler(one).next().is_some())
                .flat_map(|one| any_allowed_role(one)),
        )
        .when(Condition::PassedTo("scheduler.amazonaws.com")),
        Statement::new(
            "StopAndContinueInEcs",
            &["ecs:StopServiceDeployment", "ecs:ContinueServiceDeployment"],
            desired.iter().filter(|one| may_shift(one)).map(|one| service(one, "service-deployment/", "/*")),
        ),
        Statement::new(
            "MoveTags",
            &["ecr:PutImage"],
            desired.iter().filter(moves).flat_map(|one| repositories(one)),
        ),
        Statement::new("PassRolesToTasks", &["iam:PassRole"], desired.iter().flat_map(|one| roles(one)))
            .when(Condition::PassedTo("ecs-tasks.amazonaws.com")),
        Statement::new(
            "PassRolesToEcs",
            &["iam:PassRole"],
            desired.iter().flat_map(|one| roles_of_service(one)),
        )
        .when(Condition::PassedTo("ecs.amazonaws.com")),
        Statement::new("Deploy", &["codedeploy:CreateDeployment"], by_code_deploy.clone()),
        Statement::new(
            "DeployAppSpecs",
            &["codedeploy:RegisterApplicationRevision"],
            applications(desired, |_| true),
        ),
        Statement::new(
            "DeployConfigurations",
            &["codedeploy:GetDeploymentConfig"],
            settings(desired).map(|(one, _)| resource(one, "codedeploy", "deploymentconfig:", "*", "")),
        ),
        Statement::new(
            "StopAndContinue",
            &["codedeploy:StopDeployment", "codedeploy:ContinueDeployment"],
            any(&by_code_deploy),
        ),
        Statement::new(
            "CreateApplications",
            &["codedeploy:CreateApplication"],
            applications(desired, |settings| settings.create.is_some()),
        ),
        Statement::new(
            "CreateGroups",
            &["codedeploy:CreateDeploymentGroup"],
            groups(desired, |settings| settings.create.is_some()),
        ),
        Statement::new(
            "PassRolesToCodeDeploy",
            &["iam:PassRole"],
            new_groups(desired).map(|(one, group)| role(one, &group.service_role)),
        )
        .when(Condition::PassedTo("codedeploy.amazonaws.com")),
    ]
}

/// Whether ECS itself may shift traffic here.
fn may_shift_traffic(desired: &Desired) -> bool {
    desired.service().is_some() && matches!(desired.strategy, Strategy::Native(_) | Strategy::Unspecified)
}

fn services<'a>(desired: &[&'a Desired]) -> impl Iterator<Item = &'a Desired> {
    desired.iter().copied().filter(|one| one.service().is_some())
}

fn tasks<'a>(desired: &[&'a Desired]) -> impl Iterator<Item = &'a Desired> {
    desired.iter().copied().filter(|one| one.task().is_some())
}

/// The rules that start its tasks. A rule of the default event bus is named without the bus.
fn rules(desired: &Desired) -> impl Iterator<Item = Resource> {
    schedules(desired).filter_map(|name| match name {
        ScheduleName::Rule(name) => Some(resource(desired, "events", "rule/", name, "")),
        ScheduleName::Schedule { .. } => None,
    })
}

fn of_scheduler(desired: &Desired) -> impl Iterator<Item = Resource> {
    schedules(desired).filter_map(|name| match name {
        ScheduleName::Rule(_) => None,
        ScheduleName::Schedule { group, name } => {
            Some(resource(desired, "scheduler", "schedule/", &format!("{group}/{name}"), ""))
        }
    })
}

fn schedules(desired: &Desired) -> impl Iterator<Item = &ScheduleName> {
    desired.scheduled_task().into_iter().flat_map(|task| &task.schedules)
}

fn clusters<'a>(desired: impl Iterator<Item = &'a Desired>) -> BTreeSet<Resource> {
    desired.map(|one| resource(one, "ecs", "cluster/", one.cluster.as_str(), "")).collect()
}

/// Services that lend their network to a task.
fn models(desired: &[&Desired]) -> impl Iterator<Item = Resource> {
    tasks(desired).filter_map(|one| match &one.task()?.network {
        RunNetwork::Like(name) => {
            Some(resource(one, "ecs", "service/", &format!("{}/{name}", one.cluster), ""))
        }
        RunNetwork::Unspecified | RunNetwork::Declared(_) => None,
    })
}

/// Whether `UpdateService` is called of this service: for a rolling deployment, or for its own settings.
fn updates(desired: &Desired) -> bool {
    !matches!(desired.strategy, Strategy::CodeDeploy(_)) || desired.service_settings.is_some()
}

/// Whether ECS itself may shift the traffic of this service: where nothing else is declared.
fn may_shift(desired: &Desired) -> bool {
    desired.service().is_some() && matches!(desired.strategy, Strategy::Unspecified)
}

/// Where CodeDeploy may deploy: where it is declared, and with the default names where no strategy is.
fn settings<'a>(desired: &[&'a Desired]) -> impl Iterator<Item = (&'a Desired, Option<&'a CodeDeploy>)> {
    desired.iter().filter(|one| one.service().is_some()).filter_map(|one| match &one.strategy {
        Strategy::CodeDeploy(settings) => Some((*one, Some(settings.as_ref()))),
        Strategy::Unspecified => Some((*one, None)),
        Strategy::Rolling | Strategy::Native(_) => None,
    })
}

fn new_groups<'a>(desired: &[&'a Desired]) -> impl Iterator<Item = (&'a Desired, &'a NewGroup)> {
    settings(desired).filter_map(|(one, settings)| Some((one, settings?.create.as_ref()?)))
}

fn groups(desired: &[&Desired], wanted: fn(&CodeDeploy) -> bool) -> BTreeSet<Resource> {
    let names = names(desired, wanted);
    names
        .map(|(one, application, group)| {
            resource(one, "codedeploy", "deploymentgroup:", &format!("{application}/{group}"), "")
        })
        .collect()
}

fn applications(desired: &[&Desired], wanted: fn(&CodeDeploy) -> bool) -> BTreeSet<Resource> {
    let names = names(desired, wanted);
    names.map(|(one, application, _)| resource(one, "codedeploy", "application:", &application, "")).collect()
}

/// The applications and groups of CodeDeploy.
fn names<'a>(
    desired: &[&'a Desired],
    wanted: fn(&CodeDeploy) -> bool,
) -> impl Iterator<Item = (&'a Desired, String, String)> {
    settings(desired).filter_map(move |(one, settings)| {
        let default = CodeDeploy::default();
        let settings = settings.unwrap_or(&default);
        let (application, group) = code_deploy::names(settings, one);
        wanted(settings).then_some((one, application, group))
    })
}

/// Where AWS knows no narrower resource: everything, if there is anything.
fn any<'a, T: 'a>(things: impl IntoIterator<Item = &'a T>) -> Option<Resource> {
    let everything = || Resource { kind: String::new(), name: "*".to_owned(), rest: "" };
    things.into_iter().next().map(|_| everything())
}

fn of_service(desired: &Desired) -> [Resource; 3] {
    [("service/", ""), ("service-deployment/", "/*"), ("service-revision/", "/*")]
        .map(|(kind, rest)| service(desired, kind, rest))
}

fn service(desired: &Desired, kind: &str, rest: &'static str) -> Resource {
    resource(desired, "ecs", kind, &format!("{}/{}", desired.cluster, desired.name_in_cluster()), rest)
}

/// All revisions of the family, where it is known before AWS was asked.
fn task_definitions(desired: &Desired) -> Resource {
    resource(desired, "ecs", "task-definition/", family(desired).unwrap_or("*"), ":*")
}

fn family(desired: &Desired) -> Option<&str> {
    match &desired.task_definition {
        TaskDefinitionSource::File { input, .. } => input.get("family").and_then(Value::as_str),
        TaskDefinitionSource::Family(family) => Some(family.as_str()),
        TaskDefinitionSource::Service => None,
    }
}

/// The roles that the task definition names. Where another hand's revision is the base they are not known here: all that
/// the operator allows, or all of the account.
fn roles(desired: &Desired) -> Vec<Resource> {
    match &desired.task_definition {
        TaskDefinitionSource::File { input, .. } => {
            roles::of_task_definition(input).map(|named| role(desired, named)).collect()
        }
        _ => any_allowed_role(desired),
    }
}

fn any_allowed_role(desired: &Desired) -> Vec<Resource> {
    match &desired.allowed_roles {
        Some(allowed) => allowed.iter().map(|pattern| role(desired, pattern.as_str())).collect(),
        None => vec![role(desired, "*")],
    }
}

fn passes_any_role(desired: &Desired) -> bool {
    let is_file = matches!(desired.task_definition, TaskDefinitionSource::File { .. });
    let is_bound = |all: &Vec<RolePattern>| !all.iter().any(RolePattern::is_any);
    (!is_file || desired.scheduled_task().is_some()) && !desired.allowed_roles.as_ref().is_some_and(is_bound)
}

/// The streams of the log groups that the task definition names. Where another hand's revision is the base all of the region are
/// among them: beside those only a patch names others.
fn logs(desired: &Desired) -> Vec<Resource> {
    let of = |region: Option<&str>, group: &str| {
        let region = region.or(desired.region.as_ref().map(Region::as_str)).unwrap_or("*");
        let account = desired.account.as_ref().map_or("*", |account| account.as_str());
        let kind = format!("arn:{}:logs:{region}:{account}:log-group:", partition(desired));
        Resource { kind, name: group.to_owned(), rest: ":log-stream:*" }
    };
    if let TaskDefinitionSource::File { input, .. } = &desired.task_definition {
        return logs::named(input).map(|group| of(group.region, group.name)).collect();
    }
    let mut all = vec![of(None, "*")];
    let patched = desired.overlay.patch.iter().flat_map(logs::named);
    let elsewhere = patched.filter(|group| {
        group.region.is_some_and(|region| desired.region.as_ref().is_some_and(|own| own.as_str() != region))
    });
    all.extend(elsewhere.map(|group| of(group.region, group.name)));
    all
}

/// The roles that the service's settings and its strategy give to ECS itself.
fn roles_of_service(desired: &Desired) -> Vec<Resource> {
    let mut named = desired.service_settings.as_ref().map(roles::of_settings).unwrap_or_default();
    if let Strategy::Native(native) = &desired.strategy {
        named.extend(roles::of_native(native));
    }
    named.into_iter().map(|named| role(desired, named)).collect()
}

/// A role by its ARN. A task definition may give its name alone (Amazon ECS API reference, `TaskDefinition`).
fn role(desired: &Desired, named: &str) -> Resource {
    if let Some((kind, name)) = named.split_once(":role/") {
        return Resource { kind: format!("{kind}:role/"), name: name.to_owned(), rest: "" };
    }
    let account = desired.account.as_ref().map_or("*", |account| account.as_str());
    let kind = format!("arn:{}:iam::{account}:role/", partition(desired));
    Resource { kind, name: named.to_owned(), rest: "" }
}

fn repositories(desired: &Desired) -> impl Iterator<Item = Resource> {
    let account = desired.registry.account.as_ref().or(desired.account.as_ref());
    let region = desired.registry.region.as_ref().or(desired.region.as_ref());
    let account = account.map_or("*", |account| account.as_str());
    let region = region.map_or("*", |region| region.as_str());
    let kind = format!("arn:{}:ecr:{region}:{account}:repository/", partition(desired));
    let names = desired.images.iter().map(|image| image.repository.to_string());
    names.map(move |name| Resource { kind: kind.clone(), name, rest: "" })
}

fn resource(desired: &Desired, service: &str, kind: &str, name: &str, rest: &'static str) -> Resource {
    let account = desired.account.as_ref().map_or("*", |account| account.as_str());
    let region = desired.region.as_ref().map_or("*", |region| region.as_str());
    let kind = format!("arn:{}:{service}:{region}:{account}:{kind}", partition(desired));
    Resource { kind, name: name.to_owned(), rest }
}

/// The first part of ARNs, by the region; any where no region is declared.
fn partition(desired: &Desired) -> &'static str {
    desired.region.as_ref().map_or("*", Region::partition)
}

#[cfg(test)]
mod tests;
