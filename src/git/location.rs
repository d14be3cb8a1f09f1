//! Where an infrastructure repository is. An address is parsed once, and holds nothing that must not be printed.

use std::fmt;
use std::path::PathBuf;

use trueup_git_transport::SshAddress;
use url::{Host, Url};

use super::GitError;

/// A repository on this machine, or the address of a remote one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    Local(PathBuf),
    /// `https://…`, or `http://…` on this machine.
    Http(Address),
    /// `ssh://[user@]host[:port]/path`.
    Ssh(Address),
}

/// An address without a secret in it: no password, no query, no fragment. It may be printed, logged and kept.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address(String);

impl Address {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Words before a colon that are no host: a slash is missing behind them.
const SCHEMES: [&str; 6] = ["https", "http", "ssh", "git", "ftp", "file"];

impl Location {
    /// Reads what people write: a path, `https://…`, `ssh://…` or `user@host:path`.
    ///
    /// An address with a secret in it is refused: addresses are printed, logged and kept in caches.
    pub fn parse(text: &str) -> Result<Self, GitError> {
        if text.contains("://") {
            return parse_url(text);
        }
        match text.split_once(':') {
            // As git does: a colon before the first slash makes it an address of SSH.
            Some((host, path)) if !host.contains('/') && !host.is_empty() && !path.is_empty() => {
                parse_scp(host, path)
            }
            _ => Ok(Self::Local(PathBuf::from(text))),
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local(path) => write!(f, "{}", path.display()),
            Self::Http(address) | Self::Ssh(address) => write!(f, "{address}"),
        }
    }
}

fn parse_url(text: &str) -> Result<Location, GitError> {
    let Ok(url) = Url::parse(text) else {
        return Err(refused("…", "it is not a valid address", "use a path, https:// or ssh://"));
    };
    let shown = shown(&url);
    let secret = |why| Err(refused(&shown, why, "remove it, and set TRUEUP_TOKEN or TRUEUP_TOKEN_FILE"));
    if url.password().is_some() || (url.scheme() != "ssh" && !url.username().is_empty()) {
        return secret("it holds credentials");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return secret("it has a query or a fragment, which may hold a secret");
    }
    match url.scheme() {
        "https" => Ok(Location::Http(Address(shown))),
        "http" if is_loopback(&url) => Ok(Location::Http(Address(shown))),
        "http" => Err(refused(&shown, "it is not encrypted", "use https://")),
        "ssh" => parse_ssh(text, &shown),
        "file" if matches!(url.host_str(), None | Some("localhost" | "")) => {
            // As written: a path is no URL, and `%` in it is only a character.
            let rest = text.split_once("://").map_or("", |(_, rest)| rest);
            Ok(Location::Local(PathBuf::from(rest.strip_prefix("localhost").unwrap_or(rest))))
        }
        _ => Err(refused(&shown, "it cannot be reached that way", "use a path, https:// or ssh://")),
    }
}

fn parse_ssh(text: &str, shown: &str) -> Result<Location, GitError> {
    match SshAddress::parse(text) {
        Ok(_) => Ok(Location::Ssh(Address(text.to_owned()))),
        Err(why) => Err(refused(shown, &why, "write ssh://git@example.com/path/to/repository.git")),
    }
}

/// `user@host:path`.
fn parse_scp(host: &str, path: &str) -> Result<Location, GitError> {
    if SCHEMES.contains(&host) {
        return Err(refused(&format!("{host}:…"), "it is not a valid address", &format!("write {host}://")));
    }
    // `me:password@host:path`.
    if !host.contains('@') && path.split('/').next().is_some_and(|first| first.contains('@')) {
        return Err(refused("…", "it holds credentials", "remove them, and set TRUEUP_SSH_KEY"));
    }
    parse_url(&format!("ssh://{host}/{}", path.trim_start_matches('/')))
}

/// Scheme, host and path: all that can be printed of an address that is refused.
fn shown(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{host}{port}{}", url.scheme(), url.path().trim_end_matches('/'))
}

/// Whether what is sent there stays on this machine.
fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn refused(shown: &str, why: &str, hint: &str) -> GitError {
    GitError::Address { location: shown.to_owned(), why: why.to_owned(), hint: hint.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write_is_understood() {
        let http = |text: &str| Location::Http(Address(text.to_owned()));
        let ssh = |text: &str| Location::Ssh(Address(text.to_owned()));
        let local = |text: &str| Location::Local(text.into());
        for (text, expected) in [
            ("/srv/infra", local("/srv/infra")),
            (".", local(".")),
            ("./a:b", local("./a:b")),
            ("file:///srv/a%20b", local("/srv/a%20b")),
            ("file://localhost/srv/infra", local("/srv/infra")),
            ("https://example.com/mco/infra.git/", http("https://example.com/mco/infra.git")),
            ("HTTPS://Example.com:443/mco", http("https://example.com/mco")),
            ("http://127.0.0.1:8080/infra", http("http://127.0.0.1:8080/infra")),
            ("http://[::1]:8080/infra", http("http://[::1]:8080/infra")),
            ("http://localhost/infra", http("http://localhost/infra")),
            ("git@example.com:mco/infra.git", ssh("ssh://git@example.com/mco/infra.git")),
            ("ssh://git@example.com:22/infra", ssh("ssh://git@example.com:22/infra")),
        ] {
            assert_eq!(Location::parse(text).ok(), Some(expected), "{text}");
        }
    }

    #[test]
    fn a_secret_in_an_address_is_refused_and_never_repeated() {
        for text in [
            "https://me:hunter2@example.com/infra",
            "https://hunter2@example.com/infra",
            "https://me:p@hunter2@example.com/infra",
            "https://me:p/hunter2@example.com/infra",
            "https://me:p#hunter2@example.com/infra",
            "https://me:p?hunter2@example.com/infra",
            "https://me:hunter2@exa mple.com/infra",
            "https://example.com/infra?private_token=hunter2",
            "https://example.com/infra#hunter2",
            "http://me:hunter2@localhost/infra",
            "ssh://me:hunter2@example.com/infra",
            "me:hunter2@example.com:infra",
            "me:hunter2@example.com/infra",
            "https:/me:hunter2@example.com/infra",
            "https:me:hunter2@example.com/infra",
            "ftp://me:hunter2@example.com/infra",
            "file://me:hunter2@example.com/infra",
            "git+https://me:hunter2@example.com/infra",
        ] {
            let error = Location::parse(text).expect_err(text);
            let said = format!("{error} {error:?}");
            assert!(!said.contains("hunter2"), "{text}: {said}");
            assert!(said.contains("TRUEUP_") || said.contains("valid") || said.contains("reached"), "{said}");
        }
    }

    #[test]
    fn an_address_that_would_leak_or_inject_is_refused() {
        for bad in [
            "http://example.com/infra",
            "http://localhost:x@evil/",
            "http://localhost@evil/",
            "http://localhost.evil/",
            "http://127.0.0.1.evil/",
            "http://localhost#@evil/",
            "http://evil/localhost",
            "http://0.0.0.0/infra",
            "ftp://example.com/x",
            "ssh://-oProxyCommand=x/y",
            "-x@host:y",
            "file://evil/srv",
        ] {
            assert!(Location::parse(bad).is_err(), "{bad}");
        }
    }
}
