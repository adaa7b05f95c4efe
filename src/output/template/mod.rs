//! Go's text/template with docker's functions, over JSON values.
//!
//! The data may carry a [`Shape`], which tells it apart as Go's types do: a name that a struct does not have is an
//! error, one that a map does not have is `<no value>`.

mod compare;
mod docker;
mod escape;
mod eval;
mod expression;
mod functions;
mod json;
mod lex;
mod node;
mod number;
mod parse;
mod print;
mod printf;
mod scan;
mod shape;
mod value;

use std::collections::BTreeMap;
use std::fmt;

pub(crate) use json::encode_row;
use node::Node;
pub use shape::{Field, Shape, ShapeKind};
pub use value::{Methods, Val};

/// A parsed template.
pub struct Template {
    text: String,
    root: Vec<Node>,
    defined: BTreeMap<String, Vec<Node>>,
}

/// What is wrong with a template, or with its execution, in Go's words: `template: :1:2: …`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error(String);

/// How a template is executed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// A missing key of a map is an error, rather than `<no value>`.
    pub missing_key_fails: bool,
    /// docker's functions leave their first argument as it is: the data is a table's header.
    pub header: bool,
}

/// Which of its data's fields a template uses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields {
    /// The data is used as a whole, as in `{{json .}}`.
    pub whole: bool,
    /// The names used, whoever they belong to.
    pub names: Vec<String>,
}

impl Template {
    /// Parses `text`; what is wrong without looking at data is an error here.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let parse::Parsed { root, defined } = parse::parse(text)?;
        Ok(Self { text: text.to_owned(), root, defined })
    }

    /// Executes the template over `data` and appends to `out`; after an error, what was written until then stays.
    pub fn execute<'a>(&'a self, data: Val<'a>, options: Options, out: &mut String) -> Result<(), Error> {
        eval::execute(self, data, options, out)
    }

    /// Which fields of its data the template uses.
    pub fn fields(&self) -> Fields {
        scan::fields(self)
    }

    /// Fails, as the execution would, on the first field of the data itself that is not `known`. `type_name` is
    /// Go's name of the data's type.
    pub fn check_fields(&self, type_name: &str, known: impl Fn(&str) -> bool) -> Result<(), Error> {
        scan::check(self, type_name, &known)
    }

    /// Where in the text a byte is, as messages say it: `:1:2`.
    fn location(&self, at: usize) -> String {
        let before = &self.text.as_bytes()[..at.min(self.text.len())];
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        let column = before.iter().rposition(|byte| *byte == b'\n').map_or(at, |newline| at - newline - 1);
        format!(":{line}:{column}")
    }
}

impl Fields {
    /// Whether the data's field `name` may be asked for.
    pub fn uses(&self, name: &str) -> bool {
        self.whole || self.names.iter().any(|used| used == name)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

impl Error {
    /// The same error as if the template had a name, as the one of `version` has.
    #[must_use]
    pub fn named(self, name: &str) -> Self {
        let text = self.0.replacen("template: :", &format!("template: {name}:"), 1);
        Self(text.replacen("executing \"\"", &format!("executing \"{name}\""), 1))
    }
}

impl From<Error> for crate::Error {
    fn from(error: Error) -> Self {
        Self::failed(format!("template parsing error: {error}"))
    }
}

#[cfg(test)]
mod tests;
