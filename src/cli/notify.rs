//! `trueup notify --test`: one message to each sink, and what it answers. For whoever sets them up.

use anyhow::bail;

use super::{End, RepositoryArgs};
use crate::model::alert::{Alert, Event};
use crate::notify::outbox;
use crate::ports::Reach;
use crate::settings::{Sink, SinkKind};
use crate::text::nearest::nearest;

/// `names`: which sinks; all, if none is named.
pub(super) async fn test(arguments: &RepositoryArgs, names: &[String]) -> anyhow::Result<End> {
    let settings = arguments.settings()?;
    let sinks = settings.sinks;
    let known: Vec<&str> = sinks.iter().map(|sink| sink.name.as_str()).collect();
    if known.is_empty() {
        bail!(
            "no sink is set\n  hint  name one under alerts.sinks of the operator's settings (docs/settings.md)"
        );
    }
    if let Some(unknown) = names.iter().find(|name| !known.contains(&name.as_str())) {
        let hint = nearest(unknown, &known).map(|near| format!("\n  hint  did you mean {near}?"));
        bail!("no sink is called {unknown}{}", hint.unwrap_or_default());
    }
    let alert = message();
    let is_at_aws = |sink: &Sink| matches!(sink.kind, SinkKind::Sns(_) | SinkKind::EventBridge(_));
    let aws =
        if sinks.iter().any(is_at_aws) { Some(super::aws(settings.accounts, None).await) } else { None };
    let reach = aws.as_ref().map(|aws| aws as &dyn Reach);
    let mut end = End::Good;
    for sink in sinks.iter().filter(|sink| names.is_empty() || names.contains(&sink.name)) {
        match outbox::try_once(sink, reach, &alert).await {
            Ok(()) => outln!("{}: delivered", sink.name),
            Err(why) => {
                outln!("{}: {why}", sink.name);
                end = End::Error;
            }
        }
    }
    Ok(end)
}

fn message() -> Alert {
    let at = jiff::Timestamp::now().as_millisecond();
    Alert {
        event: Event::Test,
        at,
        key: format!("{}/{at}", Event::Test.name()),
        target: None,
        commit: None,
        infra: None,
        deployment: None,
        summary: "trueup reaches you here: this is a test, and nothing has happened".to_owned(),
        causes: Vec::new(),
        differences: Vec::new(),
        state: None,
        links: Vec::new(),
        receipt: None,
    }
}
