//! The extra attributes of log entries (`labels`, `labels-regex`, `env`, `env-regex` and `tag` options), chosen when a container starts.

use std::collections::BTreeMap;

use regex_lite::Regex;

use crate::oci::request::LogConfig;

/// What every entry of a container carries as `attrs`: the labels and variables that the options name, and the
/// tag as it came out of its template (None without the option). `env` is `KEY=value` in order; a later one
/// wins. The result goes into [`crate::monitor::Duty::log_attributes`].
pub fn select(
    config: &LogConfig,
    labels: &BTreeMap<String, String>,
    env: &[String],
    tag: Option<&str>,
) -> BTreeMap<String, String> {
    let names = |option: &str| {
        config.options.get(option).map(String::as_str).unwrap_or_default().split(',').map(str::trim)
    };
    let mut chosen = BTreeMap::new();
    for name in names("labels") {
        if let Some(value) = labels.get(name) {
            chosen.insert(name.to_owned(), value.clone());
        }
    }
    for name in names("env").filter(|name| !name.is_empty()) {
        let last = env.iter().rev().find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        if let Some(value) = last {
            chosen.insert(name.to_owned(), value.to_owned());
        }
    }
    // Checked when the container was made.
    let pattern = |option: &str| {
        let text = config.options.get(option).filter(|text| !text.is_empty())?;
        Regex::new(text).ok()
    };
    if let Some(pattern) = pattern("labels-regex") {
        let found = labels.iter().filter(|(name, _)| pattern.is_match(name));
        chosen.extend(found.map(|(name, value)| (name.clone(), value.clone())));
    }
    if let Some(pattern) = pattern("env-regex") {
        let pairs = env.iter().filter_map(|pair| pair.split_once('='));
        let found = pairs.filter(|(name, _)| pattern.is_match(name));
        chosen.extend(found.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }
    if let Some(tag) = tag.filter(|tag| !tag.is_empty()) {
        chosen.insert("tag".into(), tag.into());
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_named() {
        let mut config = LogConfig::default();
        config.options.insert("labels".into(), "app, tier".into());
        config.options.insert("env".into(), "A,AB".into());
        let labels = BTreeMap::from([("app".into(), "web".into()), ("other".into(), "x".into())]);
        let env = ["A=1".to_owned(), "ABC=no".into(), "A=2".into()];
        let got = select(&config, &labels, &env, Some("t"));
        let expected = [("A", "2"), ("app", "web"), ("tag", "t")].map(|(k, v)| (k.into(), v.into()));
        assert_eq!(got, BTreeMap::from(expected));
        assert!(select(&LogConfig::default(), &labels, &env, None).is_empty());
        let mut config = LogConfig::default();
        config.options.insert("labels-regex".into(), "^(app|oth)".into());
        config.options.insert("env-regex".into(), "^A$".into());
        let expected = [("A", "2"), ("app", "web"), ("other", "x")].map(|(k, v)| (k.into(), v.into()));
        assert_eq!(select(&config, &labels, &env, None), BTreeMap::from(expected));
    }
}
