//! Evaluates pipelines: commands, fields, variables and function calls.

use std::borrow::Cow;

use super::Error;
use super::eval::{Place, State};
use super::functions::{Function, Param};
use super::node::{Command, Operand, Pipe, Term};
use super::value::Val;
use crate::output::notation::quote;

impl<'a> State<'a, '_> {
    pub(super) fn pipeline(&mut self, dot: &Val<'a>, pipe: &'a Pipe) -> Result<Val<'a>, Error> {
        self.place = Place::Pipe(pipe);
        let mut value = None;
        for command in &pipe.commands {
            value = Some(self.command(dot, command, value)?.concrete());
        }
        let value = value.unwrap_or(Val::Absent);
        for name in &pipe.variables {
            if pipe.assign {
                self.assign(name, value.clone())?;
            } else {
                self.variables.push((name, value.clone()));
            }
        }
        Ok(value)
    }

    /// A command with the value piped into it, which becomes its last argument.
    fn command(
        &mut self,
        dot: &Val<'a>,
        command: &'a Command,
        last: Option<Val<'a>>,
    ) -> Result<Val<'a>, Error> {
        let Some((first, arguments)) = command.operands.split_first() else { return Ok(Val::Absent) };
        match &first.term {
            Term::Field(names) => {
                self.place = Place::Operand(first);
                self.fields(dot, dot.clone(), names, first, Arguments { operands: arguments, last })
            }
            Term::Chain(base, names) => {
                let receiver = self.chain_base(dot, first, base)?;
                self.fields(dot, receiver, names, first, Arguments { operands: arguments, last })
            }
            Term::Variable(names) => {
                let value = self.variable(first, names)?;
                if names.len() > 1 {
                    return self.fields(
                        dot,
                        value,
                        &names[1..],
                        first,
                        Arguments { operands: arguments, last },
                    );
                }
                self.no_arguments(first, arguments, last.as_ref())?;
                Ok(value)
            }
            Term::Function(function) => {
                self.place = Place::Operand(first);
                let arguments = Arguments { operands: arguments, last };
                self.call(dot, function, Place::Command(command), arguments)
            }
            Term::Pipe(pipe) => {
                self.no_arguments(first, arguments, last.as_ref())?;
                self.pipeline(dot, pipe)
            }
            term => {
                self.place = Place::Operand(first);
                self.no_arguments(first, arguments, last.as_ref())?;
                match term {
                    Term::Dot => Ok(dot.clone()),
                    Term::Nil => self.fail("nil is not a command"),
                    _ => self.constant(first),
                }
            }
        }
    }

    fn no_arguments(&self, first: &Operand, rest: &[Operand], last: Option<&Val<'a>>) -> Result<(), Error> {
        if rest.is_empty() && last.is_none() {
            return Ok(());
        }
        self.fail(format!("can't give argument to non-function {}", Place::Operand(first)))
    }

    /// The value of a literal where nothing says which type it should have.
    fn constant(&self, operand: &'a Operand) -> Result<Val<'a>, Error> {
        match &operand.term {
            Term::Bool(value) => Ok(Val::Bool(*value)),
            Term::Text(text, _) => Ok(Val::Text(Cow::Borrowed(text))),
            Term::Number(number) => {
                let letter = number.text.starts_with('\'');
                let hexadecimal = number.text.starts_with("0x") || number.text.starts_with("0X");
                let fraction = number.text.contains(['.', 'e', 'E', 'p', 'P']) && !letter && !hexadecimal;
                match (number.int, number.float) {
                    (_, Some(float)) if fraction => Ok(Val::Float(float)),
                    (Some(int), _) => Ok(Val::Int(int)),
                    _ => self.fail(format!("{} overflows int", number.text)),
                }
            }
            _ => self.fail(format!("can't evaluate command {}", quote(&operand.to_string()))),
        }
    }

    fn variable(&mut self, operand: &'a Operand, names: &[String]) -> Result<Val<'a>, Error> {
        self.place = Place::Operand(operand);
        let name = names.first().map_or("$", String::as_str);
        match self.variables.iter().rev().find(|variable| variable.0 == name) {
            Some(variable) => Ok(variable.1.clone()),
            None => self.fail(format!("undefined variable: {name}")),
        }
    }

    fn chain_base(&mut self, dot: &Val<'a>, chain: &'a Operand, base: &'a Operand) -> Result<Val<'a>, Error> {
        self.place = Place::Operand(chain);
        if matches!(base.term, Term::Nil) {
            return self.fail(format!("indirection through explicit nil in {chain}"));
        }
        self.argument(dot, base, Param::Any)
    }

    /// `.a.b.c` of `receiver`; only the last name can take arguments.
    fn fields(
        &mut self,
        dot: &Val<'a>,
        receiver: Val<'a>,
        names: &'a [String],
        operand: &'a Operand,
        arguments: Arguments<'a>,
    ) -> Result<Val<'a>, Error> {
        let Some((last, front)) = names.split_last() else { return Ok(receiver) };
        let mut value = receiver;
        for name in front {
            value = self.field(dot, &value, name, operand, Arguments::default())?;
        }
        self.field(dot, &value, last, operand, arguments)
    }

    fn field(
        &mut self,
        dot: &Val<'a>,
        receiver: &Val<'a>,
        name: &'a str,
        operand: &'a Operand,
        arguments: Arguments<'a>,
    ) -> Result<Val<'a>, Error> {
        match receiver {
            Val::Absent if self.options.missing_key_fails => {
                self.fail(format!("nil data; no entry for key {}", quote(name)))
            }
            Val::Absent => Ok(Val::Absent),
            Val::Nil => self.fail(format!("nil pointer evaluating interface {{}}.{name}")),
            Val::Struct(record) => {
                if let Some(methods) = record.methods.filter(|methods| methods.has(name)) {
                    let argument = self.method_argument(dot, name, operand, arguments)?;
                    return Ok(methods.call(name, &argument).map_or(Val::Absent, Val::owned));
                }
                let Some(value) = record.field(name) else { return self.no_field(receiver, name) };
                match arguments.count() {
                    0 => Ok(value),
                    // In Go, what has methods has only methods.
                    given if record.methods.is_some() => {
                        self.fail(format!("wrong number of args for {name}: want 0 got {given}"))
                    }
                    _ => self.fail(format!("{name} has arguments but cannot be invoked as function")),
                }
            }
            Val::Map(entries, of) => {
                if !arguments.is_empty() {
                    return self.fail(format!("{name} is not a method but has arguments"));
                }
                match entries.and_then(|entries| entries.get(name)) {
                    Some(value) => Ok(Val::shaped(Some(value), of)),
                    None if self.options.missing_key_fails => {
                        self.fail(format!("map has no entry for key {}", quote(name)))
                    }
                    None => Ok(Val::Absent),
                }
            }
            Val::NilPointer(shape) if shape.field(name).is_some() || !shape.is_struct() => {
                self.fail(format!("nil pointer evaluating {}.{name}", receiver.type_name()))
            }
            _ => self.no_field(receiver, name),
        }
    }

    fn no_field(&self, receiver: &Val<'a>, name: &str) -> Result<Val<'a>, Error> {
        let kind = if self.typed { receiver.type_name() } else { "interface {}".into() };
        self.fail(format!("can't evaluate field {name} in type {kind}"))
    }

    /// The one string that docker's methods take.
    fn method_argument(
        &mut self,
        dot: &Val<'a>,
        name: &str,
        operand: &'a Operand,
        arguments: Arguments<'a>,
    ) -> Result<Cow<'a, str>, Error> {
        let given = arguments.count();
        if given != 1 {
            return self.fail(format!("wrong number of args for {name}: want 1 got {given}"));
        }
        let value = match (arguments.operands.first(), arguments.last) {
            (Some(argument), _) => self.argument(dot, argument, Param::Text)?,
            (None, Some(last)) => self.fitting(last, Param::Text)?,
            (None, None) => Val::Absent,
        };
        self.place = Place::Operand(operand);
        match value {
            Val::Text(text) => Ok(text),
            other => self.fail(format!("wrong type for value; expected string; got {}", other.type_name())),
        }
    }

    fn call(
        &mut self,
        dot: &Val<'a>,
        function: &'static Function,
        place: Place<'a>,
        arguments: Arguments<'a>,
    ) -> Result<Val<'a>, Error> {
        let function = function.in_mode(self.options.header);
        let (name, fixed) = (function.name, function.params.len());
        if function.rest.is_some() && arguments.count() < fixed {
            let given = arguments.operands.len();
            return self.fail(format!("wrong number of args for {name}: want at least {fixed} got {given}"));
        }
        if function.rest.is_none() && arguments.count() != fixed {
            return self
                .fail(format!("wrong number of args for {name}: want {fixed} got {}", arguments.count()));
        }
        if let Some(stop) = function.stops_at {
            return self.short_circuit(dot, stop, arguments);
        }
        let param =
            |index: usize| function.params.get(index).copied().or(function.rest).unwrap_or(Param::Any);
        let mut values = Vec::with_capacity(arguments.count());
        for (index, operand) in arguments.operands.iter().enumerate() {
            values.push(self.argument(dot, operand, param(index))?);
        }
        if let Some(last) = arguments.last {
            values.push(self.fitting(last, param(arguments.operands.len()))?);
        }
        (function.run)(&values).or_else(|message| {
            self.place = place;
            self.fail(format!("error calling {name}: {message}"))
        })
    }

    /// `and` and `or`: the first argument of truth `stop`, or the last one; the rest is not evaluated.
    fn short_circuit(
        &mut self,
        dot: &Val<'a>,
        stop: bool,
        arguments: Arguments<'a>,
    ) -> Result<Val<'a>, Error> {
        let mut value = Val::Absent;
        for operand in arguments.operands {
            value = self.argument(dot, operand, Param::Value)?;
            if value.is_true() == stop {
                return Ok(value);
            }
        }
        match arguments.last {
            Some(last) => self.fitting(last, Param::Value),
            None => Ok(value),
        }
    }

    /// An argument of a function, of the type that its parameter wants.
    fn argument(&mut self, dot: &Val<'a>, operand: &'a Operand, param: Param) -> Result<Val<'a>, Error> {
        self.place = Place::Operand(operand);
        let value = match &operand.term {
            Term::Dot => dot.clone(),
            Term::Nil if matches!(param, Param::Any | Param::Value) => return Ok(Val::Absent),
            Term::Nil => return self.fail(format!("cannot assign nil to {}", param.name())),
            Term::Field(names) => self.fields(dot, dot.clone(), names, operand, Arguments::default())?,
            Term::Variable(names) => {
                let value = self.variable(operand, names)?;
                self.fields(dot, value, &names[1..], operand, Arguments::default())?
            }
            Term::Pipe(pipe) => self.pipeline(dot, pipe)?,
            Term::Function(function) => {
                self.call(dot, function, Place::Operand(operand), Arguments::default())?
            }
            Term::Chain(base, names) => {
                let receiver = self.chain_base(dot, operand, base)?;
                self.fields(dot, receiver, names, operand, Arguments::default())?
            }
            Term::Bool(_) | Term::Number(_) | Term::Text(..) => return self.literal(operand, param),
        };
        self.fitting(value, param)
    }

    fn literal(&self, operand: &'a Operand, param: Param) -> Result<Val<'a>, Error> {
        match (param, &operand.term) {
            (Param::Any | Param::Value, _) | (Param::Text, Term::Text(..)) => self.constant(operand),
            (Param::Int, Term::Number(number)) if number.int.is_some() => {
                Ok(Val::Int(number.int.unwrap_or(0)))
            }
            (Param::Int, _) => self.fail(format!("expected integer; found {operand}")),
            (Param::Text, _) => self.fail(format!("expected string; found {operand}")),
        }
    }

    /// `value`, if it can be given where `param` is wanted.
    fn fitting(&self, value: Val<'a>, param: Param) -> Result<Val<'a>, Error> {
        match (param, &value) {
            (Param::Any | Param::Value, _) | (Param::Text, Val::Text(_)) | (Param::Int, Val::Int(_)) => {
                Ok(value)
            }
            (_, Val::Absent) => self.fail(format!("invalid value; expected {}", param.name())),
            _ => self.fail(format!(
                "wrong type for value; expected {}; got {}",
                param.name(),
                value.type_name()
            )),
        }
    }
}

/// What a function or method is given: operands, and the value piped into it.
#[derive(Default)]
struct Arguments<'a> {
    operands: &'a [Operand],
    last: Option<Val<'a>>,
}

impl Arguments<'_> {
    fn count(&self) -> usize {
        self.operands.len() + usize::from(self.last.is_some())
    }

    fn is_empty(&self) -> bool {
        self.count() == 0
    }
}
