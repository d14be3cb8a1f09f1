//! Git's own server program behind HTTP on loopback. The tests of `src/git` use it too.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// What the server asks of its callers.
#[derive(Clone, Default)]
pub struct Door {
    /// `Basic` credentials, in base64.
    pub authorization: Option<&'static str>,
    pub moved_to: Option<String>,
    /// The headers of all requests.
    pub heard: Arc<Mutex<Vec<String>>>,
    /// It accepts requests, and does not answer.
    pub hangs: Arc<AtomicBool>,
    /// Its packs are broken.
    pub garbles: Arc<AtomicBool>,
}

/// Serves a folder of git's own files by `git http-backend`; its address.
pub fn serve(folder: &Path, door: Door) -> String {
    serve_at(folder, door, "/infra")
}

/// The same at another path.
pub fn serve_at(folder: &Path, door: Door, place: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}{place}", listener.local_addr().unwrap());
    let folder = folder.to_path_buf();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (folder, door) = (folder.clone(), door.clone());
            std::thread::spawn(move || answer(stream, &folder, &door, place));
        }
    });
    url
}

fn answer(mut stream: TcpStream, folder: &Path, door: &Door, place: &str) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).unwrap() == 0 {
            return;
        }
    }
    let header = |name: &str| {
        let line = head.lines().find(|line| line.to_ascii_lowercase().starts_with(&format!("{name}:")));
        line.and_then(|line| line.split_once(':')).map(|(_, value)| value.trim().to_owned())
    };
    door.heard.lock().unwrap().push(head.clone());
    let length: usize = header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    if door.hangs.load(Ordering::Relaxed) {
        // Until the other side gives up.
        let _ = stream.read(&mut [0; 1]);
        return;
    }
    if let Some(place) = &door.moved_to {
        let text = format!(
            "HTTP/1.1 302 Found\r\nlocation: {place}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        );
        stream.write_all(text.as_bytes()).unwrap();
        return;
    }
    if door.authorization.is_some_and(|wanted| header("authorization") != Some(format!("Basic {wanted}"))) {
        let text = "HTTP/1.1 401 Unauthorized\r\nwww-authenticate: Basic realm=\"git\"\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        stream.write_all(text.as_bytes()).unwrap();
        return;
    }
    let mut words = head.split_whitespace();
    let (method, target) = (words.next().unwrap(), words.next().unwrap());
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut backend = Command::new("git")
        .arg("http-backend")
        .env_clear()
        .envs([
            ("PATH", std::env::var("PATH").unwrap().as_str()),
            ("GIT_HTTP_EXPORT_ALL", "1"),
            ("GIT_PROJECT_ROOT", folder.to_str().unwrap()),
            ("PATH_INFO", path.trim_start_matches(place)),
            ("QUERY_STRING", query),
            ("REQUEST_METHOD", method),
            ("CONTENT_TYPE", header("content-type").unwrap_or_default().as_str()),
            ("CONTENT_LENGTH", length.to_string().as_str()),
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    backend.stdin.take().unwrap().write_all(&body).unwrap();
    let mut output = backend.wait_with_output().unwrap().stdout;
    if method == "POST" && door.garbles.load(Ordering::Relaxed) {
        // Where it only negotiates, there is none.
        let pack = output.windows(4).position(|window| window == b"PACK").unwrap_or(output.len());
        output.iter_mut().skip(pack + 14).take(8).for_each(|byte| *byte ^= 0x5a);
    }
    let split = output.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let (cgi, content) = output.split_at(split + 4);
    let status = if cgi.starts_with(b"Status: ") { "404 Not Found" } else { "200 OK" };
    let start = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n", content.len());
    stream.write_all(&[start.as_bytes(), cgi, content].concat()).unwrap();
}
