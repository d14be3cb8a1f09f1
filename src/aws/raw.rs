//! JSON as it is, in and out of typed SDK operations, so that a field neither we nor the SDK know is never lost; and
//! the SDK's own schema as a strict reader of task definitions.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::{
    AfterDeserializationInterceptorContextRef, BeforeTransmitInterceptorContextMut,
};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_schema::Schema;
use aws_smithy_schema::serde::{SerdeError, ShapeDeserializer};
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::ConfigBag;
use aws_smithy_types::{BigDecimal, BigInteger, Blob, DateTime, Document, Number};
use serde_json::Value;

use crate::model::{Severity, ShapeComplaint};

/// Replaces the serialised request body, or captures the body of the answer.
#[derive(Clone, Debug, Default)]
pub struct RawJson {
    request: Option<Arc<[u8]>>,
    response: Arc<Mutex<Option<Vec<u8>>>>,
}

impl RawJson {
    pub fn capture() -> Self {
        Self::default()
    }

    pub fn send(body: &Value) -> Self {
        Self { request: Some(body.to_string().into_bytes().into()), ..Self::default() }
    }

    /// The body of the answer, once the operation is over.
    pub fn take(&self) -> Option<Value> {
        let bytes = self.response.lock().ok()?.take()?;
        serde_json::from_slice(&bytes).ok()
    }
}

#[aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint]
impl Intercept for RawJson {
    fn name(&self) -> &'static str {
        "RawJson"
    }

    // Before the retry loop: every attempt is then signed over the replaced body.
    fn modify_before_retry_loop(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(body) = &self.request {
            let request = context.request_mut();
            request.headers_mut().insert("content-length", body.len().to_string());
            *request.body_mut() = SdkBody::from(body.to_vec());
        }
        Ok(())
    }

    // The body of an answer is in memory from here on.
    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Ok(mut response) = self.response.lock() {
            *response = context.response().body().bytes().map(<[u8]>::to_vec);
        }
        Ok(())
    }
}

/// Reads a `RegisterTaskDefinition` input with the SDK's schema and returns all that does not fit.
pub fn check_task_definition(input: &Value) -> Vec<ShapeComplaint> {
    let complaints = Rc::new(RefCell::new(Vec::new()));
    let mut strict = Strict { value: input, path: String::new(), complaints: Rc::clone(&complaints) };
    let result = aws_sdk_ecs::operation::register_task_definition::RegisterTaskDefinitionInput::deserialize(
        &mut strict,
    );
    if let Err(error) = result {
        let text = error.to_string();
        let (path, message) = text.split_once('\u{0}').unwrap_or(("", &text));
        let (path, message) = (path.to_owned(), message.to_owned());
        complaints.borrow_mut().push(ShapeComplaint { severity: Severity::Error, path, message });
    }
    complaints.take()
}

struct Strict<'v> {
    value: &'v Value,
    path: String,
    complaints: Rc<RefCell<Vec<ShapeComplaint>>>,
}

impl<'v> Strict<'v> {
    fn at(&self, value: &'v Value, segment: &str) -> Self {
        Self { value, path: format!("{}{segment}", self.path), complaints: Rc::clone(&self.complaints) }
    }

    /// Path and message are kept apart by a NUL, since the SDK's error carries text only.
    fn bad(&self, wanted: &str) -> SerdeError {
        let found = match self.value {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Number(_) => "a number",
            Value::String(_) => "text",
            Value::Array(_) => "a list",
            Value::Object(_) => "an object",
        };
        SerdeError::custom(format!("{}\u{0}expected {wanted}, found {found}", self.path))
    }

    fn integer<T: TryFrom<i64>>(&self) -> Result<T, SerdeError> {
        let number = self.value.as_i64().ok_or_else(|| self.bad("a whole number"))?;
        T::try_from(number).map_err(|_| self.bad("a smaller number"))
    }
}

impl ShapeDeserializer for Strict<'_> {
    fn read_struct(
        &mut self,
        schema: &Schema<'_>,
        read: &mut dyn FnMut(&Schema<'_>, &mut dyn ShapeDeserializer) -> Result<(), SerdeError>,
    ) -> Result<(), SerdeError> {
        let Value::Object(fields) = self.value else { return Err(self.bad("an object")) };
        for (key, value) in fields {
            let segment = if self.path.is_empty() { key.clone() } else { format!(".{key}") };
            match schema.member_schema(key) {
                None => self.complaints.borrow_mut().push(ShapeComplaint {
                    severity: Severity::Warning,
                    path: format!("{}{segment}", self.path),
                    message: format!("unknown field `{key}`"),
                }),
                Some(_) if value.is_null() => {}
                Some(member) => read(member, &mut self.at(value, &segment))?,
            }
        }
        Ok(())
    }

    fn read_list(
        &mut self,
        _: &Schema<'_>,
        read: &mut dyn FnMut(&mut dyn ShapeDeserializer) -> Result<(), SerdeError>,
    ) -> Result<(), SerdeError> {
        let Value::Array(items) = self.value else { return Err(self.bad("a list")) };
        items.iter().enumerate().try_for_each(|(index, item)| read(&mut self.at(item, &format!("[{index}]"))))
    }

    fn read_map(
        &mut self,
        _: &Schema<'_>,
        read: &mut dyn FnMut(String, &mut dyn ShapeDeserializer) -> Result<(), SerdeError>,
    ) -> Result<(), SerdeError> {
        let Value::Object(entries) = self.value else { return Err(self.bad("an object")) };
        entries.iter().try_for_each(|(key, value)| read(key.clone(), &mut self.at(value, &format!(".{key}"))))
    }

    fn read_boolean(&mut self, _: &Schema<'_>) -> Result<bool, SerdeError> {
        self.value.as_bool().ok_or_else(|| self.bad("true or false"))
    }

    fn read_byte(&mut self, _: &Schema<'_>) -> Result<i8, SerdeError> {
        self.integer()
    }

    fn read_short(&mut self, _: &Schema<'_>) -> Result<i16, SerdeError> {
        self.integer()
    }

    fn read_integer(&mut self, _: &Schema<'_>) -> Result<i32, SerdeError> {
        self.integer()
    }

    fn read_long(&mut self, _: &Schema<'_>) -> Result<i64, SerdeError> {
        self.integer()
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "the value itself is not used, only its type is checked"
    )]
    fn read_float(&mut self, schema: &Schema<'_>) -> Result<f32, SerdeError> {
        self.read_double(schema).map(|number| number as f32)
    }

    fn read_double(&mut self, _: &Schema<'_>) -> Result<f64, SerdeError> {
        self.value.as_f64().ok_or_else(|| self.bad("a number"))
    }

    fn read_big_integer(&mut self, _: &Schema<'_>) -> Result<BigInteger, SerdeError> {
        Err(SerdeError::unsupported("bigInteger"))
    }

    fn read_big_decimal(&mut self, _: &Schema<'_>) -> Result<BigDecimal, SerdeError> {
        Err(SerdeError::unsupported("bigDecimal"))
    }

    fn read_string(&mut self, _: &Schema<'_>) -> Result<String, SerdeError> {
        self.value.as_str().map(str::to_owned).ok_or_else(|| self.bad("text"))
    }

    fn read_blob(&mut self, _: &Schema<'_>) -> Result<Blob, SerdeError> {
        let text = self.value.as_str().ok_or_else(|| self.bad("base64 text"))?;
        aws_smithy_types::base64::decode(text).map(Blob::new).map_err(|_| self.bad("base64 text"))
    }

    fn read_timestamp(&mut self, _: &Schema<'_>) -> Result<DateTime, SerdeError> {
        self.value.as_f64().map(DateTime::from_secs_f64).ok_or_else(|| self.bad("seconds since 1970"))
    }

    fn read_document(&mut self, _: &Schema<'_>) -> Result<Document, SerdeError> {
        Ok(document(self.value))
    }

    fn is_null(&self) -> bool {
        self.value.is_null()
    }

    fn skip_value(&mut self) -> Result<(), SerdeError> {
        Ok(())
    }

    fn container_size(&self) -> Option<usize> {
        None
    }
}

fn document(value: &Value) -> Document {
    match value {
        Value::Null => Document::Null,
        Value::Bool(flag) => Document::Bool(*flag),
        Value::String(text) => Document::String(text.clone()),
        Value::Number(number) => Document::Number(match (number.as_u64(), number.as_i64()) {
            (Some(positive), _) => Number::PosInt(positive),
            (None, Some(negative)) => Number::NegInt(negative),
            (None, None) => Number::Float(number.as_f64().unwrap_or(f64::NAN)),
        }),
        Value::Array(items) => Document::Array(items.iter().map(document).collect()),
        Value::Object(fields) => {
            Document::Object(fields.iter().map(|(key, value)| (key.clone(), document(value))).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn unknown_fields_and_wrong_types_are_named_with_their_path() {
        let input = json!({"family": "f", "futureField2028": 1,
            "containerDefinitions": [{"name": "api", "healthcheck": {}, "cpu": "10"}]});
        let found: Vec<String> =
            check_task_definition(&input).into_iter().map(|c| format!("{}: {}", c.path, c.message)).collect();
        assert_eq!(
            found,
            [
                "futureField2028: unknown field `futureField2028`",
                "containerDefinitions[0].healthcheck: unknown field `healthcheck`",
                "containerDefinitions[0].cpu: expected a whole number, found text",
            ]
        );
    }
}
