//! `--change`: one Dockerfile instruction that alters an image's configuration.

use serde_json::{Map, Value, json};

use crate::error::{Error, Result};

/// Apply `instruction` (`CMD ["sh"]`, `ENV A=b`, …) to the `config` object of an image configuration.
pub fn apply(config: &mut Map<String, Value>, instruction: &str) -> Result<()> {
    let (keyword, rest) = match instruction.trim().split_once(char::is_whitespace) {
        Some((keyword, rest)) => (keyword, rest.trim()),
        None => (instruction.trim(), ""),
    };
    let keyword = keyword.to_ascii_uppercase();
    if rest.is_empty() {
        return Err(Error::usage(match known(&keyword) {
            true => format!("{keyword} requires at least one argument"),
            false => unknown(&keyword),
        }));
    }
    match keyword.as_str() {
        "CMD" => set(config, "Cmd", command(rest)?),
        "ENTRYPOINT" => set(config, "Entrypoint", command(rest)?),
        "ENV" => env(config, rest)?,
        "LABEL" => {
            for (key, value) in pairs(rest, "LABEL")? {
                insert(config, "Labels", key, Value::String(value));
            }
        }
        "EXPOSE" => {
            for port in words(rest)? {
                let port = if port.contains('/') { port } else { format!("{port}/tcp") };
                check_port(&port)?;
                insert(config, "ExposedPorts", port, json!({}));
            }
        }
        "VOLUME" => {
            let paths = match json_strings(rest) {
                Some(paths) => paths,
                None => words(rest)?,
            };
            for path in paths {
                insert(config, "Volumes", path, json!({}));
            }
        }
        "USER" => set(config, "User", Value::String(one(rest, "USER")?)),
        "STOPSIGNAL" => set(config, "StopSignal", Value::String(one(rest, "STOPSIGNAL")?)),
        "WORKDIR" => workdir(config, &unquoted(rest)?),
        "ONBUILD" => onbuild(config, rest)?,
        "HEALTHCHECK" => healthcheck(config, rest)?,
        _ => return Err(Error::usage(unknown(&keyword))),
    }
    Ok(())
}

fn known(keyword: &str) -> bool {
    matches!(
        keyword,
        "CMD"
            | "ENTRYPOINT"
            | "ENV"
            | "LABEL"
            | "EXPOSE"
            | "VOLUME"
            | "USER"
            | "STOPSIGNAL"
            | "WORKDIR"
            | "ONBUILD"
            | "HEALTHCHECK"
    )
}

fn unknown(keyword: &str) -> String {
    format!("{} is not a valid change command", keyword.to_lowercase())
}

fn set(config: &mut Map<String, Value>, key: &str, value: Value) {
    config.insert(key.to_owned(), value);
}

/// Put `value` under `name` in the object under `key`, which is made when it is not there.
fn insert(config: &mut Map<String, Value>, key: &str, name: String, value: Value) {
    if let Some(Value::Object(map)) = config.get_mut(key) {
        map.insert(name, value);
    } else {
        config.insert(key.to_owned(), Value::Object(Map::from_iter([(name, value)])));
    }
}

/// A JSON list is taken as it is, anything else is for the shell.
fn command(rest: &str) -> Result<Value> {
    Ok(match json_strings(rest) {
        Some(words) => json!(words),
        None => json!(["/bin/sh", "-c", rest]),
    })
}

fn json_strings(text: &str) -> Option<Vec<String>> {
    text.starts_with('[').then(|| serde_json::from_str(text).ok()).flatten()
}

fn env(config: &mut Map<String, Value>, rest: &str) -> Result<()> {
    let mut variables: Vec<String> = config
        .get("Env")
        .and_then(Value::as_array)
        .map(|list| list.iter().filter_map(|entry| entry.as_str().map(str::to_owned)).collect())
        .unwrap_or_default();
    for (key, value) in pairs(rest, "ENV")? {
        let entry = format!("{key}={value}");
        match variables.iter_mut().find(|entry| entry.split('=').next() == Some(key.as_str())) {
            Some(old) => *old = entry,
            None => variables.push(entry),
        }
    }
    set(config, "Env", json!(variables));
    Ok(())
}

/// `a=b c="d e"`, or the old form `a the whole rest`.
fn pairs(rest: &str, keyword: &str) -> Result<Vec<(String, String)>> {
    let invalid = || Error::usage(format!("{keyword} must have two arguments: {rest:?}"));
    let first = rest.split_whitespace().next().unwrap_or_default();
    if !first.contains('=') {
        let (key, value) = rest.split_once(char::is_whitespace).ok_or_else(invalid)?;
        return Ok(vec![(key.to_owned(), unquoted(value.trim())?)]);
    }
    words(rest)?
        .into_iter()
        .map(|word| match word.split_once('=') {
            Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
            _ => Err(invalid()),
        })
        .collect()
}

fn one(rest: &str, keyword: &str) -> Result<String> {
    match words(rest)?.as_slice() {
        [word] => Ok(word.clone()),
        _ => Err(Error::usage(format!("{keyword} requires exactly one argument"))),
    }
}

fn unquoted(text: &str) -> Result<String> {
    Ok(words(text)?.join(" "))
}

/// Words as a shell splits them: quotes and backslashes, nothing else.
fn words(text: &str) -> Result<Vec<String>> {
    let mut found = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match (letter, quote) {
            ('\'' | '"', None) => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (letter, Some(open)) if letter == open => quote = None,
            ('\\', None | Some('"')) => word.get_or_insert_default().extend(letters.next()),
            (letter, None) if letter.is_whitespace() => found.extend(word.take()),
            (letter, _) => word.get_or_insert_default().push(letter),
        }
    }
    if quote.is_some() {
        return Err(Error::usage(format!(
            "unexpected end of statement while looking for matching quote: {text}"
        )));
    }
    found.extend(word);
    Ok(found)
}

fn check_port(port: &str) -> Result<()> {
    let (range, protocol) = port.split_once('/').unwrap_or((port, "tcp"));
    let number = |text: &str| text.parse::<u16>().is_ok();
    let valid = match range.split_once('-') {
        Some((first, last)) => number(first) && number(last),
        None => number(range),
    };
    if valid && matches!(protocol, "tcp" | "udp" | "sctp") {
        return Ok(());
    }
    Err(Error::usage(format!("Invalid containerPort: {range}")))
}

fn workdir(config: &mut Map<String, Value>, path: &str) {
    let before = config.get("WorkingDir").and_then(Value::as_str).unwrap_or("/");
    let joined = if path.starts_with('/') {
        path.to_owned()
    } else {
        format!("{}/{path}", before.trim_end_matches('/'))
    };
    let joined = if joined.starts_with('/') { joined } else { format!("/{joined}") };
    set(config, "WorkingDir", Value::String(joined));
}

fn onbuild(config: &mut Map<String, Value>, rest: &str) -> Result<()> {
    let keyword = rest.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
    match keyword.as_str() {
        "ONBUILD" => return Err(Error::usage("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed")),
        "MAINTAINER" | "FROM" => {
            return Err(Error::usage(format!("{keyword} isn't allowed as an ONBUILD trigger")));
        }
        _ => {}
    }
    match config.entry("OnBuild").or_insert_with(|| json!([])) {
        Value::Array(list) => list.push(Value::String(rest.to_owned())),
        other => *other = json!([rest]),
    }
    Ok(())
}

fn healthcheck(config: &mut Map<String, Value>, rest: &str) -> Result<()> {
    let mut check = Map::new();
    let mut rest = rest;
    while let Some(option) = rest.strip_prefix("--") {
        let (option, after) = option.split_once(char::is_whitespace).unwrap_or((option, ""));
        rest = after.trim_start();
        let (name, value) = option
            .split_once('=')
            .ok_or_else(|| Error::usage(format!("HEALTHCHECK --{option} needs a value")))?;
        let duration = || {
            nanoseconds(value)
                .ok_or_else(|| Error::usage(format!("HEALTHCHECK --{name}: invalid duration {value:?}")))
        };
        match name {
            "interval" => check.insert("Interval".into(), json!(duration()?)),
            "timeout" => check.insert("Timeout".into(), json!(duration()?)),
            "start-period" => check.insert("StartPeriod".into(), json!(duration()?)),
            "start-interval" => check.insert("StartInterval".into(), json!(duration()?)),
            "retries" => {
                let count: u32 = value
                    .parse()
                    .map_err(|_| Error::usage(format!("HEALTHCHECK --retries: invalid number {value:?}")))?;
                check.insert("Retries".into(), json!(count))
            }
            _ => return Err(Error::usage(format!("unknown flag: --{name}"))),
        };
    }
    let (kind, rest) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let test = match (kind.to_ascii_uppercase().as_str(), rest.trim()) {
        ("NONE", "") => json!(["NONE"]),
        ("CMD", rest) if !rest.is_empty() => match json_strings(rest) {
            Some(words) => json!([vec!["CMD".to_owned()], words].concat()),
            None => json!(["CMD-SHELL", rest]),
        },
        _ => return Err(Error::usage(format!("unknown type {kind:?} in HEALTHCHECK (try CMD)"))),
    };
    check.insert("Test".into(), test);
    set(config, "Healthcheck", Value::Object(check));
    Ok(())
}

/// A Go duration (`1m30s`, `500ms`) in nanoseconds.
fn nanoseconds(text: &str) -> Option<u64> {
    let mut total = 0f64;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let unit = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        total += number
            * match &rest[..unit] {
                "ns" => 1.0,
                "us" | "µs" => 1e3,
                "ms" => 1e6,
                "s" => 1e9,
                "m" => 60e9,
                "h" => 3600e9,
                _ => return None,
            };
        rest = &rest[unit..];
    }
    (!text.is_empty()).then_some(total as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(instructions: &[&str]) -> Value {
        let mut config = Map::new();
        for instruction in instructions {
            apply(&mut config, instruction).unwrap_or_else(|error| panic!("{instruction}: {error}"));
        }
        Value::Object(config)
    }

    #[test]
    fn instructions_change_the_configuration() {
        let cases: &[(&[&str], Value)] = &[
            (&["CMD [\"sh\", \"-c\"]"], json!({"Cmd": ["sh", "-c"]})),
            (&["cmd echo hi"], json!({"Cmd": ["/bin/sh", "-c", "echo hi"]})),
            (&["ENTRYPOINT [\"/x\"]"], json!({"Entrypoint": ["/x"]})),
            (
                &["ENV A=b C=\"d e\"", "ENV A=2", "ENV OLD the rest"],
                json!({"Env": ["A=2", "C=d e", "OLD the rest".replacen(' ', "=", 1)]}),
            ),
            (&["LABEL a=b c='d e'"], json!({"Labels": {"a": "b", "c": "d e"}})),
            (&["EXPOSE 80 53/udp"], json!({"ExposedPorts": {"80/tcp": {}, "53/udp": {}}})),
            (&["VOLUME /a /b", "VOLUME [\"/c d\"]"], json!({"Volumes": {"/a": {}, "/b": {}, "/c d": {}}})),
            (&["USER 1:2", "STOPSIGNAL SIGINT"], json!({"User": "1:2", "StopSignal": "SIGINT"})),
            (&["WORKDIR /a", "WORKDIR b"], json!({"WorkingDir": "/a/b"})),
            (&["ONBUILD RUN x"], json!({"OnBuild": ["RUN x"]})),
            (
                &["HEALTHCHECK --interval=1m30s --retries=2 CMD curl x"],
                json!({"Healthcheck": {"Interval": 90_000_000_000u64, "Retries": 2, "Test": ["CMD-SHELL", "curl x"]}}),
            ),
        ];
        for (instructions, expected) in cases {
            assert_eq!(changed(instructions), *expected, "{instructions:?}");
        }
    }

    #[test]
    fn mistakes_are_refused() {
        for instruction in [
            "",
            "RUN x",
            "CMD",
            "ENV A",
            "EXPOSE x",
            "EXPOSE 99999",
            "LABEL =x",
            "USER a b",
            "ENV A='x",
            "ONBUILD FROM x",
        ] {
            assert!(apply(&mut Map::new(), instruction).is_err(), "{instruction}");
        }
    }
}
