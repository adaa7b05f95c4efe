//! A message to JSON: a serializer that knows which numbers become strings, and which become names.

use std::fmt::Display;

use serde::ser::{self, Serialize};
use serde_json::{Map, Value};

use super::camel;
use super::enumerations::enumeration;

/// `message` in protobuf's JSON: fields in their order, maps sorted, messages that are not there left out.
///
/// A message of CRI always has such a form; anything else is null.
pub fn to_value(message: &impl Serialize) -> Value {
    message.serialize(Writer).unwrap_or(Value::Null)
}

/// A value that protobuf does not have.
#[derive(Debug)]
pub(super) struct Impossible(String);

impl Display for Impossible {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Impossible {}

impl ser::Error for Impossible {
    fn custom<T: Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

type Written = Result<Value, Impossible>;

#[derive(Clone, Copy)]
struct Writer;

/// A list under way.
struct List(Vec<Value>);

/// A map under way, and the key whose value comes next.
struct Names(Vec<(String, Value)>, String);

/// A message under way.
struct Message(&'static str, Map<String, Value>);

macro_rules! numbers {
    ($($method:ident: $kind:ty),*) => {
        $(fn $method(self, number: $kind) -> Written { Ok(number.into()) })*
    };
}

impl ser::Serializer for Writer {
    type Ok = Value;
    type Error = Impossible;
    type SerializeSeq = List;
    type SerializeTuple = List;
    type SerializeTupleStruct = ser::Impossible<Value, Impossible>;
    type SerializeTupleVariant = ser::Impossible<Value, Impossible>;
    type SerializeMap = Names;
    type SerializeStruct = Message;
    type SerializeStructVariant = ser::Impossible<Value, Impossible>;

    numbers!(serialize_i8: i8, serialize_i16: i16, serialize_i32: i32);
    numbers!(serialize_u8: u8, serialize_u16: u16, serialize_u32: u32);

    fn serialize_i64(self, number: i64) -> Written {
        Ok(number.to_string().into())
    }

    fn serialize_u64(self, number: u64) -> Written {
        Ok(number.to_string().into())
    }

    fn serialize_f32(self, number: f32) -> Written {
        self.serialize_f64(f64::from(number))
    }

    fn serialize_f64(self, number: f64) -> Written {
        Ok(number.into())
    }

    fn serialize_bool(self, yes: bool) -> Written {
        Ok(yes.into())
    }

    fn serialize_char(self, letter: char) -> Written {
        Ok(letter.to_string().into())
    }

    fn serialize_str(self, text: &str) -> Written {
        Ok(text.into())
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Written {
        Ok(bytes.into())
    }

    fn serialize_none(self) -> Written {
        Ok(Value::Null)
    }

    fn serialize_some<T: ?Sized + Serialize>(self, value: &T) -> Written {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Written {
        Ok(Value::Null)
    }

    fn serialize_unit_struct(self, _: &'static str) -> Written {
        Ok(Value::Object(Map::new()))
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, name: &'static str) -> Written {
        Ok(name.into())
    }

    fn serialize_newtype_struct<T: ?Sized + Serialize>(self, _: &'static str, value: &T) -> Written {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: ?Sized + Serialize>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        value: &T,
    ) -> Written {
        value.serialize(self)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<List, Impossible> {
        Ok(List(Vec::new()))
    }

    fn serialize_tuple(self, _: usize) -> Result<List, Impossible> {
        Ok(List(Vec::new()))
    }

    fn serialize_tuple_struct(
        self,
        name: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleStruct, Impossible> {
        Err(ser::Error::custom(name))
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, Impossible> {
        Err(ser::Error::custom(name))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Names, Impossible> {
        Ok(Names(Vec::new(), String::new()))
    }

    fn serialize_struct(self, name: &'static str, _: usize) -> Result<Message, Impossible> {
        Ok(Message(name, Map::new()))
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, Impossible> {
        Err(ser::Error::custom(name))
    }
}

impl ser::SerializeSeq for List {
    type Ok = Value;
    type Error = Impossible;

    fn serialize_element<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), Impossible> {
        self.0.push(value.serialize(Writer)?);
        Ok(())
    }

    fn end(self) -> Written {
        Ok(Value::Array(self.0))
    }
}

impl ser::SerializeTuple for List {
    type Ok = Value;
    type Error = Impossible;

    fn serialize_element<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), Impossible> {
        ser::SerializeSeq::serialize_element(self, value)
    }

    fn end(self) -> Written {
        ser::SerializeSeq::end(self)
    }
}

impl ser::SerializeMap for Names {
    type Ok = Value;
    type Error = Impossible;

    fn serialize_key<T: ?Sized + Serialize>(&mut self, key: &T) -> Result<(), Impossible> {
        self.1 = match key.serialize(Writer)? {
            Value::String(key) => key,
            key => key.to_string(),
        };
        Ok(())
    }

    fn serialize_value<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), Impossible> {
        self.0.push((std::mem::take(&mut self.1), value.serialize(Writer)?));
        Ok(())
    }

    fn end(mut self) -> Written {
        self.0.sort_by(|(one, _), (other, _)| one.cmp(other));
        Ok(Value::Object(self.0.into_iter().collect()))
    }
}

impl ser::SerializeStruct for Message {
    type Ok = Value;
    type Error = Impossible;

    fn serialize_field<T: ?Sized + Serialize>(
        &mut self,
        field: &'static str,
        value: &T,
    ) -> Result<(), Impossible> {
        let value = match (value.serialize(Writer)?, enumeration(self.0, field)) {
            // A message that is not there.
            (Value::Null, _) => return Ok(()),
            (Value::Number(number), Some(kind)) => {
                let name = number.as_i64().and_then(|number| (kind.name)(i32::try_from(number).ok()?));
                // A number of a later CRI stays one.
                name.map_or(Value::Number(number), Value::from)
            }
            (value, _) => value,
        };
        self.1.insert(camel(field), value);
        Ok(())
    }

    fn end(self) -> Written {
        Ok(Value::Object(self.1))
    }
}
