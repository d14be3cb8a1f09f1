//! How CI tags the build of a commit: `commitTag`, there and back.

use crate::model::Commit;

/// The tag of a commit: `{commit}` is the commit as written, `{commit:N}` its first N digits.
pub(super) fn commit_tag(template: &str, commit: &str) -> Result<String, String> {
    let (prefix, rest) = template.split_once('{').ok_or("commitTag holds no {commit}")?;
    let (inside, suffix) = rest.split_once('}').ok_or("commitTag has no closing brace")?;
    let is_tag = |tag: &str| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        (1..=128).contains(&tag.len()) && tag.bytes().all(allowed) && !tag.starts_with(['.', '-'])
    };
    let cut = match inside.split_once(':') {
        None if inside == "commit" => commit.to_owned(),
        Some(("commit", digits)) => {
            let digits: usize = digits.parse().map_err(|_| format!("`{{{inside}}}` needs a number"))?;
            let cut = commit
                .get(..digits)
                .ok_or_else(|| format!("commit `{commit}` has fewer than {digits} digits"))?;
            cut.to_owned()
        }
        _ => return Err(format!("commitTag knows {{commit}} and {{commit:N}}, not {{{inside}}}")),
    };
    if !Commit::new(commit).is_hexadecimal() && inside != "commit" {
        return Err(format!("`{commit}` is no commit"));
    }
    let tag = format!("{prefix}{cut}{suffix}");
    if commit.len() < Commit::MIN_DIGITS || !is_tag(&tag) {
        return Err(format!("`{commit}` is no commit"));
    }
    Ok(tag)
}

/// The commit in a tag that CI made by the template: the reverse of `commitTag`.
pub(super) fn commit_in<'t>(template: &str, tag: &'t str) -> Option<&'t str> {
    let (prefix, rest) = template.split_once('{')?;
    let (_, suffix) = rest.split_once('}')?;
    let commit = tag.strip_prefix(prefix)?.strip_suffix(suffix)?;
    let is_commit = (7..=40).contains(&commit.len()) && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_commit.then_some(commit)
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
        ] {
            assert_eq!(commit_in(template, tag), expected, "{template} {tag}");
        }
    }
}
