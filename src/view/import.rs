//! What `import` tells: what is declared, where each environment was read from, what is left out and why, and what comes next.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::screen::{Cell, Paint, Style, table};
use crate::escape::line;
use crate::import::{Build, Declared, Evidence, ImportResult};
use crate::model::{Commit, Inventory};

/// Names that are shown of those who say something.
const SHOWN: usize = 3;

pub fn text(inventory: &Inventory, imported: &ImportResult, style: Style) -> String {
    let mut text = declared(imported, style);
    text.push_str(&environments(imported));
    let unsaid = imported.found.iter().flat_map(|found| {
        let why = match &found.declared {
            Declared::CommentedOut(why) => {
                Some(format!("written commented out, with the command that tags it: {why}"))
            }
            Declared::Build(_) => None,
        };
        why.into_iter().chain(found.notes.iter().cloned()).map(|why| (found.target.to_string(), why))
    });
    paragraph(&mut text, "To look at", unsaid);
    let left_out = imported.left_out.iter().map(|one| (one.what.clone(), one.why.clone()));
    paragraph(&mut text, "Left out", left_out);
    let unread = inventory.unread.iter().map(|one| (one.what.clone(), one.why.clone()));
    paragraph(&mut text, "Not read", unread);
    text
}

/// The commands that follow.
pub fn next(folder: &str, imported: &ImportResult) -> String {
    let files = imported.files.len();
    format!(
        "\nWritten to {folder}: {files} files. Nothing was changed in AWS. Next:\n\n  cd {folder}\n  git init -b main && git add -A\n  trueup lint\n  trueup plan                # \
         empty: what is declared runs\n  git commit -m \"what runs now\"\n"
    )
}

fn declared(imported: &ImportResult, style: Style) -> String {
    let rows: Vec<Vec<Cell>> = imported
        .found
        .iter()
        .map(|found| {
            let build = match &found.declared {
                Declared::Build(Build::Commit { text, .. }) => Cell::new(Commit::new(text).short()),
                Declared::Build(Build::Release(text)) => Cell::new(text),
                Declared::CommentedOut(_) => Cell::painted(Paint::Busy, "?"),
            };
            let service = format!("{}/{}", found.cluster, found.service);
            vec![Cell::painted(Paint::Strong, found.target.to_string()), build, Cell::new(service)]
        })
        .collect();
    if rows.is_empty() { String::new() } else { table(style, &["APPLICATION", "RUNS", "SERVICE"], &rows) }
}

/// By what each environment was told, with some of those who say so.
fn environments(imported: &ImportResult) -> String {
    let mut said: BTreeMap<(&str, Evidence), BTreeSet<&str>> = BTreeMap::new();
    for found in &imported.found {
        let name = match found.evidence {
            Evidence::Service | Evidence::Pipeline => &found.service,
            Evidence::Cluster | Evidence::Nothing | Evidence::Given => &found.cluster,
        };
        said.entry((found.target.environment.as_str(), found.evidence)).or_default().insert(name);
    }
    let lines = said.into_iter().map(|((environment, evidence), names)| {
        let some = names.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", ");
        let more =
            if names.len() > SHOWN { format!(" and {} more", names.len() - SHOWN) } else { String::new() };
        let how = match evidence {
            Evidence::Service => format!("by the name of service {some}{more}"),
            Evidence::Pipeline => format!("by the pipeline that deploys service {some}{more}"),
            Evidence::Cluster => format!("by the name of cluster {some}{more}"),
            Evidence::Nothing => format!("no name tells one: called as its cluster, {some}{more}"),
            Evidence::Given => "by --environment".to_owned(),
        };
        (environment.to_owned(), how)
    });
    let mut text = String::new();
    paragraph(&mut text, "Environments, guessed (--environment NAME says otherwise)", lines);
    text
}

fn paragraph(text: &mut String, head: &str, lines: impl Iterator<Item = (String, String)>) {
    for (number, (what, why)) in lines.enumerate() {
        if number == 0 {
            let _ = writeln!(text, "\n{head}:");
        }
        let _ = writeln!(text, "  {}: {}", line(&what), line(&why));
    }
}
