//! What `--nodes` names: machines, contexts, `local`, or files with one a line.

use std::path::Path;

use crate::config::Config;
use crate::config::contexts::Contexts;
use crate::config::node::Node;
use crate::error::{Error, Result};
use crate::store::read_bounded;

const LARGEST_FILE: u64 = 1 << 20;
/// Machines at once: each has an ssh of its own.
const MOST: usize = 1000;

/// One machine of `--nodes`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Named {
    /// This one.
    Local,
    /// The machine of a docker context.
    Context,
    /// Another one: what `-H` takes.
    Node(String),
}

/// The machines and how the user calls them, each once, in the order given.
///
/// # Errors
/// A file that cannot be read, a name that ssh could not take, no name at all.
pub fn nodes(given: &[String], config: &Config, directory: &Path) -> Result<Vec<(String, Named)>> {
    let mut words = Vec::new();
    for word in given.iter().map(|word| word.trim()) {
        let file = word.strip_prefix('@').or_else(|| word.starts_with(['/', '.']).then_some(word));
        match file {
            Some(path) => {
                let bytes = read_bounded(&directory.join(path), LARGEST_FILE)?;
                let text = String::from_utf8_lossy(&bytes).into_owned();
                let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
                words.extend(lines.filter(|line| !line.is_empty()).map(str::to_owned));
            }
            None if word.is_empty() => {}
            None => words.push(word.to_owned()),
        }
    }
    let contexts = Contexts::of(&config.docker_config);
    let mut nodes: Vec<(String, Named)> = Vec::new();
    for word in words {
        let named = if word == "local" {
            Named::Local
        } else if !word.contains(['/', '@', ':']) && contexts.get(&word).is_ok() {
            Named::Context
        } else {
            Node::parse(&word)?;
            Named::Node(if word.starts_with("ssh://") { word.clone() } else { format!("ssh://{word}") })
        };
        let shown = word.strip_prefix("ssh://").unwrap_or(&word).to_owned();
        if nodes.iter().all(|(known, _)| *known != shown) {
            nodes.push((shown, named));
        }
    }
    match nodes.len() {
        0 => Err(Error::usage("--nodes names no node")
            .hint("name some: --nodes a,b or --nodes @file with one a line")),
        count if count > MOST => Err(Error::usage(format!("--nodes names {count} nodes, {MOST} at most"))),
        _ => Ok(nodes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::globals::Globals;
    use crate::config::contexts::Stored;
    use crate::config::environment::Environment;

    #[test]
    fn files_contexts_and_names() {
        let directory = tempfile::tempdir().unwrap();
        let environment = Environment::of(&[("DOCKER_CONFIG", directory.path().to_str().unwrap())]);
        let config = Globals::default().settle(&environment).unwrap();
        Contexts::of(directory.path()).put(&Stored::new("edge", "", "ssh://e")).unwrap();
        std::fs::write(directory.path().join("list"), "# all\nroot@n2:22 # second\n\n  n1\n").unwrap();
        let words = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(ToString::to_string).collect();
            nodes(&words, &config, directory.path())
        };
        let found = words(&["n1", "@list", "local", "edge", "ssh://n3"]).unwrap();
        let node = |name: &str| (name.to_owned(), Named::Node(format!("ssh://{name}")));
        assert_eq!(
            found,
            [
                node("n1"),
                node("root@n2:22"),
                ("local".into(), Named::Local),
                ("edge".into(), Named::Context),
                node("n3")
            ]
        );
        assert_eq!(words(&["./list"]).unwrap().len(), 2);
        assert!(words(&[""]).is_err() && words(&["-x"]).is_err() && words(&["@gone"]).is_err());
    }
}
