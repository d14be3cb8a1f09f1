//! GitHub and GitLab: a status for each environment and application on the commit of the infrastructure repository that declared
//! the deployment, and a row in one comment on the pull request that brought it.
//!
//! A status for each application, since one for an environment would have to know all others of it, also after a restart. What
//! the comment says of the others stands in the comment.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::escape::{line, markdown};
use crate::git_host::{HostedRepository, Report, State, Trouble};
use crate::model::Millis;
use crate::model::alert::{Alert, Event};
use crate::notify::message;
use crate::settings::SinkKind;

/// "Make requests that change content serially, with at least a second between them": a delivery makes two.
pub(super) const GAP: Duration = Duration::from_secs(2);
const MARK: &str = "<!-- trueup:outcome -->";
const HEAD: &str =
    "**trueup**: what became of this change\n\n| application | outcome | since |\n|---|---|---|\n";
/// UTF-16 units of the comment, which GitHub takes 65,536 of: the oldest rows go first.
const MOST: usize = 60_000;
/// Characters of an outcome, and of its cause.
const LONGEST: usize = 140;
/// Statuses that are remembered, so that an older one that was late does not take the place of a newer one.
const MOST_TOLD: usize = 1_000;

/// What is told of one commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::notify) struct News {
    commit: String,
    context: String,
    state: State,
    description: String,
    page: Option<String>,
    at: Millis,
    /// Begins the row of the same application.
    key: String,
    row: String,
}

/// `None` where it is about no deployment of ours.
pub(super) fn news(alert: &Alert) -> Option<News> {
    let state = state(alert.event)?;
    let (infra, target) = (alert.infra.as_ref()?, alert.target.as_ref()?);
    let what = alert.summary.strip_prefix(&format!("{target}: ")).unwrap_or(&alert.summary);
    let what: String = line(what).chars().take(LONGEST).collect();
    let cause = alert.causes.first().filter(|_| state == State::Failure).map(ToString::to_string);
    let cause: Option<String> = cause.map(|cause| line(&cause).chars().take(LONGEST).collect());
    let description = cause.map_or_else(|| what.clone(), |cause| format!("{what}: {cause}"));
    let page = ["deployment", "service"].iter().find_map(|word| {
        let link = alert.links.iter().find(|(known, _)| known == word);
        link.map(|(_, address)| line(address).into_owned())
    });
    let key = format!("| {} | ", markdown(&target.to_string()));
    let row = row(&key, state, &description, alert.at);
    let context = format!("trueup/{target}");
    let commit = infra.as_str().to_owned();
    Some(News { commit, context, state, description, page, at: alert.at, key, row })
}

fn row(key: &str, state: State, description: &str, at: Millis) -> String {
    let at = jiff::Timestamp::from_millisecond(at).map(|at| format!("{at:.0}")).unwrap_or_default();
    format!("{key}{} {} | {at} |", mark(state), markdown(description))
}

impl News {
    /// That of an earlier commit, of which nothing else will be told: another one took its place at this time.
    fn replaced(&self, at: Millis) -> Self {
        let state = State::Replaced;
        let description = "a newer commit took its place before it ended".to_owned();
        let row = row(&self.key, state, &description, at);
        Self { state, description, at, row, ..self.clone() }
    }
}

fn state(event: Event) -> Option<State> {
    match event {
        Event::DeploymentStarted | Event::ApprovalNeeded | Event::ApprovalExpires | Event::TrafficShifted => {
            Some(State::Pending)
        }
        Event::DeploymentSucceeded => Some(State::Success),
        Event::DeploymentFailed | Event::DeploymentRolledBack | Event::CommitHeld => Some(State::Failure),
        _ => None,
    }
}

fn mark(state: State) -> &'static str {
    match state {
        State::Pending => "…",
        State::Success => message::mark(crate::model::alert::Severity::Information),
        State::Failure => message::mark(crate::model::alert::Severity::Error),
        State::Replaced => "–",
    }
}

/// The comment with this row in the place of that of the same application.
fn comment(there: Option<&str>, News { key, row, .. }: &News) -> String {
    let rows = there.into_iter().flat_map(|text| text.split('\n')).map(|row| row.trim_end_matches('\r'));
    let mut rows: Vec<&str> = rows.filter(|row| row.starts_with("| ")).skip(1).collect();
    match rows.iter_mut().find(|one| one.starts_with(key.as_str())) {
        Some(known) => *known = row,
        None => rows.push(row),
    }
    let length = |text: &str| text.encode_utf16().count();
    let mut whole: usize = rows.iter().map(|row| length(row) + 1).sum();
    while whole > MOST && rows.len() > 1 {
        let oldest = usize::from(rows.first().is_some_and(|first| first == row));
        whole -= length(rows.remove(oldest)) + 1;
    }
    format!("{MARK}\n{HEAD}{}\n", rows.join("\n"))
}

/// What tells one host.
pub(in crate::notify) struct Teller {
    repository: HostedRepository,
    /// When what was told last of a commit and context was so.
    told: Mutex<BTreeMap<String, Millis>>,
    /// What was told last of a context, as long as its end has not been told. A new process does not know it.
    open: Mutex<BTreeMap<String, News>>,
}

impl Teller {
    pub(in crate::notify) fn of(kind: &SinkKind) -> Option<Self> {
        let SinkKind::GitHost(host) = kind else { return None };
        // Settings whose repository cannot be reached are refused.
        Some(Self { repository: host.repository().ok()?, told: Mutex::default(), open: Mutex::default() })
    }

    pub(super) async fn reach(&self) -> Result<(), Trouble> {
        self.repository.reach().await
    }

    pub(super) async fn tell(&self, news: &News) -> Result<(), Trouble> {
        let about = format!("{} {}", news.commit, news.context);
        let is_old = locked(&self.told).get(&about).is_some_and(|at| *at > news.at);
        if is_old {
            return Ok(());
        }
        let open = locked(&self.open).get(&news.context).cloned();
        if let Some(open) = open.filter(|open| open.commit != news.commit && open.at <= news.at) {
            self.send(&open.replaced(news.at)).await?;
        }
        self.send(news).await?;
        remember(&self.told, about, news.at);
        match news.state {
            State::Pending => remember(&self.open, news.context.clone(), news.clone()),
            _ => _ = locked(&self.open).remove(&news.context),
        }
        Ok(())
    }

    async fn send(&self, news: &News) -> Result<(), Trouble> {
        let comment = |there: Option<&str>| comment(there, news);
        let report = Report {
            commit: &news.commit,
            context: &news.context,
            state: news.state,
            description: &news.description,
            page: news.page.as_deref(),
            mark: MARK,
            comment: &comment,
        };
        self.repository.report(&report).await
    }
}

fn locked<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn remember<T>(shared: &Mutex<BTreeMap<String, T>>, key: String, value: T) {
    let mut all = locked(shared);
    if all.len() >= MOST_TOLD {
        all.clear();
    }
    all.insert(key, value);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::WebAddress;
    use crate::git_host::fake_host::{FakeHost, JOB};
    use crate::git_host::{Access, Kind};
    use crate::model::InfraCommit;
    use crate::notify::message::tests::alert;
    use crate::secret::Secret;
    use crate::settings::GitHost;

    #[test]
    fn a_status_says_what_became_of_it_and_has_no_log_line() {
        let news = news(&alert()).unwrap();
        assert_eq!(news.context, "trueup/staging/api");
        assert_eq!((news.state, news.commit.len()), (State::Failure, 40));
        let expected =
            "77aa010 failed & was rolled back: container api exited with 137, <!channel> *OutOfMemoryError*";
        assert_eq!(news.description, expected);
        assert!(!news.row.contains("heap space") && !news.row.contains("<!channel>"), "{}", news.row);
        assert!(
            news.row.starts_with("| staging/api | ✗ 77aa010 failed &#38; was rolled back: "),
            "{}",
            news.row
        );
        assert!(news.row.ends_with(" | 2026-11-24T12:00:00Z |"), "{}", news.row);
    }

    #[test]
    fn only_what_is_about_a_deployment_of_ours_is_told() {
        let told: Vec<(&str, State)> = Event::ALL
            .into_iter()
            .filter_map(|event| Some((event.name(), news(&Alert { event, ..alert() })?.state)))
            .collect();
        let expected = [
            ("deployment.started", State::Pending),
            ("approval.needed", State::Pending),
            ("approval.expires", State::Pending),
            ("traffic.shifted", State::Pending),
            ("deployment.succeeded", State::Success),
            ("deployment.failed", State::Failure),
            ("deployment.rolled_back", State::Failure),
            ("commit.held", State::Failure),
        ];
        assert_eq!(told, expected);
        assert_eq!(news(&Alert { infra: None, ..alert() }), None, "another hand's");
        assert_eq!(news(&Alert { target: None, ..alert() }), None);
    }

    #[tokio::test]
    async fn a_late_status_takes_no_newer_ones_place_and_a_replaced_commit_does_not_stay_pending() {
        let host = FakeHost::start();
        let repository = Some("https://github.com/mco/infrastructure".to_owned());
        let access = Access::Token(Secret::Given(JOB.0.to_owned()));
        let api = WebAddress::parse(&host.url).ok();
        let kind = SinkKind::GitHost(GitHost { kind: Kind::GitHub, address: repository, api, access });
        let teller = Teller::of(&kind).unwrap();
        let of = |infra: char, event, at| {
            let infra = Some(InfraCommit::new(infra.to_string().repeat(40)));
            news(&Alert { event, at, infra, ..alert() }).unwrap()
        };
        for told in [
            of('a', Event::DeploymentStarted, 1),
            of('b', Event::DeploymentStarted, 2),
            of('b', Event::DeploymentSucceeded, 4),
            of('b', Event::DeploymentFailed, 3),
            of('c', Event::DeploymentStarted, 5),
        ] {
            teller.tell(&told).await.unwrap();
        }
        let statuses = host.state.lock().unwrap().statuses.clone();
        let told = statuses.iter().map(|(commit, one)| (&commit[..1], one["state"].as_str().unwrap()));
        let expected =
            [("a", "pending"), ("a", "error"), ("b", "pending"), ("b", "success"), ("c", "pending")];
        assert_eq!(told.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_comment_has_a_row_for_each_application_and_is_bounded() {
        let of = |application: &str, event, summary: &str| {
            let mut alert = Alert { event, summary: summary.to_owned(), causes: Vec::new(), ..alert() };
            alert.target.as_mut().unwrap().application = crate::model::ApplicationName::new(application);
            news(&alert).unwrap()
        };
        let first = comment(None, &of("api", Event::DeploymentStarted, "starts"));
        let head = format!("{MARK}\n{HEAD}");
        assert_eq!(first, format!("{head}| staging/api | … starts | 2026-11-24T12:00:00Z |\n"));
        // GitHub may give it back with line breaks of its own.
        let second =
            comment(Some(&first.replace('\n', "\r\n")), &of("web", Event::DeploymentStarted, "starts"));
        let third = comment(Some(&second), &of("api", Event::DeploymentSucceeded, "runs | here"));
        let rows = "| staging/api | ✓ runs &#124; here | 2026-11-24T12:00:00Z |\n| staging/web | … starts | 2026-11-24T12:00:00Z |\n";
        assert_eq!(third, format!("{head}{rows}"));
        let mut text = None;
        for number in 0..200 {
            let of = of(&format!("a{number}"), Event::DeploymentFailed, &"@".repeat(1_000));
            text = Some(comment(text.as_deref(), &of));
        }
        let text = text.unwrap();
        assert!(text.encode_utf16().count() < 65_536, "{}", text.len());
        assert!(text.contains("| staging/a199 |") && !text.contains("| staging/a0 |"));
    }
}
