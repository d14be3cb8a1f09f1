//! The infrastructure repository of a command: a commit of it, or its working tree.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, ensure};
use tokio::sync::oneshot;

use crate::accounts::Accounts;
use crate::aws;
use crate::comparison::{self, Comparison, Side, Touched};
use crate::escape;
use crate::git::{Deepening, Location, Reach, Snapshot, Source, Watch};
use crate::manifest::{self, Files, edit};
use crate::model::{
    Ancestry, Commit, Declaration, Declared, DeclaredCommits, Desired, Earlier, Finding, Head, InfraCommit,
    Position, Severity, Target,
};
use crate::ports::History;
use crate::settings::{self, Allow, Lease, Settings, Sink};

use super::{RepositoryArgs, streams};

/// A repository that can answer questions of ancestry while a command reads it.
#[derive(Clone)]
pub(super) struct InfraRepository {
    source: Arc<Source>,
    earlier: Arc<Mutex<Option<EarlierDeclarations>>>,
    allow: Allow,
    pub(super) accounts: Accounts,
    pub(super) lease: Option<Lease>,
    pub(super) cache: Option<PathBuf>,
    /// Where alerts go.
    pub(super) sinks: Arc<[Sink]>,
    pub(super) poll_interval: Duration,
    /// Where the repository is, unless it is on this machine.
    address: Option<String>,
}

impl History for InfraRepository {
    fn ancestry(&self, commit: &InfraCommit, head: &InfraCommit) -> Ancestry {
        self.source.ancestry(commit, head)
    }

    fn earlier(&self, target: &Target, head: Option<&InfraCommit>) -> Earlier {
        self.with_earlier(head, |known| known.of(target))
    }

    fn interim(
        &self,
        target: &Target,
        stamped: &InfraCommit,
        head: Option<&InfraCommit>,
    ) -> Vec<DeclaredCommits> {
        let is_after = |commit: &InfraCommit| {
            commit != stamped && self.source.ancestry(stamped, commit) == Ancestry::Ancestor
        };
        let all = self.with_earlier(head, |known| known.by_target.get(target).cloned());
        let all = all.into_iter().flatten();
        all.take_while(|(commit, _)| is_after(commit)).map(|(_, declared)| declared).collect()
    }
}

/// Earlier states of the repository that are read at first contact. What runs was declared among the last of them where
/// trueup is introduced and then used; beyond them a person decides.
const MOST_EARLIER: usize = 50;

/// Changes of an environment file that a history shows (chosen): a promotion makes one.
const MOST_CHANGES: usize = 200;

/// Empty files whose past is looked at: a repository has none on purpose.
const MOST_EMPTY: usize = 20;

/// What the ancestors of a commit declared, of all targets: at first contact every one of them asks.
struct EarlierDeclarations {
    head: Option<InfraCommit>,
    /// The newest first, each with the commit that declared it.
    by_target: BTreeMap<Target, Vec<(InfraCommit, DeclaredCommits)>>,
    is_complete: bool,
    /// Of a shallow clone that is being deepened: how far back it was.
    awaits: Option<Reach>,
}

impl EarlierDeclarations {
    fn of(&self, target: &Target) -> Earlier {
        let mut declarations: Vec<DeclaredCommits> = Vec::new();
        for (_, declared) in self.by_target.get(target).into_iter().flatten() {
            if !declarations.contains(declared) {
                declarations.push(declared.clone());
            }
        }
        Earlier { declarations, is_complete: self.is_complete }
    }
}

impl InfraRepository {
    /// They are read once for a head, and again when a shallow clone reaches further back.
    fn with_earlier<T>(&self, head: Option<&InfraCommit>, ask: impl FnOnce(&EarlierDeclarations) -> T) -> T {
        let mut kept = self.earlier.lock().unwrap_or_else(PoisonError::into_inner);
        let is_current = |known: &EarlierDeclarations| {
            let is_whole = || known.awaits.as_ref().is_none_or(|more| self.source.still_awaits(more));
            known.head.as_ref() == head && is_whole()
        };
        let known = kept.take().filter(is_current);
        let known = known.unwrap_or_else(|| self.earlier_declarations(head));
        let found = ask(&known);
        *kept = Some(known);
        found
    }

    /// Of a commit those that came before it; of a working tree the newest commit too.
    fn earlier_declarations(&self, head: Option<&InfraCommit>) -> EarlierDeclarations {
        let mut earlier = EarlierDeclarations {
            head: head.cloned(),
            by_target: BTreeMap::new(),
            is_complete: false,
            awaits: None,
        };
        let newest = head.cloned().or_else(|| Some(self.source.head().ok()?.commit));
        let Some(lineage) = newest.and_then(|newest| self.source.lineage(&newest, MOST_EARLIER).ok()) else {
            return earlier;
        };
        earlier.is_complete = lineage.is_complete;
        earlier.awaits = lineage.awaits;
        for commit in lineage.commits.iter().skip(usize::from(head.is_some())) {
            let Ok(snapshot) = self.source.snapshot(commit) else {
                earlier.is_complete = false;
                continue;
            };
            let declaration = manifest::read(&snapshot.files, Some(commit.clone()), &|_, _| Vec::new());
            for desired in declaration.readable() {
                let images = desired.images.iter().map(|image| (image.name.clone(), image.commit.clone()));
                let known = earlier.by_target.entry(desired.target.clone()).or_default();
                known.push((commit.clone(), images.collect()));
            }
        }
        earlier
    }
}

impl RepositoryArgs {
    /// The settings: what the command line says goes before all else.
    pub(super) fn settings(&self) -> anyhow::Result<Settings> {
        let given = [
            ("repository.location", &self.repo),
            ("repository.branch", &self.branch),
            ("repository.path", &self.path),
        ];
        let command_line = given.into_iter().filter_map(|(key, value)| Some((key, value.clone()?))).collect();
        let environment = |name: &str| std::env::var(name).ok();
        Ok(Settings::load(command_line, &environment, self.config.as_deref())?)
    }
}

impl InfraRepository {
    /// The repository as it is now.
    pub(super) fn open(arguments: &RepositoryArgs) -> anyhow::Result<Self> {
        let opened = Self::with(&arguments.settings()?)?;
        opened.source.fetch()?;
        Ok(opened)
    }

    /// The repository as it was when it was last fetched, if ever.
    pub(super) fn with(settings: &Settings) -> anyhow::Result<Self> {
        Self::deepening(settings, Deepening::AtOnce)
    }

    /// The same, for whoever never waits for the repository.
    pub(super) fn beside(settings: &Settings) -> anyhow::Result<Self> {
        Self::deepening(settings, Deepening::WithTheNextFetch)
    }

    fn deepening(settings: &Settings, deepening: Deepening) -> anyhow::Result<Self> {
        let location = Location::parse(&settings.location)?;
        let (branch, cache) = (settings.branch.as_deref(), settings.cache.as_deref());
        let source = Source::open_at(&location, branch, &settings.path, &settings.credentials, cache)?;
        let address = (!matches!(location, Location::Local(_))).then(|| location.to_string());
        let (allow, poll_interval) = (settings.allow.clone(), settings.poll_interval);
        let source = Arc::new(source.deepening(deepening));
        let (accounts, lease) = (settings.accounts.clone(), settings.lease.clone());
        let sinks = settings.sinks.clone().into();
        Ok(Self {
            source,
            earlier: Arc::default(),
            allow,
            accounts,
            lease,
            cache: settings.cache.clone(),
            sinks,
            poll_interval,
            address,
        })
    }

    pub(super) fn at(folder: &Path) -> anyhow::Result<Self> {
        let source = Arc::new(Source::open(folder, None, "")?);
        let poll_interval = Duration::from_secs(30);
        let (allow, accounts) = (Allow::default(), Accounts::default());
        Ok(Self {
            source,
            earlier: Arc::default(),
            allow,
            accounts,
            lease: None,
            cache: None,
            sinks: Arc::new([]),
            poll_interval,
            address: None,
        })
    }

    /// Brings a remote repository up to date, without keeping other tasks from their work.
    pub(super) async fn fetch(&self) -> anyhow::Result<()> {
        if self.source.is_remote() {
            let source = Arc::clone(&self.source);
            tokio::task::spawn_blocking(move || source.fetch()).await??;
        }
        Ok(())
    }

    /// Each commit that was declared for a target, with the infra commit that did; the newest first, as far as the history is here.
    pub(super) fn declared_commits(&self, desired: &Desired, head: &Head) -> Vec<(Head, Commit)> {
        let (file, target) = (&desired.declared_at.file, &desired.target);
        let changes = self.source.changes(&head.commit, file, MOST_CHANGES).unwrap_or_default();
        let mut declared: Vec<(Head, Commit)> = Vec::new();
        for (head, text) in changes {
            let Ok(commit) = edit::commit(&text, target.environment.as_str(), target.application.as_str())
            else {
                continue;
            };
            match declared.last_mut() {
                // The file was changed for something else.
                Some((first, same)) if *same == commit => *first = head,
                _ => declared.push((head, commit)),
            }
        }
        declared
    }

    /// The commit of the branch that has declared a commit for a target, the last time that it did.
    pub(super) fn declared_since(
        &self,
        head: &InfraCommit,
        file: &str,
        (target, commit): (&Target, &Commit),
    ) -> Option<Head> {
        let declares = |text: &str| {
            let declared = edit::commit(text, target.environment.as_str(), target.application.as_str());
            declared.is_ok_and(|declared| declared.matches(commit))
        };
        self.source.said_since(head, file, declares).ok().flatten()
    }

    /// The address of the repository, or of what a repository on this machine was cloned from. It is not for printing.
    pub(super) fn address(&self) -> Option<String> {
        self.address.clone().or_else(|| self.source.origin())
    }

    pub(super) fn is_remote(&self) -> bool {
        self.source.is_remote()
    }

    /// The path of a file below the watched path, from the root of the repository.
    pub(super) fn path_from_root(&self, file: &str) -> String {
        self.source.below_path(file)
    }

    /// Whether the branch has declared a commit for an application, now or before. A shallow clone is deepened for it.
    pub(super) async fn has_declared(
        &self,
        desired: &Desired,
        head: Option<&InfraCommit>,
        commit: &Commit,
    ) -> bool {
        let Some(head) = head.cloned() else { return false };
        let (source, file, target, commit) = (
            Arc::clone(&self.source),
            desired.declared_at.file.clone(),
            desired.target.clone(),
            commit.clone(),
        );
        let declares = move |text: &String| {
            let declared = edit::commit(text, target.environment.as_str(), target.application.as_str());
            declared.is_ok_and(|declared| declared.matches(&commit))
        };
        let search = move || loop {
            if source.past_texts(&head, &file).is_ok_and(|texts| texts.iter().any(&declares)) {
                return true;
            }
            if !source.deepen() {
                return false;
            }
        };
        tokio::task::spawn_blocking(search).await.unwrap_or(false)
    }

    /// Begins to bring a remote repository up to date; `None` for a local one, which always is. It goes on by itself, on
    /// a thread that the end of the process does not wait for.
    pub(super) fn fetch_beside(&self) -> Option<Fetch> {
        if !self.source.is_remote() {
            return None;
        }
        let source = Arc::clone(&self.source);
        let (tell, done) = oneshot::channel();
        let fetch = move || {
            let fetched = source.fetch().map_err(anyhow::Error::from);
            // Whoever asked is gone: the process ends.
            let _ = tell.send(fetched.map_err(|error| format!("{error:#}")));
        };
        let started = std::thread::Builder::new().name("fetch".to_owned()).spawn(fetch);
        Some(Fetch { done, failed: started.err().map(|error| format!("cannot start a fetch: {error}")) })
    }

    /// Whether a fetch would answer what waits for it.
    pub(super) fn asks_for_more(&self) -> bool {
        self.source.asks_for_more()
    }

    /// Ends a fetch that goes on.
    pub(super) fn stop(&self) {
        self.source.stop();
    }

    /// Wakes on a commit to a repository on this machine, as far as the system can tell.
    pub(super) fn watch(&self) -> Option<Watch> {
        Watch::start(&self.source.git_folder()?).ok()
    }

    /// The newest commit of the branch and what it declares.
    pub(super) fn committed(&self) -> anyhow::Result<(Head, Declaration)> {
        let head = self.source.head()?;
        let declaration = self.declared_by(&head.commit)?;
        Ok((head, declaration))
    }

    fn declared_by(&self, commit: &InfraCommit) -> anyhow::Result<Declaration> {
        let mut declaration = self.all_declared_by(commit)?;
        self.remember(&mut declaration, commit);
        self.restrict(&mut declaration);
        Ok(declaration)
    }

    fn all_declared_by(&self, commit: &InfraCommit) -> anyhow::Result<Declaration> {
        let snapshot = self.source.snapshot(commit)?;
        let emptied = self.emptied(&snapshot.files, commit);
        Ok(declared(snapshot, Some(commit.clone()), emptied))
    }

    /// What differs from where the newest commit and `reference` part.
    pub(super) fn compared_with(
        &self,
        reference: &str,
        declaration: &Declaration,
    ) -> anyhow::Result<Comparison> {
        ensure!(
            !self.is_remote(),
            "--base needs a clone: of a repository elsewhere only the followed branch is fetched\n  hint  clone it, and give the folder as --repo"
        );
        let given = || format!("cannot compare with {}", escape::line(reference));
        let named = self.source.resolve(reference).with_context(given)?;
        let base = self.source.merge_base(&named.commit, &self.source.head()?.commit).with_context(given)?;
        let before = self.declared_by(&base.commit)?;
        let touched = comparison::touched(&before, declaration);
        let still = |touched: &&Touched| touched.after != Side::Undeclared;
        let untouched = declaration.applications.len() - touched.iter().filter(still).count();
        Ok(Comparison { reference: reference.to_owned(), base, touched, untouched })
    }

    /// Files with nothing in them that declared something before: a disk that is full leaves them so, and nobody who
    /// removes a declaration leaves the file.
    fn emptied(&self, files: &Files, head: &InfraCommit) -> Vec<Finding> {
        let declared_before = |file: &&str| {
            let texts = self.source.recent_texts(head, file).unwrap_or_default();
            let last = texts.iter().find(|text| !is_blank(text));
            last.is_some_and(|text| manifest::is_of_this_program(text))
        };
        blank(files).take(MOST_EMPTY).filter(declared_before).map(emptied_finding).collect()
    }

    /// The newest commit, if it is another one than that of the declaration at hand.
    pub(super) fn changed_since(
        &self,
        declared: Option<&Declaration>,
    ) -> anyhow::Result<Option<(Head, Declaration)>> {
        let head = self.source.head()?;
        if declared.is_some_and(|declared| declared.infra_commit.as_ref() == Some(&head.commit)) {
            return Ok(None);
        }
        self.committed().map(Some)
    }

    /// The working tree, uncommitted changes included; the newest commit of a bare repository.
    pub(super) fn working_tree(&self) -> anyhow::Result<Declaration> {
        let mut declaration = self.whole_working_tree()?;
        if let Ok(head) = self.source.head() {
            self.remember(&mut declaration, &head.commit);
        }
        self.restrict(&mut declaration);
        Ok(declaration)
    }

    /// With what the operator does not allow.
    pub(super) fn whole_working_tree(&self) -> anyhow::Result<Declaration> {
        if self.source.is_bare() {
            return self.all_declared_by(&self.source.head()?.commit);
        }
        let snapshot = self.source.working_tree()?;
        let head = self.source.head().ok().map(|head| head.commit);
        let emptied = head.as_ref().map(|head| self.emptied(&snapshot.files, head)).unwrap_or_default();
        Ok(declared(snapshot, head, emptied))
    }

    /// Where files have errors, the newest commit in which they had none says where their applications run: those are
    /// looked at by it. An environment whose file is no YAML any more would else be gone with all that it declares.
    fn remember(&self, declaration: &mut Declaration, head: &InfraCommit) {
        let mut unread = unread(declaration);
        let is_unknown = |declared: &Declared| declared.observable().is_none();
        let has_gaps = |declaration: &Declaration, unread: &BTreeSet<String>| {
            !unread.is_empty() || declaration.applications.iter().any(is_unknown)
        };
        if !has_gaps(declaration, &unread) {
            return;
        }
        let past = self.source.past(head, &files_with_errors(declaration)).unwrap_or_default();
        for commit in past {
            let Ok(snapshot) = self.source.snapshot(&commit) else { return };
            // One that was empty then too tells nothing.
            let emptied = blank(&snapshot.files).map(emptied_finding).collect();
            let past = declared(snapshot, Some(commit), emptied);
            fill_gaps(declaration, &past, &mut unread);
            if !has_gaps(declaration, &unread) {
                return;
            }
        }
    }

    /// Freezes what the operator does not allow, each with a finding; and says what of it no role reaches.
    pub(super) fn restrict(&self, declaration: &mut Declaration) {
        self.allow.restrict(declaration);
        let unreached = settings::accounts::findings(&self.accounts, declaration);
        declaration.findings.extend(unreached);
    }
}

/// What was read declares, with what could not be read of the repository as a whole.
fn declared(snapshot: Snapshot, commit: Option<InfraCommit>, emptied: Vec<Finding>) -> Declaration {
    let mut declaration = manifest::read(&snapshot.files, commit, &aws::check_shape);
    declaration.findings.splice(0..0, snapshot.findings.into_iter().chain(emptied));
    declaration
}

fn is_blank(text: &str) -> bool {
    text.trim().is_empty()
}

fn blank(files: &Files) -> impl Iterator<Item = &str> {
    let blank = files.iter().filter(|(_, text)| text.as_deref().is_ok_and(is_blank));
    blank.map(|(file, _)| file.as_str()).filter(|file| manifest::is_document(file))
}

fn emptied_finding(file: &str) -> Finding {
    Finding {
        severity: Severity::Error,
        position: Position { file: file.to_owned(), line: 0, column: 0 },
        field: String::new(),
        message: "the file is empty, and declared something before".to_owned(),
        hint: Some("delete the file to remove what it declared, or write it again".to_owned()),
        excerpt: None,
        targets: Vec::new(),
    }
}

/// A fetch that goes on beside everything else.
pub(super) struct Fetch {
    done: oneshot::Receiver<Result<(), String>>,
    /// Why it never began.
    failed: Option<String>,
}

impl Fetch {
    /// Why it failed, once it is over. It may be asked again if it was not waited for to the end.
    pub(super) async fn end(&mut self) -> Result<(), String> {
        match self.failed.take() {
            Some(why) => Err(why),
            None => (&mut self.done).await.unwrap_or_else(|_| Err("the fetch broke off".to_owned())),
        }
    }

    /// The same, if it is over already.
    pub(super) fn ended(&mut self) -> Option<Result<(), String>> {
        if let Some(why) = self.failed.take() {
            return Some(Err(why));
        }
        match self.done.try_recv() {
            Ok(done) => Some(done),
            Err(oneshot::error::TryRecvError::Empty) => None,
            Err(oneshot::error::TryRecvError::Closed) => Some(Err("the fetch broke off".to_owned())),
        }
    }
}

#[cfg(test)]
impl Fetch {
    /// One that goes on until it is told how it ended.
    pub(super) fn until_told() -> (Self, oneshot::Sender<Result<(), String>>) {
        let (tell, done) = oneshot::channel();
        (Self { done, failed: None }, tell)
    }
}

fn files_with_errors(declaration: &Declaration) -> Vec<&str> {
    let errors = declaration.findings.iter().filter(|finding| finding.severity == Severity::Error);
    let files: BTreeSet<&str> = errors.map(|finding| finding.position.file.as_str()).collect();
    files.into_iter().collect()
}

/// Files that could not be read, or whose errors concern nobody in particular: what they declare is not known.
fn unread(declaration: &Declaration) -> BTreeSet<String> {
    let errors = declaration.findings.iter().filter(|finding| finding.severity == Severity::Error);
    let of_nobody = errors.filter(|finding| finding.targets.is_empty());
    let of_nobody = of_nobody.map(|finding| &finding.position.file);
    of_nobody.chain(&declaration.unread_files).cloned().collect()
}

/// What was declared before by files that cannot be read now is frozen, and neither gone nor unknown. A file that could
/// be read then has told all that there is to know of it.
fn fill_gaps(declaration: &mut Declaration, past: &Declaration, broken: &mut BTreeSet<String>) {
    for desired in past.observable() {
        let now = declaration.applications.iter_mut().find(|now| *now.target() == desired.target);
        match now {
            Some(now) if now.observable().is_none() => *now = Declared::frozen(desired.clone()),
            Some(_) => {}
            None if broken.contains(&desired.declared_at.file) => {
                declaration.applications.push(Declared::frozen(desired.clone()));
            }
            None => {}
        }
    }
    declaration.applications.sort_by(|one, two| one.target().cmp(two.target()));
    let still = unread(past);
    let is_complete = past.applications.iter().all(|declared| declared.observable().is_some());
    broken.retain(|file| !is_complete || still.contains(file));
}

/// Prints findings to stderr; whether one of them is an error.
pub(super) fn print_findings(declaration: &Declaration) -> bool {
    declaration.findings.iter().for_each(streams::finding);
    is_broken(declaration)
}

pub(super) fn is_broken(declaration: &Declaration) -> bool {
    declaration.findings.iter().any(|finding| finding.severity == Severity::Error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::scratch;

    const APPLICATION: &str = "apiVersion: trueup.dev/v1\nkind: Application\nmetadata: {name: api}\nspec:\n  repository: mco/api\n  service: mco-api\n";
    const ENVIRONMENT: &str = "apiVersion: trueup.dev/v1\nkind: Environment\nmetadata: {name: test}\nspec:\n  applications:\n    api: {commit: bbbbbbb}\n";

    fn read(application: &str, environment: &str) -> Declaration {
        let files = [("api.yaml", application), ("test.yaml", environment)];
        let files = files.iter().map(|(name, text)| ((*name).to_owned(), Ok((*text).to_owned())));
        manifest::read(&files.collect(), None, &|_, _| Vec::new())
    }

    #[test]
    fn an_environment_whose_head_is_mistyped_is_frozen_and_not_gone() {
        let past = read(APPLICATION, ENVIRONMENT);
        for (from, to) in [
            ("kind: Environment", "kind: Enviroment"),
            ("kind: Environment", "kind: environment"),
            ("kind: Environment\n", ""),
            ("kind: Environment", "kind: [Environment]"),
            ("trueup.dev/v1", "trueup.dev/v2"),
            ("trueup.dev/v1", "v1"),
            ("trueup.dev/v1", "apps/v1"),
            ("apiVersion: trueup.dev/v1\n", ""),
            ("apiVersion: trueup.dev/v1", "apiVersion:"),
            ("apiVersion:", "apiversion:"),
            ("metadata: {name: test}\n", ""),
            ("metadata: {name: test}", "metadata: {}"),
            ("metadata: {name: test}", "metadata: test"),
            ("name: test", "name: -test"),
            ("spec:\n  applications:\n    api: {commit: bbbbbbb}\n", "spec:\n"),
            ("spec:\n  applications:\n    api: {commit: bbbbbbb}\n", ""),
            ("  applications:", "\tapplications:"),
            ("kind: Environment", "\0\0\0\0"),
        ] {
            let text = ENVIRONMENT.replace(from, to);
            assert_ne!(text, ENVIRONMENT);
            let mut now = read(APPLICATION, &text);
            assert!(now.findings.iter().any(|finding| finding.severity == Severity::Error), "{to}");
            let mut unread = unread(&now);
            fill_gaps(&mut now, &past, &mut unread);
            let [Declared::Frozen(frozen)] = now.applications.as_slice() else { panic!("{to}: {now:#?}") };
            assert_eq!(frozen.known.as_ref().map(|known| known.name_in_cluster()), Some("mco-api"), "{to}");
        }
    }

    /// Whether it is observed, by a process that knows only what is in git.
    fn is_observed(states: &[Option<&str>]) -> bool {
        let folder = tempfile::tempdir().unwrap();
        scratch::init(folder.path()).unwrap();
        std::fs::write(folder.path().join("api.yaml"), APPLICATION).unwrap();
        let file = folder.path().join("test.yaml");
        for (number, text) in states.iter().enumerate() {
            match text {
                Some(text) => std::fs::write(&file, text).unwrap(),
                None => std::fs::remove_file(&file).unwrap(),
            }
            std::fs::write(folder.path().join("other.txt"), number.to_string()).unwrap();
            scratch::commit_all(folder.path(), "change").unwrap();
        }
        let declaration = InfraRepository::at(folder.path()).unwrap().committed().unwrap().1;
        let has_errors = declaration.findings.iter().any(|finding| finding.severity == Severity::Error);
        assert!(has_errors || declaration.applications.is_empty(), "{:#?}", declaration.applications);
        declaration.observable().any(|desired| desired.name_in_cluster() == "mco-api")
    }

    #[test]
    fn a_broken_file_is_frozen_by_what_it_last_declared_and_a_removed_one_is_gone() {
        let (good, mistyped) = (Some(ENVIRONMENT), ENVIRONMENT.replace("Environment", "Enviroment"));
        let (mistyped, nul, empty) = (Some(mistyped.as_str()), Some("\0\0\0\0"), Some(""));
        let commented = ENVIRONMENT.replace('\n', "\n# ");
        let commented = format!("# {commented}\n");
        let mut long_ago = vec![good, mistyped];
        long_ago.extend(std::iter::repeat_n(mistyped, 30));
        for (states, expected) in [
            (&[good, mistyped][..], true),
            (&[good, nul], true),
            (&[good, Some(" \n")], true),
            (&[good, empty], true),
            (&[good, empty, empty, nul, mistyped], true),
            (&long_ago, true),
            (&[good, None], false),
            (&[good, Some(&commented)], false),
            (&[good, Some("---\n")], false),
            (&[good, None, empty], false),
            (&[good, None, mistyped], false),
            (&[Some("foreign: true\n"), empty], false),
        ] {
            assert_eq!(is_observed(states), expected, "{states:?}");
        }
    }

    #[test]
    fn what_files_with_errors_declared_before_is_frozen_and_not_gone() {
        let past = read(APPLICATION, ENVIRONMENT);
        let broken = |text: &str| format!("{text}x: [\n");
        for (application, environment) in [
            (APPLICATION.to_owned(), broken(ENVIRONMENT)),
            (broken(APPLICATION), ENVIRONMENT.to_owned()),
            (broken(APPLICATION), broken(ENVIRONMENT)),
            (APPLICATION.replace("service:", "servce:"), ENVIRONMENT.to_owned()),
        ] {
            let mut now = read(&application, &environment);
            let mut unread = unread(&now);
            fill_gaps(&mut now, &past, &mut unread);
            assert!(unread.is_empty(), "{unread:?}");
            let [Declared::Frozen(frozen)] = now.applications.as_slice() else { panic!("{now:#?}") };
            assert_eq!(frozen.known.as_ref().map(|known| known.name_in_cluster()), Some("mco-api"));
        }
        // A file of both kinds that cannot be read: who names its application tells whom it freezes, and its environment stays.
        let other = ENVIRONMENT.replace("name: test", "name: other");
        let both = format!("{APPLICATION}---\n{other}");
        let past = read(&both, ENVIRONMENT);
        let mut now = read(&broken(&both), ENVIRONMENT);
        let mut files = unread(&now);
        fill_gaps(&mut now, &past, &mut files);
        let targets: Vec<String> = now.observable().map(|known| known.target.to_string()).collect();
        assert_eq!(targets, ["other/api", "test/api"]);
        let past = read(APPLICATION, ENVIRONMENT);
        // What was taken out of a good file is gone.
        let mut without = read(APPLICATION, &ENVIRONMENT.replace("    api: {commit: bbbbbbb}\n", ""));
        let mut unread = unread(&without);
        fill_gaps(&mut without, &past, &mut unread);
        assert_eq!(without.applications, []);
    }
}
