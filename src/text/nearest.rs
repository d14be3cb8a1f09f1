//! What somebody meant who wrote another word.

use std::cell::Cell;

/// Letters of a word that are compared; no key and hardly a name is longer.
const LETTERS: usize = 64;
/// Hints that are looked for among the names of one repository, which may have thousands: nobody reads more.
const HINTS: usize = 20;

/// Names of a repository, such as those of its files.
pub(crate) struct Names<'a> {
    names: Vec<&'a str>,
    hints_left: Cell<usize>,
}

impl<'a> Names<'a> {
    pub(crate) fn new(names: impl IntoIterator<Item = &'a str>) -> Self {
        Self { names: names.into_iter().collect(), hints_left: Cell::new(HINTS) }
    }

    pub(crate) fn suggestion(&self, word: &str) -> Option<String> {
        self.hints_left.set(self.hints_left.get().checked_sub(1)?);
        suggestion(word, &self.names)
    }
}

/// The hint that names the nearest known word.
pub(crate) fn suggestion(word: &str, known: &[&str]) -> Option<String> {
    nearest(word, known).map(|near| format!("did you mean `{near}`?"))
}

/// The known name that needs the fewest edits, if it is near enough to be what was meant.
pub(crate) fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    nearest_within(word, known, |name| 2.max(name.chars().count() / 3))
}

/// The same, if it needs no more edits than `most` says of the known name.
pub(crate) fn nearest_within<'a>(
    word: &str,
    known: &[&'a str],
    most: impl Fn(&str) -> usize,
) -> Option<&'a str> {
    let word = letters(word);
    let near = known.iter().filter_map(|name| Some((distance(&word, &letters(name), most(name))?, *name)));
    near.min().map(|(_, name)| name)
}

fn letters(word: &str) -> Vec<char> {
    word.chars().flat_map(char::to_lowercase).take(LETTERS).collect()
}

/// Levenshtein distance; `None` if that is more than `most`.
fn distance(word: &[char], known: &[char], most: usize) -> Option<usize> {
    if known.is_empty() || word.len().abs_diff(known.len()) > most {
        return None;
    }
    let mut row: Vec<usize> = (0..=known.len()).collect();
    for (above, letter) in word.iter().enumerate() {
        let (mut diagonal, mut left) = (above, above + 1);
        for (cell, other) in row.iter_mut().skip(1).zip(known) {
            let cost = diagonal + usize::from(letter != other);
            diagonal = *cell;
            left = cost.min(*cell + 1).min(left + 1);
            *cell = left;
        }
    }
    row.last().copied().filter(|distance| *distance <= most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_the_one_with_the_fewest_edits() {
        let known = ["commit", "commits", "commitTag", "containers"];
        for (word, expected) in [
            ("comit", Some("commit")),
            ("COMMIT", Some("commit")),
            ("commitss", Some("commits")),
            ("container", Some("containers")),
            ("cotnainers", Some("containers")),
            ("co", None),
            ("strategy", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, &known), expected, "{word}");
        }
        assert_eq!((nearest("x", &[]), nearest("x", &[""])), (None, None));
        assert_eq!(nearest("ÜBER", &["über"]), Some("über"));
        let long = "a".repeat(100_000);
        assert_eq!(nearest(&long, &["a", &long[..90]]), Some(&long[..90]));
    }

    #[test]
    fn hints_among_many_names_come_to_an_end() {
        let names = Names::new(["worker"]);
        let hints = (0..HINTS + 10).filter(|_| names.suggestion("wroker").is_some()).count();
        assert_eq!(hints, HINTS);
    }
}
