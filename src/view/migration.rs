//! How a service is moved from CodeDeploy to ECS itself: what a person sees to, the call, and what is declared then.

use std::fmt::Write as _;

use super::words::named;
use crate::escape::{line, terminal};
use crate::model::{Target, TrafficPattern};
use crate::plan::carriers::Migration;

pub fn text(target: &Target, migration: &Migration, pattern: TrafficPattern) -> String {
    let Migration { open, groups: [serves, other], hooks, .. } = migration;
    let word = pattern.word();
    let mut text =
        format!("{}   from CodeDeploy to {word} by ECS, which trueup leaves to you\n", named(target));
    let mut say = |what: &str, said: &str| {
        let _ = writeln!(text, "  {what:<10} {}", line(said));
    };
    match open {
        Some(open) => say("not yet", &format!("the deployment {open} goes on: let it end first")),
        None => say("ready", "no deployment goes on"),
    }
    say(
        "first",
        &format!("let the production rule name both groups: {serves} with weight 1, {other} with weight 0"),
    );
    say(
        "first",
        "take the production listener from whatever writes it, such as Terraform: ECS writes its rule from then on",
    );
    say("first", "stop whatever starts deployments by CodeDeploy");
    for (event, stage) in hooks {
        say(
            "hook",
            &format!(
                "{event} becomes {}: the function returns {{\"hookStatus\": \"SUCCEEDED\"}}, and calls CodeDeploy no more",
                stage.key()
            ),
        );
    }
    say(
        "call",
        "aws ecs update-service --cli-input-json file://update.json, which brings the same revision once more:",
    );
    let update = format!("{:#}", migration.update_service(pattern));
    let _ = writeln!(text, "{}", terminal(&update));
    let _ = writeln!(
        text,
        "  {:<10} strategy: {word} in place of codeDeploy, once that deployment has ended; what runs is adopted without another",
        "declare"
    );
    text
}
