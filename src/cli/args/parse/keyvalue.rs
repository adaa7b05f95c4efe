//! `-e`, `--env-file`, `-l`, `--label-file`, `--annotation`, `--sysctl`: names with values.

use super::Parsed;

/// The longest line of an env file that docker reads.
const MAX_LINE: usize = 64 * 1024;

/// `-e KEY=value` as it is; `-e KEY` with the variable's value, or alone where it is not set: that takes the
/// image's away.
pub fn environment(text: &str, lookup: &dyn Fn(&str) -> Option<String>) -> Parsed<String> {
    let (key, value) = split(text);
    if key.is_empty() {
        return Err(format!("invalid environment variable: {text}"));
    }
    if value.is_some() {
        return Ok(text.to_owned());
    }
    Ok(lookup(key).map_or_else(|| key.to_owned(), |value| format!("{key}={value}")))
}

/// The lines `KEY=value` of an env file or label file: no quotes, no substitution. `KEY` alone takes the value
/// that `lookup` gives, or is left out.
pub fn file(content: &[u8], lookup: &dyn Fn(&str) -> Option<String>) -> Parsed<Vec<String>> {
    let content = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content);
    let mut lines = Vec::new();
    for (index, line) in content.split(|byte| *byte == b'\n').enumerate() {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.len() >= MAX_LINE {
            return Err(format!("line {} is longer than {MAX_LINE} bytes", index + 1));
        }
        let Ok(line) = std::str::from_utf8(line) else {
            return Err(format!("invalid utf8 bytes at line {}: {}", index + 1, bytes_as_go(line)));
        };
        let line = line.trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (key, value) = split(line);
        if key.is_empty() {
            return Err(format!("no variable name on line '{line}'"));
        }
        if key.contains([' ', '\t']) {
            return Err(format!("variable '{key}' contains whitespaces"));
        }
        if value.is_some() {
            lines.push(line.to_owned());
        } else if let Some(value) = lookup(key) {
            lines.push(format!("{key}={value}"));
        }
    }
    Ok(lines)
}

/// `-l key[=value]`: the key and the value, empty where there is none.
pub fn label(text: &str) -> Parsed<(String, String)> {
    let (key, value) = split(text);
    let trimmed = key.trim_start_matches([' ', '\t']);
    if trimmed.is_empty() {
        return Err(format!("invalid label '{text}': empty name"));
    }
    if trimmed.contains([' ', '\t']) {
        return Err(format!("label '{trimmed}' contains whitespaces"));
    }
    Ok((key.to_owned(), value.unwrap_or_default().to_owned()))
}

/// `--sysctl name=value`, one of those that belong to a container's own namespaces.
pub fn sysctl(text: &str) -> Parsed<(String, String)> {
    const NAMES: [&str; 8] = [
        "kernel.msgmax",
        "kernel.msgmnb",
        "kernel.msgmni",
        "kernel.sem",
        "kernel.shmall",
        "kernel.shmmax",
        "kernel.shmmni",
        "kernel.shm_rmid_forced",
    ];
    match split(text) {
        (key, Some(value))
            if NAMES.contains(&key) || key.starts_with("net.") || key.starts_with("fs.mqueue.") =>
        {
            Ok((key.to_owned(), value.to_owned()))
        }
        _ => Err(format!("sysctl '{text}' is not allowed")),
    }
}

/// The text before the first `=` and, where there is one, the text after it.
pub fn split(text: &str) -> (&str, Option<&str>) {
    match text.split_once('=') {
        Some((key, value)) => (key, Some(value)),
        None => (text, None),
    }
}

/// `[97 255]`, the way Go prints bytes; cut, since a file may hold anything.
fn bytes_as_go(line: &[u8]) -> String {
    let mut shown: Vec<String> = line.iter().take(32).map(u8::to_string).collect();
    if line.len() > 32 {
        shown.push("…".into());
    }
    format!("[{}]", shown.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lookup(key: &str) -> Option<String> {
        match key {
            "HOME" => Some("/root".into()),
            "EMPTY" => Some(String::new()),
            _ => None,
        }
    }

    #[test]
    fn variables() {
        for (text, want) in [
            ("a=b", "a=b"),
            ("a=", "a="),
            ("a=b=c", "a=b=c"),
            ("HOME", "HOME=/root"),
            ("EMPTY", "EMPTY="),
            ("UNSET", "UNSET"),
            ("some space=x", "some space=x"),
        ] {
            assert_eq!(environment(text, &lookup).unwrap(), want, "{text}");
        }
        assert_eq!(environment("=a", &lookup).unwrap_err(), "invalid environment variable: =a");
        assert_eq!(environment("", &lookup).unwrap_err(), "invalid environment variable: ");
    }

    #[test]
    fn files() {
        let content = "\u{feff}foo=bar\n  # comment\n\n\t baz=quux \r\nHOME\nUNSET\n_foobar=foobaz\n\
                       with.dots=working\nand_underscore=\"kept\"\n#x=y\nq='1'";
        assert_eq!(
            file(content.as_bytes(), &lookup).unwrap(),
            [
                "foo=bar",
                "baz=quux ",
                "HOME=/root",
                "_foobar=foobaz",
                "with.dots=working",
                "and_underscore=\"kept\"",
                "q='1'",
            ]
        );
        for (content, want) in [
            (&b"=x"[..], "no variable name on line '=x'"),
            (b"a b=x", "variable 'a b' contains whitespaces"),
            (b"a =x", "variable 'a ' contains whitespaces"),
            (b"x\xff=1", "invalid utf8 bytes at line 1: [120 255 61 49]"),
            (b"a=1\n\xff\xfe=1", "invalid utf8 bytes at line 2: [255 254 61 49]"),
        ] {
            assert_eq!(file(content, &lookup).unwrap_err(), want);
        }
        assert!(file(&vec![b'a'; MAX_LINE], &lookup).unwrap_err().starts_with("line 1 is longer"));
        assert!(file(b"", &lookup).unwrap().is_empty());
    }

    #[test]
    fn labels() {
        assert_eq!(label("a=b=c"), Ok(("a".into(), "b=c".into())));
        assert_eq!(label("a"), Ok(("a".into(), String::new())));
        assert_eq!(label("a= spaces are fine "), Ok(("a".into(), " spaces are fine ".into())));
        assert_eq!(label("=x").unwrap_err(), "invalid label '=x': empty name");
        assert_eq!(label("  =x").unwrap_err(), "invalid label '  =x': empty name");
        assert_eq!(label("a b=x").unwrap_err(), "label 'a b' contains whitespaces");
    }

    #[test]
    fn sysctls() {
        assert_eq!(sysctl("net.core.somaxconn=1024"), Ok(("net.core.somaxconn".into(), "1024".into())));
        assert_eq!(sysctl("kernel.sem=1 2 3"), Ok(("kernel.sem".into(), "1 2 3".into())));
        assert!(sysctl("fs.mqueue.msg_max=5").is_ok());
        for text in ["kernel.hostname=x", "net.x", "=1", "", "vm.swappiness=1"] {
            assert_eq!(sysctl(text).unwrap_err(), format!("sysctl '{text}' is not allowed"));
        }
    }
}
