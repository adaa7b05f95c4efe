//! What every prune shares: docker's filters, by age and by label, and its event.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::Engine;
use crate::journal::Event;
pub use crate::journal::Kind;

/// Keep that things of this kind were pruned, and how many bytes are free by it: docker does so also for none.
pub fn note(engine: &Engine, kind: Kind, bytes: u64) {
    engine.note(&[Event::new(kind, "prune", "").with("reclaimed", bytes.to_string())]);
}

/// Which of what is unused goes.
#[derive(Debug, Clone, Default)]
pub struct PruneFilters {
    /// Made before this moment.
    pub until: Option<Timestamp>,
    /// `key` or `key=value`: all must be there.
    pub labels: Vec<String>,
    /// `key` or `key=value`: none may be there.
    pub without_labels: Vec<String>,
}

impl PruneFilters {
    /// Whether what has these labels and was made at that time is meant.
    pub fn matches(&self, labels: &BTreeMap<String, String>, created: Option<Timestamp>) -> bool {
        let has = |wanted: &String| match wanted.split_once('=') {
            Some((key, value)) => labels.get(key).is_some_and(|found| found == value),
            None => labels.contains_key(wanted),
        };
        // What nobody knows the age of counts as old, as docker's zero time does.
        self.until.is_none_or(|until| created.is_none_or(|created| created <= until))
            && self.labels.iter().all(has)
            && !self.without_labels.iter().any(has)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn age_and_labels() {
        let labels = BTreeMap::from([("a".to_owned(), "1".to_owned()), ("b".to_owned(), String::new())]);
        let at = |second| Timestamp::from_second(second).ok();
        let of = |labels: &[&str], without: &[&str], until| PruneFilters {
            until,
            labels: labels.iter().map(|label| (*label).to_owned()).collect(),
            without_labels: without.iter().map(|label| (*label).to_owned()).collect(),
        };
        for (filters, expected) in [
            (of(&[], &[], None), true),
            (of(&["a"], &[], None), true),
            (of(&["a=1", "b="], &[], None), true),
            (of(&["a=2"], &[], None), false),
            (of(&["a", "c"], &[], None), false),
            (of(&[], &["c"], None), true),
            (of(&[], &["c", "a=1"], None), false),
            (of(&[], &["a=2"], None), true),
            (of(&[], &[], at(10)), true),
            (of(&[], &[], at(9)), false),
        ] {
            assert_eq!(filters.matches(&labels, at(10)), expected, "{filters:?}");
        }
        assert!(of(&[], &[], at(9)).matches(&labels, None));
    }
}
