//! One thing that a check has to say: how bad it is, of what, and what to do next.

use serde::Serialize;

/// How bad it is, from nothing to what stops pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// As it should be.
    Ok,
    /// Worth knowing; nothing needs to be done.
    Note,
    /// Works, and will not for long, or not as meant.
    Warning,
    /// Does not work.
    Error,
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The check: `containerd`, `disk`, …
    pub check: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// The thing: a path, an image, a process, a host. Empty when the check has one thing only.
    pub subject: String,
    /// What is so, in one line.
    pub message: String,
    /// The command that shows more or repairs it.
    pub next: Option<String>,
}

impl Finding {
    /// As it should be.
    pub(super) fn ok(check: &'static str, message: impl Into<String>) -> Self {
        Self::new(check, Severity::Ok, message)
    }

    /// Worth knowing.
    pub(super) fn note(check: &'static str, message: impl Into<String>) -> Self {
        Self::new(check, Severity::Note, message)
    }

    /// Works, and will not for long.
    pub(super) fn warning(check: &'static str, message: impl Into<String>) -> Self {
        Self::new(check, Severity::Warning, message)
    }

    /// Does not work.
    pub(super) fn error(check: &'static str, message: impl Into<String>) -> Self {
        Self::new(check, Severity::Error, message)
    }

    /// With a severity that was decided elsewhere.
    pub(super) fn new(check: &'static str, severity: Severity, message: impl Into<String>) -> Self {
        Self { check, severity, subject: String::new(), message: one_line(&message.into()), next: None }
    }

    /// The thing that it is about.
    #[must_use]
    pub(super) fn of(mut self, subject: impl ToString) -> Self {
        self.subject = one_line(&subject.to_string());
        self
    }

    /// What to do next.
    #[must_use]
    pub(super) fn next(mut self, command: impl Into<String>) -> Self {
        self.next = Some(command.into());
        self
    }

    /// Whether something is to be done.
    pub fn is_problem(&self) -> bool {
        self.severity >= Severity::Warning
    }
}

/// The longest message; what containerd says can be a page.
const LONGEST: usize = 400;

/// Words of others in one line of bounded length.
fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let line = words.join(" ");
    match line.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line,
    }
}

/// A few names for a message: the first three, and how many more.
pub(super) fn some_of<T: AsRef<str>>(names: &[T]) -> String {
    const SHOWN: usize = 3;
    let shown: Vec<&str> = names.iter().take(SHOWN).map(AsRef::as_ref).collect();
    match names.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// `1 container`, `3 containers`.
pub(super) fn count(number: usize, thing: &str) -> String {
    if number == 1 { format!("1 {thing}") } else { format!("{number} {thing}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_one_line_of_bounded_length() {
        let finding = Finding::error("x", format!("a\n  b\t{}", "c".repeat(1000)));
        assert!(finding.message.starts_with("a b ccc") && finding.message.chars().count() == LONGEST + 1);
        assert_eq!(some_of(&["a", "b", "c", "d", "e"]), "a, b, c and 2 more");
        assert_eq!((count(1, "task"), count(2, "task")), ("1 task".into(), "2 tasks".into()));
        assert!(Severity::Ok < Severity::Note && Severity::Warning < Severity::Error);
    }
}
