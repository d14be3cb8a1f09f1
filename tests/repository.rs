//! What the project says about itself: the examples are read without a finding, the full example has every key, the
//! policies are those of the example, and the layers keep apart.

#![expect(clippy::unwrap_used, reason = "a test may fail anywhere")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use trueup::iam::{self, Access, Operated};
use trueup::manifest::{self, Files};
use trueup::model::{AccountId, Declaration, Declared};
use trueup::settings::Settings;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files_below(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

fn read_example(name: &str) -> (Declaration, String) {
    let folder = root().join("examples").join(name);
    let mut files = Files::new();
    let mut all = String::new();
    for path in files_below(&folder) {
        let text = std::fs::read_to_string(&path).unwrap();
        all.push_str(&text);
        files.insert(path.strip_prefix(&folder).unwrap().display().to_string(), Ok(text));
    }
    let declaration = manifest::read(&files, None, &trueup::aws::check_shape);
    (declaration, all)
}

#[test]
fn the_examples_are_read_without_a_finding() {
    for (name, targets) in [("infrastructure", 4), ("every-key", 7), ("hub-and-spoke", 2)] {
        let (declaration, _) = read_example(name);
        assert_eq!(declaration.findings, [], "{name}");
        assert_eq!(declaration.applications.len(), targets, "{name}");
        assert!(declaration.applications.iter().all(|one| matches!(one, Declared::Readable(_))), "{name}");
    }
}

/// `trueup iam-policy --path examples/infrastructure > manifests/iam/policy.json` makes the one, `--read-only` the other.
#[test]
fn the_policies_are_those_of_the_example() {
    let (declaration, _) = read_example("infrastructure");
    for (name, access) in [("policy", Access::Write), ("read-only", Access::Read)] {
        let kept =
            std::fs::read_to_string(root().join("manifests/iam").join(format!("{name}.json"))).unwrap();
        assert_eq!(
            kept,
            format!("{:#}\n", iam::policy(&declaration, access).unwrap().document),
            "manifests/iam/{name}.json"
        );
    }
}

/// As `trueup iam-policy` prints them for the example with the settings beside it: without more the one, with `--account 210987654321`
/// the next, and with `--trust arn:aws:iam::123456789012:role/trueup` the last.
#[test]
fn the_policies_of_hub_and_spoke_are_those_of_their_example() {
    let (declaration, _) = read_example("hub-and-spoke");
    let settings = root().join("examples/hub-and-spoke/trueup.yaml");
    let settings = Settings::load(
        BTreeMap::new(),
        &|name| (name == "TRUEUP_EXTERNAL_IDS").then(|| "210987654321=anything".to_owned()),
        settings.to_str(),
    )
    .unwrap();
    let spoke = AccountId::new("210987654321");
    let role = settings.accounts.role(&spoke).unwrap();
    let operated = Operated { accounts: &settings.accounts, lease_table: None, topics: &[], buses: &[] };
    for (name, document) in [
        ("hub", iam::hub(&declaration, operated, Access::Write).unwrap().document),
        ("spoke", iam::spoke(&declaration, &spoke, Access::Write).unwrap().document),
        ("trust-spoke", iam::trust("arn:aws:iam::123456789012:role/trueup", role.external_id.is_some())),
    ] {
        let kept = std::fs::read_to_string(root().join("manifests/iam").join(format!("{name}.json")));
        assert_eq!(kept.unwrap_or_default(), format!("{document:#}\n"), "manifests/iam/{name}.json");
    }
}

/// `trueup schema > docs/schema.json` makes it.
#[test]
fn the_schema_is_kept_and_knows_every_key() {
    let schema = format!("{:#}\n", manifest::schema());
    assert_eq!(std::fs::read_to_string(root().join("docs/schema.json")).unwrap(), schema);
    for key in manifest::KEYS {
        assert!(schema.contains(&format!("\"{key}\"")), "the schema does not know `{key}`");
    }
    for path in files_below(&root().join("examples")) {
        let text = std::fs::read_to_string(&path).unwrap();
        let Some(named) =
            text.lines().next().and_then(|line| line.strip_prefix("# yaml-language-server: $schema="))
        else {
            assert!(!text.contains("apiVersion: trueup.dev"), "{} names no schema", path.display());
            continue;
        };
        assert!(path.parent().unwrap().join(named).is_file(), "{}: {named}", path.display());
    }
}

#[test]
fn every_behaviour_of_the_simulator_is_on_its_page() {
    let page = std::fs::read_to_string(root().join("docs/simulator-behaviour.md")).unwrap();
    let told: BTreeSet<&str> = page.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
    let mut shown = BTreeSet::new();
    let of_world = files_below(&root().join("simulator/src/world/tests")).into_iter();
    let of_cloud = root().join("simulator/src/cloud/tests.rs");
    for path in of_world.chain([of_cloud]) {
        let part = path.file_stem().unwrap().to_str().unwrap().replace("tests", "accounts");
        let text = std::fs::read_to_string(&path).unwrap();
        for test in text.split("#[test]\n").skip(1) {
            let name = test.split("fn ").nth(1).and_then(|rest| rest.split('(').next()).unwrap();
            shown.insert(format!("| {part} | {} |", name.replace('_', " ")));
        }
    }
    assert!(shown.len() > 100, "{}", shown.len());
    assert_eq!(told, shown.iter().map(String::as_str).collect());
}

/// The names of all tests.
fn tests() -> BTreeSet<String> {
    let mut tests = BTreeSet::new();
    for folder in ["src", "tests", "git-transport/src", "streams/src", "simulator"] {
        for path in files_below(&root().join(folder)) {
            if path.extension().is_none_or(|extension| extension != "rs") {
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            let marked = text.split("test]\n").skip(1);
            let name = |test: &str| test.split("fn ").nth(1)?.split('(').next().map(str::to_owned);
            tests.extend(marked.filter_map(name));
        }
    }
    tests
}

/// What is in the last column of its tables is a test. How many there are.
fn check_what_shows(page: &str) -> usize {
    let tests = tests();
    let page = std::fs::read_to_string(root().join(page)).unwrap();
    let rows = page.lines().filter(|line| line.starts_with("| ") && !line.ends_with("| shown by |"));
    let mut named = 0;
    for row in rows {
        let shown_by = row.rsplit('|').nth(1).unwrap();
        let names: Vec<&str> = shown_by.split('`').skip(1).step_by(2).collect();
        assert!(!names.is_empty(), "nothing shows: {row}");
        for name in names {
            assert!(tests.contains(name), "there is no test {name}: {row}");
            named += 1;
        }
    }
    named
}

#[test]
fn each_promise_of_the_security_page_names_the_tests_that_show_it() {
    assert!(check_what_shows("docs/security.md") > 30);
}

#[test]
fn each_trap_of_others_names_the_tests_that_show_what_is_done_instead() {
    assert!(check_what_shows("docs/peers.md") > 20);
}

#[test]
fn the_full_example_has_every_key() {
    let (_, text) = read_example("every-key");
    let words: BTreeSet<&str> = text.split(|c: char| !c.is_ascii_alphanumeric()).collect();
    for key in manifest::KEYS {
        assert!(words.contains(key), "examples/every-key has no `{key}`");
    }
}

/// Which words of the code may stand in which folders only, and which may not stand in the pure ones.
const PLACES: [(&str, &[&str]); 5] = [
    ("aws_sdk_", &["src/aws/"]),
    ("git2::", &["src/git/"]),
    ("clap::", &["src/cli/"]),
    ("hyper", &["src/http/"]),
    ("trueup_simulator", &["src/cli/"]),
];
const PURE: [&str; 10] = [
    "src/comparison.rs",
    "src/http/deployments.rs",
    "src/model/",
    "src/manifest/",
    "src/plan/",
    "src/iam/",
    "src/import/",
    "src/notify/transition.rs",
    "src/lease/tenure.rs",
    "src/view/",
];
const IMPURE: [&str; 9] = [
    "async fn",
    ".await",
    "std::fs",
    "std::net",
    "std::env",
    "tokio::",
    "SystemTime",
    "Instant::now",
    "Timestamp::now",
];

/// What is wrong with a file, by its path.
fn breaches(path: &str, text: &str) -> Vec<String> {
    let code = text.split("#[cfg(test)]").next().unwrap();
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    let mut found = Vec::new();
    for line in lines {
        for (word, places) in PLACES {
            if line.contains(word) && !places.iter().any(|place| path.starts_with(place)) {
                found.push(format!("{path}: `{word}` belongs to {places:?}: {line}"));
            }
        }
        for word in IMPURE {
            if line.contains(word) && PURE.iter().any(|place| path.starts_with(place)) {
                found.push(format!("{path} is pure and says `{word}`: {line}"));
            }
        }
    }
    found
}

/// What tells one carrier of deployments from another, and who may say it: everybody else asks the carrier.
const OF_CARRIERS: [(&str, &[&str]); 6] = [
    ("Strategy::", &[]),
    ("Controller::Ecs", &[]),
    ("Controller::CodeDeploy", &[]),
    ("Controller::External", &[]),
    ("code_deploy::", &["src/controller/observe/deployments.rs"]),
    ("Stage::", &["src/plan/shift.rs"]),
];

/// Where decisions are made and carried out, but not by the carriers.
fn asks_which_carrier(path: &str, text: &str) -> Vec<String> {
    let decides = path.starts_with("src/plan/") || path.starts_with("src/controller/");
    if !decides || path.starts_with("src/plan/carriers/") || path.starts_with("src/plan/tests/") {
        return Vec::new();
    }
    let code = code(text);
    let of_others = OF_CARRIERS.iter().filter(|(_, places)| !places.contains(&path));
    of_others.filter(|(word, _)| code.contains(word)).map(|(word, _)| format!("{path}: `{word}`")).collect()
}

#[test]
fn nobody_asks_which_carrier_it_is() {
    let mut found = Vec::new();
    for path in files_below(&root().join("src")) {
        let name = path.strip_prefix(root()).unwrap().display().to_string();
        found.extend(asks_which_carrier(&name, &std::fs::read_to_string(&path).unwrap()));
    }
    assert_eq!(found, Vec::<String>::new());
    let question = "if let Strategy::CodeDeploy(_) = desired.strategy {}";
    assert_eq!(asks_which_carrier("src/plan/decide.rs", question).len(), 1);
    assert_eq!(asks_which_carrier("src/controller/observe.rs", question).len(), 1);
    assert_eq!(asks_which_carrier("src/plan/carriers/rolling.rs", question), Vec::<String>::new());
}

#[test]
fn the_layers_keep_apart() {
    let mut found = Vec::new();
    for path in files_below(&root().join("src")) {
        let name = path.strip_prefix(root()).unwrap().display().to_string();
        if name.ends_with("tests.rs") {
            continue;
        }
        found.extend(breaches(&name, &std::fs::read_to_string(&path).unwrap()));
    }
    assert_eq!(found, Vec::<String>::new());
    for path in files_below(&root().join("simulator/src")) {
        let text = std::fs::read_to_string(&path).unwrap();
        let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        assert!(!code.clone().any(|line| line.contains("trueup::")), "{} knows trueup", path.display());
    }
}

#[test]
fn a_breach_of_the_layers_is_found() {
    for (path, line) in [
        ("src/plan/decide.rs", "let now = std::time::Instant::now();"),
        ("src/model/ids.rs", "use aws_sdk_ecs::Client;"),
        ("src/manifest/read.rs", "std::fs::read(path)"),
        ("src/controller/sweep.rs", "git2::Repository::open(x)"),
        ("src/notify/transition.rs", "pub async fn tell() {}"),
    ] {
        assert_eq!(breaches(path, line).len(), 1, "{path}");
    }
    assert_eq!(breaches("src/plan/decide.rs", "// std::fs::read\n"), Vec::<String>::new());
}

/// Which of our own modules each one may use: those that stand below it. `cli` stands above all others; `fuzz` is for tests.
const BELOW: [(&str, &[&str]); 27] = [
    ("address", &[]),
    ("archive", &[]),
    ("escape", &[]),
    ("masking", &[]),
    ("secret", &[]),
    ("model", &["escape"]),
    ("accounts", &["model", "secret"]),
    ("text", &["masking", "model"]),
    ("documents", &["masking", "model", "text"]),
    ("outbound", &[]),
    ("git_host", &["address", "escape", "masking", "outbound", "secret"]),
    ("comparison", &["documents", "model"]),
    ("ports", &["model"]),
    ("plan", &["documents", "masking", "model"]),
    ("verify", &["documents", "model", "plan"]),
    ("lease", &["model", "ports", "secret"]),
    ("iam", &["accounts", "documents", "model", "plan"]),
    ("manifest", &["address", "documents", "escape", "masking", "model", "text"]),
    ("aws", &["accounts", "archive", "documents", "masking", "model", "ports", "secret"]),
    ("git", &["escape", "manifest", "masking", "model", "secret"]),
    ("import", &["escape", "manifest", "model"]),
    ("inventory", &["documents", "manifest", "model", "plan", "ports"]),
    ("settings", &["accounts", "address", "documents", "git", "git_host", "model", "secret", "text"]),
    (
        "view",
        &["address", "comparison", "documents", "escape", "import", "manifest", "model", "plan", "verify"],
    ),
    ("notify", &["address", "escape", "git_host", "model", "outbound", "plan", "ports", "settings", "view"]),
    ("controller", &["documents", "model", "plan", "ports"]),
    ("http", &["controller", "escape", "model", "notify", "plan"]),
];

/// The code of a file without its tests and comments.
fn code(text: &str) -> String {
    let code = text.split("#[cfg(test)]").next().unwrap();
    code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// What is named first behind each `crate::` or `super::`.
fn named_behind(root: &str, code: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for rest in code.split(root).skip(1) {
        let Some(list) = rest.strip_prefix('{') else {
            names.insert(rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap().to_owned());
            continue;
        };
        let mut depth = 0;
        let is_end = |c: char| {
            depth += i32::from(c == '{') - i32::from(c == '}');
            depth < 0
        };
        let list = list.split(is_end).next().unwrap();
        let mut depth = 0;
        let between = |c: char| {
            depth += i32::from(c == '{') - i32::from(c == '}');
            c == ',' && depth == 0
        };
        let first = |item: &str| {
            item.trim().split(|c: char| !c.is_alphanumeric() && c != '_').next().map(str::to_owned)
        };
        names.extend(list.split(between).filter_map(first));
    }
    names
}

#[test]
fn a_module_uses_only_what_stands_below_it() {
    let mut found = Vec::new();
    for path in files_below(&root().join("src")) {
        let name = path.strip_prefix(root().join("src")).unwrap().display().to_string();
        let module = name.split(['/', '.']).next().unwrap();
        if name.contains("tests") || ["cli", "fuzz", "main", "lib"].contains(&module) {
            continue;
        }
        let below = BELOW.iter().find(|(known, _)| *known == module);
        let (_, below) = below.unwrap_or_else(|| panic!("{module} has no place among the modules"));
        let used = named_behind("crate::", &code(&std::fs::read_to_string(&path).unwrap()));
        found.extend(
            used.iter()
                .filter(|used| *used != module && !below.contains(&used.as_str()))
                .map(|used| format!("{name} uses {used}")),
        );
    }
    assert_eq!(found, Vec::<String>::new());
    for (place, (module, below)) in BELOW.iter().enumerate() {
        let is_lower = |used: &&str| BELOW[..place].iter().any(|(lower, _)| lower == used);
        assert!(below.iter().all(is_lower), "{module} stands above what it uses");
    }
}

#[test]
fn the_files_of_a_folder_are_in_no_circle() {
    let mut folders: BTreeMap<PathBuf, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
    for path in files_below(&root().join("src")).into_iter().chain(files_below(&root().join("simulator/src")))
    {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let folder = path.parent().unwrap();
        let text = code(&std::fs::read_to_string(&path).unwrap());
        // A folder is one of the files beside it.
        let (folder, name) = match name.as_str() {
            "lib" | "main" => continue,
            _ if folder.ends_with("tests") => continue,
            "mod" => (folder.parent().unwrap(), folder.file_name().unwrap().to_str().unwrap().to_owned()),
            _ => (folder, name),
        };
        folders
            .entry(folder.strip_prefix(root()).unwrap().to_path_buf())
            .or_default()
            .insert(name, named_behind("super::", &text));
    }
    let mut circles = Vec::new();
    for (folder, files) in &folders {
        let reaches_itself = |file: &&String| {
            let (mut seen, mut next) = (BTreeSet::new(), vec![*file]);
            while let Some(one) = next.pop() {
                for used in files.get(one).into_iter().flatten() {
                    if used == *file {
                        return true;
                    }
                    if seen.insert(used) {
                        next.push(used);
                    }
                }
            }
            false
        };
        let in_circles: Vec<&str> = files.keys().filter(reaches_itself).map(String::as_str).collect();
        if !in_circles.is_empty() {
            circles.push((folder.display().to_string(), in_circles));
        }
    }
    assert_eq!(circles, Vec::new());
}

#[test]
fn names_are_found_in_lists_and_paths() {
    let code = "use crate::model::{A, B};\nuse crate::{plan::{self, x}, ports};\ncrate::git::open()";
    let names = named_behind("crate::", code);
    assert_eq!(names.iter().map(String::as_str).collect::<Vec<_>>(), ["git", "model", "plan", "ports"]);
}

/// Phrases that read as translated, each with what a native reader expects. They were all in here once.
const PHRASES: [(&str, &str); 17] = [
    ("true end", "until it has finished"),
    ("truthfully", "which commit is actually running"),
    ("in the making", "under development"),
    ("than in life", "than real time"),
    ("came out as told", "finished as expected"),
    ("and never else", "only"),
    ("loop comes round", "the reconcile loop is running"),
    ("is no commit", "not a commit ID"),
    ("by way of what it comes after", "dependency cycle"),
    ("nothing says where", "no … is given"),
    ("if it shall", "if it should"),
    ("no point in time", "not a timestamp"),
    ("virtual seconds a real second", "simulated seconds per real second"),
    ("nothing fills", "no value for"),
    ("owns it:", "it can belong to only one"),
    ("is not allowed to this repository", "this repository may not use"),
    ("waits for itself", "depends on itself"),
];

#[test]
fn phrases_that_were_put_right_do_not_come_back() {
    let folders = ["src", "simulator/src", "tests", "docs", "examples", "manifests", ".github"];
    let pages = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"].map(|page| root().join(page));
    let below = folders.iter().flat_map(|folder| files_below(&root().join(folder)));
    let mut read = 0;
    for path in below.chain(pages).filter(|path| !path.ends_with("tests/repository.rs")) {
        // What is no text has no phrases.
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        read += 1;
        let text = text.to_lowercase();
        for (phrase, better) in PHRASES {
            assert!(!text.contains(phrase), "{}: “{phrase}”; better: “{better}”", path.display());
        }
    }
    assert!(read > 300, "{read}");
}

/// What hosts of git run: ours, and what others copy.
fn pipelines() -> Vec<(String, String)> {
    let folders = [".github", "actions", "templates", "examples/ci"];
    let below = folders.iter().flat_map(|folder| files_below(&root().join(folder)));
    let named = below.map(|path| {
        let name = path.strip_prefix(root()).unwrap().display().to_string();
        (name, std::fs::read_to_string(&path).unwrap())
    });
    named.collect()
}

/// Whether a commit or digest is written in full: a tag, a branch or a short one may be moved to something else.
fn is_digest(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

/// What of a `uses:` is not pinned: by commit, with the version of it for people and for Dependabot.
fn unpinned(uses: &str) -> Option<String> {
    let (action, comment) = uses.split_once(" # ").unwrap_or((uses, ""));
    let commit = action.split_once('@').map_or("", |(_, commit)| commit);
    let is_ours = action.starts_with("trueup-dev/trueup/actions/") && comment == "your commit";
    let has_version = comment.strip_prefix('v').is_some_and(|version| version.split('.').count() == 3);
    (!is_digest(commit, 40) || !(is_ours || has_version)).then(|| uses.to_owned())
}

#[test]
fn actions_and_images_of_others_are_pinned_by_digest() {
    let (mut found, mut read) = (Vec::new(), 0);
    for (name, text) in pipelines() {
        let lines = || text.lines().map(|line| line.trim().trim_start_matches("- "));
        let uses: Vec<&str> = lines().filter_map(|line| line.strip_prefix("uses: ")).collect();
        found.extend(uses.iter().filter_map(|one| unpinned(one)).map(|one| format!("{name}: {one}")));
        read += uses.len();
        // Those of GitLab; what is filled in, and the reader's own image, is theirs to pin.
        for image in
            lines().filter_map(|line| line.strip_prefix("image: ").or(line.strip_prefix("name: docker")))
        {
            let is_theirs = image.contains("$[[") || image.contains("${{") || image.contains("mco/");
            if !is_theirs && !image.split_once("@sha256:").is_some_and(|(_, digest)| is_digest(digest, 64)) {
                found.push(format!("{name}: {image}"));
            }
        }
    }
    let dockerfile = std::fs::read_to_string(root().join("Dockerfile")).unwrap();
    for base in dockerfile.lines().filter_map(|line| line.strip_prefix("FROM ")) {
        let image = base.split(' ').next().unwrap();
        let digest = image.split_once("@sha256:").map_or("", |(_, digest)| digest);
        if image != "scratch" && !is_digest(digest, 64) {
            found.push(format!("Dockerfile: {base}"));
        }
    }
    assert_eq!(found, Vec::<String>::new());
    assert!(read > 15, "{read}");
    for loose in [
        "actions/checkout@v6",
        "actions/checkout@v6 # v6.0.2",
        "actions/checkout@de0fac2",
        "actions/checkout@de0fac2e4500dabe0009e67214ff5f5447ce83dd",
        "somebody/x@de0fac2e4500dabe0009e67214ff5f5447ce83dd # your commit",
    ] {
        assert!(unpinned(loose).is_some(), "{loose}");
    }
}

#[test]
fn a_pull_request_is_planned_without_secrets_and_without_a_right_to_write() {
    for (name, text) in pipelines() {
        let code: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with('#')).collect();
        assert!(!code.iter().any(|line| line.contains("pull_request_target")), "{name}");
    }
    let text = std::fs::read_to_string(root().join("examples/ci/github-pull-request.yml")).unwrap();
    assert!(text.contains("\non: pull_request\npermissions: {}\n"), "{text}");
    assert!(
        text.contains("role-to-assume: ${{ vars.PLAN_ROLE }} # may only read: manifests/iam/read-only.json")
    );
    let writes = text.lines().filter(|line| line.contains(": write")).map(|line| line.split(" #").next());
    let expected = [Some("      id-token: write"), Some("      pull-requests: write")];
    assert_eq!(writes.collect::<Vec<_>>(), expected);
    assert!(!text.contains("secrets."), "{text}");
    assert!(text.contains("if: github.event.pull_request.head.repo.full_name == github.repository\n"));
    let trust = std::fs::read_to_string(root().join("manifests/iam/trust-github-plan.json")).unwrap();
    assert!(trust.contains(":pull_request\""), "{trust}");
}

/// What the help of a command shows.
fn options_of(command: &str, named_in: &str) -> BTreeSet<String> {
    let help =
        std::process::Command::new(env!("CARGO_BIN_EXE_trueup")).args([command, "--help"]).output().unwrap();
    assert!(help.status.success(), "{named_in}: trueup {command}");
    let help = String::from_utf8(help.stdout).unwrap();
    help.split(|c: char| c.is_whitespace() || c == ',').map(str::to_owned).collect()
}

/// Pages, each by its path.
fn pages() -> BTreeMap<PathBuf, String> {
    let own = ["README.md", "CONTRIBUTING.md", "SECURITY.md"].map(|page| root().join(page));
    let pages = files_below(&root().join("docs")).into_iter().chain(own);
    let pages = pages.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    pages.map(|path| (path.clone(), std::fs::read_to_string(&path).unwrap())).collect()
}

/// What GitHub makes of a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect()
}

#[test]
fn every_link_of_the_documentation_leads_somewhere() {
    let pages = pages();
    let anchors = |text: &str| -> BTreeSet<String> {
        let headings = text.lines().filter(|line| line.starts_with('#'));
        headings.map(|line| anchor(line.trim_start_matches('#'))).collect()
    };
    let (mut broken, mut followed) = (Vec::new(), 0);
    for (path, text) in &pages {
        for link in text.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
            if link.starts_with("https://") || link.contains(char::is_whitespace) {
                continue;
            }
            let (file, place) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
            let target = target.canonicalize().unwrap_or(target);
            let leads =
                place.is_empty() || pages.get(&target).is_some_and(|text| anchors(text).contains(place));
            if !target.exists() || !leads {
                broken.push(format!("{}: {link}", path.display()));
            }
            followed += 1;
        }
    }
    assert_eq!(broken, Vec::<String>::new());
    assert!(followed > 80, "{followed}");
    assert_eq!(anchor(" 7. Pull requests and builds"), "7-pull-requests-and-builds");
}

#[test]
fn every_page_has_its_place_in_the_order_of_reading() {
    let index = std::fs::read_to_string(root().join("docs/README.md")).unwrap();
    let numbered: Vec<&str> = index.lines().filter(|line| line.contains(". [")).collect();
    for (number, line) in numbered.iter().enumerate() {
        assert!(line.starts_with(&format!("{}. [", number + 1)), "{line}");
    }
    for path in pages().keys().filter(|path| path.parent().unwrap().ends_with("docs")) {
        let name = path.file_name().unwrap().to_str().unwrap();
        let listed = numbered.iter().filter(|line| line.contains(&format!("]({name})"))).count();
        assert_eq!(listed, usize::from(name != "README.md"), "{name}");
    }
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    assert!(readme.contains("](docs/README.md)"));
}

/// The commands of trueup in a page's blocks for a shell, lines that go on put together.
fn commands_of(page: &str) -> Vec<String> {
    let blocks = page.split("```").skip(1).step_by(2).filter_map(|block| block.strip_prefix("sh\n"));
    let lines = blocks.flat_map(|block| {
        let whole = block.replace("\\\n", " ");
        whole.lines().map(str::to_owned).collect::<Vec<_>>()
    });
    let own = lines.map(|line| line.split(" #").next().unwrap_or_default().trim().to_owned());
    own.filter(|line| line.starts_with("trueup ")).collect()
}

#[test]
fn the_documentation_calls_commands_with_options_that_there_are() {
    let mut called = 0;
    for (path, text) in pages() {
        let name = path.display().to_string();
        for line in commands_of(&text) {
            let mut words = line.split_whitespace().skip(1);
            let command = words.next().unwrap();
            let known = options_of(command, &name);
            for option in words.filter(|word| word.starts_with('-')) {
                let option = option.split('=').next().unwrap();
                assert!(known.contains(option), "{name}: {line}: {option}");
            }
            called += 1;
        }
    }
    assert!(called > 15, "{called}");
}

#[test]
fn actions_and_templates_call_commands_with_options_that_there_are() {
    let mut called = BTreeSet::new();
    for (name, text) in pipelines() {
        if !name.starts_with("actions/") && !name.starts_with("templates/") {
            continue;
        }
        let code: Vec<&str> = text.lines().filter(|line| !line.contains("description:")).collect();
        let code = code.join("\n");
        let command = |rest: &str| rest.split(|c: char| !c.is_ascii_lowercase()).next().unwrap().to_owned();
        // Setting up calls programs of others.
        let commands: BTreeSet<String> =
            code.split(" trueup ").skip(1).map(command).filter(|one| !one.is_empty()).collect();
        if commands.is_empty() {
            assert_eq!(name, "actions/setup/action.yml");
            continue;
        }
        let mut help = String::new();
        for command in &commands {
            let told =
                std::process::Command::new(env!("CARGO_BIN_EXE_trueup")).args([command, "--help"]).output();
            let told = told.unwrap();
            assert!(told.status.success(), "{name}: trueup {command}");
            help.push_str(&String::from_utf8(told.stdout).unwrap());
        }
        let known: BTreeSet<&str> = help.split(|c: char| c.is_whitespace() || c == ',').collect();
        for option in code.split(|c: char| c.is_whitespace() || "()".contains(c)) {
            let is_option = option == "-o" || option.len() > 3 && option.starts_with("--");
            assert!(!is_option || known.contains(option), "{name}: {commands:?} {option}");
        }
        called.extend(commands);
    }
    assert_eq!(called.iter().map(String::as_str).collect::<Vec<_>>(), ["lint", "plan", "promote", "wait"]);
}
