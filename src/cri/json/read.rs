//! JSON (or YAML read as such) to a message: names in either spelling, enumerations by name or number, numbers also as
//! strings, and what is left out is empty.

use std::fmt::{self, Display};

use serde::de::value::StringDeserializer;
use serde::de::{self, DeserializeOwned, DeserializeSeed, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::camel;
use super::enumerations::enumeration;

/// Why a value is no such message.
#[derive(Debug, PartialEq, Eq)]
pub struct Unreadable(String);

impl Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unreadable {}

impl de::Error for Unreadable {
    fn custom<T: Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

/// The message that `value` says. Fields that the message does not have are passed over, as crictl does.
///
/// # Errors
/// A value of the wrong kind; the error names its field.
pub fn from_value<T: DeserializeOwned>(value: &Value) -> Result<T, Unreadable> {
    T::deserialize(Reader(value))
}

/// A value under way; null is also what was left out.
#[derive(Clone, Copy)]
struct Reader<'a>(&'a Value);

impl Reader<'_> {
    fn wrong(self, wanted: &str) -> Unreadable {
        let kind = match self.0 {
            Value::Null => "nothing",
            Value::Bool(_) => "a truth value",
            Value::Number(_) => "a number",
            Value::String(_) => "a text",
            Value::Array(_) => "a list",
            Value::Object(_) => "an object",
        };
        Unreadable(format!("{wanted} is wanted, not {kind}"))
    }

    fn integer(self) -> Result<i128, Unreadable> {
        let number = match self.0 {
            Value::Null => Some(0),
            Value::Number(number) => {
                number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from)).or_else(|| {
                    number.as_f64().filter(|float| float.fract() == 0.0).map(|float| float as i128)
                })
            }
            Value::String(text) => text.parse().ok(),
            _ => None,
        };
        number.ok_or_else(|| self.wrong("a whole number"))
    }
}

macro_rules! integers {
    ($($method:ident $visit:ident $kind:ty),*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
            let number = self.integer()?;
            let fits = <$kind>::try_from(number);
            visitor.$visit(fits.map_err(|_| Unreadable(format!("{number} is out of range")))?)
        })*
    };
}

impl<'de> de::Deserializer<'de> for Reader<'_> {
    type Error = Unreadable;

    integers!(deserialize_i8 visit_i8 i8, deserialize_i16 visit_i16 i16, deserialize_i32 visit_i32 i32);
    integers!(deserialize_u8 visit_u8 u8, deserialize_u16 visit_u16 u16, deserialize_u32 visit_u32 u32);
    integers!(deserialize_i64 visit_i64 i64, deserialize_u64 visit_u64 u64);

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(yes) => visitor.visit_bool(*yes),
            Value::Number(_) => self.deserialize_i64(visitor),
            Value::String(text) => visitor.visit_str(text),
            Value::Array(_) => self.deserialize_seq(visitor),
            Value::Object(_) => self.deserialize_map(visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        match self.0 {
            Value::Null => visitor.visit_bool(false),
            Value::Bool(yes) => visitor.visit_bool(*yes),
            _ => Err(self.wrong("true or false")),
        }
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        match self.0 {
            Value::Null => visitor.visit_f64(0.0),
            Value::Number(number) => visitor.visit_f64(number.as_f64().unwrap_or_default()),
            _ => Err(self.wrong("a number")),
        }
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        match self.0 {
            Value::Null => visitor.visit_str(""),
            Value::String(text) => visitor.visit_str(text),
            _ => Err(self.wrong("a text")),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        self.deserialize_str(visitor)
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        self.deserialize_str(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        if self.0.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Unreadable> {
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Unreadable> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        match self.0 {
            Value::Null => visitor.visit_seq(List([].iter())),
            Value::Array(items) => visitor.visit_seq(List(items.iter())),
            _ => Err(self.wrong("a list")),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Unreadable> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Unreadable> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        match self.0 {
            Value::Null => visitor.visit_map(Names { entries: None, value: &Value::Null }),
            Value::Object(entries) => {
                visitor.visit_map(Names { entries: Some(entries.iter()), value: &Value::Null })
            }
            _ => Err(self.wrong("an object")),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        message: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unreadable> {
        let entries = match self.0 {
            Value::Null => None,
            Value::Object(entries) => Some(entries),
            _ => return Err(self.wrong("an object")),
        };
        visitor.visit_map(Message { message, fields: fields.iter(), entries, field: "" })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Unreadable> {
        Err(self.wrong("something else"))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        visitor.visit_unit()
    }
}

struct List<'a>(std::slice::Iter<'a, Value>);

impl<'de> SeqAccess<'de> for List<'_> {
    type Error = Unreadable;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Unreadable> {
        self.0.next().map(|value| seed.deserialize(Reader(value))).transpose()
    }
}

/// A map's entries, all of which are taken.
struct Names<'a> {
    entries: Option<serde_json::map::Iter<'a>>,
    value: &'a Value,
}

impl<'de> MapAccess<'de> for Names<'_> {
    type Error = Unreadable;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Unreadable> {
        let Some((key, value)) = self.entries.as_mut().and_then(Iterator::next) else { return Ok(None) };
        self.value = value;
        let key: StringDeserializer<Unreadable> = key.clone().into_deserializer();
        seed.deserialize(key).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Unreadable> {
        seed.deserialize(Reader(self.value))
    }
}

/// A message's fields, each of which is asked for.
struct Message<'a> {
    message: &'static str,
    fields: std::slice::Iter<'static, &'static str>,
    entries: Option<&'a Map<String, Value>>,
    field: &'static str,
}

impl Message<'_> {
    fn value(&self) -> &Value {
        let Some(entries) = self.entries else { return &Value::Null };
        let camel = camel(self.field);
        let written = entries.get(self.field).or_else(|| entries.get(&camel));
        // Go's JSON takes letters of either case.
        let written = written.or_else(|| {
            let is_field =
                |key: &str| key.eq_ignore_ascii_case(self.field) || key.eq_ignore_ascii_case(&camel);
            entries.iter().find(|(key, _)| is_field(key)).map(|(_, value)| value)
        });
        written.unwrap_or(&Value::Null)
    }
}

impl<'de> MapAccess<'de> for Message<'_> {
    type Error = Unreadable;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Unreadable> {
        let Some(field) = self.fields.next() else { return Ok(None) };
        self.field = field;
        let key: de::value::StrDeserializer<'_, Unreadable> = (*field).into_deserializer();
        seed.deserialize(key).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Unreadable> {
        let value = self.value();
        let named = match (value, enumeration(self.message, self.field)) {
            (Value::String(name), Some(kind)) => Some(Value::from((kind.number)(name).ok_or_else(|| {
                Unreadable(format!("{}.{}: there is no {name:?}", self.message, self.field))
            })?)),
            _ => None,
        };
        seed.deserialize(Reader(named.as_ref().unwrap_or(value))).map_err(|Unreadable(why)| {
            // The innermost field is the one to name.
            if why.contains(": ") {
                Unreadable(why)
            } else {
                Unreadable(format!("{}.{}: {why}", self.message, self.field))
            }
        })
    }
}
