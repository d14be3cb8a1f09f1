//! Git over SSH by the system's `ssh` program.
//!
//! Nothing of an address can become an option or a second command: host and user are checked, the path is quoted.

use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use git2::Error;
use git2::transport::{Service, SmartSubtransport, SmartSubtransportStream};

use crate::advertisement::{Advertisement, Sections};
use crate::attempt::{Attempt, Failure, Guard};
use crate::request::Request;

/// Bytes of what `ssh` complains about.
const MOST_COMPLAINT: usize = 2048;
/// How long its last words are waited for after it has closed its output.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The parts of `ssh://[user@]host[:port]/path`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SshAddress {
    pub user: Option<String>,
    pub host: String,
    pub port: Option<u16>,
    pub path: String,
}

impl SshAddress {
    /// Refuses what a shell or `ssh` could take for something else.
    pub fn parse(url: &str) -> Result<Self, String> {
        let rest = url.strip_prefix("ssh://").ok_or("not an ssh:// address")?;
        let (authority, path) = rest.split_once('/').ok_or("the address has no path")?;
        let (user, place) = match authority.split_once('@') {
            Some((user, place)) => (Some(user.to_owned()), place),
            None => (None, authority),
        };
        let (host, port) = match place.rsplit_once(':') {
            Some((host, port)) => (host, Some(port.parse().map_err(|_| "the port is no number")?)),
            None => (place, None),
        };
        let plain = |text: &str| {
            !text.is_empty()
                && !text.starts_with('-')
                && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte))
        };
        if !plain(host) || user.as_deref().is_some_and(|user| !plain(user)) {
            return Err("the host or the user holds characters that are not allowed".to_owned());
        }
        if path.is_empty() || path.chars().any(|c| c.is_control() || "'\"\\`$!;&|<>".contains(c)) {
            return Err("the path holds characters that are not allowed".to_owned());
        }
        // `~user` and `~/` stay as they are; all else is absolute.
        let path = if path.starts_with('~') { path.to_owned() } else { format!("/{path}") };
        Ok(Self { user, host: host.to_owned(), port, path })
    }

    fn destination(&self) -> String {
        self.user.as_ref().map_or_else(|| self.host.clone(), |user| format!("{user}@{}", self.host))
    }
}

pub(crate) struct Ssh;

impl SmartSubtransport for Ssh {
    fn action(&self, url: &str, action: Service) -> Result<Box<dyn SmartSubtransportStream>, Error> {
        let service = match action {
            Service::UploadPackLs | Service::UploadPack => "git-upload-pack",
            Service::ReceivePackLs | Service::ReceivePack => "git-receive-pack",
        };
        let address = SshAddress::parse(url).map_err(|why| Error::from_str(&why))?;
        let attempt = Attempt::current(url)?;
        let session = Session::start(&address, service, &attempt);
        session.map(|session| Box::new(session) as Box<dyn SmartSubtransportStream>).map_err(|error| {
            let failure = Failure::Other(format!("the ssh program cannot be started: {error}"));
            Error::from_str(&attempt.fail(failure).to_string())
        })
    }

    fn close(&self) -> Result<(), Error> {
        Ok(())
    }
}

/// One running `ssh`. It ends with the stream, or with its attempt.
struct Session {
    attempt: Attempt,
    child: Child,
    input: Option<ChildStdin>,
    output: ChildStdout,
    complaint: Receiver<String>,
    advertisement: Advertisement,
    /// From the first thing that is asked, when the references are known.
    request: Option<Request>,
    /// Ends it when its attempt is over.
    end: Option<Guard>,
}

impl Session {
    fn start(address: &SshAddress, service: &str, attempt: &Attempt) -> io::Result<Self> {
        let access = attempt.access();
        let program = access.ssh_program.clone().unwrap_or_else(|| "ssh".into());
        let mut command = Command::new(program);
        // Never ask: nobody sits there. Give up on a host that does not answer.
        command.args(["-o", "BatchMode=yes", "-o", "ConnectTimeout=10", "-o", "ServerAliveInterval=15"]);
        if let Some(key) = &access.ssh_key {
            command.arg("-i").arg(key).args(["-o", "IdentitiesOnly=yes"]);
        }
        if let Some(port) = address.port {
            command.args(["-p", &port.to_string()]);
        }
        command.arg(address.destination()).arg(format!("{service} '{}'", address.path));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // A group of its own: what `ssh` has started holds the same pipes, and must end with it.
        let mut child = command.process_group(0).spawn()?;
        let missing = || io::Error::other("a pipe is missing");
        let group = child.id();
        let end = attempt.at_the_end(move || kill_group(group))?;
        let input = child.stdin.take();
        let output = child.stdout.take().ok_or_else(missing)?;
        let complaint = listen(child.stderr.take().ok_or_else(missing)?);
        let advertisement = Advertisement::new(attempt, Sections::Alone);
        Ok(Self {
            attempt: attempt.clone(),
            child,
            input,
            output,
            complaint,
            advertisement,
            request: None,
            end: Some(end),
        })
    }

    /// Why the other side has nothing more to say.
    fn over(&self) -> Failure {
        let said = self.complaint.recv_timeout(LAST_WORDS).unwrap_or_default();
        let said = if said.is_empty() { "the connection was closed".to_owned() } else { said };
        self.attempt.end().unwrap_or(Failure::Other(said))
    }
}

/// The beginning of what `ssh` complains about, once it has ended. The rest is heard and forgotten: a full pipe would stop it.
fn listen(mut stderr: ChildStderr) -> Receiver<String> {
    let (tell, told) = mpsc::sync_channel(1);
    std::thread::spawn(move || {
        let (mut kept, mut buffer) = (Vec::new(), [0; 512]);
        while let Ok(read @ 1..) = stderr.read(&mut buffer) {
            let room = MOST_COMPLAINT.saturating_sub(kept.len()).min(read);
            kept.extend_from_slice(&buffer[..room]);
        }
        // Nobody listens any more: the session is over.
        let _ = tell.send(String::from_utf8_lossy(&kept).trim().to_owned());
    });
    told
}

/// Ends a group of processes. That there is none any more is no error.
fn kill_group(group: u32) {
    let Ok(group) = libc::pid_t::try_from(group) else { return };
    // SAFETY: a system call on numbers. The group is that of a child which was not waited for yet, so that its number
    // belongs to nobody else.
    #[expect(unsafe_code, reason = "the standard library ends single processes only")]
    unsafe {
        libc::kill(-group, libc::SIGKILL);
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // Once it was waited for, its number may be another's.
        drop(self.end.take());
        // Closing its input tells the other side that all is said; then it must not linger as a zombie.
        drop(self.input.take());
        kill_group(self.child.id());
        let _ = self.child.wait();
    }
}

impl Read for Session {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.advertisement.take(buffer);
            if read > 0 {
                return Ok(read);
            }
            let read = self.output.read(buffer)?;
            if read == 0 {
                return Err(self.attempt.fail(self.over()));
            }
            if self.advertisement.is_over() {
                self.attempt.received(read)?;
                return Ok(read);
            }
            self.advertisement.feed(&buffer[..read]).map_err(|failure| self.attempt.fail(failure))?;
        }
    }
}

impl Write for Session {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let Some(input) = &mut self.input else { return Err(io::ErrorKind::BrokenPipe.into()) };
        let request = self.request.get_or_insert_with(|| Request::new(&self.attempt));
        input.write_all(&request.pass(data)).map_err(|_| self.attempt.fail(self.over()))?;
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.input.as_mut().map_or(Ok(()), Write::flush)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_apart() {
        let address = SshAddress::parse("ssh://git@example.com:2222/mco/infra.git").ok();
        let expected = SshAddress {
            user: Some("git".to_owned()),
            host: "example.com".to_owned(),
            port: Some(2222),
            path: "/mco/infra.git".to_owned(),
        };
        assert_eq!(address, Some(expected));
        assert_eq!(
            SshAddress::parse("ssh://h/~me/x").ok().map(|address| address.path),
            Some("~me/x".to_owned())
        );
    }

    #[test]
    fn nothing_of_an_address_becomes_an_option_or_a_command() {
        for bad in [
            "ssh://-oProxyCommand=x/y",
            "ssh://git@-oProxyCommand=x/y",
            "ssh://-x@host/y",
            "ssh://host/it's",
            "ssh://host/a;b",
            "ssh://host/$(x)",
            "ssh://ho st/x",
            "ssh://host/",
            "ssh://host:port/x",
            "https://host/x",
        ] {
            assert!(SshAddress::parse(bad).is_err(), "{bad}");
        }
    }
}
