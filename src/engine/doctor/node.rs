//! The files of a node, below a root, so that recorded ones can stand for them.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::store::read_bounded;

/// No file that a check reads is longer.
const LARGEST_FILE: u64 = 1 << 20;

/// A node's files. Nothing is ever written.
#[derive(Debug, Clone)]
pub struct Node {
    root: PathBuf,
}

impl Node {
    /// The files below `root`; `/` is this machine.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Where a path of the node really is.
    pub(super) fn at(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// A file's text; None when it is missing, unreadable or too long.
    pub(super) fn text(&self, path: impl AsRef<Path>) -> Option<String> {
        let bytes = read_bounded(&self.at(path), LARGEST_FILE).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// A kernel file's number.
    pub(super) fn number(&self, path: impl AsRef<Path>) -> Option<u64> {
        self.text(path)?.trim().parse().ok()
    }

    /// Whether something is there.
    pub(super) fn has(&self, path: impl AsRef<Path>) -> bool {
        self.at(path).exists()
    }

    /// The names in a directory, sorted; none when there is no such directory.
    pub(super) fn names(&self, directory: impl AsRef<Path>) -> Vec<OsString> {
        let entries = std::fs::read_dir(self.at(directory)).into_iter().flatten().flatten();
        let mut names: Vec<OsString> = entries.map(|entry| entry.file_name()).collect();
        names.sort();
        names
    }

    /// The paths (as the node has them) of files in a directory whose extension is one of `extensions`, sorted.
    pub(super) fn files(&self, directory: impl AsRef<Path>, extensions: &[&str]) -> Vec<PathBuf> {
        let directory = directory.as_ref();
        let paths = self.names(directory).into_iter().map(|name| directory.join(name));
        paths
            .filter(|path| {
                path.extension().is_some_and(|end| extensions.iter().any(|wanted| end == *wanted))
                    && self.at(path).is_file()
            })
            .collect()
    }

    /// Whether systemd runs it.
    pub(super) fn has_systemd(&self) -> bool {
        self.at("/run/systemd/system").is_dir()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A node with these files.
    pub(crate) fn node(files: &[(&str, &str)]) -> (tempfile::TempDir, Node) {
        let root = tempfile::tempdir().unwrap();
        let node = Node::new(root.path());
        for (path, text) in files {
            let path = node.at(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        (root, node)
    }

    #[test]
    fn files_are_looked_for_below_the_root() {
        let (_root, node) =
            node(&[("/etc/x/b.conf", "1\n"), ("/etc/x/a.conflist", ""), ("/etc/x/c.txt", "")]);
        assert_eq!(node.number("/etc/x/b.conf"), Some(1));
        assert_eq!(
            node.files("/etc/x", &["conf", "conflist"]),
            [PathBuf::from("/etc/x/a.conflist"), PathBuf::from("/etc/x/b.conf")]
        );
        assert!(!node.has("/etc/passwd") && node.text("/nowhere").is_none() && !node.has_systemd());
    }
}
