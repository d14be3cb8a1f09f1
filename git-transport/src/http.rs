//! Git's smart HTTP protocol (`gitprotocol-http`): one GET for the references, one POST for a pack.

use std::io::{self, Read, Write};
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use git2::Error;
use git2::transport::{Service, SmartSubtransport, SmartSubtransportStream};
use reqwest::{Client, Response, Url};

use crate::advertisement::{Advertisement, Sections};
use crate::attempt::{Attempt, Failure};
use crate::request::Request;

const CONNECT: Duration = Duration::from_secs(10);
/// Bytes of one request: what is wanted, what is there, and where a shallow history ends.
const MOST_REQUEST: usize = 4 << 20;

/// A client that follows no redirect: a token must never go where nobody has put it.
pub(crate) fn client() -> Result<Client, String> {
    Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT)
        .user_agent(concat!("git/2 trueup/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| error.to_string())
}

pub(crate) struct Http {
    client: Client,
}

impl Http {
    pub(crate) fn new(client: Client) -> Self {
        Self { client }
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
        let attempt = Attempt::current(base)?;
        let exchange = Exchange {
            client: self.client.clone(),
            service,
            request: Some(Vec::new()),
            answer: None,
            chunk: Bytes::new(),
        };
        if lists {
            let url = format!("{base}/info/refs?service={service}");
            let advertisement = Advertisement::new(&attempt, Sections::AfterService);
            return Ok(Box::new(References { exchange, url, attempt, advertisement }));
        }
        let request = Request::new(&attempt);
        Ok(Box::new(Pack { exchange, url: format!("{base}/{service}"), attempt, request }))
    }

    fn close(&self) -> Result<(), Error> {
        Ok(())
    }
}

/// One request, sent when its answer is first read.
struct Exchange {
    client: Client,
    service: &'static str,
    /// Its body; `None` once it was sent.
    request: Option<Vec<u8>>,
    answer: Option<Response>,
    chunk: Bytes,
}

impl Exchange {
    /// The next part of the answer; nothing at its end.
    fn next(&mut self, url: &str, method: &reqwest::Method, attempt: &Attempt) -> io::Result<Bytes> {
        if let Some(body) = self.request.take() {
            self.answer = Some(self.send(url, method, body, attempt)?);
        }
        let Some(answer) = &mut self.answer else { return Ok(Bytes::new()) };
        let chunk = attempt.wait(answer.chunk())?;
        let chunk = chunk.map_err(|error| attempt.fail(Failure::Other(chain(&error))))?;
        Ok(chunk.unwrap_or_default())
    }

    fn send(
        &self,
        url: &str,
        method: &reqwest::Method,
        body: Vec<u8>,
        attempt: &Attempt,
    ) -> io::Result<Response> {
        let mut request = self.client.request(method.clone(), url);
        if *method == reqwest::Method::POST {
            request = request
                .header("content-type", format!("application/x-{}-request", self.service))
                .header("accept", format!("application/x-{}-result", self.service))
                .body(body);
        }
        if let Some(authorization) = attempt.access().authorization() {
            request = request.header("authorization", authorization);
        }
        // The error of reqwest may name the address; the address holds no secret, credentials in it are refused.
        let answer = attempt.wait(request.send())?;
        let answer = answer.map_err(|error| attempt.fail(Failure::Other(chain(&error))))?;
        let status = answer.status();
        if status.is_redirection() {
            let place = answer.headers().get("location").and_then(|place| place.to_str().ok());
            return Err(
                attempt.fail(Failure::Moved(place.and_then(repository).unwrap_or("elsewhere".into())))
            );
        }
        if !status.is_success() {
            return Err(attempt.fail(Failure::Status(status.as_u16())));
        }
        Ok(answer)
    }
}

/// The list of references.
struct References {
    exchange: Exchange,
    url: String,
    attempt: Attempt,
    advertisement: Advertisement,
}

impl Read for References {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.advertisement.take(buffer);
            if read > 0 {
                return Ok(read);
            }
            let chunk = self.exchange.next(&self.url, &reqwest::Method::GET, &self.attempt)?;
            if chunk.is_empty() {
                return Ok(0);
            }
            self.advertisement.feed(&chunk).map_err(|failure| self.attempt.fail(failure))?;
        }
    }
}

impl Write for References {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Pack {
    exchange: Exchange,
    url: String,
    attempt: Attempt,
    request: Request,
}

impl Read for Pack {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.exchange.chunk.is_empty() {
            let chunk = self.exchange.next(&self.url, &reqwest::Method::POST, &self.attempt)?;
            self.attempt.received(chunk.len())?;
            self.exchange.chunk = chunk;
        }
        let read = buffer.len().min(self.exchange.chunk.len());
        self.exchange.chunk.copy_to_slice(&mut buffer[..read]);
        Ok(read)
    }
}

impl Write for Pack {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let body = self.exchange.request.get_or_insert_default();
        if body.len() + data.len() > MOST_REQUEST {
            return Err(io::Error::other("the request is too large"));
        }
        body.extend(self.request.pass(data));
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The address of the repository, of which a redirect names a part: people put it into their settings.
fn repository(place: &str) -> Option<String> {
    let mut url = Url::parse(place).ok()?;
    // Whatever else the other side has put into it is not for people.
    url.set_username("").ok()?;
    url.set_password(None).ok()?;
    url.set_query(None);
    url.set_fragment(None);
    let text = url.to_string();
    Some(text.strip_suffix("/info/refs").unwrap_or(&text).to_owned())
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
