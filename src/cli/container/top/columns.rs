//! The columns of `ps` as data: names, title, value.

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use crate::error::{Error, Result};
use crate::sys::accounts::Accounts;
use crate::sys::process::{Clock, Process};

/// What columns need beside the process.
pub(super) struct Sight {
    clock: Clock,
    users: Accounts,
    groups: Accounts,
    now: Zoned,
}

impl Sight {
    /// At this moment, on this machine.
    pub(super) fn now() -> Result<Self> {
        let clock = Clock::read()
            .ok_or_else(|| Error::failed("read /proc/stat: not as expected").hint("is /proc mounted?"))?;
        Ok(Self {
            clock,
            users: Accounts::users(),
            groups: Accounts::groups(),
            now: Timestamp::now().to_zoned(TimeZone::system()),
        })
    }

    fn started(&self, process: &Process) -> Option<Zoned> {
        process.started_at(&self.clock).map(|time| time.to_zoned(self.now.time_zone().clone()))
    }
}

/// A column that `ps` knows.
pub(super) struct Known {
    /// What `-o` calls it.
    pub(super) names: &'static [&'static str],
    /// Its title.
    pub(super) title: &'static str,
    /// Its value.
    pub(super) value: Value,
}

/// A cell of a process.
pub(super) type Value = fn(&Process, &Sight) -> String;

macro_rules! known {
    ($($names:expr, $title:literal, $value:expr;)*) => {
        &[$(Known { names: &$names, title: $title, value: $value }),*]
    };
}

/// Every column there is.
pub(super) const KNOWN: &[Known] = known! {
    ["pid", "tgid"], "PID", |process, _| process.pid.to_string();
    ["ppid"], "PPID", |process, _| process.ppid.to_string();
    ["pgid", "pgrp"], "PGID", |process, _| process.group.to_string();
    ["sid", "sess", "session"], "SID", |process, _| process.session.to_string();
    ["user", "euser", "uname"], "USER", |process, sight| sight.users.name(process.uid);
    ["ruser"], "RUSER", |process, sight| sight.users.name(process.real_uid);
    ["group", "egroup"], "GROUP", |process, sight| sight.groups.name(process.gid);
    ["uid", "euid"], "UID", |process, _| process.uid.to_string();
    ["ruid"], "RUID", |process, _| process.real_uid.to_string();
    ["gid", "egid"], "GID", |process, _| process.gid.to_string();
    ["comm", "ucmd", "ucomm"], "COMMAND", |process, _| name(process);
    ["args", "command"], "COMMAND", |process, _| command(process);
    ["cmd"], "CMD", |process, _| command(process);
    ["pcpu", "%cpu"], "%CPU", |process, sight| share(process.cpu_permille(&sight.clock));
    ["pmem", "%mem"], "%MEM", |process, sight| share(process.memory_permille(&sight.clock));
    ["c"], "C", |process, sight| (process.cpu_permille(&sight.clock) / 10).min(99).to_string();
    ["rss", "rssize", "rsz"], "RSS", |process, _| process.resident_kib.to_string();
    ["vsz", "vsize"], "VSZ", |process, _| (process.virtual_bytes / 1024).to_string();
    ["stat"], "STAT", |process, _| state(process);
    ["s", "state"], "S", |process, _| process.state.to_string();
    ["tty", "tt", "tname"], "TTY", |process, _| process.terminal_name();
    ["time", "cputime"], "TIME", |process, _| days(process.cpu_seconds());
    ["bsdtime"], "TIME", |process, _| format!("{}:{:02}", process.cpu_seconds() / 60, process.cpu_seconds() % 60);
    ["etime"], "ELAPSED", |process, sight| elapsed(process.age(&sight.clock));
    ["etimes"], "ELAPSED", |process, sight| process.age(&sight.clock).to_string();
    ["stime", "start_time"], "STIME", |process, sight| by_age(process, sight, ["%H:%M", "%b%d", "%Y"]);
    ["bsdstart"], "START", |process, sight| by_age(process, sight, ["%H:%M", "%b %d", "%b %d"]);
    ["start"], "STARTED", |process, sight| by_age(process, sight, ["%H:%M:%S", "%b %d", "%b %d"]);
    ["lstart"], "STARTED", |process, sight| date(sight.started(process), "%a %b %e %H:%M:%S %Y");
    ["ni", "nice"], "NI", |process, _| process.nice.to_string();
    ["pri"], "PRI", |process, _| (39 - process.priority).to_string();
    ["nlwp", "thcount"], "NLWP", |process, _| process.threads.to_string();
};

fn name(process: &Process) -> String {
    if process.state == 'Z' { format!("{} <defunct>", process.name) } else { process.name.clone() }
}

/// The command line; in brackets the name of what has none.
fn command(process: &Process) -> String {
    match (process.arguments.is_empty(), process.state) {
        (false, _) => process.arguments.join(" "),
        (true, 'Z') => format!("[{}] <defunct>", process.name),
        (true, _) => format!("[{}]", process.name),
    }
}

fn share(permille: u64) -> String {
    format!("{}.{}", permille / 10, permille % 10)
}

/// The state's letter and what else `ps` says of it.
fn state(process: &Process) -> String {
    let in_front = process.foreground >= 0 && u32::try_from(process.foreground) == Ok(process.group);
    let marks = [
        (process.nice < 0, '<'),
        (process.nice > 0, 'N'),
        (process.locked, 'L'),
        (process.session == process.pid, 's'),
        (process.threads > 1, 'l'),
        (in_front, '+'),
    ];
    [process.state]
        .into_iter()
        .chain(marks.into_iter().filter(|(holds, _)| *holds).map(|(_, mark)| mark))
        .collect()
}

/// `[days-]hours:minutes:seconds`.
fn days(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let clock = format!("{:02}:{:02}:{:02}", rest / 3600, rest / 60 % 60, rest % 60);
    if days > 0 { format!("{days}-{clock}") } else { clock }
}

/// `[[days-]hours:]minutes:seconds`.
fn elapsed(seconds: u64) -> String {
    if seconds < 3600 { format!("{:02}:{:02}", seconds / 60, seconds % 60) } else { days(seconds) }
}

/// The start in the form for today, this year, or before.
fn by_age(process: &Process, sight: &Sight, [today, this_year, before]: [&str; 3]) -> String {
    let Some(start) = sight.started(process) else { return "?".into() };
    let form = if start.date() == sight.now.date() {
        today
    } else if start.year() == sight.now.year() {
        this_year
    } else {
        before
    };
    date(Some(start), form)
}

fn date(time: Option<Zoned>, form: &str) -> String {
    time.and_then(|time| jiff::fmt::strtime::format(form, &time).ok()).unwrap_or_else(|| "?".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sight() -> Sight {
        let booted_at = "2026-03-01T00:00:00Z".parse().unwrap();
        let now: Timestamp = "2026-03-03T12:00:00Z".parse().unwrap();
        Sight {
            clock: Clock { booted_at, uptime: 216_000, memory_kib: 1_000_000 },
            users: Accounts::default(),
            groups: Accounts::default(),
            now: now.to_zoned(TimeZone::UTC),
        }
    }

    fn process() -> Process {
        Process {
            pid: 7,
            ppid: 1,
            session: 7,
            group: 7,
            foreground: 7,
            name: "sh".into(),
            state: 'S',
            cpu_ticks: 9_000_000,
            start_ticks: 100 * 3600 * 2,
            threads: 2,
            virtual_bytes: 2048,
            resident_kib: 12_300,
            priority: 20,
            arguments: vec!["sh".into(), "-c".into(), "a\u{1b}[2J".into()],
            ..Process::default()
        }
    }

    fn cell(name: &str, process: &Process) -> String {
        let known = KNOWN.iter().find(|known| known.names.contains(&name)).unwrap();
        (known.value)(process, &sight())
    }

    #[test]
    fn cells_are_those_of_ps() {
        for (name, expected) in [
            ("pid", "7"),
            ("user", "0"),
            ("stat", "Ssl+"),
            ("time", "1-01:00:00"),
            ("bsdtime", "1500:00"),
            ("etime", "2-10:00:00"),
            ("pcpu", "43.1"),
            ("c", "43"),
            ("pmem", "1.2"),
            ("vsz", "2"),
            ("stime", "Mar01"),
            ("lstart", "Sun Mar  1 02:00:00 2026"),
            ("pri", "19"),
            ("args", "sh -c a\u{1b}[2J"),
        ] {
            assert_eq!(cell(name, &process()), expected, "{name}");
        }
        let zombie =
            Process { state: 'Z', arguments: Vec::new(), start_ticks: 100 * (216_000 - 60), ..process() };
        assert_eq!(cell("args", &zombie), "[sh] <defunct>");
        assert_eq!(cell("stime", &zombie), "11:59");
        assert_eq!(cell("etime", &zombie), "01:00");
    }

    #[test]
    fn names_are_unique() {
        let mut names: Vec<&str> = KNOWN.iter().flat_map(|known| known.names).copied().collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
