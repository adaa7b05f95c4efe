//! JSON schemas of the messages, found by reading each once from nothing: a message tells what it wants.

use std::cell::RefCell;
use std::collections::BTreeMap;

use serde::de::{self, DeserializeOwned, DeserializeSeed, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value, json};

use super::read::Unreadable;

/// The schema of the message `T`: each message below `$defs`, fields in their order and in protobuf's spelling, none of
/// them required.
pub fn schema<T: DeserializeOwned>() -> Value {
    let found = Found::default();
    let wanted = RefCell::new(Value::Null);
    // A message can be read from nothing.
    let _ = T::deserialize(Wanted { found: &found, told: &wanted });
    let mut schema = Map::new();
    schema.insert("$schema".into(), "https://json-schema.org/draft/2020-12/schema".into());
    if let Value::Object(reference) = wanted.into_inner() {
        schema.extend(reference);
    }
    let messages: Map<String, Value> =
        found.0.into_inner().into_iter().map(|(name, message)| (name.to_owned(), message)).collect();
    schema.insert("$defs".into(), Value::Object(messages));
    Value::Object(schema)
}

/// The messages met so far; null while one is being read, so that one that holds itself ends.
#[derive(Default)]
struct Found(RefCell<BTreeMap<&'static str, Value>>);

/// A place for a value, which notes what is asked for.
#[derive(Clone, Copy)]
struct Wanted<'a> {
    found: &'a Found,
    told: &'a RefCell<Value>,
}

impl Wanted<'_> {
    fn is(&self, kind: &str) {
        self.told.replace(json!({"type": kind}));
    }
}

macro_rules! plain {
    ($($method:ident $kind:literal $visit:ident $empty:expr;)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
            self.is($kind);
            visitor.$visit($empty)
        })*
    };
}

impl<'de> de::Deserializer<'de> for Wanted<'_> {
    type Error = Unreadable;

    plain! {
        deserialize_bool "boolean" visit_bool false;
        deserialize_i8 "integer" visit_i8 0;
        deserialize_i16 "integer" visit_i16 0;
        deserialize_i32 "integer" visit_i32 0;
        deserialize_i64 "integer" visit_i64 0;
        deserialize_u8 "integer" visit_u8 0;
        deserialize_u16 "integer" visit_u16 0;
        deserialize_u32 "integer" visit_u32 0;
        deserialize_u64 "integer" visit_u64 0;
        deserialize_f32 "number" visit_f32 0.0;
        deserialize_f64 "number" visit_f64 0.0;
        deserialize_char "string" visit_str "";
        deserialize_str "string" visit_str "";
        deserialize_string "string" visit_str "";
        deserialize_identifier "string" visit_str "";
        deserialize_bytes "string" visit_bytes b"";
        deserialize_byte_buf "string" visit_bytes b"";
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        visitor.visit_some(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        let items = RefCell::new(Value::Null);
        let read = visitor.visit_seq(Once(Some(Wanted { found: self.found, told: &items })));
        self.told.replace(json!({"items": items.into_inner(), "type": "array"}));
        read
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        let values = RefCell::new(Value::Null);
        let read = visitor.visit_map(Entry(Some(()), Wanted { found: self.found, told: &values }));
        self.told.replace(json!({"additionalProperties": values.into_inner(), "type": "object"}));
        read
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unreadable> {
        self.told.replace(json!({"$ref": format!("#/$defs/{name}")}));
        if self.found.0.borrow().contains_key(name) {
            return visitor.visit_map(Fields::new(self.found, fields));
        }
        self.found.0.borrow_mut().insert(name, Value::Null);
        let told = RefCell::default();
        let read = visitor.visit_map(Fields { told: Some(&told), ..Fields::new(self.found, fields) });
        let message = json!({
            "properties": Value::Object(told.into_inner()), "additionalProperties": false, "type": "object"
        });
        self.found.0.borrow_mut().insert(name, message);
        read
    }

    serde::forward_to_deserialize_any! {
        unit unit_struct newtype_struct tuple tuple_struct enum ignored_any
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        visitor.visit_unit()
    }
}

/// A list of one.
struct Once<'a>(Option<Wanted<'a>>);

impl<'de> SeqAccess<'de> for Once<'_> {
    type Error = Unreadable;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Unreadable> {
        self.0.take().map(|wanted| seed.deserialize(wanted)).transpose()
    }
}

/// A map of one.
struct Entry<'a>(Option<()>, Wanted<'a>);

impl<'de> MapAccess<'de> for Entry<'_> {
    type Error = Unreadable;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Unreadable> {
        let key: de::value::StrDeserializer<'_, Unreadable> = "".into_deserializer();
        self.0.take().map(|()| seed.deserialize(key)).transpose()
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Unreadable> {
        seed.deserialize(self.1)
    }
}

/// A message's fields, noted in `told` where that is wanted.
struct Fields<'a> {
    found: &'a Found,
    left: std::slice::Iter<'static, &'static str>,
    field: &'static str,
    told: Option<&'a RefCell<Map<String, Value>>>,
}

impl<'a> Fields<'a> {
    fn new(found: &'a Found, fields: &'static [&'static str]) -> Self {
        Self { found, left: fields.iter(), field: "", told: None }
    }
}

impl<'de> MapAccess<'de> for Fields<'_> {
    type Error = Unreadable;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Unreadable> {
        let Some(field) = self.left.next() else { return Ok(None) };
        self.field = field;
        let key: de::value::StrDeserializer<'_, Unreadable> = (*field).into_deserializer();
        seed.deserialize(key).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Unreadable> {
        let wanted = RefCell::new(Value::Null);
        let read = seed.deserialize(Wanted { found: self.found, told: &wanted });
        if let Some(told) = self.told {
            told.borrow_mut().insert(self.field.to_owned(), wanted.into_inner());
        }
        read
    }
}
