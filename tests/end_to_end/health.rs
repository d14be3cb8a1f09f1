//! What a running controller says of itself over HTTP.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::restart::{Controller, until};
use crate::rig::Rig;

/// A controller that serves, and where.
pub fn serving(rig: &Rig, more: &[(&str, &str)]) -> (Controller, String) {
    serving_from(rig, rig.folder.path(), more)
}

/// The same from another repository.
pub fn serving_from(rig: &Rig, repository: impl AsRef<OsStr>, more: &[(&str, &str)]) -> (Controller, String) {
    let (process, address) = listening(rig.command_on(repository, &run_on("127.0.0.1:0")), more);
    (process, format!("http://{address}"))
}

/// The same under limits that a shell sets.
pub fn serving_within(limits: &str, rig: &Rig, repository: impl AsRef<OsStr>) -> (Controller, String) {
    let run = rig.command_on(repository, &run_on("127.0.0.1:0"));
    let (process, address) = listening(limited(&run, limits), &[]);
    (process, format!("http://{address}"))
}

fn limited(command: &Command, limits: &str) -> Command {
    let mut limited = Command::new("/bin/sh");
    let script = format!("{limits}; exec \"$@\"");
    limited.args(["-c", &script, "sh"]).arg(command.get_program()).args(command.get_args());
    limited.env_clear().envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    limited
}

fn run_on(address: &str) -> [&str; 5] {
    ["run", "--listen", address, "--log-format", "json"]
}

fn listening(mut command: Command, more: &[(&str, &str)]) -> (Controller, SocketAddr) {
    let mut process = command.envs(more.iter().copied()).stderr(Stdio::piped()).spawn().unwrap();
    let log = BufReader::new(process.stderr.take().unwrap());
    let process = Controller(process);
    let mut lines = log.lines().map(Result::unwrap);
    let listening = lines.find(|line| line.contains("http.listening")).unwrap();
    // Nobody else reads the log: it must not fill up.
    std::thread::spawn(move || lines.for_each(drop));
    let entry: serde_json::Value = serde_json::from_str(&listening).unwrap();
    (process, entry["fields"]["address"].as_str().unwrap().parse().unwrap())
}

/// Status and body.
pub fn get(address: &str) -> (u16, String) {
    let answer = reqwest::blocking::get(address).unwrap();
    (answer.status().as_u16(), answer.text().unwrap())
}

#[test]
fn it_is_ready_after_the_first_look_and_its_metrics_tell_what_runs() {
    let rig = Rig::new();
    let (process, address) = serving(&rig, &[]);
    assert_eq!(get(&format!("{address}/livez")), (200, "alive\n".to_owned()));
    until("readiness", || get(&format!("{address}/readyz")).0 == 200);
    let metric = |name: &str| {
        let (status, text) = get(&format!("{address}/metrics"));
        assert_eq!(status, 200);
        assert!(text.ends_with("# EOF\n"));
        let line =
            text.lines().find(|line| line.starts_with(&format!("trueup_{name}")) && !line.starts_with('#'));
        line.and_then(|line| line.rsplit(' ').next()).map(str::to_owned)
    };
    let build = format!("build_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION"));
    assert_eq!(metric(&build).as_deref(), Some("1"));
    let api = "{environment=\"test\",application=\"api\"}";
    assert_eq!(metric(&format!("application_synced{api}")).as_deref(), Some("1"));
    rig.build("bbbbbbb");
    rig.declare("bbbbbbb");
    until("the registration", || metric("writes_total{kind=\"register\"}").as_deref() == Some("1"));
    until("the deployment", || metric(&format!("application_synced{api}")).as_deref() == Some("0"));
    assert_eq!(metric("source_good").as_deref(), Some("1"));
    assert_eq!(get(&format!("{address}/")).0, 404);
    drop(process);
}

/// Those that this process has counted as succeeded, the durations and the lead times.
fn counted(address: &str) -> [String; 3] {
    let (_, text) = get(&format!("{address}/metrics"));
    let value = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        line.rsplit(' ').next().unwrap_or_default().to_owned()
    };
    [
        value("trueup_deployments_total{environment=\"test\",application=\"api\",outcome=\"succeeded\"}"),
        value("trueup_deployment_seconds_count{environment=\"test\",outcome=\"succeeded\"}"),
        value("trueup_lead_time_seconds_count{environment=\"test\"}"),
    ]
}

#[test]
fn a_deployment_is_counted_by_the_process_that_saw_it_and_by_no_later_one() {
    let rig = Rig::new();
    let (process, address) = serving(&rig, &[]);
    until("readiness", || get(&format!("{address}/readyz")).0 == 200);
    assert_eq!(counted(&address), ["0", "0", "0"]);
    for (commit, expected) in [("bbbbbbb", ["1", "1", "0"]), ("ccccccc", ["2", "2", "1"])] {
        rig.build(commit);
        rig.declare(commit);
        until(commit, || counted(&address) == expected);
    }
    drop(process);
    let (_process, address) = serving(&rig, &[]);
    until("readiness", || get(&format!("{address}/readyz")).0 == 200);
    assert_eq!(counted(&address), ["0", "0", "0"]);
}

#[test]
fn every_metric_is_documented_and_every_documented_one_is_there() {
    let rig = Rig::new();
    let webhook = [("TRUEUP_WEBHOOK_URL", "http://127.0.0.1:9/"), ("TRUEUP_WEBHOOK_SECRET", "hunter2")];
    let (_process, address) = serving(&rig, &webhook);
    until("readiness", || get(&format!("{address}/readyz")).0 == 200);
    let (_, text) = get(&format!("{address}/metrics"));
    let printed: BTreeSet<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
        .filter(|name| !name.starts_with("trueup_lease_"))
        .collect();
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/monitoring.md");
    let page = std::fs::read_to_string(page).unwrap();
    let metrics = page.split("| metric | labels | meaning |").nth(1).unwrap();
    let documented: BTreeSet<&str> = metrics
        .lines()
        .skip(2)
        .map_while(|line| line.strip_prefix("| ")?.split(" | ").next())
        .flat_map(|names| names.split(", "))
        .map(|name| name.trim_matches('`'))
        .map(|name| name.trim_end_matches("_total").trim_end_matches("_info"))
        // With leases alone: the tests of the leases read them.
        .filter(|name| !name.starts_with("trueup_lease_"))
        .collect();
    assert!(printed.is_subset(&documented), "{printed:?} {documented:?}");
    let not_yet: Vec<&str> = documented.difference(&printed).copied().collect();
    let of_what_has_not_happened =
        ["application_awaiting_approval", "application_stalled", "write_failures", "writes"];
    assert_eq!(not_yet, of_what_has_not_happened.map(|name| format!("trueup_{name}")));
    let value = |name: &str| -> f64 {
        let line =
            text.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name}: {text}"));
        line.rsplit(' ').next().unwrap().parse().unwrap()
    };
    assert!(value("trueup_resident_memory_bytes") > 1_000_000.0, "{text}");
    assert!(value("trueup_sweep_seconds_count{account=") >= 1.0, "{text}");
    assert!(value("trueup_look_seconds_count{account=") >= 1.0, "{text}");
    assert!(value("trueup_queue_length{account=") < 1.0, "{text}");
    assert!(value("trueup_alert_deliveries_total{sink=\"webhook\",outcome=\"dropped\"}") < 1.0, "{text}");
}

#[test]
fn a_repository_that_cannot_be_read_keeps_it_from_being_ready() {
    let rig = Rig::new();
    let (_process, address) = serving(&rig, &[("TRUEUP_BRANCH", "nope")]);
    until("the reason", || get(&format!("{address}/readyz")).1.contains("nope"));
    assert_eq!(get(&format!("{address}/readyz")).0, 503);
    assert_eq!(get(&format!("{address}/livez")).0, 200);
}

#[test]
fn a_health_check_needs_to_know_nothing_but_the_address() {
    let rig = Rig::new();
    let (process, address) = listening(rig.command(&run_on("0.0.0.0:0")), &[]);
    let ask = |listen: &str| {
        let mut command = rig.command(&["health"]);
        let output =
            command.envs([("TRUEUP_LISTEN", listen), ("TRUEUP_TOKEN_FILE", "/nonexistent")]).output();
        let output = output.unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    for all in [address.to_string(), format!("[::]:{}", address.port())] {
        assert_eq!(ask(&all), (Some(0), String::new()), "{all}");
    }
    drop(process);
    let (code, said) = ask(&address.to_string());
    assert_eq!(code, Some(1));
    assert!(said.contains(&format!("cannot reach 127.0.0.1:{}", address.port())), "{said}");
    let (code, said) = ask("");
    assert_eq!(code, Some(1));
    assert!(said.contains("set TRUEUP_LISTEN"), "{said}");
}

#[test]
fn a_port_that_is_taken_is_an_error_at_the_start() {
    let rig = Rig::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = rig.trueup(&["run", "--listen", &address]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains(&format!("cannot listen on {address}")));
}

#[test]
fn a_crowd_at_the_port_keeps_nothing_from_its_work() {
    let rig = Rig::new();
    let run = rig.command(&run_on("127.0.0.1:0"));
    let (_process, address) = listening(limited(&run, "ulimit -n 256"), &[]);
    let connect = |begun: &[u8]| {
        let mut stream = TcpStream::connect(address).unwrap();
        // It may have been sent away already.
        let _ = stream.write_all(begun);
        stream
    };
    let idle: Vec<TcpStream> = (0..369).map(|_| connect(b"")).collect();
    for _ in 0..3 {
        let half_sent: Vec<TcpStream> =
            (0..1000).map(|_| connect(b"GET /livez HTTP/1.1\r\nhost: x\r\na: ")).collect();
        assert_eq!(get(&format!("http://{address}/livez")), (200, "alive\n".to_owned()));
        drop(half_sent);
    }
    rig.build("bbbbbbb");
    rig.declare("bbbbbbb");
    until("the deployment", || rig.deployments() == 2);
    assert_eq!(get(&format!("http://{address}/livez")).0, 200);
    drop(idle);
}
