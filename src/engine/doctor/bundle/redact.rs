//! Secrets out of what leaves the machine. Files that can be parsed lose the values of keys that name a secret; all
//! other text, and every value that stays, loses what looks like one. Rather too much than too little goes.

use std::sync::OnceLock;

use regex_lite::Regex;
use serde_json::{Map, Value};

use crate::engine::doctor::settings;

/// What stands where a secret stood.
const STARS: &str = "***";
/// Parts of keys whose values are secrets, in small letters and without separators.
const SECRETS: [&str; 12] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "apikey",
    "accesskey",
    "privatekey",
    "credential",
    "cookie",
    "authorization",
    "keydata",
];
/// Keys below which every value is hidden: headers of requests, environments of processes.
const HIDDEN: [&str; 6] = ["header", "headers", "env", "environment", "envs", "auths"];

/// Whether the value of `key` is a secret.
fn is_secret(key: &str) -> bool {
    let plain: String = key
        .chars()
        .filter(|letter| letter.is_alphanumeric())
        .map(|letter| letter.to_ascii_lowercase())
        .collect();
    plain.ends_with("auth") || SECRETS.iter().any(|part| plain.contains(part))
}

/// A parsed file or record without its secrets.
pub(super) fn json(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            Value::Object(map.iter().map(|(key, value)| (key.clone(), entry(key, value))).collect())
        }
        Value::Array(list) => {
            let mut after_flag = false;
            let list = list.iter().map(|value| {
                let hidden =
                    std::mem::replace(&mut after_flag, value.as_str().is_some_and(is_flag_of_a_secret));
                if hidden { hide(value) } else { json(value) }
            });
            Value::Array(list.collect())
        }
        Value::String(text) => Value::String(inner(text)),
        other => other.clone(),
    }
}

fn entry(key: &str, value: &Value) -> Value {
    if HIDDEN.contains(&key.to_ascii_lowercase().as_str()) {
        return named(value);
    }
    if is_secret(key) { hide(value) } else { json(value) }
}

/// `--password`, whose value is the next argument.
fn is_flag_of_a_secret(text: &str) -> bool {
    text.starts_with('-') && !text.contains(['=', ' ']) && is_secret(text)
}

/// Every value hidden.
fn hide(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            Value::Object(map.iter().map(|(key, value)| (key.clone(), hide(value))).collect())
        }
        Value::Array(list) => Value::Array(list.iter().map(hide).collect()),
        Value::String(_) | Value::Number(_) => STARS.into(),
        Value::Bool(_) | Value::Null => value.clone(),
    }
}

/// Every value hidden, names kept: `NAME=value`, `{"name": …, "value": …}`, or a map.
fn named(value: &Value) -> Value {
    match value {
        Value::String(text) => match text.split_once('=') {
            Some((name, _)) => format!("{name}={STARS}").into(),
            None => STARS.into(),
        },
        Value::Array(list) => Value::Array(list.iter().map(named).collect()),
        Value::Object(map) => {
            let shown = |key: &str| key == "name" && map.contains_key("value");
            let hidden: Map<String, Value> = map
                .iter()
                .map(|(key, value)| (key.clone(), if shown(key) { json(value) } else { hide(value) }))
                .collect();
            Value::Object(hidden)
        }
        other => hide(other),
    }
}

/// A value that stays; one that is JSON itself (an annotation with a whole manifest) is looked into.
fn inner(value: &str) -> String {
    if value.starts_with(['{', '['])
        && let Ok(parsed @ (Value::Object(_) | Value::Array(_))) = serde_json::from_str(value)
    {
        return json(&parsed).to_string();
    }
    text(value)
}

/// Any text without what looks like a secret.
pub(super) fn text(text: &str) -> String {
    let mut out = without_keys(text);
    for (pattern, replacement) in patterns() {
        // Most texts have nothing to replace.
        if let std::borrow::Cow::Owned(replaced) = pattern.replace_all(&out, *replacement) {
            out = replaced;
        }
    }
    out
}

/// Private keys in PEM's form, also one that is cut off.
fn without_keys(text: &str) -> String {
    const BEGIN: &str = "-----BEGIN ";
    const KIND: &str = "PRIVATE KEY-----";
    const END: &str = "-----END ";
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(BEGIN) {
        let (before, block) = rest.split_at(at);
        out.push_str(before);
        let title = block[BEGIN.len()..].find("-----").map(|end| &block[..BEGIN.len() + end + 5]);
        let Some(title) = title.filter(|title| title.ends_with(KIND)) else {
            out.push_str(BEGIN);
            rest = &block[BEGIN.len()..];
            continue;
        };
        out.push_str("*** a private key ***");
        let body = &block[title.len()..];
        rest = match body.find(END) {
            Some(end) => {
                let after = &body[end + END.len()..];
                after.find("-----").map_or("", |close| &after[close + 5..])
            }
            None => "",
        };
    }
    out.push_str(rest);
    out
}

fn patterns() -> &'static [(Regex, &'static str)] {
    static PATTERNS: OnceLock<Vec<(Regex, &'static str)>> = OnceLock::new();
    const TEXTS: [(&str, &str); 7] = [
        // A user and a password in an address.
        (r#"(?i)([a-z][a-z0-9+.-]*://)[^/\s@"'<>]+@"#, "$1***@"),
        // A header, to the end of the line.
        (r#"(?i)((?:proxy-)?authorization[\\"']*\s*[:=]\s*[\\"']*)[^\r\n"'\\]+"#, "$1***"),
        (r"(?i)\b(bearer|basic)\s+[a-z0-9+/=._~-]{6,}", "$1 ***"),
        // A key that names a secret, and its value in quotes of whatever kind, or without.
        (
            r#"(?i)([\w.-]*(?:password|passwd|passphrase|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|credential|cookie|auth)[\w.-]*[\\"']*\s*[=:]\s*)(?:\\+"[^"\\]*\\*"?|"(?:[^"\\]|\\.)*"?|'[^']*'?|[^\s,;&"'}\]]+)"#,
            "$1***",
        ),
        (r"(?i)(\s--?[\w-]*(?:password|passwd|secret|token|api-?key|credential)[\w-]*\s+)[^\s-]\S*", "$1***"),
        // Tokens that are known by their form.
        (r"\beyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*){1,2}", STARS),
        (r"\b(?:(?:AKIA|ASIA)[A-Z0-9]{16}|gh[pousr]_[A-Za-z0-9]{20,}|glpat-[A-Za-z0-9_-]{16,})", STARS),
    ];
    PATTERNS.get_or_init(|| {
        TEXTS.iter().filter_map(|(pattern, stars)| Some((Regex::new(pattern).ok()?, *stars))).collect()
    })
}

/// A TOML file: parsed, as JSON; where it cannot be parsed, its text with every value of a doubtful table hidden.
pub(super) fn toml(content: &str) -> String {
    match settings::parse(content) {
        Ok(table) => pretty(&json(&Value::Object(table))),
        Err(why) => format!("# cannot be parsed: {}\n{}", text(&why), broken(content)),
    }
}

/// A YAML file as JSON; where it cannot be parsed, its text.
pub(super) fn yaml(content: &str) -> String {
    match serde_saphyr::from_str::<Value>(content) {
        Ok(value) => pretty(&json(&value)),
        Err(_) => broken(content),
    }
}

/// A JSON file; where it cannot be parsed, its text.
pub(super) fn json_text(content: &str) -> String {
    match serde_json::from_str::<Value>(content) {
        Ok(value) => pretty(&json(&value)),
        Err(_) => broken(content),
    }
}

pub(super) fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

/// A file that nobody can parse: below a title or key that may hold secrets, nothing but the names is kept.
fn broken(content: &str) -> String {
    let mut out = String::new();
    let mut hidden = false;
    for line in without_keys(content).lines() {
        let trimmed = line.trim_start();
        let name: String = trimmed.to_ascii_lowercase();
        if trimmed.starts_with('[') {
            hidden = ["header", "auth", "env", "secret"].iter().any(|part| name.contains(part));
        }
        let doubtful = hidden || ["header", "env", "auth"].iter().any(|part| name.contains(part));
        match line.split_once(['=', ':']) {
            _ if trimmed.starts_with('[') && trimmed.ends_with(']') => out.push_str(line),
            Some((key, _)) if doubtful => out.push_str(&format!("{key}= {STARS}")),
            None if doubtful => out.push_str(STARS),
            _ => out.push_str(&text(line)),
        }
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SECRET: &str = "s3cr3t-V4lue";

    #[test]
    fn keys_that_name_a_secret_lose_their_values() {
        for key in [
            "auth",
            "password",
            "identitytoken",
            "registryToken",
            "X-Registry-Auth",
            "client_secret",
            "access_key",
            "apiKey",
            "client-key-data",
            "Cookie",
            "authorization",
            "privateKey",
        ] {
            let told = json(&json!({ key: SECRET, "kept": "v" }));
            assert_eq!(told, json!({ key: STARS, "kept": "v" }), "{key}");
            let deep = json(&json!({ key: { "a": [SECRET, 1, true] } }));
            assert_eq!(deep, json!({ key: { "a": [STARS, STARS, true] } }), "{key}");
        }
        for key in ["name", "author", "image", "authority"] {
            assert_eq!(json(&json!({ key: "v" })), json!({ key: "v" }), "{key}");
        }
    }

    #[test]
    fn environments_and_headers_keep_their_names() {
        let told = json(&json!({
            "env": ["PATH=/bin", format!("DB={SECRET}")],
            "header": { "x-own": [SECRET], "other": SECRET },
            "containers": [{ "env": [{ "name": "DB", "value": SECRET }] }],
            "args": ["run", "--db-password", SECRET, "--verbose", "--token=abcdef", "x"],
        }));
        assert!(!told.to_string().contains(SECRET), "{told}");
        assert_eq!(told["env"], json!(["PATH=***", "DB=***"]));
        assert_eq!(told["header"], json!({ "x-own": [STARS], "other": STARS }));
        assert_eq!(told["containers"][0]["env"], json!([{ "name": "DB", "value": STARS }]));
        assert_eq!(told["args"], json!(["run", "--db-password", STARS, "--verbose", "--token=***", "x"]));
    }

    #[test]
    fn json_in_a_value_is_looked_into() {
        let manifest =
            json!({ "spec": { "containers": [{ "env": [{ "name": "A", "value": SECRET }] }] } }).to_string();
        let told = json(&json!({ "annotations": { "last-applied": manifest } }));
        assert!(!told.to_string().contains(SECRET), "{told}");
        assert!(told.to_string().contains("containers"), "{told}");
    }

    #[test]
    fn text_loses_what_looks_like_a_secret() {
        for line in [
            "pull https://me:s3cr3t-V4lue@registry.example/v2/",
            "PASSWORD=s3cr3t-V4lue next",
            "db_password: s3cr3t-V4lue",
            r#"{"level":"info","auth":"s3cr3t-V4lue","x":1}"#,
            r#"msg="{\"identitytoken\":\"s3cr3t-V4lue\"}""#,
            "Authorization: Basic s3cr3t-V4lue",
            "Authorization: Custom a b s3cr3t-V4lue",
            "got Bearer s3cr3t-V4lue from it",
            "exec mysql --password s3cr3t-V4lue -h x",
            "token 'x': password='s3cr3t-V4lue with blanks'",
            "secret=\"a \\\" s3cr3t-V4lue\"",
            "unterminated token=\"s3cr3t-V4lue",
        ] {
            let told = text(line);
            assert!(!told.contains("s3cr3t") && told.contains(STARS), "{line}: {told}");
        }
        for line in [
            "jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc",
            "key AKIAIOSFODNN7EXAMPLE",
            "ghp_0123456789abcdefghijklmnop",
        ] {
            assert!(text(line).ends_with(STARS), "{line}: {}", text(line));
        }
        for line in
            ["pulled docker.io/library/busybox@sha256:abc", "the disk is full: 97%", "author: somebody"]
        {
            let told = text(line);
            assert!(told == line || line.starts_with("author"), "{line}: {told}");
        }
    }

    #[test]
    fn private_keys_go_whole() {
        let key = "a\n-----BEGIN EC PRIVATE KEY-----\nMHcCAQEE\n-----END EC PRIVATE KEY-----\nb -----BEGIN CERTIFICATE-----\nMII\n";
        assert_eq!(text(key), "a\n*** a private key ***\nb -----BEGIN CERTIFICATE-----\nMII\n");
        assert_eq!(text("x -----BEGIN PRIVATE KEY-----\nMHcCAQEE\n"), "x *** a private key ***");
    }

    #[test]
    fn files_are_parsed_or_hidden() {
        let good = "[plugins.x.registry.configs.\"r:5000\".auth]\nusername = 'me'\npassword = 's3cr3t-V4lue'\n\
            [host.'https://m'.header]\nx-own = ['s3cr3t-V4lue']\n";
        let told = toml(good);
        assert!(!told.contains("s3cr3t") && told.contains("configs") && told.contains("x-own"), "{told}");
        let bad = "[host.'https://m'.header]\nx-own = [\n's3cr3t-V4lue',\n]\n[other]\nkept = 5\noops\nheader = {a = 's3cr3t-V4lue'}\n=\n";
        let told = toml(bad);
        assert!(!told.contains("s3cr3t") && told.contains("kept = 5") && told.contains("x-own"), "{told}");
        let told = yaml("kind: X\nenv:\n- name: A\n  value: s3cr3t-V4lue\npassword: s3cr3t-V4lue\n");
        assert!(!told.contains("s3cr3t") && told.contains("\"kind\": \"X\""), "{told}");
        assert!(!json_text("{\"auth\": \"s3cr3t-V4lue\", ").contains("s3cr3t"));
    }
}
