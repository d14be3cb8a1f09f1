//! `trueup demo`: the whole story on the embedded simulator, with a real git repository and the real controller.
//!
//! Nothing here decides or pretends: each scene changes git or the simulated AWS, lets the controller run, and then
//! asks the simulated AWS itself whether the scene finished as expected. Without a controller that works, it fails.

mod files;
mod furnish;
mod stage;
mod story;

use std::io::Write as _;

use super::End;
use stage::{Stage, Time, Voice};
use story::{SCENES, Scene};

pub(super) async fn run(script: Script) -> anyhow::Result<End> {
    let time = if script == Script::Reader { Time::Passes } else { Time::Rests };
    let mut stage = Stage::open(time).await?;
    furnish::furnish(&stage)?;
    outln!("{}", stage.introduction()?);
    let shown = match script {
        Script::Reader => {
            outln!("{}", stage.invitation());
            stage.run_until_stopped().await;
            return Ok(End::Good);
        }
        Script::Whole => 1..=SCENES.len(),
        Script::Scene(number) => number..=number,
    };
    for (number, scene) in numbered().take_while(|(number, _)| number <= shown.end()) {
        let is_shown = shown.contains(&number);
        stage.voice = if is_shown { Voice::Aloud } else { Voice::Silent };
        if is_shown {
            announce(number, scene, *shown.start())?;
        }
        (scene.play)(&mut stage)
            .await
            .map_err(|error| error.context(format!("scene {number}, \"{}\"", scene.title)))?;
    }
    outln!("\n{}", story::EPILOGUE);
    Ok(End::Good)
}

/// `first`: the first scene that is shown.
fn announce(number: usize, scene: &Scene, first: usize) -> anyhow::Result<()> {
    if number == first && first > 1 {
        outln!("\nWhat comes before this scene has been played already, unseen.");
    }
    let title = format!("{number}  {}", scene.title);
    outln!("\n── {title} {}", "─".repeat(76_usize.saturating_sub(title.chars().count())));
    outln!("{}\n", scene.told);
    Ok(std::io::stdout().flush()?)
}

/// Who plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Script {
    /// The demo itself, from the first scene to the last.
    Whole,
    /// The demo itself, and of what it plays one scene is seen. Counted from 1.
    Scene(usize),
    /// The reader, from another terminal.
    Reader,
}

/// The scenes as people count them.
fn numbered() -> impl Iterator<Item = (usize, &'static Scene)> {
    (1..).zip(SCENES)
}

/// What `--help` says of them.
pub(super) fn scenes() -> String {
    numbered()
        .fold("Scenes:".to_owned(), |text, (number, scene)| format!("{text}\n  {number}  {}", scene.title))
}

/// The number of a scene.
pub(super) fn scene(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| (1..=SCENES.len()).contains(number));
    number.ok_or_else(|| format!("there is no such scene\n\n{}", scenes()))
}
