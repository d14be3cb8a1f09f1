//! The SDK's own schema as a strict reader of task definitions, and of the settings of a service.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;
use std::sync::LazyLock;

use aws_sdk_ecs::operation::register_task_definition::RegisterTaskDefinitionInput;
use aws_sdk_ecs::operation::update_service::UpdateServiceInput;
use aws_smithy_schema::serde::{SerdeError, ShapeDeserializer};
use aws_smithy_schema::{Schema, ShapeType};
use aws_smithy_types::{BigDecimal, BigInteger, Blob, DateTime, Document, Number};
use serde_json::Value;

use crate::model::{Misfit, Shape, ShapeComplaint, ValueType};

/// Reads an input, or a part of one, with the SDK's schema and returns all that does not fit.
pub fn check_shape(shape: Shape, input: &Value) -> Vec<ShapeComplaint> {
    let complaints = Rc::new(RefCell::new(Vec::new()));
    let mut strict = Strict { shape, value: input, path: String::new(), complaints: Rc::clone(&complaints) };
    // It reads whatever is there: what fails is only the SDK's builder, where a member is missing (`documents::required`).
    let _ = read(shape, &mut strict);
    complaints.take()
}

fn read(shape: Shape, reader: &mut dyn ShapeDeserializer) -> Result<(), SerdeError> {
    match shape {
        Shape::TaskDefinition => RegisterTaskDefinitionInput::deserialize(reader).map(drop),
        Shape::ServiceSettings => UpdateServiceInput::deserialize(reader).map(drop),
    }
}

/// Every structure of the model by its path, such as `containerDefinitions[].portMappings[]`, with its members.
fn structures(shape: Shape) -> &'static Structures {
    static OF_TASK_DEFINITIONS: LazyLock<Structures> = LazyLock::new(|| explored(Shape::TaskDefinition));
    static OF_SERVICES: LazyLock<Structures> = LazyLock::new(|| explored(Shape::ServiceSettings));
    match shape {
        Shape::TaskDefinition => &OF_TASK_DEFINITIONS,
        Shape::ServiceSettings => &OF_SERVICES,
    }
}

fn explored(shape: Shape) -> Structures {
    let structures = Rc::new(RefCell::new(Vec::new()));
    let mut explorer = Explorer { path: String::new(), structures: Rc::clone(&structures) };
    // It answers whatever is asked, so that nothing is left unexplored.
    let _ = read(shape, &mut explorer);
    structures.take()
}

type Structures = Vec<(String, Vec<String>)>;

fn member_names(schema: &Schema<'_>) -> Vec<String> {
    schema.members().iter().filter_map(|member| member.member_name().map(str::to_owned)).collect()
}

fn inside(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

fn unknown_member(shape: Shape, schema: &Schema<'_>, path: &str, key: &str) -> ShapeComplaint {
    let maps = schema.members().iter().filter(|member| member.shape_type() == ShapeType::Map);
    let has_it = |(_, members): &&(String, Vec<String>)| members.iter().any(|member| member == key);
    let misfit = Misfit::UnknownMember {
        key: key.to_owned(),
        known: member_names(schema),
        maps: maps.filter_map(|member| member.member_name().map(str::to_owned)).collect(),
        elsewhere: structures(shape).iter().filter(has_it).map(|(path, _)| path.clone()).collect(),
    };
    ShapeComplaint { path: inside(path, key), misfit }
}

/// Has every member there is: reading it goes through the whole model. The models are no deeper than
/// their paths and have no structure within itself.
struct Explorer {
    path: String,
    structures: Rc<RefCell<Structures>>,
}

impl Explorer {
    fn at(&self, path: String) -> Self {
        Self { path, structures: Rc::clone(&self.structures) }
    }
}

impl ShapeDeserializer for Explorer {
    fn read_struct(
        &mut self,
        schema: &Schema<'_>,
        read: &mut dyn FnMut(&Schema<'_>, &mut dyn ShapeDeserializer) -> Result<(), SerdeError>,
    ) -> Result<(), SerdeError> {
        self.structures.borrow_mut().push((self.path.clone(), member_names(schema)));
        schema.members().iter().try_for_each(|member| {
            let path = inside(&self.path, member.member_name().unwrap_or_default());
            read(member, &mut self.at(path))
        })
    }

    fn read_list(
        &mut self,
        _: &Schema<'_>,
        read: &mut dyn FnMut(&mut dyn ShapeDeserializer) -> Result<(), SerdeError>,
    ) -> Result<(), SerdeError> {
        read(&mut self.at(format!("{}[]", self.path)))
    }

    fn read_map(
        &mut self,
        _: &Schema<'_>,
        _: &mut dyn FnMut(String, &mut dyn ShapeDeserializer) -> Result<(), SerdeError>,
    ) -> Result<(), SerdeError> {
        Ok(())
    }

    fn read_boolean(&mut self, _: &Schema<'_>) -> Result<bool, SerdeError> {
        Ok(false)
    }

    fn read_byte(&mut self, _: &Schema<'_>) -> Result<i8, SerdeError> {
        Ok(0)
    }

    fn read_short(&mut self, _: &Schema<'_>) -> Result<i16, SerdeError> {
        Ok(0)
    }

    fn read_integer(&mut self, _: &Schema<'_>) -> Result<i32, SerdeError> {
        Ok(0)
    }

    fn read_long(&mut self, _: &Schema<'_>) -> Result<i64, SerdeError> {
        Ok(0)
    }

    fn read_float(&mut self, _: &Schema<'_>) -> Result<f32, SerdeError> {
        Ok(0.0)
    }

    fn read_double(&mut self, _: &Schema<'_>) -> Result<f64, SerdeError> {
        Ok(0.0)
    }

    fn read_big_integer(&mut self, _: &Schema<'_>) -> Result<BigInteger, SerdeError> {
        Err(SerdeError::unsupported("bigInteger"))
    }

    fn read_big_decimal(&mut self, _: &Schema<'_>) -> Result<BigDecimal, SerdeError> {
        Err(SerdeError::unsupported("bigDecimal"))
    }

    fn read_string(&mut self, _: &Schema<'_>) -> Result<String, SerdeError> {
        Ok(String::new())
    }

    fn read_blob(&mut self, _: &Schema<'_>) -> Result<Blob, SerdeError> {
        Ok(Blob::new([]))
    }

    fn read_timestamp(&mut self, _: &Schema<'_>) -> Result<DateTime, SerdeError> {
        Ok(DateTime::from_secs(0))
    }

    fn read_document(&mut self, _: &Schema<'_>) -> Result<Document, SerdeError> {
        Ok(Document::Null)
    }

    fn is_null(&self) -> bool {
        false
    }

    fn skip_value(&mut self) -> Result<(), SerdeError> {
        Ok(())
    }

    fn container_size(&self) -> Option<usize> {
        None
    }
}

/// Takes note of what does not fit and goes on with a value of the right type, so that everything is told at once.
struct Strict<'v> {
    shape: Shape,
    value: &'v Value,
    path: String,
    complaints: Rc<RefCell<Vec<ShapeComplaint>>>,
}

impl<'v> Strict<'v> {
    fn at(&self, value: &'v Value, segment: &str) -> Self {
        let (path, complaints) = (format!("{}{segment}", self.path), Rc::clone(&self.complaints));
        Self { shape: self.shape, value, path, complaints }
    }

    fn misfit(&self, wanted: ValueType, message: String) {
        let misfit = Misfit::WrongType { wanted, message };
        self.complaints.borrow_mut().push(ShapeComplaint { path: self.path.clone(), misfit });
    }

    fn bad(&self, wanted: ValueType, name: &str) {
        let found = match self.value {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Number(_) => "a number",
            Value::String(_) => "text",
            Value::Array(_) => "a list",
            Value::Object(_) => "an object",
        };
        self.misfit(wanted, format!("expected {name}, found {found}"));
    }

    fn integer<T: TryFrom<i64> + Default + fmt::Display>(&self, (least, most): (T, T)) -> T {
        if let Some(number) = self.value.as_i64().and_then(|number| T::try_from(number).ok()) {
            return number;
        }
        let is_beyond = |number: f64| number.abs() >= 1e18;
        if self.value.is_i64() || self.value.as_f64().is_some_and(is_beyond) {
            self.misfit(ValueType::Other, format!("the number is not between {least} and {most}"));
        } else {
            self.bad(ValueType::WholeNumber, "a whole number");
        }
        T::default()
    }

    /// What `found` has, or a complaint and the default.
    fn or_bad<T: Default>(&self, found: Option<T>, wanted: ValueType, name: &str) -> T {
        if found.is_none() {
            self.bad(wanted, name);
        }
        found.unwrap_or_default()
    }
}

impl ShapeDeserializer for Strict<'_> {
    fn read_struct(
        &mut self,
        schema: &Schema<'_>,
        read: &mut dyn FnMut(&Schema<'_>, &mut dyn ShapeDeserializer) -> Result<(), SerdeError>,
    ) -> Result<(), SerdeError> {
        let Value::Object(fields) = self.value else {
            self.bad(ValueType::Other, "an object");
            return Ok(());
        };
        for (key, value) in fields {
            let segment = if self.path.is_empty() { key.clone() } else { format!(".{key}") };
            match schema.member_schema(key) {
                None => {
                    self.complaints.borrow_mut().push(unknown_member(self.shape, schema, &self.path, key));
                }
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
        let Value::Array(items) = self.value else {
            self.bad(ValueType::Other, "a list");
            return Ok(());
        };
        items.iter().enumerate().try_for_each(|(index, item)| read(&mut self.at(item, &format!("[{index}]"))))
    }

    fn read_map(
        &mut self,
        _: &Schema<'_>,
        read: &mut dyn FnMut(String, &mut dyn ShapeDeserializer) -> Result<(), SerdeError>,
    ) -> Result<(), SerdeError> {
        let Value::Object(entries) = self.value else {
            self.bad(ValueType::Other, "an object");
            return Ok(());
        };
        entries.iter().try_for_each(|(key, value)| read(key.clone(), &mut self.at(value, &format!(".{key}"))))
    }

    fn read_boolean(&mut self, _: &Schema<'_>) -> Result<bool, SerdeError> {
        Ok(self.or_bad(self.value.as_bool(), ValueType::Boolean, "true or false"))
    }

    fn read_byte(&mut self, _: &Schema<'_>) -> Result<i8, SerdeError> {
        Ok(self.integer((i8::MIN, i8::MAX)))
    }

    fn read_short(&mut self, _: &Schema<'_>) -> Result<i16, SerdeError> {
        Ok(self.integer((i16::MIN, i16::MAX)))
    }

    fn read_integer(&mut self, _: &Schema<'_>) -> Result<i32, SerdeError> {
        Ok(self.integer((i32::MIN, i32::MAX)))
    }

    fn read_long(&mut self, _: &Schema<'_>) -> Result<i64, SerdeError> {
        Ok(self.integer((i64::MIN, i64::MAX)))
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "the value itself is not used, only its type is checked"
    )]
    fn read_float(&mut self, schema: &Schema<'_>) -> Result<f32, SerdeError> {
        self.read_double(schema).map(|number| number as f32)
    }

    fn read_double(&mut self, _: &Schema<'_>) -> Result<f64, SerdeError> {
        Ok(self.or_bad(self.value.as_f64(), ValueType::Number, "a number"))
    }

    fn read_big_integer(&mut self, _: &Schema<'_>) -> Result<BigInteger, SerdeError> {
        Err(SerdeError::unsupported("bigInteger"))
    }

    fn read_big_decimal(&mut self, _: &Schema<'_>) -> Result<BigDecimal, SerdeError> {
        Err(SerdeError::unsupported("bigDecimal"))
    }

    fn read_string(&mut self, _: &Schema<'_>) -> Result<String, SerdeError> {
        Ok(self.or_bad(self.value.as_str().map(str::to_owned), ValueType::Text, "text"))
    }

    fn read_blob(&mut self, _: &Schema<'_>) -> Result<Blob, SerdeError> {
        let bytes = self.value.as_str().and_then(|text| aws_smithy_types::base64::decode(text).ok());
        Ok(Blob::new(self.or_bad(bytes, ValueType::Other, "base64 text")))
    }

    fn read_timestamp(&mut self, _: &Schema<'_>) -> Result<DateTime, SerdeError> {
        let seconds = self.or_bad(self.value.as_f64(), ValueType::Number, "seconds since 1970");
        Ok(DateTime::from_secs_f64(seconds))
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

    fn said(shape: Shape, input: &Value) -> Vec<String> {
        let line = |complaint: ShapeComplaint| match complaint.misfit {
            Misfit::UnknownMember { maps, elsewhere, .. } => {
                format!("{}: unknown; maps {maps:?}, elsewhere {elsewhere:?}", complaint.path)
            }
            Misfit::WrongType { wanted, message } => format!("{}: {message} ({wanted:?})", complaint.path),
        };
        check_shape(shape, input).into_iter().map(line).collect()
    }

    #[test]
    fn unknown_fields_and_wrong_types_are_all_named_with_their_path() {
        let input = json!({"family": 1, "futureField2028": 1, "cpuArchitecture": "ARM64", "volumes": "v",
            "containerDefinitions": [
                {"name": "api", "healthcheck": {}, "cpu": "10", "memory": 1e12, "essential": "true"},
                {"firelensConfiguration": {"type": "fluentbit", "enable-ecs-log-metadata": true}}, 2]});
        assert_eq!(
            said(Shape::TaskDefinition, &input),
            [
                "family: expected text, found a number (Text)",
                "futureField2028: unknown; maps [], elsewhere []",
                "cpuArchitecture: unknown; maps [], elsewhere [\"runtimePlatform\"]",
                "volumes: expected a list, found text (Other)",
                "containerDefinitions[0].healthcheck: unknown; maps [\"dockerLabels\"], elsewhere []",
                "containerDefinitions[0].cpu: expected a whole number, found text (WholeNumber)",
                "containerDefinitions[0].memory: expected a whole number, found a number (WholeNumber)",
                "containerDefinitions[0].essential: expected true or false, found text (Boolean)",
                "containerDefinitions[1].firelensConfiguration.enable-ecs-log-metadata: unknown; maps [\"options\"], elsewhere []",
                "containerDefinitions[2]: expected an object, found a number (Other)",
            ]
        );
    }

    #[test]
    fn settings_of_a_service_are_held_against_their_own_model() {
        let input = json!({"deploymentConfiguration": {"maximumPercnt": 150, "desiredCount": 1, "minimumHealthyPercent": "1"},
            "networkConfiguration": {"subnets": ["subnet-1"]}, "enableExecuteCommand": true, "family": "api"});
        assert_eq!(
            said(Shape::ServiceSettings, &input),
            [
                "deploymentConfiguration.maximumPercnt: unknown; maps [], elsewhere []",
                "deploymentConfiguration.desiredCount: unknown; maps [], elsewhere [\"\"]",
                "deploymentConfiguration.minimumHealthyPercent: expected a whole number, found text (WholeNumber)",
                "networkConfiguration.subnets: unknown; maps [], elsewhere [\"networkConfiguration.awsvpcConfiguration\"]",
                "family: unknown; maps [], elsewhere []",
            ]
        );
    }

    #[test]
    fn every_structure_of_the_model_is_known_by_its_path() {
        for (path, member) in [
            ("", "family"),
            ("containerDefinitions[]", "portMappings"),
            ("containerDefinitions[].portMappings[]", "containerPort"),
            ("containerDefinitions[].linuxParameters.capabilities", "add"),
            ("volumes[].efsVolumeConfiguration.authorizationConfig", "iam"),
        ] {
            let members = structures(Shape::TaskDefinition)
                .iter()
                .find(|(known, _)| known == path)
                .map(|(_, members)| members);
            assert!(members.is_some_and(|members| members.iter().any(|known| known == member)), "{path}");
        }
    }
}
