//! How libgit2 reaches a remote repository: HTTPS through reqwest, so that the process has one TLS stack, and SSH
//! through the system's `ssh` program, so that keys, agents and known hosts are the system's own.
//!
//! It decides nothing about repositories. A caller makes an [`Attempt`]: an address, the access that goes with it, and
//! bounds on time and bytes. What an answer is made of is bounded here, before libgit2 sees it; what libgit2 may take
//! of memory is bounded in [`memory`].

mod advertisement;
mod attempt;
mod http;
pub mod memory;
mod request;
mod ssh;

use std::path::PathBuf;
use std::sync::OnceLock;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use git2::transport::Transport;

pub use attempt::{Attempt, Bounds, Failure, Stop};
pub use ssh::SshAddress;

/// What a remote is shown to be let in.
#[derive(Clone, Default)]
pub struct Access {
    /// Sent as the password of HTTP basic authentication, over TLS or loopback only.
    pub token: Option<String>,
    pub username: Option<String>,
    /// A private key for SSH; the agent and the configuration of the system, if absent.
    pub ssh_key: Option<PathBuf>,
    /// The program to run instead of `ssh`.
    pub ssh_program: Option<PathBuf>,
}

impl Access {
    /// The value of the `authorization` header of HTTP; `None` without a token.
    pub fn authorization(&self) -> Option<String> {
        let username = self.username.as_deref().unwrap_or("x-access-token");
        let pair = format!("{username}:{}", self.token.as_ref()?);
        Some(format!("Basic {}", BASE64_STANDARD.encode(pair)))
    }
}

static REGISTERED: OnceLock<Result<(), String>> = OnceLock::new();

/// Makes libgit2 use these transports for `https://`, `http://` and `ssh://`. Only the first call has an effect, and
/// it must come before any other use of a remote in this process.
pub fn register() -> Result<(), String> {
    REGISTERED.get_or_init(|| register_once().map_err(|error| error.message().to_owned())).clone()
}

fn register_once() -> Result<(), git2::Error> {
    let client = http::client().map_err(|why| git2::Error::from_str(&why))?;
    for scheme in ["https", "http"] {
        let client = client.clone();
        let transport =
            move |remote: &git2::Remote<'_>| Transport::smart(remote, true, http::Http::new(client.clone()));
        // SAFETY: libgit2's table of transports is not synchronised. `OnceLock` lets one thread in once, and this
        // crate's users open remotes only after `register` has returned.
        #[expect(unsafe_code, reason = "the only way to register a transport")]
        unsafe {
            git2::transport::register(scheme, transport)?;
        }
    }
    let transport = move |remote: &git2::Remote<'_>| Transport::smart(remote, false, ssh::Ssh);
    // SAFETY: as above.
    #[expect(unsafe_code, reason = "the only way to register a transport")]
    unsafe {
        git2::transport::register("ssh", transport)
    }
}
