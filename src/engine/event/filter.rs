//! `events --filter`, by docker's rules: values of one key are alternatives, keys must all hold, and so must
//! all labels.

use std::collections::BTreeMap;

use crate::error::{Error, Result};
use crate::journal::{Event, Kind};

/// The keys that docker knows. Those of swarm and of plugins match nothing here.
const KEYS: [&str; 14] = [
    "config",
    "container",
    "daemon",
    "event",
    "image",
    "label",
    "network",
    "node",
    "plugin",
    "scope",
    "secret",
    "service",
    "type",
    "volume",
];

/// Actions whose events say more behind the word: `health_status: healthy`.
const OPEN_ACTIONS: [&str; 3] = ["health_status", "exec_create", "exec_start"];

/// What the user wants to see.
#[derive(Debug, Clone, Default)]
pub struct Filters {
    wanted: BTreeMap<&'static str, Vec<String>>,
}

impl Filters {
    /// From `KEY=VALUE` texts.
    ///
    /// # Errors
    /// docker's words for a text without `=` and for a key that it does not know.
    pub fn parse(texts: &[String]) -> Result<Self> {
        let mut wanted: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for text in texts {
            let (key, value) = text.split_once('=').ok_or_else(|| {
                Error::usage(format!(
                    "invalid argument {text:?} for \"-f, --filter\" flag: invalid filter '{text}'"
                ))
            })?;
            let key = key.trim().to_lowercase();
            let known = KEYS.iter().find(|known| **known == key).ok_or_else(|| {
                Error::failed(format!("Error response from daemon: invalid filter '{key}'"))
                    .hint(format!("the filters are {}", KEYS.join(", ")))
            })?;
            wanted.entry(known).or_default().push(value.trim().to_owned());
        }
        Ok(Self { wanted })
    }

    /// Whether the event is wanted.
    pub fn include(&self, event: &Event) -> bool {
        let attribute = |key: &str| event.actor.attributes.get(key).map_or("", String::as_str);
        let (id, name) = (event.actor.id.as_str(), attribute("name"));
        let named = |kind: &str| {
            self.any(kind, |value| !value.is_empty() && (id.starts_with(value) || name.starts_with(value)))
        };
        self.action(&event.action)
            && self.any("type", |value| value == event.kind.word())
            && self.any("scope", |value| value == event.scope)
            && ["container", "network", "volume"].into_iter().all(|kind| {
                // docker matches ids and names of whatever the event is about; only its own kind makes sense.
                !self.wanted.contains_key(kind) || (kind == event.kind.word() && named(kind))
            })
            && ["config", "daemon", "node", "plugin", "secret", "service"]
                .into_iter()
                .all(|kind| !self.wanted.contains_key(kind))
            && self.image(event, id, if event.kind == Kind::Image { name } else { attribute("image") })
            && self.wanted.get("label").into_iter().flatten().all(|label| {
                let (key, value) =
                    label.split_once('=').map_or((label.as_str(), None), |(k, v)| (k, Some(v)));
                let found = event.actor.attributes.get(key);
                found.is_some_and(|found| value.is_none_or(|value| value == found))
            })
    }

    fn any(&self, key: &str, test: impl Fn(&str) -> bool) -> bool {
        self.wanted.get(key).is_none_or(|values| values.iter().any(|value| test(value)))
    }

    fn action(&self, action: &str) -> bool {
        let values = self.wanted.get("event");
        let open = values.is_some_and(|values| values.iter().any(|v| OPEN_ACTIONS.contains(&v.as_str())));
        self.any("event", |value| if open { action.starts_with(value) } else { action == value })
    }

    fn image(&self, event: &Event, id: &str, name: &str) -> bool {
        let about = matches!(event.kind, Kind::Image | Kind::Container);
        self.any("image", |value| about && [id, name, without_tag(id), without_tag(name)].contains(&value))
    }
}

/// `busybox:1` as `busybox`; a port of the registry's host is no tag.
fn without_tag(name: &str) -> &str {
    match name.rsplit_once(':') {
        Some((rest, tag)) if !tag.contains('/') => rest,
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(filters: &[&str], event: &Event) -> bool {
        let filters: Vec<String> = filters.iter().map(|text| (*text).to_owned()).collect();
        Filters::parse(&filters).unwrap().include(event)
    }

    #[test]
    fn keys_hold_together_and_values_are_alternatives() {
        let event = Event::new(Kind::Container, "start", "0123456789ab")
            .with("name", "web")
            .with("image", "busybox:1")
            .with("team", "blue");
        let cases: &[(&[&str], bool)] = &[
            (&[], true),
            (&["event=start"], true),
            (&["event=star"], false),
            (&["event=stop", "event=start"], true),
            (&["type=container", "event=stop"], false),
            (&["container=web"], true),
            (&["container=we"], true),
            (&["container=0123"], true),
            (&["container=other"], false),
            (&["network=web"], false),
            (&["image=busybox"], true),
            (&["image=busybox:1"], true),
            (&["image=busybox:2"], false),
            (&["label=team"], true),
            (&["label=team=blue", "label=other"], false),
            (&["label=team=red"], false),
            (&["scope=local"], true),
            (&["scope=swarm"], false),
            (&["plugin=x"], false),
        ];
        for (filters, expected) in cases {
            assert_eq!(kept(filters, &event), *expected, "{filters:?}");
        }
    }

    #[test]
    fn open_actions_match_by_their_first_word() {
        let event = Event::new(Kind::Container, "health_status: healthy", "id");
        assert!(kept(&["event=health_status"], &event));
        assert!(kept(&["event=health_status: healthy"], &event));
        assert!(!kept(&["event=health"], &event));
    }

    #[test]
    fn an_unknown_key_is_named() {
        let error = Filters::parse(&["colour=red".into()]).unwrap_err();
        assert_eq!(error.message, "Error response from daemon: invalid filter 'colour'");
        assert!(Filters::parse(&["type".into()]).is_err());
    }
}
