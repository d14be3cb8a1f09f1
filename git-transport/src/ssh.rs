//! Git over SSH by the system's `ssh` program.
//!
//! Nothing of an address can become an option or a second command: host and user are checked, the path is quoted.

use std::io::{self, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use git2::Error;
use git2::transport::{Service, SmartSubtransport, SmartSubtransportStream};

use crate::{Access, Lookup};

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

pub(crate) struct Ssh {
    lookup: Lookup,
}

impl Ssh {
    pub(crate) fn new(lookup: Lookup) -> Self {
        Self { lookup }
    }
}

impl SmartSubtransport for Ssh {
    fn action(&self, url: &str, action: Service) -> Result<Box<dyn SmartSubtransportStream>, Error> {
        let service = match action {
            Service::UploadPackLs | Service::UploadPack => "git-upload-pack",
            Service::ReceivePackLs | Service::ReceivePack => "git-receive-pack",
        };
        let address = SshAddress::parse(url).map_err(|why| Error::from_str(&why))?;
        let access = (self.lookup)(url).map_err(|why| Error::from_str(&why))?;
        let session = Session::start(&address, service, &access);
        session
            .map(|session| Box::new(session) as Box<dyn SmartSubtransportStream>)
            .map_err(|error| Error::from_str(&format!("the ssh program cannot be started: {error}")))
    }

    fn close(&self) -> Result<(), Error> {
        Ok(())
    }
}

/// One running `ssh`. It ends with the stream.
struct Session {
    child: Child,
    input: Option<ChildStdin>,
    output: ChildStdout,
}

impl Session {
    fn start(address: &SshAddress, service: &str, access: &Access) -> io::Result<Self> {
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
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn()?;
        let missing = || io::Error::other("a pipe is missing");
        let input = child.stdin.take();
        let output = child.stdout.take().ok_or_else(missing)?;
        Ok(Self { child, input, output })
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // Closing its input tells the other side that all is said; then it must not linger as a zombie.
        drop(self.input.take());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Read for Session {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.output.read(buffer)
    }
}

impl Write for Session {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        match &mut self.input {
            Some(input) => input.write(data),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
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
