//! Processes as /proc shows them. A process can end between two reads: whatever cannot be read is not there.

use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp};

/// Ticks a second in /proc on every architecture: the kernel's own rate is hidden behind this one.
const TICKS: u64 = 100;
/// A command line can have megabytes; nobody reads more than this of one.
const LONGEST_COMMAND: u64 = 64 << 10;
const LONGEST_FILE: u64 = 16 << 10;

/// One process.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Process {
    /// Its id on the host.
    pub pid: u32,
    /// Its parent's.
    pub ppid: u32,
    /// Its process group.
    pub group: u32,
    /// Its session.
    pub session: u32,
    /// The terminal's device number; 0 for none.
    pub terminal: u32,
    /// The group in the terminal's foreground; -1 for none.
    pub foreground: i32,
    /// The kernel's name of the program, at most 15 bytes.
    pub name: String,
    /// One letter: `R`, `S`, `D`, `Z`, …
    pub state: char,
    /// Ticks of CPU time, in the program and in the kernel.
    pub cpu_ticks: u64,
    /// Ticks from boot to its start.
    pub start_ticks: u64,
    /// Nineteen levels of niceness up and twenty down.
    pub nice: i32,
    /// The kernel's priority.
    pub priority: i64,
    /// How many threads.
    pub threads: u32,
    /// Bytes of address space.
    pub virtual_bytes: u64,
    /// KiB in memory.
    pub resident_kib: u64,
    /// Pages are locked in memory.
    pub locked: bool,
    /// Effective user id.
    pub uid: u32,
    /// Real user id.
    pub real_uid: u32,
    /// Effective group id.
    pub gid: u32,
    /// The command line; empty for a zombie.
    pub arguments: Vec<String>,
}

/// The machine's clocks and memory, as times and shares of processes are counted from them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock {
    /// When the machine was booted.
    pub booted_at: Timestamp,
    /// Seconds since then.
    pub uptime: u64,
    /// KiB of memory.
    pub memory_kib: u64,
}

impl Clock {
    /// The clocks now.
    pub fn read() -> Option<Self> {
        let stat = text("/proc/stat".into(), 1 << 20)?;
        let booted = stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
        let uptime = text("/proc/uptime".into(), LONGEST_FILE)?;
        Some(Self {
            booted_at: Timestamp::from_second(booted).ok()?,
            uptime: uptime.split('.').next()?.parse().ok()?,
            memory_kib: field(&text("/proc/meminfo".into(), LONGEST_FILE)?, "MemTotal:").unwrap_or_default(),
        })
    }
}

/// What a process has open, as the kernel names it.
pub fn open_files(pid: u32) -> Vec<std::path::PathBuf> {
    let open = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    open.filter_map(|entry| std::fs::read_link(entry.path()).ok()).collect()
}

/// Whether the directory `path` is the same one for the process `pid` as for this process.
pub fn sees_the_same(pid: u32, path: &std::path::Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let identity = |path: &std::path::Path| {
        let metadata = std::fs::symlink_metadata(path).ok().filter(std::fs::Metadata::is_dir)?;
        Some((metadata.dev(), metadata.ino()))
    };
    let below = path.strip_prefix("/").unwrap_or(path);
    let theirs = identity(&std::path::Path::new(&format!("/proc/{pid}/root")).join(below));
    theirs.is_some() && theirs == identity(path)
}

/// Every process's id.
pub fn all() -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// The file that a process runs, by one system call: for looks at all of them. None for the kernel's own.
pub fn program(pid: u32) -> Option<std::path::PathBuf> {
    std::fs::read_link(format!("/proc/{pid}/exe")).ok()
}

/// The letter of a process's state, as ps shows it.
pub fn state(pid: u32) -> Option<char> {
    let stat = text(format!("/proc/{pid}/stat").into(), LONGEST_FILE)?;
    // The program's name may hold spaces and brackets.
    stat.get(stat.rfind(')')? + 1..)?.trim_start().chars().next()
}

/// A process's command line; empty for one that has ended.
pub fn command_line(pid: u32) -> Vec<String> {
    let line = text(format!("/proc/{pid}/cmdline").into(), LONGEST_COMMAND).unwrap_or_default();
    line.split_terminator('\0').map(str::to_owned).collect()
}

/// The number that process `pid` has in its own pid namespace; None for one that has ended.
pub fn innermost_pid(pid: u32) -> Option<u32> {
    innermost(&text(format!("/proc/{pid}/status").into(), LONGEST_FILE)?)
}

fn innermost(status: &str) -> Option<u32> {
    let line = status.lines().find_map(|line| line.strip_prefix("NSpid:"))?;
    line.split_ascii_whitespace().next_back()?.parse().ok()
}

impl Process {
    /// The process `pid`; None when it has ended, or never was.
    pub fn read(pid: u32) -> Option<Self> {
        if pid == 0 {
            return None;
        }
        let file = |name: &str, limit| text(PathBuf::from(format!("/proc/{pid}/{name}")), limit);
        let mut process = Self::parse(&file("stat", LONGEST_FILE)?, &file("status", LONGEST_FILE)?)?;
        process.arguments = arguments(&file("cmdline", LONGEST_COMMAND)?);
        Some(process)
    }

    /// From the texts of `stat` and `status`.
    fn parse(stat: &str, status: &str) -> Option<Self> {
        // The name stands in parentheses and may hold some itself.
        let (head, tail) = (stat.find('(')?, stat.rfind(')')?);
        let name = stat.get(head + 1..tail)?.to_owned();
        let fields: Vec<&str> = stat.get(tail + 1..)?.split_ascii_whitespace().collect();
        let number = |index: usize| fields.get(index)?.parse::<i64>().ok();
        let count = |index: usize| number(index).and_then(|value| u64::try_from(value).ok());
        let id = |index: usize| number(index).and_then(|value| u32::try_from(value).ok()).unwrap_or_default();
        let (real_uid, uid) = owner(status, "Uid:");
        Some(Self {
            pid: stat.get(..head)?.trim().parse().ok()?,
            name,
            state: fields.first()?.chars().next()?,
            ppid: id(1),
            group: id(2),
            session: id(3),
            terminal: id(4),
            foreground: number(5).and_then(|value| i32::try_from(value).ok()).unwrap_or(-1),
            cpu_ticks: count(11)? + count(12)?,
            priority: number(15)?,
            nice: i32::try_from(number(16)?).ok()?,
            threads: id(17),
            start_ticks: count(19)?,
            virtual_bytes: fields.get(20)?.parse().ok()?,
            resident_kib: field(status, "VmRSS:").unwrap_or_default(),
            locked: field(status, "VmLck:").unwrap_or_default() > 0,
            uid,
            real_uid,
            gid: owner(status, "Gid:").1,
            arguments: Vec::new(),
        })
    }

    /// When it began.
    pub fn started_at(&self, clock: &Clock) -> Option<Timestamp> {
        let millis = i64::try_from(self.start_ticks.checked_mul(1000 / TICKS)?).ok()?;
        clock.booted_at.checked_add(SignedDuration::from_millis(millis)).ok()
    }

    /// Seconds since it began.
    pub fn age(&self, clock: &Clock) -> u64 {
        clock.uptime.saturating_sub(self.start_ticks / TICKS)
    }

    /// Seconds of CPU time.
    pub fn cpu_seconds(&self) -> u64 {
        self.cpu_ticks / TICKS
    }

    /// Thousandths of one CPU over its whole life.
    pub fn cpu_permille(&self, clock: &Clock) -> u64 {
        match self.age(clock) {
            0 => 0,
            age => self.cpu_ticks.saturating_mul(1000) / TICKS / age,
        }
    }

    /// Thousandths of the machine's memory.
    pub fn memory_permille(&self, clock: &Clock) -> u64 {
        self.resident_kib.saturating_mul(1000).checked_div(clock.memory_kib).unwrap_or_default()
    }

    /// The terminal's name as `ps` shows it; `?` for none.
    pub fn terminal_name(&self) -> String {
        let major = self.terminal >> 8 & 0xfff;
        let minor = self.terminal & 0xff | self.terminal >> 12 & 0xfff00;
        match major {
            0 => "?".into(),
            4 if minor < 64 => format!("tty{minor}"),
            4 => format!("ttyS{}", minor - 64),
            5 if minor == 1 => "console".into(),
            136..=143 => format!("pts/{}", minor + (major - 136) * 256),
            _ => format!("{major}:{minor}"),
        }
    }
}

/// The command line, its words ended by zero bytes. Processes may write there what they like.
fn arguments(text: &str) -> Vec<String> {
    let words = text.trim_end_matches('\0');
    if words.is_empty() { Vec::new() } else { words.split('\0').map(str::to_owned).collect() }
}

/// Real and effective id of a `status` line.
fn owner(status: &str, key: &str) -> (u32, u32) {
    let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default();
    let mut ids = line.split_ascii_whitespace().map(|id| id.parse().unwrap_or_default());
    (ids.next().unwrap_or_default(), ids.next().unwrap_or_default())
}

/// The number behind `key` at the beginning of a line.
fn field(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

/// A file of /proc, cut at `limit` bytes.
fn text(path: PathBuf, limit: u64) -> Option<String> {
    use std::io::Read;
    let mut bytes = Vec::new();
    std::fs::File::open(path).ok()?.take(limit).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str = "4242 (a ) (b) S 1 4242 4242 34817 4300 4194560 100 0 0 0 250 50 0 0 20 0 3 0 60000 2703360 100 18446744073709551615 1 1";
    const STATUS: &str = "Name:\ta\nUid:\t1000\t33\t33\t33\nGid:\t1000\t34\t34\t34\nVmLck:\t       4 kB\nVmRSS:\t    2048 kB\n";

    #[test]
    fn a_process_is_read() {
        let process = Process::parse(STAT, STATUS).unwrap();
        assert_eq!(
            (process.pid, process.ppid, process.name.as_str(), process.state),
            (4242, 1, "a ) (b", 'S')
        );
        assert_eq!((process.uid, process.real_uid, process.gid, process.threads), (33, 1000, 34, 3));
        assert_eq!((process.cpu_seconds(), process.resident_kib, process.locked), (3, 2048, true));
        assert_eq!(process.terminal_name(), "pts/1");
        let clock = Clock {
            booted_at: Timestamp::from_second(1_700_000_000).unwrap(),
            uptime: 630,
            memory_kib: 8192,
        };
        assert_eq!(process.started_at(&clock).unwrap().as_second(), 1_700_000_600);
        assert_eq!(
            (process.age(&clock), process.cpu_permille(&clock), process.memory_permille(&clock)),
            (30, 100, 250)
        );
    }

    #[test]
    fn a_number_of_its_own() {
        assert_eq!(innermost("Name:\ta\nNSpid:\t4242\t17\t1\nNSpgid:\t5\n"), Some(1));
        assert_eq!(innermost("NSpid:\t4242\n"), Some(4242));
        assert_eq!(innermost("Name:\ta\n"), None);
        assert_eq!(innermost_pid(u32::MAX), None);
    }

    #[test]
    fn what_has_gone_or_is_damaged_is_not_there() {
        for stat in ["", "1 (a", "1 (a) ", ") 1 (", "x (a) S 1 1 1", &STAT[..60]] {
            assert_eq!(Process::parse(stat, STATUS), None, "{stat:?}");
        }
        assert_eq!(Process::read(0), None);
        assert_eq!(Process::read(u32::MAX), None);
    }

    #[test]
    fn this_process_is_there() {
        let process = Process::read(std::process::id()).unwrap();
        assert!(!process.arguments.is_empty());
        let clock = Clock::read().unwrap();
        assert!(process.started_at(&clock).unwrap() <= Timestamp::now());
        assert!(clock.memory_kib > 0);
    }

    #[test]
    fn terminals_are_named_as_ps_does() {
        for (number, name) in [
            (0, "?"),
            (4 << 8 | 1, "tty1"),
            (4 << 8 | 64, "ttyS0"),
            (136 << 8 | 5, "pts/5"),
            (5 << 8 | 1, "console"),
        ] {
            assert_eq!(Process { terminal: number, ..Process::default() }.terminal_name(), name);
        }
    }

    #[test]
    fn command_lines_keep_their_words() {
        assert_eq!(arguments("sh\0-c\0\0"), ["sh", "-c"]);
        assert_eq!(arguments("sh\0\0x\0"), ["sh", "", "x"]);
        assert!(arguments("").is_empty());
    }
}
