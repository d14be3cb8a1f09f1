//! The list of references with which a server begins (`gitprotocol-pack`): a host may have a hundred thousand of them,
//! one for each pull request, and libgit2 keeps all that it sees. So only those that matter to a fetch are passed on.

use std::collections::VecDeque;

use crate::attempt::{Attempt, Failure};

/// Bytes that are passed on: some ten thousand branches, where the default branch is not named.
const MOST_PASSED: u64 = 1 << 20;
/// The length of a line, in hexadecimal, comes before it and counts itself.
const LENGTH: usize = 4;
const OBJECT_ID: usize = 40;

/// How many lists end with a flush until the references are over.
#[derive(Clone, Copy)]
pub(crate) enum Sections {
    /// HTTP names the service first.
    AfterService,
    /// SSH begins with the references.
    Alone,
}

pub(crate) struct Advertisement {
    attempt: Attempt,
    wanted: Option<String>,
    most: u64,
    heard: u64,
    passed: u64,
    flushes: usize,
    /// The beginning of a line whose end has not come.
    line: Vec<u8>,
    out: VecDeque<u8>,
    /// No reference was seen yet: the first one tells what the server can do.
    first: bool,
}

impl Advertisement {
    pub(crate) fn new(attempt: &Attempt, sections: Sections) -> Self {
        let flushes = match sections {
            Sections::AfterService => 2,
            Sections::Alone => 1,
        };
        Self {
            attempt: attempt.clone(),
            wanted: attempt.reference().map(str::to_owned),
            most: attempt.bounds().references,
            heard: 0,
            passed: 0,
            flushes,
            line: Vec::new(),
            out: VecDeque::new(),
            first: true,
        }
    }

    /// Whether the references are over: what comes now is something else.
    pub(crate) fn is_over(&self) -> bool {
        self.flushes == 0
    }

    /// What is to be passed on.
    pub(crate) fn take(&mut self, buffer: &mut [u8]) -> usize {
        let read = buffer.len().min(self.out.len());
        for (to, from) in buffer.iter_mut().zip(self.out.drain(..read)) {
            *to = from;
        }
        read
    }

    pub(crate) fn feed(&mut self, mut bytes: &[u8]) -> Result<(), Failure> {
        self.heard += bytes.len() as u64;
        if !self.is_over() && self.heard > self.most {
            return Err(Failure::TooMuch { what: "list of references", most: self.most });
        }
        while let [first, rest @ ..] = bytes {
            if self.is_over() {
                self.out.extend(bytes);
                return Ok(());
            }
            self.line.push(*first);
            bytes = rest;
            if self.line.len() < LENGTH {
                continue;
            }
            let wanted = self.length()?;
            let more = wanted.saturating_sub(self.line.len()).min(bytes.len());
            self.line.extend_from_slice(&bytes[..more]);
            bytes = &bytes[more..];
            if self.line.len() >= wanted {
                self.end_of_line()?;
            }
        }
        Ok(())
    }

    fn length(&self) -> Result<usize, Failure> {
        let digits = self.line.get(..LENGTH).and_then(|digits| std::str::from_utf8(digits).ok());
        let length = digits.and_then(|digits| usize::from_str_radix(digits, 16).ok());
        match length {
            Some(0) => Ok(LENGTH),
            Some(length) if length >= LENGTH => Ok(length),
            _ => Err(Failure::Other("its answer is not that of a git server".to_owned())),
        }
    }

    fn end_of_line(&mut self) -> Result<(), Failure> {
        let line = std::mem::take(&mut self.line);
        if line == b"0000" {
            self.flushes -= 1;
        } else if !self.matters(&line[LENGTH..]) {
            return Ok(());
        }
        self.passed += line.len() as u64;
        if self.passed > MOST_PASSED {
            return Err(Failure::TooMuch { what: "list of branches", most: MOST_PASSED });
        }
        self.out.extend(line);
        Ok(())
    }

    fn matters(&mut self, line: &[u8]) -> bool {
        let is_reference = line.len() > OBJECT_ID
            && line[..OBJECT_ID].iter().all(u8::is_ascii_hexdigit)
            && line[OBJECT_ID] == b' ';
        if !is_reference {
            return true;
        }
        let rest = &line[OBJECT_ID + 1..];
        if std::mem::take(&mut self.first) {
            let capabilities = String::from_utf8_lossy(rest);
            let mut words = capabilities.split([' ', '\0', '\n']);
            if words.clone().any(|word| word == "filter") {
                self.attempt.can_filter();
            }
            let head = words.find_map(|word| word.strip_prefix("symref=HEAD:"));
            self.wanted = self.wanted.take().or_else(|| head.map(str::to_owned));
            return true;
        }
        let name = rest.strip_suffix(b"\n").unwrap_or(rest);
        match &self.wanted {
            _ if name == b"HEAD" => true,
            Some(wanted) => name == wanted.as_bytes(),
            None => name.starts_with(b"refs/heads/"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::Access;
    use crate::attempt::{Bounds, Stop};

    fn line(text: &str) -> String {
        format!("{:04x}{text}", text.len() + LENGTH)
    }

    fn reference(name: &str) -> String {
        line(&format!("{} {name}\n", "a".repeat(OBJECT_ID)))
    }

    fn passed(wanted: Option<&str>, text: &str, at_once: usize) -> Result<String, Failure> {
        let bounds = Bounds { time: Duration::from_mins(1), references: 1 << 20, pack: 0, file: 0 };
        let wanted = wanted.map(str::to_owned);
        let attempt = Attempt::new("https://h/x", Access::default(), wanted, bounds, &Stop::default());
        let mut advertisement = Advertisement::new(&attempt, Sections::Alone);
        let (mut all, mut buffer) = (Vec::new(), [0; 7]);
        for part in text.as_bytes().chunks(at_once) {
            advertisement.feed(part)?;
            loop {
                match advertisement.take(&mut buffer) {
                    0 => break,
                    read => all.extend_from_slice(&buffer[..read]),
                }
            }
        }
        Ok(String::from_utf8_lossy(&all).into_owned())
    }

    #[test]
    fn only_the_references_that_matter_are_passed_on() {
        let first = |capabilities: &str| reference(&format!("HEAD\0{capabilities}"));
        let heads = [reference("refs/heads/a"), reference("refs/heads/main")].concat();
        let pulls = [reference("refs/pull/1/head"), reference("refs/tags/v1")].concat();
        for (wanted, capabilities, expected) in [
            (Some("refs/heads/main"), "", reference("refs/heads/main")),
            (None, "ofs-delta symref=HEAD:refs/heads/a", reference("refs/heads/a")),
            (None, "ofs-delta", heads.clone()),
        ] {
            let text = [first(capabilities), heads.clone(), pulls.clone(), "0000PACK".into()].concat();
            let expected = Ok([first(capabilities), expected, "0000PACK".to_owned()].concat());
            for at_once in [1, 3, 50, 1 << 20] {
                assert_eq!(passed(wanted, &text, at_once), expected, "{wanted:?} {capabilities}");
            }
        }
    }

    #[test]
    fn a_list_without_an_end_and_what_is_no_list_are_refused() {
        let endless = |name: &str| reference(name).repeat((1 << 20) / 40);
        let too_much = |text: &str| matches!(passed(None, text, 4096), Err(Failure::TooMuch { .. }));
        assert!(too_much(&endless("refs/pull/1/head")));
        assert!(too_much(&endless("refs/heads/a")));
        for bad in ["<html>", "0001", "zzzz", "\u{e9}\u{e9}\u{e9}"] {
            assert!(matches!(passed(None, bad, 3), Err(Failure::Other(_))), "{bad}");
        }
    }
}
