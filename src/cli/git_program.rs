//! The system's git program: people have their credentials, hooks and signing set up for it. No shell is involved, and
//! nothing of the arguments can become an option. Where nothing is set up, as on a runner of CI, the operator's token
//! lets it in, and trueup is the author.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context, ensure};

use crate::git::{Credentials, Location};

/// Who commits where git knows nobody.
const NAME: &str = "trueup";
const EMAIL: &str = "noreply@trueup.dev";

/// What git says when it is not let in, and what to do about it.
const HINTS: [(&[&str], &str); 2] = [
    (
        &["could not read Username", "Authentication failed", "returned error: 401", "returned error: 403"],
        "set TRUEUP_TOKEN or TRUEUP_TOKEN_FILE to a token that may read and write it",
    ),
    (&["returned error: 30"], "it has moved: give the address that it has now; GitLab's end in .git"),
];

/// The program, working in one folder.
#[derive(Clone)]
pub(super) struct Git {
    folder: PathBuf,
    environment: Vec<(String, String)>,
}

impl Git {
    /// With the token of the settings for the address that it was given for, and for no other: a redirect is not followed.
    pub(super) fn new(location: &Location, credentials: &Credentials) -> anyhow::Result<Self> {
        let mut environment = Vec::new();
        if let Location::Http(url) = location
            && let Some(authorization) = credentials.authorization().map_err(anyhow::Error::msg)?
        {
            environment = configuration(&[
                (format!("http.{url}.extraHeader"), format!("Authorization: {authorization}")),
                (format!("http.{url}.followRedirects"), "false".to_owned()),
            ]);
        }
        Ok(Self { folder: PathBuf::from("."), environment })
    }

    pub(super) fn within(self, folder: PathBuf) -> Self {
        Self { folder, ..self }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// What git prints, without the line break at its end.
    pub(super) fn run(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let output = self.output(arguments)?;
        let name = arguments.first().copied().unwrap_or_default();
        ensure!(output.status.success(), "git {name}: {}", complaint(&output));
        Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
    }

    pub(super) fn output(&self, arguments: &[&str]) -> anyhow::Result<Output> {
        let mut command = Command::new("git");
        command
            .current_dir(&self.folder)
            .args(arguments)
            .stdin(Stdio::null())
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("LC_ALL", "C")
            .envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.output().context("cannot run git")
    }

    /// Gives a name to author and committer where git can find none.
    pub(super) fn introduced(mut self) -> Self {
        for role in ["AUTHOR", "COMMITTER"] {
            if self.run(&["var", &format!("GIT_{role}_IDENT")]).is_err() {
                self.environment.push((format!("GIT_{role}_NAME"), NAME.to_owned()));
                self.environment.push((format!("GIT_{role}_EMAIL"), EMAIL.to_owned()));
            }
        }
        self
    }
}

/// Configuration by variables, behind what is there already: arguments can be read by everybody on the machine.
fn configuration(entries: &[(String, String)]) -> Vec<(String, String)> {
    let there = std::env::var("GIT_CONFIG_COUNT").ok().and_then(|count| count.parse().ok()).unwrap_or(0);
    let mut variables = vec![("GIT_CONFIG_COUNT".to_owned(), (there + entries.len()).to_string())];
    for (number, (key, value)) in (there..).zip(entries) {
        variables.push((format!("GIT_CONFIG_KEY_{number}"), key.clone()));
        variables.push((format!("GIT_CONFIG_VALUE_{number}"), value.clone()));
    }
    variables
}

/// All that git says when it fails, and what to do about it.
pub(super) fn complaint(output: &Output) -> String {
    let (told, complained) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let said = format!("{told}{complained}");
    let known = HINTS.iter().find(|(words, _)| words.iter().any(|words| said.contains(words)));
    let hint = known.map(|(_, hint)| format!("\n  hint  {hint}")).unwrap_or_default();
    format!("{}{hint}", said.trim())
}
