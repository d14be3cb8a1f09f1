//! Whatever stands in the files: reading them ends within its bounds, panics nowhere, and says where what is wrong stands.
//!
//! `crate::fuzz` says how to let it go on for longer.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::*;
use crate::documents::placeholders::{self, MOST_BYTES};
use crate::fuzz::seeds;
use crate::manifest::leftovers;
use crate::model::{Declared, Finding, Severity, Strategy, Target, TaskDefinitionSource};
use crate::text::json;

const VALUES: [&str; 32] = [
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
    "\"<LOG_LEVEL>\"",
    "\"${X}\"",
    "\"{{ x }}%X%<IMAGE9_NAME>\"",
    "{LOG_LEVEL: \"<LOG_LEVEL><LOG_LEVEL>\", A: \"<B>\", B: \"<A>\"}",
    "{containerDefinitions: [{name: \"<ENVIRONMENT>\", image: \"<X>\"}]}",
    "null",
    "[\"FARGATE\", 1, null]",
    "// comment",
];

const LETTERS: [char; 24] = [
    ':', ' ', '\n', '\t', '\r', '\0', '\u{feff}', '\u{85}', '\u{2028}', '-', '[', ']', '{', '}', ',', '#',
    '&', '*', '!', '|', '>', '"', '%', '😀',
];

/// One of so many mutants is multiplied, which takes its time.
const MULTIPLIED: u64 = 50;

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

/// The documents so many times over, each time under other names, with as many entries for each.
fn multiplied(files: &Files, random: &mut fastrand::Rng) -> Files {
    let (applications, environments) = (1_usize << random.u8(..6), 1_usize << random.u8(..6));
    let numbered = |text: &str, number: usize| -> String {
        let of_line = |line: &str| match line.trim_start().split_once(": ") {
            Some(("name", name)) => line.replacen(name, &format!("n{number}-{name}"), 1),
            Some((key @ ("service" | "environmentTag" | "deploymentGroup"), value)) => {
                line.replacen(&format!("{key}: {value}"), &format!("{key}: n{number}-{value}"), 1)
            }
            _ => line.replacen("metadata: {name: ", &format!("metadata: {{name: n{number}-"), 1),
        };
        text.lines().map(|line| of_line(line) + "\n").collect()
    };
    let entry = |line: &str, number: usize| match line.strip_prefix("    ") {
        Some(key) if key.starts_with(|letter: char| letter.is_ascii_alphabetic()) => {
            format!("    n{number}-{key}\n")
        }
        _ => format!("{line}\n"),
    };
    let of = |text: &String| -> String {
        let (head, entries) = text.split_once("  applications:\n").unwrap_or((text, ""));
        let times = match () {
            () if text.contains("kind: Environment") => environments,
            () if text.contains("kind: Application") => applications,
            () => return text.clone(),
        };
        let entries: String = (0..applications)
            .flat_map(|number| entries.lines().map(move |line| entry(line, number)))
            .collect();
        let entries = if entries.is_empty() { entries } else { format!("  applications:\n{entries}") };
        (0..times).map(|number| numbered(head, number) + &entries).collect::<Vec<_>>().join("---\n")
    };
    files.iter().map(|(path, text)| (path.clone(), text.as_ref().map(of).map_err(Clone::clone))).collect()
}

/// What must hold for whatever was read.
fn check(files: &Files, what: &str) {
    let declaration = read(files, None, &crate::aws::check_shape);
    for finding in &declaration.findings {
        assert!(stands_in_its_file(finding, files), "{what}: {finding:?}\n{files:#?}");
        assert!(!finding.to_string().is_empty());
    }
    let written: usize = files.values().map(|text| text.as_ref().map_or(0, String::len)).sum();
    assert!(declaration.findings.len() <= written, "{what}: {} findings", declaration.findings.len());
    let errors = || declaration.findings.iter().filter(|finding| finding.severity == Severity::Error);
    let accused: BTreeSet<&Target> = errors().flat_map(|finding| &finding.targets).collect();
    for declared in &declaration.applications {
        match declared {
            Declared::Readable(desired) => {
                assert!(is_bounded(desired), "{what}: {desired:?}");
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

/// Whatever values stand for, no more comes of it than AWS takes; with a version that the `AppSpec` did not have.
fn is_bounded(desired: &Desired) -> bool {
    let is_small = |value: &Value| value.to_string().len() <= MOST_BYTES + 20;
    let file = match &desired.task_definition {
        TaskDefinitionSource::File { input, .. } => is_small(input),
        _ => desired.overlay.patch.as_ref().is_none_or(is_small),
    };
    let spec = match &desired.strategy {
        Strategy::CodeDeploy(settings) => {
            settings.app_spec.as_ref().is_none_or(|spec| is_small(&spec.content))
        }
        _ => true,
    };
    file && spec
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

fn check_mutations(name: &'static str, copies: u64) {
    let original = example(name);
    let paths: Vec<String> = original.keys().cloned().collect();
    for seed in seeds(name, copies) {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut files = original.clone();
        for _ in 0..random.usize(1..=3) {
            let path = random.choice(&paths).unwrap();
            if let Some(Ok(text)) = files.get_mut(path) {
                *text = mutated(text, &mut random);
            }
        }
        if seed % MULTIPLIED == 0 {
            files = multiplied(&files, &mut random);
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

fn pieces(random: &mut fastrand::Rng, pieces: &[&str], most: usize) -> String {
    (0..random.usize(..=most)).map(|_| *random.choice(pieces).unwrap()).collect()
}

/// As simply as it can be said: the next `<NAME>` that has a value, then the rest.
fn filled_simply(text: &str, values: &BTreeMap<String, String>) -> String {
    let found = values
        .iter()
        .filter_map(|(name, value)| Some((text.find(&format!("<{name}>"))?, name.len() + 2, value)));
    match found.min_by_key(|(at, length, _)| (*at, usize::MAX - length)) {
        Some((at, length, value)) => {
            format!("{}{value}{}", &text[..at], filled_simply(&text[at + length..], values))
        }
        None => text.to_owned(),
    }
}

#[test]
fn whatever_is_filled_into_whatever_each_name_is_replaced_once() {
    let parts = [
        "<", ">", "A", "B", "<A>", "<B>", "<AB>", "<ü>", " ", "$", "{", "}", "${A}", "%A%", "\"", "\\", "ü",
        "\n",
    ];
    for seed in seeds("placeholders", 3_000) {
        let mut random = fastrand::Rng::with_seed(seed);
        let values: BTreeMap<String, String> = ["A", "B", "AB", "ü"]
            .into_iter()
            .map(|name| (name.to_owned(), pieces(&mut random, &parts, 6)))
            .filter(|(_, value)| value.len() % 2 == 0)
            .collect();
        let text = pieces(&mut random, &parts, 30);
        let filled = placeholders::fill(&Value::from(text.as_str()), &values).unwrap().value;
        assert_eq!(filled, Value::from(filled_simply(&text, &values)), "seed {seed}: {text:?} {values:?}");
        for left in leftovers::placeholders_in(&text) {
            assert!(text.contains(left.text) && left.text.contains(left.name), "seed {seed}: {text:?}");
        }
        let nested = serde_json::json!({"environment": [{"name": text, "value": text}], "a": {text.as_str(): [filled]}});
        assert!(leftovers::in_task_definition(&nested, &values, &[]).len() <= 5, "seed {seed}: {text:?}");
    }
}

#[test]
fn text_is_json_where_serde_says_so() {
    let originals =
        ["{\"a\": [1, -2.5e3, true, null, \"x\\u00e9\\n\"], \"b\": {\"c\": {}}, \"d\": []}", TASK_DEFINITION];
    let parts = [
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\\",
        "1",
        "0",
        "-",
        ".",
        "e",
        "tru",
        "null",
        " ",
        "\n",
        "//",
        "'",
        "ü",
        "\u{feff}",
        "\u{1}",
        "\\u12",
        "\\ud83d\\ude00",
    ];
    for seed in seeds("JSON", 20_000) {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut text: Vec<char> = random.choice(originals).unwrap().chars().collect();
        for _ in 0..random.usize(1..=3) {
            let at = random.usize(..=text.len());
            let to = (at + random.usize(..3)).min(text.len());
            text.splice(at..to, pieces(&mut random, &parts, 2).chars());
        }
        let text: String = text.into_iter().collect();
        // A negative nothing is a nothing here.
        if text.contains("-0") {
            continue;
        }
        let theirs = serde_json::from_str::<Value>(text.strip_prefix('\u{feff}').unwrap_or(&text));
        match (json::document(&text), theirs) {
            (Ok(Some(ours)), Ok(theirs)) => assert_eq!(ours.to_json(), theirs, "seed {seed}: {text}"),
            (Ok(Some(_)), Err(error)) => {
                assert!(error.to_string().contains("out of range"), "seed {seed}: {error} {text}");
            }
            (Ok(None), theirs) => assert!(theirs.is_err(), "seed {seed}: {text}"),
            (Err(ours), Ok(_)) => {
                assert!(ours.message.starts_with("duplicate key"), "seed {seed}: {ours:?} {text}");
            }
            (Err(_), Err(_)) => {}
        }
    }
}

#[test]
fn what_is_multiplied_is_as_good_as_it_was() {
    let files = multiplied(&example("infrastructure"), &mut fastrand::Rng::with_seed(7));
    let declaration = read(&files, None, &crate::aws::check_shape);
    assert_eq!(declaration.findings, []);
    assert!(declaration.readable().count() > 8, "{}", declaration.applications.len());
}
