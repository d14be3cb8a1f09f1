//! What has become of the alerts that must arrive, in this process: who has taken which, and what of that is yet to be put on record.
//! It holds no alert: what has to be told again is told anew from what is so by then.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::model::alert::{Alert, Receipt};
use crate::model::{Mark, Matter, Owed, Status, Target, TaskDefinitionArn};

/// A few entries for each target that is declared, and those that wait in the queues of sinks.
#[derive(Clone, Default)]
pub(super) struct Book {
    entries: Arc<Mutex<Entries>>,
    /// Hears of each that was taken.
    taken: watch::Sender<()>,
}

#[derive(Default)]
struct Entries {
    /// Of each target by the key of the alert.
    of: BTreeMap<Target, BTreeMap<String, Entry>>,
    /// How many there have been: of two of one matter the later one counts.
    begun: u64,
}

struct Entry {
    receipt: Receipt,
    begun: u64,
    sinks: BTreeMap<String, Standing>,
    /// Who was said to be owed in what was put on record.
    noted: Option<BTreeSet<String>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It is queued, or on its way.
    UnderWay,
    /// The same, after it could not be delivered.
    Late,
    /// There was no room for it: it is told anew.
    Left,
    /// Also where it was refused: the same would be refused again.
    Taken,
}

/// What is to be put on record on a revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    pub target: Target,
    pub revision: TaskDefinitionArn,
    pub marks: BTreeMap<Matter, Mark>,
    /// By the keys of their alerts, who is owed in the marks.
    of: BTreeMap<String, BTreeSet<String>>,
}

impl Book {
    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this process has told it before, and still knows.
    pub fn knows(&self, alert: &Alert) -> bool {
        self.entries().entry(alert).is_some()
    }

    /// It is told to these.
    pub fn begin(&self, alert: &Alert, sinks: impl Iterator<Item = String>) {
        let (Some(receipt), Some(target)) = (&alert.receipt, &alert.target) else { return };
        let sinks: BTreeMap<String, Standing> = sinks.map(|sink| (sink, Standing::UnderWay)).collect();
        if sinks.is_empty() {
            return;
        }
        let mut entries = self.entries();
        entries.begun += 1;
        let entry = Entry { receipt: receipt.clone(), begun: entries.begun, sinks, noted: None };
        entries.of.entry(target.clone()).or_default().insert(alert.key.clone(), entry);
    }

    pub fn stands(&self, alert: &Alert, sink: &str, standing: Standing) {
        let mut entries = self.entries();
        let Some(known) = entries.entry(alert).and_then(|entry| entry.sinks.get_mut(sink)) else { return };
        *known = standing;
        if standing == Standing::Taken {
            self.taken.send_replace(());
        }
    }

    pub fn taken(&self) -> watch::Receiver<()> {
        self.taken.subscribe()
    }

    /// Whether somebody was left out because there was no room.
    pub fn has_left(&self, target: &Target) -> bool {
        let entries = self.entries();
        let all = entries.of.get(target).into_iter().flat_map(BTreeMap::values);
        all.flat_map(|entry| entry.sinks.values()).any(|standing| *standing == Standing::Left)
    }

    pub fn is_left(&self, alert: &Alert, sink: &str) -> bool {
        let mut entries = self.entries();
        let entry = entries.entry(alert);
        entry.is_some_and(|entry| entry.sinks.get(sink) == Some(&Standing::Left))
    }

    /// Forgets what is on record by now, and what can be told no more.
    pub fn seen(&self, status: &Status) {
        let mut entries = self.entries();
        let Some(all) = entries.of.get_mut(&status.target) else { return };
        all.retain(|_, entry| entry.is_under_way() || entry.is_owed_by(status));
        if all.is_empty() {
            entries.of.remove(&status.target);
        }
    }

    /// Forgets those that are no longer declared.
    pub fn retain(&self, is_declared: impl Fn(&Target) -> bool) {
        self.entries().of.retain(|target, _| is_declared(target));
    }

    /// What is to be put on record, at most so many.
    pub fn notes(&self, is_wanted: impl Fn(&Target) -> bool, most: usize) -> Vec<Note> {
        let entries = self.entries();
        let wanted = entries.of.iter().filter(|(target, _)| is_wanted(target));
        wanted.flat_map(|(target, all)| notes_of(target, all)).take(most).collect()
    }

    /// It is on record.
    pub fn noted(&self, note: &Note) {
        let mut entries = self.entries();
        let Some(all) = entries.of.get_mut(&note.target) else { return };
        for (key, owed) in &note.of {
            if let Some(entry) = all.get_mut(key) {
                entry.noted = Some(owed.clone());
            }
        }
    }
}

impl Entries {
    fn entry(&mut self, alert: &Alert) -> Option<&mut Entry> {
        self.of.get_mut(alert.target.as_ref()?)?.get_mut(&alert.key)
    }
}

/// One for each revision of which there is something new; with all that is known of it, since a mark that was written a moment ago may not
/// have been read yet.
fn notes_of(target: &Target, all: &BTreeMap<String, Entry>) -> Vec<Note> {
    let due: BTreeSet<&TaskDefinitionArn> =
        all.values().filter(|entry| entry.is_due()).map(|entry| &entry.receipt.revision).collect();
    let note = |revision: &TaskDefinitionArn| {
        let mut there: Vec<(&String, &Entry)> =
            all.iter().filter(|(_, entry)| entry.receipt.revision == *revision).collect();
        there.sort_by_key(|(_, entry)| entry.begun);
        let (mut marks, mut of) = (BTreeMap::new(), BTreeMap::new());
        for (key, entry) in there {
            let Some(owed) = entry.owed() else { continue };
            of.insert(key.clone(), owed.clone());
            marks.insert(entry.receipt.matter, Mark::Taken { about: entry.receipt.about.clone(), owed });
        }
        Note { target: target.clone(), revision: revision.clone(), marks, of }
    };
    due.into_iter().map(note).collect()
}

impl Entry {
    /// Who has not taken it; `None`: nobody has.
    fn owed(&self) -> Option<BTreeSet<String>> {
        let taken = |standing: &Standing| *standing == Standing::Taken;
        let owed = self.sinks.iter().filter(|(_, standing)| !taken(standing)).map(|(sink, _)| sink.clone());
        self.sinks.values().any(taken).then(|| owed.collect())
    }

    /// Who is about to take it is waited for, so that one write is enough; who is in trouble is not.
    fn is_due(&self) -> bool {
        let owed = self.owed();
        let is_decided = self.sinks.values().all(|standing| *standing != Standing::UnderWay);
        is_decided && owed.is_some() && owed != self.noted
    }

    fn is_under_way(&self) -> bool {
        self.sinks.values().any(|standing| matches!(standing, Standing::UnderWay | Standing::Late))
    }

    fn is_owed_by(&self, status: &Status) -> bool {
        let Receipt { revision, matter, about, .. } = &self.receipt;
        let kept = status.kept.iter().filter(|kept| kept.revision == *revision);
        kept.map(|kept| kept.receipts.owed(*matter, about)).any(|owed| owed != Owed::Nobody)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::alert::Event;
    use crate::model::{About, Commit, ReceiptRecord, Receipts};
    use crate::notify::tests::{about, status};

    fn alert(matter: Matter, id: &str) -> Alert {
        let event = Event::ALL.into_iter().find(|event| event.matter() == Some(matter)).unwrap();
        let receipt = Receipt {
            revision: TaskDefinitionArn::new("api:2"),
            matter,
            about: About::of(id),
            owed: Owed::Everybody,
        };
        about(event, "api", id, Some(receipt))
    }

    fn begun(alerts: &[&Alert]) -> Book {
        let book = Book::default();
        for alert in alerts {
            book.begin(alert, ["audit", "chat"].map(str::to_owned).into_iter());
        }
        book
    }

    /// The marks that are due, in the words of the record.
    fn due(book: &Book) -> Vec<String> {
        let marks = |note: Note| {
            let mark = |(matter, mark): (Matter, Mark)| match mark {
                Mark::Taken { about, owed } => format!("{} {} {owed:?}", matter.name(), about.as_str()),
                Mark::Unwanted => matter.name().to_owned(),
            };
            note.marks.into_iter().map(mark).collect::<Vec<_>>()
        };
        book.notes(|_| true, 10).into_iter().flat_map(marks).collect()
    }

    #[test]
    fn who_is_about_to_take_it_is_waited_for_and_who_is_in_trouble_is_named() {
        use Standing::{Late, Left, Taken, UnderWay};
        let failed = About::of("d2");
        let (all, audit) =
            (format!("failed {} {{}}", failed.as_str()), format!("failed {} {{\"audit\"}}", failed.as_str()));
        for (audit_stands, chat_stands, expected) in [
            (UnderWay, UnderWay, None),
            (UnderWay, Taken, None),
            (Late, Taken, Some(&audit)),
            (Left, Taken, Some(&audit)),
            (Late, Left, None),
            (Taken, Taken, Some(&all)),
        ] {
            let alert = alert(Matter::Failed, "d2");
            let book = begun(&[&alert]);
            book.stands(&alert, "audit", audit_stands);
            book.stands(&alert, "chat", chat_stands);
            assert_eq!(due(&book), Vec::from_iter(expected.cloned()), "{audit_stands:?} {chat_stands:?}");
            for note in book.notes(|_| true, 10) {
                book.noted(&note);
            }
            assert_eq!(due(&book), Vec::<String>::new(), "one write");
            book.stands(&alert, "audit", Taken);
            book.stands(&alert, "chat", Taken);
            let is_done = expected == Some(&all);
            assert_eq!(
                due(&book),
                if is_done { Vec::new() } else { vec![all.clone()] },
                "and one when it has"
            );
        }
    }

    /// Tags are read again later than they are written.
    #[test]
    fn a_note_has_all_that_is_known_of_its_revision_the_later_of_one_matter() {
        let alerts = [(Matter::Approval, "d2/a"), (Matter::Failed, "d2"), (Matter::Approval, "d2/b")]
            .map(|(matter, id)| alert(matter, id));
        let [first, failed, second] = &alerts;
        let book = begun(&[first, failed, second]);
        let take = |alert: &Alert| {
            book.stands(alert, "audit", Standing::Taken);
            book.stands(alert, "chat", Standing::Taken);
        };
        let mark = |matter: &str, id: &str| format!("{matter} {} {{}}", About::of(id).as_str());
        take(first);
        assert_eq!(due(&book), [mark("approval", "d2/a")]);
        book.notes(|_| true, 10).iter().for_each(|note| book.noted(note));
        take(second);
        take(failed);
        assert_eq!(due(&book), [mark("failed", "d2"), mark("approval", "d2/b")]);
        assert!(book.notes(|_| false, 10).is_empty() && book.notes(|_| true, 0).is_empty());
    }

    #[test]
    fn an_entry_is_kept_until_its_mark_was_read_or_it_can_be_told_no_more() {
        let looked = |marks: Option<Receipts>| {
            let mut status = status("api", None);
            status.kept = Vec::from_iter(marks.map(|receipts| ReceiptRecord {
                revision: TaskDefinitionArn::new("api:2"),
                commit: Commit::new("bbbbbbb"),
                infra: None,
                deployment: "d2".to_owned(),
                ended: None,
                receipts,
            }));
            status
        };
        let mark = Mark::Taken { about: About::of("d2"), owed: BTreeSet::new() };
        let on_record = Receipts([(Matter::Failed, mark)].into());
        for (standing, status, is_kept) in [
            (Standing::Taken, looked(Some(Receipts::default())), true),
            (Standing::Taken, looked(Some(on_record)), false),
            (Standing::Taken, looked(None), false),
            (Standing::Left, looked(None), false),
            (Standing::Late, looked(None), true),
            (Standing::UnderWay, looked(None), true),
        ] {
            let alert = alert(Matter::Failed, "d2");
            let book = begun(&[&alert]);
            book.stands(&alert, "audit", standing);
            book.stands(&alert, "chat", standing);
            book.seen(&status);
            assert_eq!(book.knows(&alert), is_kept, "{standing:?}");
            book.retain(|_| false);
            assert!(!book.knows(&alert), "no longer declared");
        }
    }
}
