//! The query protocol of AWS (smithy, "AWS query protocol"): a form goes out, XML comes back. Here both are JSON: what XML holds
//! is text, lists are its `member`s.

use serde_json::{Map, Value};
use url::form_urlencoded::Serializer;
use xmlparser::{ElementEnd, Token, Tokenizer};

/// Elements within one another; answers of AWS have a dozen.
const DEEPEST: usize = 64;

/// The body of a request.
pub(super) fn form(operation: &str, version: &str, maps: &[&str], input: &Value) -> String {
    write(operation, version, maps, "member.", input)
}

/// The same for EC2, where the numbers of a list follow its name at once (smithy, "AWS EC2 query protocol").
pub(super) fn ec2_form(operation: &str, version: &str, input: &Value) -> String {
    write(operation, version, &[], "", input)
}

fn write(operation: &str, version: &str, maps: &[&str], before_number: &str, input: &Value) -> String {
    let mut form = Serializer::new(String::new());
    form.append_pair("Action", operation).append_pair("Version", version);
    let mut rest = vec![(String::new(), input)];
    while let Some((name, value)) = rest.pop() {
        let member = |key: &str| if name.is_empty() { key.to_owned() } else { format!("{name}.{key}") };
        match value {
            Value::Object(entries) if maps.contains(&name.as_str()) => {
                for (number, (key, value)) in (1..).zip(entries) {
                    form.append_pair(&format!("{name}.entry.{number}.Name"), key);
                    rest.push((format!("{name}.entry.{number}.Value"), value));
                }
            }
            Value::Object(members) => rest.extend(members.iter().map(|(key, value)| (member(key), value))),
            Value::Array(items) => {
                let items = (1..).zip(items);
                rest.extend(items.map(|(number, item)| (member(&format!("{before_number}{number}")), item)));
            }
            Value::String(text) => _ = form.append_pair(&name, text),
            Value::Null => {}
            other => _ = form.append_pair(&name, &other.to_string()),
        }
    }
    form.finish()
}

/// What an answer holds: the result of the operation, beside which there is only what AWS knows the request by.
pub(super) fn answer(xml: &str) -> Option<Value> {
    let root = parse(xml)?;
    let mut members = root.as_object().into_iter().flatten();
    let result = members.find(|(name, _)| name.ends_with("Result")).map(|(_, result)| result);
    Some(result.filter(|result| result.is_object()).cloned().unwrap_or_else(|| Value::Object(Map::new())))
}

/// What an answer of EC2 holds: it has no element of its own for the result.
pub(super) fn ec2_answer(xml: &str) -> Option<Value> {
    parse(xml).filter(Value::is_object)
}

/// Code and message of a refusal.
pub(super) fn refusal(xml: &str) -> Option<(String, String)> {
    let root = parse(xml)?;
    // EC2 has it in a list of one.
    let error = root.get("Error").or_else(|| root.get("Errors")?.get("Error"));
    let text = |key: &str| Some(error?.get(key)?.as_str()?.to_owned());
    Some((text("Code")?, text("Message").unwrap_or_default()))
}

/// An element whose end has not come.
struct Element {
    name: String,
    text: String,
    children: Vec<(String, Value)>,
}

impl Element {
    fn value(self) -> Value {
        if self.children.is_empty() {
            return Value::String(self.text);
        }
        if ["member", "item"].iter().any(|item| self.children.iter().all(|(name, _)| name == item)) {
            return self.children.into_iter().map(|(_, value)| value).collect();
        }
        Value::Object(self.children.into_iter().collect())
    }
}

/// What the outermost element holds; `None`: this is no XML that AWS would send.
fn parse(xml: &str) -> Option<Value> {
    let mut open: Vec<Element> = Vec::new();
    for token in Tokenizer::from(xml) {
        match token.ok()? {
            Token::ElementStart { local, .. } if open.len() < DEEPEST => open.push(Element {
                name: local.as_str().to_owned(),
                text: String::new(),
                children: Vec::new(),
            }),
            Token::ElementStart { .. } => return None,
            Token::ElementEnd { end: ElementEnd::Open, .. } => {}
            Token::ElementEnd { end: ElementEnd::Close(..) | ElementEnd::Empty, .. } => {
                let mut done = open.pop()?;
                let name = std::mem::take(&mut done.name);
                match open.last_mut() {
                    Some(parent) => parent.children.push((name, done.value())),
                    None => return Some(done.value()),
                }
            }
            Token::Text { text } => open.last_mut()?.text.push_str(&unescaped(text.as_str())),
            Token::Cdata { text, .. } => open.last_mut()?.text.push_str(text.as_str()),
            _ => {}
        }
    }
    None
}

/// The ampersand comes last: `&amp;lt;` stands for `&lt;`.
fn unescaped(text: &str) -> String {
    let named = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")];
    named.iter().fold(text.to_owned(), |text, (name, letter)| text.replace(name, letter))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_form_names_each_member_by_its_path() {
        let input = json!({"RuleArns": ["a/b", "c"], "PageSize": 5, "Forward": {"On": true}, "Marker": null, "Attributes": {"event": {"DataType": "String"}}});
        let form = form("DescribeRules", "2015-12-01", &["Attributes"], &input);
        let rest = form.strip_prefix("Action=DescribeRules&Version=2015-12-01&").unwrap();
        let mut parts: Vec<&str> = rest.split('&').collect();
        parts.sort_unstable();
        assert_eq!(
            parts,
            [
                "Attributes.entry.1.Name=event",
                "Attributes.entry.1.Value.DataType=String",
                "Forward.On=true",
                "PageSize=5",
                "RuleArns.member.1=a%2Fb",
                "RuleArns.member.2=c"
            ]
        );
    }

    #[test]
    fn an_answer_is_what_its_elements_hold() {
        let xml = r#"<?xml version="1.0"?><DescribeRulesResponse xmlns="http://x/"><DescribeRulesResult><Rules><member>
            <RuleArn>r&amp;1 &lt;b&gt;</RuleArn><Actions/><Conditions><member>x</member></Conditions></member></Rules></DescribeRulesResult>
            <ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></DescribeRulesResponse>"#;
        assert_eq!(
            answer(xml),
            Some(json!({"Rules": [{"RuleArn": "r&1 <b>", "Actions": "", "Conditions": ["x"]}]}))
        );
        assert_eq!(answer("<DescribeRulesResponse/>"), Some(json!({})));
        let refused = "<ErrorResponse><Error><Type>Sender</Type><Code>RuleNotFound</Code><Message>no &apos;r&apos;</Message></Error></ErrorResponse>";
        assert_eq!(refusal(refused), Some(("RuleNotFound".to_owned(), "no 'r'".to_owned())));
    }

    #[test]
    fn ec2_numbers_its_lists_at_once_and_has_no_result() {
        let input = json!({"Filter": [{"Name": "subnet-id", "Value": ["a", "b"]}]});
        let form = ec2_form("DescribeSubnets", "2016-11-15", &input);
        let rest = form.strip_prefix("Action=DescribeSubnets&Version=2016-11-15&").unwrap();
        let mut parts: Vec<&str> = rest.split('&').collect();
        parts.sort_unstable();
        assert_eq!(parts, ["Filter.1.Name=subnet-id", "Filter.1.Value.1=a", "Filter.1.Value.2=b"]);
        let xml = "<DescribeSubnetsResponse><requestId>1</requestId><subnetSet><item><subnetId>a</subnetId></item></subnetSet></DescribeSubnetsResponse>";
        assert_eq!(ec2_answer(xml), Some(json!({"requestId": "1", "subnetSet": [{"subnetId": "a"}]})));
        let refused = "<Response><Errors><Error><Code>UnauthorizedOperation</Code><Message>no</Message></Error></Errors></Response>";
        assert_eq!(refusal(refused), Some(("UnauthorizedOperation".to_owned(), "no".to_owned())));
    }

    #[test]
    fn what_is_no_answer_ends_within_its_bounds() {
        for xml in ["", "{}", "<a", "<a><b>", "</a>", "text", &"<a>".repeat(100_000)] {
            assert_eq!((answer(xml), refusal(xml)), (None, None));
        }
    }
}
