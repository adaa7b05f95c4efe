//! `ps --filter`: docker's keys.

use regex_lite::Regex;

use crate::cli::args::parse::number;
use crate::engine::container::{Container, Status, health};
use crate::error::{Error, Result};

use super::row::networks;

/// The keys that docker knows.
const KEYS: [&str; 14] = [
    "ancestor",
    "before",
    "exited",
    "expose",
    "health",
    "id",
    "is-task",
    "isolation",
    "label",
    "name",
    "network",
    "publish",
    "since",
    "status",
];

/// What the user asked for: values of one key are alternatives (labels: all must hold), keys must all hold.
#[derive(Debug, Default)]
pub struct Filters {
    wanted: Vec<(String, String)>,
}

impl Filters {
    /// From `KEY=VALUE` texts.
    pub fn parse(texts: &[String]) -> Result<Self> {
        let mut wanted = Vec::new();
        for text in texts {
            let (key, value) = text.split_once('=').ok_or_else(|| {
                Error::usage(format!(
                    "invalid argument {text:?} for \"-f, --filter\" flag: bad format of filter (expected name=value)"
                ))
            })?;
            let (key, value) = (key.trim().to_lowercase(), value.trim().to_owned());
            if key != "volume" && !KEYS.contains(&key.as_str()) {
                return Err(Error::failed(format!("Error response from daemon: invalid filter '{key}'"))
                    .hint(format!("the filters are {}, volume", KEYS.join(", "))));
            }
            check(&key, &value)?;
            wanted.push((key, value));
        }
        Ok(Self { wanted })
    }

    /// Whether containers that do not run are asked for too.
    pub fn ask_for_state(&self) -> bool {
        self.wanted.iter().any(|(key, _)| matches!(key.as_str(), "status" | "exited"))
    }

    /// The containers that match, in their order (newest first).
    pub fn apply(&self, containers: Vec<Container>) -> Result<Vec<Container>> {
        let before = self.bound(&containers, "before")?;
        let since = self.bound(&containers, "since")?;
        let matches = |index: usize, container: &Container| {
            before.is_none_or(|bound| index > bound)
                && since.is_none_or(|bound| index < bound)
                && self.matches(container)
        };
        let kept: Vec<bool> =
            containers.iter().enumerate().map(|(index, container)| matches(index, container)).collect();
        Ok(containers
            .into_iter()
            .zip(kept)
            .filter_map(|(container, kept)| kept.then_some(container))
            .collect())
    }

    fn values(&self, key: &str) -> impl Iterator<Item = &str> {
        self.wanted.iter().filter(move |(known, _)| known == key).map(|(_, value)| value.as_str())
    }

    /// The place of the container that `before` or `since` names.
    fn bound(&self, containers: &[Container], key: &str) -> Result<Option<usize>> {
        let Some(reference) = self.values(key).last() else { return Ok(None) };
        let found = containers
            .iter()
            .position(|container| container.name == reference || container.id.starts_with(reference));
        found.map(Some).ok_or_else(|| {
            Error::not_found(format!("Error response from daemon: No such container: {reference}"))
        })
    }

    fn matches(&self, container: &Container) -> bool {
        let any = |key: &str, test: &dyn Fn(&str) -> bool| {
            let mut values = self.values(key).peekable();
            values.peek().is_none() || values.any(test)
        };
        any("id", &|value| container.id.contains(value))
            && any("name", &|value| name_matches(&container.name, value))
            && any("status", &|value| container.status.word() == value)
            && any("exited", &|value| {
                container.status == Status::Exited
                    && container.state.exit_code.unwrap_or_default().to_string() == value
            })
            && any("ancestor", &|value| is_ancestor(container, value))
            && any("network", &|value| networks(container).iter().any(|network| network == value))
            && any("volume", &|value| has_mount(container, value))
            && any("publish", &|value| has_port(container, value, false))
            && any("expose", &|value| has_port(container, value, true))
            && any("health", &|value| {
                health::shown(container).map_or("none", |health| health.status.word()) == value
            })
            && any("is-task", &|value| value == "false")
            && any("isolation", &|value| value == "default")
            && self.values("label").all(|value| match value.split_once('=') {
                Some((key, wanted)) => container.labels.get(key).is_some_and(|found| found == wanted),
                None => container.labels.contains_key(value),
            })
    }
}

fn check(key: &str, value: &str) -> Result<()> {
    const HEALTH: [&str; 4] = ["none", "starting", "healthy", "unhealthy"];
    const STATES: [&str; 7] = ["created", "running", "paused", "restarting", "removing", "exited", "dead"];
    let valid = match key {
        "status" => STATES.contains(&value) || value == "unknown",
        "exited" if value.parse::<i64>().is_err() => {
            return Err(Error::failed(format!(
                "Error response from daemon: strconv.Atoi: parsing {value:?}: invalid syntax"
            ))
            .hint("an exit code is a number"));
        }
        "health" if !HEALTH.contains(&value) => {
            return Err(Error::failed(format!(
                "Error response from daemon: unrecognised filter value for health: {value}"
            ))
            .hint(format!("it is one of {}", HEALTH.join(", "))));
        }
        "is-task" if number::switch(value).is_err() => {
            return Err(Error::failed(format!(
                "Error response from daemon: invalid filter 'is-task=[{value}]'"
            )));
        }
        "publish" | "expose" => {
            return ports_of(value).map(drop).map_err(|cause| {
                Error::failed(format!(
                    "Error response from daemon: error while looking up for {key} {value}: {cause}"
                ))
            });
        }
        _ => true,
    };
    if valid {
        return Ok(());
    }
    Err(Error::failed(format!("Error response from daemon: invalid filter '{key}={value}'")).hint(
        if key == "status" {
            format!("the states are {}", STATES.join(", "))
        } else {
            "an exit code is a number".into()
        },
    ))
}

/// docker takes the value as a regular expression, for the name with and without its slash.
fn name_matches(name: &str, value: &str) -> bool {
    let slashed = format!("/{name}");
    let found = |pattern: Regex| pattern.is_match(name) || pattern.is_match(&slashed);
    // What is no pattern matches nothing, as with docker.
    name == value || slashed == value || Regex::new(value).is_ok_and(found)
}

fn is_ancestor(container: &Container, value: &str) -> bool {
    let Some(record) = &container.record else { return container.image == value };
    let name = &record.image_name;
    let id = record.image_id.strip_prefix("sha256:").unwrap_or(&record.image_id);
    let wanted = value.strip_prefix("sha256:").unwrap_or(value);
    container.image == value
        || name == value
        || name.strip_suffix(":latest") == Some(value)
        || name.ends_with(&format!("/{value}"))
        || name.ends_with(&format!("/{value}:latest"))
        || (wanted.len() >= 4 && id.starts_with(wanted))
}

fn has_mount(container: &Container, value: &str) -> bool {
    let mounts = container.record.iter().flat_map(|record| &record.mounts);
    mounts
        .into_iter()
        .any(|mount| mount.name == value || mount.target == value || mount.source.as_os_str() == value)
}

/// `80`, `80/tcp`, `80-90/udp`: the protocol, the first and the last one.
fn ports_of(value: &str) -> std::result::Result<(&str, u16, u16), String> {
    let (range, protocol) = value.split_once('/').unwrap_or((value, "tcp"));
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let number = |text: &str| {
        text.parse::<u16>().map_err(|_| format!("strconv.ParseUint: parsing {text:?}: invalid syntax"))
    };
    Ok((protocol, number(first)?, number(last)?))
}

/// Whether a port of the range is published on the host, or shown by the container.
fn has_port(container: &Container, value: &str, exposed: bool) -> bool {
    let Ok((protocol, first, last)) = ports_of(value) else { return false };
    let range = first..=last;
    if !exposed {
        let published = container.state.connection.iter().flat_map(|connection| &connection.ports);
        return published
            .into_iter()
            .any(|port| port.protocol.name() == protocol && range.contains(&port.host_port));
    }
    let request = container.record.iter().flat_map(|record| &record.request.network.ports);
    let published =
        request.clone().any(|port| port.protocol.name() == protocol && range.contains(&port.container_port));
    let image = container.record.iter().flat_map(|record| {
        record
            .image_config
            .pointer("/config/ExposedPorts")
            .and_then(|ports| ports.as_object())
            .into_iter()
            .flatten()
    });
    let by_image = image.map(|(port, _)| port);
    let by_flag = container.record.iter().flat_map(|record| &record.request.network.expose);
    let declared = by_flag.chain(by_image).any(|text| {
        let (port, known) = text.split_once('/').unwrap_or((text, "tcp"));
        known == protocol && port.parse::<u16>().is_ok_and(|port| range.contains(&port))
    });
    published || declared
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_in_part_or_by_their_ends() {
        let cases = [
            ("web", "web", true),
            ("web1", "web", true),
            ("web1", "^web$", false),
            ("web", "^/web$", true),
            ("web", "eb$", true),
            ("web", "/web", true),
            ("web", "^/we", true),
            ("web-3", "^web-[0-9]$", true),
            ("web", "(", false),
        ];
        for (name, value, expected) in cases {
            assert_eq!(name_matches(name, value), expected, "{name} {value}");
        }
    }

    #[test]
    fn wrong_filters_are_refused_before_any_call() {
        for text in ["status=flying", "health=ill", "exited=x", "colour=red", "status"] {
            assert!(Filters::parse(&[text.into()]).is_err(), "{text}");
        }
        assert!(Filters::parse(&["status=exited".into(), "label=a=b".into()]).is_ok());
    }
}
