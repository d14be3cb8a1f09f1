//! Which host a repository is at, by its own address and by what the operator says of it. The token goes to the API of that
//! host.

use super::app::App;
use super::github::{self, GitHub};
use super::gitlab::GitLab;
use super::{Host, HostError, HostedRepository, Token, token};
use crate::address::{Place, WebAddress};
use crate::secret::Secret;

/// A kind of host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    GitHub,
    GitLab,
}

impl Kind {
    pub const ALL: [Self; 2] = [Self::GitHub, Self::GitLab];

    /// As the settings say it.
    pub fn word(self) -> &'static str {
        match self {
            Self::GitHub => "github",
            Self::GitLab => "gitlab",
        }
    }

    fn of_host(host: &str) -> Option<Self> {
        match host {
            _ if host.contains("gitlab") => Some(Self::GitLab),
            _ if host.contains("github") || host.ends_with(".ghe.com") => Some(Self::GitHub),
            _ => None,
        }
    }

    fn variable(self) -> &'static str {
        match self {
            Self::GitHub => "GITHUB_TOKEN",
            Self::GitLab => "GITLAB_TOKEN",
        }
    }
}

/// What the operator says of the host, where its address does not say it.
#[derive(Clone, Debug, Default)]
pub struct HostSettings {
    pub kind: Option<Kind>,
    pub api: Option<WebAddress>,
}

/// What the operator gives for the host to let trueup in.
#[derive(Clone, Debug)]
pub enum Access<S = Secret> {
    Token(S),
    /// A GitHub App.
    App {
        /// Its client id or application id.
        id: String,
        /// `None`: that of the repository is asked for.
        installation: Option<u64>,
        /// The private key, as PEM.
        key: S,
    },
}

impl HostedRepository {
    /// The one at this address, as git writes it, which is never repeated: it may hold a secret. The token is that of the
    /// settings, or that of the variable which the host's own tools use.
    pub fn at(
        address: &str,
        settings: &HostSettings,
        given_access: Option<Access>,
        variables: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, HostError> {
        let unknown = |why: &str, hint| HostError::NoHost { why: why.to_owned(), hint };
        let Some(place) = Place::of_repository(address) else {
            let hint = "it needs a repository at GitHub or GitLab; in a clone, `git remote get-url origin` says where that is";
            return Err(unknown("the address of the repository is not one of a host", hint));
        };
        let host = web_host(&place.host);
        let Some(kind) = settings.kind.or_else(|| Kind::of_host(host)) else {
            let hint = "say `repository.host: github` or `gitlab` in the settings, or set TRUEUP_GIT_HOST";
            return Err(unknown(&format!("{host} may be of any kind"), hint));
        };
        let given = |name: &str| variables(name).filter(|value| !value.trim().is_empty());
        let of_variables = || token(&given, kind.variable()).map(Access::Token);
        let access = given_access.or_else(of_variables).ok_or_else(|| {
            let hint = match kind {
                Kind::GitHub => "set TRUEUP_TOKEN or GITHUB_TOKEN, or the same with _FILE, to one that may write contents and pull requests",
                Kind::GitLab => "set TRUEUP_TOKEN or GITLAB_TOKEN, or the same with _FILE, to one with the scope `api` and the role Developer",
            };
            HostError::NoHost { why: "there is no token for it".to_owned(), hint }
        })?;
        let api = match &settings.api {
            Some(api) => api.clone(),
            None => WebAddress::parse(&api(kind, host)).map_err(|why| unknown(why, "set TRUEUP_GIT_API"))?,
        };
        let host: Option<Box<dyn Host>> = match kind {
            Kind::GitHub => GitHub::new(&place.path, &api).map(|host| Box::new(host) as Box<dyn Host>),
            Kind::GitLab => {
                GitLab::new(below_root(&place.path, &api)).map(|host| Box::new(host) as Box<dyn Host>)
            }
        };
        let host = host.ok_or_else(|| {
            unknown("the path of the repository is not one of that host", "GitHub's is owner/name")
        })?;
        let token = match access {
            Access::Token(secret) => Token::Given(secret),
            Access::App { id, installation, key } => Token::OfApp(App::new(id, installation, key)),
        };
        Ok(Self { host, api, token })
    }
}

/// The path of a project where GitLab itself is below a path of its host.
fn below_root<'p>(path: &'p str, api: &WebAddress) -> &'p str {
    let root = api.url().path().split("/api/v4").next().unwrap_or_default().trim_matches('/');
    let below = path.strip_prefix(root).and_then(|rest| rest.strip_prefix('/'));
    below.filter(|_| !root.is_empty()).unwrap_or(path)
}

/// Where the pages of a host are that has another name for SSH through port 443.
fn web_host(host: &str) -> &str {
    match host {
        "ssh.github.com" => "github.com",
        "altssh.gitlab.com" => "gitlab.com",
        _ => host,
    }
}

/// GitHub: "Getting started with the REST API"; Enterprise Server has it below `/api/v3`, and Enterprise Cloud with data residency at
/// `api.` before the host. GitLab: "REST API".
fn api(kind: Kind, host: &str) -> String {
    match kind {
        Kind::GitHub if host == "github.com" => github::API.to_owned(),
        Kind::GitHub if host.ends_with(".ghe.com") => format!("https://api.{host}"),
        Kind::GitHub => format!("https://{host}/api/v3"),
        Kind::GitLab => format!("https://{host}/api/v4"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(address: &str, settings: &HostSettings) -> String {
        let repository = HostedRepository::at(
            address,
            settings,
            Some(Access::Token(Secret::Given("hunter2".to_owned()))),
            &|_| None,
        );
        match repository {
            Ok(found) => format!("{} {}", found.api.url(), found.host.about().path),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn the_api_is_that_of_the_host_of_the_repository() {
        let none = HostSettings::default();
        let github = HostSettings { kind: Some(Kind::GitHub), api: None };
        let api = WebAddress::parse("https://git.example.com/gitlab/api/v4").ok();
        let elsewhere = HostSettings { kind: Some(Kind::GitLab), api };
        for (address, settings, expected) in [
            ("https://github.com/mco/infra.git", &none, "https://api.github.com/ repos/mco/infra"),
            ("git@github.com:mco/infra.git", &none, "https://api.github.com/ repos/mco/infra"),
            ("ssh://git@ssh.github.com:443/mco/infra", &none, "https://api.github.com/ repos/mco/infra"),
            ("https://mco.ghe.com/mco/infra", &none, "https://api.mco.ghe.com/ repos/mco/infra"),
            ("git@github.example.com:mco/infra", &none, "https://github.example.com/api/v3 repos/mco/infra"),
            ("https://git.example.com/mco/infra", &github, "https://git.example.com/api/v3 repos/mco/infra"),
            ("git@gitlab.com:a/b/infra.git", &none, "https://gitlab.com/api/v4 projects/a%2Fb%2Finfra"),
            (
                "ssh://git@altssh.gitlab.com:443/a/infra",
                &none,
                "https://gitlab.com/api/v4 projects/a%2Finfra",
            ),
            (
                "https://git.example.com/gitlab/a/infra",
                &elsewhere,
                "https://git.example.com/gitlab/api/v4 projects/a%2Finfra",
            ),
        ] {
            assert_eq!(found(address, settings), expected, "{address}");
        }
    }

    #[test]
    fn what_is_at_no_host_is_said_without_its_address() {
        let none = HostSettings::default();
        for (address, expected) in [
            ("/srv/canary.git", "is not one of a host"),
            ("https://me:canary@github.com/mco/infra", "is not one of a host"),
            ("https://git.example.com/canary/infra", "git.example.com may be of any kind"),
            ("https://github.com/canary", "GitHub's is owner/name"),
            ("https://github.com/a/b/canary", "GitHub's is owner/name"),
            ("https://github.com/../canary", "GitHub's is owner/name"),
            ("https://gitlab.com/../canary", "is not one of that host"),
        ] {
            let said = found(address, &none);
            assert!(said.contains(expected) && !said.contains("canary"), "{address}: {said}");
        }
    }

    #[test]
    fn the_token_of_the_settings_goes_before_that_of_the_host() {
        let variables =
            |name: &str| ["GITHUB_TOKEN", "GITLAB_TOKEN"].contains(&name).then(|| name.to_owned());
        let token = |address: &str, settings: Option<&str>, variables: &dyn Fn(&str) -> Option<String>| {
            let settings = settings.map(|token| Access::Token(Secret::Given(token.to_owned())));
            let found = HostedRepository::at(address, &HostSettings::default(), settings, variables);
            let read = |found: HostedRepository| match found.token {
                Token::Given(secret) => secret.read().unwrap(),
                Token::OfApp(_) => unreachable!("no app was given"),
            };
            found.map(read).map_err(|error| error.to_string())
        };
        let (github, gitlab) = ("https://github.com/mco/infra", "https://gitlab.com/mco/infra");
        assert_eq!(token(github, Some("own"), &variables).as_deref(), Ok("own"));
        assert_eq!(token(github, None, &variables).as_deref(), Ok("GITHUB_TOKEN"));
        assert_eq!(token(gitlab, None, &variables).as_deref(), Ok("GITLAB_TOKEN"));
        let said = token(github, None, &|_| None).unwrap_err();
        assert!(
            said.contains("there is no token for it\n  hint  set TRUEUP_TOKEN or GITHUB_TOKEN"),
            "{said}"
        );
    }
}
