//! The operator's own settings: from the command line, the environment, or a file that is never taken from the
//! infrastructure repository. Secrets come by reference only: from an environment variable, or from a file.

pub mod accounts;
mod lease;
mod sinks;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use globset::{Glob, GlobMatcher};

use crate::accounts::Accounts;
use crate::address::WebAddress;
use crate::documents::{repositories, roles};
use crate::git::Credentials;
use crate::git_host::{HostSettings, Kind as HostKind};
use crate::model::{
    AccountId, AllowedRepositories, Declaration, Declared, Desired, Finding, Pattern, RolePattern, Severity,
};
use crate::secret::Secret;
use crate::text::duration;
use crate::text::fields::{kind, text};
use crate::text::nearest::suggestion;
use crate::text::report::{Report, add_excerpts};
use crate::text::tree::{self, Key, Kind, Node};

pub use lease::{Lease, LeaseStore};
pub use sinks::{AwsName, GitHost, Route, Sink, SinkKind, chat_address};

/// Every key of the file, and the environment variable that goes before it. `docs/settings.md` repeats this table.
pub const KEYS: [(&str, &str); 29] = [
    ("repository.location", "TRUEUP_REPO"),
    ("repository.branch", "TRUEUP_BRANCH"),
    ("repository.path", "TRUEUP_PATH"),
    ("repository.tokenFile", "TRUEUP_TOKEN_FILE"),
    ("repository.username", "TRUEUP_USERNAME"),
    ("repository.sshKey", "TRUEUP_SSH_KEY"),
    ("repository.sshProgram", "TRUEUP_SSH_PROGRAM"),
    ("repository.host", "TRUEUP_GIT_HOST"),
    ("repository.api", "TRUEUP_GIT_API"),
    ("pollInterval", "TRUEUP_POLL_INTERVAL"),
    ("cacheFolder", "TRUEUP_CACHE"),
    ("http.listen", "TRUEUP_LISTEN"),
    ("allow.accounts", "TRUEUP_ALLOW_ACCOUNTS"),
    ("allow.environments", "TRUEUP_ALLOW_ENVIRONMENTS"),
    ("allow.clusters", "TRUEUP_ALLOW_CLUSTERS"),
    ("allow.repositories", "TRUEUP_ALLOW_REPOSITORIES"),
    ("allow.roles", "TRUEUP_ALLOW_ROLES"),
    ("accounts.*.role", "TRUEUP_ACCOUNTS"),
    ("accounts.*.externalId", "TRUEUP_EXTERNAL_IDS"),
    ("accounts.*.externalIdFile", "TRUEUP_EXTERNAL_ID_FILES"),
    ("alerts.webhook.url", "TRUEUP_WEBHOOK_URL"),
    ("alerts.webhook.secretFile", "TRUEUP_WEBHOOK_SECRET_FILE"),
    (sinks::KEY, sinks::VARIABLE),
    ("lease.store", "TRUEUP_LEASE"),
    ("lease.duration", "TRUEUP_LEASE_DURATION"),
    ("lease.namespace", "TRUEUP_LEASE_NAMESPACE"),
    ("lease.server", "TRUEUP_LEASE_SERVER"),
    ("lease.serviceAccount", "TRUEUP_LEASE_SERVICE_ACCOUNT"),
    ("lease.table", "TRUEUP_LEASE_TABLE"),
];
/// Secrets themselves, in the environment only.
pub const SECRETS: [&str; 2] = ["TRUEUP_TOKEN", "TRUEUP_WEBHOOK_SECRET"];

/// How often a remote repository is asked, at the least: git hosts limit the rate.
const SHORTEST_POLL: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_secs(30);

#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    #[error("the settings file {path} cannot be read")]
    File { path: String, source: std::io::Error },
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Findings(Vec<Finding>),
    #[error("{key} is {value:?}: {why}")]
    Value { key: &'static str, value: String, why: &'static str },
    #[error("{key} cannot be used: {why}")]
    Address { key: &'static str, why: &'static str },
    #[error("`{key}` of the sink {sink} cannot be used: {why}")]
    Sink { sink: String, key: &'static str, why: String },
    #[error("the file {path} of {key} cannot be read")]
    Secret { key: &'static str, path: String, source: std::io::Error },
}

/// What is given where: by key, lists joined with commas.
pub type Raw = BTreeMap<&'static str, String>;

/// What a file says.
#[derive(Default)]
pub struct Written {
    raw: Raw,
    sinks: Vec<sinks::Written>,
}

/// The settings, validated.
#[derive(Clone, Debug)]
pub struct Settings {
    /// A path, or an address of a remote repository.
    pub location: String,
    pub branch: Option<String>,
    pub path: String,
    pub credentials: Credentials,
    /// Where pull requests are opened.
    pub host: HostSettings,
    pub poll_interval: Duration,
    pub cache: Option<PathBuf>,
    /// Where health and metrics are served; `None`: nowhere.
    pub listen: Option<SocketAddr>,
    pub allow: Allow,
    pub accounts: Accounts,
    /// Where alerts go, beside the log.
    pub sinks: Vec<Sink>,
    /// `None`: every replica does everything.
    pub lease: Option<Lease>,
}

/// Which parts of AWS a repository may reach.
#[derive(Clone, Debug, Default)]
pub struct Allow {
    /// `None`: only the account of the credentials.
    pub accounts: Option<Vec<AccountId>>,
    /// `None`: all.
    pub environments: Option<Vec<GlobMatcher>>,
    /// `None`: all.
    pub clusters: Option<Vec<Pattern>>,
    pub repositories: AllowedRepositories,
    /// `None`: all of the account.
    pub roles: Option<Vec<RolePattern>>,
}

impl Settings {
    /// `command_line` goes before the environment, the environment before the file.
    pub fn load(
        command_line: Raw,
        environment: &dyn Fn(&str) -> Option<String>,
        file: Option<&str>,
    ) -> Result<Self, SettingsError> {
        let given = |variable: &str| environment(variable).filter(|value| !value.is_empty());
        let mut written = gathered(&given, file)?;
        written.raw.extend(command_line);
        Self::validated(written, &given)
    }

    /// Where health and metrics are served. Nothing else is looked at: a secret that cannot be read makes nobody unwell.
    pub fn listen(
        environment: &dyn Fn(&str) -> Option<String>,
        file: Option<&str>,
    ) -> Result<Option<SocketAddr>, SettingsError> {
        let given = |variable: &str| environment(variable).filter(|value| !value.is_empty());
        gathered(&given, file)?.raw.remove("http.listen").map(address).transpose()
    }

    fn validated(written: Written, given: &dyn Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        let Written { raw, sinks } = written;
        let raw = &raw;
        let text = |key: &str| raw.get(key).cloned();
        let poll_interval = text("pollInterval").map_or(Ok(POLL), poll_interval)?;
        let location = text("repository.location").unwrap_or_else(|| ".".to_owned());
        let host = host(raw)?;
        let resolved = |sink: sinks::Written| sink.resolved(given, (&location, host.api.as_ref()));
        let mut sinks: Vec<Sink> = sinks.into_iter().map(resolved).collect::<Result<_, _>>()?;
        if let Some(url) = text("alerts.webhook.url") {
            let secret = secret(given, "TRUEUP_WEBHOOK_SECRET", "alerts.webhook.secretFile", raw)?;
            let webhook = webhook(&url, secret)?;
            if sinks.iter().any(|sink| sink.name == webhook.name) {
                let why = "a sink of `alerts.sinks` has the name webhook too; give that one another";
                return Err(SettingsError::Address { key: "alerts.webhook.url", why });
            }
            sinks.push(webhook);
        }
        Ok(Self {
            location,
            branch: text("repository.branch"),
            path: text("repository.path").unwrap_or_default(),
            credentials: Credentials {
                token: secret(given, "TRUEUP_TOKEN", "repository.tokenFile", raw)?,
                username: text("repository.username"),
                ssh_key: text("repository.sshKey").map(PathBuf::from),
                ssh_program: text("repository.sshProgram").map(PathBuf::from),
            },
            host,
            poll_interval,
            cache: text("cacheFolder").map(PathBuf::from),
            listen: text("http.listen").map(address).transpose()?,
            allow: Allow::parse(raw)?,
            accounts: accounts::of(raw)?,
            sinks,
            lease: Lease::parse(raw)?,
        })
    }
}

/// What the file and the environment give; the environment goes before the file.
fn gathered(given: &dyn Fn(&str) -> Option<String>, file: Option<&str>) -> Result<Written, SettingsError> {
    let mut written = match file {
        Some(path) => {
            let failed = |source| SettingsError::File { path: path.to_owned(), source };
            parse(path, &std::fs::read_to_string(path).map_err(failed)?)?
        }
        None => Written::default(),
    };
    for (key, variable) in KEYS {
        match given(variable) {
            Some(value) if key == sinks::KEY => written.sinks = sinks::of_variable(&value)?,
            value => written.raw.extend(value.map(|value| (key, value))),
        }
    }
    Ok(written)
}

/// The settings of a file.
pub fn parse(path: &str, text: &str) -> Result<Written, SettingsError> {
    let mut report = Report::on(path);
    let mut written = Written::default();
    match tree::document(text) {
        Ok(document) => document.iter().for_each(|node| flatten(node, "", &mut written, &mut report)),
        Err(broken) => report.broken(broken),
    }
    add_excerpts(&mut report.findings, |_| Some(text));
    for finding in &mut report.findings {
        // An address may be a secret as a whole, and so is what is said to a role.
        let may_be_secret =
            |excerpt: &mut String| ["://", "@", "externalId"].iter().any(|sign| excerpt.contains(sign));
        let is_of_account = finding.field.starts_with(accounts::KEY);
        finding.excerpt.take_if(|excerpt| is_of_account || may_be_secret(excerpt));
    }
    if report.has_errors() { Err(SettingsError::Findings(report.findings)) } else { Ok(written) }
}

fn flatten(node: &Node, path: &str, written: &mut Written, report: &mut Report<'_>) {
    if path == accounts::KEY {
        return accounts::flatten(node, &mut written.raw, report);
    }
    if path == sinks::KEY {
        written.sinks = sinks::read(node, report);
        return;
    }
    let raw = &mut written.raw;
    let known = KEYS.iter().map(|(key, _)| *key).find(|key| *key == path);
    match (&node.kind, known) {
        (Kind::Scalar { .. }, Some(key)) => raw.extend(text(node, path, report).map(|text| (key, text))),
        (Kind::List(items), Some(key)) if key.starts_with("allow.") => {
            let texts: Vec<String> = items.iter().filter_map(|item| entry(item, path, report)).collect();
            raw.insert(key, texts.join(","));
        }
        (_, Some(_)) => {
            report.error(node, path, format!("expected text, found {}", kind(node)));
        }
        (Kind::Map(entries), None) => {
            for (key, value) in entries {
                let inner = if path.is_empty() { key.text.clone() } else { format!("{path}.{}", key.text) };
                let leads_somewhere = inner == accounts::KEY
                    || KEYS
                        .iter()
                        .any(|(known, _)| *known == inner || known.starts_with(&format!("{inner}.")));
                if leads_somewhere {
                    flatten(value, &inner, written, report);
                } else {
                    unknown(&inner, key, report);
                }
            }
        }
        (_, None) => {
            report.error(node, path, format!("expected a map, found {}", kind(node)));
        }
    }
}

/// One of a list: the entries are joined with commas, so that none of them can hold one.
fn entry(item: &Node, path: &str, report: &mut Report<'_>) -> Option<String> {
    let entry = text(item, path, report)?;
    if entry.contains(',') {
        let finding = report.error(item, path, "a comma separates entries");
        finding.hint = Some("make it several entries; for a comma in a name, write ?".to_owned());
        return None;
    }
    Some(entry)
}

fn unknown(path: &str, key: &Key, report: &mut Report<'_>) {
    let is_secret = matches!(path, "repository.token" | "alerts.webhook.secret");
    let keys: Vec<&str> = KEYS.iter().map(|(key, _)| *key).collect();
    let hint = if is_secret {
        Some(format!("a secret is never written here: use `{path}File`, or an environment variable"))
    } else {
        suggestion(path, &keys)
    };
    report.error(key, path, format!("unknown setting `{path}`")).hint = hint;
}

/// In the variable, or in the file that a key names. It can be read now; a file may hold another one later.
fn secret(
    given: &dyn Fn(&str) -> Option<String>,
    variable: &str,
    key: &'static str,
    raw: &Raw,
) -> Result<Option<Secret>, SettingsError> {
    if let Some(value) = given(variable) {
        return Ok(Some(Secret::Given(value)));
    }
    raw.get(key).map(|path| read_now(key, PathBuf::from(path))).transpose()
}

/// The secret of a file, which can be read.
fn read_now(key: &'static str, path: PathBuf) -> Result<Secret, SettingsError> {
    let shown = path.display().to_string();
    let failed = |source| SettingsError::Secret { key, path: shown.clone(), source };
    let secret = Secret::File(path);
    if secret.read().map_err(failed)?.is_empty() {
        return Err(failed(std::io::Error::other("it is empty")));
    }
    Ok(secret)
}

/// Takes every alert. The address is never repeated: its path may be a secret.
fn webhook(url: &str, secret: Option<Secret>) -> Result<Sink, SettingsError> {
    let refused = |why| SettingsError::Address { key: "alerts.webhook.url", why };
    let url = WebAddress::parse(url).map_err(refused)?;
    match secret {
        Some(secret) => Ok(Sink {
            name: "webhook".to_owned(),
            kind: SinkKind::Webhook { url, secret },
            route: Route::ALL,
            with_logs: false,
        }),
        None => Err(refused("it needs a secret: TRUEUP_WEBHOOK_SECRET or alerts.webhook.secretFile")),
    }
}

/// The kind of the git host, and where its API is.
fn host(raw: &Raw) -> Result<HostSettings, SettingsError> {
    let kind = raw.get("repository.host").map(|word| {
        let kind = HostKind::ALL.into_iter().find(|kind| kind.word() == word);
        let why = "expected github or gitlab";
        kind.ok_or_else(|| SettingsError::Value { key: "repository.host", value: word.clone(), why })
    });
    let api = raw.get("repository.api").map(|text| WebAddress::parse(text));
    let refused = |why| SettingsError::Address { key: "repository.api", why };
    Ok(HostSettings { kind: kind.transpose()?, api: api.transpose().map_err(refused)? })
}

fn address(value: String) -> Result<SocketAddr, SettingsError> {
    let why = "expected an address and a port, such as 0.0.0.0:8080";
    value.parse().map_err(|_| SettingsError::Value { key: "http.listen", value, why })
}

fn poll_interval(value: String) -> Result<Duration, SettingsError> {
    let parsed = duration::parse(&value).ok_or(duration::EXPECTED);
    let poll = parsed.and_then(|poll| if poll < SHORTEST_POLL { Err("5s at the least") } else { Ok(poll) });
    poll.map_err(|why| SettingsError::Value { key: "pollInterval", value, why })
}

impl Allow {
    fn parse(raw: &Raw) -> Result<Self, SettingsError> {
        let list = |key: &str| {
            raw.get(key)
                .map(|text| text.split(',').map(|part| part.trim().to_owned()).collect::<Vec<String>>())
        };
        let accounts = list("allow.accounts");
        if let Some(wrong) = accounts.iter().flatten().find(|text| !AccountId::is_one(text)) {
            let value = wrong.clone();
            return Err(SettingsError::Value { key: "allow.accounts", value, why: "expected twelve digits" });
        }
        let patterns = |key: &'static str| {
            let patterns = list(key);
            match patterns.iter().flatten().find(|text| !is_pattern(text)) {
                Some(wrong) => Err(SettingsError::Value { key, value: wrong.clone(), why: PATTERN }),
                None => Ok(patterns),
            }
        };
        let globs = list("allow.environments").map(|globs| {
            let glob = |text: String| match Glob::new(&text) {
                Ok(glob) => Ok(glob.compile_matcher()),
                Err(_) => Err(SettingsError::Value {
                    key: "allow.environments",
                    value: text,
                    why: "expected a name or a pattern such as test-*",
                }),
            };
            globs.into_iter().map(glob).collect::<Result<Vec<_>, _>>()
        });
        let accounts: Option<Vec<AccountId>> =
            accounts.map(|accounts| accounts.into_iter().map(AccountId::new).collect());
        let names = patterns("allow.repositories")?.map(|all| all.into_iter().map(Pattern::new).collect());
        Ok(Self {
            repositories: AllowedRepositories { names, accounts: accounts.clone() },
            accounts,
            environments: globs.transpose()?,
            clusters: patterns("allow.clusters")?.map(|all| all.into_iter().map(Pattern::new).collect()),
            roles: patterns("allow.roles")?.map(|all| all.into_iter().map(RolePattern::new).collect()),
        })
    }

    /// Freezes what the repository declares beyond its reach, each with a finding. The roles and images of a task definition that
    /// is no file are known when it is read: the bounds go along.
    pub fn restrict(&self, declaration: &mut Declaration) {
        declaration.findings.extend(self.no_bound(declaration));
        for declared in &mut declaration.applications {
            if let Declared::Readable(desired) = declared {
                desired.allowed_roles.clone_from(&self.roles);
                desired.allowed_repositories.clone_from(&self.repositories);
            }
            let Some(desired) = declared.observable() else { continue };
            let Some(why) = self.refusal(desired) else { continue };
            declaration.findings.push(Finding {
                severity: Severity::Error,
                position: desired.declared_at.clone(),
                field: String::new(),
                message: why,
                hint: Some("the operator's settings decide this, under `allow`".to_owned()),
                excerpt: None,
                targets: vec![desired.target.clone()],
            });
            *declared = Declared::unknown(desired.target.clone());
        }
    }

    /// A pattern that bounds nothing looks like a bound to whoever reads the settings.
    fn no_bound(&self, declaration: &Declaration) -> Option<Finding> {
        let pattern = self.roles.iter().flatten().find(|pattern| pattern.is_any())?;
        let first = declaration.readable().next()?;
        Some(Finding {
            severity: Severity::Warning,
            position: first.declared_at.clone(),
            field: "allow.roles".to_owned(),
            message: format!("the operator's settings allow every role, by `{}`", pattern.as_str()),
            hint: Some(
                "name those that tasks may have, under `allow.roles`, such as ecsTaskExecutionRole or mco-*"
                    .to_owned(),
            ),
            excerpt: None,
            targets: declaration.readable().map(|one| one.target.clone()).collect(),
        })
    }

    /// Why this must not be reached. That the credentials belong to the declared account is checked against STS.
    fn refusal(&self, desired: &Desired) -> Option<String> {
        let environment = desired.target.environment.as_str();
        if self
            .environments
            .as_ref()
            .is_some_and(|globs| !globs.iter().any(|glob| glob.is_match(environment)))
        {
            return Some(format!("this repository may not use the environment {environment}"));
        }
        let listed = |account: &AccountId| self.accounts.iter().flatten().any(|known| known == account);
        match (&self.accounts, &desired.account) {
            (Some(_), None) => {
                return Some("only some accounts are allowed, and none is declared".to_owned());
            }
            (Some(_), Some(account)) if !listed(account) => {
                return Some(format!("this repository may not use the account {account}"));
            }
            _ => {}
        }
        let registry =
            desired.registry.account.as_ref().filter(|registry| Some(*registry) != desired.account.as_ref());
        let registry = registry
            .filter(|registry| !listed(registry))
            .map(|registry| format!("this repository may not use the registry of account {registry}"));
        registry.or_else(|| self.refusal_by_name(desired))
    }

    fn refusal_by_name(&self, desired: &Desired) -> Option<String> {
        let refused = |what: &str, name: &str| Some(format!("this repository may not use the {what} {name}"));
        let cluster = desired.cluster.as_str();
        if !allows(self.clusters.as_deref(), |pattern| pattern.matches(cluster)) {
            return refused("cluster", cluster);
        }
        let account = desired.account.as_ref();
        let registry = desired.registry.account.as_ref();
        for repository in repositories::declared(desired) {
            if !self.repositories.allows(&repository, account, registry) {
                return refused("image repository", &repository.to_string());
            }
        }
        let is_refused =
            |role: &&str| !allows(self.roles.as_deref(), |pattern| pattern.matches(role, account));
        roles::declared(desired).into_iter().find(is_refused).and_then(|role| refused("role", role))
    }
}

/// Whether one of the patterns allows it, or there is no bound.
fn allows<T>(patterns: Option<&[T]>, matches: impl FnMut(&T) -> bool) -> bool {
    patterns.is_none_or(|patterns| patterns.iter().any(matches))
}

const PATTERN: &str = "expected a name, with * and ? for what differs";

fn is_pattern(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=,.@:/-*?".contains(&byte);
    !text.is_empty() && text.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::{self, Files};

    fn load(
        file: Option<&str>,
        variables: &[(&str, &str)],
        command_line: &[(&'static str, &str)],
    ) -> Result<Settings, SettingsError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("trueup.yaml");
        std::fs::write(&path, file.unwrap_or_default()).unwrap();
        let environment = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        let command_line = command_line.iter().map(|(key, value)| (*key, (*value).to_owned())).collect();
        Settings::load(command_line, &environment, file.map(|_| path.to_str().unwrap()))
    }

    #[test]
    fn the_command_line_goes_before_the_environment_and_that_before_the_file() {
        let file = "repository: {location: /file, branch: file, path: file}\n";
        let variables = [("TRUEUP_BRANCH", "variable"), ("TRUEUP_PATH", "variable")];
        let settings = load(Some(file), &variables, &[("repository.path", "line")]).unwrap();
        let found = (settings.location.as_str(), settings.branch.as_deref(), settings.path.as_str());
        assert_eq!(found, ("/file", Some("variable"), "line"));
        assert_eq!((settings.poll_interval, load(None, &[], &[]).unwrap().location), (POLL, ".".to_owned()));
    }

    #[test]
    fn what_is_wrong_in_the_file_is_said_with_its_place() {
        for (file, expected) in [
            ("repository:\n  lokation: x\n", "trueup.yaml:2:3: unknown setting `repository.lokation`"),
            ("repository:\n  token: hunter2\n", "use `repository.tokenFile`"),
            ("repository: [x]\n", "expected a map, found a list"),
            ("allow: {accounts: {}}\n", "expected text"),
            ("allow: {accounts: [[\"111111111111\"]]}\n", "trueup.yaml:1:20: expected text, found a list"),
            ("allow: {clusters: [a, {b: c}]}\n", "trueup.yaml:1:23: expected text, found a map"),
            ("allow: {roles: [a, [b]]}\n", "trueup.yaml:1:20: expected text, found a list"),
            ("allow: {roles: [\"a,b\"]}\n", "a comma separates entries"),
            ("allow: {environments: [[test]]}\n", "expected text, found a list"),
            ("allow: {repositories: [null]}\n", "expected text, found nothing"),
            ("allow:\n  accounts:\n", "trueup.yaml:2:11: expected text, found nothing"),
            ("repository: {branch: ~}\n", "expected text, found nothing"),
            ("a: 1\n---\nb: 2\n", "expected one document"),
            ("pollInterval: soon\n", "expected a number with s, m or h"),
            ("pollInterval: 1s\n", "5s at the least"),
            (
                "repository: {host: bitbucket}\n",
                "repository.host is \"bitbucket\": expected github or gitlab",
            ),
            (
                "repository: {api: http://example.com/hunter2}\n",
                "repository.api cannot be used: it is not encrypted",
            ),
            ("allow: {accounts: [\"12\"]}\n", "expected twelve digits"),
            ("allow: {roles: [\"{a}\"]}\n", "allow.roles is \"{a}\": expected a name, with * and ?"),
            ("allow: {clusters: [\"\"]}\n", "allow.clusters is \"\""),
            ("alerts: {webhook: {url: \"http://example.com/hunter2\"}}\n", "it is not encrypted"),
            ("alerts: {webhook: {url: \"http://localhost:x@evil.com/hunter2\"}}\n", "a user or a password"),
            ("repository: {lokation: //me:hunter2@example.com/x}\n", "unknown setting"),
            ("repository: //me:hunter2@example.com/x\n", "expected a map, found text"),
            ("alerts: {webhook: {urll: \"https://example.com/hunter2\"}}\n", "unknown setting"),
            ("alerts: {webhook: {url: \"https://example.com/hunter2\"}}\n", "it needs a secret"),
            (
                "alerts:\n  sinks:\n    a: {kind: webhook, url: http://example.com/hunter2}\n",
                "trueup.yaml:3:29: it is not encrypted",
            ),
        ] {
            let said = load(Some(file), &[], &[]).unwrap_err().to_string();
            assert!(said.contains(expected), "{file}: {said}");
            assert!(!said.contains("hunter2"), "{said}");
        }
    }

    #[test]
    fn two_sinks_of_one_name_are_refused() {
        let load = |sinks: &str| {
            let webhook =
                [("TRUEUP_WEBHOOK_URL", "https://example.com"), ("TRUEUP_WEBHOOK_SECRET", "hunter2")];
            let variables = [webhook.as_slice(), &[("TRUEUP_SINKS", sinks)]].concat();
            load(None, &variables, &[]).map_err(|error| error.to_string())
        };
        let sink = "{kind: webhook, url: https://example.com, secretVariable: TRUEUP_WEBHOOK_SECRET}";
        assert_eq!(load(&format!("{{a: {sink}, b: {sink}}}")).unwrap().sinks.len(), 3);
        let said = load(&format!("{{webhook: {sink}}}")).unwrap_err();
        assert!(said.contains("has the name webhook too; give that one another"), "{said}");
        let said = load(&format!("{{a: {sink}, a: {sink}}}")).unwrap_err();
        assert!(said.contains("TRUEUP_SINKS:1:87: duplicate key `a`"), "{said}");
    }

    #[test]
    fn secrets_come_by_reference_and_are_never_shown() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "hunter2\n").unwrap();
        let file = format!("repository: {{tokenFile: {}}}\n", path.display());
        let variables = [("TRUEUP_WEBHOOK_URL", "https://example.com"), ("TRUEUP_WEBHOOK_SECRET", "hunter3")];
        let settings = load(Some(&file), &variables, &[]).unwrap();
        assert_eq!(settings.credentials.token.as_ref().unwrap().read().unwrap(), "hunter2");
        let SinkKind::Webhook { secret, .. } = &settings.sinks[0].kind else { panic!("no webhook") };
        assert_eq!(secret.read().unwrap(), "hunter3");
        let shown = format!("{settings:?}");
        assert!(!shown.contains("hunter"), "{shown}");
        std::fs::write(&path, "\n").unwrap();
        let said = load(Some(&file), &[], &[]).unwrap_err().to_string();
        assert!(said.contains("of repository.tokenFile cannot be read"), "{said}");
    }

    #[test]
    fn a_repository_reaches_only_what_is_allowed() {
        for (allow, account, registry, allowed) in [
            ("", "account: \"111111111111\"", "", true),
            ("", "account: \"111111111111\"", "registry: {account: \"222222222222\"}", false),
            ("allow: {accounts: [\"111111111111\"]}", "account: \"111111111111\"", "", true),
            ("allow: {accounts: [\"111111111111\"]}", "account: \"222222222222\"", "", false),
            ("allow: {accounts: [\"111111111111\"]}", "", "", false),
            (
                "allow: {accounts: [\"111111111111\", \"222222222222\"]}",
                "account: \"111111111111\"",
                "registry: {account: \"222222222222\"}",
                true,
            ),
            ("allow: {environments: [\"te*\"]}", "", "", true),
            ("allow: {environments: [prod]}", "", "", false),
            ("allow: {clusters: [c]}", "", "", true),
            ("allow: {clusters: [\"d*\", \"?\"]}", "", "", true),
            ("allow: {clusters: [d]}", "", "", false),
            ("allow: {repositories: [\"mco/*\", \"tools/router\"]}", "", "", true),
            ("allow: {repositories: [\"mco/*\"]}", "", "", false),
            ("allow: {repositories: [\"tools/*\"]}", "", "", false),
            ("allow: {repositories: [\"mco/*\", \"*.dkr.ecr.*/tools/*\"]}", "", "", true),
            ("allow: {repositories: [mco]}", "", "", false),
            ("allow: {repositories: [\"*\"]}", "account: \"111111111111\"", "", true),
            ("allow: {repositories: [\"*\"]}", "account: \"222222222222\"", "", false),
            (
                "allow: {repositories: [\"*\"], accounts: [\"222222222222\"]}",
                "account: \"222222222222\"",
                "",
                false,
            ),
            // Images of others, such as AWS's own beside the application, are bounded where repositories are.
            ("allow: {accounts: [\"222222222222\"]}", "account: \"222222222222\"", "", true),
            (
                "allow: {repositories: [\"*\"], accounts: [\"111111111111\", \"222222222222\"]}",
                "account: \"222222222222\"",
                "",
                true,
            ),
            (
                "allow: {roles: [\"exec*\", \"arn:aws:iam::111111111111:role/hooks\"]}",
                "account: \"111111111111\"",
                "",
                true,
            ),
            (
                "allow: {roles: [\"exec*\", \"arn:aws:iam::222222222222:role/hooks\"]}",
                "account: \"111111111111\"",
                "",
                false,
            ),
            ("allow: {roles: [\"exec*\"]}", "account: \"111111111111\"", "", false),
            ("allow: {roles: [hooks]}", "account: \"111111111111\"", "", false),
        ] {
            // A role of another account than the environment's is no good anywhere.
            let own = if account.contains("222222222222") { "222222222222" } else { "111111111111" };
            let application = "apiVersion: trueup.dev/v1\nkind: Application\nmetadata: {name: a}\nspec: {repository: mco/a, service: a, taskDefinition: t.json, serviceSettings: {volumeConfigurations: [{name: v, managedEBSVolume: {roleArn: 'arn:aws:iam::OWN:role/hooks'}}]}}\n";
            let files = Files::from([
                ("a.yaml".to_owned(), Ok(application.replace("OWN", own))),
                ("t.json".to_owned(), Ok(r#"{"family": "a", "executionRoleArn": "execution", "volumes": [{"name": "v", "configuredAtLaunch": true}], "containerDefinitions": [{"name": "a", "image": "<IMAGE_NAME>", "memory": 128}, {"name": "r", "image": "111111111111.dkr.ecr.eu-west-2.amazonaws.com/tools/router:1", "memory": 128}]}"#.to_owned())),
                ("e.yaml".to_owned(), Ok(format!("apiVersion: trueup.dev/v1\nkind: Environment\nmetadata: {{name: test}}\nspec:\n  cluster: c\n  {account}\n  {registry}\n  applications: {{a: {{commit: aaaaaaa}}}}\n"))),
            ]);
            let mut declaration = manifest::read(&files, None, &|_, _| Vec::new());
            assert_eq!(declaration.findings, [], "{account} {registry}");
            load(Some(allow), &[], &[]).unwrap().allow.restrict(&mut declaration);
            let readable = matches!(declaration.applications[0], Declared::Readable(_));
            assert_eq!(
                (readable, declaration.findings.len()),
                (allowed, usize::from(!allowed)),
                "{allow} {account} {registry}"
            );
        }
    }

    #[test]
    fn an_image_of_another_registry_is_allowed_with_that_before_its_name() {
        for (allow, allowed) in [
            ("", true),
            ("allow: {accounts: [\"111111111111\"]}", true),
            ("allow: {repositories: [\"*\"]}", false),
            ("allow: {repositories: [\"mco/*\", \"public.ecr.aws/docker/*\"]}", false),
            (
                "allow: {repositories: [\"mco/*\", \"public.ecr.aws/docker/*\", \"docker.io/library/busybox\"]}",
                true,
            ),
            ("allow: {repositories: [\"mco/*\", \"public.ecr.aws/docker/*\", \"docker.io/busybox\"]}", false),
            // What stands in the place of the own image is put in, and says nothing.
            ("allow: {repositories: [\"mco/*\", \"*.*/*\"]}", true),
        ] {
            let application = "apiVersion: trueup.dev/v1\nkind: Application\nmetadata: {name: a}\nspec: {repository: mco/a, service: a, containers: [a], taskDefinition: t.json}\n";
            let task_definition = r#"{"family": "a", "containerDefinitions": [{"name": "a", "image": "evil/a:1", "memory": 128},
                {"name": "r", "image": "public.ecr.aws/docker/library/nginx:1", "memory": 128}, {"name": "i", "image": "busybox", "memory": 128}]}"#;
            let environment = "apiVersion: trueup.dev/v1\nkind: Environment\nmetadata: {name: test}\nspec: {account: \"111111111111\", applications: {a: {commit: aaaaaaa}}}\n";
            let files = [("a.yaml", application), ("t.json", task_definition), ("e.yaml", environment)];
            let files: Files =
                files.into_iter().map(|(name, text)| (name.to_owned(), Ok(text.to_owned()))).collect();
            let mut declaration = manifest::read(&files, None, &|_, _| Vec::new());
            assert_eq!(declaration.findings, []);
            load(Some(allow), &[], &[]).unwrap().allow.restrict(&mut declaration);
            let readable = matches!(declaration.applications[0], Declared::Readable(_));
            assert_eq!(readable, allowed, "{allow}: {:#?}", declaration.findings);
        }
    }

    #[test]
    fn a_pattern_that_allows_every_role_is_a_warning() {
        for (roles, expected) in [("[\"*\"]", 1), ("[a, \"arn:aws:iam::*:role/*\"]", 1), ("[\"a*\"]", 0)] {
            let application = "apiVersion: trueup.dev/v1\nkind: Application\nmetadata: {name: a}\nspec: {repository: mco/a, service: a}\n";
            let environment = "apiVersion: trueup.dev/v1\nkind: Environment\nmetadata: {name: test}\nspec: {applications: {a: {commit: aaaaaaa}}}\n";
            let files = [("a.yaml", application), ("e.yaml", environment)];
            let files: Files =
                files.into_iter().map(|(name, text)| (name.to_owned(), Ok(text.to_owned()))).collect();
            let mut declaration = manifest::read(&files, None, &|_, _| Vec::new());
            let settings = load(Some(&format!("allow: {{roles: {roles}}}")), &[], &[]).unwrap();
            settings.allow.restrict(&mut declaration);
            let warnings = declaration.findings.iter().filter(|one| one.severity == Severity::Warning);
            assert_eq!(warnings.count(), expected, "{roles}");
            assert!(matches!(declaration.applications[0], Declared::Readable(_)));
        }
    }

    #[test]
    fn the_roles_of_a_native_strategy_are_bounded_too() {
        let rule = "arn:aws:elasticloadbalancing:eu-west-2:111111111111:listener-rule/app/mco/1/1/1";
        for (allow, allowed) in [("[traffic, hooks]", true), ("[hooks]", false), ("[traffic]", false)] {
            let application = format!(
                "apiVersion: trueup.dev/v1\nkind: Application\nmetadata: {{name: a}}\nspec:\n  repository: mco/a\n  service: a\n  strategy: {{canary: {{traffic: [{{container: a, port: 80, targetGroups: [a, b], productionRule: '{rule}', role: traffic}}], hooks: [{{lambda: f, role: hooks, at: [preScaleUp]}}]}}}}\n"
            );
            let environment = "apiVersion: trueup.dev/v1\nkind: Environment\nmetadata: {name: test}\nspec: {account: \"111111111111\", applications: {a: {commit: aaaaaaa}}}\n";
            let files = Files::from([
                ("a.yaml".to_owned(), Ok(application)),
                ("e.yaml".to_owned(), Ok(environment.to_owned())),
            ]);
            let mut declaration = manifest::read(&files, None, &|_, _| Vec::new());
            assert_eq!(declaration.findings, []);
            let settings = load(Some(&format!("allow: {{roles: {allow}}}")), &[], &[]).unwrap();
            settings.allow.restrict(&mut declaration);
            let readable = matches!(declaration.applications[0], Declared::Readable(_));
            assert_eq!(readable, allowed, "{allow}");
        }
    }

    #[test]
    fn the_documentation_lists_every_key_and_variable() {
        let documented = include_str!("../docs/settings.md");
        for (key, variable) in KEYS {
            let row = format!("| `{key}` | `{variable}` |");
            assert!(documented.contains(&row), "docs/settings.md has no row {row}");
        }
        for variable in SECRETS {
            assert!(
                documented.contains(&format!("`{variable}`")),
                "docs/settings.md does not name {variable}"
            );
        }
    }
}
