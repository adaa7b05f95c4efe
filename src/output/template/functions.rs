//! The functions of the template language: Go's own here, docker's in `docker`.

use super::value::Val;
use super::{compare, docker, escape, print, printf};

/// A function, what it takes and what it does.
pub(super) struct Function {
    pub(super) name: &'static str,
    pub(super) params: &'static [Param],
    /// What any number of further arguments must be.
    pub(super) rest: Option<Param>,
    /// `and` and `or`: the truth at which evaluation stops. They are not run.
    pub(super) stops_at: Option<bool>,
    pub(super) run: Run,
}

/// A function's body: its arguments fit its parameters. An error is the message alone.
pub(super) type Run = for<'a> fn(&[Val<'a>]) -> Result<Val<'a>, String>;

/// What an argument must be.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Param {
    /// Go's `any`.
    Any,
    /// Go's `reflect.Value`.
    Value,
    Text,
    Int,
}

impl Param {
    /// Go's name of it, for messages.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Any => "interface {}",
            Self::Value => "reflect.Value",
            Self::Text => "string",
            Self::Int => "int",
        }
    }
}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

const fn function(name: &'static str, params: &'static [Param], rest: Option<Param>, run: Run) -> Function {
    Function { name, params, rest, stops_at: None, run }
}

const fn logic(name: &'static str, stop: bool) -> Function {
    Function { name, params: &[Param::Value], rest: Some(Param::Value), stops_at: Some(stop), run: last }
}

static GO: [Function; 19] = [
    logic("and", false),
    logic("or", true),
    function("call", &[Param::Value], Some(Param::Value), call),
    function("html", &[], Some(Param::Any), escape::html),
    function("index", &[Param::Value], Some(Param::Value), index),
    function("slice", &[Param::Value], Some(Param::Value), slice),
    function("js", &[], Some(Param::Any), escape::js),
    function("len", &[Param::Value], None, length),
    function("not", &[Param::Value], None, not),
    function("print", &[], Some(Param::Any), |arguments| Ok(Val::text(print::sprint(arguments)))),
    function("printf", &[Param::Text], Some(Param::Any), |arguments| {
        Ok(Val::text(printf::sprintf(arguments)))
    }),
    function("println", &[], Some(Param::Any), |arguments| Ok(Val::text(print::sprintln(arguments)))),
    function("urlquery", &[], Some(Param::Any), escape::url_query),
    function("eq", &[Param::Value], Some(Param::Value), compare::eq),
    function("ne", &[Param::Value, Param::Value], None, compare::ne),
    function("lt", &[Param::Value, Param::Value], None, compare::lt),
    function("le", &[Param::Value, Param::Value], None, compare::le),
    function("gt", &[Param::Value, Param::Value], None, compare::gt),
    function("ge", &[Param::Value, Param::Value], None, compare::ge),
];

static DOCKER: [Function; 8] = [
    function("json", &[Param::Any], None, docker::json),
    function("split", &[Param::Text, Param::Text], None, docker::split),
    function("join", &[Param::Any, Param::Text], None, docker::join),
    function("title", &[Param::Text], None, docker::title),
    function("lower", &[Param::Text], None, docker::lower),
    function("upper", &[Param::Text], None, docker::upper),
    function("pad", &[Param::Text, Param::Int, Param::Int], None, docker::pad),
    function("truncate", &[Param::Text, Param::Int], None, docker::truncate),
];

/// What docker's functions are while a table's header is written; `pad` stays, to keep columns in line.
static HEADER: [Function; 7] = [
    function("json", &[Param::Text], None, first),
    function("split", &[Param::Text, Param::Text], None, first),
    function("join", &[Param::Text, Param::Text], None, first),
    function("title", &[Param::Text], None, first),
    function("lower", &[Param::Text], None, first),
    function("upper", &[Param::Text], None, first),
    function("truncate", &[Param::Text, Param::Int], None, first),
];

/// The function called `name`.
pub(super) fn find(name: &str) -> Option<&'static Function> {
    DOCKER.iter().chain(&GO).find(|function| function.name == name)
}

impl Function {
    /// This function, or what stands for it in a table's header.
    pub(super) fn in_mode(&'static self, header: bool) -> &'static Self {
        let replaced = HEADER.iter().find(|function| header && function.name == self.name);
        replaced.unwrap_or(self)
    }
}

fn first<'a>(arguments: &[Val<'a>]) -> Result<Val<'a>, String> {
    Ok(arguments.first().cloned().unwrap_or(Val::Absent))
}

fn last<'a>(arguments: &[Val<'a>]) -> Result<Val<'a>, String> {
    Ok(arguments.last().cloned().unwrap_or(Val::Absent))
}

fn not<'a>(arguments: &[Val<'a>]) -> Result<Val<'a>, String> {
    Ok(Val::Bool(!arguments.first().is_some_and(Val::is_true)))
}

/// JSON holds no functions, so there is nothing to call.
fn call<'a>(arguments: &[Val<'a>]) -> Result<Val<'a>, String> {
    match arguments.first() {
        None | Some(Val::Absent | Val::Nil) => Err("call of nil".into()),
        Some(value) => Err(format!("non-function of type {}", value.type_name())),
    }
}

fn length<'a>(arguments: &[Val<'a>]) -> Result<Val<'a>, String> {
    match arguments.first() {
        None | Some(Val::Absent) => Err("reflect: call of reflect.Value.Type on zero Value".into()),
        Some(Val::Nil | Val::NilPointer(_)) => Err("len of nil pointer".into()),
        Some(value) => match value.len() {
            Some(length) => Ok(Val::Int(i64::try_from(length).unwrap_or(i64::MAX))),
            None => Err(format!("len of type {}", value.type_name().trim_start_matches('*'))),
        },
    }
}

fn index<'a>(arguments: &[Val<'a>]) -> Result<Val<'a>, String> {
    let Some((item, indexes)) = arguments.split_first() else { return Ok(Val::Absent) };
    let mut item = item.clone();
    if matches!(item, Val::Absent | Val::Nil) {
        return Err("index of untyped nil".into());
    }
    for index in indexes {
        item = match &item {
            Val::Absent | Val::Nil | Val::NilPointer(_) => return Err("index of nil pointer".into()),
            Val::Text(text) => {
                let at = position(index, text.len())?;
                let byte = text.as_bytes().get(at).copied();
                Val::Int(byte.ok_or("reflect: string index out of range")?.into())
            }
            Val::Seq(..) | Val::List(_) => {
                let length = item.len().unwrap_or_default();
                let at = position(index, length)?;
                item.item(at).ok_or_else(|| "reflect: slice index out of range".to_owned())?
            }
            Val::Map(entries, of) => match index {
                Val::Text(key) => Val::shaped(entries.and_then(|entries| entries.get(&**key)), of),
                Val::Absent | Val::Nil => return Err("value is nil; should be of type string".into()),
                other => return Err(format!("value has type {}; should be string", other.type_name())),
            },
            other => {
                return Err(format!(
                    "can't index item of type {}",
                    other.type_name().trim_start_matches('*')
                ));
            }
        };
    }
    Ok(item)
}

fn slice<'a>(arguments: &[Val<'a>]) -> Result<Val<'a>, String> {
    let Some((item, indexes)) = arguments.split_first() else { return Ok(Val::Absent) };
    match item {
        Val::Absent | Val::Nil => return Err("slice of untyped nil".into()),
        Val::NilPointer(_) => return Err("slice of nil pointer".into()),
        _ if indexes.len() > 3 => return Err(format!("too many slice indexes: {}", indexes.len())),
        Val::Text(_) if indexes.len() == 3 => return Err("cannot 3-index slice a string".into()),
        Val::Text(_) | Val::Seq(..) | Val::List(_) => {}
        other => return Err(format!("can't slice item of type {}", other.type_name())),
    }
    let length = item.len().unwrap_or_default();
    let bounds = indexes.iter().map(|index| position(index, length)).collect::<Result<Vec<_>, _>>()?;
    let (start, end) = (bounds.first().copied().unwrap_or(0), bounds.get(1).copied().unwrap_or(length));
    let limit = bounds.get(2).copied().unwrap_or(length);
    if start > end || end > limit {
        let (low, high) = if start > end { (start, end) } else { (end, limit) };
        return Err(format!("invalid slice index: {low} > {high}"));
    }
    Ok(match item {
        // Bytes are cut, not letters: what is half a letter then is replaced.
        Val::Text(text) => Val::text(String::from_utf8_lossy(&text.as_bytes()[start..end])),
        Val::Seq(items, of) => Val::Seq(items.map(|items| &items[start..end]), of),
        Val::List(items) => Val::List(items[start..end].to_vec().into()),
        _ => Val::Absent,
    })
}

/// An index as a position of at most `length`.
fn position(index: &Val<'_>, length: usize) -> Result<usize, String> {
    let number = match index {
        Val::Int(number) | Val::Duration(number) => i128::from(*number),
        Val::Uint(number) => i128::from(*number),
        Val::Absent | Val::Nil => return Err("cannot index slice/array with nil".into()),
        other => return Err(format!("cannot index slice/array with type {}", other.type_name())),
    };
    match usize::try_from(number) {
        Ok(position) if position <= length => Ok(position),
        _ => Err(format!("index out of range: {number}")),
    }
}
