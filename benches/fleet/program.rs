//! A process that is measured from outside: what Linux tells of it in `/proc`.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use super::account::{Account, REGION};

/// Between two looks at a process that is waited for.
const LOOK: Duration = Duration::from_millis(10);
/// Linux counts a process's time in hundredths of a second, on every machine that Rust runs on.
const TICKS_A_SECOND: f64 = 100.0;
/// Bytes of what a process has said that are shown when it fails.
const TOLD: usize = 3000;

static STARTED: AtomicU32 = AtomicU32::new(0);

pub struct Program {
    child: Child,
    began: Instant,
    output: PathBuf,
    messages: PathBuf,
    health: Option<SocketAddr>,
}

pub struct Ended {
    pub seconds: f64,
    /// Seconds.
    pub processor: f64,
    /// MiB, at most.
    pub memory: f64,
    pub output: String,
}

impl Program {
    pub fn start(account: &Account, arguments: &[&str]) -> anyhow::Result<Self> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_trueup"));
        command.args(arguments).arg("--repo").arg(account.repository());
        Self::spawn(account, command, None)
    }

    /// `trueup run`.
    pub fn controller(account: &Account) -> anyhow::Result<Self> {
        let health = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let mut command = Command::new(env!("CARGO_BIN_EXE_trueup"));
        command.args(["run", "--listen", &health.to_string(), "--repo"]).arg(account.repository());
        Self::spawn(account, command, Some(health))
    }

    pub fn script(
        account: &Account,
        python: &Path,
        script: &str,
        arguments: &[&str],
    ) -> anyhow::Result<Self> {
        let mut command = Command::new(python);
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join(script)).args(arguments);
        Self::spawn(account, command, None)
    }

    /// A program of the same Python.
    pub fn beside(account: &Account, python: &Path, name: &str, arguments: &[&str]) -> anyhow::Result<Self> {
        let mut command = Command::new(python.with_file_name(name));
        command.args(arguments);
        Self::spawn(account, command, None)
    }

    fn spawn(account: &Account, mut command: Command, health: Option<SocketAddr>) -> anyhow::Result<Self> {
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let (output, messages) =
            (account.beside(&format!("output-{number}")), account.beside(&format!("messages-{number}")));
        command.env_clear().envs([
            ("AWS_ENDPOINT_URL", account.endpoint.as_str()),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
            ("AWS_REGION", REGION),
            ("AWS_DEFAULT_REGION", REGION),
            ("HOME", "/nonexistent"),
            ("PATH", "/usr/local/bin:/usr/bin:/bin"),
        ]);
        command.env("TRUEUP_CACHE", account.beside("cache"));
        command.stdin(Stdio::null()).stdout(File::create(&output)?).stderr(File::create(&messages)?);
        let child = command.spawn().with_context(|| format!("{command:?} does not start"))?;
        Ok(Self { child, began: Instant::now(), output, messages, health })
    }

    /// Waits for its end, good or bad.
    pub fn ended(mut self, patience: Duration) -> anyhow::Result<Ended> {
        let mut memory = 0.0_f64;
        loop {
            // A process that has ended keeps its times until it is waited for, not its memory.
            memory = memory.max(self.peak_memory().unwrap_or_default());
            if self.stat()?.first().is_some_and(|state| state == "Z") {
                break;
            }
            ensure!(self.began.elapsed() < patience, "it does not end: {}", self.said());
            std::thread::sleep(LOOK);
        }
        let (seconds, processor) = (self.began.elapsed().as_secs_f64(), self.processor()?);
        self.child.wait()?;
        let output = std::fs::read_to_string(&self.output)?;
        ensure!(!output.is_empty(), "it says nothing: {}", self.said());
        Ok(Ended { seconds, processor, memory, output })
    }

    pub fn is_alive(&self) -> anyhow::Result<bool> {
        Ok(self.stat()?.first().is_some_and(|state| state != "Z"))
    }

    /// Whether `/readyz` says that everything was looked at.
    pub fn is_ready(&self) -> bool {
        self.health.is_some_and(|address| asks_ready(address).unwrap_or_default())
    }

    /// The fields of `/proc/PID/stat` behind the name of the program, of which the first is its state (proc(5)).
    fn stat(&self) -> anyhow::Result<Vec<String>> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let fields = stat.rsplit(')').next().unwrap_or_default();
        Ok(fields.split_whitespace().map(str::to_owned).collect())
    }

    /// Seconds of processor so far, in user and kernel.
    pub fn processor(&self) -> anyhow::Result<f64> {
        let stat = self.stat()?;
        let ticks = |index: usize| stat.get(index).and_then(|field| field.parse::<f64>().ok());
        let (user, kernel) = ticks(11).zip(ticks(12)).context("/proc/PID/stat has no times")?;
        Ok((user + kernel) / TICKS_A_SECOND)
    }

    /// What it has had at most, in MiB.
    pub fn peak_memory(&self) -> anyhow::Result<f64> {
        self.memory_of("VmHWM:")
    }

    /// What it has now, in MiB.
    pub fn memory(&self) -> anyhow::Result<f64> {
        self.memory_of("VmRSS:")
    }

    fn memory_of(&self, name: &str) -> anyhow::Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix(name)).context("no such line")?;
        let kib: f64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kib / 1024.0)
    }

    /// The end of what it has said.
    pub fn said(&self) -> String {
        let text = std::fs::read_to_string(&self.messages).unwrap_or_default();
        let start = text.floor_char_boundary(text.len().saturating_sub(TOLD));
        text.get(start..).unwrap_or_default().to_owned()
    }

    pub fn stop(mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

/// What was started ends with the bench, also when it fails.
impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn asks_ready(address: SocketAddr) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(b"GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
    let mut reply = String::new();
    stream.read_to_string(&mut reply)?;
    Ok(reply.starts_with("HTTP/1.1 200"))
}
