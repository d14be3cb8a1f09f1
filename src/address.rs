//! The address of something on the web, parsed once. It prints without what may be a secret: its path and query may be
//! one as a whole, as with the hooks of chat programs, and a user in it is refused.

use std::fmt;

use reqwest::Url;

const USER: &str = "it holds a user or a password; take them out";
const PAGE: &str = "expected an address such as https://github.com/mco/api";

/// `https://…`, or `http://…` on this machine.
#[derive(Clone, PartialEq, Eq)]
pub struct WebAddress(Url);

impl WebAddress {
    /// Why it is refused does not repeat it.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let url =
            Url::parse(text.trim()).map_err(|_| "expected an address such as https://example.com/hook")?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(USER);
        }
        match url.scheme() {
            "https" => Ok(Self(url)),
            "http" if is_this_machine(&url) => Ok(Self(url)),
            _ => Err("it is not encrypted; use https://"),
        }
    }

    /// For the request itself.
    pub fn url(&self) -> &Url {
        &self.0
    }
}

/// Where a repository is, by the address that git uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// With its port, unless that is one of SSH.
    pub host: String,
    /// Without slashes around it, and without `.git` behind it.
    pub path: String,
}

impl Place {
    /// `https://…`, `ssh://…`, `git@host:path`, or `http://…` on this machine. `None` where it is no such address, or has anything
    /// in it that could be a secret or end a link.
    pub fn of_repository(address: &str) -> Option<Self> {
        let rest = match address.split_once("://") {
            Some(("https", rest)) => rest.to_owned(),
            Some(("http", rest)) if Url::parse(address).is_ok_and(|url| is_this_machine(&url)) => {
                rest.to_owned()
            }
            Some(("ssh", rest)) => rest.split_once('@').map_or(rest, |(_, rest)| rest).to_owned(),
            Some(_) => return None,
            None => {
                let (host, path) = address.split_once(':')?;
                let host = host.split_once('@').map_or(host, |(_, host)| host);
                format!("{host}/{path}")
            }
        };
        let rest = rest.trim_end_matches('/');
        let rest = rest.strip_suffix(".git").unwrap_or(rest);
        let (host, path) = rest.split_once('/')?;
        // The port of SSH is not that of the pages.
        let host = if address.starts_with("ssh://") { host.split(':').next()? } else { host };
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-/~:".contains(c);
        let is_plain = !host.is_empty() && !path.is_empty() && rest.chars().all(plain) && !host.contains('~');
        is_plain.then(|| Self { host: host.to_owned(), path: path.to_owned() })
    }
}

/// Refuses what is no address of a page that everybody may be shown. Why does not repeat it.
pub fn check_page(text: &str) -> Result<(), &'static str> {
    let url = Url::parse(text.trim()).map_err(|_| PAGE)?;
    if !matches!(url.scheme(), "https" | "http") {
        return Err(PAGE);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(USER);
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("it has a query or a fragment, behind `?` or `#`; take it out");
    }
    Ok(())
}

/// By the host that a request would go to, not by how the text begins: `http://localhost:x@example.com` does not.
fn is_this_machine(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

impl fmt::Display for WebAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rest = if self.0.path() == "/" && self.0.query().is_none() { "" } else { "/…" };
        write!(f, "{}{rest}", self.0.origin().ascii_serialization())
    }
}

impl fmt::Debug for WebAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_printed_without_what_may_be_a_secret() {
        for (text, shown) in [
            ("https://hooks.example.com/T0/B0/hunter2", "https://hooks.example.com/…"),
            ("https://example.com:8443/?private_token=hunter2", "https://example.com:8443/…"),
            ("https://example.com", "https://example.com"),
            ("http://127.0.0.1:8080/hunter2#hunter2", "http://127.0.0.1:8080/…"),
            ("http://localhost/x", "http://localhost/…"),
            ("http://[::1]:8080/x", "http://[::1]:8080/…"),
        ] {
            let address = WebAddress::parse(text).unwrap();
            assert_eq!(address.to_string(), shown);
            assert!(!format!("{address:?}").contains("hunter2"));
        }
    }

    #[test]
    fn what_would_leak_or_go_elsewhere_is_refused_and_not_repeated() {
        for text in [
            "http://example.com/hunter2",
            "http://localhost:x@evil.com/hunter2",
            "http://localhost@evil.com/hunter2",
            "http://127.0.0.1.evil.com/hunter2",
            "http://localhost.evil.com/hunter2",
            "https://me:hunter2@example.com",
            "https://me:hunt@er2@example.com",
            "https://hunter2@example.com",
            "ftp://example.com/hunter2",
            "hunter2",
            "https://",
            "",
        ] {
            let why = WebAddress::parse(text).unwrap_err();
            assert!(!why.contains("hunter2"), "{text}: {why}");
        }
    }
}
