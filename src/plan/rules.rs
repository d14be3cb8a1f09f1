//! The rules by which a target is decided, in the order in which they are asked. The first that does not pass answers.
//!
//! Three kinds of rules know more and more: what AWS told; what is live, and what should be; and, where the two differ, who made
//! the difference. Each stands in a file of its own; here stands why they are asked in this order.

use serde_json::Value;

use super::carriers;
use super::facts::{Facts, unreadable};
use super::phase::Current;
use super::step::{Step, Why};
use crate::documents::memory::{self, Stamp};
use crate::model::{ContentHash, OnDrift, Phase, Service, TaskDefinitionArn, Waiting};

/// What a rule says.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Answer {
    /// Nothing: the next rule is asked.
    Pass,
    /// These writes, in this order.
    Write(Vec<Step>),
    /// All is as it should be.
    Done,
    Wait(Waiting),
}

/// What must hold before the next rule is asked.
impl From<Result<(), Waiting>> for Answer {
    fn from(held: Result<(), Waiting>) -> Self {
        held.map_or_else(Self::Wait, |()| Self::Pass)
    }
}

/// The last word: without a write there is nothing to do.
impl From<Result<Vec<Step>, Waiting>> for Answer {
    fn from(steps: Result<Vec<Step>, Waiting>) -> Self {
        match steps {
            Ok(steps) if steps.is_empty() => Self::Done,
            Ok(steps) => Self::Write(steps),
            Err(waiting) => Self::Wait(waiting),
        }
    }
}

/// What comes before anything else, if there is such a thing.
impl From<Result<Option<Vec<Step>>, Waiting>> for Answer {
    fn from(steps: Result<Option<Vec<Step>>, Waiting>) -> Self {
        match steps {
            Ok(None) => Self::Pass,
            Ok(Some(steps)) => Self::Write(steps),
            Err(waiting) => Self::Wait(waiting),
        }
    }
}

/// What is live and goes on.
pub(super) struct Live<'f, 'a> {
    pub facts: &'f Facts<'a>,
    pub service: &'a Service,
    pub current: &'f Current,
}

/// What should run in its place.
pub(super) struct Change<'f, 'a> {
    pub live: Live<'f, 'a>,
    pub rendered: &'f Value,
    content: ContentHash,
    why: Why,
    /// Whether somebody else made the difference, if that can be told.
    is_drift: Result<bool, Waiting>,
    /// The revision that is registered for it.
    revision: Option<&'a TaskDefinitionArn>,
}

enum Ask {
    Facts(fn(&Facts<'_>) -> Answer),
    Live(fn(&Live<'_, '_>) -> Answer),
    Change(fn(&Change<'_, '_>) -> Answer),
}

/// One rule.
pub struct Rule {
    pub name: &'static str,
    /// What holds where it passes.
    pub passes: &'static str,
    /// Why it is asked here, and not before or behind.
    pub here: &'static str,
    ask: Ask,
}

/// In the order in which they are asked.
pub static RULES: [Rule; 26] = [
    Rule {
        name: "service",
        passes: "the account is the declared one, and the service is there and deployed in a way that trueup knows",
        here: "of another account, or another kind of service, nothing that follows would be true",
        ask: Ask::Facts(|facts| facts.readable_service().map(drop).into()),
    },
    Rule {
        name: "reading",
        passes: "the deployments and the task definitions at hand could be read",
        here: "nothing is concluded from what could not be read",
        ask: Ask::Facts(|facts| facts.reading_is_whole().into()),
    },
    Rule {
        name: "failure",
        passes: "no deployment has failed that is to be recorded or undone",
        here: "before anything newer begins: a failure that is not on record would be tried again",
        ask: Ask::Live(|live| live.facts.record_and_undo_failure(live.service, live.current).into()),
    },
    Rule {
        name: "rollback",
        passes: "AWS is not rolling anything back",
        here: "what AWS undoes is followed to its end, whatever is declared by now",
        ask: Ask::Live(|live| match live.current.phase {
            Phase::RollingBack => Answer::Wait(live.facts.still_deploying(live.current)),
            _ => Answer::Pass,
        }),
    },
    Rule {
        name: "success",
        passes: "what runs is recorded and tagged as far as it can be",
        here: "before anything newer begins: once that is under way, nobody sees any more that this one ended well",
        ask: Ask::Live(|live| live.facts.record_and_tag_success(live.current).into()),
    },
    Rule {
        name: "content",
        passes: "what should run is known: its images are built, and it can be filled in",
        here: "everything from here on compares with it; what went on before is finished without it",
        ask: Ask::Live(|live| match &live.facts.rendered {
            Ok(_) => Answer::Pass,
            Err(_) if !live.current.phase.is_over() => Answer::Wait(live.facts.still_deploying(live.current)),
            Err(waiting) => Answer::Wait(waiting.clone()),
        }),
    },
    Rule {
        name: "shift",
        passes: "no deployment is on its way that has not got the traffic yet, or is to be undone",
        here: "what it brings may be what is declared, although something else is live; and the way back waits for nothing",
        ask: Ask::Live(|live| {
            let Ok(rendered) = &live.facts.rendered else { return Answer::Pass };
            let current = live.current;
            if current.phase.is_over() {
                return Answer::Pass;
            }
            match live.facts.commit_tags_stand(current) {
                Ok(()) => live.facts.undo_in_flight(current, rendered).into(),
                Err(_) if current.target == current.live_revision => Answer::Pass,
                Err(waiting) => Answer::Wait(waiting),
            }
        }),
    },
    Rule {
        name: "arrival",
        passes: "what is live is not what is declared, or its service settings differ",
        here: "where nothing differs, nobody needs to know who would have changed it",
        ask: Ask::Live(|live| {
            if !live.is_as_declared() {
                return Answer::Pass;
            }
            if live.facts.settings_differences().is_empty() {
                return live.facts.finish_after_deploy(live.current).into();
            }
            match live.facts.ours.get(&live.current.live_revision) {
                Some(memory) => live.facts.apply_settings(live.current, memory).into(),
                // Settings are stamped on a revision of ours, which has yet to be made.
                None => Answer::Pass,
            }
        }),
    },
    Rule {
        name: "hold",
        passes: "what is declared has not failed here",
        here: "what is held needs no further reading: only a person or another declaration ends it",
        ask: Ask::Change(|change| match change.facts().hold() {
            Some((_, id)) => Answer::Wait(change.facts().waiting_on_hold(change.current().phase, id)),
            None => Answer::Pass,
        }),
    },
    Rule {
        name: "commit tag",
        passes: "the tags of the declared commits are where they were",
        here: "before anything is replaced: the image may no longer be that of the commit",
        ask: Ask::Change(|change| change.facts().commit_tags_stand(change.current()).into()),
    },
    Rule {
        name: "in flight",
        passes: "nothing goes on that has to end first",
        here: "what goes on may be replaced by what is declared, and by nothing that is not known to be declared",
        ask: Ask::Change(|change| {
            let newer = change.facts().newer(change.current(), change.rendered);
            change.facts().may_interrupt(change.current(), newer).into()
        }),
    },
    Rule {
        name: "running",
        passes: "the tasks could be read",
        here: "they tell which image a tag stood for",
        ask: Ask::Change(|change| change.facts().running_is_known().into()),
    },
    Rule {
        name: "family",
        passes: "the newest revisions of the family could be read",
        here: "asked for only where something is to be changed: it costs a call for each of them",
        ask: Ask::Change(|change| change.facts().newest().map(drop).into()),
    },
    Rule {
        name: "source",
        passes: "what was deployed last was declared before what is declared now",
        here: "behind the newest revisions, which carry the stamps: a clone that lags must not take back what is newer",
        ask: Ask::Change(|change| change.facts().source_is_current(change.facts().highest().as_ref()).into()),
    },
    Rule {
        name: "first contact",
        passes: "trueup has deployed here before, or all that it remembers was read",
        here: "what is concluded from nothing being there must not rest on half a memory",
        ask: Ask::Change(|change| match change.why {
            Why::FirstContact => change.facts().memory_is_complete().into(),
            _ => Answer::Pass,
        }),
    },
    Rule {
        name: "drift",
        passes: "git has changed, or what was changed outside trueup is to be restored",
        here: "whose change it is decides whether anything may be written at all",
        ask: Ask::Change(|change| match &change.is_drift {
            Err(waiting) => Answer::Wait(waiting.clone()),
            Ok(false) => Answer::Pass,
            Ok(true) => change.drift().into(),
        }),
    },
    Rule {
        name: "roles",
        passes: "the operator lets the repository give away these roles",
        here: "before anything is registered",
        ask: Ask::Change(|change| change.facts().roles_are_allowed(change.rendered).into()),
    },
    Rule {
        name: "fit",
        passes: "AWS takes what would be registered, and its parts fit together",
        here: "before anything is registered",
        ask: Ask::Change(|change| change.facts().fits_together(change.rendered).into()),
    },
    Rule {
        name: "repositories",
        passes: "the operator lets the repository run these images",
        here: "before anything is registered",
        ask: Ask::Change(|change| change.facts().repositories_are_allowed(change.rendered).into()),
    },
    Rule {
        name: "turn",
        passes: "no other application has to come first",
        here: "behind all that keeps it from being deployed at all: a turn is not given to who cannot take it",
        ask: Ask::Change(|change| match change.facts().input.turn {
            Some(why) => Answer::Wait(Waiting::Turn { why: why.to_owned() }),
            None => Answer::Pass,
        }),
    },
    Rule {
        name: "environment tag",
        passes: "the environment tag can be moved when it has succeeded",
        here: "before the deployment: afterwards nothing could be done about it",
        ask: Ask::Change(|change| {
            let mut images = change.facts().images.iter();
            images.try_for_each(|image| change.facts().tag_can_move(image)).into()
        }),
    },
    Rule {
        name: "group",
        passes: "CodeDeploy's application and group are there and fit, or none are needed",
        here: "before a revision is registered that nobody could deploy",
        ask: Ask::Change(|change| {
            let input = change.facts().input;
            let carrier = &change.facts().carrier;
            match carrier.preflight(input.desired, change.live.service, input.observed) {
                Ok(None) => Answer::Pass,
                Ok(Some(step)) => change.facts().unless_just_written(vec![step]).into(),
                Err(waiting) => Answer::Wait(waiting),
            }
        }),
    },
    Rule {
        name: "traffic",
        passes: "where ECS shifts traffic, rules and target groups are as it needs them",
        here: "before a revision is registered that nobody could deploy, and again before each write",
        ask: Ask::Change(|change| {
            let input = change.facts().input;
            carriers::can_shift(input.desired, change.live.service, input.observed).into()
        }),
    },
    Rule {
        name: "old tasks",
        passes: "CodeDeploy keeps no old tasks that stand in the way",
        here: "while it does, it starts no other deployment",
        ask: Ask::Change(|change| change.facts().end_standby(change.current(), change.rendered).into()),
    },
    Rule {
        name: "registration",
        passes: "a revision is registered for what is declared",
        here: "a deployment is always one of a revision that is ours",
        ask: Ask::Change(|change| match change.revision {
            Some(_) => Answer::Pass,
            None => change.register().into(),
        }),
    },
    Rule {
        name: "start",
        passes: "",
        here: "last: everything that could speak against it has been asked",
        ask: Ask::Change(|change| match (change.revision, change.why) {
            (None, _) => Answer::Pass,
            (Some(revision), Why::Interrupted) => change.facts().start_once_more(revision).into(),
            // It is stamped first, so that whoever comes next knows whose deployment it is.
            (Some(revision), why) => {
                let stamp = Stamp::Applied(change.facts().next_stamp(change.current(), why));
                change.facts().stamp(revision, stamp).into()
            }
        }),
    },
];

impl Live<'_, '_> {
    fn is_as_declared(&self) -> bool {
        let rendered = self.facts.rendered.as_ref();
        rendered.is_ok_and(|rendered| self.facts.equals_by_effect(&self.current.live_revision, rendered))
    }
}

impl<'f, 'a> Change<'f, 'a> {
    fn of(live: Live<'f, 'a>) -> Result<Self, Waiting> {
        let (facts, current) = (live.facts, live.current);
        let rendered = facts.rendered.as_ref().map_err(Clone::clone)?;
        let content = memory::content_hash(&facts.input.desired.target, rendered);
        let why = facts.why(&content, current);
        let is_drift = match why {
            Why::FirstContact => facts.git_has_changed(current, rendered).map(|changed| !changed),
            why => Ok(why == Why::Drift),
        };
        let revision = facts.revision_with(&content);
        Ok(Self { live, rendered, content, why, is_drift, revision })
    }

    fn facts(&self) -> &'f Facts<'a> {
        self.live.facts
    }

    fn current(&self) -> &'f Current {
        self.live.current
    }

    /// What somebody else deployed is judged when it has come to its end.
    fn drift(&self) -> Result<(), Waiting> {
        self.facts().is_steady(self.current())?;
        if self.facts().input.desired.policy.drift != OnDrift::Heal {
            return Err(Waiting::Drifted);
        }
        self.facts().may_heal(self.current())
    }

    fn register(&self) -> Result<Vec<Step>, Waiting> {
        let facts = self.facts();
        facts.memory_is_complete()?;
        facts.is_described_as_sent(self.rendered, &self.content)?;
        facts.tags_fit()?;
        let stamp = facts.next_stamp(self.current(), self.why);
        facts.unless_just_written(vec![facts.registration(self.rendered, &self.content, &stamp)])
    }
}

/// The answer, and the place of the rule that gave it.
pub(super) fn ask(facts: &Facts<'_>) -> (usize, Answer) {
    let mut change = None;
    for (place, rule) in RULES.iter().enumerate() {
        let answer = match rule.ask {
            Ask::Facts(ask) => ask(facts),
            Ask::Live(ask) => live(facts).map_or_else(Answer::Wait, |live| ask(&live)),
            Ask::Change(ask) => {
                let change = change.get_or_insert_with(|| live(facts).and_then(Change::of));
                change.as_ref().map_or_else(|waiting| Answer::Wait(waiting.clone()), ask)
            }
        };
        if answer != Answer::Pass {
            return (place, answer);
        }
    }
    (RULES.len().saturating_sub(1), Answer::Done)
}

/// The first rule has found that both are there.
fn live<'f, 'a>(facts: &'f Facts<'a>) -> Result<Live<'f, 'a>, Waiting> {
    let service = facts.service.ok_or_else(|| unreadable("the service", "it was not read"))?;
    let current = facts.current.as_ref().ok_or(Waiting::ServiceNotActive)?;
    Ok(Live { facts, service, current })
}
