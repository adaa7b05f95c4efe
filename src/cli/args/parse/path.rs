//! Paths as text: absolute, without `.`, `..` and doubled slashes. Nothing is looked up on disk.

use std::path::Path;

/// `path` without `.`, `..` and doubled slashes; an absolute path stays one.
pub fn clean(path: &str) -> String {
    let absolute = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if matches!(parts.last(), Some(&last) if last != "..") => {
                parts.pop();
            }
            ".." if absolute => {}
            _ => parts.push(part),
        }
    }
    let joined = parts.join("/");
    match (absolute, joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => ".".into(),
        (false, false) => joined,
    }
}

/// `path` below `directory` unless it is absolute already, cleaned.
pub fn absolute(path: &str, directory: &Path) -> String {
    if path.starts_with('/') { clean(path) } else { clean(&format!("{}/{path}", directory.display())) }
}

/// Whether `path` stays below the directory it is taken from.
pub fn is_local(path: &str) -> bool {
    let cleaned = clean(path);
    !path.is_empty() && !cleaned.starts_with('/') && cleaned != ".." && !cleaned.starts_with("../")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        for (text, want) in [
            ("/", "/"),
            ("/..", "/"),
            ("//a//b/", "/a/b"),
            ("/a/./b/../c", "/a/c"),
            ("a/../..", ".."),
            ("../../x", "../../x"),
            ("", "."),
            ("./x", "x"),
        ] {
            assert_eq!(clean(text), want, "{text}");
        }
        assert_eq!(absolute("../x", Path::new("/home/me")), "/home/x");
        assert_eq!(absolute("/etc/", Path::new("/home/me")), "/etc");
        assert!(is_local("a/b") && is_local("a/../b") && is_local("."));
        assert!(!is_local("../a") && !is_local("/a") && !is_local("a/../../b") && !is_local(""));
    }
}
