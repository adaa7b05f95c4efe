//! Tokens to nodes. Every mistake that can be seen without data is an error here, in Go's words.

use std::collections::BTreeMap;

use super::lex::{Keyword, Kind, Token, lex};
use super::node::{Branch, BranchKind, Command, Node, Operand, Pipe, Term};
use super::{Error, functions, number};
use crate::output::notation::{quote, unquote};

/// What a text holds: its own nodes and the templates defined in it.
pub(super) struct Parsed {
    pub(super) root: Vec<Node>,
    pub(super) defined: BTreeMap<String, Vec<Node>>,
}

/// Parses a whole template.
pub(super) fn parse(source: &str) -> Result<Parsed, Error> {
    let mut parser = Parser {
        source,
        tokens: lex(source),
        next: 0,
        furthest: 0,
        action: None,
        variables: vec!["$".into()],
        ranges: 0,
        depth: 0,
        defined: BTreeMap::new(),
    };
    let mut root = Vec::new();
    while parser.peek().kind != Kind::Eof {
        if parser.definition()? {
            continue;
        }
        match parser.item()? {
            Item::Node(node) => root.push(node),
            Item::End => return parser.fail("unexpected {{end}}"),
            Item::Else => return parser.fail("unexpected {{else}}"),
        }
    }
    Ok(Parsed { root, defined: parser.defined })
}

/// How deep actions and parentheses may stand in one another: the parser and the evaluator recurse.
const MAX_DEPTH: usize = 200;

struct Parser<'s> {
    source: &'s str,
    tokens: Vec<Token<'s>>,
    next: usize,
    /// The last token looked at: messages name its line, as Go's do.
    furthest: usize,
    /// Where the action being parsed started.
    action: Option<usize>,
    /// The variables in scope.
    variables: Vec<String>,
    ranges: usize,
    depth: usize,
    defined: BTreeMap<String, Vec<Node>>,
}

/// What one step over the text gives.
enum Item {
    Node(Node),
    End,
    Else,
}

impl Item {
    fn text(&self) -> &'static str {
        if matches!(self, Self::End) { "{{end}}" } else { "{{else}}" }
    }
}

impl<'s> Parser<'s> {
    fn token(&mut self, index: usize) -> Token<'s> {
        // The last token is the end or an error and is never passed.
        let index = index.min(self.tokens.len().saturating_sub(1));
        self.furthest = self.furthest.max(index);
        self.tokens.get(index).cloned().unwrap_or(Token {
            kind: Kind::Eof,
            at: self.source.len(),
            text: "".into(),
        })
    }

    fn peek(&mut self) -> Token<'s> {
        self.token(self.next)
    }

    fn take(&mut self) -> Token<'s> {
        let token = self.token(self.next);
        self.next += 1;
        token
    }

    fn skip_space(&mut self) {
        while self.peek().kind == Kind::Space {
            self.next += 1;
        }
    }

    fn take_word(&mut self) -> Token<'s> {
        self.skip_space();
        self.take()
    }

    fn peek_word(&mut self) -> Token<'s> {
        self.skip_space();
        self.peek()
    }

    fn line(&self, at: usize) -> usize {
        1 + self.source.as_bytes()[..at.min(self.source.len())].iter().filter(|byte| **byte == b'\n').count()
    }

    fn fail<T>(&self, message: impl AsRef<str>) -> Result<T, Error> {
        let at = self.tokens.get(self.furthest).map_or(0, |token| token.at);
        Err(Error(format!("template: :{}: {}", self.line(at), message.as_ref())))
    }

    fn unexpected<T>(&self, token: &Token<'_>, context: &str) -> Result<T, Error> {
        if token.kind != Kind::Error {
            return self.fail(format!("unexpected {token} in {context}"));
        }
        match self.action.map(|at| self.line(at)) {
            Some(line) if line != self.line(token.at) => {
                let action = if token.text.ends_with(" action") { "" } else { " in action" };
                self.fail(format!("{token}{action} started at :{line}"))
            }
            _ => self.fail(token.to_string()),
        }
    }

    fn expect_close(&mut self, context: &str) -> Result<(), Error> {
        let token = self.take_word();
        if token.kind == Kind::RightDelim { Ok(()) } else { self.unexpected(&token, context) }
    }

    fn deeper<T>(&mut self, inner: impl FnOnce(&mut Self) -> Result<T, Error>) -> Result<T, Error> {
        if self.depth >= MAX_DEPTH {
            return self.fail("max expression depth exceeded");
        }
        self.depth += 1;
        let result = inner(self);
        self.depth -= 1;
        result
    }

    /// `{{define "name"}}…{{end}}`, which may stand at the top only.
    fn definition(&mut self) -> Result<bool, Error> {
        let start = self.next;
        if self.take().kind != Kind::LeftDelim || self.take_word().kind != Kind::Keyword(Keyword::Define) {
            self.next = start;
            return Ok(false);
        }
        let context = "define clause";
        let name = self.template_name(context)?;
        self.expect_close(context)?;
        self.define(name, context)?;
        Ok(true)
    }

    /// The body of a definition, up to its end, under `name`.
    fn define(&mut self, name: String, context: &str) -> Result<(), Error> {
        let outer =
            (std::mem::replace(&mut self.variables, vec!["$".into()]), std::mem::take(&mut self.ranges));
        let (body, end) = self.deeper(Self::list)?;
        (self.variables, self.ranges) = outer;
        if !matches!(end, Item::End) {
            return self.fail(format!("unexpected {} in {context}", end.text()));
        }
        if self.defined.get(&name).is_none_or(|nodes| is_blank(nodes)) {
            self.defined.insert(name, body);
        } else if !is_blank(&body) {
            return self.fail(format!("template: multiple definition of template {}", quote(&name)));
        }
        Ok(())
    }

    /// Text and actions up to `{{end}}` or `{{else}}`.
    fn list(&mut self) -> Result<(Vec<Node>, Item), Error> {
        let mut nodes = Vec::new();
        while self.peek_word().kind != Kind::Eof {
            match self.item()? {
                Item::Node(node) => nodes.push(node),
                end => return Ok((nodes, end)),
            }
        }
        self.fail("unexpected EOF")
    }

    fn item(&mut self) -> Result<Item, Error> {
        let token = self.take_word();
        match token.kind {
            Kind::Text => Ok(Item::Node(Node::Text(token.text.into_owned()))),
            Kind::LeftDelim => {
                self.action = Some(token.at);
                let item = self.action();
                self.action = None;
                item
            }
            _ => self.unexpected(&token, "input"),
        }
    }

    /// What stands between `{{` and `}}`, and for a branch all that belongs to it.
    fn action(&mut self) -> Result<Item, Error> {
        let start = self.next;
        let token = self.take_word();
        let Kind::Keyword(word) = token.kind else {
            self.next = start;
            return Ok(Item::Node(Node::Action(self.pipeline("command", Kind::RightDelim)?)));
        };
        let node = match word {
            Keyword::If => self.branch(BranchKind::If)?,
            Keyword::With => self.branch(BranchKind::With)?,
            Keyword::Range => self.branch(BranchKind::Range)?,
            Keyword::Break | Keyword::Continue => self.jump(word)?,
            Keyword::Template => self.invocation()?,
            Keyword::Block => self.block()?,
            Keyword::End => {
                self.expect_close("end")?;
                return Ok(Item::End);
            }
            Keyword::Else => {
                // "else if" and "else with" leave the word to the branch.
                if !matches!(self.peek_word().kind, Kind::Keyword(Keyword::If | Keyword::With)) {
                    self.expect_close("else")?;
                }
                return Ok(Item::Else);
            }
            Keyword::Dot | Keyword::Nil | Keyword::Define => {
                self.next = start;
                Node::Action(self.pipeline("command", Kind::RightDelim)?)
            }
        };
        Ok(Item::Node(node))
    }

    fn jump(&mut self, word: Keyword) -> Result<Node, Error> {
        let node = if word == Keyword::Break { Node::Break } else { Node::Continue };
        let token = self.take_word();
        if token.kind != Kind::RightDelim {
            return self.unexpected(&token, &node.to_string());
        }
        if self.ranges == 0 {
            return self.fail(format!("{node} outside {{{{range}}}}"));
        }
        Ok(node)
    }

    fn branch(&mut self, kind: BranchKind) -> Result<Node, Error> {
        let scope = self.variables.len();
        let branch = self.deeper(|parser| parser.branch_parts(kind))?;
        self.variables.truncate(scope);
        Ok(Node::Branch(branch))
    }

    fn branch_parts(&mut self, kind: BranchKind) -> Result<Branch, Error> {
        let context = match kind {
            BranchKind::If => "if",
            BranchKind::With => "with",
            BranchKind::Range => "range",
        };
        let pipe = self.pipeline(context, Kind::RightDelim)?;
        let loops = usize::from(kind == BranchKind::Range);
        self.ranges += loops;
        let (body, end) = self.list()?;
        self.ranges -= loops;
        let mut otherwise = None;
        if matches!(end, Item::Else) {
            // `{{else if}}` is an `{{if}}` of its own inside the else, sharing the outer end.
            let chained = matches!(
                (kind, self.peek().kind),
                (BranchKind::If, Kind::Keyword(Keyword::If))
                    | (BranchKind::With, Kind::Keyword(Keyword::With))
            );
            otherwise = Some(if chained {
                self.next += 1;
                vec![self.branch(kind)?]
            } else {
                let (nodes, end) = self.list()?;
                if !matches!(end, Item::End) {
                    return self.fail(format!("expected end; found {}", end.text()));
                }
                nodes
            });
        }
        Ok(Branch { kind, pipe, body, otherwise })
    }

    fn template_name(&mut self, context: &str) -> Result<String, Error> {
        let token = self.take_word();
        if !matches!(token.kind, Kind::String | Kind::RawString) {
            return self.unexpected(&token, context);
        }
        match unquote(&token.text) {
            Some(name) => Ok(name),
            None => self.fail("invalid syntax"),
        }
    }

    fn invocation(&mut self) -> Result<Node, Error> {
        let context = "template clause";
        let at = self.peek_word().at;
        let name = self.template_name(context)?;
        let pipe = if self.peek_word().kind == Kind::RightDelim {
            self.next += 1;
            None
        } else {
            Some(self.pipeline(context, Kind::RightDelim)?)
        };
        Ok(Node::Template { at, name, pipe })
    }

    /// `{{block "name" pipeline}}…{{end}}` defines a template and invokes it on the spot.
    fn block(&mut self) -> Result<Node, Error> {
        let context = "block clause";
        let at = self.peek_word().at;
        let name = self.template_name(context)?;
        let pipe = self.pipeline(context, Kind::RightDelim)?;
        self.define(name.clone(), context)?;
        Ok(Node::Template { at, name, pipe: Some(pipe) })
    }

    /// `declarations? command ('|' command)*` up to `end`.
    fn pipeline(&mut self, context: &str, end: Kind) -> Result<Pipe, Error> {
        let at = self.peek_word().at;
        let mut pipe = Pipe { at, variables: Vec::new(), assign: false, commands: Vec::new() };
        self.declarations(&mut pipe, context)?;
        loop {
            let token = self.take_word();
            match token.kind {
                kind if kind == end => break,
                Kind::Bool
                | Kind::CharConstant
                | Kind::Field
                | Kind::Identifier
                | Kind::Number
                | Kind::Keyword(Keyword::Dot | Keyword::Nil)
                | Kind::RawString
                | Kind::String
                | Kind::Variable
                | Kind::LeftParen => {
                    self.next -= 1;
                    let command = self.command()?;
                    pipe.commands.push(command);
                }
                _ => return self.unexpected(&token, context),
            }
        }
        if pipe.commands.is_empty() {
            return self.fail(format!("missing value for {context}"));
        }
        for (index, command) in pipe.commands.iter().enumerate().skip(1) {
            if matches!(
                command.operands.first().map(|operand| &operand.term),
                Some(Term::Bool(_) | Term::Dot | Term::Nil | Term::Number(_) | Term::Text(..))
            ) {
                return self.fail(format!("non executable command in pipeline stage {}", index + 1));
            }
        }
        Ok(pipe)
    }

    /// `$x :=`, `$x =`, and in a range `$i, $x :=`.
    fn declarations(&mut self, pipe: &mut Pipe, context: &str) -> Result<(), Error> {
        loop {
            let variable = self.peek_word();
            if variable.kind != Kind::Variable {
                return Ok(());
            }
            let start = self.next;
            self.next += 1;
            let next = self.peek_word();
            let comma = next.kind == Kind::Char && next.text == ",";
            if !comma && !matches!(next.kind, Kind::Assign | Kind::Declare) {
                self.next = start;
                return Ok(());
            }
            self.next += 1;
            pipe.variables.push(variable.text.clone().into_owned());
            self.variables.push(variable.text.into_owned());
            if !comma {
                pipe.assign = next.kind == Kind::Assign;
                return Ok(());
            }
            if context != "range" || pipe.variables.len() >= 2 {
                return self.fail(format!("too many declarations in {context}"));
            }
            if !matches!(self.peek_word().kind, Kind::Variable | Kind::RightDelim | Kind::RightParen) {
                return self.fail("range can only initialize variables");
            }
        }
    }

    /// Operands up to a pipe, which is taken, or a delimiter, which is left.
    fn command(&mut self) -> Result<Command, Error> {
        let mut operands = Vec::new();
        loop {
            self.skip_space();
            if let Some(operand) = self.operand()? {
                operands.push(operand);
            }
            let token = self.take();
            match token.kind {
                Kind::Space => {}
                Kind::RightDelim | Kind::RightParen => {
                    self.next -= 1;
                    break;
                }
                Kind::Pipe => break,
                _ => return self.unexpected(&token, "operand"),
            }
        }
        if operands.is_empty() { self.fail("empty command") } else { Ok(Command { operands }) }
    }

    /// A term and the fields behind it.
    fn operand(&mut self) -> Result<Option<Operand>, Error> {
        let Some(mut operand) = self.term()? else { return Ok(None) };
        let chain = self.peek();
        if chain.kind != Kind::Field {
            return Ok(Some(operand));
        }
        let mut names = Vec::new();
        while self.peek().kind == Kind::Field {
            names.push(self.take().text[1..].to_owned());
        }
        match &mut operand.term {
            Term::Field(first) | Term::Variable(first) => {
                first.append(&mut names);
                operand.at = chain.at;
            }
            Term::Bool(_) | Term::Text(..) | Term::Number(_) | Term::Nil | Term::Dot => {
                return self.fail(format!("unexpected . after term {}", quote(&operand.to_string())));
            }
            _ => operand = Operand { at: chain.at, term: Term::Chain(Box::new(operand), names) },
        }
        Ok(Some(operand))
    }

    fn term(&mut self) -> Result<Option<Operand>, Error> {
        let token = self.take_word();
        let text = &*token.text;
        let term = match token.kind {
            Kind::Identifier => match functions::find(text) {
                Some(function) => Term::Function(function),
                None => return self.fail(format!("function {} not defined", quote(text))),
            },
            Kind::Keyword(Keyword::Dot) => Term::Dot,
            Kind::Keyword(Keyword::Nil) => Term::Nil,
            Kind::Bool => Term::Bool(text == "true"),
            Kind::Field => Term::Field(vec![text[1..].to_owned()]),
            Kind::Variable if self.variables.iter().any(|known| known == text) => {
                Term::Variable(vec![text.to_owned()])
            }
            Kind::Variable => return self.fail(format!("undefined variable {}", quote(text))),
            Kind::Number | Kind::CharConstant => match number::parse(text) {
                Ok(number) => Term::Number(number),
                Err(message) => return self.fail(message),
            },
            Kind::String | Kind::RawString => match unquote(text) {
                Some(value) => Term::Text(value, text.to_owned()),
                None => return self.fail("invalid syntax"),
            },
            Kind::LeftParen => {
                Term::Pipe(self.deeper(|parser| parser.pipeline("parenthesized pipeline", Kind::RightParen))?)
            }
            _ => {
                self.next -= 1;
                return Ok(None);
            }
        };
        Ok(Some(Operand { at: token.at, term }))
    }
}

/// Whether there is nothing but space: such a definition gives way to any other.
fn is_blank(nodes: &[Node]) -> bool {
    nodes.iter().all(|node| matches!(node, Node::Text(text) if text.trim().is_empty()))
}
