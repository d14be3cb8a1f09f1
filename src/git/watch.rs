//! Wakes the controller when a repository on this machine gets a commit. A hint only: polling stays the guarantee.

use std::path::Path;

use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;

/// Wakes that wait to be heard: one says as much as a hundred.
const WAKES: usize = 1;

/// Watches while it lives.
pub struct Watch {
    _watcher: RecommendedWatcher,
    wakes: mpsc::Receiver<()>,
}

impl Watch {
    /// `folder`: that of git's own files. References change there with every commit, fetch and reset.
    pub fn start(folder: &Path) -> notify::Result<Self> {
        let (wake, wakes) = mpsc::channel(WAKES);
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            if event.is_ok_and(|event| is_news(&event)) {
                // Full: a wake is waiting already.
                let _ = wake.try_send(());
            }
        })?;
        watcher.watch(folder, RecursiveMode::NonRecursive)?;
        watcher.watch(&folder.join("refs"), RecursiveMode::Recursive)?;
        Ok(Self { _watcher: watcher, wakes })
    }

    /// Returns after the next change; never, if nothing is watched any more.
    pub async fn changed(&mut self) {
        if self.wakes.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
    }
}

/// Whether a reference has changed. That it was read is no news: the controller itself reads it after each wake.
fn is_news(event: &Event) -> bool {
    !matches!(event.kind, EventKind::Access(_)) && event.paths.iter().any(|path| is_reference(path))
}

fn is_reference(path: &Path) -> bool {
    let is_named = |name: &str| path.file_name().is_some_and(|file| file == name);
    let is_lock = path.extension().is_some_and(|extension| extension == "lock");
    !is_lock
        && (is_named("HEAD")
            || is_named("packed-refs")
            || path.components().any(|part| part.as_os_str() == "refs"))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use notify::event::{AccessKind, AccessMode, CreateKind, ModifyKind, RenameMode};

    use super::*;

    #[test]
    fn a_reference_that_changes_is_news_and_one_that_is_read_is_not() {
        let opened = EventKind::Access(AccessKind::Open(AccessMode::Any));
        let closed = EventKind::Access(AccessKind::Close(AccessMode::Read));
        let renamed = EventKind::Modify(ModifyKind::Name(RenameMode::To));
        let created = EventKind::Create(CreateKind::File);
        for (kind, path, expected) in [
            (renamed, "refs/heads/main", true),
            (renamed, "packed-refs", true),
            (created, "HEAD", true),
            (created, "refs/heads/main.lock", false),
            (created, "index", false),
            (opened, "HEAD", false),
            (closed, "refs/heads/main", false),
        ] {
            let event = Event::new(kind).add_path(PathBuf::from("/infra/.git").join(path));
            assert_eq!(is_news(&event), expected, "{event:?}");
        }
    }

    /// What the system tells of a reading, up to a change that comes after it.
    #[test]
    fn reading_a_repository_leaves_no_wake_behind() {
        let folder = tempfile::tempdir().unwrap();
        crate::git::scratch::init(folder.path()).unwrap();
        std::fs::write(folder.path().join("a.yaml"), "one").unwrap();
        crate::git::scratch::commit_all(folder.path(), "one").unwrap();
        let git = folder.path().join(".git");
        let (tell, told) = std::sync::mpsc::channel();
        let mut watcher = notify::recommended_watcher(tell).unwrap();
        watcher.watch(&git, RecursiveMode::Recursive).unwrap();
        let source = crate::git::Source::open(folder.path(), None, "").unwrap();
        source.snapshot(&source.head().unwrap().commit).unwrap();
        std::fs::write(git.join("last"), "").unwrap();
        let events = told.iter().map(Result::unwrap);
        let before = events.take_while(|event| !event.paths.contains(&git.join("last")));
        assert_eq!(before.filter(is_news).collect::<Vec<_>>(), []);
    }

    #[tokio::test]
    async fn a_commit_wakes_and_a_burst_wakes_no_more_than_it_must() {
        let folder = tempfile::tempdir().unwrap();
        crate::git::scratch::init(folder.path()).unwrap();
        let mut watch = Watch::start(&folder.path().join(".git")).unwrap();
        std::fs::write(folder.path().join("a.yaml"), "one").unwrap();
        crate::git::scratch::commit_all(folder.path(), "one").unwrap();
        watch.changed().await;
        assert!(watch.wakes.len() <= WAKES);
    }
}
