//! The extra attributes of log entries (`labels`, `env` and `tag` options), chosen when a container starts.

use std::collections::BTreeMap;

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
    }
}
