//! Git's smart HTTP protocol (`gitprotocol-http`): one GET for the references, one POST for a pack.

use std::io::{self, Read, Write};
use std::time::Duration;

use git2::Error;
use git2::transport::{Service, SmartSubtransport, SmartSubtransportStream};
use reqwest::blocking::{Client, Response};

use crate::{Access, Lookup};

/// Bytes that one answer may have: far more than a shallow infrastructure repository.
const MOST_BYTES: u64 = 1 << 30;
const CONNECT: Duration = Duration::from_secs(10);
const WHOLE_REQUEST: Duration = Duration::from_mins(2);

/// A client that follows no redirect: a token must never go where nobody has put it.
pub(crate) fn client() -> Result<Client, String> {
    Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT)
        .timeout(WHOLE_REQUEST)
        .user_agent(concat!("git/2 trueup/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| error.to_string())
}

pub(crate) struct Http {
    client: Client,
    lookup: Lookup,
}

impl Http {
    pub(crate) fn new(client: Client, lookup: Lookup) -> Self {
        Self { client, lookup }
    }
}

impl SmartSubtransport for Http {
    fn action(&self, url: &str, action: Service) -> Result<Box<dyn SmartSubtransportStream>, Error> {
        let (service, lists) = match action {
            Service::UploadPackLs => ("git-upload-pack", true),
            Service::UploadPack => ("git-upload-pack", false),
            Service::ReceivePackLs => ("git-receive-pack", true),
            Service::ReceivePack => ("git-receive-pack", false),
        };
        let base = url.trim_end_matches('/');
        let full =
            if lists { format!("{base}/info/refs?service={service}") } else { format!("{base}/{service}") };
        Ok(Box::new(Exchange {
            client: self.client.clone(),
            access: (self.lookup)(base).map_err(|why| Error::from_str(&why))?,
            url: full,
            service,
            lists,
            body: Vec::new(),
            answer: None,
        }))
    }

    fn close(&self) -> Result<(), Error> {
        Ok(())
    }
}

/// One request, sent when its answer is first read.
struct Exchange {
    client: Client,
    access: Access,
    url: String,
    service: &'static str,
    lists: bool,
    body: Vec<u8>,
    answer: Option<io::Take<Response>>,
}

impl Exchange {
    fn send(&mut self) -> io::Result<io::Take<Response>> {
        let mut request = if self.lists {
            self.client.get(&self.url)
        } else {
            self.client
                .post(&self.url)
                .header("content-type", format!("application/x-{}-request", self.service))
                .header("accept", format!("application/x-{}-result", self.service))
                .body(std::mem::take(&mut self.body))
        };
        if let Some(authorization) = self.access.authorization() {
            request = request.header("authorization", authorization);
        }
        // The error of reqwest may name the address; the address holds no secret, credentials in it are refused.
        let answer = request.send().map_err(|error| io::Error::other(chain(&error)))?;
        let status = answer.status();
        if status.is_redirection() {
            let place = answer.headers().get("location").and_then(|place| place.to_str().ok());
            let place = place.map_or("elsewhere", repository);
            return Err(io::Error::other(format!("http {}: it has moved to {place}", status.as_u16())));
        }
        if !status.is_success() {
            return Err(io::Error::other(format!("http {}", status.as_u16())));
        }
        Ok(answer.take(MOST_BYTES))
    }
}

/// The address of the repository, of which a redirect names a part: people put it into their settings.
fn repository(place: &str) -> &str {
    place.rsplit_once("/info/refs").map_or(place, |(repository, _)| repository)
}

fn chain(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    for _ in 0..8 {
        let Some(inner) = source else { break };
        text.push_str(": ");
        text.push_str(&inner.to_string());
        source = inner.source();
    }
    text
}

impl Read for Exchange {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut answer = match self.answer.take() {
            Some(answer) => answer,
            None => self.send()?,
        };
        let read = answer.read(buffer);
        self.answer = Some(answer);
        read
    }
}

impl Write for Exchange {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.body.extend_from_slice(data);
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
