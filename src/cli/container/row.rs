//! A container as a row of `ps`: docker's columns.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;

use crate::engine::container::health::{self, HealthStatus};
use crate::engine::container::{Container, Status};
use crate::net::PublishedPort;
use crate::oci::request::{MountKind, NetworkMode};
use crate::output::format::{Column, Listing, Method};
use crate::output::notation::quote;
use crate::output::units::{ago, go_time, human_duration, human_size_with_precision};

/// docker cuts a command to this many characters in a table.
const COMMAND_WIDTH: usize = 20;

/// A row: a container, and how much of it to show.
#[derive(Debug)]
pub struct Row {
    /// The container.
    pub container: Container,
    /// Whole ids and commands.
    pub no_trunc: bool,
    /// Bytes of its own layer and of everything, where they were asked for.
    pub size: Option<(u64, u64)>,
    /// The moment that durations are counted from.
    pub now: Timestamp,
}

/// docker's `ps`.
pub const LISTING: Listing<Row> = Listing {
    type_name: "*formatter.ContainerContext",
    columns: &[
        Column { name: "Command", header: "COMMAND", value: |row| command(row).into() },
        Column { name: "CreatedAt", header: "CREATED AT", value: |row| created_at(row).into() },
        Column { name: "HealthStatus", header: "HEALTH STATUS", value: |row| health(&row.container).into() },
        Column { name: "ID", header: "CONTAINER ID", value: |row| id(row).into() },
        Column { name: "Image", header: "IMAGE", value: |row| image(row).into() },
        Column { name: "Labels", header: "LABELS", value: |row| labels(row).into() },
        Column {
            name: "LocalVolumes",
            header: "LOCAL VOLUMES",
            value: |row| local_volumes(row).to_string().into(),
        },
        Column { name: "Mounts", header: "MOUNTS", value: |row| mounts(row).into() },
        Column { name: "Names", header: "NAMES", value: |row| row.container.name.clone().into() },
        Column {
            name: "Namespace",
            header: "NAMESPACE",
            value: |row| row.container.namespace.clone().into(),
        },
        Column {
            name: "Networks",
            header: "NETWORKS",
            value: |row| networks(&row.container).join(",").into(),
        },
        Column { name: "Platform", header: "PLATFORM", value: |_| platform().into() },
        Column { name: "Ports", header: "PORTS", value: |row| ports(row).into() },
        Column { name: "RunningFor", header: "CREATED", value: |row| running_for(row).into() },
        Column { name: "Runtime", header: "RUNTIME", value: |row| row.container.raw.runtime.clone().into() },
        Column { name: "Size", header: "SIZE", value: |row| size(row).into() },
        Column { name: "State", header: "STATE", value: |row| row.container.status.word().into() },
        Column { name: "Status", header: "STATUS", value: |row| status(&row.container, row.now).into() },
    ],
    methods: &[Method { name: "Label", call: |row, key| label(row, key) }],
    table: &["ID", "Image", "Command", "RunningFor", "Status", "Ports", "Names"],
    quiet: "ID",
    raw: "container_id: {{.ID}}\nimage: {{.Image}}\ncommand: {{.Command}}\ncreated_at: {{.CreatedAt}}\nstate: {{.State}}\n\
          status: {{.Status}}\nnames: {{.Names}}\nlabels: {{.Labels}}\nports: {{.Ports}}\n",
};

fn id(row: &Row) -> String {
    let id = &row.container.id;
    if row.no_trunc { id.clone() } else { id.get(..12).unwrap_or(id).to_owned() }
}

fn image(row: &Row) -> String {
    let image = &row.container.image;
    match image.strip_prefix("sha256:") {
        Some(digest) if !row.no_trunc => digest.get(..12).unwrap_or(digest).to_owned(),
        _ => image.clone(),
    }
}

fn command(row: &Row) -> String {
    let words = row.container.command.iter().enumerate();
    // docker marks arguments with spaces, and nothing else.
    let words =
        words.map(|(at, word)| if at > 0 && word.contains(' ') { format!("'{word}'") } else { word.clone() });
    let line = words.collect::<Vec<_>>().join(" ");
    let line = if row.no_trunc { line } else { cut(&line, COMMAND_WIDTH) };
    // docker prints it as Go quotes a string.
    quote(&line)
}

/// The first `width` characters, the last of them an ellipsis where something is left out.
pub(in crate::cli) fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width - 1).chain(['…']).collect()
}

fn created_at(row: &Row) -> String {
    row.container.created_at.map(|time| go_time(whole_seconds(time), &TimeZone::system())).unwrap_or_default()
}

fn whole_seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

fn running_for(row: &Row) -> String {
    row.container.created_at.map(|time| ago(since(row.now, time))).unwrap_or_default()
}

fn since(now: Timestamp, then: Timestamp) -> Duration {
    now.duration_since(then).try_into().unwrap_or_default()
}

/// docker's words for the state: `Up 3 minutes`, `Exited (0) 2 hours ago`.
pub fn status(container: &Container, now: Timestamp) -> String {
    let state = &container.state;
    let finished = || {
        state.finished_at.map(|time| ago(since(now, time))).unwrap_or_else(|| "Less than a second ago".into())
    };
    let up = || match state.started_at {
        Some(time) => format!("Up {}", human_duration(since(now, time))),
        None => "Up".into(),
    };
    match container.status {
        Status::Created => "Created".into(),
        Status::Running => match health::shown(container).map(|health| health.status) {
            None => up(),
            // docker's way: only this one is called by what it is.
            Some(HealthStatus::Starting) => format!("{} (health: starting)", up()),
            Some(status) => format!("{} ({})", up(), status.word()),
        },
        Status::Paused => format!("{} (Paused)", up()),
        Status::Restarting => format!("Restarting ({}) {}", state.exit_code.unwrap_or_default(), finished()),
        Status::Exited => format!("Exited ({}) {}", state.exit_code.unwrap_or_default(), finished()),
        Status::Dead => "Dead".into(),
        Status::Unknown => "Unknown (its shim does not answer)".into(),
    }
}

fn health(container: &Container) -> &'static str {
    health::shown(container).map_or("none", |health| health.status.word())
}

fn ports(row: &Row) -> String {
    let container = &row.container;
    let published =
        container.state.connection.as_ref().map(|connection| connection.ports.as_slice()).unwrap_or_default();
    let mut declared = Vec::new();
    if container.status.is_alive()
        && let Some(record) = &container.record
    {
        let image = record.image_config.pointer("/config/ExposedPorts").and_then(Value::as_object);
        for text in image.into_iter().flatten().map(|(port, _)| port).chain(&record.request.network.expose) {
            let (port, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
            let Ok(port) = port.parse::<u16>() else { continue };
            let known =
                published.iter().any(|one| one.container_port == port && one.protocol.name() == protocol);
            if !known && !declared.contains(&(port, protocol)) {
                declared.push((port, protocol));
            }
        }
    }
    port_list(published, &declared)
}

/// docker's list: neighbours whose number is the same on both sides as one range, then the other mappings
/// one by one.
fn port_list(published: &[PublishedPort], declared: &[(u16, &str)]) -> String {
    let mut all: Vec<(u16, Option<IpAddr>, u16, &str)> = published
        .iter()
        .map(|one| (one.container_port, Some(one.host_ip), one.host_port, one.protocol.name()))
        .collect();
    all.extend(declared.iter().map(|(port, protocol)| (*port, None, *port, *protocol)));
    all.sort_unstable();
    let mut ranges: Vec<(Option<IpAddr>, &str, u16, u16)> = Vec::new();
    let mut mappings = Vec::new();
    for (port, ip, host_port, protocol) in all {
        match ip {
            Some(ip) if host_port != port => {
                mappings.push(format!("{}->{port}/{protocol}", SocketAddr::new(ip, host_port)));
            }
            _ => match ranges.iter_mut().rfind(|range| (range.0, range.1) == (ip, protocol)) {
                Some((.., last)) if last.checked_add(1) == Some(port) => *last = port,
                _ => ranges.push((ip, protocol, port, port)),
            },
        }
    }
    let ranges = ranges.into_iter().map(|(ip, protocol, first, last)| {
        let range = if first == last { first.to_string() } else { format!("{first}-{last}") };
        match ip {
            Some(IpAddr::V6(ip)) => format!("[{ip}]:{range}->{range}/{protocol}"),
            Some(ip) => format!("{ip}:{range}->{range}/{protocol}"),
            None => format!("{range}/{protocol}"),
        }
    });
    ranges.chain(mappings).collect::<Vec<_>>().join(", ")
}

/// The names of the networks that it is on.
pub fn networks(container: &Container) -> Vec<String> {
    let Some(record) = &container.record else { return Vec::new() };
    match &record.request.network.mode {
        NetworkMode::Host => vec!["host".into()],
        NetworkMode::None => vec!["none".into()],
        NetworkMode::Container(_) => Vec::new(),
        NetworkMode::Bridge if record.request.network.endpoints.is_empty() => vec!["bridge".into()],
        NetworkMode::Bridge => {
            record.request.network.endpoints.iter().map(|endpoint| endpoint.network.clone()).collect()
        }
    }
}

fn mounts(row: &Row) -> String {
    let mounts = row.container.record.iter().flat_map(|record| &record.mounts);
    let names = mounts.filter(|mount| mount.kind != MountKind::Tmpfs).map(|mount| {
        let name =
            if mount.name.is_empty() { mount.source.display().to_string() } else { mount.name.clone() };
        if row.no_trunc { name } else { cut(&name, 15) }
    });
    names.collect::<Vec<_>>().join(",")
}

fn local_volumes(row: &Row) -> usize {
    let mounts = row.container.record.iter().flat_map(|record| &record.mounts);
    mounts.filter(|mount| mount.kind == MountKind::Volume).count()
}

fn labels(row: &Row) -> String {
    row.container.labels.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",")
}

fn label(row: &Row, key: &str) -> Value {
    row.container.labels.get(key).cloned().unwrap_or_default().into()
}

fn size(row: &Row) -> String {
    match row.size {
        None => "0B".into(),
        Some((own, 0)) => human_size_with_precision(own as f64, 3),
        Some((own, all)) => {
            format!(
                "{} (virtual {})",
                human_size_with_precision(own as f64, 3),
                human_size_with_precision(all as f64, 3)
            )
        }
    }
}

fn platform() -> String {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    format!("linux/{architecture}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::request::Protocol;

    #[test]
    fn ports_are_grouped_as_docker_does() {
        let port = |host_ip: &str, host_port, container_port, protocol| PublishedPort {
            host_ip: host_ip.parse().unwrap(),
            host_port,
            container_port,
            protocol,
        };
        let published = [
            port("0.0.0.0", 9001, 81, Protocol::Tcp),
            port("0.0.0.0", 9000, 80, Protocol::Tcp),
            port("0.0.0.0", 7000, 7000, Protocol::Tcp),
            port("0.0.0.0", 7001, 7001, Protocol::Tcp),
            port("0.0.0.0", 7003, 7003, Protocol::Tcp),
            port("::1", 7001, 7001, Protocol::Udp),
        ];
        assert_eq!(
            port_list(&published, &[(5, "tcp"), (6, "tcp")]),
            "5-6/tcp, 0.0.0.0:7000-7001->7000-7001/tcp, [::1]:7001->7001/udp, 0.0.0.0:7003->7003/tcp, \
             0.0.0.0:9000->80/tcp, 0.0.0.0:9001->81/tcp"
        );
    }

    #[test]
    fn a_long_command_is_cut_as_docker_does() {
        assert_eq!(cut("sleep infinity", 20), "sleep infinity");
        assert_eq!(cut("/docker-entrypoint.sh nginx", 20), "/docker-entrypoint.…");
    }
}
