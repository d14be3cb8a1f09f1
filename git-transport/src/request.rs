//! What libgit2 asks a server for (`gitprotocol-pack`), with one more wish: that large files stay where they are. libgit2
//! does not know of partial clones, and a file that will not be read costs a transfer, disk and memory to unpack.

use crate::attempt::Attempt;

const FLUSH: &[u8] = b"0000";
/// Bytes of what is wanted, before the flush: a line for each commit at which a shallow history ends.
const MOST_WANTED: usize = 4 << 20;

/// One request, as it is written.
pub(crate) struct Request {
    /// Bytes from which files are not sent; `None`: nothing is to be changed, or all was.
    limit: Option<u64>,
    /// Lines whose flush has not come.
    wanted: Vec<u8>,
    /// Where the next of these lines begins.
    next: usize,
}

impl Request {
    /// Changes nothing unless the server has said that it knows filters.
    pub(crate) fn new(attempt: &Attempt) -> Self {
        Self { limit: attempt.filter(), wanted: Vec::new(), next: 0 }
    }

    /// What is to be sent now that `data` was written; nothing, while the list of wants goes on.
    pub(crate) fn pass(&mut self, data: &[u8]) -> Vec<u8> {
        let Some(limit) = self.limit else { return data.to_vec() };
        self.wanted.extend_from_slice(data);
        while let Some(length) = length(self.wanted.get(self.next..).unwrap_or_default()) {
            if length == 0 {
                self.limit = None;
                return filtered(&std::mem::take(&mut self.wanted), self.next, limit);
            }
            self.next += length;
        }
        if self.wanted.len() > MOST_WANTED {
            self.limit = None;
            return std::mem::take(&mut self.wanted);
        }
        Vec::new()
    }
}

/// The length of a line with its head; 0 is a flush, `None` a head whose end has not come.
fn length(line: &[u8]) -> Option<usize> {
    let digits = std::str::from_utf8(line.get(..FLUSH.len())?).ok()?;
    match usize::from_str_radix(digits, 16).ok()? {
        // No line is so short; it is passed over as it is.
        length @ 1..4 => Some(length.max(FLUSH.len())),
        length => Some(length),
    }
}

/// `flush`: where the lines end.
fn filtered(request: &[u8], flush: usize, limit: u64) -> Vec<u8> {
    let (lines, rest) = request.split_at(flush);
    let first = length(lines).filter(|length| (FLUSH.len()..=lines.len()).contains(length));
    let Some(first) =
        first.filter(|_| lines.get(FLUSH.len()..).is_some_and(|line| line.starts_with(b"want ")))
    else {
        return request.to_vec();
    };
    let (first, others) = lines.split_at(first);
    let text = String::from_utf8_lossy(&first[FLUSH.len()..]);
    let first = line(&format!("{} filter\n", text.trim_end_matches('\n')));
    let filter = line(&format!("filter blob:limit={limit}"));
    [first.as_bytes(), others, filter.as_bytes(), rest].concat()
}

fn line(text: &str) -> String {
    format!("{:04x}{text}", text.len() + FLUSH.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed(limit: Option<u64>, text: &str, at_once: usize) -> String {
        let mut request = Request { limit, wanted: Vec::new(), next: 0 };
        let sent: Vec<u8> = text.as_bytes().chunks(at_once).flat_map(|part| request.pass(part)).collect();
        String::from_utf8(sent).unwrap_or_default()
    }

    #[test]
    fn a_filter_is_asked_for_once_behind_what_is_wanted() {
        let want = |more: &str| line(&format!("want aaaa ofs-delta{more}\n"));
        let (other, deepen, done) = (line("want bbbb\n"), line("deepen 1"), line("done\n"));
        let text = [&want(""), &other, &deepen, "0000", &done, "0000"].concat();
        let filter = line("filter blob:limit=1048577");
        let expected = [&want(" filter"), &other, &deepen, &filter, "0000", &done, "0000"].concat();
        for at_once in [1, 5, 1000] {
            assert_eq!(passed(Some(1_048_577), &text, at_once), expected);
            assert_eq!(passed(None, &text, at_once), text);
        }
    }

    #[test]
    fn what_is_no_request_is_passed_as_it_is() {
        for text in ["0000", "0001x0000", "0006ab0000", "zzzz"] {
            let sent = passed(Some(1), text, 1);
            assert!(sent == text || sent.is_empty(), "{text}: {sent}");
        }
    }
}
