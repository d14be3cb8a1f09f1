//! Every screen over one world with every kind of trouble, as it is kept in `screens/`.
//! `TRUEUP_SCREENS=write cargo test --test scenarios screens::` writes them anew: read them then, in 80 columns.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};
use trueup::controller::{SweepResult, Writes, plans};
use trueup::model::{Commit, Head, InfraCommit, Past, Target};
use trueup::view::page::{self, Page};
use trueup::view::plan::Detail;
use trueup::view::screen::{Show, Style};
use trueup::view::status::Columns;
use trueup::view::{events, history, json as documents, markdown, plan, status};
use trueup_simulator::{Api, Fault};

use crate::stage::{Breaker, Running, Stage};

/// Applications of one task each beside `api`, by what becomes of them.
const OTHERS: [&str; 7] = ["drifts", "fails", "held", "moves", "unbuilt", "well", "zero"];

/// What application declares which commit.
struct World {
    stage: Stage,
    commits: BTreeMap<&'static str, &'static str>,
}

impl World {
    fn new() -> Self {
        let stage = Stage::new(Breaker::On);
        for name in OTHERS {
            stage.tag("aaaaaaa", name);
            let breaker =
                json!({"deploymentCircuitBreaker": {"enable": name != "moves", "rollback": name != "moves"}});
            let count = if name == "zero" { 0 } else { 2 };
            let input = json!({"cluster": "mco", "serviceName": name, "taskDefinition": "mco-api:1",
                "desiredCount": count, "deploymentConfiguration": breaker});
            stage.call(Api::Ecs, "CreateService", &input);
        }
        stage.advance(4000);
        let commits = OTHERS.iter().map(|name| (*name, "aaaaaaa")).chain([("gone", "aaaaaaa")]).collect();
        let mut world = Self { stage, commits };
        world.declare(&[]);
        world
    }

    /// A new infra commit, with these applications on another commit.
    fn declare(&mut self, changes: &[(&'static str, &'static str)]) {
        self.commits.extend(changes.iter().copied());
        let text = |name: &str| {
            format!(
                "  repository: mco/api\n  service: {name}\n  environmentTag: {name}\n  source: https://github.com/mco/{name}\n"
            )
        };
        let texts: BTreeMap<&str, String> = self.commits.keys().map(|name| (*name, text(name))).collect();
        let mut all: Vec<(&str, &str, &str)> =
            self.commits.iter().map(|(name, commit)| (*name, *commit, texts[name].as_str())).collect();
        all.push(("broken", "aaaaaaa", "  repository: mco/api\n  service: well\n  memroy: 5\n"));
        self.stage.write_broken(&all);
    }

    /// With trouble of every kind.
    async fn troubled() -> Self {
        let mut world = Self::new();
        let crash = |digest| Fault::Crash { digest, exit_code: 3, after_seconds: 0 };
        let bad = world.stage.build("bbbbbbb");
        world.stage.inject(crash(bad));
        let late = world.stage.build("eeeeeee");
        world.stage.build("ccccccc");
        let mut running = world.stage.process(BTreeMap::new());
        running.watch(&world.stage, 60, |_| ()).await;
        world.declare(&[("held", "bbbbbbb"), ("fails", "eeeeeee"), ("unbuilt", "ddddddd")]);
        running.watch(&world.stage, 500, |_| ()).await;
        world.stage.inject(crash(late));
        let by_hand =
            json!({"cluster": "mco", "service": "drifts", "taskDefinition": world.stage.register("ccccccc")});
        world.stage.call(Api::Ecs, "UpdateService", &by_hand);
        world.stop_a_task("fails");
        running.watch(&world.stage, 300, |_| ()).await;
        world.declare(&[("moves", "ccccccc")]);
        running.watch(&world.stage, 12, |_| ()).await;
        world
    }

    /// The one in its place does not come to run.
    fn stop_a_task(&self, service: &str) {
        let listed =
            self.stage.call(Api::Ecs, "ListTasks", &json!({"cluster": "mco", "serviceName": service}));
        let stop =
            json!({"cluster": "mco", "task": listed["taskArns"][0], "reason": "to see what comes of it"});
        self.stage.call(Api::Ecs, "StopTask", &stop);
    }

    fn show(&self, style: Style) -> Show {
        Show { style, now: i64::try_from(self.stage.now()).unwrap() * 1000 }
    }

    /// The newest commit, made a while ago.
    fn head(&self) -> Head {
        self.commit_of(4, "moves ccccccc to test", 12)
    }

    fn commit_of(&self, number: u64, summary: &str, seconds: u64) -> Head {
        Head {
            commit: InfraCommit::new(format!("{number:040x}")),
            summary: summary.to_owned(),
            author: "Ada Lovelace".to_owned(),
            time: i64::try_from(self.stage.now() - seconds).unwrap(),
        }
    }

    /// A look by a process that has just started.
    async fn look(&self) -> (Running, Vec<SweepResult>) {
        let mut fresh = self.stage.process(BTreeMap::new());
        let swept = fresh.controller.sweep(&self.stage.declaration, Writes::Withheld, |_| true).await;
        (fresh, swept)
    }

    async fn past(&self, looked: &Running, name: &str) -> Past {
        let mut readable = self.stage.declaration.readable();
        let desired = readable.find(|desired| desired.target.application.as_str() == name).unwrap();
        let now = Commit::new(self.commits[name]);
        let declared = [
            (self.commit_of(2, "held, fails and unbuilt in test", 812), now),
            (self.commit_of(1, "all of test", 4872), Commit::new("aaaaaaa")),
        ];
        let past = looked.controller.past(&self.stage.declaration, desired).await;
        let declared = if declared[0].1 == declared[1].1 { &declared[1..] } else { &declared[..] };
        past.with_declarations(declared)
    }
}

/// Compares with what is kept, or keeps it.
#[track_caller]
fn check(name: &str, shown: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios/screens").join(name);
    if std::env::var_os("TRUEUP_SCREENS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        return std::fs::write(path, shown).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == shown, "{name} is kept otherwise (TRUEUP_SCREENS=write keeps this):\n{shown}");
}

fn document(value: &Value) -> String {
    format!("{value:#}\n")
}

#[tokio::test]
async fn the_screens_are_as_they_are_kept() {
    let world = World::troubled().await;
    let (looked, swept) = world.look().await;
    let (plain, coloured) = (world.show(Style::Plain), world.show(Style::Coloured));
    let (head, all) = (world.head(), plans(&swept));
    check("status.txt", &status::text(&head, &all, Columns::Few, plain));
    check("status-wide.txt", &status::text(&head, &all, Columns::All, plain));
    check("status-coloured.txt", &status::text(&head, &all, Columns::Few, coloured).replace('\u{1b}', "^["));
    check("status.json", &document(&documents::status(&head, &all)));
    check("plan.txt", &plan::text(&all, Detail::Changes, Style::Plain));
    check("plan.md", &markdown::plan(&world.stage.declaration, &all));
    check("plan.json", &document(&documents::plan(&all)));
    let mut pasts: Vec<(Target, Past)> = Vec::new();
    for name in ["drifts", "held", "moves"] {
        let one = swept.iter().find(|one| one.target.application.as_str() == name).unwrap();
        let past = world.past(&looked, name).await;
        let desired =
            world.stage.declaration.readable().find(|desired| desired.target == one.target).unwrap();
        let shown = Page {
            head: &head,
            declared_in: past.deployments.iter().find_map(|one| one.declared_in.as_ref()),
            repository: Some("git@github.com:mco/infrastructure.git"),
            plan: &one.plan,
            read: Some((desired, looked.controller.last_look(desired).unwrap())),
            past: &past,
        };
        check(&format!("page-{name}.txt"), &page::text(&shown, plain));
        check(&format!("page-{name}.json"), &document(&page::json(&shown)));
        pasts.push((one.target.clone(), past));
    }
    check("history.txt", &history::text(&pasts, plain));
    check("history.json", &document(&history::json(&pasts)));
    let lines = events::lines(&pasts, plain.now - 4_000_000, plain).join("\n");
    check("events.txt", &format!("{lines}\n{}", events::end(false, plain)));
}

#[tokio::test]
async fn what_cannot_be_read_is_a_question_mark_and_never_a_no() {
    let world = World::new();
    for operation in ["DescribeImages", "ListTasks"] {
        world.stage.inject(Fault::Deny { operation: operation.to_owned(), times: 1000 });
    }
    let (_, swept) = world.look().await;
    check("unread.txt", &status::text(&world.head(), &plans(&swept), Columns::Few, world.show(Style::Plain)));
}
