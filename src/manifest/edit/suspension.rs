//! Writes and removes `suspend`, of an environment or of its entry for an application. Whatever the text looks like, it
//! is read again afterwards: unless exactly that has changed, nothing is.

use super::member::{differs_in_nothing_else, inserted, removed};
use super::{EditError, documents, place_of, scalar};

const KEY: &str = "suspend";

/// The text with this suspension, instead of one that may be there. `until` is written as it is.
pub fn suspend(
    text: &str,
    environment: &str,
    application: Option<&str>,
    reason: &str,
    until: Option<&str>,
) -> Result<String, EditError> {
    let without = resume(text, environment, application)?;
    let before = without.as_deref().unwrap_or(text);
    let tree = documents(before)?;
    let (key, holder) = place_of(&tree, environment, application)?;
    let until_member = until.map(|until| format!(", until: {}", quoted(until))).unwrap_or_default();
    let written = format!("{KEY}: {{ reason: {}{until_member} }}", quoted(reason));
    let edited = inserted(before, key, holder, &written);
    let says_so = |edited: &String| {
        let tree = documents(edited).ok()?;
        let (_, holder) = place_of(&tree, environment, application).ok()?;
        let suspension = holder.get(KEY)?;
        let is_meant = scalar(suspension.get("reason")) == Some(reason)
            && scalar(suspension.get("until")) == until
            && differs_in_nothing_else(KEY, &documents(text).ok()?, &tree, environment, application);
        is_meant.then_some(())
    };
    edited
        .filter(|edited| says_so(edited).is_some())
        .ok_or_else(|| EditError::Unsafe { line: key.place.line, hint: format!("add `{written}` by hand") })
}

/// The text without what suspends it; `None` if nothing does.
pub fn resume(text: &str, environment: &str, application: Option<&str>) -> Result<Option<String>, EditError> {
    let tree = documents(text)?;
    let (_, holder) = place_of(&tree, environment, application)?;
    let Some((key, value)) = holder.entry(KEY) else { return Ok(None) };
    let edited = removed(text, holder, key, value);
    let says_so = |edited: &String| {
        let after = documents(edited).ok()?;
        let (_, holder) = place_of(&after, environment, application).ok()?;
        let is_gone = holder.get(KEY).is_none();
        (is_gone && differs_in_nothing_else(KEY, &tree, &after, environment, application)).then_some(())
    };
    let edited = edited.filter(|edited| says_so(edited).is_some());
    let refused = || EditError::Unsafe { line: key.place.line, hint: format!("remove `{KEY}` by hand") };
    edited.ok_or_else(refused).map(Some)
}

/// In double quotes; JSON's escapes are YAML's too.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(spec: &str) -> String {
        format!("kind: Environment # a\nmetadata: {{name: test}}\nspec:{spec}---\nkind: Other\n")
    }

    const WRITTEN: &str = "suspend: { reason: \"a \\\"b\\\"\", until: \"2027-01-31T08:00:00Z\" }";

    /// Each text, and the same with a suspension; `None`: it is refused.
    #[test]
    fn what_is_suspended_and_resumed_is_as_before_in_every_notation() {
        let api = Some("api");
        let blocks = " # b\n  # c\n  cluster: x\n  applications:\n    # d\n    api: # e\n      # f\n      commit: 3f2c1ab\n    web:\n";
        for (application, before, expected) in [
            (None, blocks, Some(blocks.replacen(" # b\n", &format!(" # b\n  {WRITTEN}\n"), 1))),
            (api, blocks, Some(blocks.replacen("# e\n", &format!("# e\n      {WRITTEN}\n"), 1))),
            (
                Some("web"),
                blocks,
                Some(blocks.replacen("    web:\n", &format!("    web:\n      {WRITTEN}\n"), 1)),
            ),
            (
                api,
                "\r\n  applications:\r\n    api:\r\n      commit: 1\r\n",
                Some(format!("\r\n  applications:\r\n    api:\r\n      {WRITTEN}\r\n      commit: 1\r\n")),
            ),
            (
                api,
                "\n  applications:\n    api: { commit: 3f2c1ab } # c\n",
                Some(format!("\n  applications:\n    api: {{ commit: 3f2c1ab, {WRITTEN} }} # c\n")),
            ),
            (
                api,
                "\n  applications: {api: {values: {A: it's, B: 'it''s }', C: \"\\\"}\", D: [x], E: a#b}, commit: ü }}\n",
                Some(format!(
                    "\n  applications: {{api: {{values: {{A: it's, B: 'it''s }}', C: \"\\\"}}\", D: [x], E: a#b}}, commit: ü, {WRITTEN} }}}}\n"
                )),
            ),
            (
                api,
                "\n  applications:\n    api: {\n      commit: 3f2c1ab # no } here\n    }\n",
                Some(format!(
                    "\n  applications:\n    api: {{\n      commit: 3f2c1ab, {WRITTEN} # no }} here\n    }}\n"
                )),
            ),
            (
                None,
                " {applications: {api: {}}}\n",
                Some(format!(" {{applications: {{api: {{}}}}, {WRITTEN}}}\n")),
            ),
            (api, "\n  applications:\n    api: ~\n", None),
            (api, "\n  applications:\n    ? api\n    : commit: 1\n", None),
            (api, "\n  applications:\n    api: text\n", None),
        ] {
            let before = file(before);
            let reason = "a \"b\"";
            let until = Some("2027-01-31T08:00:00Z");
            let suspended = suspend(&before, "test", application, reason, until);
            let Some(expected) = expected.map(|expected| file(&expected)) else {
                let said = suspended.unwrap_err().to_string();
                assert!(said.contains("cannot be changed safely; add `suspend: {"), "{said}");
                continue;
            };
            let suspended = suspended.unwrap();
            assert_eq!(suspended, expected);
            let longer = suspend(&suspended, "test", application, "longer", None).unwrap();
            assert_eq!(longer, expected.replace(WRITTEN, "suspend: { reason: \"longer\" }"));
            assert_eq!(resume(&longer, "test", application), Ok(Some(before.clone())), "{longer}");
            assert_eq!(resume(&before, "test", application), Ok(None));
        }
    }

    #[test]
    fn what_a_person_wrote_is_removed_whole_or_not_at_all() {
        for (before, after) in [
            (
                "\n  # a\n  suspend:\n    # why\n    reason: x\n\n    until: 2027-01-31T08:00:00Z\n\n  # b\n  cluster: y\n",
                Some("\n  # a\n\n  # b\n  cluster: y\n"),
            ),
            ("\n  cluster: y\n  \"suspend\": {reason: x} # z\n", Some("\n  cluster: y\n")),
            ("\n  cluster: y\n  suspend: {reason: x,\n    until: z}\n", Some("\n  cluster: y\n")),
            ("\n  cluster: y\n  suspend: |\n    text\n  region: z\n", Some("\n  cluster: y\n  region: z\n")),
            (" {suspend: {reason: x}, cluster: y}\n", Some(" {cluster: y}\n")),
            (" {suspend: {reason: x}}\n", Some(" {}\n")),
            (" {cluster: y, suspend: {reason: x}, region: z}\n", Some(" {cluster: y, region: z}\n")),
            ("\n  ? suspend\n  : {reason: x}\n  cluster: y\n", None),
        ] {
            let found = resume(&file(before), "test", None);
            match after {
                Some(after) => assert_eq!(found, Ok(Some(file(after))), "{before}"),
                None => assert!(matches!(found, Err(EditError::Unsafe { .. })), "{found:?}"),
            }
        }
    }
}
