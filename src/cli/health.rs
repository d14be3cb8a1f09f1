//! `trueup health`: asks the controller of this container whether it lives, where there is no curl to ask with.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, bail, ensure};

use super::{End, RepositoryArgs};
use crate::settings::Settings;

/// For each step of the exchange; shorter than the 5 s that a health check of ECS has if not told otherwise.
const PATIENCE: Duration = Duration::from_secs(3);
/// Bytes of an answer that are read.
const MOST_BYTES: u64 = 4096;
const REQUEST: &[u8] = b"GET /livez HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";

pub(super) fn run(arguments: &RepositoryArgs, listen: Option<SocketAddr>) -> anyhow::Result<End> {
    let environment = |name: &str| std::env::var(name).ok();
    let listen = match listen {
        Some(listen) => listen,
        None => Settings::listen(&environment, arguments.config.as_deref())?
            .context("no listen address is given\n  hint  set TRUEUP_LISTEN, or give --listen")?,
    };
    ask(connect(&places(listen), PATIENCE)?, PATIENCE).with_context(|| listen.to_string())?;
    Ok(End::Good)
}

/// Where the listener can be reached from its own machine. One on all addresses of both families may find that the
/// machine has no IPv6 of its own.
fn places(listen: SocketAddr) -> Vec<SocketAddr> {
    let hosts: &[IpAddr] = match listen.ip() {
        IpAddr::V4(host) if host.is_unspecified() => &[IpAddr::V4(Ipv4Addr::LOCALHOST)],
        IpAddr::V6(host) if host.is_unspecified() => {
            &[IpAddr::V6(Ipv6Addr::LOCALHOST), IpAddr::V4(Ipv4Addr::LOCALHOST)]
        }
        host => &[host],
    };
    hosts.iter().map(|host| SocketAddr::new(*host, listen.port())).collect()
}

fn connect(places: &[SocketAddr], patience: Duration) -> anyhow::Result<TcpStream> {
    let mut failed = None;
    for place in places {
        match TcpStream::connect_timeout(place, patience) {
            Ok(stream) => return Ok(stream),
            Err(error) => failed = Some(anyhow::Error::new(error).context(format!("cannot reach {place}"))),
        }
    }
    Err(failed.unwrap_or_else(|| anyhow::anyhow!("there is nowhere to ask")))
}

/// Fails unless it is told that the controller lives.
fn ask(mut stream: TcpStream, patience: Duration) -> anyhow::Result<()> {
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    stream.write_all(REQUEST).context("it takes no request")?;
    let mut answer = Vec::new();
    stream.take(MOST_BYTES).read_to_end(&mut answer).context("it does not answer")?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    ensure!(head.starts_with("HTTP/1."), "it does not speak HTTP");
    match head.split(' ').nth(1) {
        Some("200") => Ok(()),
        status => bail!("http {}: {}", status.unwrap_or_default(), body.trim()),
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    const LONG: Duration = Duration::from_mins(1);

    /// What comes of an answer; `None`: there is none.
    #[track_caller]
    fn check(answer: Option<&'static str>, patience: Duration, expected: &str) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = connect(&[listener.local_addr().unwrap()], PATIENCE).unwrap();
        let (mut accepted, _) = listener.accept().unwrap();
        let server = std::thread::spawn(move || {
            accepted.read_exact(&mut [0; REQUEST.len()]).unwrap();
            match answer {
                Some(answer) => accepted.write_all(answer.as_bytes()).map(|()| None).unwrap(),
                None => Some(accepted),
            }
        });
        let said = ask(stream, patience).map_or_else(|error| format!("{error:#}"), |()| "good".to_owned());
        assert!(said.starts_with(expected), "{said}");
        drop(server.join().unwrap());
    }

    #[test]
    fn only_a_good_answer_is_good() {
        check(Some("HTTP/1.1 200 OK\r\n\r\nalive\n"), LONG, "good");
        let hangs = "HTTP/1.1 503 Service Unavailable\r\n\r\nno pass for 601 s\n";
        check(Some(hangs), LONG, "http 503: no pass for 601 s");
        check(Some("SSH-2.0-OpenSSH\r\n"), LONG, "it does not speak HTTP");
        check(None, Duration::from_millis(1), "it does not answer");
    }

    #[test]
    fn a_listener_on_all_addresses_is_asked_on_loopback() {
        for (listen, expected) in [
            ("0.0.0.0:8080", vec!["127.0.0.1:8080"]),
            ("[::]:8080", vec!["[::1]:8080", "127.0.0.1:8080"]),
            ("127.0.0.1:8080", vec!["127.0.0.1:8080"]),
            ("10.0.0.7:80", vec!["10.0.0.7:80"]),
        ] {
            let places: Vec<String> =
                places(listen.parse().unwrap()).iter().map(ToString::to_string).collect();
            assert_eq!(places, expected, "{listen}");
        }
    }
}
