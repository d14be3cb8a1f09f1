//! `alerts.sinks`: where alerts go, and which of them. In the file, or as the same text in a variable.

use std::path::PathBuf;

use globset::{Glob, GlobMatcher};

use super::SettingsError;
use crate::address::WebAddress;
use crate::git_host::{Access, HostError, HostSettings, HostedRepository, Kind as HostKind};
use crate::model::alert::{Event, Severity};
use crate::model::{AccountId, Region, Target};
use crate::secret::Secret;
use crate::text::fields::{Fields, entries, some_items, text};
use crate::text::report::Report;
use crate::text::tree::{self, Node};

/// The key of the file.
pub(super) const KEY: &str = "alerts.sinks";
/// The same map as text, for those that give settings by variables only.
pub(super) const VARIABLE: &str = "TRUEUP_SINKS";
/// Each is a queue, a task, and a label in metrics.
const MOST: usize = 32;

/// One receiver of alerts.
#[derive(Clone, Debug)]
pub struct Sink {
    /// What logs and metrics call it.
    pub name: String,
    pub kind: SinkKind,
    pub route: Route,
    /// Log lines of failed tasks go along: whoever reads the chat then reads them too.
    pub with_logs: bool,
}

/// What it is, and how it is reached. Addresses of chats are secrets: who knows one may write there.
#[derive(Clone, Debug)]
pub enum SinkKind<S = Secret> {
    Webhook {
        url: WebAddress,
        secret: S,
    },
    Slack {
        url: S,
    },
    Teams {
        url: S,
    },
    /// A topic of Amazon SNS.
    Sns(AwsName),
    /// A bus of Amazon EventBridge.
    EventBridge(AwsName),
    /// The host of the infrastructure repository.
    GitHost(GitHost<S>),
}

/// A repository at GitHub or GitLab whose commits get statuses, and its pull requests a comment.
#[derive(Clone, Debug)]
pub struct GitHost<S = Secret> {
    pub kind: HostKind,
    /// As git writes it; `None`: that of the settings.
    pub address: Option<String>,
    pub api: Option<WebAddress>,
    pub access: Access<S>,
}

impl GitHost {
    /// What reaches it. Why not repeats no address.
    pub fn repository(&self) -> Result<HostedRepository, HostError> {
        let settings = HostSettings { kind: Some(self.kind), api: self.api.clone() };
        let address = self.address.as_deref().unwrap_or_default();
        HostedRepository::at(address, &settings, Some(self.access.clone()), &|_| None)
    }
}

/// A receiver at AWS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwsName {
    /// As AWS is told.
    pub name: String,
    /// `None`: the account of the credentials.
    pub account: Option<AccountId>,
    /// `None`: the region of the AWS settings.
    pub region: Option<Region>,
}

impl AwsName {
    /// By an ARN of this service, whose resource begins and goes on so.
    fn of_arn(text: &str, service: &str, resource: &str) -> Option<Self> {
        let mut parts = text.splitn(6, ':');
        let [arn, partition, of, region, account, name] =
            std::array::from_fn(|_| parts.next().unwrap_or_default());
        let name = name.strip_prefix(resource)?;
        let is_region =
            !region.is_empty() && region.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        let is_one = arn == "arn"
            && partition.starts_with("aws")
            && of == service
            && is_region
            && AccountId::is_one(account)
            && is_plain(name);
        is_one.then(|| Self {
            name: text.to_owned(),
            account: Some(AccountId::new(account)),
            region: Some(Region::new(region)),
        })
    }
}

/// What topics and buses may be called (Amazon SNS API reference, `CreateTopic`; botocore's model of EventBridge, `EventBusName`).
fn is_plain(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./".contains(&byte);
    (1..=256).contains(&name.len()) && name.bytes().all(plain)
}

/// Which alerts a sink gets.
#[derive(Clone, Debug)]
pub struct Route {
    /// `None`: all, and what is about none.
    environments: Option<Vec<GlobMatcher>>,
    applications: Option<Vec<GlobMatcher>>,
    events: Option<Vec<GlobMatcher>>,
    /// The least that is told.
    severity: Severity,
}

impl Route {
    /// Every alert.
    pub const ALL: Self =
        Self { environments: None, applications: None, events: None, severity: Severity::Information };

    /// `target`: what it is about; `None`: the repository as a whole, which concerns everybody.
    pub fn takes(&self, event: Event, target: Option<&Target>) -> bool {
        let environment = |target: &Target| target.environment.to_string();
        let application = |target: &Target| target.application.to_string();
        event.severity() >= self.severity
            && matches(self.events.as_deref(), Some(event.name()))
            && matches(self.environments.as_deref(), target.map(environment).as_deref())
            && matches(self.applications.as_deref(), target.map(application).as_deref())
    }
}

fn matches(globs: Option<&[GlobMatcher]>, name: Option<&str>) -> bool {
    match (globs, name) {
        (Some(globs), Some(name)) => globs.iter().any(|glob| glob.is_match(name)),
        _ => true,
    }
}

/// A sink as it is written: its secrets are not read yet.
pub(super) struct Written {
    name: String,
    kind: SinkKind<Reference>,
    route: Route,
    with_logs: bool,
}

/// Where a secret is.
enum Reference {
    File(PathBuf),
    Variable(String),
}

/// The sinks of the variable.
pub(super) fn of_variable(text: &str) -> Result<Vec<Written>, SettingsError> {
    let mut report = Report::on(VARIABLE);
    let sinks = match tree::document(text) {
        Ok(document) => document.iter().flat_map(|node| read(node, &mut report)).collect(),
        Err(broken) => {
            report.broken(broken);
            Vec::new()
        }
    };
    if report.has_errors() { Err(SettingsError::Findings(report.findings)) } else { Ok(sinks) }
}

/// The sinks of a map of them. What is wrong is reported with its place.
pub(super) fn read(node: &Node, report: &mut Report<'_>) -> Vec<Written> {
    let Some(sinks) = entries(node, KEY, report) else { return Vec::new() };
    if let Some((name, _)) = sinks.get(MOST) {
        report.error(name, KEY, format!("{MOST} sinks at most"));
    }
    let mut written = Vec::new();
    for (name, node) in sinks.iter().take(MOST) {
        let path = format!("{KEY}.{}", name.text);
        if !is_name(&name.text) {
            report.error(name, &path, "expected a name of 1 to 40 small letters, digits and hyphens");
            continue;
        }
        written.extend(one(&name.text, node, &path, report));
    }
    written
}

/// It is a label of metrics.
fn is_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=40).contains(&text.len()) && text.bytes().all(plain)
}

/// Each kind, by its word, and what is read of its own fields.
type Kind = fn(&mut Fields<'_, '_, '_>) -> Option<SinkKind<Reference>>;
const KINDS: [(&str, Kind); 7] = [
    ("webhook", webhook),
    ("slack", |fields| Some(SinkKind::Slack { url: chat(fields)? })),
    ("teams", |fields| Some(SinkKind::Teams { url: chat(fields)? })),
    ("sns", |fields| Some(SinkKind::Sns(topic(fields)?))),
    ("eventBridge", |fields| Some(SinkKind::EventBridge(bus(fields)?))),
    ("github", |fields| git_host(fields, HostKind::GitHub)),
    ("gitlab", |fields| git_host(fields, HostKind::GitLab)),
];

fn one(name: &str, node: &Node, path: &str, report: &mut Report<'_>) -> Option<Written> {
    let mut fields = Fields::of(node, path, report);
    fields.require("kind");
    let kind = fields.word("kind", &KINDS)?;
    let kind = kind(&mut fields);
    let route = Route {
        environments: globs(&mut fields, "environments", |_| true),
        applications: globs(&mut fields, "applications", |_| true),
        events: globs(&mut fields, "events", |glob| {
            Event::ALL.iter().any(|event| glob.is_match(event.name()))
        }),
        severity: fields
            .word("severity", &Severity::ALL.map(|severity| (severity.name(), severity)))
            .unwrap_or(Severity::Information),
    };
    let with_logs = fields.word("logs", &[("true", true), ("false", false)]).unwrap_or(false);
    if let (true, Some(SinkKind::GitHost(_)), Some(node)) = (with_logs, &kind, fields.node("logs")) {
        let path = fields.path("logs");
        fields.report.error(node, &path, "log lines never go to git hosts");
    }
    fields.finish();
    Some(Written { name: name.to_owned(), kind: kind?, route, with_logs })
}

fn webhook(fields: &mut Fields<'_, '_, '_>) -> Option<SinkKind<Reference>> {
    let (url, secret) = (address(fields), reference(fields, "secretFile", "secretVariable"));
    Some(SinkKind::Webhook { url: url?, secret: secret? })
}

fn address(fields: &mut Fields<'_, '_, '_>) -> Option<WebAddress> {
    web_address(fields, "url")
}

/// Why it cannot be used does not repeat it: its path may be a secret.
fn web_address(fields: &mut Fields<'_, '_, '_>, key: &'static str) -> Option<WebAddress> {
    let (path, url, node) = (fields.path(key), fields.required(key)?, fields.node(key)?);
    let address = WebAddress::parse(&url);
    address.inspect_err(|why| _ = fields.report.error(node, &path, *why)).ok()
}

fn topic(fields: &mut Fields<'_, '_, '_>) -> Option<AwsName> {
    let (path, text, node) = (fields.path("topic"), fields.required("topic")?, fields.node("topic")?);
    if text.strip_suffix(".fifo").is_some() {
        fields.report.error(
            node,
            &path,
            "a FIFO topic is not supported; every alert has a key by which receivers drop what they know",
        );
        return None;
    }
    let topic = AwsName::of_arn(&text, "sns", "").filter(|_| !text.contains('/'));
    if topic.is_none() {
        fields.report.error(node, &path, "expected an ARN such as arn:aws:sns:eu-west-2:123456789012:alerts");
    }
    topic
}

/// By its name, in the account of the credentials and the region of the AWS settings, or by its ARN.
fn bus(fields: &mut Fields<'_, '_, '_>) -> Option<AwsName> {
    let (path, text, node) = (fields.path("bus"), fields.required("bus")?, fields.node("bus")?);
    let by_name = || is_plain(&text).then(|| AwsName { name: text.clone(), account: None, region: None });
    let bus = AwsName::of_arn(&text, "events", "event-bus/").or_else(by_name);
    if bus.is_none() {
        let message = "expected the name of a bus, such as default, or an ARN such as arn:aws:events:eu-west-2:123456789012:event-bus/alerts";
        fields.report.error(node, &path, message);
    }
    bus
}

/// By a token, or at GitHub as an app.
fn git_host(fields: &mut Fields<'_, '_, '_>, kind: HostKind) -> Option<SinkKind<Reference>> {
    let address = fields.text("repository");
    let api = if fields.node("api").is_some() { Some(web_address(fields, "api")?) } else { None };
    let app = if kind == HostKind::GitHub { fields.text("appId") } else { None };
    let access = match app {
        Some(id) => {
            let installation = match (fields.text("installation"), fields.node("installation")) {
                (Some(text), Some(node)) => {
                    let path = fields.path("installation");
                    let number = text.parse().ok();
                    if number.is_none() {
                        fields.report.error(node, &path, "expected the number of an installation");
                    }
                    number
                }
                _ => None,
            };
            Access::App { id, installation, key: reference(fields, "privateKeyFile", "privateKeyVariable")? }
        }
        None => Access::Token(reference(fields, "tokenFile", "tokenVariable")?),
    };
    Some(SinkKind::GitHost(GitHost { kind, address, api, access }))
}

/// The address of a chat, which is never written itself.
fn chat(fields: &mut Fields<'_, '_, '_>) -> Option<Reference> {
    let (path, written) = (fields.path("url"), fields.node("url"));
    let reference = reference(fields, "urlFile", "urlVariable");
    let Some(written) = written else { return reference };
    let finding = fields.report.error(written, &path, "the address is a secret and is never written here");
    finding.hint = Some("name a file in `urlFile`, or a variable in `urlVariable`".to_owned());
    None
}

/// A secret stands in exactly one of two places, never in the text itself.
fn reference(
    fields: &mut Fields<'_, '_, '_>,
    file: &'static str,
    variable: &'static str,
) -> Option<Reference> {
    match (fields.text(file), fields.text(variable)) {
        (Some(path), None) => Some(Reference::File(PathBuf::from(path))),
        (None, Some(name)) => Some(Reference::Variable(name)),
        (None, None) => {
            fields.require(file);
            None
        }
        (Some(_), Some(_)) => {
            let (path, node) = (fields.path(variable), fields.node(variable)?);
            fields.report.error(node, &path, format!("`{file}` says where it is already"));
            None
        }
    }
}

fn globs(
    fields: &mut Fields<'_, '_, '_>,
    key: &'static str,
    is_known: impl Fn(&GlobMatcher) -> bool,
) -> Option<Vec<GlobMatcher>> {
    let (path, node) = (fields.path(key), fields.node(key)?);
    let mut globs = Vec::new();
    for item in some_items(node, &path, fields.report)? {
        let Some(pattern) = text(item, &path, fields.report) else { continue };
        match Glob::new(&pattern).map(|glob| glob.compile_matcher()) {
            Ok(glob) if is_known(&glob) => globs.push(glob),
            Ok(_) => {
                fields.report.error(item, &path, format!("no event is called `{pattern}`")).hint = Some(
                    "the events stand in docs/alerts.md; a pattern is one such as deployment.*".to_owned(),
                );
            }
            Err(_) => {
                fields.report.error(item, &path, "expected a name or a pattern such as prod-*");
            }
        }
    }
    Some(globs)
}

impl Written {
    /// With its secrets, which can be read now. Why one cannot never repeats it.
    /// `infra`: the infrastructure repository, and where the API of its host is.
    pub(super) fn resolved(
        self,
        given: &dyn Fn(&str) -> Option<String>,
        infra: (&str, Option<&WebAddress>),
    ) -> Result<Sink, SettingsError> {
        let name = self.name;
        let refused = |key: &'static str, why: String| SettingsError::Sink { sink: name.clone(), key, why };
        let secret = |reference: Reference, key: &'static str| {
            let secret = match reference {
                Reference::File(path) => Secret::File(path),
                Reference::Variable(name) => Secret::Given(given(&name).unwrap_or_default()),
            };
            match secret.read() {
                Ok(text) if text.is_empty() => Err(refused(key, "it is empty, or not there".to_owned())),
                Ok(_) => Ok(secret),
                Err(error) => Err(refused(key, format!("it cannot be read: {error}"))),
            }
        };
        let chat = |url| {
            let url = secret(url, "url")?;
            chat_address(&url).map(|_| url).map_err(|why| refused("url", why))
        };
        let kind = match self.kind {
            SinkKind::Slack { url } => SinkKind::Slack { url: chat(url)? },
            SinkKind::Teams { url } => SinkKind::Teams { url: chat(url)? },
            SinkKind::Sns(topic) => SinkKind::Sns(topic),
            SinkKind::EventBridge(bus) => SinkKind::EventBridge(bus),
            SinkKind::GitHost(GitHost { kind, address, api, access }) => {
                let access = match access {
                    Access::Token(token) => Access::Token(secret(token, "token")?),
                    Access::App { id, installation, key } => {
                        Access::App { id, installation, key: secret(key, "privateKey")? }
                    }
                };
                let api = if address.is_none() { api.or_else(|| infra.1.cloned()) } else { api };
                let address = Some(address.unwrap_or_else(|| infra.0.to_owned()));
                let host = GitHost { kind, address, api, access };
                host.repository().map_err(|error| refused("repository", error.to_string()))?;
                SinkKind::GitHost(host)
            }
            SinkKind::Webhook { url, secret: reference } => {
                SinkKind::Webhook { url, secret: secret(reference, "secret")? }
            }
        };
        Ok(Sink { kind, name, route: self.route, with_logs: self.with_logs })
    }
}

/// The address that a secret is. It is read each time: a file may hold another one later.
pub fn chat_address(secret: &Secret) -> Result<WebAddress, String> {
    let text = secret.read().map_err(|error| format!("it cannot be read: {error}"))?;
    WebAddress::parse(&text).map_err(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ApplicationName, EnvironmentName};

    fn load(sinks: &str, variables: &[(&str, &str)]) -> Result<Vec<Sink>, String> {
        let given = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        let written = of_variable(sinks).map_err(|error| error.to_string())?;
        let resolved = written
            .into_iter()
            .map(|sink| sink.resolved(&given, (INFRA, None)).map_err(|error| error.to_string()));
        resolved.collect()
    }

    const INFRA: &str = "https://github.com/mco/infra";
    const CHAT: (&str, &str) = ("CHAT", "https://hooks.example.com/hunter2");

    #[test]
    fn each_kind_is_read_with_its_secret() {
        let sinks = "{a: {kind: slack, urlVariable: CHAT, logs: true}, b: {kind: teams, urlVariable: CHAT}, c: {kind: webhook, url: https://example.com/x, secretVariable: KEY}}";
        let sinks = load(sinks, &[CHAT, ("KEY", "hunter3")]).unwrap();
        assert_eq!(sinks.iter().map(|sink| sink.name.as_str()).collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!(sinks.iter().map(|sink| sink.with_logs).collect::<Vec<_>>(), [true, false, false]);
        let shown = format!("{sinks:?}");
        assert!(!shown.contains("hunter"), "{shown}");
    }

    #[test]
    fn receivers_at_aws_say_where_they_are() {
        let arn = |rest: &str| format!("arn:aws-cn:{rest}");
        let (topic, bus) =
            (arn("sns:cn-north-1:123456789012:alerts"), arn("events:cn-north-1:123456789012:event-bus/a"));
        let sinks = format!(
            "{{a: {{kind: sns, topic: '{topic}'}}, b: {{kind: eventBridge, bus: '{bus}'}}, c: {{kind: eventBridge, bus: default}}}}"
        );
        let place = |sink: Sink| match sink.kind {
            SinkKind::Sns(AwsName { name, account, region })
            | SinkKind::EventBridge(AwsName { name, account, region }) => {
                (name, account.map(|account| account.to_string()), region.map(|region| region.to_string()))
            }
            _ => panic!("another kind"),
        };
        let found: Vec<_> = load(&sinks, &[]).unwrap().into_iter().map(place).collect();
        let there = || (Some("123456789012".to_owned()), Some("cn-north-1".to_owned()));
        assert_eq!(found[0], (topic, there().0, there().1));
        assert_eq!(found[1], (bus, there().0, there().1));
        assert_eq!(found[2], ("default".to_owned(), None, None));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place_and_repeats_no_secret() {
        for (sinks, expected) in [
            ("[slack]", "expected a map, found a list"),
            ("{A: {kind: slack}}", "TRUEUP_SINKS:1:2: expected a name of 1 to 40"),
            ("{a: {}}", "`kind` is missing"),
            (
                "{a: {kind: slak, urlVariable: CHAT}}",
                "`slak` is none of webhook, slack, teams, sns, eventBridge, github, gitlab",
            ),
            ("{a: {kind: slack}}", "`urlFile` is missing"),
            (
                "{a: {kind: slack, url: 'https://hooks.example.com/hunter2'}}",
                "is a secret and is never written here",
            ),
            ("{a: {kind: slack, urlFile: x, urlVariable: CHAT}}", "`urlFile` says where it is already"),
            (
                "{a: {kind: slack, urlVariable: NONE}}",
                "`url` of the sink a cannot be used: it is empty, or not there",
            ),
            (
                "{a: {kind: slack, urlFile: /nowhere/url}}",
                "`url` of the sink a cannot be used: it cannot be read",
            ),
            (
                "{a: {kind: teams, urlVariable: OPEN}}",
                "`url` of the sink a cannot be used: it is not encrypted",
            ),
            ("{a: {kind: webhook, secretVariable: CHAT}}", "TRUEUP_SINKS:1:5: `url` is missing"),
            (
                "{a: {kind: webhook, url: 'http://example.com/hunter2', secretVariable: CHAT}}",
                "TRUEUP_SINKS:1:26: it is not encrypted; use https://",
            ),
            ("{a: {kind: webhook, url: 'https://example.com'}}", "`secretFile` is missing"),
            ("{a: {kind: slack, urlVariable: CHAT, secretVariable: CHAT}}", "unknown field `secretVariable`"),
            (
                "{a: {kind: slack, urlVariable: CHAT, events: [deploymnt.*]}}",
                "no event is called `deploymnt.*`",
            ),
            ("{a: {kind: slack, urlVariable: CHAT, events: []}}", "the list is empty"),
            ("{a: {kind: slack, urlVariable: CHAT, environments: ['[']}}", "expected a name or a pattern"),
            (
                "{a: {kind: slack, urlVariable: CHAT, severity: fatal}}",
                "is none of information, warning, error",
            ),
            ("{a: {kind: sns}}", "`topic` is missing"),
            ("{a: {kind: sns, topic: alerts}}", "TRUEUP_SINKS:1:24: expected an ARN such as arn:aws:sns"),
            ("{a: {kind: sns, topic: 'arn:aws:sqs:eu-west-2:123456789012:alerts'}}", "expected an ARN"),
            ("{a: {kind: sns, topic: 'arn:aws:sns:eu-west-2:123:alerts'}}", "expected an ARN"),
            (
                "{a: {kind: sns, topic: 'arn:aws:sns:eu-west-2:123456789012:a.fifo'}}",
                "a FIFO topic is not supported",
            ),
            ("{a: {kind: eventBridge, bus: 'a b'}}", "expected the name of a bus"),
            (
                "{a: {kind: eventBridge, bus: 'arn:aws:events:eu-west-2:123456789012:rule/a'}}",
                "expected the name",
            ),
            ("{a: {kind: eventBridge, bus: default, topic: x}}", "unknown field `topic`"),
            ("{a: {kind: github}}", "`tokenFile` is missing"),
            ("{a: {kind: github, tokenVariable: NONE}}", "`token` of the sink a cannot be used: it is empty"),
            ("{a: {kind: github, appId: '1'}}", "`privateKeyFile` is missing"),
            (
                "{a: {kind: github, appId: '1', privateKeyVariable: KEY, installation: x}}",
                "expected the number of",
            ),
            ("{a: {kind: gitlab, appId: '1', tokenVariable: CHAT}}", "unknown field `appId`"),
            ("{a: {kind: github, tokenVariable: CHAT, logs: true}}", "log lines never go to git hosts"),
            (
                "{a: {kind: github, tokenVariable: CHAT, api: 'http://example.com/hunter2'}}",
                "it is not encrypted",
            ),
            (
                "{a: {kind: github, tokenVariable: CHAT, repository: /srv/hunter2}}",
                "`repository` of the sink a cannot be used: the git host is not known",
            ),
            ("{a: {kind: slack, urlVariable: CHAT, logs: maybe}}", "is none of true, false"),
            ("{a: {kind: slack, urlVariable: CHAT, color: red}}", "unknown field `color`"),
        ] {
            let open = ("OPEN", "http://hooks.example.com/hunter2");
            let said = load(sinks, &[CHAT, open]).unwrap_err();
            assert!(said.contains(expected), "{sinks}: {said}");
            assert!(!said.contains("hunter2"), "{said}");
        }
        let many = (0..=MOST).map(|number| format!("s{number}: {{kind: slack, urlVariable: CHAT}}"));
        let many = format!("{{{}}}", many.collect::<Vec<_>>().join(", "));
        assert!(load(&many, &[CHAT]).unwrap_err().contains("32 sinks at most"));
    }

    #[test]
    fn a_route_takes_what_it_names() {
        let target = |name: &str| {
            let (environment, application) = name.split_once('/').unwrap();
            Target {
                environment: EnvironmentName::new(environment),
                application: ApplicationName::new(application),
            }
        };
        let (failed, held, started) = (Event::DeploymentFailed, Event::CommitHeld, Event::DeploymentStarted);
        for (route, event, about, expected) in [
            ("", started, Some("test/api"), true),
            (", severity: warning", started, Some("test/api"), false),
            (", severity: warning", held, Some("test/api"), true),
            (", severity: error", held, Some("test/api"), false),
            (", environments: [prod, 'stag*']", failed, Some("staging/api"), true),
            (", environments: [prod, 'stag*']", failed, Some("test/api"), false),
            (", applications: [web]", failed, Some("prod/api"), false),
            (", applications: ['*']", failed, Some("prod/api"), true),
            (", events: ['deployment.*']", failed, Some("prod/api"), true),
            (", events: ['deployment.*']", held, Some("prod/api"), false),
            (", environments: [prod]", Event::SourceBroken, None, true),
            (", events: ['deployment.*']", Event::SourceBroken, None, false),
        ] {
            let sinks = load(&format!("{{a: {{kind: slack, urlVariable: CHAT{route}}}}}"), &[CHAT]).unwrap();
            let about = about.map(target);
            assert_eq!(sinks[0].route.takes(event, about.as_ref()), expected, "{route} {event:?} {about:?}");
        }
    }
}
