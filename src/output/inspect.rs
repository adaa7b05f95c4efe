//! `inspect` and its likes: whole objects, as JSON or through a template.

use serde::Serialize;
use serde_json::Value;
use serde_json::ser::{PrettyFormatter, Serializer};

use super::Ui;
use super::template::{Error as TemplateError, Options, Shape, Template, Val};
use crate::{Error, Kind, Result};

/// What an inspected value is: templates know docker's types of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Object {
    /// A container.
    Container,
    /// An image.
    Image,
    /// A network.
    Network,
    /// A volume.
    Volume,
    /// What `info` shows.
    Info,
    /// What `version` shows.
    Version,
    /// An event.
    Event,
    /// Anything that docker does not have.
    Other,
}

/// A checked `--format` for whole objects.
pub struct Inspector(Form);

enum Form {
    /// JSON, indented as docker does.
    Indented,
    /// JSON on one line.
    Compact,
    Template(Template),
}

/// docker's fields: object, path in JSON, Go's type, Go's name where it differs from JSON's.
const FIELDS: &str = include_str!("inspect_fields.tsv");

impl Object {
    /// Go's name of docker's type, and this object's name in the table of fields.
    fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Container => ("*container.InspectResponse", "container"),
            Self::Image => ("*image.InspectResponse", "image"),
            Self::Network => ("*network.Inspect", "network"),
            Self::Volume => ("*volume.Volume", "volume"),
            Self::Info => ("system.dockerInfo", "info"),
            Self::Version => ("system.versionInfo", "version"),
            Self::Event => ("events.Message", "event"),
            Self::Other => ("", ""),
        }
    }

    /// What docker's type says about the JSON.
    fn shape(self) -> Shape {
        let (go_type, name) = self.names();
        if name.is_empty() {
            return Shape::default();
        }
        let rows = FIELDS.lines().map(|line| {
            let mut cells = line.split('\t');
            let mut next = || cells.next().unwrap_or_default();
            (next(), next(), next(), next())
        });
        let rows = rows.filter(|(object, ..)| *object == name);
        Shape::from_paths(go_type, rows.map(|(_, path, go_type, go_name)| (path, go_type, go_name)))
    }

    /// Whether a template that fails on the type is tried on the bare JSON: docker does so for what it inspects.
    fn falls_back(self) -> bool {
        !matches!(self, Self::Info | Self::Version | Self::Event)
    }
}

impl Inspector {
    /// Reads `--format`: none or empty is indented JSON, `json` compact JSON, else a template, which is parsed now.
    pub fn parse(format: Option<&str>) -> Result<Self> {
        Ok(Self(match format.unwrap_or_default() {
            "" => Form::Indented,
            "json" => Form::Compact,
            // docker has an exit code of its own for this.
            text => Form::Template(
                Template::parse(text)
                    .map_err(|error| Error::new(Kind::Template, Error::from(error).message))?,
            ),
        }))
    }

    /// As [`Inspector::parse`], for an object of docker's that has no fields but the known ones (`info`, `version`,
    /// `events`): a name that it does not have is an error now.
    pub fn parse_for(object: Object, format: Option<&str>) -> Result<Self> {
        let inspector = Self::parse(format)?;
        if let (Form::Template(template), false) = (&inspector.0, object.falls_back()) {
            let shape = object.shape();
            let name = if object == Object::Version { "version" } else { "" };
            template
                .check_fields(object.names().0, |name| shape.field(name).is_some())
                .map_err(|error| Error::failed(error.named(name).to_string()))?;
        }
        Ok(inspector)
    }

    /// Writes what was found: all in one JSON array, or the template for each. A template's failures do not keep
    /// the other objects from being written; they are reported together.
    pub fn write(&self, ui: &mut Ui, found: &[(Object, Value)]) -> Result<()> {
        let values: Vec<&Value> = found.iter().map(|(_, value)| value).collect();
        let template = match &self.0 {
            _ if found.is_empty() && !matches!(self.0, Form::Template(_)) => return ui.line("[]"),
            Form::Indented => return ui.line(json(&values, true)?),
            Form::Compact => return ui.line(json(&values, false)?),
            Form::Template(template) => template,
        };
        // A hundred containers are of one shape.
        let mut shapes: Vec<(Object, Shape)> = Vec::new();
        for (object, _) in found {
            if !shapes.iter().any(|(known, _)| known == object) {
                shapes.push((*object, object.shape()));
            }
        }
        let any = Shape::default();
        let (mut text, mut failures) = (String::new(), Vec::new());
        for (object, value) in found {
            let shape = shapes.iter().find(|(known, _)| known == object).map_or(&any, |(_, shape)| shape);
            match execute(template, *object, shape, value) {
                Ok(line) => text.extend([line.as_str(), "\n"]),
                Err(error) => failures.push(Error::from(error).message),
            }
        }
        // docker ends the line even when there is none.
        ui.print(if text.is_empty() { "\n".into() } else { text })?;
        if failures.is_empty() { Ok(()) } else { Err(Error::failed(failures.join("\n"))) }
    }

    /// Writes one object that is not in an array: `info`, `version`, an event.
    pub fn line(&self, ui: &mut Ui, object: Object, value: &Value) -> Result<()> {
        match &self.0 {
            Form::Indented => ui.line(json(&value, true)?),
            Form::Compact => ui.line(json(&value, false)?),
            Form::Template(template) => ui.line(execute(template, object, &object.shape(), value)?),
        }
    }

    /// Whether no `--format` was given: `info`, `version` and `events` then have their own text.
    pub fn is_default(&self) -> bool {
        matches!(self.0, Form::Indented)
    }
}

fn execute(
    template: &Template,
    object: Object,
    shape: &Shape,
    value: &Value,
) -> Result<String, TemplateError> {
    let strict = Options { missing_key_fails: true, ..Options::default() };
    let mut out = String::new();
    if object != Object::Other {
        let result = template.execute(Val::shaped(Some(value), shape), Options::default(), &mut out);
        if result.is_ok() || !object.falls_back() {
            return result.map(|()| out);
        }
        out.clear();
    }
    template.execute(Val::json(value), strict, &mut out).map(|()| out)
}

fn json(value: &impl Serialize, indented: bool) -> Result<String> {
    let mut bytes = Vec::new();
    let result = if indented {
        value.serialize(&mut Serializer::with_formatter(&mut bytes, PrettyFormatter::with_indent(b"    ")))
    } else {
        value.serialize(&mut Serializer::new(&mut bytes))
    };
    result.map_err(|error| Error::failed(format!("encode JSON: {error}")))?;
    String::from_utf8(bytes).map_err(|error| Error::failed(format!("encode JSON: {error}")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn show(format: Option<&str>, found: &[(Object, Value)]) -> (String, Option<String>) {
        let (mut ui, captured) = Ui::captured();
        let result = Inspector::parse(format).and_then(|inspector| inspector.write(&mut ui, found));
        (captured.out(), result.err().map(|error| error.message))
    }

    fn container() -> (Object, Value) {
        let value = json!({
            "Id": "0e1f",
            "Created": "2024-07-03T09:46:40.12Z",
            "State": {"Status": "running", "Running": true, "Pid": 7},
            "Config": {
                "Labels": {"b": "<2>", "a": "1"},
                "Env": ["A=1"],
                "Cmd": null,
                "Healthcheck": {"Test": ["NONE"], "Interval": 30_000_000_000_i64},
                "ExposedPorts": {"80/tcp": {}}
            },
            "NetworkSettings": {
                "Ports": {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}]},
                "Networks": {"bridge": {"IPAddress": "172.17.0.2"}}
            },
            "Extra": {"Ours": 5}
        });
        (Object::Container, value)
    }

    #[test]
    fn json_is_dockers() {
        assert_eq!(show(None, &[]), ("[]\n".into(), None));
        assert_eq!(show(Some("json"), &[]), ("[]\n".into(), None));
        let found = [(Object::Other, json!({"b": [], "a": [{"x": "<&>"}], "c": {}}))];
        let indented = "[\n    {\n        \"b\": [],\n        \"a\": [\n            {\n                \"x\": \"<&>\"\n            }\n        ],\n        \"c\": {}\n    }\n]\n";
        assert_eq!(show(None, &found), (indented.into(), None));
        assert_eq!(
            show(Some("json"), &found),
            ("[{\"b\":[],\"a\":[{\"x\":\"<&>\"}],\"c\":{}}]\n".into(), None)
        );
    }

    #[test]
    fn templates_know_dockers_types() {
        for (template, expected) in [
            ("{{.ID}} {{.State.Status}}", "0e1f running\n"),
            ("{{.Id}}", "0e1f\n"),
            (
                "{{.State.Health}} {{if .State.Health}}{{.State.Health.Status}}{{else}}none{{end}}",
                "<nil> none\n",
            ),
            (
                "{{.Config.Labels.a}} {{.Config.Labels.no}} {{index .Config.Labels \"no\"}}|",
                "1 <no value> |\n",
            ),
            (
                "{{json .Config.Labels}} {{json .Config.Cmd}} {{json .State}}",
                "{\"a\":\"1\",\"b\":\"<2>\"} null {\"Status\":\"running\",\"Running\":true,\"Pid\":7}\n",
            ),
            ("{{.Config.Cmd}} {{.Config.Env}} {{.Config.ExposedPorts}}", "[] [A=1] map[80/tcp:{}]\n"),
            ("{{.Config.Healthcheck.Interval}}", "30s\n"),
            ("{{.RestartCount}} {{.HostConfig}} {{.Config.Tty}}", "0 <nil> false\n"),
            ("{{.Extra.Ours}}", "5\n"),
            ("{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", "172.17.0.2\n"),
            ("{{(index (index .NetworkSettings.Ports \"80/tcp\") 0).HostPort}}", "8080\n"),
            (
                "{{range $p, $c := .NetworkSettings.Ports}}{{$p}} -> {{(index $c 0).HostPort}}{{end}}",
                "80/tcp -> 8080\n",
            ),
        ] {
            assert_eq!(show(Some(template), &[container()]), (expected.into(), None), "{template}");
        }
    }

    #[test]
    fn failures_name_the_raw_key_and_spare_the_others() {
        let message = |at: &str, key: &str| {
            format!("template parsing error: template: :1:{at}: map has no entry for key \"{key}\"")
        };
        let (out, error) = show(Some("{{.State.Health.Status}}"), &[container()]);
        assert_eq!(
            (out.as_str(), error),
            ("\n", Some(message("8: executing \"\" at <.State.Health.Status>", "Health")))
        );
        let other = (Object::Other, json!({"Extra": {"Ours": 6}, "Only": 1}));
        let (out, error) = show(Some("{{.Only}}"), &[container(), other]);
        assert_eq!((out.as_str(), error), ("1\n", Some(message("2: executing \"\" at <.Only>", "Only"))));
        let parse = Inspector::parse(Some("{{.Id")).err().map(|error| error.message);
        assert_eq!(parse.as_deref(), Some("template parsing error: template: :1: unclosed action"));
    }

    #[test]
    fn info_and_version_fail_before_any_call() {
        assert!(
            Inspector::parse_for(Object::Version, Some("{{.Server.APIVersion}} {{.Client.Version}}")).is_ok()
        );
        let error = Inspector::parse_for(Object::Info, Some("{{.Nope}}")).err().map(|error| error.message);
        let expected =
            "template: :1:2: executing \"\" at <.Nope>: can't evaluate field Nope in type system.dockerInfo";
        assert_eq!(error.as_deref(), Some(expected));
        let (mut ui, captured) = Ui::captured();
        let version = json!({"Client": {"ApiVersion": "1.50"}, "Server": null});
        let inspector =
            Inspector::parse_for(Object::Version, Some("{{.Client.APIVersion}} {{.Server}}")).unwrap();
        inspector.line(&mut ui, Object::Version, &version).unwrap();
        assert_eq!(captured.out(), "1.50 <nil>\n");
    }

    #[test]
    fn every_object_has_its_fields() {
        for object in [
            Object::Container,
            Object::Image,
            Object::Network,
            Object::Volume,
            Object::Info,
            Object::Version,
            Object::Event,
        ] {
            let known = ["ID", "Name", "Client", "Type"];
            assert!(known.iter().any(|name| object.shape().field(name).is_some()), "{object:?}");
        }
    }
}
