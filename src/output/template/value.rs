//! The values that templates work with, and how JSON becomes them.

use std::borrow::Cow;
use std::rc::Rc;

use serde_json::{Map, Value};

use super::print;
use super::shape::{ANY, Shape, ShapeKind};

/// A value of the template language.
#[derive(Clone)]
pub enum Val<'a> {
    /// Nothing is there: a map has no such key. Prints as `<no value>`.
    Absent,
    /// JSON's null where anything could be.
    Nil,
    /// A pointer to a struct or a scalar that is not there. Prints as `<nil>`.
    NilPointer(&'a Shape),
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A whole number too large for [`Val::Int`].
    Uint(u64),
    /// A number with a fraction.
    Float(f64),
    /// A Go duration in nanoseconds.
    Duration(i64),
    /// A Go time.
    Time(jiff::Timestamp),
    /// A string.
    Text(Cow<'a, str>),
    /// A list of JSON values of one shape.
    Seq(Option<&'a [Value]>, &'a Shape),
    /// A list made by a function.
    List(Rc<Vec<Val<'a>>>),
    /// Names to JSON values of one shape.
    Map(Option<&'a Map<String, Value>>, &'a Shape),
    /// A struct.
    Struct(Record<'a>),
}

/// A struct's JSON and its shape, and what it can do beside.
#[derive(Clone, Copy)]
pub struct Record<'a> {
    pub(super) entries: Option<&'a Map<String, Value>>,
    pub(super) shape: &'a Shape,
    pub(super) methods: Option<&'a dyn Methods>,
}

/// What a template can call on its data, beside reading fields.
pub trait Methods {
    /// Calls the method `name` with one string; `None` when there is no such method.
    fn call(&self, name: &str, argument: &str) -> Option<Value>;

    /// Whether there is a method `name`.
    fn has(&self, name: &str) -> bool;

    /// The data as `json` writes it, where that is not its fields in order.
    fn to_json(&self) -> Option<String> {
        None
    }
}

impl<'a> Val<'a> {
    /// JSON of which nothing is known.
    pub fn json(value: &'a Value) -> Self {
        Self::shaped(Some(value), &ANY)
    }

    /// JSON of a known shape; `None` is a field that was left out.
    pub fn shaped(value: Option<&'a Value>, shape: &'a Shape) -> Self {
        let value = value.filter(|value| !value.is_null());
        if value.is_none() && shape.pointer {
            return Self::NilPointer(shape);
        }
        match (&shape.kind, value) {
            (ShapeKind::Any, None) => Self::Nil,
            (ShapeKind::Bool, None) => Self::Bool(false),
            (ShapeKind::Int, None) => Self::Int(0),
            (ShapeKind::Float, None) => Self::Float(0.0),
            (ShapeKind::Duration, None) => Self::Duration(0),
            (ShapeKind::Text, None) => Self::Text(Cow::Borrowed("")),
            (ShapeKind::Time, None) => Self::Text(Cow::Borrowed("0001-01-01 00:00:00 +0000 UTC")),
            (ShapeKind::List(of), None) => Self::Seq(None, of),
            (ShapeKind::Map(of), None) => Self::Map(None, of),
            (ShapeKind::Struct(_), None) => Self::Struct(Record { entries: None, shape, methods: None }),
            (ShapeKind::List(of), Some(Value::Array(items))) => Self::Seq(Some(items), of),
            (ShapeKind::Map(of), Some(Value::Object(entries))) => Self::Map(Some(entries), of),
            (ShapeKind::Struct(_), Some(Value::Object(entries))) => {
                Self::Struct(Record { entries: Some(entries), shape, methods: None })
            }
            (ShapeKind::Duration, Some(Value::Number(number))) if number.is_i64() => {
                Self::Duration(number.as_i64().unwrap_or_default())
            }
            (ShapeKind::Time, Some(Value::String(text))) => match text.parse() {
                Ok(time) => Self::Time(time),
                Err(_) => Self::Text(Cow::Borrowed(text)),
            },
            // Data that does not fit its shape is taken as it is.
            (_, Some(value)) => Self::plain(value),
        }
    }

    /// The data of a template that can also be asked for `methods`.
    pub fn record(entries: &'a Map<String, Value>, shape: &'a Shape, methods: &'a dyn Methods) -> Self {
        Self::Struct(Record { entries: Some(entries), shape, methods: Some(methods) })
    }

    /// Appends the value as an action prints it.
    pub fn print(&self, out: &mut String) {
        print::top(out, self);
    }

    fn plain(value: &'a Value) -> Self {
        match value {
            Value::Null => Self::Nil,
            Value::Bool(value) => Self::Bool(*value),
            Value::Number(number) => match (number.as_i64(), number.as_u64()) {
                (Some(int), _) => Self::Int(int),
                (None, Some(uint)) => Self::Uint(uint),
                (None, None) => Self::Float(number.as_f64().unwrap_or_default()),
            },
            Value::String(text) => Self::Text(Cow::Borrowed(text)),
            Value::Array(items) => Self::Seq(Some(items), &ANY),
            Value::Object(entries) => Self::Map(Some(entries), &ANY),
        }
    }

    /// A method's answer, which belongs to nobody.
    pub(super) fn owned(value: Value) -> Self {
        match value {
            Value::String(text) => Self::Text(Cow::Owned(text)),
            Value::Array(items) => Self::List(Rc::new(items.into_iter().map(Self::owned).collect())),
            Value::Bool(value) => Self::Bool(value),
            Value::Number(number) => match (number.as_i64(), number.as_u64()) {
                (Some(int), _) => Self::Int(int),
                (None, Some(uint)) => Self::Uint(uint),
                (None, None) => Self::Float(number.as_f64().unwrap_or_default()),
            },
            // Methods answer with strings; an object would need an owner.
            Value::Object(_) | Value::Null => Self::Nil,
        }
    }

    /// Text that a function made.
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self::Text(Cow::Owned(text.into()))
    }

    /// What an interface holds: a nil interface is nothing.
    pub(super) fn concrete(self) -> Self {
        if matches!(self, Self::Nil) { Self::Absent } else { self }
    }

    /// Go's truth: not the zero of its type.
    pub(super) fn is_true(&self) -> bool {
        match self {
            Self::Absent | Self::Nil | Self::NilPointer(_) => false,
            Self::Bool(value) => *value,
            Self::Int(value) | Self::Duration(value) => *value != 0,
            Self::Uint(value) => *value != 0,
            Self::Float(value) => *value != 0.0,
            Self::Struct(_) | Self::Time(_) => true,
            _ => self.len().is_some_and(|length| length > 0),
        }
    }

    /// The length of what has one: strings count bytes.
    pub(super) fn len(&self) -> Option<usize> {
        match self {
            Self::Text(text) => Some(text.len()),
            Self::Seq(items, _) => Some(items.map_or(0, <[Value]>::len)),
            Self::List(items) => Some(items.len()),
            Self::Map(entries, _) => Some(entries.map_or(0, Map::len)),
            _ => None,
        }
    }

    /// The item at `index` of a list.
    pub(super) fn item(&self, index: usize) -> Option<Self> {
        match self {
            Self::Seq(items, of) => {
                items.and_then(|items| items.get(index)).map(|item| Self::shaped(Some(item), of))
            }
            Self::List(items) => items.get(index).cloned(),
            _ => None,
        }
    }

    /// Go's name of the value's type, as messages use it.
    pub(super) fn type_name(&self) -> Cow<'a, str> {
        Cow::Borrowed(match self {
            Self::Absent => "<nil>",
            Self::Nil => "interface {}",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Uint(_) => "uint64",
            Self::Float(_) => "float64",
            Self::Duration(_) => "time.Duration",
            Self::Time(_) => "time.Time",
            Self::Text(_) => "string",
            Self::List(items) => match items.first() {
                Some(Self::Text(_)) | None => "[]string",
                _ => "[]interface {}",
            },
            Self::Seq(_, of) => return format!("[]{}", of.type_name()).into(),
            Self::Map(_, of) => return format!("map[string]{}", of.type_name()).into(),
            Self::NilPointer(shape) => &shape.name,
            Self::Struct(record) => {
                let star = if record.shape.pointer && !record.shape.name.starts_with('*') { "*" } else { "" };
                return format!("{star}{}", record.shape.name).into();
            }
        })
    }
}

impl Shape {
    fn type_name(&self) -> &str {
        if self.name.is_empty() { "interface {}" } else { &self.name }
    }
}

impl<'a> Record<'a> {
    /// The field that templates call `name`.
    pub(super) fn field(&self, name: &str) -> Option<Val<'a>> {
        let field = self.shape.field(name)?;
        Some(Val::shaped(self.entries.and_then(|entries| entries.get(&field.json)), &field.shape))
    }
}
