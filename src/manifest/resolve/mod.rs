//! Documents to desired states: every environment is expanded into its applications.

mod braces;
mod containers;
mod environment;
mod files;
mod images;
mod native;
mod schedule;
mod service_settings;
mod shared;
mod strategy;
mod tags;
mod task;
mod task_definition;
mod values;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use super::leftovers::placeholders_in;
use super::names::{self, NameKind};
use super::read::{Document, Documents};
use super::{CheckShape, Files};
use crate::address;
use crate::documents::service_settings::KEYS as SETTINGS;
use crate::model::{
    AllowedRepositories, ApplicationName, ClusterName, Declaration, Declared, Desired, Finding, FirstContact,
    MoveTag, Overlay, Position, Registry, ServiceName, Severity, Suspension, SuspensionScope, Tag, Target,
    TaskDefinitionSource, Workload,
};
use crate::text::fields::{kind, text, texts, unknown_keys};
use crate::text::nearest::{Names, nearest};
use crate::text::report::{self, MOST_OF_ALL, MOST_OF_ONE, Report};
use crate::text::tree::{Key, Kind, Node, Place};
use environment::Environment;
use shared::SharedInputs;
use values::{Uses, Values};

/// Keys of an application's `spec`, each of which an environment may override as a whole.
const SPEC_KEYS: [&str; 19] = [
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
    "tags",
    "policy",
    "after",
    "requires",
    "environmentTag",
    "registry",
];
/// Applications in all environments: what a process holds of each is some kilobytes.
const MOST_APPLICATIONS: usize = 10_000;
/// Keys that only the entry in an environment has.
const ENTRY_KEYS: [&str; 4] = ["commit", "commits", "release", "suspend"];
/// Those of them that declare a build.
const COMMIT_KEYS: [&str; 3] = ["commit", "commits", "release"];
/// Keys that say which images there are, the one that counts first.
const SOURCES: [&str; 3] = ["imageDefinitions", "images", "repository"];
/// What others call a commit.
const COMMITS: [&str; 7] = ["image", "imageTag", "ref", "revision", "sha", "tag", "version"];

pub(super) fn declaration(
    files: &Files,
    mut documents: Documents<'_>,
    check_shape: CheckShape<'_>,
) -> Declaration {
    let mut findings = Vec::new();
    for document in &mut documents.applications {
        let unknown = unknown_spec_keys(document);
        document.broken |= !unknown.is_empty();
        findings.extend(unknown);
        report::cut(&mut findings, MOST_OF_ALL);
    }
    let applications = documents.applications.iter().map(|document| (document.name.as_str(), document));
    let repository = Repository {
        files,
        file_names: Names::new(files.keys().map(String::as_str)),
        applications: applications.collect(),
        application_names: Names::new(documents.applications.iter().map(|document| document.name.as_str())),
        environment_tags: documents.environments.iter().map(environment::tag_of).collect(),
        unread: &documents.unread,
        misread: &documents.misread,
        check_shape,
        shared: RefCell::default(),
    };
    let (mut applications, mut uses) = (Vec::new(), Uses::default());
    for document in &documents.environments {
        let Some(environment) = environment::read(document, &mut findings) else { continue };
        for (key, node) in environment.entries {
            if applications.len() >= MOST_APPLICATIONS {
                applications.push(one_too_many(&environment, key, &mut findings));
                continue;
            }
            let (declared, about) = entry(&repository, &environment, key, node, &mut uses);
            findings.extend(about);
            applications.push(declared);
            if findings.len() > 2 * MOST_OF_ALL {
                findings = report::said_once(findings);
                report::cut(&mut findings, MOST_OF_ALL);
            }
        }
    }
    findings.extend(uses.findings());
    findings.extend(documents.findings);
    // Those that were told of an application before become one with these.
    let unread_files = documents.unread.keys().map(|file| (*file).to_owned()).collect();
    let aside = documents.misread.into_values().chain(documents.unread.into_values());
    findings.extend(aside.flatten());
    applications.sort_by(|one, two| one.target().cmp(two.target()));
    Declaration { infra_commit: None, applications, findings, unread_files }
}

/// Only the first of them is told, so that all of them are one mistake.
fn one_too_many(environment: &Environment<'_, '_>, key: &Key, findings: &mut Vec<Finding>) -> Declared {
    let name = ApplicationName::new(&key.text);
    let target = Target { environment: environment.name.clone(), application: name };
    let message = format!("more than {MOST_APPLICATIONS} applications in all environments");
    match findings.iter_mut().find(|finding| finding.message == message) {
        Some(told) => told.targets.push(target.clone()),
        None => {
            let mut report = Report::on(environment.file);
            let path = format!("spec.applications.{}", key.text);
            let finding = report.error(key, &path, message);
            finding.hint = Some("another repository, and another trueup for it".to_owned());
            finding.targets.push(target.clone());
            findings.append(&mut report.findings);
        }
    }
    Declared::unknown(target)
}

fn unknown_spec_keys(document: &Document<'_>) -> Vec<Finding> {
    let mut report = Report::on(document.file);
    if let Some(Kind::Map(entries)) = document.spec.as_ref().map(|spec| &spec.kind) {
        unknown_keys(entries, &SPEC_KEYS, "spec", &mut report);
        point_elsewhere(&mut report);
    }
    report::cut(&mut report.findings, MOST_OF_ONE);
    report.findings
}

/// What every entry is resolved with.
struct Repository<'d, 'f> {
    files: &'f Files,
    file_names: Names<'f>,
    applications: BTreeMap<&'d str, &'d Document<'f>>,
    application_names: Names<'d>,
    /// Tags that mark what runs in an environment: they move.
    environment_tags: BTreeSet<String>,
    unread: &'d BTreeMap<&'f str, Vec<Finding>>,
    misread: &'d BTreeMap<String, Vec<Finding>>,
    check_shape: CheckShape<'d>,
    shared: RefCell<SharedInputs>,
}

/// One application in one environment, and what is wrong with it.
fn entry<'d, 'f>(
    repository: &Repository<'d, 'f>,
    environment: &Environment<'d, 'f>,
    key: &Key,
    node: &'d Node,
    uses: &mut Uses,
) -> (Declared, Vec<Finding>) {
    let target =
        Target { environment: environment.name.clone(), application: ApplicationName::new(&key.text) };
    let path = format!("spec.applications.{}", key.text);
    let Some(application) = repository.applications.get(key.text.as_str()) else {
        // It may stand in a file that cannot be read: it is no typing error of those who name it. One such file tells whom it
        // freezes, since there may be many of both.
        if let Some(told) = repository.misread.get(&key.text).or_else(|| repository.unread.values().next()) {
            let about = |finding: &Finding| Finding { targets: vec![target.clone()], ..finding.clone() };
            let about = told.iter().map(about).collect();
            return (Declared::unknown(target), about);
        }
        let mut report = Report::on(environment.file);
        let finding = report.error(key, &path, format!("no application is named `{}`", key.text));
        finding.hint = repository.application_names.suggestion(&key.text);
        finding.targets.push(target.clone());
        return (Declared::unknown(target), report.findings);
    };
    let Some(spec) = &application.spec else { return (Declared::unknown(target), Vec::new()) };
    let merged = Merged {
        base: Found { node: spec, file: application.file, path: "spec".to_owned() },
        entry: Found { node, file: environment.file, path },
    };
    let mut resolver = Resolver {
        repository,
        environment,
        merged,
        target,
        values: Values::default(),
        app_spec: None,
        unfilled: Vec::new(),
        findings: Vec::new(),
    };
    let desired = resolver.desired(key);
    uses.add(resolver.uses());
    let Resolver { target, unfilled, mut findings, values, .. } = resolver;
    keep_first(&unfilled, &mut findings);
    report::cut(&mut findings, MOST_OF_ONE);
    let broken = environment.broken
        || application.broken
        || findings.iter().any(|finding| finding.severity == Severity::Error);
    for finding in &mut findings {
        values.unfill(finding);
        finding.targets.push(target.clone());
    }
    let declared = match desired {
        Resolved::Whole(desired) if !broken => Declared::Readable(desired),
        // A name that is none of AWS's must not get into a request, not even into one that only reads.
        Resolved::Whole(known) | Resolved::Partly(known) if names::are_plain(&known) => {
            Declared::frozen(*known)
        }
        Resolved::Whole(_) | Resolved::Partly(_) | Resolved::Nowhere => Declared::unknown(target),
    };
    (declared, findings)
}

/// Members of `serviceSettings` that stand beside it, and what only an environment has.
fn point_elsewhere(report: &mut Report<'_>) {
    for finding in &mut report.findings {
        let key = finding.field.rsplit('.').next().unwrap_or_default();
        if SETTINGS.contains(&key) {
            finding.hint = Some("it belongs in `serviceSettings`".to_owned());
        }
        if key == "suspend" {
            finding.hint =
                Some("it belongs in an environment, or in its entry for the application".to_owned());
        }
    }
}

/// Keys that are unknown and can only mean the commit, which is not there.
fn point_to_commit(entries: &[(Key, Node)], report: &mut Report<'_>) {
    let has_commit = entries.iter().any(|(key, _)| COMMIT_KEYS.contains(&key.text.as_str()));
    for (key, _) in entries.iter().filter(|(key, _)| !has_commit && COMMITS.contains(&key.text.as_str())) {
        let position = report::position(report.file(), key);
        if let Some(finding) = report.findings.iter_mut().find(|finding| finding.position == position) {
            finding.hint = Some("did you mean `commit`?".to_owned());
        }
    }
}

/// Of what is said about one of these places only the first.
fn keep_first(places: &[Position], findings: &mut Vec<Finding>) {
    let mut told = BTreeSet::new();
    findings.retain(|finding| !places.contains(&finding.position) || told.insert(finding.position.clone()));
}

/// A value, the file it stands in, and its path of keys.
#[derive(Clone)]
struct Found<'d, 'f> {
    node: &'d Node,
    file: &'f str,
    path: String,
}

impl Found<'_, '_> {
    fn get(&self, key: &str) -> Option<Self> {
        Some(Self { node: self.node.get(key)?, file: self.file, path: format!("{}.{key}", self.path) })
    }
}

/// The application's `spec` under the entry of an environment, whose keys replace whole keys.
struct Merged<'d, 'f> {
    base: Found<'d, 'f>,
    entry: Found<'d, 'f>,
}

impl<'d, 'f> Merged<'d, 'f> {
    fn get(&self, key: &str) -> Option<Found<'d, 'f>> {
        self.entry.get(key).or_else(|| self.base.get(key))
    }
}

/// What could be read of one application.
enum Resolved {
    Whole(Box<Desired>),
    /// Where it runs, and something else is missing.
    Partly(Box<Desired>),
    /// Not even where it runs.
    Nowhere,
}

struct Resolver<'r, 'd, 'f> {
    repository: &'r Repository<'d, 'f>,
    environment: &'r Environment<'d, 'f>,
    merged: Merged<'d, 'f>,
    target: Target,
    values: Values<'d, 'f>,
    /// Its file and what is in it, once it has been read.
    app_spec: Option<(&'f str, Node)>,
    /// Where names hold what nothing replaces; they have no other fault yet.
    unfilled: Vec<Position>,
    findings: Vec<Finding>,
}

impl<'d, 'f> Resolver<'_, 'd, 'f> {
    fn desired(&mut self, key: &Key) -> Resolved {
        self.check_entry();
        self.check_sources();
        self.check_names_of_aws();
        self.read_values();
        // Everything is read before the first thing that is missing ends it, so that all findings are told at once.
        let mut images = self.images();
        let one_shot = self.one_shot();
        let scheduled = self.scheduled_task();
        let has_service = one_shot.is_none() && scheduled.is_none();
        if has_service {
            self.require("service");
        }
        let service = self.name("service", NameKind::Service);
        let cluster = self.name("cluster", NameKind::Cluster);
        let cluster = cluster.or_else(|| self.environment.cluster.clone());
        let is_known = cluster.is_some() || !self.environment.broken;
        let strategy = self.strategy();
        let task_definition = self.task_definition(images.as_mut());
        let service_settings = self.service_settings(&strategy);
        let count_declared_at = self.count_declared_at();
        let tags = self.tags(images.as_ref().map_or(1, Vec::len));
        let policy = self.merged.get("policy").map(|found| {
            let base = &self.environment.policy;
            self.read(&found, |node, path, report| environment::policy(base, node, path, report))
        });
        let after = self.after();
        let (registry, environment_tag) = (self.registry(), self.environment_tag());
        let source = self.source();
        let suspensions = self.suspensions();
        // In an environment with errors the name of the cluster may be one of them: the default is not guessed.
        let is_whole_name = |name: &String| placeholders_in(name).is_empty();
        let is_known = is_known && cluster.as_ref().is_none_or(is_whole_name);
        let workload = match (&one_shot, &scheduled) {
            (Some(declared), _) => is_known.then(|| Workload::Task(Box::new(declared.task.clone()))),
            (_, Some(task)) => is_known.then(|| Workload::ScheduledTask(Box::new(task.clone()))),
            (None, None) => {
                let service = service.filter(|name| is_known && is_whole_name(name));
                service.map(|name| Workload::Service(ServiceName::new(name)))
            }
        };
        let Some(workload) = workload else { return Resolved::Nowhere };
        let is_whole = images.is_some() && task_definition.is_some();
        let images = images.unwrap_or_else(|| vec![self.image_to_look_for()]);
        let (mut task_definition, mut overlay) =
            task_definition.unwrap_or_else(|| (TaskDefinitionSource::Service, Overlay::default()));
        if let Some(declared) = one_shot.as_ref().filter(|_| is_whole) {
            self.lay_over_task_definition(declared, &mut task_definition);
            self.warn_of_spot(declared);
        }
        if let Some(task) = scheduled.as_ref().filter(|_| is_whole) {
            self.check_scheduled(task, &task_definition);
        }
        if is_whole {
            self.check_containers(&images, &task_definition);
        }
        if !overlay.values.is_empty() {
            overlay.for_the_base = self.values_for_a_base();
        }
        let task_definition = self.shared(task_definition);
        let environment = self.environment;
        let mut policy = policy.unwrap_or_else(|| environment.policy.clone());
        if !has_service {
            // A tag marks what runs in an environment, and of a task nothing runs on.
            policy.move_tag = MoveTag::Never;
        }
        let desired = Box::new(Desired {
            target: self.target.clone(),
            declared_at: report::position(self.merged.entry.file, key),
            account: environment.account.clone(),
            region: environment.region.clone(),
            cluster: ClusterName::new(cluster.unwrap_or_else(|| "default".to_owned())),
            workload,
            registry,
            environment_tag,
            images,
            task_definition,
            overlay,
            tags,
            allowed_roles: None,
            allowed_repositories: AllowedRepositories::default(),
            alerts: BTreeSet::new(),
            service_settings,
            count_declared_at,
            strategy,
            policy,
            mode: environment.mode,
            suspensions,
            rollout: environment.rollout,
            first_contact: FirstContact::ByHistory,
            after,
            source,
        });
        if is_whole { Resolved::Whole(desired) } else { Resolved::Partly(desired) }
    }

    fn check_entry(&mut self) {
        let entry = self.merged.entry.clone();
        let known: Vec<&str> = ENTRY_KEYS.iter().chain(&SPEC_KEYS).copied().collect();
        self.read(&entry, |node, path, report| match &node.kind {
            Kind::Map(entries) => {
                unknown_keys(entries, &known, path, report);
                point_elsewhere(report);
                point_to_commit(entries, report);
            }
            _ => {
                let message = format!("expected a map with a commit, found {}", kind(node));
                report.error(node, path, message).hint = Some("such as { commit: 3f2c1ab }".to_owned());
            }
        });
    }

    /// Keys that say which images there are: one of them counts, and its file or list names the containers. Where the
    /// environment declares them, what the application says of them is replaced.
    fn check_sources(&mut self) {
        let (base, entry) = (self.merged.base.clone(), self.merged.entry.clone());
        let Some(source) = SOURCES.iter().copied().find(|key| self.merged.get(key).is_some()) else { return };
        let layers = if entry.node.get(source).is_some() { vec![entry] } else { vec![base, entry] };
        for Found { node, file, path } in layers {
            for without in SOURCES.iter().copied().chain(["containers"]) {
                let is_part = without == "containers" && source == "repository";
                let Some((key, _)) = node.entry(without).filter(|_| without != source && !is_part) else {
                    continue;
                };
                let message = format!("`{without}` has no effect beside `{source}`");
                self.error(file, key, &format!("{path}.{without}"), message).hint =
                    Some(match (without, source) {
                        ("containers", "images") => {
                            "name the container of each image: `container: NAME`".to_owned()
                        }
                        ("containers", _) => "the file names the containers".to_owned(),
                        _ => "remove one of them".to_owned(),
                    });
            }
        }
    }

    fn registry(&mut self) -> Registry {
        let declared = self.merged.get("registry").map(|found| self.read(&found, environment::registry));
        declared.unwrap_or_else(|| self.environment.registry.clone())
    }

    fn environment_tag(&mut self) -> Tag {
        self.name("environmentTag", NameKind::Tag).map_or_else(|| self.environment.tag.clone(), Tag::new)
    }

    /// The environment's and its own: each of them holds back what it is about.
    fn suspensions(&mut self) -> Vec<Suspension> {
        let own = self.merged.entry.get("suspend").and_then(|found| {
            self.read(&found, |node, path, report| {
                environment::suspension(SuspensionScope::Application, node, path, report)
            })
        });
        self.environment.suspension.clone().into_iter().chain(own).collect()
    }

    /// Reports a key that is not there, unless one is told that was meant to be it.
    fn require(&mut self, key: &str) {
        if self.merged.get(key).is_some() {
            return;
        }
        let is_known = |written: &&str| ENTRY_KEYS.contains(written) || SPEC_KEYS.contains(written);
        let is_meant = |node: &Node| match &node.kind {
            Kind::Map(entries) => {
                let written = entries.iter().map(|(written, _)| written.text.as_str());
                // No more of them are told.
                let mut unknown = written.filter(|written| !is_known(written)).take(MOST_OF_ONE);
                unknown.any(|written| nearest(written, &SPEC_KEYS) == Some(key))
            }
            _ => false,
        };
        let is_told = is_meant(self.merged.base.node) || is_meant(self.merged.entry.node);
        if !is_told {
            let Found { node, file, path } = self.merged.base.clone();
            self.error(file, node, &format!("{path}.{key}"), format!("`{key}` is missing"));
        }
    }

    /// The name of one, filled in and held against what such names may be.
    fn name(&mut self, key: &str, kind: NameKind) -> Option<String> {
        let (found, environment) = (self.merged.get(key)?, self.environment);
        self.read(&found, |node, path, report| {
            let name = environment.fill(&text(node, path, report)?);
            kind.check(&name, node, path, report);
            Some(name)
        })
    }

    /// It is shown to everybody, as a link: one that may hold a secret is not repeated.
    fn source(&mut self) -> Option<String> {
        let found = self.merged.get("source")?;
        self.read(&found, |node, path, report| {
            let source = text(node, path, report)?;
            let refused = address::check_page(&source).err();
            if let Some(why) = refused {
                report.error(node, path, format!("`source` is refused: {why}"));
            }
            refused.is_none().then_some(source)
        })
    }

    /// Who is deployed first. A name that no document has is told where it stands.
    fn after(&mut self) -> Vec<ApplicationName> {
        let mut after = Vec::new();
        for key in ["after", "requires"] {
            let Some(found) = self.merged.get(key) else { continue };
            let names = self.read(&found, texts).unwrap_or_default();
            let Kind::List(items) = &found.node.kind else { continue };
            for name in names {
                if !self.repository.applications.contains_key(name.as_str())
                    && self.repository.unread.is_empty()
                {
                    let at = items
                        .iter()
                        .find(|item| item.is_text(&name))
                        .map_or(found.node.place, |item| item.place);
                    let hint = self.repository.application_names.suggestion(&name);
                    self.error(found.file, at, &found.path, format!("no application is named `{name}`"))
                        .hint = hint;
                }
                after.push(ApplicationName::new(name));
            }
        }
        after
    }

    fn read<T>(
        &mut self,
        found: &Found<'d, 'f>,
        read: impl FnOnce(&'d Node, &str, &mut Report<'f>) -> T,
    ) -> T {
        let mut report = Report::on(found.file);
        let value = read(found.node, &found.path, &mut report);
        self.findings.append(&mut report.findings);
        value
    }

    fn error(
        &mut self,
        file: &'f str,
        place: impl Into<Place>,
        path: &str,
        message: impl Into<String>,
    ) -> &mut Finding {
        self.findings.push_mut(report::finding(Severity::Error, file, place, path, message))
    }
}
