//! Where an infrastructure repository is.

use std::fmt;
use std::path::PathBuf;

use trueup_git_transport::SshAddress;

use super::GitError;

/// A repository on this machine, or the address of a remote one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    Local(PathBuf),
    /// `https://…`, or `http://…` on this machine.
    Http(String),
    /// `ssh://[user@]host[:port]/path`.
    Ssh(String),
}

impl Location {
    /// Reads what people write: a path, `https://…`, `ssh://…` or `user@host:path`.
    ///
    /// An address with credentials in it is refused: addresses are printed, logged and kept in caches.
    pub fn parse(text: &str) -> Result<Self, GitError> {
        let refused = |why: &str, hint: &str| {
            Err(GitError::Address { location: redacted(text), why: why.to_owned(), hint: hint.to_owned() })
        };
        if let Some((scheme, rest)) = text.split_once("://") {
            let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
            return match scheme {
                "https" | "http" if authority.contains('@') => refused(
                    "it holds credentials",
                    "take them out, and set TRUEUP_TOKEN or TRUEUP_TOKEN_FILE",
                ),
                "https" => Ok(Self::Http(text.trim_end_matches('/').to_owned())),
                "http" if is_loopback(authority) => Ok(Self::Http(text.trim_end_matches('/').to_owned())),
                "http" => refused("it is not encrypted", "use https://"),
                "ssh" => match SshAddress::parse(text) {
                    Ok(_) => Ok(Self::Ssh(text.to_owned())),
                    Err(why) => refused(&why, "write ssh://git@example.com/path/to/repository.git"),
                },
                "file" => Ok(Self::Local(PathBuf::from(rest))),
                _ => refused("its scheme is not known", "use a path, https:// or ssh://"),
            };
        }
        match text.split_once(':') {
            // As git does: a colon before the first slash makes it an address of SSH.
            Some((host, path)) if !host.contains('/') && !host.is_empty() && !path.is_empty() => {
                Self::parse(&format!("ssh://{host}/{}", path.trim_start_matches('/')))
            }
            _ => Ok(Self::Local(PathBuf::from(text))),
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local(path) => write!(f, "{}", path.display()),
            Self::Http(url) | Self::Ssh(url) => f.write_str(url),
        }
    }
}

fn is_loopback(authority: &str) -> bool {
    let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
    matches!(host, "localhost" | "127.0.0.1" | "[::1]")
}

/// The address without what may be a password.
fn redacted(text: &str) -> String {
    match (text.split_once("://"), text.split_once('@')) {
        (Some((scheme, _)), Some((_, rest))) => format!("{scheme}://…@{rest}"),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write_is_understood() {
        for (text, expected) in [
            ("/srv/infra", Location::Local("/srv/infra".into())),
            (".", Location::Local(".".into())),
            ("./a:b", Location::Local("./a:b".into())),
            (
                "https://example.com/mco/infra.git/",
                Location::Http("https://example.com/mco/infra.git".to_owned()),
            ),
            ("http://127.0.0.1:8080/infra", Location::Http("http://127.0.0.1:8080/infra".to_owned())),
            (
                "git@example.com:mco/infra.git",
                Location::Ssh("ssh://git@example.com/mco/infra.git".to_owned()),
            ),
            ("ssh://git@example.com:22/infra", Location::Ssh("ssh://git@example.com:22/infra".to_owned())),
        ] {
            assert_eq!(Location::parse(text).ok(), Some(expected), "{text}");
        }
    }

    #[test]
    fn a_secret_in_an_address_is_refused_and_never_repeated() {
        let error = Location::parse("https://me:hunter2@example.com/infra").unwrap_err();
        let said = format!("{error} {error:?}");
        assert!(said.contains("credentials") && said.contains("TRUEUP_TOKEN"), "{said}");
        assert!(!said.contains("hunter2"), "{said}");
    }

    #[test]
    fn an_address_that_would_leak_or_inject_is_refused() {
        for bad in
            ["http://example.com/infra", "ftp://example.com/x", "ssh://-oProxyCommand=x/y", "-x@host:y"]
        {
            assert!(Location::parse(bad).is_err(), "{bad}");
        }
    }
}
