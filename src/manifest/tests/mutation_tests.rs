//! Whatever stands in the files: reading them ends, panics nowhere, and says where what is wrong stands.

use std::collections::BTreeSet;
use std::path::Path;

use super::*;
use crate::model::{Declared, Finding, Severity, Target};

const VALUES: [&str; 24] = [
    "",
    "~",
    "''",
    "[]",
    "{}",
    "[a, a]",
    "[[]]",
    "[{}]",
    "{a: b}",
    "{codeDeploy: {create: {}}}",
    "{from: family}",
    "[{name: api, repository: r}, {name: api, repository: r}]",
    "text",
    "15",
    "99999999999999999999h",
    "1.5e3",
    "2027-01-31T08:00:00Z",
    "../../../etc/passwd",
    "taskdef.json",
    "application.yaml",
    "{commit:99999999999999999999}",
    "{environment}",
    "<ENVIRONMENT>",
    "codeDeploy",
];
const LETTERS: [char; 24] = [
    ':', ' ', '\n', '\t', '\r', '\0', '\u{feff}', '\u{85}', '\u{2028}', '-', '[', ']', '{', '}', ',', '#',
    '&', '*', '!', '|', '>', '"', '%', '😀',
];

fn example(name: &str) -> Files {
    fn add(folder: &Path, root: &Path, files: &mut Files) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                add(&path, root, files);
            } else {
                let name = path.strip_prefix(root).unwrap().display().to_string();
                files.insert(name, Ok(std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name);
    let mut files = Files::new();
    add(&root, &root, &mut files);
    files
}

/// The text with one thing changed.
fn mutated(text: &str, random: &mut fastrand::Rng) -> String {
    let mut lines: Vec<String> = text.split('\n').map(str::to_owned).collect();
    let (one, two) = (random.usize(..lines.len()), random.usize(..lines.len()));
    let (line, indent) = (lines[one].clone(), lines[one].len() - lines[one].trim_start().len());
    let letter =
        line.char_indices().map(|(index, _)| index).nth(random.usize(..=line.len())).unwrap_or(line.len());
    let value = random.choice(VALUES).unwrap();
    match random.u8(..12) {
        0 => lines.truncate(one),
        1 => lines.swap(one, two),
        2 => drop(lines.remove(one)),
        3 => lines.insert(two, line),
        4 => lines[one].truncate(letter),
        5 => lines[one].insert(letter, random.choice(LETTERS).unwrap()),
        6 => lines[one].insert_str(
            letter,
            &random.choice(["[", "{a: ", "- ", "? "]).unwrap().repeat(random.usize(..200)),
        ),
        7 => lines[one].insert_str(letter, &"long ".repeat(random.usize(..1000))),
        8 => lines.insert(one, format!("{}{}: {value}", " ".repeat(indent), random.choice(KEYS).unwrap())),
        _ => {
            let starts: Vec<usize> =
                line.match_indices(": ").map(|(index, colon)| index + colon.len()).collect();
            let Some(start) = random.choice(starts) else { return mutated(text, random) };
            let end = line[start..].find([',', '}', ']', '#']).map_or(line.len(), |length| start + length);
            lines[one].replace_range(start..end, value);
        }
    }
    lines.join("\n")
}

/// What must hold for whatever was read.
fn check(files: &Files, what: &str) {
    let declaration = read(files, None, &crate::aws::check_task_definition);
    for finding in &declaration.findings {
        assert!(stands_in_its_file(finding, files), "{what}: {finding:?}\n{files:#?}");
        assert!(!finding.to_string().is_empty());
    }
    let errors = || declaration.findings.iter().filter(|finding| finding.severity == Severity::Error);
    let accused: BTreeSet<&Target> = errors().flat_map(|finding| &finding.targets).collect();
    for declared in &declaration.applications {
        match declared {
            Declared::Readable(desired) => {
                assert!(
                    !desired.images.is_empty() && !accused.contains(&desired.target),
                    "{what}: {desired:?}"
                );
            }
            Declared::Frozen(crate::model::Frozen { target, .. }) => {
                let is_told = accused.contains(target) || errors().any(|finding| finding.targets.is_empty());
                assert!(is_told, "{what}: {target} is frozen without a word\n{files:#?}");
            }
        }
    }
}

/// Zero is the file as a whole; behind the last letter of a line, and in the line behind the last one, something can be missing.
fn stands_in_its_file(finding: &Finding, files: &Files) -> bool {
    let at = &finding.position;
    let Some(Ok(text)) = files.get(&at.file) else { return false };
    match at.line.checked_sub(1) {
        None => at.column == 0,
        Some(before) => {
            let line = text
                .split('\n')
                .flat_map(|line| line.strip_suffix('\r').unwrap_or(line).split('\r'))
                .nth(before);
            at.column >= 1 && line.is_some_and(|line| at.column <= line.chars().count() + 1)
        }
    }
}

fn check_mutations(name: &str, copies: u64) {
    let original = example(name);
    let paths: Vec<String> = original.keys().cloned().collect();
    for seed in 0..copies {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut files = original.clone();
        for _ in 0..random.usize(1..=3) {
            let path = random.choice(&paths).unwrap();
            if let Some(Ok(text)) = files.get_mut(path) {
                *text = mutated(text, &mut random);
            }
        }
        check(&files, &format!("{name}, seed {seed}"));
    }
}

#[test]
fn mutated_copies_of_the_full_example_are_read() {
    check_mutations("every-key", 300);
}

#[test]
fn mutated_copies_of_the_usual_example_are_read() {
    check_mutations("infrastructure", 700);
}
