//! Microsoft Teams: an Adaptive Card for the webhook of a workflow (learn.microsoft.com, "Create incoming webhooks with Workflows" and
//! "Types of cards": at most 28 KB, version 1.5 at the highest).
//!
//! Everything stands in text runs, which take no markdown: nobody's text can link or format.

use serde_json::{Value, json};

use crate::model::alert::{Alert, Severity};
use crate::notify::message::{self, Message};

pub(super) fn body(alert: &Alert, with_logs: bool) -> Value {
    let Message { severity, title, rows, links, logs, footer } = message::of(alert, with_logs);
    let mark = message::mark(severity);
    let title = json!({"type": "TextRun", "text": format!("{mark} {title}"), "weight": "Bolder", "size": "Medium", "color": colour(severity)});
    let mut items = vec![text(&[title])];
    items.extend(rows.iter().map(|(word, said)| {
        let word = json!({"type": "TextRun", "text": format!("{word}  "), "weight": "Bolder"});
        text(&[word, json!({"type": "TextRun", "text": said})])
    }));
    let logged = logs.iter().map(|line| {
        text(&[json!({"type": "TextRun", "text": line, "fontType": "Monospace", "size": "Small"})])
    });
    items.extend(logged);
    items.push(text(&[json!({"type": "TextRun", "text": footer, "isSubtle": true, "size": "Small"})]));
    let open =
        |(word, address): &(&str, String)| json!({"type": "Action.OpenUrl", "title": word, "url": address});
    let actions: Vec<Value> = links.iter().map(open).collect();
    let mut card = json!({
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "msteams": {"width": "Full"},
        "body": items,
    });
    if let Some(card) = card.as_object_mut().filter(|_| !actions.is_empty()) {
        card.insert("actions".to_owned(), Value::Array(actions));
    }
    let contents = json!({"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": null, "content": card});
    json!({"type": "message", "attachments": [contents]})
}

fn text(inlines: &[Value]) -> Value {
    json!({"type": "RichTextBlock", "inlines": inlines})
}

fn colour(severity: Severity) -> &'static str {
    match severity {
        Severity::Information => "Good",
        Severity::Warning => "Warning",
        Severity::Error => "Attention",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::message::tests::alert;

    #[test]
    fn the_message_is_a_card_of_literal_runs() {
        let body = body(&alert(), true);
        let card = &body["attachments"][0]["content"];
        let title = "✗ staging/api: 77aa010 failed & was rolled back";
        let run = json!({"type": "TextRun", "text": title, "weight": "Bolder", "size": "Medium", "color": "Attention"});
        assert_eq!(card["body"][0], json!({"type": "RichTextBlock", "inlines": [run]}));
        let said = "container api exited with 137, <!channel> *OutOfMemoryError*";
        assert_eq!(card["body"][1]["inlines"][1], json!({"type": "TextRun", "text": said}));
        let open = json!({"type": "Action.OpenUrl", "title": "commit", "url": "https://github.com/mco/api/commit/77aa010"});
        assert_eq!(card["actions"], json!([open]));
        assert_eq!(card["body"][8]["inlines"][0]["text"], "java.lang.OutOfMemoryError: Java heap space");
        assert!(!super::body(&alert(), false).to_string().contains("heap space"));
    }

    #[test]
    fn the_longest_message_is_within_the_limit() {
        let long = || "\"\\𝕏".repeat(5000);
        let mut alert = alert();
        alert.links = vec![("commit", format!("https://github.com/{}", "x".repeat(970))); 50];
        alert.state.iter_mut().for_each(|state| state.running = long());
        alert.summary = long();
        for cause in &mut alert.causes {
            cause.text = long();
            cause.hint = Some(long());
            cause.evidence = vec![crate::model::Evidence { from: String::new(), lines: vec![long(); 50] }];
        }
        alert.differences =
            vec![crate::model::Difference { live: Some(long()), ..alert.differences[0].clone() }; 50];
        let size = super::body(&alert, true).to_string().len();
        assert!(size <= 28 << 10, "{size} bytes");
    }
}
