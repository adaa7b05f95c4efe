//! Walks a template over its data.

use std::borrow::Cow;
use std::fmt::{self, Display};

use super::node::{Branch, BranchKind, Command, Node, Operand, Pipe, Term};
use super::value::Val;
use super::{Error, Options, Template, print};
use crate::output::notation::quote;

/// Executes `template` over `data`.
pub(super) fn execute<'a>(
    template: &'a Template,
    data: Val<'a>,
    options: Options,
    out: &mut String,
) -> Result<(), Error> {
    let variables = vec![("$", data.clone())];
    let mut state = State {
        template,
        options,
        typed: matches!(data, Val::Struct(_)),
        out,
        name: "",
        variables,
        place: Place::Start,
        depth: 0,
    };
    state.list(&data, &template.root).map(drop)
}

/// How deep lists may stand in one another, through branches and templates; Go allows 100,000 templates on its
/// growing stacks.
const MAX_DEPTH: usize = 200;

pub(super) struct State<'a, 'o> {
    template: &'a Template,
    pub(super) options: Options,
    /// The data has Go's types; otherwise it is what Go holds in interfaces.
    pub(super) typed: bool,
    out: &'o mut String,
    /// The template being executed, for messages.
    name: &'a str,
    pub(super) variables: Vec<(&'a str, Val<'a>)>,
    /// What is being evaluated, for messages.
    pub(super) place: Place<'a>,
    depth: usize,
}

/// The piece of a template that an error names.
#[derive(Clone, Copy)]
pub(super) enum Place<'a> {
    Start,
    Node(usize, &'a Node),
    Pipe(&'a Pipe),
    Command(&'a Command),
    Operand(&'a Operand),
}

/// Whether a list goes on behind a node.
enum Flow {
    On,
    Break,
    Continue,
}

impl<'a> State<'a, '_> {
    pub(super) fn fail<T>(&self, message: impl AsRef<str>) -> Result<T, Error> {
        let (name, message) = (quote(self.name), message.as_ref());
        let location = self.template.location(self.place.at());
        Err(Error(format!("template: {location}: executing {name} at <{}>: {message}", self.place)))
    }

    fn list(&mut self, dot: &Val<'a>, nodes: &'a [Node]) -> Result<Flow, Error> {
        if self.depth >= MAX_DEPTH {
            return self.fail(format!("exceeded maximum template depth ({MAX_DEPTH})"));
        }
        self.depth += 1;
        let mut flow = Flow::On;
        for node in nodes {
            flow = self.node(dot, node)?;
            if !matches!(flow, Flow::On) {
                break;
            }
        }
        self.depth -= 1;
        Ok(flow)
    }

    fn node(&mut self, dot: &Val<'a>, node: &'a Node) -> Result<Flow, Error> {
        match node {
            Node::Text(text) => self.out.push_str(text),
            Node::Action(pipe) => {
                let value = self.pipeline(dot, pipe)?;
                // What declares variables prints nothing.
                if pipe.variables.is_empty() {
                    self.place = Place::Node(pipe.at, node);
                    print::top(self.out, &value);
                }
            }
            Node::Branch(branch) => {
                let scope = self.variables.len();
                let flow = match branch.kind {
                    BranchKind::Range => self.range(dot, branch),
                    BranchKind::If | BranchKind::With => self.choice(dot, branch),
                };
                self.variables.truncate(scope);
                return flow;
            }
            Node::Template { at, name, pipe } => {
                self.place = Place::Node(*at, node);
                self.invoke(dot, name, pipe.as_ref())?;
            }
            Node::Break => return Ok(Flow::Break),
            Node::Continue => return Ok(Flow::Continue),
        }
        Ok(Flow::On)
    }

    fn choice(&mut self, dot: &Val<'a>, branch: &'a Branch) -> Result<Flow, Error> {
        let value = self.pipeline(dot, &branch.pipe)?;
        match (value.is_true(), &branch.otherwise) {
            (true, _) if branch.kind == BranchKind::With => self.list(&value, &branch.body),
            (true, _) => self.list(dot, &branch.body),
            (false, Some(otherwise)) => self.list(dot, otherwise),
            (false, None) => Ok(Flow::On),
        }
    }

    fn range(&mut self, dot: &Val<'a>, branch: &'a Branch) -> Result<Flow, Error> {
        let value = self.pipeline(dot, &branch.pipe)?;
        let scope = self.variables.len();
        let mut items = self.items(&value, branch)?.peekable();
        if items.peek().is_none() {
            return match &branch.otherwise {
                Some(otherwise) => self.list(dot, otherwise),
                None => Ok(Flow::On),
            };
        }
        for (key, item) in items {
            let names = &branch.pipe.variables;
            if let Some(last) = names.last() {
                self.set(last, item.clone(), names.len() - 1, &branch.pipe)?;
            }
            if let [first, _] = names.as_slice() {
                self.set(first, key, 0, &branch.pipe)?;
            }
            let flow = self.list(&item, &branch.body)?;
            self.variables.truncate(scope);
            if matches!(flow, Flow::Break) {
                break;
            }
        }
        Ok(Flow::On)
    }

    /// The keys and items that a range goes over.
    fn items(
        &self,
        value: &Val<'a>,
        branch: &'a Branch,
    ) -> Result<Box<dyn Iterator<Item = (Val<'a>, Val<'a>)> + 'a>, Error> {
        let whole = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        match value.clone() {
            Val::Absent | Val::Nil => Ok(Box::new(std::iter::empty())),
            Val::Int(_) | Val::Uint(_) | Val::Duration(_) if branch.pipe.variables.len() > 1 => {
                let number = print::plain(value);
                self.fail(format!("can't use {number} to iterate over more than one variable"))
            }
            Val::Int(count) | Val::Duration(count) => {
                Ok(Box::new((0..count).map(|index| (Val::Absent, Val::Int(index)))))
            }
            Val::Uint(count) => Ok(Box::new((0..whole(count)).map(|index| (Val::Absent, Val::Int(index))))),
            Val::Map(entries, of) => {
                let mut entries: Vec<_> = entries.into_iter().flatten().collect();
                entries.sort_by_key(|(key, _)| *key);
                Ok(Box::new(entries.into_iter().map(move |(key, item)| {
                    (Val::Text(Cow::Borrowed(key.as_str())), Val::shaped(Some(item), of))
                })))
            }
            list @ (Val::Seq(..) | Val::List(_)) => {
                let count = list.len().unwrap_or_default();
                Ok(Box::new(
                    (0..count)
                        .map(move |index| (Val::Int(index as i64), list.item(index).unwrap_or(Val::Absent))),
                ))
            }
            _ => self.fail(format!("range can't iterate over {}", print::plain(value))),
        }
    }

    /// Gives a range's variable its next value: the one that the pipeline declared, or one from outside.
    fn set(&mut self, name: &str, value: Val<'a>, index: usize, pipe: &'a Pipe) -> Result<(), Error> {
        if pipe.assign {
            return self.assign(name, value);
        }
        let declared = self.variables.len() - pipe.variables.len() + index;
        if let Some(variable) = self.variables.get_mut(declared) {
            variable.1 = value;
        }
        Ok(())
    }

    pub(super) fn assign(&mut self, name: &str, value: Val<'a>) -> Result<(), Error> {
        match self.variables.iter_mut().rev().find(|variable| variable.0 == name) {
            Some(variable) => variable.1 = value,
            None => return self.fail(format!("undefined variable: {name}")),
        }
        Ok(())
    }

    fn invoke(&mut self, dot: &Val<'a>, name: &'a str, pipe: Option<&'a Pipe>) -> Result<(), Error> {
        let Some(body) = self.template.defined.get(name) else {
            return self.fail(format!("template {} not defined", quote(name)));
        };
        let dot = match pipe {
            Some(pipe) => self.pipeline(dot, pipe)?,
            None => Val::Absent,
        };
        // A template sees none of its caller's variables.
        let outer = std::mem::replace(&mut self.variables, vec![("$", dot.clone())]);
        let caller = std::mem::replace(&mut self.name, name);
        self.list(&dot, body)?;
        self.name = caller;
        self.variables = outer;
        Ok(())
    }
}

impl Place<'_> {
    fn at(&self) -> usize {
        match self {
            Self::Start => 0,
            Self::Node(at, _) => *at,
            Self::Pipe(pipe) => pipe.at,
            Self::Command(command) => command.operands.first().map_or(0, |first| first.at),
            Self::Operand(operand) => operand.at,
        }
    }
}

impl Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start => Ok(()),
            Self::Node(_, node) => write!(f, "{node}"),
            Self::Pipe(pipe) => write!(f, "{pipe}"),
            Self::Command(command) => write!(f, "{command}"),
            // A pipeline as an argument is quoted without its parentheses.
            Self::Operand(Operand { term: Term::Pipe(pipe), .. }) => write!(f, "{pipe}"),
            Self::Operand(operand) => write!(f, "{operand}"),
        }
    }
}
