//! What a replica knows of one lease, and what it does about it. Pure: time is an argument, and always that of this machine's
//! monotonic clock.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::model::{LeaseClaim, LeaseRecord, Replica};

/// The longest silence of a holder that is waited for, whatever a record says.
pub const LONGEST: Duration = Duration::from_mins(10);

/// What holds for all leases of a replica.
#[derive(Clone, Debug)]
pub struct Terms {
    pub replica: Replica,
    /// How long the others wait for this replica before they take over.
    pub duration: Duration,
}

impl Terms {
    /// A holder renews this often.
    pub fn renewal(&self) -> Duration {
        self.duration / 3
    }

    /// How often a lease of somebody else is looked at, and a renewal that failed is tried again.
    pub fn look(&self) -> Duration {
        self.duration / 10
    }

    /// For how long a renewal counts. It ends before anybody else may take over, by more than a write to AWS takes.
    fn counts(&self) -> Duration {
        self.duration * 2 / 3
    }
}

/// One lease as one replica knows it.
#[derive(Debug, Default)]
pub struct Tenure {
    record: Option<LeaseRecord>,
    /// Since when the record has shown the same holder and renewal here.
    unchanged_since: Option<Instant>,
    /// When the renewal was begun that counts.
    renewed: Option<Instant>,
    /// Who gets it as soon as what is being written has ended.
    promised_to: Option<Replica>,
}

/// What is done about a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    Write(LeaseClaim),
    /// Write no more: somebody else gets it at the next look.
    Promise(Replica),
    /// Somebody else holds it, or it is kept for somebody else.
    StandBy,
}

impl Tenure {
    /// Whether it is time to read it again.
    pub fn is_due(&self, terms: &Terms, now: Instant) -> bool {
        self.promised_to.is_some()
            || self.renewed.is_none_or(|renewed| now.saturating_duration_since(renewed) >= terms.renewal())
    }

    /// Until when this replica may write.
    pub fn held_until(&self, terms: &Terms) -> Option<Instant> {
        if self.promised_to.is_some() {
            return None;
        }
        self.renewed.map(|renewed| renewed + terms.counts())
    }

    /// Takes note of a reading that ended at this moment.
    pub fn read(&mut self, terms: &Terms, record: Option<LeaseRecord>, ended: Instant) {
        let told = |record: &LeaseRecord| (record.holder.clone(), record.renewal.clone());
        if self.unchanged_since.is_none() || record.as_ref().map(told) != self.record.as_ref().map(told) {
            self.unchanged_since = Some(ended);
        }
        if record.as_ref().and_then(|record| record.holder.as_ref()) != Some(&terms.replica) {
            self.renewed = None;
            self.promised_to = None;
        }
        self.record = record;
    }

    /// Takes note of a write that was begun and that ended at these moments.
    pub fn written(&mut self, terms: &Terms, record: LeaseRecord, began: Instant, ended: Instant) {
        self.read(terms, Some(record), ended);
        let holder = self.record.as_ref().and_then(|record| record.holder.as_ref());
        self.renewed = (holder == Some(&terms.replica)).then_some(began);
    }

    /// What to do about the lease as it was read; `now` is when that reading began.
    pub fn decide(&self, terms: &Terms, shares: &Shares, now: Instant) -> Act {
        let me = &terms.replica;
        let hold = || Act::Write(LeaseClaim::Hold { by: me.clone(), duration: terms.duration });
        let Some(record) = &self.record else { return hold() };
        let asked_by = record.asked_by.as_ref().filter(|asked_by| *asked_by != me);
        match &record.holder {
            Some(holder) if holder == me => match (&self.promised_to, asked_by) {
                (Some(to), _) => Act::Write(LeaseClaim::GiveBack { to: Some(to.clone()) }),
                (None, Some(asked_by)) if shares.is_uneven(asked_by, me) => Act::Promise(asked_by.clone()),
                (None, _) => hold(),
            },
            // It was given back, to somebody who does not come.
            None if asked_by.is_none() || self.was_silent_for(terms.duration, now) => hold(),
            Some(_) if self.was_silent_for(record.duration, now) => hold(),
            Some(holder) if record.asked_by.is_none() && shares.may_ask(me, holder) => {
                Act::Write(LeaseClaim::Ask { by: me.clone() })
            }
            Some(_) | None => Act::StandBy,
        }
    }

    /// From now on nothing more is written; it is given to this replica at the next look.
    pub fn promise(&mut self, to: Replica) {
        self.promised_to = Some(to);
    }

    /// The record that a write goes over.
    pub fn record(&self) -> Option<&LeaseRecord> {
        self.record.as_ref()
    }

    fn was_silent_for(&self, duration: Duration, now: Instant) -> bool {
        let silence = self.unchanged_since.map(|since| now.saturating_duration_since(since));
        silence.is_some_and(|silence| silence >= duration.min(LONGEST))
    }
}

/// How many leases each replica holds, so that they are divided evenly: who has the most gives one to who asks for it and has at
/// least two fewer. Each asks for one at a time.
#[derive(Debug, Default)]
pub struct Shares {
    held: BTreeMap<Replica, usize>,
    /// Whether this replica waits for what it asked for.
    has_asked: bool,
}

impl Shares {
    pub fn of<'a>(terms: &Terms, all: impl Iterator<Item = &'a Tenure>) -> Self {
        let mut shares = Self::default();
        for record in all.filter_map(|tenure| tenure.record.as_ref()) {
            if let Some(holder) = &record.holder {
                *shares.held.entry(holder.clone()).or_default() += 1;
            }
            shares.has_asked |= record.asked_by.as_ref() == Some(&terms.replica);
        }
        shares
    }

    /// Takes what was decided about one lease into account for the next one.
    pub fn decided(&mut self, terms: &Terms, act: &Act) {
        match act {
            Act::Write(LeaseClaim::Ask { .. }) => self.has_asked = true,
            Act::Promise(to) => {
                *self.held.entry(to.clone()).or_default() += 1;
                let mine = self.held.entry(terms.replica.clone()).or_default();
                *mine = mine.saturating_sub(1);
            }
            Act::Write(_) | Act::StandBy => {}
        }
    }

    fn may_ask(&self, me: &Replica, holder: &Replica) -> bool {
        let most = self.held.values().max().copied().unwrap_or_default();
        !self.has_asked && self.count(holder) == most && self.is_uneven(me, holder)
    }

    /// Whether one lease less for the one would be no more than the other has then.
    fn is_uneven(&self, fewer: &Replica, more: &Replica) -> bool {
        self.count(more) >= self.count(fewer) + 2
    }

    fn count(&self, replica: &Replica) -> usize {
        self.held.get(replica).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const DURATION: Duration = Duration::from_secs(30);

    fn replica(name: &str) -> Replica {
        Replica::new(name)
    }

    fn terms() -> Terms {
        Terms { replica: replica("me"), duration: DURATION }
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// A record by its holder, its renewal, and who asked for it; `-` is nobody.
    fn record(text: &str) -> LeaseRecord {
        let words: Vec<&str> = text.split(' ').collect();
        let somebody = |word: &str| Some(replica(word)).filter(|_| word != "-");
        LeaseRecord {
            holder: somebody(words[0]),
            renewal: words[1].to_owned(),
            duration: DURATION,
            asked_by: somebody(words[2]),
            stored: json!(null),
        }
    }

    /// What is done after these readings, each so many seconds after the first one; the last one counts.
    fn decided(readings: &[(u64, &str)], others: &[&str]) -> String {
        let start = Instant::now();
        let (mut tenure, terms) = (Tenure::default(), terms());
        for (at, text) in readings {
            tenure.read(
                &terms,
                Some(*text).filter(|text| *text != "nothing").map(record),
                start + seconds(*at),
            );
        }
        let others: Vec<Tenure> =
            others.iter().map(|text| Tenure { record: Some(record(text)), ..Tenure::default() }).collect();
        let shares = Shares::of(&terms, others.iter().chain([&tenure]));
        said(&tenure.decide(&terms, &shares, start + seconds(readings[readings.len() - 1].0)))
    }

    fn said(act: &Act) -> String {
        match act {
            Act::Write(LeaseClaim::Hold { by, .. }) => format!("{by} holds"),
            Act::Write(LeaseClaim::Ask { by }) => format!("{by} asks"),
            Act::Write(LeaseClaim::GiveBack { to }) => {
                format!("given to {}", to.as_ref().map_or("anybody", Replica::as_str))
            }
            Act::Promise(to) => format!("promised to {to}"),
            Act::StandBy => "stands by".to_owned(),
        }
    }

    #[test]
    fn who_may_take_a_lease() {
        for (readings, expected) in [
            (&[(0, "nothing")][..], "me holds"),
            (&[(0, "- 1 -")], "me holds"),
            (&[(0, "me 1 -")], "me holds"),
            (&[(0, "you 1 -")], "stands by"),
            // A whole duration without a renewal, and not before; whatever somebody wished for in the meantime.
            (&[(0, "you 1 -"), (29, "you 1 -")], "stands by"),
            (&[(0, "you 1 -"), (30, "you 1 -")], "me holds"),
            (&[(0, "you 1 -"), (29, "you 2 -"), (58, "you 2 -")], "stands by"),
            (&[(0, "you 1 -"), (29, "you 2 -"), (59, "you 2 -")], "me holds"),
            (&[(0, "you 1 -"), (29, "you 1 them"), (30, "you 1 them")], "me holds"),
            (&[(0, "you 1 -"), (29, "them 1 -"), (30, "them 1 -")], "stands by"),
            // What is kept for another one is free when that one does not come.
            (&[(0, "- 1 them")], "stands by"),
            (&[(0, "- 1 them"), (29, "- 1 them")], "stands by"),
            (&[(0, "- 1 them"), (30, "- 1 them")], "me holds"),
            (&[(0, "- 1 me")], "me holds"),
        ] {
            assert_eq!(decided(readings, &[]), expected, "{readings:?}");
        }
    }

    #[test]
    fn leases_are_divided_evenly() {
        for (record, others, expected) in [
            // Who has two fewer asks who has the most, for one at a time.
            ("you 1 -", &["you 1 -"][..], "me asks"),
            ("you 1 -", &["me 1 -", "you 1 -"], "stands by"),
            ("you 1 -", &["me 1 -", "you 1 -", "you 1 -"], "me asks"),
            ("you 1 -", &["you 1 me"], "stands by"),
            ("you 1 them", &["you 1 -"], "stands by"),
            ("you 1 -", &["you 1 -", "them 1 -", "them 1 -", "them 1 -"], "stands by"),
            // Who is asked gives one if it has two more.
            ("me 1 you", &["me 1 -"], "promised to you"),
            ("me 1 you", &[], "me holds"),
            ("me 1 you", &["me 1 -", "you 1 -"], "me holds"),
            ("me 1 you", &["me 1 -", "me 1 -", "you 1 -"], "promised to you"),
        ] {
            assert_eq!(decided(&[(0, record)], others), expected, "{record}, {others:?}");
        }
    }

    #[test]
    fn several_that_are_asked_for_are_not_given_at_once_where_that_would_be_too_many() {
        let terms = terms();
        let all: Vec<Tenure> = ["me 1 you", "me 1 you", "me 1 you"]
            .iter()
            .map(|text| Tenure { record: Some(record(text)), ..Tenure::default() })
            .collect();
        let mut shares = Shares::of(&terms, all.iter());
        let acts: Vec<String> = all
            .iter()
            .map(|tenure| {
                let act = tenure.decide(&terms, &shares, Instant::now());
                shares.decided(&terms, &act);
                said(&act)
            })
            .collect();
        assert_eq!(acts, ["promised to you", "me holds", "me holds"]);
        let mut shares = Shares::of(&terms, [].into_iter());
        shares.decided(&terms, &Act::Write(LeaseClaim::Ask { by: replica("me") }));
        assert!(!shares.may_ask(&replica("me"), &replica("you")));
    }

    /// A lease that this replica has held from a write on that began at this moment.
    fn held(start: Instant) -> Tenure {
        let mut tenure = Tenure::default();
        tenure.written(&terms(), record("me 1 -"), start, start + seconds(4));
        tenure
    }

    #[test]
    fn a_renewal_counts_from_its_beginning_and_less_long_than_the_others_wait() {
        let (start, terms) = (Instant::now(), terms());
        let mut tenure = held(start);
        assert_eq!(tenure.held_until(&terms), Some(start + seconds(20)));
        for (at, is_due) in [(9, false), (10, true), (40, true)] {
            assert_eq!(tenure.is_due(&terms, start + seconds(at)), is_due, "{at}");
        }
        // A reading is no renewal; its own record is still there, and is renewed.
        tenure.read(&terms, Some(record("me 1 -")), start + seconds(12));
        assert_eq!(tenure.held_until(&terms), Some(start + seconds(20)));
        tenure.written(&terms, record("me 2 -"), start + seconds(13), start + seconds(14));
        assert_eq!(tenure.held_until(&terms), Some(start + seconds(33)));
    }

    #[test]
    fn nothing_is_held_that_another_one_holds_or_nobody() {
        for now in ["you 2 -", "- 2 -", "nothing"] {
            let (start, terms) = (Instant::now(), terms());
            let mut tenure = held(start);
            tenure.read(&terms, Some(now).filter(|now| *now != "nothing").map(record), start + seconds(5));
            assert_eq!(tenure.held_until(&terms), None, "{now}");
            assert!(tenure.is_due(&terms, start + seconds(5)), "{now}");
        }
        assert_eq!(Tenure::default().held_until(&terms()), None);
        // The answer to a write may have been lost: what the record says is renewed before it counts.
        let mut tenure = Tenure::default();
        tenure.read(&terms(), Some(record("me 1 -")), Instant::now());
        assert_eq!(tenure.held_until(&terms()), None);
    }

    #[test]
    fn what_is_promised_is_no_longer_written_to_and_given_at_the_next_look() {
        let (start, terms) = (Instant::now(), terms());
        let mut tenure = held(start);
        tenure.promise(replica("you"));
        assert_eq!(tenure.held_until(&terms), None);
        assert!(tenure.is_due(&terms, start));
        tenure.read(&terms, Some(record("me 1 you")), start + seconds(1));
        let act = tenure.decide(&terms, &Shares::default(), start + seconds(1));
        assert_eq!(said(&act), "given to you");
        tenure.written(&terms, record("- 1 you"), start + seconds(1), start + seconds(2));
        assert_eq!(tenure.held_until(&terms), None);
        assert_eq!(said(&tenure.decide(&terms, &Shares::default(), start + seconds(2))), "stands by");
    }

    #[test]
    fn a_record_cannot_keep_everybody_waiting_for_ever() {
        let (start, terms, mut tenure) = (Instant::now(), terms(), Tenure::default());
        let endless = LeaseRecord { duration: Duration::from_secs(1 << 40), ..record("you 1 -") };
        tenure.read(&terms, Some(endless), start);
        let at = |at| said(&tenure.decide(&terms, &Shares::default(), at));
        assert_eq!(at(start + seconds(599)), "stands by");
        assert_eq!(at(start + LONGEST), "me holds");
    }
}
