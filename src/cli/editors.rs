//! `trueup schema`, `completions` and `man`: for editors, shells and readers. Need no repository.

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
pub(super) fn man(folder: &std::path::Path) -> std::io::Result<End> {
    std::fs::create_dir_all(folder)?;
    clap_mangen::generate_to(Cli::command(), folder)?;
    Ok(End::Good)
}
