//! containerd's labels on which repositories have a blob: a push to another repository of the same registry mounts it
//! from there.

use std::collections::HashMap;

use crate::containerd::{Client, Result};
use crate::registry::Reference;

/// containerd takes no longer label, name and value together.
const LONGEST: usize = 4096;

/// The label's name for the registry of `reference`: its host, as containerd writes it without the port.
pub(super) fn key(reference: &Reference) -> String {
    let domain = reference.domain();
    let host = match domain.strip_prefix('[') {
        Some(rest) => rest.split(']').next(),
        None => domain.split(':').next(),
    };
    format!("containerd.io/distribution.source.{}", host.unwrap_or(domain))
}

/// The labels of a blob with the repository of `reference` among its sources; None when it is one of them already.
pub(super) fn label(known: &HashMap<String, String>, reference: &Reference) -> Option<(String, String)> {
    let (key, path) = (key(reference), reference.path());
    let value = match known.get(&key).filter(|value| !value.is_empty()) {
        None => path.to_owned(),
        Some(value) if value.split(',').any(|one| one == path) => return None,
        Some(value) => format!("{value},{path}"),
    };
    (key.len() + value.len() <= LONGEST).then_some((key, value))
}

/// Note that the repository of `reference` has the blob. What the store knows of it is `known`.
pub(super) async fn note(
    client: &Client,
    digest: &str,
    known: &HashMap<String, String>,
    reference: &Reference,
) -> Result<()> {
    match label(known, reference) {
        Some(label) => client.label_blob(digest, HashMap::from([label])).await,
        None => Ok(()),
    }
}

/// Another repository of the registry of `reference` that has a blob with these labels: the one whose name is most
/// like its own, which the same user may most likely read.
pub(super) fn other(labels: &HashMap<String, String>, reference: &Reference) -> Option<String> {
    let alike = |path: &str| {
        path.split('/').zip(reference.path().split('/')).take_while(|(theirs, own)| theirs == own).count()
    };
    let sources = labels.get(&key(reference))?.split(',');
    let others = sources.filter(|path| *path != reference.path() && is_path(path));
    // Of several alike, the last one noted.
    others.max_by_key(|path| alike(path)).map(str::to_owned)
}

/// A label is anybody's text, and this one becomes part of an address and of a scope.
fn is_path(path: &str) -> bool {
    Reference::parse(&format!("x.invalid/{path}"))
        .is_ok_and(|parsed| parsed.path() == path && parsed.tag().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(value: &str) -> HashMap<String, String> {
        HashMap::from([("containerd.io/distribution.source.host".to_owned(), value.to_owned())])
    }

    #[test]
    fn sources_are_noted_as_containerd_does() {
        for (name, expected) in [
            ("busybox", "containerd.io/distribution.source.docker.io"),
            ("host:5000/a", "containerd.io/distribution.source.host"),
            ("[2001:db8::1]:5000/a", "containerd.io/distribution.source.2001:db8::1"),
        ] {
            assert_eq!(key(&Reference::parse(name).unwrap()), expected);
        }
        let reference = Reference::parse("host:5000/team/app").unwrap();
        let value = |known: &str| label(&labels(known), &reference).map(|(_, value)| value);
        assert_eq!(value("").as_deref(), Some("team/app"));
        assert_eq!(value("x").as_deref(), Some("x,team/app"));
        assert_eq!(value("x,team/app,y"), None);
        assert_eq!(value(&"x,".repeat(3000)), None);
    }

    #[test]
    fn the_likest_repository_is_mounted_from() {
        let reference = Reference::parse("host:5000/team/app").unwrap();
        for (known, expected) in [
            ("", None),
            ("team/app", None),
            ("a/b,team/base,c", Some("team/base")),
            ("a,b", Some("b")),
            ("a:1,../x,b c,A", None),
        ] {
            assert_eq!(other(&labels(known), &reference).as_deref(), expected, "{known}");
        }
        assert_eq!(other(&HashMap::new(), &reference), None);
    }
}
