//! `trueup schema`, `completions` and `man`: for editors, shells and readers. Need no repository.

use std::path::Path;

use anyhow::Context;
use clap::CommandFactory;
use clap_complete::Shell;

use super::{Cli, End, streams};
use crate::manifest;

pub(super) fn schema() -> End {
    streams::document(&manifest::schema());
    End::Good
}

pub(super) fn completions(shell: Shell) -> End {
    // It panics where a stream takes nothing.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "trueup", &mut script);
    streams::raw(&String::from_utf8_lossy(&script));
    End::Good
}

/// One page for the program and one for each command, into the folder.
pub(super) fn man(folder: &Path) -> anyhow::Result<End> {
    let made = std::fs::create_dir_all(folder);
    let written = made.and_then(|()| clap_mangen::generate_to(Cli::command(), folder));
    written.with_context(|| format!("cannot write man pages into {}", folder.display()))?;
    Ok(End::Good)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn man_pages_are_written_or_the_folder_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        assert_eq!(man(&at("a/b")).unwrap(), End::Good);
        assert!(std::fs::read_to_string(at("a/b/trueup.1")).unwrap().contains("trueup"));
        std::fs::write(at("file"), "").unwrap();
        std::fs::create_dir_all(at("taken/trueup.1")).unwrap();
        std::fs::create_dir(at("full")).unwrap();
        std::os::unix::fs::symlink("/dev/full", at("full/trueup-lint.1")).unwrap();
        for place in [at("file"), at("file/below"), at("taken"), at("full"), "/dev/full".into()] {
            let said = format!("{:#}", man(&place).unwrap_err());
            assert!(
                said.starts_with(&format!("cannot write man pages into {}: ", place.display())),
                "{said}"
            );
        }
    }
}
