//! crictl's output formats: protobuf's JSON, YAML, Go templates, tables.

use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::output::notation::quote;
use crate::output::table::aligned;
use crate::output::template::{self, Options, Template, Val};
use crate::output::ui::Ui;

/// One object with what the runtime tells about it beside.
#[derive(Debug, Default)]
pub(super) struct Status {
    /// What CRI defines.
    pub(super) status: Option<Value>,
    /// Further parts by name.
    pub(super) parts: Vec<(&'static str, Value)>,
    /// What this runtime tells, JSON or text.
    pub(super) info: Vec<(String, String)>,
}

impl Status {
    fn into_value(self) -> Result<Value> {
        let mut all = Map::new();
        if let Some(status) = self.status {
            all.insert("status".into(), status);
        }
        all.extend(self.parts.into_iter().map(|(name, part)| (name.to_owned(), part)));
        for (name, text) in self.info {
            let value = if text.starts_with('{') {
                serde_json::from_str(&text)
                    .map_err(|cause| Error::failed(format!("unmarshal status info JSON: {cause}")))?
            } else {
                text.trim_matches('"').into()
            };
            all.insert(name, value);
        }
        Ok(sorted(Value::Object(all)))
    }
}

/// Writes what commands that inspect have found: one as it is, several as a list.
pub(super) fn statuses(ui: &mut Ui, found: Vec<Status>, format: &str, template: Option<&str>) -> Result<()> {
    let mut found: Vec<Value> = found.into_iter().map(Status::into_value).collect::<Result<_>>()?;
    let value = match found.len() {
        0 => return Ok(()),
        1 => found.swap_remove(0),
        _ => Value::Array(found),
    };
    match format {
        "json" => ui.line(escaped(&pretty(&value))),
        "yaml" => ui.line(yaml(&value)?),
        "go-template" => {
            let text = executed(template.unwrap_or_default(), &value)?;
            ui.line(text)
        }
        _ => Err(Error::failed(format!("unsupported format: {}", quote(format)))),
    }
}

/// Writes a message as JSON, fields in their order.
pub(super) fn json(ui: &mut Ui, value: &Value) -> Result<()> {
    ui.line(pretty(value))
}

/// A message as YAML, keys sorted, with the empty line that crictl leaves.
pub(super) fn yaml(value: &Value) -> Result<String> {
    serde_saphyr::to_string(&sorted(value.clone()))
        .map_err(|cause| Error::failed(format!("JSON result to YAML: {cause}")))
}

/// The template's text for `value`; a key that is not there is an error.
pub(super) fn executed(template: &str, value: &Value) -> Result<String> {
    let mut out = String::new();
    parsed(template)?
        .execute(Val::json(value), Options { missing_key_fails: true, ..Options::default() }, &mut out)
        .map_err(|cause| template_error("failed to template data", cause))?;
    Ok(out)
}

/// A template that can be read.
pub(super) fn parsed(template: &str) -> Result<Template> {
    Template::parse(template).map_err(|cause| template_error("failed to generate go-template", cause))
}

/// crictl's words for a template that fails; it has a name there.
fn template_error(what: &str, cause: template::Error) -> Error {
    Error::failed(format!("execute template: {what}: {}", cause.named("tmplExecuteRawJSON")))
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

/// As Go's encoder: what could end a script in a web page is written out.
fn escaped(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for letter in json.chars() {
        match letter {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                out.push_str(&format!("\\u{:04x}", u32::from(letter)))
            }
            letter => out.push(letter),
        }
    }
    out
}

/// The same value with the keys of every object sorted, as Go writes its maps.
pub(super) fn sorted(value: Value) -> Value {
    match value {
        Value::Object(entries) => {
            let mut entries: Vec<(String, Value)> = entries.into_iter().collect();
            entries.sort_by(|(one, _), (other, _)| one.cmp(other));
            Value::Object(entries.into_iter().map(|(key, value)| (key, sorted(value))).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        value => value,
    }
}

/// Rows of cells in crictl's columns.
pub(super) fn table(ui: &mut Ui, rows: &[Vec<String>]) -> Result<()> {
    let lines: String = rows.iter().map(|row| format!("{}\n", clean(row).join("\t"))).collect();
    ui.print(aligned(&lines, 20, 3))
}

/// Cells without what would break a column or move the terminal.
fn clean(row: &[String]) -> Vec<String> {
    row.iter().map(|cell| cell.replace(char::is_control, " ")).collect()
}

/// What CRI tells beside, as Go prints a map.
pub(super) fn go_map(entries: &std::collections::HashMap<String, String>) -> String {
    let mut entries: Vec<String> = entries.iter().map(|(key, value)| format!("{key}:{value}")).collect();
    entries.sort_unstable();
    format!("map[{}]", entries.join(" "))
}

/// Labels or annotations, a line each, where there are any.
pub(super) fn names(
    ui: &mut Ui,
    title: &str,
    entries: &std::collections::HashMap<String, String>,
) -> Result<()> {
    if entries.is_empty() {
        return Ok(());
    }
    ui.line(format_args!("{title}:"))?;
    let mut entries: Vec<_> = entries.iter().collect();
    entries.sort_unstable();
    entries.into_iter().try_for_each(|(key, value)| ui.line(format_args!("\t{key} -> {value}")))
}

/// The first letters of an id, as many as crictl shows.
pub(super) fn short(id: &str) -> String {
    id.chars().take(13).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_inspected_object_is_sorted_and_told_of() {
        let status = Status {
            status: Some(json!({"id": "x", "createdAt": "t", "a<b": "&"})),
            parts: Vec::new(),
            info: vec![("pid".into(), "7".into()), ("runtimeSpec".into(), "{\"b\":1,\"a\":2}".into())],
        };
        let (mut ui, captured) = Ui::captured();
        statuses(&mut ui, vec![status], "json", None).unwrap();
        ui.flush().unwrap();
        assert_eq!(
            captured.out(),
            concat!(
                "{\n  \"pid\": \"7\",\n  \"runtimeSpec\": {\n    \"a\": 2,\n    \"b\": 1\n  },\n",
                "  \"status\": {\n    \"a\\u003cb\": \"\\u0026\",\n    \"createdAt\": \"t\",\n    \"id\": \"x\"\n  }\n}\n"
            )
        );
    }

    #[test]
    fn formats_are_crictls() {
        let value = json!({"b": ["x", "5", true], "a": {"n": "1", "empty": "", "none": [], "map": {}}});
        assert_eq!(
            yaml(&value).unwrap(),
            "a:\n  empty: \"\"\n  map: {}\n  \"n\": \"1\"\n  none: []\nb:\n- x\n- \"5\"\n- true\n"
        );
        assert_eq!(executed("{{.a.n}} {{json .b}}", &value).unwrap(), "1 [\"x\",\"5\",true]");
        let error = executed("{{.nope}}", &value).unwrap_err();
        assert_eq!(
            error.message,
            "execute template: failed to template data: template: tmplExecuteRawJSON:1:2: executing \
             \"tmplExecuteRawJSON\" at <.nope>: map has no entry for key \"nope\""
        );
        let (mut ui, _) = Ui::captured();
        let wrong = statuses(&mut ui, vec![Status::default()], "xml", None).unwrap_err();
        assert_eq!(wrong.message, "unsupported format: \"xml\"");
    }

    #[test]
    fn columns_are_crictls() {
        let (mut ui, captured) = Ui::captured();
        table(&mut ui, &[vec!["POD ID".into(), "NAME".into()], vec!["0123456789012".into(), "a\tb".into()]])
            .unwrap();
        ui.flush().unwrap();
        assert_eq!(captured.out(), "POD ID              NAME\n0123456789012       a b\n");
    }
}
