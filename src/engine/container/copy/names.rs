//! docker's rules for the two paths of a copy: what a slash or `/.` at the end means, what an entry is called
//! at its destination, and which pairs are mistakes.

use std::path::{Component, Path, PathBuf};

use crate::error::{Error, Result};

/// One end of a copy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct End {
    /// The absolute path, with what was asked for at its end (`/`, `/.`).
    pub path: String,
    /// Something is there.
    pub exists: bool,
    /// A directory is.
    pub is_directory: bool,
    /// The name that was asked for, where links have led to another one.
    pub asked: Option<String>,
}

/// Where the entries of a copy go: the directory, and the name of the first one in it.
pub fn target(source: &End, destination: &End) -> Result<(String, String)> {
    let name = || source.asked.clone().unwrap_or_else(|| base(&source.path));
    if destination.exists && destination.is_directory {
        return Ok((destination.path.clone(), name()));
    }
    if destination.exists && source.is_directory {
        return Err(Error::failed("cannot copy directory").hint(format!("{} is a file", destination.path)));
    }
    if !destination.exists && !source.is_directory && asserts_directory(&destination.path) {
        return Err(Error::failed("no such directory").hint(format!("make {} first", destination.path)));
    }
    Ok(split(&destination.path))
}

/// A path of a container: absolute and clean, what stands at its end kept.
pub fn in_container(path: &str) -> String {
    keep_end(&clean(&format!("/{path}")), path)
}

/// `cleaned` with the `/` or `/.` that `original` ends with.
pub fn keep_end(cleaned: &str, original: &str) -> String {
    let mut path = cleaned.to_owned();
    if !means_itself(&path) && means_itself(original) {
        if !path.ends_with('/') {
            path.push('/');
        }
        path.push('.');
    }
    if !path.ends_with('/') && original.ends_with('/') {
        path.push('/');
    }
    path
}

/// Whether only a directory can be meant.
pub fn asserts_directory(path: &str) -> bool {
    path.ends_with('/') || means_itself(path)
}

/// The last component is a dot: what is in the directory, not the directory.
fn means_itself(path: &str) -> bool {
    base(path) == "."
}

/// The last component, slashes at the end left out; `/` of the root, `.` of nothing.
pub fn base(path: &str) -> String {
    if path.is_empty() {
        return ".".into();
    }
    match path.trim_end_matches('/').rsplit('/').next() {
        Some("") | None => "/".into(),
        Some(name) => name.to_owned(),
    }
}

/// The directory, and the entry in it that the path names: `.` where its content is meant.
pub fn split(path: &str) -> (String, String) {
    let cleaned = clean(path);
    if means_itself(path) {
        return (cleaned, ".".into());
    }
    let directory = match cleaned.rsplit_once('/') {
        Some(("", _)) => "/".into(),
        Some((directory, _)) => directory.to_owned(),
        None => ".".into(),
    };
    (directory, base(&cleaned))
}

/// An absolute path without `.`, `..` and doubled slashes, by its text alone.
pub fn clean(path: &str) -> String {
    let mut cleaned = PathBuf::from("/");
    for part in Path::new(path).components() {
        match part {
            Component::ParentDir => drop(cleaned.pop()),
            Component::Normal(name) => cleaned.push(name),
            _ => {}
        }
    }
    cleaned.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_kept() {
        for (typed, expected) in [
            ("/a/b", "/a/b"),
            ("a/", "/a/"),
            ("/a/.", "/a/."),
            ("/a/./", "/a/./"),
            ("", "/."),
            (".", "/."),
            ("/", "/"),
            ("/a//b/../c", "/a/c"),
            ("../../etc", "/etc"),
        ] {
            assert_eq!(in_container(typed), expected, "{typed}");
        }
    }

    #[test]
    fn paths_are_split_as_docker_does() {
        for (path, expected) in [
            ("/a/b", ("/a", "b")),
            ("/a/b/", ("/a", "b")),
            ("/a/.", ("/a", ".")),
            ("/a", ("/", "a")),
            ("/", ("/", "/")),
        ] {
            let (directory, name) = split(path);
            assert_eq!((directory.as_str(), name.as_str()), expected, "{path}");
        }
        assert_eq!((base("/"), base("/a/"), base("/a/.")), ("/".into(), "a".into(), ".".into()));
    }

    #[test]
    fn every_pair_of_ends() {
        let end =
            |path: &str, exists, is_directory| End { path: path.into(), exists, is_directory, asked: None };
        let file = end("/s/f", true, false);
        let directory = end("/s/d", true, true);
        let content = end("/s/d/.", true, true);
        let to_directory = end("/t/x", true, true);
        let to_file = end("/t/x", true, false);
        let to_nothing = end("/t/x", false, false);
        let to_no_directory = end("/t/x/", false, false);
        let renamed = End { asked: Some("l".into()), ..file.clone() };
        type Expected = Result<(&'static str, &'static str), &'static str>;
        let cases: [(&End, &End, Expected); 13] = [
            (&file, &to_directory, Ok(("/t/x", "f"))),
            (&directory, &to_directory, Ok(("/t/x", "d"))),
            (&content, &to_directory, Ok(("/t/x", "."))),
            (&renamed, &to_directory, Ok(("/t/x", "l"))),
            (&file, &to_file, Ok(("/t", "x"))),
            (&renamed, &to_file, Ok(("/t", "x"))),
            (&directory, &to_file, Err("cannot copy directory")),
            (&content, &to_file, Err("cannot copy directory")),
            (&file, &to_nothing, Ok(("/t", "x"))),
            (&directory, &to_nothing, Ok(("/t", "x"))),
            (&content, &to_nothing, Ok(("/t", "x"))),
            (&file, &to_no_directory, Err("no such directory")),
            (&directory, &to_no_directory, Ok(("/t", "x"))),
        ];
        for (source, destination, expected) in cases {
            let found = target(source, destination).map_err(|error| error.message);
            let found = found.as_ref().map(|(a, b)| (a.as_str(), b.as_str())).map_err(String::as_str);
            assert_eq!(found, expected, "{source:?} {destination:?}");
        }
    }
}
