//! Wakes the controller when a repository on this machine gets a commit. A hint only: polling stays the guarantee.

use std::path::Path;

use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher as _};
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
            if event.is_ok_and(|event| event.paths.iter().any(|path| is_reference(path))) {
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
    use super::*;

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
