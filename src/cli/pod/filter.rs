//! Which pods of a list are shown.

use crate::engine::pod::Pod;
use crate::error::{Error, Result};

const KEYS: [&str; 5] = ["id", "label", "name", "namespace", "state"];

/// What the user asked for: values of one key are alternatives (labels: all must hold), keys must all hold.
#[derive(Debug, Default)]
pub(super) struct Filters {
    wanted: Vec<(&'static str, String)>,
}

impl Filters {
    /// From `KEY=VALUE` texts.
    pub(super) fn parse(texts: &[String]) -> Result<Self> {
        let mut filters = Self::default();
        for text in texts {
            let (key, value) = text.split_once('=').ok_or_else(|| {
                Error::usage(format!("invalid filter {text:?}: expected KEY=VALUE"))
                    .hint(format!("the keys are {}", KEYS.join(", ")))
            })?;
            filters.add(key.trim(), value.trim())?;
        }
        Ok(filters)
    }

    /// One more.
    pub(super) fn add(&mut self, key: &str, value: &str) -> Result<()> {
        let key = if key == "status" { "state" } else { key };
        let known = KEYS.iter().find(|known| **known == key).ok_or_else(|| {
            Error::usage(format!("invalid filter '{key}'")).hint(format!("the keys are {}", KEYS.join(", ")))
        })?;
        let value = if *known == "state" { value.to_lowercase() } else { value.to_owned() };
        if *known == "state" && !matches!(value.as_str(), "ready" | "notready") {
            return Err(Error::usage(format!("invalid state {value:?}: it is ready or notready")));
        }
        self.wanted.push((known, value));
        Ok(())
    }

    /// Whether a pod is shown.
    pub(super) fn matches(&self, pod: &Pod) -> bool {
        let any = |key: &str, test: &dyn Fn(&str) -> bool| {
            let mut values = self.values(key).peekable();
            values.peek().is_none() || values.any(test)
        };
        any("id", &|value| pod.id.starts_with(value))
            && any("name", &|value| pod.name.contains(value))
            && any("namespace", &|value| pod.namespace == value)
            && any("state", &|value| (value == "ready") == pod.is_ready())
            && self.values("label").all(|value| match value.split_once('=') {
                Some((key, wanted)) => pod.labels.get(key).is_some_and(|found| found == wanted),
                None => pod.labels.contains_key(value),
            })
    }

    fn values(&self, key: &str) -> impl Iterator<Item = &str> {
        self.wanted.iter().filter(move |(known, _)| *known == key).map(|(_, value)| value.as_str())
    }
}
