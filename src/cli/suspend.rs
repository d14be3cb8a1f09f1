//! `trueup suspend` and `trueup resume`: hold the writes of an environment or of one application back, by a change of
//! the infrastructure repository, for every controller and everybody to see.

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use jiff::Timestamp;

use super::change::{Change, Draft, Edited, Work, readable};
use super::delivery::Delivery;
use super::{End, RepositoryArgs};
use crate::manifest::edit;
use crate::model::{Declaration, Declared, Desired, Suspension, SuspensionScope, Target};
use crate::plan::waiting;
use crate::text::duration;
use crate::text::nearest::nearest;

/// Characters of a reason: it stands in one line of every status.
const LONGEST_REASON: usize = 200;

pub(super) async fn suspend(
    arguments: &RepositoryArgs,
    name: &str,
    reason: String,
    until: Option<Timestamp>,
    delivery: Delivery,
) -> anyhow::Result<End> {
    if let Some(until) = until {
        ensure!(until > Timestamp::now(), "{until} is over already; nothing was changed");
    }
    let scope = scope(name);
    let suspension = Suspension { until: until.map(Timestamp::as_second), reason, scope };
    make(arguments, Wanted { name, suspension: Some(suspension) }, delivery).await
}

pub(super) async fn resume(
    arguments: &RepositoryArgs,
    name: &str,
    delivery: Delivery,
) -> anyhow::Result<End> {
    make(arguments, Wanted { name, suspension: None }, delivery).await
}

async fn make(arguments: &RepositoryArgs, wanted: Wanted<'_>, delivery: Delivery) -> anyhow::Result<End> {
    let work = Work::open(arguments.settings()?, delivery.start()).await?;
    delivery.carry_out(&work, &wanted).await
}

/// One line of text, for an option.
pub(super) fn reason(text: &str) -> Result<String, String> {
    let text = text.trim();
    match text.chars().count() {
        0 => Err("say why, in a few words".to_owned()),
        count if count > LONGEST_REASON => Err(format!("expected {LONGEST_REASON} characters at most")),
        _ if text.contains(char::is_control) => Err("expected one line of text".to_owned()),
        _ => Ok(text.to_owned()),
    }
}

/// A time of day, for an option; whole seconds, as the files have them.
pub(super) fn until(text: &str) -> Result<Timestamp, String> {
    let parsed = text.parse::<Timestamp>().ok();
    let whole = parsed.and_then(|time| Timestamp::from_second(time.as_second()).ok());
    whole.ok_or_else(|| "expected a time such as 2027-01-31T08:00:00Z".to_owned())
}

/// A duration from now on, for an option.
pub(super) fn lasting(text: &str) -> Result<Timestamp, String> {
    let duration = duration::parse(text).filter(|duration| !duration.is_zero()).ok_or(duration::EXPECTED)?;
    let hint = || format!("expected {} days at most; or name its end by --until", days(duration::LONGEST));
    let duration = Some(duration).filter(|duration| *duration <= duration::LONGEST).ok_or_else(hint)?;
    let end = Timestamp::now().as_second().saturating_add_unsigned(duration.as_secs());
    Timestamp::from_second(end).map_err(|error| error.to_string())
}

fn days(duration: Duration) -> u64 {
    duration.as_secs() / (24 * 3600)
}

/// What is to be declared of an environment, or of an application in it.
struct Wanted<'a> {
    /// `ENVIRONMENT` or `ENVIRONMENT/APPLICATION`.
    name: &'a str,
    /// `None`: nothing suspends it.
    suspension: Option<Suspension>,
}

fn scope(name: &str) -> SuspensionScope {
    if name.contains('/') { SuspensionScope::Application } else { SuspensionScope::Environment }
}

impl Change for Wanted<'_> {
    fn draft(&self, declaration: &Declaration) -> anyhow::Result<Option<Draft<'_>>> {
        let desired = self.readable(declaration)?;
        let name = self.name;
        let now = own(desired[0], scope(name));
        if now == self.suspension.as_ref() {
            match &self.suspension {
                Some(_) => say!("{name} is suspended so already"),
                None => say!("{name} is not suspended{}", beside(name, desired[0])),
            }
            return Ok(None);
        }
        let (subject, told) = match &self.suspension {
            Some(suspension) => {
                let until = written(suspension)?.map(|until| format!(" until {until}")).unwrap_or_default();
                (format!("suspend {name}{until}"), format!("{name}: {}", waiting::suspended(suspension)))
            }
            None => (format!("resume {name}"), format!("{name}: resumed{}", beside(name, desired[0]))),
        };
        let message = match &self.suspension {
            Some(suspension) => format!("{subject}\n\n{}", suspension.reason),
            None => subject,
        };
        let Target { environment, application } = desired[0].target.clone();
        let edit = move |text: &str| {
            let application = name.contains('/').then_some(application.as_str());
            let edited = match &self.suspension {
                Some(suspension) => {
                    let until = written(suspension).ok().flatten();
                    let (reason, until) = (suspension.reason.as_str(), until.as_deref());
                    edit::suspend(text, environment.as_str(), application, reason, until)?
                }
                None => {
                    let edited = edit::resume(text, environment.as_str(), application)?;
                    edited.unwrap_or_else(|| text.to_owned())
                }
            };
            Ok(Edited { text: edited, told: told.clone() })
        };
        let targets = desired.iter().map(|one| one.target.clone()).collect();
        let topic =
            if self.suspension.is_some() { format!("suspend {name}") } else { format!("resume {name}") };
        let file = desired[0].declared_at.file.clone();
        Ok(Some(Draft { file, edit: Box::new(edit), targets, topic, message }))
    }

    fn is_declared(&self, declaration: &Declaration) -> bool {
        let is_so = |one: &&Desired| own(one, scope(self.name)) == self.suspension.as_ref();
        self.readable(declaration).is_ok_and(|desired| desired.iter().all(is_so))
    }
}

impl Wanted<'_> {
    /// The applications that it is about, as far as their files can be read; at least one. A frozen application does not
    /// keep its environment from being suspended.
    fn readable<'d>(&self, declaration: &'d Declaration) -> anyhow::Result<Vec<&'d Desired>> {
        if self.name.contains('/') {
            return Ok(vec![readable(declaration, self.name)?]);
        }
        let is_here = |target: &Target| target.environment.as_str() == self.name;
        let found: Vec<&Desired> = declaration.readable().filter(|one| is_here(&one.target)).collect();
        if !found.is_empty() {
            return Ok(found);
        }
        let all: Vec<&Target> = declaration.applications.iter().map(Declared::target).collect();
        if let Some(frozen) = all.iter().find(|target| is_here(target)) {
            readable(declaration, &frozen.to_string()).map(drop)?;
        }
        let names: Vec<&str> = all.iter().map(|target| target.environment.as_str()).collect();
        let hint = nearest(self.name, &names).map(|near| format!("\n  hint  did you mean {near}?"));
        bail!("no environment {} with an application{}", self.name, hint.unwrap_or_default())
    }
}

/// What is declared of it itself.
fn own(desired: &Desired, scope: SuspensionScope) -> Option<&Suspension> {
    desired.suspensions.iter().find(|suspension| suspension.scope == scope)
}

/// What suspends an application all the same.
fn beside(name: &str, desired: &Desired) -> String {
    let of_environment = own(desired, SuspensionScope::Environment).filter(|_| name.contains('/'));
    let environment = &desired.target.environment;
    match of_environment {
        Some(_) => format!("; its environment is: trueup resume {environment}"),
        None => String::new(),
    }
}

/// Its end, as the files have it.
fn written(suspension: &Suspension) -> anyhow::Result<Option<String>> {
    let until = suspension.until.map(|until| Timestamp::from_second(until).context("not a time"));
    Ok(until.transpose()?.map(|until| until.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_take_a_line_a_time_and_a_duration() {
        for (text, is_taken) in
            [("a freeze", true), ("  ", false), ("two\nlines", false), (&"x".repeat(201), false)]
        {
            assert_eq!(reason(text).is_ok(), is_taken, "{text}");
        }
        let time = until("2027-01-31T10:00:00.7+02:00").unwrap();
        assert_eq!(time.to_string(), "2027-01-31T08:00:00Z");
        assert!(until("tomorrow").is_err() && until("2027-01-31").is_err());
        for (text, is_taken) in
            [("2h", true), ("720h", true), ("721h", false), ("0", false), ("2 hours", false)]
        {
            assert_eq!(lasting(text).is_ok(), is_taken, "{text}");
        }
    }
}
