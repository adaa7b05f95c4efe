//! The environment, read once: no other file asks for a variable.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// The variables that this program heeds, and all of them for `-e KEY`.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    variables: BTreeMap<String, String>,
    /// Where relative paths start.
    pub directory: PathBuf,
}

impl Environment {
    /// This process's environment. A variable that is not UTF-8 is as good as absent.
    pub fn read() -> Self {
        let variables = std::env::vars_os()
            .filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        Self { variables, directory: std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/")) }
    }

    /// One with just these variables, for tests.
    pub fn of(variables: &[(&str, &str)]) -> Self {
        let variables =
            variables.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Self { variables, directory: PathBuf::from("/") }
    }

    /// A variable, whatever its value.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }

    /// A variable that says something.
    pub fn set(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|value| !value.is_empty())
    }

    /// The user's home directory.
    pub fn home(&self) -> PathBuf {
        self.set("HOME").map_or_else(|| PathBuf::from("/root"), PathBuf::from)
    }

    /// No colour is wanted: <https://no-color.org>.
    pub fn no_color(&self) -> bool {
        self.set("NO_COLOR").is_some() || self.get("TERM") == Some("dumb")
    }
}
