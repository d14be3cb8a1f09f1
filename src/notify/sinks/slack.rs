//! Slack's incoming webhooks (docs.slack.dev, "Sending messages using incoming webhooks" and "Block Kit: rich text block").
//!
//! Everything stands in rich text, whose elements are shown as they are: nobody's text can mention a channel, link or format.

use serde_json::{Value, json};

use crate::model::alert::{Alert, Severity};
use crate::notify::message::{self, Message};

/// The message. Its `text` is what a notification shows, and there `&`, `<` and `>` are Slack's own.
pub(super) fn body(alert: &Alert, with_logs: bool) -> Value {
    let message = message::of(alert, with_logs);
    let plain = |text: &str| json!({"type": "text", "text": text});
    let bold = |text: &str| json!({"type": "text", "text": text, "style": {"bold": true}});
    let Message { severity, title, rows, links, logs, footer } = &message;
    let mut sections = vec![section(&[emoji(*severity), bold(&format!(" {title}"))])];
    sections.extend(rows.iter().map(|(word, said)| section(&[bold(&format!("{word}  ")), plain(said)])));
    if !logs.is_empty() {
        sections.push(json!({"type": "rich_text_preformatted", "elements": [plain(&logs.join("\n"))]}));
    }
    if !links.is_empty() {
        let link = |(word, address): &(&str, String)| {
            [json!({"type": "link", "url": address, "text": word}), plain("  ")]
        };
        sections.push(section(&links.iter().flat_map(link).collect::<Vec<_>>()));
    }
    sections.push(section(&[json!({"type": "text", "text": footer, "style": {"italic": true}})]));
    let escaped = title.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let mark = message::mark(*severity);
    json!({"text": format!("{mark} {escaped}"), "blocks": [{"type": "rich_text", "elements": sections}]})
}

fn section(elements: &[Value]) -> Value {
    json!({"type": "rich_text_section", "elements": elements})
}

fn emoji(severity: Severity) -> Value {
    let name = match severity {
        Severity::Information => "white_check_mark",
        Severity::Warning => "warning",
        Severity::Error => "x",
    };
    json!({"type": "emoji", "name": name})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::message::tests::alert;

    #[test]
    fn the_message_is_rich_text_of_literal_elements() {
        let body = body(&alert(), true);
        assert_eq!(body["text"], "✗ staging/api: 77aa010 failed &amp; was rolled back");
        let bold = json!({"bold": true});
        let sections = &body["blocks"][0]["elements"];
        let first = json!([{"type": "emoji", "name": "x"}, {"type": "text", "text": " staging/api: 77aa010 failed & was rolled back", "style": bold}]);
        assert_eq!(sections[0]["elements"], first);
        let said = "container api exited with 137, <!channel> *OutOfMemoryError*";
        let cause =
            json!([{"type": "text", "text": "cause  ", "style": bold}, {"type": "text", "text": said}]);
        assert_eq!(sections[1]["elements"], cause);
        let logs = "java.lang.OutOfMemoryError: Java heap space\n\\u{1b}[31m[a](https://evil.com)";
        let expected =
            json!({"type": "rich_text_preformatted", "elements": [{"type": "text", "text": logs}]});
        assert_eq!(sections[8], expected);
        let link =
            json!({"type": "link", "url": "https://github.com/mco/api/commit/77aa010", "text": "commit"});
        assert_eq!(sections[9]["elements"][0], link);
        assert!(!super::body(&alert(), false).to_string().contains("heap space"));
    }
}
