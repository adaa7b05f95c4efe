//! `cases.json` holds templates with what Go's text/template and docker's functions make of them, errors included.

use serde_json::Value;

use super::shape::Shape;
use super::value::{Methods, Val};
use super::{Options, Template};

struct Labels;

impl Methods for Labels {
    fn call(&self, name: &str, argument: &str) -> Option<Value> {
        self.has(name).then(|| if argument == "x" { "y".into() } else { "".into() })
    }

    fn has(&self, name: &str) -> bool {
        name == "Label"
    }
}

fn inspect_shape() -> Shape {
    Shape::from_paths(
        "*main.Inspect",
        [
            ("Id", "string", "ID"),
            ("Name", "string", ""),
            ("Args", "[]string", ""),
            ("State", "*main.State", ""),
            ("State.Status", "string", ""),
            ("State.Running", "bool", ""),
            ("State.ExitCode", "int", ""),
            ("State.Health", "*main.Health", ""),
            ("State.Health.Status", "string", ""),
            ("State.Health.FailingStreak", "int", ""),
            ("Labels", "map[string]string", ""),
            ("Mounts", "[]main.Mount", ""),
            ("Mounts[].Type", "string", ""),
            ("Mounts[].Source", "string", ""),
            ("Mounts[].RW", "bool", ""),
            ("Size", "*int64", ""),
            ("Check", "main.Check", ""),
            ("Check.Interval", "time.Duration", ""),
            ("Ratio", "float64", ""),
        ],
    )
}

#[test]
fn templates_do_what_gos_do() {
    let file: Value = serde_json::from_str(include_str!("cases.json")).unwrap();
    let shape = inspect_shape();
    let row = serde_json::json!({"ID": "0e1f", "Names": "a,b"});
    let row_shape = Shape::record("*main.Row", ["ID", "Names"]);
    let header = serde_json::json!({"ID": "CONTAINER ID", "Names": "NAMES"});
    let mut wrong = Vec::new();
    for case in file["cases"].as_array().unwrap() {
        let template = case["template"].as_str().unwrap();
        let (mut options, mut out) = (Options::default(), String::new());
        let data = match case["data"].as_str().unwrap() {
            "struct" => Val::shaped(Some(&file["struct"]), &shape),
            "row" => Val::record(row.as_object().unwrap(), &row_shape, &Labels),
            "header" => {
                options.header = true;
                Val::json(&header)
            }
            "strict" => {
                options.missing_key_fails = true;
                Val::json(&file["map"])
            }
            _ => Val::json(&file["map"]),
        };
        let parsed = Template::parse(template);
        let (output, error) = match &parsed {
            Ok(parsed) => {
                let result = parsed.execute(data, options, &mut out);
                (Some(out.as_str()), result.err().map(|error| error.to_string()))
            }
            Err(error) => (None, Some(error.to_string())),
        };
        if output != case["output"].as_str() || error.as_deref() != case["error"].as_str() {
            wrong.push(format!(
                "{template}\n   is {output:?} {error:?}\n not {:?} {:?}",
                case["output"].as_str(),
                case["error"].as_str()
            ));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn hostile_templates_end_in_errors() {
    let data = Value::Null;
    let run = |template: &str| {
        let mut out = String::new();
        let template = Template::parse(template).map_err(|error| error.to_string())?;
        template
            .execute(Val::json(&data), Options::default(), &mut out)
            .map_err(|error| error.to_string())?;
        Ok::<_, String>(out.len())
    };
    let deep =
        |open: &str, close: &str, depth: usize| format!("{}{}", open.repeat(depth), close.repeat(depth));
    assert_eq!(run(&deep("{{if true}}", "{{end}}", 150)), Ok(0));
    for template in [
        deep("{{if true}}", "{{end}}", 100_000),
        format!("{{{{{}1{}}}}}", "(".repeat(100_000), ")".repeat(100_000)),
        format!("{{{{if true}}}}{}", "{{else if true}}".repeat(100_000)),
        format!(
            "{{{{define \"r\"}}}}{}{{{{template \"r\"}}}}{}{{{{end}}}}{{{{template \"r\"}}}}",
            "{{if true}}".repeat(150),
            "{{end}}".repeat(150)
        ),
        "{{pad \"x\" 1000000000000 1}}".into(),
        "{{slice \"é\" 1 5}}".into(),
        "{{index \"é\" 9223372036854775807}}".into(),
    ] {
        assert!(run(&template).is_err(), "{:.60}", template);
    }
    assert_eq!(run("{{printf \"%1000001d\" 1}}"), Ok("%!(BADWIDTH)1".len()));
    assert_eq!(run("{{slice \"é\" 1}}{{truncate \"é\" 1}}"), Ok(2 * "\u{fffd}".len()));
}
