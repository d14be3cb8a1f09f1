//! The two streams of the process: stdout is data, stderr is messages. All that a command prints goes through here: text is
//! escaped for a terminal, messages are JSON where that was asked for, and no stream that is closed or full ends in a panic.
//!
//! What stdout does not take is remembered, and is an error of the command; a reader that has gone away, such as `head`, is
//! none. Where there is no stdout (`>&-`), the first text is lost. A message that stderr does not take is lost: there is
//! nowhere to say so.

use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::MakeExt;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::debug_fn;
use trueup_streams::stdout_was_closed;

use super::{Color, LogFormat};
use crate::escape;
use crate::model::{Finding, Severity};
use crate::settings::SettingsError;
use crate::view::screen::Style;

/// Writes to stdout, which is data.
macro_rules! out {
    ($($argument:tt)*) => { $crate::cli::streams::print(format_args!($($argument)*)) };
}
macro_rules! outln {
    ($($argument:tt)*) => {{
        out!($($argument)*);
        out!("\n");
    }};
}
/// Writes a message to stderr.
macro_rules! say {
    ($($argument:tt)*) => { $crate::cli::streams::message("INFO", format_args!($($argument)*)) };
}

/// Whether messages are JSON.
static JSON: AtomicBool = AtomicBool::new(false);
/// Why stdout takes no more; what was to come is left out.
static ENDED: OnceLock<Loss> = OnceLock::new();

/// How text is lost that was meant for stdout.
enum Loss {
    /// There was no stdout from the beginning.
    Closed,
    Refused(ErrorKind),
}

/// What a command ended with. Findings say themselves that they are errors.
pub(super) fn told(error: &anyhow::Error) -> String {
    match error.downcast_ref::<SettingsError>() {
        Some(SettingsError::Findings(_)) => format!("{error:#}"),
        _ => format!("error: {error:#}"),
    }
}

/// Makes the log, and says how messages are written from now on.
pub(super) fn start(format: LogFormat) {
    JSON.store(format == LogFormat::Json, Ordering::Relaxed);
    std::panic::set_hook(Box::new(|panic| message("ERROR", format_args!("{panic}"))));
    let filter = EnvFilter::try_from_env("TRUEUP_LOG")
        .unwrap_or_else(|_| EnvFilter::new("trueup=info,warn,aws_config=error"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(Log).with_target(false);
    let log = log.log_internal_errors(false);
    match format {
        LogFormat::Text => {
            let fields = debug_fn(|writer, field, value| match field.name() {
                "message" => write!(writer, "{}", escape::line(&format!("{value:?}"))),
                name => write!(writer, "{name}={}", escape::line(&format!("{value:?}"))),
            });
            // A file or a collector gets no colours.
            let is_terminal = io::IsTerminal::is_terminal(&io::stderr());
            log.with_ansi(is_terminal).fmt_fields(fields.delimited(" ")).init();
        }
        LogFormat::Json => log.json().init(),
    }
}

/// Text for people, on stdout.
pub(super) fn print(text: Arguments<'_>) {
    raw(&escape::terminal(&text.to_string()));
}

/// A screen, on stdout: text for people whose colour we have set.
pub(super) fn screen(text: &str) {
    raw(&escape::painted(text));
}

/// Whether stdout gets colour and marks. `NO_COLOR` is that of no-color.org.
pub(super) fn style(color: Color) -> Style {
    let is_asked_for = || {
        let is_off = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        io::IsTerminal::is_terminal(&io::stdout()) && !is_off && !is_dumb
    };
    let is_on = match color {
        Color::Auto => is_asked_for(),
        Color::Always => true,
        Color::Never => false,
    };
    if is_on { Style::Coloured } else { Style::Plain }
}

/// A document, on stdout.
pub(super) fn document(value: &Value) {
    raw(&escape::json(&format!("{value:#}\n")));
}

/// To stdout as it is: for what only the program itself has written.
pub(super) fn raw(text: &str) {
    if ENDED.get().is_some() {
        return;
    }
    if stdout_was_closed() {
        let _ = ENDED.set(Loss::Closed);
        return;
    }
    note(io::stdout().lock().write_all(text.as_bytes()));
}

fn note(written: io::Result<()>) {
    if let Err(error) = written {
        let _ = ENDED.set(Loss::Refused(error.kind()));
    }
}

/// Whether nobody gets what is written to stdout: whoever goes on printing may stop.
pub(super) fn has_ended() -> bool {
    ENDED.get().is_some()
}

/// At the end of a command: an error if stdout did not take all of it.
pub(super) fn finish() -> anyhow::Result<()> {
    if ENDED.get().is_none() {
        note(io::stdout().lock().flush());
    }
    match ENDED.get() {
        None | Some(Loss::Refused(ErrorKind::BrokenPipe)) => Ok(()),
        Some(Loss::Refused(kind)) => anyhow::bail!("the output could not be written: {kind}"),
        Some(Loss::Closed) => anyhow::bail!("the output could not be written: stdout is closed"),
    }
}

/// A message for people, on stderr: lines of text, or an object of the shape that the log has.
pub(super) fn message(level: &'static str, text: Arguments<'_>) {
    let text = text.to_string();
    if JSON.load(Ordering::Relaxed) {
        object(level, &json!({"message": text}));
    } else {
        to_stderr(&escape::terminal(&format!("{}\n", indented(&text))));
    }
}

/// Whether a line on stderr can be drawn again: on a terminal, where messages are text.
pub(super) fn is_drawn() -> bool {
    !JSON.load(Ordering::Relaxed) && io::IsTerminal::is_terminal(&io::stderr())
}

/// Draws a line on stderr over the one that was drawn before; an empty one leaves nothing behind.
pub(super) fn draw(line: &str) {
    to_stderr(&format!("\r\u{1b}[2K{line}"));
}

/// A message whose further lines cannot be taken for messages of their own: errors hold what others have written.
fn indented(text: &str) -> String {
    let mut lines = text.lines();
    let first = lines.next().unwrap_or_default().to_owned();
    lines.fold(first, |mut all, line| {
        let margin = if line.starts_with(' ') { "" } else { "  " };
        all.push('\n');
        all.push_str(margin);
        all.push_str(line);
        all
    })
}

/// A finding, on stderr.
pub(super) fn finding(finding: &Finding) {
    if !JSON.load(Ordering::Relaxed) {
        let frozen = frozen(finding).map(|names| format!("\n  frozen  {names}; the others are not affected"));
        return to_stderr(&escape::terminal(&format!("{finding}{}\n", frozen.unwrap_or_default())));
    }
    let level = match finding.severity {
        Severity::Warning => "WARN",
        Severity::Error => "ERROR",
    };
    let targets: Vec<String> = finding.targets.iter().map(ToString::to_string).collect();
    let fields = json!({
        "event": "finding",
        "message": finding.message,
        "file": finding.position.file,
        "line": finding.position.line,
        "column": finding.position.column,
        "field": finding.field,
        "hint": finding.hint,
        "targets": targets,
    });
    object(level, &fields);
}

/// Who is frozen by it.
fn frozen(finding: &Finding) -> Option<String> {
    if finding.targets.is_empty() || finding.severity != Severity::Error {
        return None;
    }
    let names: Vec<String> =
        finding.targets.iter().map(|name| escape::line(&name.to_string()).into_owned()).collect();
    Some(names.join(", "))
}

fn object(level: &str, fields: &Value) {
    let entry = json!({"timestamp": jiff::Timestamp::now().to_string(), "level": level, "fields": fields});
    to_stderr(&escape::json(&format!("{entry}\n")));
}

fn to_stderr(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// Where the log goes: an event is one call, and a stream that takes none is no error.
struct Log;

impl Write for Log {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        if JSON.load(Ordering::Relaxed) {
            to_stderr(&escape::json(&String::from_utf8_lossy(event)));
        } else {
            let _ = io::stderr().lock().write_all(event);
        }
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        Self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings;

    #[test]
    fn an_error_says_once_that_it_is_one() {
        let file = settings::parse("trueup.yaml", "pollInterval: [1]\nbranch: main\n").err().unwrap();
        for (error, beginning) in [
            (anyhow::Error::new(file), "error: trueup.yaml:"),
            (anyhow::anyhow!("no such thing"), "error: no such thing"),
        ] {
            let told = told(&error);
            assert!(told.starts_with(beginning) && !told.contains("error: error:"), "{told}");
        }
    }
}
