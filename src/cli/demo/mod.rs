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
use stage::{Stage, Time};

/// `script`: play the story by itself; otherwise leave the world to the reader.
pub(super) async fn run(script: Script) -> anyhow::Result<End> {
    let time = if script == Script::Itself { Time::Rests } else { Time::Passes };
    let mut stage = Stage::open(time).await?;
    furnish::furnish(&stage)?;
    outln!("{}", stage.introduction()?);
    if script == Script::Reader {
        outln!("{}", stage.invitation());
        stage.run_until_stopped().await;
        return Ok(End::Good);
    }
    for scene in story::SCENES {
        outln!("\n── {} {}", scene.title, "─".repeat(76_usize.saturating_sub(scene.title.chars().count())));
        outln!("{}\n", scene.told);
        std::io::stdout().flush()?;
        (scene.play)(&mut stage)
            .await
            .map_err(|error| error.context(format!("scene \"{}\"", scene.title)))?;
    }
    outln!("\n{}", story::EPILOGUE);
    Ok(End::Good)
}

/// Who plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Script {
    /// The demo itself, from the first scene to the last.
    Itself,
    /// The reader, from another terminal.
    Reader,
}
