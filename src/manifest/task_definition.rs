//! Task definition files: the input of `RegisterTaskDefinition`, or pasted output of `DescribeTaskDefinition`.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::documents::{containers, placeholders};
use crate::model::{Complaint, Containers, DesiredImage, Misfit, ShapeComplaint, ValueType};
use crate::text::nearest::{nearest, nearest_within};

/// Stands for the image of an application that has one.
pub(super) const ONLY_IMAGE: &str = "<IMAGE_NAME>";

/// Members that only a description has (Amazon ECS API reference, `TaskDefinition`).
const RESPONSE_ONLY: [&str; 9] = [
    "taskDefinitionArn",
    "revision",
    "status",
    "requiresAttributes",
    "compatibilities",
    "registeredAt",
    "registeredBy",
    "deregisteredAt",
    "deleteRequestedAt",
];

/// The registration input in a pasted description; anything else unchanged.
pub(super) fn registration_input(pasted: Value) -> Value {
    let Value::Object(mut fields) = pasted else { return pasted };
    if let Some(Value::Object(inner)) = fields.shift_remove("taskDefinition") {
        let tags = fields.shift_remove("tags");
        fields = inner;
        fields.extend(tags.map(|tags| ("tags".to_owned(), tags)));
    }
    fields.retain(|key, _| !RESPONSE_ONLY.contains(&key.as_str()));
    Value::Object(fields)
}

/// Makes numbers and booleans of texts that were one placeholder as a whole, where AWS's model wants such. Returns what is
/// none: the path, and what is wanted there.
pub(super) fn give_types<'c>(
    input: &mut Value,
    complaints: &'c [ShapeComplaint],
    whole: &BTreeSet<String>,
) -> Vec<(&'c str, ValueType)> {
    let mut others = Vec::new();
    for complaint in complaints.iter().filter(|complaint| whole.contains(&complaint.path)) {
        let Misfit::WrongType { wanted, .. } = &complaint.misfit else { continue };
        let Some(value) = at_path(input, &complaint.path) else { continue };
        let text = value.as_str().unwrap_or_default().trim();
        let typed: Option<Value> = match wanted {
            ValueType::WholeNumber => text.parse::<i64>().ok().map(Value::from),
            ValueType::Number => text.parse::<f64>().ok().map(Value::from),
            ValueType::Boolean => text.parse::<bool>().ok().map(Value::from),
            ValueType::Text | ValueType::Other => continue,
        };
        match typed {
            Some(typed) => *value = typed,
            None => others.push((complaint.path.as_str(), *wanted)),
        }
    }
    others
}

/// What stands for a placeholder where something else is wanted.
pub(super) fn not_of_type(path: &str, name: Option<&str>, wanted: ValueType) -> Complaint {
    let (what, example) = match wanted {
        ValueType::Boolean => ("neither true nor false", "true"),
        ValueType::WholeNumber => ("no whole number", "80"),
        ValueType::Number | ValueType::Text | ValueType::Other => ("no number", "0.5"),
    };
    let name = name.unwrap_or("the placeholder");
    Complaint::error(path, format!("the value of {name} is {what}"))
        .hint(format!("in `values`, such as {name}: {example}"))
}

fn value_at<'v>(input: &'v Value, path: &str) -> Option<&'v Value> {
    let segments = path.split(['.', '[']).map(|segment| segment.trim_end_matches(']'));
    segments.filter(|segment| !segment.is_empty()).try_fold(input, |value, segment| match value {
        Value::Array(items) => items.get(segment.parse::<usize>().ok()?),
        other => other.get(segment),
    })
}

fn at_path<'v>(input: &'v mut Value, path: &str) -> Option<&'v mut Value> {
    let segments = path.split(['.', '[']).map(|segment| segment.trim_end_matches(']'));
    segments.filter(|segment| !segment.is_empty()).try_fold(input, |value, segment| match value {
        Value::Array(items) => items.get_mut(segment.parse::<usize>().ok()?),
        other => other.get_mut(segment),
    })
}

/// What does not fit AWS's model. AWS CLI refuses every member that it does not know; here those that are nearly known, or
/// known elsewhere, are errors, and others may be known to AWS by now. `whole`: what the input is called.
pub(super) fn misfit(complaint: ShapeComplaint, input: &Value, whole: &str) -> Complaint {
    let path = complaint.path;
    let (key, known, maps, elsewhere) = match complaint.misfit {
        Misfit::WrongType { wanted, message } => {
            let found = value_at(input, &path);
            let fraction = found.and_then(Value::as_f64);
            let is_quoted = found
                .and_then(Value::as_str)
                .is_none_or(|text| serde_json::from_str::<Value>(text.trim()).is_ok());
            let hint = match wanted {
                ValueType::WholeNumber if fraction.is_some() => {
                    fraction.map(|number| format!("a number without a point, such as {number:.0}"))
                }
                ValueType::WholeNumber | ValueType::Number if !is_quoted => Some("such as 80".to_owned()),
                ValueType::Boolean if !is_quoted => Some("true or false, without quotes".to_owned()),
                ValueType::WholeNumber | ValueType::Number | ValueType::Boolean => {
                    Some("without quotes; a placeholder alone becomes one".to_owned())
                }
                ValueType::Text => Some("put it in quotes".to_owned()),
                ValueType::Other => None,
            };
            return Complaint { hint, ..Complaint::error(path, message) };
        }
        Misfit::UnknownMember { key, known, maps, elsewhere } => (key, known, maps, elsewhere),
    };
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    let message = format!("unknown field `{key}`");
    if let Some(meant) = is_nearly(&key, &known) {
        return Complaint::error(path, message).at_key().hint(format!("did you mean `{meant}`?"));
    }
    if let [first, ..] = elsewhere.as_slice() {
        let place = if first.is_empty() { whole.to_owned() } else { format!("`{first}`") };
        return Complaint::error(path, message).at_key().hint(format!("it belongs in {place}"));
    }
    // Options of drivers and of FireLens have names of their own, which AWS does not check.
    if let Some(options) = maps.iter().find(|map| *map == "options") {
        return Complaint::error(path, message).at_key().hint(format!("it belongs in `{options}`"));
    }
    let near = nearest(&key, &known).map(|near| format!(", or did you mean `{near}`?"));
    let hint = format!("it is sent to AWS as written{}", near.unwrap_or_default());
    Complaint::warning(path, message).at_key().hint(hint)
}

/// The path of the member that an unknown one was meant to be: that it is missing is told with that.
pub(super) fn meant(complaint: &ShapeComplaint) -> Option<String> {
    let Misfit::UnknownMember { key, known, .. } = &complaint.misfit else { return None };
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    let before = complaint.path.strip_suffix(key.as_str())?;
    Some(format!("{before}{}", is_nearly(key, &known)?))
}

/// Letters of a beginning that stands for nothing else: AWS's own guides shorten `canaryBakeTimeInMinutes`.
const SHORTENED: usize = 8;

/// A known name in other letters, or its beginning, or with one or two edits in a name that is long enough for them. In a short one a letter
/// too many or too few is a slip, and another letter another name: `gpu` is no `cpu`.
fn is_nearly<'k>(key: &str, known: &[&'k str]) -> Option<&'k str> {
    let plain = |text: &str| {
        text.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase()
    };
    let same = known.iter().find(|known| plain(known) == plain(key)).copied();
    let edits = |name: &str| match name.len() {
        ..=3 => usize::from(name.len() == 3 && name.len() != key.len()),
        length => (length / 4).min(2),
    };
    let same = same.or_else(|| nearest_within(key, known, edits));
    same.or_else(|| known.iter().find(|name| key.len() >= SHORTENED && name.starts_with(key)).copied())
}

/// Gives images that no container is named for the containers that have their placeholder. `CodePipeline` calls an image as
/// its action says, usually `<IMAGE1_NAME>`: where one image is declared, the only placeholder that is there means it.
pub(super) fn place_images(images: &mut [DesiredImage], input: &Value) {
    let marked: Vec<(String, String)> = containers::images(input)
        .filter_map(|(container, image)| Some((container.to_owned(), placeholders::whole(image)?.to_owned())))
        .collect();
    let names: BTreeSet<&str> = marked.iter().map(|(_, name)| name.as_str()).collect();
    let is_only = images.len() == 1 && names.len() == 1;
    for image in images {
        let Containers::Placeholder(placeholder) = &image.containers else { continue };
        let spelled = spellings(&image.name, placeholder).into_iter().find_map(|wanted| {
            let found: Vec<String> = marked
                .iter()
                .filter(|(_, name)| is_only || upper(name) == wanted)
                .map(|(container, _)| container.clone())
                .collect();
            (!found.is_empty()).then_some(found)
        });
        if let Some(containers) = spelled {
            image.containers = Containers::Named(containers);
        }
    }
}

/// How a file may call the image, the likeliest first.
fn spellings(name: &str, placeholder: &str) -> Vec<String> {
    let name = upper(name);
    let mut all = vec![upper(placeholder.trim_matches(['<', '>']))];
    if placeholder == ONLY_IMAGE {
        all.push("IMAGE1_NAME".to_owned());
    }
    all.extend([name.clone(), format!("{name}_IMAGE"), format!("{name}_IMAGE_NAME")]);
    all
}

fn upper(name: &str) -> String {
    name.to_uppercase().replace(['-', '.', ' ', '/'], "_")
}
