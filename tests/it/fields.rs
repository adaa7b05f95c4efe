//! Every field of docker's JSON, with docker's name and type: `inspect` of a container and an image, `info` and
//! `version` are compared with the table of fields (tests/data/inspect-fields.tsv).

use serde_json::Value;

use crate::container::{BUSYBOX, engine, sleeper};

const FIELDS: &str = include_str!("../data/inspect-fields.tsv");

#[test]
fn every_field_has_dockers_name_and_type() {
    let engine = engine();
    let directory = engine.directory().display().to_string();
    sleeper(
        &engine,
        &[
            "--name",
            "full",
            "-p",
            "127.0.0.1:0:80",
            "-v",
            "/data",
            "-v",
            &format!("{directory}:/host:ro"),
            "--mount",
            "type=tmpfs,dst=/t,tmpfs-size=1m,tmpfs-mode=700",
            "--memory",
            "64m",
            "--ulimit",
            "nofile=10000:20000",
            "--device",
            "/dev/null:/dev/other:rw",
            "--label",
            "a=b",
            "--annotation",
            "c=d",
            "--sysctl",
            "net.ipv4.ip_forward=1",
            "--add-host",
            "x:1.2.3.4",
            "--dns",
            "192.0.2.1",
            "--cap-add",
            "NET_ADMIN",
            "--log-opt",
            "max-size=1m",
            "--stop-timeout",
            "1",
            "--expose",
            "90",
        ],
    );
    engine.wharfie(["create", "--name", "plain", BUSYBOX]).ok();
    let json = |arguments: &[&str]| -> Value {
        serde_json::from_str(engine.wharfie(arguments.iter().copied()).ok()).expect("JSON")
    };
    let mut wrong = Vec::new();
    for name in ["full", "plain"] {
        wrong.extend(compare("container inspect", &json(&["inspect", "--size", name])[0]));
    }
    wrong.extend(compare("image inspect", &json(&["image", "inspect", BUSYBOX])[0]));
    wrong.extend(compare("info", &json(&["info", "--format", "json"])));
    wrong.extend(compare("version (server part)", &json(&["version", "--format", "json"])["Server"]));
    wrong.dedup();
    assert_eq!(wrong, Vec::<String>::new());
    // Times are docker's, never ones included.
    let times = json(&["inspect", "plain"]);
    assert_eq!(times[0]["State"]["StartedAt"], "0001-01-01T00:00:00Z");
    let created = times[0]["Created"].as_str().expect("a time");
    assert!(created.ends_with('Z') && created.contains('T') && created.contains('.'), "{created}");
    engine.wharfie(["rm", "-fv", "full", "plain"]).ok();
    engine.assert_clean();
}

/// What of `object`'s table is missing in `value`, or of another type.
pub(crate) fn compare(object: &str, value: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut seen = 0;
    for row in FIELDS.lines() {
        let columns: Vec<&str> = row.split('\t').collect();
        let [kind, path, go_type, omit, _, of_nerdctl, ..] = columns[..] else { continue };
        if kind != object || of_nerdctl == "nerdctl-only" {
            continue;
        }
        seen += 1;
        let mut places = vec![value];
        let steps: Vec<&str> = path.split('.').collect();
        for (at, step) in steps.iter().enumerate() {
            let last = at + 1 == steps.len();
            let name = step.trim_end_matches("[]").trim_end_matches("{}");
            let mut next = Vec::new();
            for place in places {
                match place.get(name) {
                    Some(found) if last && step.len() == name.len() => {
                        if let Some(why) = mismatch(found, go_type) {
                            wrong.push(format!("{object} {path}: {why}"));
                        }
                    }
                    Some(found) => match found {
                        Value::Array(list) if step.ends_with("[]") => next.extend(list),
                        Value::Object(map) if step.ends_with("{}") => next.extend(map.values()),
                        other => next.push(other),
                    },
                    None if last && omit.is_empty() && place.is_object() => {
                        wrong.push(format!("{object} {path}: missing"));
                    }
                    None => {}
                }
            }
            places = next;
        }
    }
    assert!(seen > 10, "{object} is not in the table");
    wrong
}

/// Why the value cannot be of Go's type; None where it can.
fn mismatch(value: &Value, go_type: &str) -> Option<String> {
    let is_integer = |value: &Value| value.is_i64() || value.is_u64();
    let fits = match go_type {
        "string" | "time.Time" | "netip.Addr" | "netip.Prefix" | "network.HardwareAddr" | "digest.Digest" => {
            value.is_string()
        }
        "bool" => value.is_boolean(),
        "int" | "int32" | "int64" | "uint16" | "uint32" | "uint64" | "time.Duration" | "fs.FileMode" => {
            is_integer(value)
        }
        // An empty slice of bytes is a text.
        "[]uint8" => true,
        "*bool" => value.is_null() || value.is_boolean(),
        "*int" | "*int64" => value.is_null() || is_integer(value),
        list if list.starts_with("[]") => value.is_null() || value.is_array(),
        list if list.starts_with('[') => value.is_array(),
        map if map.starts_with("map[") => value.is_null() || value.is_object(),
        pointer if pointer.starts_with('*') => value.is_null() || value.is_object(),
        // Named types: texts, or structures.
        _ => value.is_string() || value.is_object() || is_integer(value),
    };
    (!fits).then(|| format!("{value} is no {go_type}"))
}
