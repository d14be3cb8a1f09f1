//! Documents to desired states: every environment is expanded into its applications.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use super::fields::{Fields, entries, items, kind, text, texts, unknown_keys};
use super::nearest::suggestion;
use super::read::{Document, Documents};
use super::report::{Report, Source};
use super::tree::{self, Key, Kind, Node, Place};
use super::{CheckShape, Files, app_spec, image_definitions, task_definition};
use crate::model::{
    AccountId, AppSpec, ApplicationName, ClusterName, CodeDeploy, Commit, Containers, Declaration, Declared,
    Desired, DesiredImage, Digest, EnvironmentName, Finding, ImageReference, InFlight, Mode, MoveTag,
    NewGroup, OnDrift, OnFailure, Pin, Policy, Region, Registry, RepositoryName, Rollout, ServiceName,
    Severity, Strategy, Tag, Target, TaskDefinitionSource,
};
use crate::plan::service_settings;

/// Keys of an application's `spec`, each of which an environment may override as a whole.
const SPEC_KEYS: [&str; 18] = [
    "repository",
    "commitTag",
    "source",
    "service",
    "cluster",
    "taskDefinition",
    "containers",
    "images",
    "imageDefinitions",
    "strategy",
    "serviceSettings",
    "values",
    "taskDefinitionPatch",
    "policy",
    "after",
    "requires",
    "environmentTag",
    "registry",
];
/// Keys that only the entry in an environment has.
const ENTRY_KEYS: [&str; 2] = ["commit", "commits"];
/// Minutes that CodeDeploy waits at most before it shifts traffic or ends old tasks (user guide, quotas).
const LONGEST_WAIT: u64 = 2800;
const IMAGE_PLACEHOLDER: &str = "<IMAGE_NAME>";

pub(super) fn declaration(
    files: &Files,
    documents: Documents<'_>,
    check_shape: CheckShape<'_>,
) -> Declaration {
    let mut declaration = Declaration { infra_commit: None, applications: Vec::new(), findings: Vec::new() };
    for document in &documents.applications {
        check_keys(document, &mut declaration.findings);
    }
    for environment in &documents.environments {
        expand(files, environment, &documents, check_shape, &mut declaration);
    }
    declaration.findings.extend(documents.findings);
    declaration.applications.sort_by(|one, two| one.target().cmp(two.target()));
    declaration
}

fn check_keys(document: &Document<'_>, findings: &mut Vec<Finding>) {
    let Some(Kind::Map(entries)) = document.spec.as_ref().map(|spec| &spec.kind) else { return };
    let mut report = document.source.report();
    unknown_keys(entries, &SPEC_KEYS, "spec", &mut report);
    findings.append(&mut report.findings);
}

fn expand(
    files: &Files,
    document: &Document<'_>,
    documents: &Documents<'_>,
    check_shape: CheckShape<'_>,
    declaration: &mut Declaration,
) {
    let Some(spec) = &document.spec else { return };
    let mut report = document.source.report();
    let mut fields = Fields::of(spec, "spec", &mut report);
    let common = common(document, &mut fields);
    let applications = fields.node("applications");
    let entries = applications.and_then(|node| entries(node, "spec.applications", fields.report));
    fields.finish();
    let environment = Environment { document, common, broken: report.has_errors() || document.broken };
    declaration.findings.append(&mut report.findings);
    for (key, node) in entries.unwrap_or_default() {
        let (declared, mut findings) = entry(files, &environment, (key, node), documents, check_shape);
        for finding in &mut findings {
            finding.targets.push(declared.target().clone());
        }
        declaration.findings.append(&mut findings);
        declaration.applications.push(declared);
    }
}

/// An environment's document, and whether something in it is wrong.
struct Environment<'d, 'f> {
    document: &'d Document<'f>,
    common: Common,
    broken: bool,
}

/// One application in one environment.
fn entry(
    files: &Files,
    environment: &Environment<'_, '_>,
    (key, node): (&Key, &Node),
    documents: &Documents<'_>,
    check_shape: CheckShape<'_>,
) -> (Declared, Vec<Finding>) {
    let target =
        Target { environment: environment.common.name.clone(), application: ApplicationName::new(&key.text) };
    let path = format!("spec.applications.{}", key.text);
    let Some(application) = documents.applications.iter().find(|application| application.name == key.text)
    else {
        let names: Vec<&str> =
            documents.applications.iter().map(|application| application.name.as_str()).collect();
        let mut report = environment.document.source.report();
        report.error(key, &path, format!("no application is named `{}`", key.text)).hint =
            suggestion(&key.text, &names);
        return (Declared::Frozen(target), report.findings);
    };
    let Some(spec) = &application.spec else { return (Declared::Frozen(target), Vec::new()) };
    let merged =
        Merged { base: (spec, application.source), entry: (node, environment.document.source), path };
    let mut resolver = Resolver {
        files,
        merged,
        common: &environment.common,
        target: target.clone(),
        findings: Vec::new(),
        check_shape,
    };
    let resolved = resolver.desired(key);
    let is_error = |finding: &Finding| finding.severity == Severity::Error;
    let broken = environment.broken
        || application.broken
        || has_unknown_keys(spec)
        || resolver.findings.iter().any(is_error);
    let declared = match resolved {
        Some(desired) if !broken => Declared::Readable(Box::new(desired)),
        _ => Declared::Frozen(target),
    };
    (declared, resolver.findings)
}

fn has_unknown_keys(spec: &Node) -> bool {
    match &spec.kind {
        Kind::Map(entries) => entries.iter().any(|(key, _)| !SPEC_KEYS.contains(&key.text.as_str())),
        _ => true,
    }
}

/// What an environment says of itself, before its applications.
struct Common {
    name: EnvironmentName,
    account: Option<AccountId>,
    region: Option<Region>,
    cluster: Option<String>,
    tag: Tag,
    registry: Registry,
    policy: Policy,
    mode: Mode,
    rollout: Rollout,
}

fn common(document: &Document<'_>, fields: &mut Fields<'_, '_, '_>) -> Common {
    let mode = fields.word("mode", &[("apply", Mode::Apply), ("observe", Mode::Observe)]);
    let suspended = fields.node("suspend").and_then(|node| suspension(node, fields.report));
    let policy = fields.node("policy");
    let policy = policy.map(|node| policy_over(&Policy::default(), node, "spec.policy", fields.report));
    let registry = fields.node("registry").map(|node| registry(node, "spec.registry", fields.report));
    let rollout = fields.node("rollout").map(|node| rollout(node, fields.report));
    Common {
        name: EnvironmentName::new(&document.name),
        account: account(fields),
        region: fields.text("region").map(Region::new),
        cluster: fields.text("cluster"),
        tag: Tag::new(fields.text("environmentTag").unwrap_or_else(|| document.name.clone())),
        registry: registry.unwrap_or_default(),
        policy: policy.unwrap_or_default(),
        mode: suspended.or(mode).unwrap_or(Mode::Apply),
        rollout: rollout.unwrap_or_default(),
    }
}

fn account(fields: &mut Fields<'_, '_, '_>) -> Option<AccountId> {
    let (path, node) = (fields.path("account"), fields.node("account")?);
    let account = text(node, &path, fields.report)?;
    if account.len() != 12 || !account.bytes().all(|byte| byte.is_ascii_digit()) {
        fields.report.error(node, &path, format!("`{account}` is no AWS account")).hint =
            Some("twelve digits".to_owned());
    }
    Some(AccountId::new(account))
}

fn registry(node: &Node, path: &str, report: &mut Report<'_>) -> Registry {
    let mut fields = Fields::of(node, path, report);
    let registry = Registry { account: account(&mut fields), region: fields.text("region").map(Region::new) };
    fields.finish();
    registry
}

fn suspension(node: &Node, report: &mut Report<'_>) -> Option<Mode> {
    let mut fields = Fields::of(node, "spec.suspend", report);
    let reason = fields.required("reason");
    let until = fields.node("until").and_then(|node| second(node, "spec.suspend.until", fields.report));
    fields.finish();
    Some(Mode::Suspended { until, reason: reason? })
}

/// A point in time, as seconds since 1970.
fn second(node: &Node, path: &str, report: &mut Report<'_>) -> Option<i64> {
    let written = text(node, path, report)?;
    let parsed = written.parse::<jiff::Timestamp>();
    if parsed.is_err() {
        report.error(node, path, format!("`{written}` is no point in time")).hint =
            Some("such as 2027-01-31T08:00:00Z".to_owned());
    }
    parsed.ok().map(jiff::Timestamp::as_second)
}

fn rollout(node: &Node, report: &mut Report<'_>) -> Rollout {
    let mut fields = Fields::of(node, "spec.rollout", report);
    let default = Rollout::default();
    let rollout = Rollout {
        max_in_flight: fields.number("maxInFlight").unwrap_or(default.max_in_flight).max(1),
        stop_after_failures: fields.number("stopAfterFailures"),
    };
    fields.finish();
    rollout
}

/// Key by key over `base`.
fn policy_over(base: &Policy, node: &Node, path: &str, report: &mut Report<'_>) -> Policy {
    let drift = [("alert", OnDrift::Alert), ("heal", OnDrift::Heal), ("ignore", OnDrift::Ignore)];
    let on_failure = [("rollback", OnFailure::Rollback), ("leave", OnFailure::Leave)];
    let in_flight = [("replace", InFlight::Replace), ("finish", InFlight::Finish)];
    let pin = [("digest", Pin::Digest), ("commitTag", Pin::CommitTag)];
    let move_tag = [("afterSuccess", MoveTag::AfterSuccess), ("never", MoveTag::Never)];
    let mut fields = Fields::of(node, path, report);
    let policy = Policy {
        drift: fields.word("drift", &drift).unwrap_or(base.drift),
        on_failure: fields.word("onFailure", &on_failure).unwrap_or(base.on_failure),
        progress_deadline: duration(&mut fields, "progressDeadline").unwrap_or(base.progress_deadline),
        in_flight: fields.word("inFlight", &in_flight).unwrap_or(base.in_flight),
        pin: fields.word("pin", &pin).unwrap_or(base.pin),
        move_tag: fields.word("moveTag", &move_tag).unwrap_or(base.move_tag),
    };
    fields.finish();
    policy
}

fn duration(fields: &mut Fields<'_, '_, '_>, key: &'static str) -> Option<Duration> {
    let (path, node) = (fields.path(key), fields.node(key)?);
    let written = text(node, &path, fields.report)?;
    let split = written.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(written.len());
    let (number, unit) = written.split_at(split);
    let seconds = match unit {
        "s" => Some(1),
        "m" => Some(60),
        "h" => Some(3600),
        _ => None,
    };
    let parsed = number.parse::<u64>().ok().zip(seconds).and_then(|(number, unit)| number.checked_mul(unit));
    if parsed.is_none() {
        fields.report.error(node, &path, format!("`{written}` is no duration")).hint =
            Some("a number with s, m or h, such as 15m".to_owned());
    }
    parsed.map(Duration::from_secs)
}

/// How a CodeDeploy group is made where there is none.
fn new_group(node: &Node, path: &str, environment: &str, report: &mut Report<'_>) -> Option<NewGroup> {
    let path = format!("{path}.create");
    let expand = |text: String| text.replace("{environment}", environment);
    let minutes = |time: Duration| time.as_secs().div_ceil(60);
    let mut fields = Fields::of(node, &path, report);
    let service_role = fields.required("serviceRole").map(expand);
    let groups = fields.texts("targetGroups").unwrap_or_default();
    let production = fields.required("productionListener").map(expand);
    let test_listener = fields.text("testListener").map(expand);
    let ready_wait = duration(&mut fields, "readyWait").map(minutes);
    let termination_wait = duration(&mut fields, "terminationWait").map_or(5, minutes);
    let alarms = fields.texts("alarms").unwrap_or_default();
    fields.finish();
    let pair: Result<[String; 2], _> = groups.into_iter().map(expand).collect::<Vec<_>>().try_into();
    if pair.is_err() {
        report.error(node, &format!("{path}.targetGroups"), "expected the names of two target groups");
    }
    if ready_wait.is_some_and(|minutes| minutes > LONGEST_WAIT) || termination_wait > LONGEST_WAIT {
        report.error(node, &path, format!("a wait is {LONGEST_WAIT} minutes at most"));
    }
    Some(NewGroup {
        service_role: service_role?,
        target_groups: pair.ok()?,
        production_listener: production?,
        test_listener,
        ready_wait,
        termination_wait,
        alarms: alarms.into_iter().map(expand).collect(),
    })
}

/// Where a task definition that is no file starts from.
#[derive(Clone, Copy)]
enum Base {
    Service,
    Family,
}

/// The application's `spec` under the entry of an environment, whose keys replace whole keys.
struct Merged<'n, 'f> {
    base: (&'n Node, Source<'f>),
    entry: (&'n Node, Source<'f>),
    path: String,
}

impl<'n, 'f> Merged<'n, 'f> {
    fn get(&self, key: &str) -> Option<(&'n Node, Source<'f>, String)> {
        match self.entry.0.get(key) {
            Some(node) => Some((node, self.entry.1, format!("{}.{key}", self.path))),
            None => self.base.0.get(key).map(|node| (node, self.base.1, format!("spec.{key}"))),
        }
    }
}

/// A text and where it stands.
type Written = (String, Place);

struct Resolver<'n, 'f> {
    files: &'f Files,
    merged: Merged<'n, 'f>,
    common: &'n Common,
    target: Target,
    findings: Vec<Finding>,
    check_shape: CheckShape<'n>,
}

impl<'f> Resolver<'_, 'f> {
    fn desired(&mut self, key: &Key) -> Option<Desired> {
        self.check_entry_keys();
        let images = self.images()?;
        let service = self.template("service").or_else(|| {
            self.missing("service");
            None
        })?;
        let cluster = self
            .template("cluster")
            .or_else(|| self.common.cluster.clone())
            .unwrap_or_else(|| "default".to_owned());
        let strategy = self.strategy();
        let task_definition = self.task_definition(&images)?;
        let policy =
            self.with("policy", |node, path, report, common| policy_over(&common.policy, node, path, report));
        let registry = self.with("registry", |node, path, report, _| registry(node, path, report));
        let after: Vec<String> =
            ["after", "requires"].iter().flat_map(|key| self.texts(key).unwrap_or_default()).collect();
        let service_settings = self.service_settings(matches!(strategy, Strategy::CodeDeploy(_)));
        Some(Desired {
            target: self.target.clone(),
            declared_at: self.merged.entry.1.position(key),
            account: self.common.account.clone(),
            region: self.common.region.clone(),
            cluster: ClusterName::new(cluster),
            service: ServiceName::new(service),
            registry: registry.unwrap_or_else(|| self.common.registry.clone()),
            environment_tag: self.text("environmentTag").map_or_else(|| self.common.tag.clone(), Tag::new),
            images,
            task_definition,
            service_settings,
            strategy,
            policy: policy.unwrap_or_else(|| self.common.policy.clone()),
            mode: self.common.mode.clone(),
            rollout: self.common.rollout,
            after: after.into_iter().map(ApplicationName::new).collect(),
            source: self.text("source"),
        })
    }

    fn error(
        &mut self,
        source: Source<'f>,
        place: impl Into<Place>,
        path: &str,
        message: impl Into<String>,
    ) -> &mut Finding {
        self.findings.push_mut(source.finding(Severity::Error, place, path, message))
    }

    fn with<T>(
        &mut self,
        key: &str,
        read: impl FnOnce(&Node, &str, &mut Report<'_>, &Common) -> T,
    ) -> Option<T> {
        let (node, source, path) = self.merged.get(key)?;
        let mut report = source.report();
        let value = read(node, &path, &mut report, self.common);
        self.findings.append(&mut report.findings);
        Some(value)
    }

    fn text(&mut self, key: &str) -> Option<String> {
        self.with(key, |node, path, report, _| text(node, path, report)).flatten()
    }

    /// A text in which `{environment}` stands for the name of the environment.
    fn template(&mut self, key: &str) -> Option<String> {
        let name = self.target.environment.to_string();
        self.text(key).map(|text| text.replace("{environment}", &name))
    }

    fn texts(&mut self, key: &str) -> Option<Vec<String>> {
        self.with(key, |node, path, report, _| texts(node, path, report).unwrap_or_default())
    }

    fn missing(&mut self, key: &str) {
        let (node, source) = self.merged.base;
        self.error(source, node, &format!("spec.{key}"), format!("`{key}` is missing"));
    }

    fn check_entry_keys(&mut self) {
        let (node, source) = self.merged.entry;
        let Kind::Map(entries) = &node.kind else {
            let message = format!("expected a map with a commit, found {}", kind(node));
            let path = self.merged.path.clone();
            self.error(source, node, &path, message).hint = Some("such as { commit: 3f2c1ab }".to_owned());
            return;
        };
        let known: Vec<&str> = ENTRY_KEYS.iter().chain(&SPEC_KEYS).copied().collect();
        let mut report = source.report();
        unknown_keys(entries, &known, &self.merged.path, &mut report);
        self.findings.append(&mut report.findings);
    }

    /// Members of `UpdateService`, by their AWS names; what they hold is AWS's to check.
    fn service_settings(&mut self, by_code_deploy: bool) -> Option<Value> {
        self.with("serviceSettings", |node, path, report, _| {
            let entries = entries(node, path, report)?;
            unknown_keys(entries, &service_settings::KEYS, path, report);
            let of_the_deployment = |key: &str| service_settings::OF_THE_DEPLOYMENT.contains(&key);
            for (key, _) in entries.iter().filter(|(key, _)| by_code_deploy && of_the_deployment(&key.text)) {
                let message =
                    format!("`{}` of a service that CodeDeploy deploys cannot be set here", key.text);
                report.error(key, &format!("{path}.{}", key.text), message).hint =
                    Some("network, platform version and capacity providers go into the AppSpec".to_owned());
            }
            Some(node.to_json())
        })
        .flatten()
    }

    fn strategy(&mut self) -> Strategy {
        let Some((node, source, path)) = self.merged.get("strategy") else { return Strategy::Unspecified };
        let inner = match &node.kind {
            Kind::Scalar { text, .. } => Some((text.as_str(), node.place, None)),
            Kind::Map(entries) if entries.len() == 1 => {
                entries.first().map(|(key, inner)| (key.text.as_str(), key.place, Some(inner)))
            }
            _ => None,
        };
        let known = ["rolling", "codeDeploy", "blueGreen", "canary", "linear", "task"];
        match inner {
            Some(("rolling", ..)) => Strategy::Rolling,
            Some(("codeDeploy", _, inner)) => {
                Strategy::CodeDeploy(Box::new(self.code_deploy(inner, source, &format!("{path}.codeDeploy"))))
            }
            Some((other, place, _)) if known.contains(&other) => {
                self.error(source, place, &path, format!("strategy `{other}` is not supported yet"));
                Strategy::Unspecified
            }
            other => {
                let message = format!("expected one of {}", known.join(", "));
                self.error(source, node, &path, message).hint =
                    other.and_then(|(word, ..)| suggestion(word, &known));
                Strategy::Unspecified
            }
        }
    }

    /// `codeDeploy: {}` and the word alone are enough where the default names exist.
    fn code_deploy(&mut self, node: Option<&Node>, source: Source<'f>, path: &str) -> CodeDeploy {
        let Some(node) = node.filter(|node| !node.is_null()) else { return CodeDeploy::default() };
        let environment = self.target.environment.to_string();
        let expand = |text: Option<String>| text.map(|text| text.replace("{environment}", &environment));
        let mut report = source.report();
        let mut fields = Fields::of(node, path, &mut report);
        let mut settings = CodeDeploy {
            application: expand(fields.text("application")),
            group: expand(fields.text("deploymentGroup")),
            app_spec: None,
            configuration: expand(fields.text("deploymentConfig")),
            create: fields.node("create").and_then(|node| new_group(node, path, &environment, fields.report)),
        };
        let file = fields.node("appSpec");
        let path = fields.path("appSpec");
        let name = file.and_then(|node| text(node, &path, fields.report));
        fields.finish();
        self.findings.append(&mut report.findings);
        if let (Some(name), Some(node)) = (name, file) {
            settings.app_spec = self.app_spec(&name, source, node, &path);
        }
        settings
    }

    fn app_spec(&mut self, name: &str, source: Source<'f>, node: &Node, path: &str) -> Option<AppSpec> {
        let (file, root) = self.named_file(name, source, node, path)?;
        let mut report = file.report();
        app_spec::check(&root, &mut report);
        self.findings.append(&mut report.findings);
        let mut content = root.to_json();
        let mut values = self.values();
        values.insert("ENVIRONMENT".to_owned(), self.target.environment.to_string());
        task_definition::fill_in(&mut content, &values);
        Some(AppSpec { path: file.file.to_owned(), content })
    }

    fn images(&mut self) -> Option<Vec<DesiredImage>> {
        let commit = self.commit("commit");
        let commits = self.commits();
        let template = self.text("commitTag").unwrap_or_else(|| "{commit}".to_owned());
        let mut images = Vec::new();
        if let Some((node, source, path)) = self.merged.get("imageDefinitions") {
            let name = self.text("imageDefinitions")?;
            images =
                self.defined_images(&name, (source, node, &path), commit.as_ref(), &commits, &template)?;
        } else if let Some((node, source, path)) = self.merged.get("images") {
            let mut report = source.report();
            let items = items(node, &path, &mut report);
            self.findings.append(&mut report.findings);
            for (index, item) in items?.iter().enumerate() {
                let mut report = source.report();
                let mut fields = Fields::of(item, &format!("{path}[{index}]"), &mut report);
                let name = fields.required("name");
                let repository = fields.required("repository");
                let container = fields.text("container");
                let containers = fields.texts("containers");
                let template = fields.text("commitTag").unwrap_or_else(|| template.clone());
                fields.finish();
                self.findings.append(&mut report.findings);
                let (name, repository) = (name?, repository?);
                let own = commits.iter().find(|(known, _)| *known == name).map(|(_, commit)| commit.clone());
                let named = containers.or_else(|| container.map(|container| vec![container]));
                let placeholder =
                    Containers::Placeholder(format!("<{}_NAME>", name.to_uppercase().replace('-', "_")));
                let containers = named.map_or(placeholder, Containers::Named);
                images.push(self.image(
                    name,
                    &repository,
                    own.or_else(|| commit.clone()),
                    &template,
                    containers,
                )?);
            }
        } else {
            let repository = self.text("repository").or_else(|| {
                self.missing("repository");
                None
            })?;
            let containers = self
                .texts("containers")
                .map_or_else(|| Containers::Placeholder(IMAGE_PLACEHOLDER.to_owned()), Containers::Named);
            images.push(self.image(
                self.target.application.to_string(),
                &repository,
                commit,
                &template,
                containers,
            )?);
        }
        (!images.is_empty()).then_some(images)
    }

    /// The images of an `imagedefinitions.json`. A declared commit goes before what the file says, which must then be
    /// the same image; without one the commit tags in the file are the declaration.
    fn defined_images(
        &mut self,
        name: &str,
        (source, node, path): (Source<'f>, &Node, &str),
        commit: Option<&Written>,
        commits: &[(String, Written)],
        template: &str,
    ) -> Option<Vec<DesiredImage>> {
        let (defined, root) = self.named_file(name, source, node, path)?;
        let entries = image_definitions::entries(&root);
        let entries = match entries {
            Ok(entries) => entries,
            Err((place, message)) => {
                self.error(defined, place, "", message);
                return None;
            }
        };
        let registry = self.with("registry", |node, path, report, _| registry(node, path, report));
        let registry = registry.unwrap_or_else(|| self.common.registry.clone());
        let environment_tag = self.text("environmentTag").map_or_else(|| self.common.tag.clone(), Tag::new);
        let mut images = Vec::new();
        for entry in entries {
            let account = self.common.account.as_ref().map(AccountId::as_str);
            let region = self.common.region.as_ref().map(Region::as_str);
            if let Some(why) = entry.image.disagreement(&registry, account, region) {
                self.error(defined, entry.place, "imageUri", why).hint =
                    Some("declare it under `registry`".to_owned());
                return None;
            }
            let own = commits.iter().find(|(known, _)| *known == entry.container).map(|(_, commit)| commit);
            let tag = entry.image.tag.as_deref();
            let stated = tag.and_then(|tag| image_definitions::commit_in(template, tag));
            let declared =
                own.or(commit).cloned().or_else(|| stated.map(|commit| (commit.to_owned(), node.place)));
            let Some(declared) = declared else {
                let (message, hint) = self.undeclared(&entry, &environment_tag, template);
                self.error(defined, entry.place, "imageUri", message).hint = Some(hint);
                return None;
            };
            let containers = Containers::Named(vec![entry.container.clone()]);
            let mut image =
                self.image(entry.container, &entry.image.repository, Some(declared), template, containers)?;
            let other_tag = entry.image.tag.map(Tag::new);
            image.stated = match (entry.image.digest, other_tag) {
                (Some(digest), _) => Some(ImageReference::Digest(Digest::new(digest))),
                (None, Some(tag)) if tag != environment_tag && tag != image.commit_tag => {
                    Some(ImageReference::Tag(tag))
                }
                _ => None,
            };
            images.push(image);
        }
        Some(images)
    }

    /// Why an entry says nothing about the commit.
    fn undeclared(
        &self,
        entry: &image_definitions::Entry,
        environment_tag: &Tag,
        template: &str,
    ) -> (String, String) {
        let hint = format!("declare `commit` for {} in its environment", self.target);
        let message = match (&entry.image.tag, &entry.image.digest) {
            (Some(tag), _) if tag == environment_tag.as_str() => format!(
                "the tag \"{tag}\" is the environment's own: trueup moves it after a success, so it cannot say what to deploy"
            ),
            (Some(tag), _) => format!("the tag \"{tag}\" holds no commit by the template \"{template}\""),
            (None, Some(_)) => "a digest alone names no commit".to_owned(),
            (None, None) => "the image has neither tag nor digest".to_owned(),
        };
        (message, hint)
    }

    fn commit(&mut self, key: &str) -> Option<Written> {
        let (node, source) = self.merged.entry;
        let node = node.get(key)?;
        let mut report = source.report();
        let commit = text(node, &format!("{}.{key}", self.merged.path), &mut report);
        self.findings.append(&mut report.findings);
        commit.map(|commit| (commit, node.place))
    }

    fn commits(&mut self) -> Vec<(String, Written)> {
        let (node, source) = self.merged.entry;
        let Some(Kind::Map(entries)) = node.get("commits").map(|node| &node.kind) else { return Vec::new() };
        let mut report = source.report();
        let path = format!("{}.commits", self.merged.path);
        let commits = entries
            .iter()
            .filter_map(|(key, node)| Some((key.text.clone(), (text(node, &path, &mut report)?, node.place))))
            .collect();
        self.findings.append(&mut report.findings);
        commits
    }

    fn image(
        &mut self,
        name: String,
        repository: &str,
        commit: Option<Written>,
        template: &str,
        containers: Containers,
    ) -> Option<DesiredImage> {
        let (entry, source) = self.merged.entry;
        let path = format!("{}.commit", self.merged.path);
        let Some((commit, place)) = commit else {
            self.error(source, entry, &path, "`commit` is missing").hint =
                Some("such as commit: 3f2c1ab".to_owned());
            return None;
        };
        match commit_tag(template, &commit) {
            Ok(tag) => Some(DesiredImage {
                name,
                repository: RepositoryName::new(
                    repository.replace("{environment}", self.target.environment.as_str()),
                ),
                commit: Commit::new(commit),
                commit_tag: Tag::new(tag),
                containers,
                stated: None,
            }),
            Err(why) => {
                self.error(source, place, &path, why).hint = Some("7 to 40 hexadecimal digits".to_owned());
                None
            }
        }
    }

    fn task_definition(&mut self, images: &[DesiredImage]) -> Option<TaskDefinitionSource> {
        let Some((node, source, path)) = self.merged.get("taskDefinition") else {
            return Some(TaskDefinitionSource::Service);
        };
        if let Kind::Scalar { .. } = node.kind {
            let name = self.text("taskDefinition")?;
            return self.task_definition_file(&name, source, node, &path, images);
        }
        let mut report = source.report();
        let mut fields = Fields::of(node, &path, &mut report);
        let from = fields.word("from", &[("service", Base::Service), ("family", Base::Family)]);
        let family = fields.text("family");
        fields.finish();
        self.findings.append(&mut report.findings);
        match (from?, family) {
            (Base::Service, _) => Some(TaskDefinitionSource::Service),
            (Base::Family, Some(family)) => Some(TaskDefinitionSource::Family(
                family.replace("{environment}", self.target.environment.as_str()),
            )),
            (Base::Family, None) => {
                self.error(source, node, &format!("{path}.family"), "`family` is missing");
                None
            }
        }
    }

    fn task_definition_file(
        &mut self,
        name: &str,
        source: Source<'f>,
        node: &Node,
        path: &str,
        images: &[DesiredImage],
    ) -> Option<TaskDefinitionSource> {
        let (file, root) = self.named_file(name, source, node, path)?;
        let mut input = task_definition::registration_input(root.to_json());
        let mut values = self.values();
        values.insert("ENVIRONMENT".to_owned(), self.target.environment.to_string());
        task_definition::fill_in(&mut input, &values);
        if let Some(patch) = self.patch() {
            task_definition::merge_patch(&mut input, &patch);
        }
        self.check_file(file, &root, &input, images);
        Some(TaskDefinitionSource::File { path: file.file.to_owned(), input })
    }

    /// A file next to the document that names it, as a tree.
    fn named_file(
        &mut self,
        name: &str,
        source: Source<'f>,
        node: &Node,
        path: &str,
    ) -> Option<(Source<'f>, Node)> {
        let Some(full) = beside(source.file, name) else {
            self.error(source, node, path, format!("`{name}` leaves the repository"));
            return None;
        };
        let files: &'f Files = self.files;
        let Some((file, text)) = files.get_key_value(&full) else {
            let names: Vec<&str> = files.keys().map(String::as_str).collect();
            self.error(source, node, path, format!("there is no file `{full}`")).hint =
                suggestion(&full, &names);
            return None;
        };
        let text = match text {
            Ok(text) => text,
            Err(why) => {
                self.error(source, node, path, format!("`{full}` cannot be read: {why}"));
                return None;
            }
        };
        let file = Source { file, text };
        match tree::documents(text).map(|mut documents| documents.pop()) {
            Ok(Some(root)) => Some((file, root)),
            Ok(None) => {
                self.error(file, Place::WHOLE_FILE, "", "the file is empty");
                None
            }
            Err(broken) => {
                self.error(file, broken.place, "", broken.message).hint = broken.hint.map(str::to_owned);
                None
            }
        }
    }

    fn values(&mut self) -> BTreeMap<String, String> {
        self.with("values", |node, path, report, _| {
            let entries = entries(node, path, report).unwrap_or_default();
            entries
                .iter()
                .filter_map(|(key, node)| Some((key.text.clone(), text(node, path, report)?)))
                .collect()
        })
        .unwrap_or_default()
    }

    fn patch(&mut self) -> Option<Value> {
        let (node, source, path) = self.merged.get("taskDefinitionPatch")?;
        match &node.kind {
            Kind::Scalar { text, .. } => {
                let (_, root) = self.named_file(text, source, node, &path)?;
                Some(root.to_json())
            }
            _ => Some(node.to_json()),
        }
    }

    fn check_file(&mut self, file: Source<'f>, root: &Node, input: &Value, images: &[DesiredImage]) {
        let pasted = root.get("taskDefinition").unwrap_or(root);
        let mut report = file.report();
        for complaint in (self.check_shape)(input) {
            let node = pasted.at_path(&complaint.path);
            if complaint.wrong_type {
                report.error(node, &complaint.path, complaint.message);
            } else {
                report.warning(node, &complaint.path, complaint.message).hint =
                    Some("it is sent to AWS as written".to_owned());
            }
        }
        if input.get("family").and_then(Value::as_str).is_none() {
            report.error(root, "family", "`family` is missing");
        }
        super::check::containers(input, pasted, images, &mut report);
        super::check::placeholders(input, pasted, images, &mut report);
        super::check::plain_secrets(input, pasted, &mut report);
        self.findings.append(&mut report.findings);
    }
}

/// The tag of a commit: `{commit}` is the commit as written, `{commit:N}` its first N digits.
fn commit_tag(template: &str, commit: &str) -> Result<String, String> {
    let (prefix, rest) = template.split_once('{').ok_or("commitTag holds no {commit}")?;
    let (inside, suffix) = rest.split_once('}').ok_or("commitTag has no closing brace")?;
    let is_tag = |tag: &str| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        (1..=128).contains(&tag.len()) && tag.bytes().all(allowed) && !tag.starts_with(['.', '-'])
    };
    let cut = match inside.split_once(':') {
        None if inside == "commit" => commit.to_owned(),
        Some(("commit", digits)) => {
            let digits: usize = digits.parse().map_err(|_| format!("`{{{inside}}}` needs a number"))?;
            let cut = commit
                .get(..digits)
                .ok_or_else(|| format!("commit `{commit}` has fewer than {digits} digits"))?;
            cut.to_owned()
        }
        _ => return Err(format!("commitTag knows {{commit}} and {{commit:N}}, not {{{inside}}}")),
    };
    if !Commit::new(commit).is_hexadecimal() && inside != "commit" {
        return Err(format!("`{commit}` is no commit"));
    }
    let tag = format!("{prefix}{cut}{suffix}");
    if commit.len() < Commit::MIN_DIGITS || !is_tag(&tag) {
        return Err(format!("`{commit}` is no commit"));
    }
    Ok(tag)
}

/// The path of a file named next to another; `None` if it leaves the repository.
fn beside(file: &str, name: &str) -> Option<String> {
    let folder = file.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    if name.starts_with('/') {
        return None;
    }
    for part in name.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}
