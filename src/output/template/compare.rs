//! `eq`, `ne`, `lt`, `le`, `gt`, `ge`: only values of one kind are compared, whole numbers whatever their sign.

use std::cmp::Ordering;

use super::print;
use super::value::Val;

type Answer<'a> = Result<Val<'a>, String>;

/// Whether the first argument equals any other one.
pub(super) fn eq<'a>(arguments: &[Val<'a>]) -> Answer<'a> {
    equal(arguments).map(Val::Bool)
}

/// Whether two arguments differ.
pub(super) fn ne<'a>(arguments: &[Val<'a>]) -> Answer<'a> {
    equal(arguments).map(|equal| Val::Bool(!equal))
}

/// Whether the first argument is smaller.
pub(super) fn lt<'a>(arguments: &[Val<'a>]) -> Answer<'a> {
    order(arguments).map(|order| Val::Bool(order == Some(Ordering::Less)))
}

/// Whether the first argument is not larger.
pub(super) fn le<'a>(arguments: &[Val<'a>]) -> Answer<'a> {
    order(arguments).map(|order| Val::Bool(matches!(order, Some(Ordering::Less | Ordering::Equal))))
}

/// Whether the first argument is larger: Go's "not less or equal", which NaN makes true.
pub(super) fn gt<'a>(arguments: &[Val<'a>]) -> Answer<'a> {
    order(arguments).map(|order| Val::Bool(!matches!(order, Some(Ordering::Less | Ordering::Equal))))
}

/// Whether the first argument is not smaller.
pub(super) fn ge<'a>(arguments: &[Val<'a>]) -> Answer<'a> {
    order(arguments).map(|order| Val::Bool(order != Some(Ordering::Less)))
}

/// A value as far as comparison goes.
enum Basic<'v> {
    Bool(bool),
    Int(i128),
    Float(f64),
    Text(&'v str),
    /// Maps, lists, structs.
    Other,
    Nil,
}

fn basic<'v>(value: &'v Val<'_>) -> Basic<'v> {
    match value {
        Val::Bool(value) => Basic::Bool(*value),
        Val::Int(value) | Val::Duration(value) => Basic::Int((*value).into()),
        Val::Uint(value) => Basic::Int((*value).into()),
        Val::Float(value) => Basic::Float(*value),
        Val::Text(text) => Basic::Text(text),
        Val::Absent | Val::Nil | Val::NilPointer(_) | Val::Map(None, _) | Val::Seq(None, _) => Basic::Nil,
        _ => Basic::Other,
    }
}

fn equal(arguments: &[Val<'_>]) -> Result<bool, String> {
    let Some((first, others)) = arguments.split_first().filter(|(_, others)| !others.is_empty()) else {
        return Err("missing argument for comparison".into());
    };
    for other in others {
        let same = match (basic(first), basic(other)) {
            (Basic::Bool(a), Basic::Bool(b)) => a == b,
            (Basic::Int(a), Basic::Int(b)) => a == b,
            (Basic::Float(a), Basic::Float(b)) => a == b,
            (Basic::Text(a), Basic::Text(b)) => a == b,
            (Basic::Nil, Basic::Nil) => true,
            (Basic::Nil, Basic::Other) | (Basic::Other, Basic::Nil) => false,
            (Basic::Nil, _) if untyped(first) => false,
            (_, Basic::Nil) if untyped(other) => false,
            (Basic::Other, Basic::Other)
                if std::mem::discriminant(first) != std::mem::discriminant(other) =>
            {
                let (a, b) = (print::plain(first), print::plain(other));
                let (kind_a, kind_b) = (first.type_name(), other.type_name());
                return Err(format!("non-comparable types {a}: {kind_a}, {kind_b}: {b}"));
            }
            (Basic::Other, Basic::Other) => {
                return Err(format!("non-comparable type {}: {}", print::plain(other), other.type_name()));
            }
            _ => return Err(incompatible(first, other)),
        };
        if same {
            return Ok(true);
        }
    }
    Ok(false)
}

fn order(arguments: &[Val<'_>]) -> Result<Option<Ordering>, String> {
    let [first, second] = arguments else { return Err("missing argument for comparison".into()) };
    match (basic(first), basic(second)) {
        (Basic::Int(a), Basic::Int(b)) => Ok(Some(a.cmp(&b))),
        (Basic::Float(a), Basic::Float(b)) => Ok(a.partial_cmp(&b)),
        (Basic::Text(a), Basic::Text(b)) => Ok(Some(a.cmp(b))),
        (Basic::Bool(_), Basic::Bool(_))
        | (Basic::Nil | Basic::Other, _)
        | (_, Basic::Nil | Basic::Other) => Err("invalid type for comparison".into()),
        _ => Err(incompatible(first, second)),
    }
}

fn untyped(value: &Val<'_>) -> bool {
    matches!(value, Val::Absent | Val::Nil)
}

fn incompatible(first: &Val<'_>, second: &Val<'_>) -> String {
    format!("incompatible types for comparison: {} and {}", first.type_name(), second.type_name())
}
