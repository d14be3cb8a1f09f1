//! A secret by reference. A file is read each time that its secret is needed: an hour's token and a rotated secret are
//! replaced while the process runs.

use std::io::{self, Read as _};
use std::path::PathBuf;

/// Bytes of a file with a secret.
const MOST_BYTES: u64 = 64 << 10;

/// Never printed.
#[derive(Clone)]
pub enum Secret {
    Given(String),
    File(PathBuf),
}

impl Secret {
    /// Trailing line breaks are not part of it, wherever it comes from.
    pub fn read(&self) -> io::Result<String> {
        let text = match self {
            Self::Given(secret) => secret.clone(),
            Self::File(path) => {
                let mut text = String::new();
                let read = std::fs::File::open(path)?.take(MOST_BYTES + 1).read_to_string(&mut text)?;
                if read as u64 > MOST_BYTES {
                    return Err(io::Error::other("it is too large for a secret"));
                }
                text
            }
        };
        Ok(text.trim_end_matches(['\r', '\n']).to_owned())
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_each_time_and_within_bounds() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let secret = Secret::File(path.clone());
        assert_eq!(secret.read().unwrap_err().kind(), io::ErrorKind::NotFound);
        for (content, expected) in [("one\n", "one"), ("two\r\n\n", "two"), ("", "")] {
            std::fs::write(&path, content).unwrap();
            assert_eq!(secret.read().unwrap(), expected);
            assert_eq!(Secret::Given(content.to_owned()).read().unwrap(), expected);
        }
        std::fs::write(&path, "x".repeat(64 << 10)).unwrap();
        assert!(secret.read().is_ok());
        std::fs::write(&path, "x".repeat((64 << 10) + 1)).unwrap();
        assert!(secret.read().is_err());
    }
}
