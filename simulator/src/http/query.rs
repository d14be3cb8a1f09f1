//! The query protocol of STS, Elastic Load Balancing and others: a form in, XML out (smithy, "AWS query protocol"), and the one of EC2,
//! which differs a little.

use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::answer::{broken, error, status};
use super::{Server, signature};
use crate::faults::LOST;
use crate::world::times::iso;
use crate::world::{Api, AwsError};

/// Elements and members of one request.
const MOST_FIELDS: usize = 2_000;
/// Parts of the name of a field.
const DEEPEST: usize = 16;

pub(super) fn call(server: &Server, headers: &HeaderMap, body: &[u8], id: &str) -> Response {
    let mut fields: Vec<(String, String)> =
        form_urlencoded::parse(body).into_owned().take(MOST_FIELDS + 1).collect();
    let mut take = |name: &str| {
        let index = fields.iter().position(|(field, _)| field == name)?;
        Some(fields.swap_remove(index).1)
    };
    let (action, version) = (take("Action"), take("Version"));
    let (api, namespace) = match version.as_deref() {
        Some("2016-11-15") => (Api::Ec2, "http://ec2.amazonaws.com/doc/2016-11-15/"),
        Some("2015-12-01") => (Api::Elb, "http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/"),
        Some("2010-03-31") => (Api::Sns, "https://sns.amazonaws.com/doc/2010-03-31/"),
        Some("2010-08-01") => (Api::CloudWatch, "http://monitoring.amazonaws.com/doc/2010-08-01/"),
        Some("2010-05-08") => (Api::Iam, "https://iam.amazonaws.com/doc/2010-05-08/"),
        _ => (Api::Sts, "https://sts.amazonaws.com/doc/2011-06-15/"),
    };
    let answer = match action.filter(|_| fields.len() <= MOST_FIELDS) {
        None => Err(error("MissingAction", "The request is missing an action or a required parameter", 400)),
        Some(action) => {
            let input = if api == Api::Ec2 { flat_lists(tree(fields)) } else { tree(fields) };
            let answer = server.call(signature::read(headers).as_ref(), api, &action, &input);
            answer.map(|answer| match api {
                Api::Ec2 => ec2_xml(&action, namespace, &answer, id),
                _ => answer_xml(&action, namespace, &answer, id),
            })
        }
    };
    let (status, xml) = match answer {
        Ok(xml) => (StatusCode::OK, xml),
        Err(error) if error.code == LOST => return broken(),
        Err(error) if api == Api::Ec2 => (status(&error), ec2_error(&error, id)),
        Err(error) => (status(&error), error_xml(namespace, &error, id)),
    };
    (status, [(header::CONTENT_TYPE, "text/xml")], xml).into_response()
}

/// `A.member.2.B=x` becomes `{"A": [.., {"B": "x"}]}`, and `A.entry.1.Name=k` with `A.entry.1.Value=v` `{"A": {"k": "v"}}`.
fn tree(fields: Vec<(String, String)>) -> Value {
    let mut root = json!({});
    for (name, value) in fields {
        let mut place = &mut root;
        for part in name.split('.').take(DEEPEST) {
            if !place.is_object() {
                *place = json!({});
            }
            place = &mut place[part];
        }
        *place = Value::from(value);
    }
    lists(root)
}

fn lists(value: Value) -> Value {
    let Value::Object(mut members) = value else { return value };
    if let (1, Some(Value::Object(numbered))) = (members.len(), members.get_mut("member")) {
        let mut items: Vec<(u64, Value)> = std::mem::take(numbered)
            .into_iter()
            .map(|(number, item)| (number.parse().unwrap_or_default(), lists(item)))
            .collect();
        items.sort_by_key(|(number, _)| *number);
        return items.into_iter().map(|(_, item)| item).collect();
    }
    if let (1, Some(Value::Object(numbered))) = (members.len(), members.get_mut("entry")) {
        let entries = std::mem::take(numbered).into_iter().filter_map(|(_, entry)| {
            let name = entry.get("Name")?.as_str()?.to_owned();
            Some((name, lists(entry.get("Value")?.clone())))
        });
        return Value::Object(entries.collect());
    }
    Value::Object(members.into_iter().map(|(key, value)| (key, lists(value))).collect::<Map<_, _>>())
}

/// In the protocol of EC2 the numbers of a list follow its name at once: `A.2.B=x` (smithy, "AWS EC2 query protocol").
fn flat_lists(value: Value) -> Value {
    let Value::Object(members) = value else { return value };
    let is_number = |key: &String| key.parse::<u64>().is_ok();
    if !members.is_empty() && members.keys().all(is_number) {
        let mut items: Vec<(u64, Value)> = members
            .into_iter()
            .map(|(number, item)| (number.parse().unwrap_or_default(), flat_lists(item)))
            .collect();
        items.sort_by_key(|(number, _)| *number);
        return items.into_iter().map(|(_, item)| item).collect();
    }
    Value::Object(members.into_iter().map(|(key, value)| (key, flat_lists(value))).collect::<Map<_, _>>())
}

/// Its answers have no element for the result, and call the items of a list so.
fn ec2_xml(action: &str, namespace: &str, answer: &Value, id: &str) -> String {
    let mut members = String::new();
    write(&mut members, answer);
    let members = members.replace("<member>", "<item>").replace("</member>", "</item>");
    format!("<{action}Response xmlns=\"{namespace}\"><requestId>{id}</requestId>{members}</{action}Response>")
}

fn ec2_error(error: &AwsError, id: &str) -> String {
    format!(
        "<Response><Errors><Error><Code>{}</Code><Message>{}</Message></Error></Errors><RequestID>{id}</RequestID></Response>",
        escaped(&error.code),
        escaped(&error.message)
    )
}

fn answer_xml(action: &str, namespace: &str, answer: &Value, id: &str) -> String {
    let mut result = String::new();
    write(&mut result, answer);
    format!(
        "<{action}Response xmlns=\"{namespace}\"><{action}Result>{result}</{action}Result><ResponseMetadata><RequestId>{id}</RequestId></ResponseMetadata></{action}Response>"
    )
}

fn write(xml: &mut String, value: &Value) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                match value.as_f64().filter(|_| name.ends_with(TIMESTAMP)) {
                    Some(seconds) => element(xml, name, &Value::from(instant(seconds))),
                    None => element(xml, name, value),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| element(xml, "member", item)),
        Value::String(text) => xml.push_str(&escaped(text)),
        Value::Null => {}
        other => xml.push_str(&other.to_string()),
    }
}

/// What the names of members that are points in time end with; other protocols have them in seconds since 1970.
const TIMESTAMP: &str = "Timestamp";

fn instant(seconds: f64) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "seconds since 1970")]
    iso(seconds as u64)
}

fn element(xml: &mut String, name: &str, value: &Value) {
    xml.extend(["<", name, ">"]);
    write(xml, value);
    xml.extend(["</", name, ">"]);
}

fn error_xml(namespace: &str, error: &AwsError, id: &str) -> String {
    let kind = if error.status < 500 { "Sender" } else { "Receiver" };
    format!(
        "<ErrorResponse xmlns=\"{namespace}\"><Error><Type>{kind}</Type><Code>{}</Code><Message>{}</Message></Error><RequestId>{id}</RequestId></ErrorResponse>",
        escaped(&error.code),
        escaped(&error.message)
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
