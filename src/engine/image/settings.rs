//! What one image's configuration says and another's does not.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::resolve::ResolvedImage;
use crate::engine::container::ChangeKind;

/// A setting that is not the same in two images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// `Env.PATH`, `Labels.a`, `Cmd`, `architecture`.
    pub name: String,
    /// In the first image.
    pub before: Option<String>,
    /// In the second image.
    pub after: Option<String>,
}

impl Setting {
    /// How it has changed.
    pub fn kind(&self) -> ChangeKind {
        match (&self.before, &self.after) {
            (None, _) => ChangeKind::Added,
            (_, None) => ChangeKind::Deleted,
            _ => ChangeKind::Changed,
        }
    }
}

/// The settings that differ, by name. When an image was built and by which steps is no setting.
pub fn settings_changed(old: &ResolvedImage, new: &ResolvedImage) -> Vec<Setting> {
    changed(&old.config_json, &new.config_json)
}

fn changed(old: &Value, new: &Value) -> Vec<Setting> {
    let (mut old, mut new) = (settings(old), settings(new));
    let names: BTreeSet<String> = old.keys().chain(new.keys()).cloned().collect();
    names
        .into_iter()
        .map(|name| Setting { before: old.remove(&name), after: new.remove(&name), name })
        .filter(|setting| setting.before != setting.after)
        .collect()
}

fn settings(config: &Value) -> BTreeMap<String, String> {
    let mut settings = BTreeMap::new();
    for name in ["architecture", "author", "os", "os.version", "variant"] {
        settings.extend(text(config.get(name)).map(|value| (name.to_owned(), value)));
    }
    for (name, value) in config.get("config").and_then(Value::as_object).into_iter().flatten() {
        match value {
            Value::Array(variables) if name == "Env" => {
                for variable in variables.iter().filter_map(Value::as_str) {
                    let (key, value) = variable.split_once('=').unwrap_or((variable, ""));
                    settings.insert(format!("Env.{key}"), value.to_owned());
                }
            }
            Value::Object(fields) => {
                let shown = |value: &Value| text(Some(value)).unwrap_or_default();
                settings.extend(fields.iter().map(|(key, value)| (format!("{name}.{key}"), shown(value))));
            }
            value => settings.extend(text(Some(value)).map(|value| (name.clone(), value))),
        }
    }
    settings
}

/// A value on one line; None for what stands for nothing.
fn text(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::Null | Value::Bool(false) => None,
        Value::String(text) if text.is_empty() => None,
        Value::String(text) => Some(text.clone()),
        Value::Array(list) if list.is_empty() => None,
        Value::Object(fields) if fields.is_empty() => None,
        other => Some(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn settings_are_compared_one_by_one() {
        let old = json!({ "architecture": "amd64", "created": "x", "config": {
            "Env": ["A=1", "B=2"], "Cmd": ["sh"], "Labels": { "a": "b" }, "User": "", "ExposedPorts": { "80/tcp": {} },
        }});
        let new = json!({ "architecture": "arm64", "created": "y", "config": {
            "Env": ["B=3", "A=1"], "Cmd": ["sh", "-c"], "Labels": null, "ExposedPorts": { "81/tcp": {} },
        }});
        let shown: Vec<String> = changed(&old, &new)
            .iter()
            .map(|one| format!("{:?} {} {:?} {:?}", one.kind(), one.name, one.before, one.after))
            .collect();
        assert_eq!(
            shown,
            [
                r#"Changed Cmd Some("[\"sh\"]") Some("[\"sh\",\"-c\"]")"#,
                r#"Changed Env.B Some("2") Some("3")"#,
                r#"Deleted ExposedPorts.80/tcp Some("") None"#,
                r#"Added ExposedPorts.81/tcp None Some("")"#,
                r#"Deleted Labels.a Some("b") None"#,
                r#"Changed architecture Some("amd64") Some("arm64")"#,
            ]
        );
        assert_eq!(changed(&old, &old), []);
    }
}
