//! Where an infrastructure repository is. An address is parsed once, and holds nothing that must not be printed.

use std::fmt;
use std::path::PathBuf;

use trueup_git_transport::SshAddress;
use url::{Host, Url};

use super::GitError;
use crate::masking::may_hold_a_secret;

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
        match text.trim().split_once(':') {
            // As git does: a colon before the first slash makes it an address of SSH.
            Some((host, path)) if !host.contains('/') && !host.is_empty() && !path.is_empty() => {
                parse_scp(host, path)
            }
            _ => parse_path(text),
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
    if url.path().contains('@') && url.scheme() != "file" {
        // There ends what follows a slash in a password, and an address behind another one.
        return Err(refused(
            &shown,
            "its path holds an @, as if it held credentials",
            "write %40 for an @ in a path",
        ));
    }
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
            parse_path(rest.strip_prefix("localhost").unwrap_or(rest))
        }
        _ => Err(refused(&shown, "it cannot be reached that way", "use a path, https:// or ssh://")),
    }
}

/// A folder on this machine. What may be an address without its scheme is none: it may hold a secret.
fn parse_path(text: &str) -> Result<Location, GitError> {
    let path = text.trim_start();
    let is_rooted = path.starts_with('/') && !path.starts_with("//");
    let is_marked = is_rooted || path.starts_with("./") || path.starts_with("../");
    let has_login = path.rsplit_once('@').is_some_and(|(before, _)| before.contains(':'));
    let has_query = path.split_once('?').is_some_and(|(_, query)| query.contains('='));
    // `/token@host/path` misses a scheme; the root of a disk has no such folder.
    let begins_with_user = is_rooted && path.split('/').nth(1).is_some_and(|first| first.contains('@'));
    if has_login || has_query || begins_with_user || (!is_marked && path.contains(['@', '?', '#'])) {
        let hint = "write https:// or ssh:// before an address without credentials, ./ before a path";
        return Err(refused("…", "it may be an address, and hold credentials", hint));
    }
    Ok(Location::Local(PathBuf::from(text)))
}

fn parse_ssh(text: &str, shown: &str) -> Result<Location, GitError> {
    match SshAddress::parse(text) {
        Ok(address) if address.user.as_deref().is_some_and(may_hold_a_secret) => Err(refused(
            shown,
            "its user looks like a token",
            "write git@ before the host, and set TRUEUP_SSH_KEY",
        )),
        Ok(_) => Ok(Location::Ssh(Address(text.to_owned()))),
        Err(why) => Err(refused(shown, &why, "write ssh://git@example.com/path/to/repository.git")),
    }
}

/// `user@host:path`.
fn parse_scp(host: &str, path: &str) -> Result<Location, GitError> {
    if let Some(scheme) = SCHEMES.iter().find(|scheme| scheme.eq_ignore_ascii_case(host)) {
        return Err(refused(
            &format!("{scheme}:…"),
            "it is not a valid address",
            &format!("write {scheme}://"),
        ));
    }
    // `me:password@host:path`, where both may hold an @ themselves.
    if path.contains('@') {
        return Err(refused("…", "it holds credentials", "remove them, and set TRUEUP_SSH_KEY"));
    }
    parse_url(&format!("ssh://{host}/{}", path.trim_start_matches('/')))
}

/// Scheme, host and path: all that can be printed of an address that is refused. With an @ behind them nobody can tell where
/// its credentials begin and end.
fn shown(url: &Url) -> String {
    let rest = [Some(url.path()), url.query(), url.fragment()];
    if rest.into_iter().flatten().any(|part| part.contains('@')) {
        return "…".to_owned();
    }
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
            ("/var/lib/jenkins/workspace/infra@2", local("/var/lib/jenkins/workspace/infra@2")),
            ("/srv/a:b", local("/srv/a:b")),
            ("../infra@2", local("../infra@2")),
            ("./infra#2", local("./infra#2")),
            ("//srv/infra", local("//srv/infra")),
            ("file:///srv/a%20b", local("/srv/a%20b")),
            (" https://example.com/infra ", http("https://example.com/infra")),
            ("https://example.com/~me%40corp/infra", http("https://example.com/~me%40corp/infra")),
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
            // Without a scheme, or with what is left of one.
            "//me:hunter2@example.com/infra",
            "//hunter2@example.com/infra",
            " //me:hunter2@example.com/infra",
            "///me:hunter2@example.com/infra",
            "/me:hunter2@example.com/infra",
            "/hunter2@example.com/infra",
            "hunter2@example.com/infra",
            "hunter2@example.com",
            "hunter2:x-oauth-basic@example.com/infra",
            "./me:hunter2@example.com/infra",
            "\\\\me:hunter2@example.com\\infra",
            "https//me:hunter2@example.com/infra",
            "https//hunter2@example.com/infra",
            "https;//me:hunter2@example.com/infra",
            "https\u{ff1a}//me:hunter2@example.com/infra",
            "://me:hunter2@example.com/infra",
            ":me:hunter2@example.com/infra",
            ":/hunter2@example.com/infra",
            "HTTPS:/me:hunter2@example.com/infra",
            "Https:hunter2@example.com/infra",
            "https:\\\\me:hunter2@example.com\\infra",
            "git+https:/me:hunter2@example.com/infra",
            "ttps:/hunter2@example.com/infra",
            "ttps://me:hunter2@example.com/infra",
            "ttps:///me:hunter2@example.com/infra",
            "ssh:///me:hunter2@example.com/infra",
            "file:///me:hunter2@example.com/infra",
            "file:///me:hunter2@example.com/infra?x",
            // Blanks, capitals, and quotes.
            " https://me:hunter2@example.com/infra",
            "\thttps://me:hunter2@example.com/infra\n",
            "\u{a0}https://me:hunter2@example.com/infra",
            " https:/me:hunter2@example.com/infra",
            "https:// me:hunter2@example.com/infra",
            "https: //me:hunter2@example.com/infra",
            "HTTPS://me:hunter2@example.com/infra",
            "\"https://me:hunter2@example.com/infra\"",
            "url=https://me:hunter2@example.com/infra",
            "git clone https://me:hunter2@example.com/infra",
            // Characters of the password that end an authority, and logins that are addresses of mail.
            "https://me:12/hunter2@example.com/infra",
            "http://me:12/hunter2@example.com/infra",
            "ssh://me:12/hunter2@example.com/infra",
            "https://me:12?hunter2@example.com/infra",
            "https://me:p@ss/hunter2@example.com/infra",
            "https://me@corp.example:hunter2@example.com/infra",
            "me@corp.example:hunter2@example.com/infra",
            "me@corp.example:hunter2@example.com:infra",
            "me:p/hunter2@example.com/infra",
            "me:p@hunter2@example.com:infra",
            "[me:hunter2@example.com]:infra",
            // One address behind another.
            "https://https://me:hunter2@example.com/infra",
            "ssh://https://me:hunter2@example.com/infra",
            "git@example.com:https://me:hunter2@example.com/infra",
            "https://proxy.example/https://hunter2@example.com/infra",
            // No user, but a query; a token in place of a user.
            "example.com/infra?private_token=hunter2",
            "//example.com/infra?private_token=hunter2",
            "//example.com/infra#hunter2",
            "/infra?private_token=hunter2",
            "git@example.com:infra?private_token=hunter2",
            "ghp_0123456789hunter2@example.com:infra",
            "ssh://glpat-0123456789hunter2@example.com/infra",
        ] {
            let error = Location::parse(text).expect_err(text);
            let said = format!("{error} {error:?}");
            assert!(!said.contains("hunter2") && !said.contains("p@ss"), "{text}: {said}");
            assert!(said.contains("hint"), "{text}: {said}");
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
