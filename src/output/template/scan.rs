//! What a template says of its data before it is executed: which fields it uses, and whether they exist.

use super::node::{Branch, BranchKind, Node, Operand, Pipe, Term};
use super::{Error, Fields, Template};
use crate::output::notation::quote;

/// Every field name in the template, and whether the data is used as a whole.
pub(super) fn fields(template: &Template) -> Fields {
    let mut fields = Fields::default();
    let mut visit = |operand: &Operand, on_data: bool| {
        match &operand.term {
            Term::Field(names) => fields.names.extend(names.first().cloned()),
            Term::Variable(names) => match names.get(1) {
                Some(name) => fields.names.push(name.clone()),
                None => fields.whole |= names.first().is_some_and(|name| name == "$"),
            },
            Term::Chain(_, names) => fields.names.extend(names.first().cloned()),
            Term::Dot => fields.whole |= on_data,
            _ => {}
        }
        Ok(())
    };
    // This visitor never fails. A defined template works on what it is given: the data as a whole, if at all.
    let _ = walk(&template.root, true, &mut visit);
    for body in template.defined.values() {
        let _ = walk(body, false, &mut visit);
    }
    fields.names.sort();
    fields.names.dedup();
    fields
}

/// Fails on the first field of the data itself that is not `known`.
pub(super) fn check(template: &Template, type_name: &str, known: &dyn Fn(&str) -> bool) -> Result<(), Error> {
    walk(&template.root, true, &mut |operand, on_data| {
        let name = match &operand.term {
            Term::Field(names) if on_data => names.first(),
            Term::Variable(names) if names.first().is_some_and(|name| name == "$") => names.get(1),
            _ => None,
        };
        match name {
            Some(name) if !known(name) => {
                let (location, executing) = (template.location(operand.at), quote(""));
                Err(Error(format!(
                    "template: {location}: executing {executing} at <{operand}>: \
                     can't evaluate field {name} in type {type_name}"
                )))
            }
            _ => Ok(()),
        }
    })
}

/// Called for each operand, with whether the dot is the template's data there.
type Visit<'v> = dyn FnMut(&Operand, bool) -> Result<(), Error> + 'v;

fn walk(nodes: &[Node], on_data: bool, visit: &mut Visit<'_>) -> Result<(), Error> {
    nodes.iter().try_for_each(|node| match node {
        Node::Action(pipe) | Node::Template { pipe: Some(pipe), .. } => walk_pipe(pipe, on_data, visit),
        Node::Branch(branch) => walk_branch(branch, on_data, visit),
        Node::Text(_) | Node::Template { pipe: None, .. } | Node::Break | Node::Continue => Ok(()),
    })
}

fn walk_branch(branch: &Branch, on_data: bool, visit: &mut Visit<'_>) -> Result<(), Error> {
    walk_pipe(&branch.pipe, on_data, visit)?;
    walk(&branch.body, on_data && branch.kind == BranchKind::If, visit)?;
    walk(branch.otherwise.as_deref().unwrap_or_default(), on_data, visit)
}

fn walk_pipe(pipe: &Pipe, on_data: bool, visit: &mut Visit<'_>) -> Result<(), Error> {
    pipe.commands.iter().flat_map(|command| &command.operands).try_for_each(|operand| {
        visit(operand, on_data)?;
        match &operand.term {
            Term::Pipe(pipe) => walk_pipe(pipe, on_data, visit),
            Term::Chain(base, _) => match &base.term {
                Term::Pipe(pipe) => walk_pipe(pipe, on_data, visit),
                _ => visit(base, on_data),
            },
            _ => Ok(()),
        }
    })
}
