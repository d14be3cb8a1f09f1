//! How CI tags the build of a commit or of a release: `commitTag`, there and back.

use std::ops::RangeInclusive;

use super::names::{NameKind, repeated};
use crate::model::{Commit, Tag};

/// What names a build in an entry of an environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Commit,
    Release,
}

/// What is wrong, and what could be written.
pub(super) type Complaint = (String, Option<String>);

/// A `commitTag`, taken apart.
struct Template<'t> {
    prefix: &'t str,
    part: Part,
    suffix: &'t str,
}

enum Part {
    /// `{commit}`: as written.
    Commit,
    /// `{commit:N}`: its first N digits.
    Digits(usize),
    /// `{release}`: as written.
    Release,
}

const KNOWN: &str = "commitTag knows {commit}, {commit:N} and {release}";
/// Fewer name no commit, and there are no more (git).
const DIGITS: RangeInclusive<usize> = 7..=40;
const COMMIT: &str = "7 to 40 hexadecimal digits";
const RELEASE: &str = "the tag of one build, with a number in it, such as v1.10.20";

impl<'t> Template<'t> {
    fn parse(template: &'t str) -> Result<Self, String> {
        let (prefix, rest) = template.split_once('{').ok_or("commitTag holds no {commit}")?;
        let (inside, suffix) = rest.split_once('}').ok_or("commitTag has no closing brace")?;
        let part = match inside.split_once(':') {
            None if inside == "commit" => Part::Commit,
            None if inside == "release" => Part::Release,
            Some(("commit", digits)) => {
                let number = || format!("`{{{}}}` needs a number of 7 to 40", repeated(inside));
                let digits = digits.parse().ok().filter(|digits| DIGITS.contains(digits));
                Part::Digits(digits.ok_or_else(number)?)
            }
            _ => return Err(format!("{KNOWN}, not {{{}}}", repeated(inside))),
        };
        Ok(Self { prefix, part, suffix })
    }

    fn tag(&self, text: &str) -> Result<Tag, Complaint> {
        let tag = format!("{}{text}{}", self.prefix, self.suffix);
        if NameKind::Tag.allows(&tag) {
            return Ok(Tag::new(tag));
        }
        let (message, hint) = NameKind::Tag.complaint(&tag);
        Err((message, Some(hint)))
    }
}

/// What is wrong with a template, whatever is declared by it.
pub(super) fn check(template: &str) -> Result<(), Complaint> {
    let parsed = Template::parse(template).map_err(|why| (why, Some(KNOWN.to_owned())))?;
    let example = match parsed.part {
        Part::Commit => "0000000".to_owned(),
        Part::Digits(digits) => "0".repeat(digits),
        Part::Release => "1".to_owned(),
    };
    let no_tag = |(_, hint)| (format!("`{}` makes no ECR image tag", repeated(template)), hint);
    parsed.tag(&example).map(|_| ()).map_err(no_tag)
}

/// The commit or release that is declared, and the tag of its build.
pub(super) fn declared(key: Key, text: &str, template: &str) -> Result<(Commit, Tag), Complaint> {
    let template = Template::parse(template).map_err(|why| (why, Some(KNOWN.to_owned())))?;
    let cut = match (key, &template.part) {
        (Key::Commit, Part::Commit) => text,
        (Key::Commit, Part::Digits(digits)) if !Commit::new(text).is_release() => {
            let fewer = || format!("commit `{text}` has fewer than {digits} digits");
            text.get(..*digits).ok_or_else(|| (fewer(), Some(COMMIT.to_owned())))?
        }
        (Key::Commit, Part::Digits(_)) => text,
        (Key::Commit | Key::Release, Part::Release) => return release(text, &template),
        // A release has a tag of its own, however commits are tagged.
        (Key::Release, Part::Commit | Part::Digits(_)) => {
            return release(text, &Template { prefix: "", part: Part::Release, suffix: "" });
        }
    };
    let commit = Commit::new(text);
    if commit.is_release() {
        let looks_cut = text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let hint = if is_release(text) && !looks_cut {
            format!("{COMMIT}; a release is declared as one: `release: {text}`")
        } else {
            COMMIT.to_owned()
        };
        return Err((format!("not a commit ID: `{}`", repeated(text)), Some(hint)));
    }
    Ok((commit, template.tag(cut)?))
}

fn release(text: &str, template: &Template<'_>) -> Result<(Commit, Tag), Complaint> {
    if !is_release(text) {
        return Err((format!("`{}` is no release", repeated(text)), Some(RELEASE.to_owned())));
    }
    Ok((Commit::release(text), template.tag(text)?))
}

/// A name without a number, such as `latest` or `stable`, moves from build to build.
pub(super) fn is_release(text: &str) -> bool {
    NameKind::Tag.allows(text) && text.bytes().any(|byte| byte.is_ascii_digit())
}

/// The commit or release in a tag that CI made by the template: the reverse of `commitTag`.
pub(super) fn named_in<'t>(template: &str, tag: &'t str) -> Option<&'t str> {
    let Template { prefix, part, suffix } = Template::parse(template).ok()?;
    let text = tag.strip_prefix(prefix)?.strip_suffix(suffix)?;
    let fits = match part {
        Part::Commit | Part::Digits(_) => !Commit::new(text).is_release(),
        Part::Release => is_release(text),
    };
    fits.then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commit_is_found_in_its_tag() {
        for (template, tag, expected) in [
            ("{commit}", "3f2c1ab", Some("3f2c1ab")),
            ("build-{commit:7}-x", "build-3f2c1ab-x", Some("3f2c1ab")),
            ("{commit}", "test", None),
            ("build-{commit}", "3f2c1ab", None),
            ("{commit}", "v1.10.20", None),
            ("{release}", "v1.10.20", Some("v1.10.20")),
            ("v{release}", "v1.10.20", Some("1.10.20")),
            ("{release}", "latest", None),
        ] {
            assert_eq!(named_in(template, tag), expected, "{template} {tag}");
        }
    }

    #[track_caller]
    fn check_declared(key: Key, text: &str, template: &str, expected: &str) {
        let said = match declared(key, text, template) {
            Ok((commit, tag)) => {
                format!("{} {} {tag}", if commit.is_release() { "release" } else { "commit" }, commit.short())
            }
            Err((message, hint)) => format!("{message} | {}", hint.unwrap_or_default()),
        };
        assert_eq!(said, expected, "{text} {template}");
    }

    #[test]
    fn a_commit_is_hexadecimal_and_a_release_is_declared_as_one() {
        let commits = [
            ("3f2c1ab", "{commit}", "commit 3f2c1ab 3f2c1ab"),
            ("3f2c1abcd", "b-{commit:8}", "commit 3f2c1ab b-3f2c1abc"),
            ("20240115", "{commit}", "commit 2024011 20240115"),
            ("3f2c1a", "{commit}", "not a commit ID: `3f2c1a` | 7 to 40 hexadecimal digits"),
            ("staging", "{commit}", "not a commit ID: `staging` | 7 to 40 hexadecimal digits"),
            ("staging", "{commit:7}", "not a commit ID: `staging` | 7 to 40 hexadecimal digits"),
            (
                "v1.10.20",
                "{commit}",
                "not a commit ID: `v1.10.20` | 7 to 40 hexadecimal digits; a release is declared as one: `release: v1.10.20`",
            ),
            (
                "v1.9.9",
                "{commit}",
                "not a commit ID: `v1.9.9` | 7 to 40 hexadecimal digits; a release is declared as one: `release: v1.9.9`",
            ),
            ("v1.10.20", "{release}", "release v1.10.20 v1.10.20"),
            ("1.10.20", "v{release}", "release 1.10.20 v1.10.20"),
            (
                "latest",
                "{release}",
                "`latest` is no release | the tag of one build, with a number in it, such as v1.10.20",
            ),
        ];
        for (text, template, expected) in commits {
            check_declared(Key::Commit, text, template, expected);
        }
        let releases = [
            ("v1.10.20", "{commit:7}", "release v1.10.20 v1.10.20"),
            ("20240115", "build-{commit}", "release 20240115 20240115"),
            ("1.10.20", "v{release}", "release 1.10.20 v1.10.20"),
            (
                "stable",
                "{commit}",
                "`stable` is no release | the tag of one build, with a number in it, such as v1.10.20",
            ),
            (
                "",
                "{commit}",
                "`` is no release | the tag of one build, with a number in it, such as v1.10.20",
            ),
            (
                "v1/2",
                "{commit}",
                "`v1/2` is no release | the tag of one build, with a number in it, such as v1.10.20",
            ),
        ];
        for (text, template, expected) in releases {
            check_declared(Key::Release, text, template, expected);
        }
    }

    #[test]
    fn a_template_that_makes_no_tag_is_explained() {
        for (template, expected) in [
            ("latest", "commitTag holds no {commit}"),
            ("{commit", "commitTag has no closing brace"),
            ("{tag}", "commitTag knows {commit}, {commit:N} and {release}, not {tag}"),
            ("{commit:x}", "`{commit:x}` needs a number of 7 to 40"),
            ("{commit:0}", "`{commit:0}` needs a number of 7 to 40"),
            ("{commit:6}", "`{commit:6}` needs a number of 7 to 40"),
            ("{commit:41}", "`{commit:41}` needs a number of 7 to 40"),
            ("{release:7}", "commitTag knows {commit}, {commit:N} and {release}, not {release:7}"),
            ("-{commit}", "`-{commit}` makes no ECR image tag"),
            ("a/{release}", "`a/{release}` makes no ECR image tag"),
            ("{commit}{commit}", "`{commit}{commit}` makes no ECR image tag"),
        ] {
            let (message, hint) = check(template).unwrap_err();
            assert_eq!(message, expected);
            assert!(hint.is_some());
        }
        for template in ["{commit}", "{commit:7}", "b-{commit:40}-x", "v{release}"] {
            assert_eq!(check(template), Ok(()));
        }
        let (message, hint) = declared(Key::Commit, "3f2c1ab", "{commit:9}").unwrap_err();
        assert_eq!(message, "commit `3f2c1ab` has fewer than 9 digits");
        assert!(hint.is_some());
    }
}
