//! A template's text as tokens.

use std::borrow::Cow;
use std::fmt;

use crate::output::notation::{printable, quote};

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The text cannot go on; the token's text says why.
    Error,
    Eof,
    Text,
    LeftDelim,
    RightDelim,
    LeftParen,
    RightParen,
    Space,
    Pipe,
    Assign,
    Declare,
    /// Any other ASCII character.
    Char,
    CharConstant,
    Number,
    Bool,
    /// `"…"`, with its quotes.
    String,
    /// `` `…` ``, with its quotes.
    RawString,
    /// `.name`
    Field,
    /// `$` or `$name`
    Variable,
    Identifier,
    Keyword(Keyword),
}

/// The words of the language, with `.` and `nil`, which read like words in messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keyword {
    Dot,
    Nil,
    Block,
    Break,
    Continue,
    Define,
    Else,
    End,
    If,
    Range,
    Template,
    With,
}

/// A token and where it starts.
#[derive(Debug, Clone)]
pub(super) struct Token<'s> {
    pub(super) kind: Kind,
    /// The byte it starts at.
    pub(super) at: usize,
    pub(super) text: Cow<'s, str>,
}

impl fmt::Display for Token<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Kind::Eof => f.write_str("EOF"),
            Kind::Error => f.write_str(&self.text),
            Kind::Keyword(_) => write!(f, "<{}>", self.text),
            _ if self.text.len() > 10 => {
                write!(f, "{}...", quote(&self.text.chars().take(10).collect::<String>()))
            }
            _ => f.write_str(&quote(&self.text)),
        }
    }
}

/// All tokens of `source`; the last one is [`Kind::Eof`] or [`Kind::Error`].
pub(super) fn lex(source: &str) -> Vec<Token<'_>> {
    let mut lexer = Lexer { source, start: 0, at: 0, parens: 0, tokens: Vec::new() };
    let mut state = State::Text;
    while state != State::Done {
        let next = match state {
            State::Text => lexer.text(),
            _ => lexer.action(),
        };
        state = next.unwrap_or_else(|message| {
            lexer.tokens.push(Token { kind: Kind::Error, at: lexer.start, text: message.into() });
            State::Done
        });
    }
    lexer.tokens
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Text,
    Action,
    Done,
}

struct Lexer<'s> {
    source: &'s str,
    /// Where the token being read starts.
    start: usize,
    at: usize,
    parens: usize,
    tokens: Vec<Token<'s>>,
}

const SPACES: [char; 4] = [' ', '\t', '\r', '\n'];

impl<'s> Lexer<'s> {
    fn rest(&self) -> &'s str {
        &self.source[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let letter = self.peek()?;
        self.at += letter.len_utf8();
        Some(letter)
    }

    fn skip_while(&mut self, wanted: impl Fn(char) -> bool) {
        while self.peek().is_some_and(&wanted) {
            self.next();
        }
    }

    fn emit(&mut self, kind: Kind) {
        let text = Cow::Borrowed(&self.source[self.start..self.at]);
        self.tokens.push(Token { kind, at: self.start, text });
        self.start = self.at;
    }

    /// Text up to the next `{{`, and the delimiter itself.
    fn text(&mut self) -> Result<State, String> {
        let Some(length) = self.rest().find("{{") else {
            self.at = self.source.len();
            if self.at > self.start {
                self.emit(Kind::Text);
            }
            self.emit(Kind::Eof);
            return Ok(State::Done);
        };
        let delimiter = self.at + length;
        let inside = &self.source[delimiter + 2..];
        let trim = inside.starts_with('-') && inside[1..].starts_with(SPACES);
        let text = &self.source[self.at..delimiter];
        self.at += if trim { text.trim_end_matches(SPACES).len() } else { text.len() };
        if self.at > self.start {
            self.emit(Kind::Text);
        }
        (self.start, self.at) = (delimiter, delimiter);
        let marker = if trim { 2 } else { 0 };
        if inside[marker..].starts_with("/*") {
            self.at += 2 + marker;
            self.start = self.at;
            return self.comment();
        }
        self.at += 2;
        self.emit(Kind::LeftDelim);
        self.at += marker;
        self.start = self.at;
        self.parens = 0;
        Ok(State::Action)
    }

    /// `/* … */` with the right delimiter; nothing of it is left.
    fn comment(&mut self) -> Result<State, String> {
        let end = self.rest().find("*/").filter(|end| *end >= 2).or_else(|| {
            // "/*/" does not close itself.
            self.rest()[2..].find("*/").map(|end| end + 2)
        });
        self.at += end.ok_or("unclosed comment")? + 2;
        let (closed, trim) = self.right_delimiter();
        if !closed {
            return Err("comment ends before closing delimiter".into());
        }
        self.close(trim);
        Ok(State::Text)
    }

    /// Whether a `}}` stands here, and whether it trims the text behind it.
    fn right_delimiter(&self) -> (bool, bool) {
        let rest = self.rest();
        if rest.starts_with(SPACES) && rest[1..].starts_with("-}}") {
            return (true, true);
        }
        (rest.starts_with("}}"), false)
    }

    /// Steps over a right delimiter and the spaces that it trims.
    fn close(&mut self, trim: bool) {
        self.at += if trim { 4 } else { 2 };
        self.start = self.at;
        if trim {
            self.skip_while(|letter| SPACES.contains(&letter));
            self.start = self.at;
        }
    }

    /// One token inside `{{ }}`.
    fn action(&mut self) -> Result<State, String> {
        let (closed, trim) = self.right_delimiter();
        if closed {
            if self.parens > 0 {
                return Err("unclosed left paren".into());
            }
            let at = self.at + if trim { 2 } else { 0 };
            self.tokens.push(Token { kind: Kind::RightDelim, at, text: Cow::Borrowed("}}") });
            self.close(trim);
            return Ok(State::Text);
        }
        let Some(letter) = self.next() else { return Err("unclosed action".into()) };
        match letter {
            letter if SPACES.contains(&letter) => self.spaces(),
            '=' => self.emit(Kind::Assign),
            ':' if self.next() == Some('=') => self.emit(Kind::Declare),
            ':' => return Err("expected :=".into()),
            '|' => self.emit(Kind::Pipe),
            '"' => self.quoted('"', Kind::String, "quoted string")?,
            '\'' => self.quoted('\'', Kind::CharConstant, "character constant")?,
            '`' => {
                let length = self.rest().find('`').ok_or("unterminated raw quoted string")?;
                self.at += length + 1;
                self.emit(Kind::RawString);
            }
            '$' => self.name(Kind::Variable)?,
            '.' if !self.peek().is_some_and(|next| next.is_ascii_digit()) && !self.rest().is_empty() => {
                self.name(Kind::Field)?;
            }
            '.' | '+' | '-' | '0'..='9' => self.number()?,
            letter if alphanumeric(letter) => self.word()?,
            '(' => {
                self.parens += 1;
                self.emit(Kind::LeftParen);
            }
            ')' => {
                self.parens = self.parens.checked_sub(1).ok_or("unexpected right paren")?;
                self.emit(Kind::RightParen);
            }
            letter if letter.is_ascii() && printable(letter) => self.emit(Kind::Char),
            letter => return Err(format!("unrecognized character in action: {}", code_point(letter))),
        }
        Ok(State::Action)
    }

    /// A run of spaces, without the last one when it belongs to ` -}}`.
    fn spaces(&mut self) {
        self.skip_while(|letter| SPACES.contains(&letter));
        if self.rest().starts_with("-}}") {
            self.at -= 1;
        }
        if self.at > self.start {
            self.emit(Kind::Space);
        }
    }

    fn quoted(&mut self, mark: char, kind: Kind, what: &str) -> Result<(), String> {
        loop {
            match self.next() {
                Some('\\') if !matches!(self.next(), None | Some('\n')) => {}
                Some(letter) if letter == mark => break,
                None | Some('\n' | '\\') => return Err(format!("unterminated {what}")),
                Some(_) => {}
            }
        }
        self.emit(kind);
        Ok(())
    }

    /// What follows a `.` or `$`.
    fn name(&mut self, kind: Kind) -> Result<(), String> {
        if self.at_terminator() {
            let alone = if kind == Kind::Variable { kind } else { Kind::Keyword(Keyword::Dot) };
            self.emit(alone);
            return Ok(());
        }
        self.skip_while(alphanumeric);
        self.terminated()?;
        self.emit(kind);
        Ok(())
    }

    fn word(&mut self) -> Result<(), String> {
        self.skip_while(alphanumeric);
        self.terminated()?;
        let kind = match &self.source[self.start..self.at] {
            "true" | "false" => Kind::Bool,
            "nil" => Kind::Keyword(Keyword::Nil),
            "block" => Kind::Keyword(Keyword::Block),
            "break" => Kind::Keyword(Keyword::Break),
            "continue" => Kind::Keyword(Keyword::Continue),
            "define" => Kind::Keyword(Keyword::Define),
            "else" => Kind::Keyword(Keyword::Else),
            "end" => Kind::Keyword(Keyword::End),
            "if" => Kind::Keyword(Keyword::If),
            "range" => Kind::Keyword(Keyword::Range),
            "template" => Kind::Keyword(Keyword::Template),
            "with" => Kind::Keyword(Keyword::With),
            _ => Kind::Identifier,
        };
        self.emit(kind);
        Ok(())
    }

    fn terminated(&self) -> Result<(), String> {
        if self.at_terminator() {
            return Ok(());
        }
        Err(format!("bad character {}", self.peek().map_or_else(|| "U+FFFFFFFFFFFFFFFF".into(), code_point)))
    }

    fn at_terminator(&self) -> bool {
        match self.peek() {
            None => true,
            Some('.' | ',' | '|' | ':' | ')' | '(') => true,
            Some(letter) => SPACES.contains(&letter) || self.rest().starts_with("}}"),
        }
    }

    /// Anything that looks like a number; the parser decides whether it is one.
    fn number(&mut self) -> Result<(), String> {
        self.at = self.start;
        let mut good = self.scan_number();
        if good && self.peek().is_some_and(|sign| "+-".contains(sign)) {
            // The other half of a complex number, which nothing here can use.
            good = self.scan_number() && self.source[..self.at].ends_with('i');
        }
        if !good {
            return Err(format!("bad number syntax: {}", quote(&self.source[self.start..self.at])));
        }
        self.emit(Kind::Number);
        Ok(())
    }

    fn scan_number(&mut self) -> bool {
        self.accept("+-");
        let (mut digits, mut exponent) = ("0123456789_", "eE");
        if self.accept("0") {
            if self.accept("xX") {
                (digits, exponent) = ("0123456789abcdefABCDEF_", "pP");
            } else if self.accept("oO") {
                (digits, exponent) = ("01234567_", "");
            } else if self.accept("bB") {
                (digits, exponent) = ("01_", "");
            }
        }
        self.skip_while(|letter| digits.contains(letter));
        if self.accept(".") {
            self.skip_while(|letter| digits.contains(letter));
        }
        if self.accept(exponent) {
            self.accept("+-");
            self.skip_while(|letter| letter.is_ascii_digit() || letter == '_');
        }
        self.accept("i");
        if self.peek().is_some_and(alphanumeric) {
            self.next();
            return false;
        }
        true
    }

    fn accept(&mut self, any: &str) -> bool {
        let found = self.peek().is_some_and(|letter| any.contains(letter));
        if found {
            self.next();
        }
        found
    }
}

fn alphanumeric(letter: char) -> bool {
    letter == '_' || letter.is_alphanumeric()
}

/// Go's `%#U`: `U+0040 '@'`.
fn code_point(letter: char) -> String {
    let number = format!("U+{:04X}", letter as u32);
    if printable(letter) { format!("{number} '{letter}'") } else { number }
}
