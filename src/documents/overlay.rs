//! What the repository lays over a task definition that is no file of it: values for placeholders and a merge patch.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::placeholders;
use crate::model::{Overlay, Waiting};

/// The base with what is laid over it.
pub fn laid_over<'b>(overlay: &Overlay, base: &'b Value) -> Result<Cow<'b, Value>, Waiting> {
    if *overlay == Overlay::default() {
        return Ok(Cow::Borrowed(base));
    }
    let mut laid = if overlay.values.is_empty() {
        base.clone()
    } else {
        placeholders::fill(base, &overlay.values).map_err(|_| too_large())?.value
    };
    if let Some(patch) = &overlay.patch {
        merge_patch(&mut laid, patch);
    }
    if laid.to_string().len() > placeholders::MOST_BYTES {
        return Err(too_large());
    }
    Ok(Cow::Owned(laid))
}

fn too_large() -> Waiting {
    let why = format!("with `values` and patch it has more than {} bytes", placeholders::MOST_BYTES);
    Waiting::NoBase { why }
}

/// JSON merge patch (RFC 7386).
pub fn merge_patch(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(fields) = target else { return };
    for (key, change) in patch {
        if change.is_null() {
            fields.shift_remove(key);
        } else {
            merge_patch(fields.entry(key.clone()).or_insert(Value::Null), change);
        }
    }
}
