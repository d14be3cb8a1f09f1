//! Which build an image is, by its tags in ECR: a commit, or a release. Nothing is invented: of several that it may be it is none.

use std::collections::BTreeSet;

use crate::model::{Commit, Image, Tag};

/// How a build can be declared.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Build {
    /// The commit, and the `commitTag` that makes its tag.
    Commit { text: String, template: String },
    /// The tag as it is.
    Release(String),
}

/// Why an image cannot be declared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unnamed {
    /// Its tags, none of which names a build.
    NoTag(Vec<Tag>),
    /// Tags that name different builds.
    Several(Vec<Tag>),
}

/// What a tag may name, the surest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// Nothing but digits of a commit, a letter among them.
    Commit,
    /// The same with words around it.
    Template,
    /// Decimal digits alone: a commit, a date or the number of a build.
    Digits,
    /// `v1.10.20`: three numbers, since fewer move from build to build.
    Release,
    /// Another number beside the digits of a commit, so that no template makes it.
    Other,
}

struct Candidate<'t> {
    rank: Rank,
    tag: &'t Tag,
    build: Build,
}

/// `named_by`: the tag by which the image is deployed, which says which of several it is. `environments`: tags that mark what runs
/// somewhere, and name no build.
pub fn build_of(
    image: &Image,
    named_by: Option<&Tag>,
    environments: &BTreeSet<String>,
) -> Result<Build, Unnamed> {
    let tags = || image.tags.iter().filter(|tag| !environments.contains(tag.as_str()));
    let mut candidates: Vec<Candidate<'_>> = tags().filter_map(candidate).collect();
    candidates.sort_by(|one, two| (one.rank, &one.build, one.tag).cmp(&(two.rank, &two.build, two.tag)));
    let Some(best) = candidates.first().map(|first| first.rank) else {
        return Err(Unnamed::NoTag(image.tags.iter().cloned().collect()));
    };
    let named = named_by.and_then(|named| candidates.iter().find(|one| one.tag == named));
    if let Some(named) = named {
        return Ok(named.build.clone());
    }
    let of_best: Vec<&Candidate<'_>> = candidates.iter().filter(|one| one.rank == best).collect();
    // The same commit may be there with more and with fewer digits.
    let longest = of_best.iter().max_by_key(|one| (text(&one.build).len(), std::cmp::Reverse(one.tag)));
    match longest {
        Some(longest) if of_best.iter().all(|one| is_same(&one.build, &longest.build)) => {
            Ok(longest.build.clone())
        }
        _ => Err(Unnamed::Several(of_best.iter().map(|one| one.tag.clone()).collect())),
    }
}

pub fn text(build: &Build) -> &str {
    match build {
        Build::Commit { text, .. } | Build::Release(text) => text,
    }
}

fn is_same(one: &Build, two: &Build) -> bool {
    match (one, two) {
        (Build::Commit { text, .. }, Build::Commit { text: other, .. }) => {
            Commit::new(text).matches(&Commit::new(other))
        }
        _ => one == two,
    }
}

fn candidate(tag: &Tag) -> Option<Candidate<'_>> {
    let text = tag.as_str();
    let release = |rank| Candidate { rank, tag, build: Build::Release(text.to_owned()) };
    let is_commit = |part: &str| !Commit::new(part).is_release();
    let part = text.split(['-', '_', '.']).find(|part| is_commit(part));
    let Some(part) = part else { return is_version(text).then(|| release(Rank::Release)) };
    let has_letter = |part: &str| part.bytes().any(|byte| byte.is_ascii_alphabetic());
    let (before, after) = text.split_once(part)?;
    let commit = || Build::Commit { text: part.to_owned(), template: format!("{before}{{commit}}{after}") };
    let has_number = [before, after].iter().any(|words| words.bytes().any(|byte| byte.is_ascii_digit()));
    match (before.is_empty() && after.is_empty(), has_letter(part)) {
        (true, true) => Some(Candidate { rank: Rank::Commit, tag, build: commit() }),
        (true, false) => Some(Candidate { rank: Rank::Digits, tag, build: commit() }),
        (false, true) if !has_number => Some(Candidate { rank: Rank::Template, tag, build: commit() }),
        // The words around it are the same in no other build.
        (false, true) => Some(release(Rank::Other)),
        (false, false) => is_version(text).then(|| release(Rank::Release)),
    }
}

/// Three numbers between dots, a letter before them, and anything behind them.
fn is_version(text: &str) -> bool {
    let text = text.strip_prefix(['v', 'V']).unwrap_or(text);
    let mut numbers = text.splitn(3, '.');
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    numbers.next().is_some_and(is_number)
        && numbers.next().is_some_and(is_number)
        && numbers.next().is_some_and(|rest| rest.starts_with(|letter: char| letter.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Digest;

    #[track_caller]
    fn check(tags: &[&str], named_by: Option<&str>, expected: &str) {
        let image = Image {
            digest: Digest::new("sha256:0"),
            tags: tags.iter().map(|tag| Tag::new(*tag)).collect(),
            archived: false,
            pushed_at: 0,
            platforms: Vec::new(),
        };
        let environments = BTreeSet::from(["test".to_owned(), "deadbee".to_owned()]);
        let said = match build_of(&image, named_by.map(Tag::new).as_ref(), &environments) {
            Ok(Build::Commit { text, template }) => format!("{text} by {template}"),
            Ok(Build::Release(text)) => format!("release {text}"),
            Err(Unnamed::NoTag(tags)) => format!("none of {}", tags.len()),
            Err(Unnamed::Several(tags)) => {
                format!("several: {}", tags.iter().map(Tag::as_str).collect::<Vec<_>>().join(" "))
            }
        };
        assert_eq!(said, expected, "{tags:?}");
    }

    #[test]
    fn a_commit_is_told_by_its_digits_and_the_words_around_them() {
        let long = "3f2c1ab3f2c1ab3f2c1ab3f2c1ab3f2c1ab3f2c1";
        check(&["3f2c1ab", "test", "latest"], None, "3f2c1ab by {commit}");
        check(&["3f2c1ab", long], None, &format!("{long} by {{commit}}"));
        check(&["build-3f2c1ab", "main"], None, "3f2c1ab by build-{commit}");
        check(&["main-3f2c1ab", "3f2c1ab"], None, "3f2c1ab by {commit}");
        check(&["sha-3f2c1ab_amd"], None, "3f2c1ab by sha-{commit}_amd");
        check(&["1234567"], None, "1234567 by {commit}");
        check(&["20240115", "3f2c1ab"], None, "3f2c1ab by {commit}");
    }

    #[test]
    fn a_release_is_told_by_three_numbers_or_is_no_commit_by_any_template() {
        check(&["v1.10.20", "1.10"], None, "release v1.10.20");
        check(&["1.10.20-rc.1"], None, "release 1.10.20-rc.1");
        check(&["v1.10.20", "3f2c1ab"], None, "3f2c1ab by {commit}");
        check(&["42-3f2c1ab"], None, "release 42-3f2c1ab");
        check(&["1.10", "v2"], None, "none of 2");
    }

    #[test]
    fn of_several_builds_it_is_the_one_that_is_deployed_and_else_none() {
        check(&["3f2c1ab", "9b1c22d"], None, "several: 3f2c1ab 9b1c22d");
        check(&["3f2c1ab", "9b1c22d"], Some("9b1c22d"), "9b1c22d by {commit}");
        check(&["3f2c1ab", "9b1c22d"], Some("test"), "several: 3f2c1ab 9b1c22d");
        check(&["v1.0.0", "v1.0.1"], None, "several: v1.0.0 v1.0.1");
    }

    #[test]
    fn what_names_no_build_is_none() {
        check(&[], None, "none of 0");
        check(&["test", "latest", "stable"], None, "none of 3");
        // The tag of an environment moves, whatever it looks like.
        check(&["deadbee"], Some("deadbee"), "none of 1");
    }
}
