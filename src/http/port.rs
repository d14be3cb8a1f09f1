//! The port itself: how many may be connected, for how long, and with how much. Anybody in the network can reach it, and
//! nobody there may cost the controller its memory, its file descriptors or its answer to a health check.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What a connection may take.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    /// At a time. One more ends the oldest: whoever asks sends the request at once and is answered at once, so that only those
    /// who hold a connection without a use for it lose theirs.
    pub(super) connections: usize,
    /// From the start to the end of the request's headers.
    pub(super) headers: Duration,
    /// From the start to the last byte that was taken of the answer.
    pub(super) whole: Duration,
}

/// A health check and a scrape a few times a minute need one or two connections; 64 stay far below the 256 file descriptors that
/// a small container has. Health checks of ECS and Kubernetes give up after a few seconds.
pub(super) const LIMITS: Limits =
    Limits { connections: 64, headers: Duration::from_secs(5), whole: Duration::from_secs(10) };
/// Bytes of a request's head, and so all that is kept of it: a body is not read.
const MOST_BYTES: usize = 16 << 10;
const MOST_HEADERS: usize = 64;
/// The rest after a connection could not be taken, such as for want of file descriptors.
const REST: Duration = Duration::from_millis(100);

/// What is answered to a path.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) kind: &'static str,
    pub(super) body: String,
}

impl Answer {
    pub(super) fn text(status: StatusCode, body: impl Into<String>) -> Self {
        Self { status, kind: "text/plain; charset=utf-8", body: body.into() }
    }
}

/// Serves as long as it is polled. HTTP/1 alone, one request a connection.
pub(super) async fn serve<A>(listener: TcpListener, limits: Limits, answer: A) -> Infallible
where
    A: Fn(&str) -> Answer + Send + Sync + 'static,
{
    let answer = Arc::new(answer);
    let mut connections: VecDeque<JoinHandle<()>> = VecDeque::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(REST).await;
            continue;
        };
        connections.retain(|connection| !connection.is_finished());
        if connections.len() >= limits.connections
            && let Some(oldest) = connections.pop_front()
        {
            oldest.abort();
            // Its file descriptor is free before the next one is taken.
            let _ = oldest.await;
        }
        connections.push_back(tokio::spawn(one(stream, limits, Arc::clone(&answer))));
    }
}

/// One connection, to its end or its deadline.
async fn one<A>(stream: TcpStream, limits: Limits, answer: Arc<A>)
where
    A: Fn(&str) -> Answer + Send + Sync + 'static,
{
    let service = service_fn(|request: Request<Incoming>| {
        let response = respond(&request, answer.as_ref());
        async { Ok::<_, Infallible>(response) }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.headers)
        .max_buf_size(MOST_BYTES)
        .max_headers(MOST_HEADERS)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    // An error of one connection is the matter of who has made it.
    let _ = tokio::time::timeout(limits.whole, connection).await;
}

fn respond(request: &Request<Incoming>, answer: &impl Fn(&str) -> Answer) -> Response<Full<Bytes>> {
    let answer = if matches!(*request.method(), Method::GET | Method::HEAD) {
        answer(request.uri().path())
    } else {
        Answer::text(StatusCode::METHOD_NOT_ALLOWED, "")
    };
    let mut response = Response::new(Full::from(answer.body));
    *response.status_mut() = answer.status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(answer.kind));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    const LONG: Duration = Duration::from_hours(1);
    const SHORT: Duration = Duration::from_millis(20);
    const ASK: &[u8] = b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n";
    const LARGE: usize = 64 << 20;

    async fn serving(limits: Limits) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(serve(listener, limits, |path| match path {
            "/large" => Answer::text(StatusCode::OK, "x".repeat(LARGE)),
            path => Answer::text(StatusCode::OK, format!("it is {path}\n")),
        }));
        address
    }

    async fn sent(address: SocketAddr, bytes: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(address).await.unwrap();
        // A server that refuses may end the connection before all is written.
        let _ = stream.write_all(bytes).await;
        stream
    }

    /// All that comes before the other side ends the connection; it must.
    async fn rest(mut stream: TcpStream) -> String {
        let mut answer = Vec::new();
        let read = tokio::time::timeout(Duration::from_mins(1), stream.read_to_end(&mut answer)).await;
        let _ = read.expect("the connection is never ended");
        String::from_utf8_lossy(&answer).into_owned()
    }

    async fn answered(address: SocketAddr, bytes: &[u8]) -> String {
        let answer = rest(sent(address, bytes).await).await;
        answer.lines().next().unwrap_or_default().to_owned()
    }

    #[tokio::test]
    async fn who_never_finishes_a_request_is_sent_away() {
        let address = serving(Limits { connections: 64, headers: SHORT, whole: LONG }).await;
        for begun in ["", "GET /livez HTTP/1.1\r\n", "GET /livez HTTP/1.1\r\nhost: x\r\na: b"] {
            rest(sent(address, begun.as_bytes()).await).await;
        }
        let drips = sent(address, b"GET / HTTP/1.1\r\n").await;
        let (mut reader, mut writer) = drips.into_split();
        tokio::spawn(async move {
            while writer.write_all(b"a: b\r\n").await.is_ok() {
                tokio::task::yield_now().await;
            }
        });
        let ended = tokio::time::timeout(Duration::from_mins(1), reader.read_to_end(&mut Vec::new())).await;
        assert!(ended.is_ok(), "one who drips");
    }

    #[tokio::test]
    async fn who_does_not_take_the_answer_is_sent_away() {
        let address = serving(Limits { connections: 64, headers: LONG, whole: SHORT }).await;
        let stream = sent(address, b"GET /large HTTP/1.1\r\nhost: x\r\n\r\n").await;
        tokio::time::sleep(SHORT * 5).await;
        assert!(rest(stream).await.len() < LARGE, "all of it came, long after its time");
    }

    #[tokio::test]
    async fn many_who_say_nothing_keep_nobody_from_an_answer() {
        let address = serving(Limits { connections: 4, headers: LONG, whole: LONG }).await;
        let mut idle = Vec::new();
        for number in 0..40_u8 {
            idle.push(sent(address, if number % 2 == 0 { b"" } else { b"GET / HTTP/1.1\r\nhost" }).await);
            if number % 10 == 9 {
                assert_eq!(answered(address, ASK).await, "HTTP/1.1 200 OK");
            }
        }
        let kept = idle.split_off(36);
        for stream in idle {
            rest(stream).await;
        }
        drop(kept);
    }

    #[tokio::test]
    async fn a_request_is_bounded_and_of_one_kind() {
        let address = serving(Limits { connections: 64, headers: LONG, whole: LONG }).await;
        assert!(rest(sent(address, ASK).await).await.ends_with("\r\n\r\nit is /livez\n"));
        let large = format!("GET / HTTP/1.1\r\nhost: x\r\na: {}\r\n\r\n", "b".repeat(MOST_BYTES));
        assert!(answered(address, large.as_bytes()).await.starts_with("HTTP/1.1 431"));
        let many = format!("GET / HTTP/1.1\r\nhost: x\r\n{}\r\n", "a: b\r\n".repeat(MOST_HEADERS));
        assert!(answered(address, many.as_bytes()).await.starts_with("HTTP/1.1 431"));
        let second = answered(address, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
        assert!(!second.contains("200"), "{second}");
        let posted = b"POST /livez HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000000\r\n\r\nx";
        assert_eq!(answered(address, posted).await, "HTTP/1.1 405 Method Not Allowed");
        let twice = rest(sent(address, &ASK.repeat(2)).await).await;
        assert_eq!(twice.matches("HTTP/1.1 200").count(), 1, "one request a connection");
    }
}
