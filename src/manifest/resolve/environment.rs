//! What an environment says of itself and, by default, of its applications.

use std::time::Duration;

use crate::manifest::names::NameKind;
use crate::manifest::read::Document;
use crate::model::{
    AccountId, EnvironmentName, Finding, InFlight, Mode, MoveTag, OnDrift, OnFailure, Pin, Policy, Region,
    Registry, Rollout, Suspension, SuspensionScope, Tag,
};
use crate::text::fields::{Fields, entries, kind, text};
use crate::text::report::Report;
use crate::text::tree::{Key, Kind, Node};

pub(super) struct Environment<'d, 'f> {
    pub name: EnvironmentName,
    pub account: Option<AccountId>,
    pub region: Option<Region>,
    pub cluster: Option<String>,
    pub tag: Tag,
    pub registry: Registry,
    pub policy: Policy,
    pub mode: Mode,
    pub suspension: Option<Suspension>,
    pub rollout: Rollout,
    /// Its applications, by name.
    pub entries: &'d [(Key, Node)],
    pub file: &'f str,
    /// Something in it is wrong: all its applications are frozen.
    pub broken: bool,
}

impl Environment<'_, '_> {
    /// The text, with the environment's name where it says `{environment}`.
    pub(super) fn fill(&self, text: &str) -> String {
        fill(text, self.name.as_str())
    }
}

/// `None` if the document has no `spec`, which is a finding already.
pub(super) fn read<'d, 'f>(
    document: &'d Document<'f>,
    findings: &mut Vec<Finding>,
) -> Option<Environment<'d, 'f>> {
    let mut report = Report::on(document.file);
    let mut fields = Fields::of(document.spec.as_ref()?, "spec", &mut report);
    let fill = |text: &str| fill(text, &document.name);
    let mode = fields.word("mode", &[("apply", Mode::Apply), ("observe", Mode::Observe)]);
    let suspension = fields
        .node("suspend")
        .and_then(|node| suspension(SuspensionScope::Environment, node, "spec.suspend", fields.report));
    let default = Policy::default();
    let policy = fields.node("policy").map(|node| policy(&default, node, "spec.policy", fields.report));
    let registry = fields.node("registry").map(|node| registry(node, "spec.registry", fields.report));
    let rollout = fields.node("rollout").map(|node| rollout(node, fields.report));
    let applications = fields.node("applications").filter(|node| !node.is_null());
    let entries = applications.and_then(|node| entries_by_name(node, fields.report));
    let mut environment = Environment {
        name: EnvironmentName::new(&document.name),
        account: account(&mut fields),
        region: region(&mut fields),
        cluster: fields.name("cluster", NameKind::Cluster, &fill),
        tag: Tag::new(tag(document, &mut fields, &fill)),
        registry: registry.unwrap_or_default(),
        policy: policy.unwrap_or(default),
        mode: mode.unwrap_or(Mode::Apply),
        suspension,
        rollout: rollout.unwrap_or_default(),
        entries: entries.unwrap_or_default(),
        file: document.file,
        broken: document.broken,
    };
    fields.finish();
    environment.broken |= report.has_errors();
    findings.append(&mut report.findings);
    Some(environment)
}

fn entries_by_name<'n>(node: &'n Node, report: &mut Report<'_>) -> Option<&'n [(Key, Node)]> {
    let before = report.findings.len();
    let entries = entries(node, "spec.applications", report);
    if let Some(finding) = report.findings.get_mut(before) {
        finding.hint = Some("each by its name, such as api: { commit: 3f2c1ab }".to_owned());
    }
    entries
}

fn account(fields: &mut Fields<'_, '_, '_>) -> Option<AccountId> {
    fields.name("account", NameKind::Account, &str::to_owned).map(AccountId::new)
}

fn region(fields: &mut Fields<'_, '_, '_>) -> Option<Region> {
    fields.name("region", NameKind::Region, &str::to_owned).map(Region::new)
}

/// Its own name, if nothing else is said.
fn tag(document: &Document<'_>, fields: &mut Fields<'_, '_, '_>, fill: &dyn Fn(&str) -> String) -> String {
    let declared = fields.name("environmentTag", NameKind::Tag, fill);
    declared.unwrap_or_else(|| document.name.clone())
}

/// The tag of an environment, as far as it can be read.
pub(super) fn tag_of(document: &Document<'_>) -> String {
    let declared = document.spec.as_ref().and_then(|spec| spec.get("environmentTag"));
    match declared.map(|node| &node.kind) {
        Some(Kind::Scalar { text, .. }) => fill(text, &document.name),
        _ => document.name.clone(),
    }
}

fn fill(text: &str, environment: &str) -> String {
    text.replace("{environment}", environment)
}

pub(super) fn registry(node: &Node, path: &str, report: &mut Report<'_>) -> Registry {
    let mut fields = Fields::of(node, path, report);
    let registry = Registry { account: account(&mut fields), region: region(&mut fields) };
    fields.finish();
    registry
}

/// Key by key over `base`.
pub(super) fn policy(base: &Policy, node: &Node, path: &str, report: &mut Report<'_>) -> Policy {
    let drift = [("alert", OnDrift::Alert), ("heal", OnDrift::Heal), ("ignore", OnDrift::Ignore)];
    let on_failure = [("rollback", OnFailure::Rollback), ("leave", OnFailure::Leave)];
    let in_flight = [("replace", InFlight::Replace), ("finish", InFlight::Finish)];
    let pin = [("digest", Pin::Digest), ("commitTag", Pin::CommitTag)];
    let move_tag = [("afterSuccess", MoveTag::AfterSuccess), ("never", MoveTag::Never)];
    let mut fields = Fields::of(node, path, report);
    let policy = Policy {
        drift: fields.word("drift", &drift).unwrap_or(base.drift),
        on_failure: fields.word("onFailure", &on_failure).unwrap_or(base.on_failure),
        progress_deadline: progress_deadline(&mut fields).unwrap_or(base.progress_deadline),
        steady: fields.duration("steady").unwrap_or(base.steady),
        in_flight: fields.word("inFlight", &in_flight).unwrap_or(base.in_flight),
        pin: fields.word("pin", &pin).unwrap_or(base.pin),
        move_tag: fields.word("moveTag", &move_tag).unwrap_or(base.move_tag),
    };
    fields.finish();
    policy
}

/// Without any time for it every deployment would have failed when it begins.
fn progress_deadline(fields: &mut Fields<'_, '_, '_>) -> Option<Duration> {
    let (path, node) = (fields.path("progressDeadline"), fields.node("progressDeadline")?);
    let deadline = fields.duration("progressDeadline")?;
    if deadline.is_zero() {
        fields.report.error(node, &path, "no deployment ends in no time").hint =
            Some("such as 15m, which is the default".to_owned());
    }
    (!deadline.is_zero()).then_some(deadline)
}

pub(super) fn suspension(
    scope: SuspensionScope,
    node: &Node,
    path: &str,
    report: &mut Report<'_>,
) -> Option<Suspension> {
    if !matches!(node.kind, Kind::Map(_)) {
        let message = format!("expected a map, found {}", kind(node));
        report.error(node, path, message).hint =
            Some("such as suspend: { reason: database migration }".to_owned());
        return None;
    }
    let mut fields = Fields::of(node, path, report);
    let reason = fields.required("reason");
    let until_path = fields.path("until");
    let until = fields.node("until").and_then(|node| second(node, &until_path, fields.report));
    fields.finish();
    Some(Suspension { until, reason: reason?, scope })
}

/// A point in time, as seconds since 1970.
fn second(node: &Node, path: &str, report: &mut Report<'_>) -> Option<i64> {
    let written = text(node, path, report)?;
    let parsed = written.parse::<jiff::Timestamp>();
    if parsed.is_err() {
        report.error(node, path, format!("not a timestamp: `{written}`")).hint =
            Some("such as 2027-01-31T08:00:00Z".to_owned());
    }
    parsed.ok().map(jiff::Timestamp::as_second)
}

fn rollout(node: &Node, report: &mut Report<'_>) -> Rollout {
    let mut fields = Fields::of(node, "spec.rollout", report);
    let default = Rollout::default();
    let rollout = Rollout {
        max_in_flight: fields
            .count("maxInFlight", "`mode: observe` or `suspend` hold everything back")
            .unwrap_or(default.max_in_flight),
        stop_after_failures: fields.count("stopAfterFailures", "1 stops at the first failure"),
    };
    fields.finish();
    rollout
}
