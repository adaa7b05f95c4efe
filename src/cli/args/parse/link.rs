//! `--link`.

use super::Parsed;
use crate::oci::request::Link;

/// `CONTAINER[:ALIAS]`.
pub fn link(text: &str) -> Parsed<Link> {
    let bad = || format!("bad format for links: {text}");
    let mut parts = text.split(':');
    let container = parts.next().unwrap_or_default();
    let alias = parts.next().unwrap_or(container);
    if parts.next().is_some() || container.is_empty() || alias.is_empty() {
        return Err(if text.is_empty() { "empty string specified for links".into() } else { bad() });
    }
    // docker's inspect writes them with a slash, and scripts write them back.
    let alias = alias.rsplit('/').next().unwrap_or_default();
    let sound = |letter: char| letter.is_ascii_alphanumeric() || "_.-".contains(letter);
    if alias.is_empty() || !alias.chars().all(sound) {
        return Err(bad());
    }
    let container = container.trim_start_matches('/').to_owned();
    Ok(Link { name: container.clone(), container, alias: alias.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links() {
        for (text, container, alias) in [
            ("db", "db", "db"),
            ("db:store", "db", "store"),
            ("/db:/web/store", "db", "store"),
            ("/db", "db", "db"),
        ] {
            let found = link(text).unwrap();
            assert_eq!((found.container.as_str(), found.alias.as_str()), (container, alias), "{text}");
        }
        for (text, message) in [
            ("", "empty string specified for links"),
            ("a:b:c", "bad format for links: a:b:c"),
            ("a:", "bad format for links: a:"),
            (":b", "bad format for links: :b"),
            ("a:b c", "bad format for links: a:b c"),
        ] {
            assert_eq!(link(text).unwrap_err(), message);
        }
    }
}
