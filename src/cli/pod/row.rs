//! A pod as a row of `pod ls`: kubectl's columns.

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;

use crate::engine::container::Status;
use crate::engine::pod::{Member, Pod};
use crate::output::format::{Column, Listing, Method};
use crate::output::units::go_time;

/// A row: a pod, and how much of it to show.
#[derive(Debug)]
pub struct Row {
    /// The pod.
    pub pod: Pod,
    /// Whole ids.
    pub no_trunc: bool,
    /// The moment that its age is counted to.
    pub now: Timestamp,
}

/// What `pod ls` shows.
pub const LISTING: Listing<Row> = Listing {
    type_name: "*pod.Row",
    columns: &[
        Column { name: "Namespace", header: "NAMESPACE", value: |row| row.pod.namespace.as_str().into() },
        Column { name: "Name", header: "NAME", value: |row| row.pod.name.as_str().into() },
        Column { name: "Ready", header: "READY", value: |row| ready(&row.pod).into() },
        Column { name: "Status", header: "STATUS", value: |row| status(&row.pod).into() },
        Column { name: "Restarts", header: "RESTARTS", value: |row| restarts(&row.pod).to_string().into() },
        Column { name: "Age", header: "AGE", value: |row| age_of(row).into() },
        Column { name: "Address", header: "ADDRESS", value: |row| address(&row.pod).into() },
        Column { name: "ID", header: "POD ID", value: |row| id(row).into() },
        Column { name: "UID", header: "UID", value: |row| row.pod.uid.as_str().into() },
        Column { name: "Attempt", header: "ATTEMPT", value: |row| row.pod.attempt.to_string().into() },
        Column { name: "State", header: "STATE", value: |row| state(&row.pod).into() },
        Column { name: "CreatedAt", header: "CREATED AT", value: |row| created_at(row).into() },
        Column { name: "Containers", header: "CONTAINERS", value: |row| containers(&row.pod).into() },
        Column { name: "Labels", header: "LABELS", value: |row| labels(&row.pod).into() },
        Column {
            name: "Runtime",
            header: "RUNTIME",
            value: |row| row.pod.sandbox.raw.runtime.clone().into(),
        },
    ],
    methods: &[Method { name: "Label", call: |row, key| label(row, key) }],
    table: &["Namespace", "Name", "Ready", "Status", "Restarts", "Age", "Address"],
    quiet: "ID",
    raw: "",
};

fn id(row: &Row) -> String {
    let id = &row.pod.id;
    if row.no_trunc { id.clone() } else { id.get(..12).unwrap_or(id).to_owned() }
}

/// How many of its containers run, of how many.
pub(in crate::cli) fn ready(pod: &Pod) -> String {
    let main = pod.main();
    let running = main.iter().filter(|member| member.container.status == Status::Running).count();
    format!("{running}/{}", main.len())
}

/// kubectl's words, as far as this node alone can tell.
pub(in crate::cli) fn status(pod: &Pod) -> String {
    let main = pod.main();
    let any = |status: Status| main.iter().find(|member| member.container.status == status);
    if pod.status == Status::Unknown || any(Status::Unknown).is_some() {
        return "Unknown".into();
    }
    let code = |member: &Member| member.container.state.exit_code.unwrap_or_default();
    let ended: Vec<&&Member> =
        main.iter().filter(|member| member.container.status == Status::Exited).collect();
    if !ended.is_empty() && ended.len() == main.len() && ended.iter().all(|member| code(member) == 0) {
        return "Completed".into();
    }
    if !pod.is_ready() {
        return "NotReady".into();
    }
    if let Some(member) = ended.iter().find(|member| code(member) != 0).or(ended.first()) {
        let state = &member.container.state;
        return if state.oom_killed { "OOMKilled".into() } else { format!("Exited ({})", code(member)) };
    }
    if any(Status::Paused).is_some() {
        return "Paused".into();
    }
    if any(Status::Created).is_some() {
        return "Created".into();
    }
    if main.is_empty() { "Ready".into() } else { "Running".into() }
}

/// CRI's word for the sandbox.
fn state(pod: &Pod) -> &'static str {
    match pod.status {
        Status::Running => "Ready",
        Status::Unknown => "Unknown",
        _ => "NotReady",
    }
}

/// How often its containers were made anew.
pub(in crate::cli) fn restarts(pod: &Pod) -> u32 {
    pod.main().iter().map(|member| member.attempt).sum()
}

/// What others reach it at: a stopped sandbox has given its address back.
pub(in crate::cli) fn address(pod: &Pod) -> String {
    let is_connected = !matches!(pod.status, Status::Exited | Status::Created);
    pod.address().filter(|_| is_connected).map_or_else(|| "<none>".into(), |address| address.to_string())
}

fn age_of(row: &Row) -> String {
    row.pod
        .created_at
        .map(|then| age(row.now.duration_since(then).try_into().unwrap_or_default()))
        .unwrap_or_else(|| "<unknown>".into())
}

fn created_at(row: &Row) -> String {
    let whole = |time: Timestamp| Timestamp::from_second(time.as_second()).unwrap_or(time);
    row.pod.created_at.map(|time| go_time(whole(time), &TimeZone::system())).unwrap_or_default()
}

fn containers(pod: &Pod) -> String {
    pod.current().iter().map(|member| member.name.as_str()).collect::<Vec<_>>().join(",")
}

fn labels(pod: &Pod) -> String {
    pod.labels.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",")
}

fn label(row: &Row, key: &str) -> Value {
    row.pod.labels.get(key).cloned().unwrap_or_default().into()
}

/// An age as kubectl writes it: two units where the first is small, one where it is large.
fn age(passed: Duration) -> String {
    let seconds = passed.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    let two = |large: u64, unit: char, small: u64, below: char| match small {
        0 => format!("{large}{unit}"),
        small => format!("{large}{unit}{small}{below}"),
    };
    match () {
        () if seconds < 120 => format!("{seconds}s"),
        () if minutes < 10 => two(minutes, 'm', seconds % 60, 's'),
        () if hours < 3 => format!("{minutes}m"),
        () if hours < 8 => two(hours, 'h', minutes % 60, 'm'),
        () if hours < 48 => format!("{hours}h"),
        () if days < 8 => two(days, 'd', hours % 24, 'h'),
        () if days < 730 => format!("{days}d"),
        () if days < 2920 => two(days / 365, 'y', days % 365, 'd'),
        () => format!("{}y", days / 365),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_kubectls() {
        const MINUTE: u64 = 60;
        const HOUR: u64 = 60 * MINUTE;
        const DAY: u64 = 24 * HOUR;
        for (seconds, expected) in [
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (3 * MINUTE + 4, "3m4s"),
            (179 * MINUTE, "179m"),
            (3 * HOUR + 5 * MINUTE, "3h5m"),
            (47 * HOUR, "47h"),
            (2 * DAY + HOUR, "2d1h"),
            (8 * DAY + HOUR, "8d"),
            (729 * DAY, "729d"),
            (731 * DAY, "2y1d"),
            (3000 * DAY, "8y"),
        ] {
            assert_eq!(age(Duration::from_secs(seconds)), expected, "{seconds}");
        }
    }
}
