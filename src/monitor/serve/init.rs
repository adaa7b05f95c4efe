//! The container's init process: how it is found, and how its end is noticed.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::process::{Pid, PidfdFlags};

/// How often to look for the shim of a container whose starter has died.
const SEARCH_EVERY: Duration = Duration::from_millis(250);
/// How long to look. containerd gives a shim less time to make a container.
pub(super) const SEARCH_FOR: Duration =
    if cfg!(test) { Duration::from_millis(500) } else { Duration::from_secs(10) };

/// What is known of the init process.
#[derive(Debug)]
pub(super) struct Init {
    state: State,
    seen: Option<Instant>,
    gone: Option<Instant>,
    reaper: bool,
}

#[derive(Debug)]
enum State {
    /// Nobody has told yet, and there is no bundle to look into.
    Untold,
    /// The bundle will hold `init.pid`.
    /// `check` is when to see whether its shim, which nobody waits for, is still there.
    Expected { bundle: PathBuf, watch: OwnedFd, check: Option<Instant> },
    /// Its starter has died: the shim's working directory would be the bundle.
    Sought { since: Instant, next: Instant },
    /// The process lives.
    Alive(OwnedFd),
    /// It has ended, or never was.
    Over,
}

impl Init {
    /// With the bundle where it is known.
    pub(super) fn new(bundle: Option<&Path>) -> Self {
        let mut init = Self { state: State::Untold, seen: None, gone: None, reaper: false };
        if let Some(bundle) = bundle {
            init.expect_in(bundle, None);
        }
        init
    }

    fn expect_in(&mut self, bundle: &Path, check: Option<Instant>) {
        match watch(bundle) {
            Ok(watch) => {
                self.state = State::Expected { bundle: bundle.to_path_buf(), watch, check };
                self.look();
            }
            // Without a watch there is still the end of both outputs.
            Err(_) => self.look_into(bundle),
        }
    }

    /// What becomes readable when [`Init::look`] may find more.
    pub(super) fn source(&self) -> Option<BorrowedFd<'_>> {
        match &self.state {
            State::Expected { watch, .. } => Some(watch.as_fd()),
            State::Alive(pidfd) => Some(pidfd.as_fd()),
            _ => None,
        }
    }

    /// When to call [`Init::search`] again.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Sought { next, .. } => Some(next),
            State::Expected { check, .. } => check,
            _ => None,
        }
    }

    /// Called when [`Init::source`] is readable.
    pub(super) fn look(&mut self) {
        match &self.state {
            State::Alive(_) => {
                self.state = State::Over;
                self.gone = Some(Instant::now());
            }
            State::Expected { bundle, watch, .. } => {
                let mut space = [MaybeUninit::uninit(); 1024];
                let mut events = inotify::Reader::new(watch, &mut space);
                while events.next().is_ok() {}
                let bundle = bundle.clone();
                self.look_into(&bundle);
            }
            _ => {}
        }
    }

    fn look_into(&mut self, bundle: &Path) {
        if let Some(pid) = read_pid(&bundle.join("init.pid")) {
            self.is(pid);
        }
    }

    /// The init process is `pid`.
    pub(super) fn is(&mut self, pid: u32) {
        if self.seen.is_some() {
            return;
        }
        let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return };
        self.seen = Some(Instant::now());
        match rustix::process::pidfd_open(pid, PidfdFlags::empty()) {
            Ok(pidfd) => {
                self.reaper = is_reaper(pid);
                self.state = State::Alive(pidfd);
            }
            Err(_) => {
                self.state = State::Over;
                self.gone = self.seen;
            }
        }
    }

    /// Ends the process, where it lives.
    pub(super) fn kill(&self) {
        if let State::Alive(pidfd) = &self.state {
            // One that has ended meanwhile needs no signal.
            let _ = rustix::process::pidfd_send_signal(pidfd, rustix::process::Signal::KILL);
        }
    }

    /// Whoever was to tell the pid is gone: look for the shim of `namespace` and `id`.
    pub(super) fn seek(&mut self) {
        if matches!(self.state, State::Untold) {
            let now = Instant::now();
            self.state = State::Sought { since: now, next: now };
        }
    }

    /// One look through the process table, when it is time for it.
    pub(super) fn search(&mut self, namespace: &str, id: &str) {
        let now = Instant::now();
        let later = now + SEARCH_EVERY;
        match &mut self.state {
            State::Sought { since, next } if *next <= now => {
                *next = later;
                let late = since.elapsed() > SEARCH_FOR;
                if let Some(bundle) = bundle_of(namespace, id) {
                    self.expect_in(&bundle, Some(later));
                } else if late {
                    self.state = State::Over;
                }
            }
            State::Expected { bundle, check: Some(check), .. } if *check <= now => {
                *check = later;
                if !bundle.exists() {
                    self.state = State::Over;
                }
            }
            _ => {}
        }
    }

    /// Since when the process has been known.
    pub(super) fn seen(&self) -> Option<Instant> {
        self.seen
    }

    /// Since when it has been gone.
    pub(super) fn gone(&self) -> Option<Instant> {
        self.gone
    }

    /// It cannot be found.
    pub(super) fn is_lost(&self) -> bool {
        self.seen.is_none() && matches!(self.state, State::Over)
    }

    /// Its end is the end of all processes of its pid namespace: the kernel has killed them before it
    /// reported the end, so nobody writes any more.
    pub(super) fn takes_all_along(&self) -> bool {
        self.reaper
    }
}

fn watch(bundle: &Path) -> io::Result<OwnedFd> {
    let watch = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
    inotify::add_watch(&watch, bundle, WatchFlags::MOVED_TO | WatchFlags::CLOSE_WRITE)?;
    Ok(watch)
}

fn read_pid(path: &Path) -> Option<u32> {
    use std::io::Read as _;
    let mut text = String::new();
    std::fs::File::open(path).ok()?.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

/// The process is number 1 of a pid namespace.
fn is_reaper(pid: Pid) -> bool {
    let Ok(status) = std::fs::read_to_string(format!("/proc/{}/status", pid.as_raw_nonzero())) else {
        return false;
    };
    let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
    numbers.is_some_and(|numbers| numbers.split_whitespace().next_back() == Some("1"))
}

/// The working directory of the shim that was started for `namespace` and `id`: containerd starts it in the
/// bundle.
fn bundle_of(namespace: &str, id: &str) -> Option<PathBuf> {
    for process in std::fs::read_dir("/proc").ok()?.flatten() {
        let Ok(line) = std::fs::read(process.path().join("cmdline")) else { continue };
        let mut arguments = line.split(|byte| *byte == 0);
        if !arguments.next().is_some_and(|program| contains(program, b"containerd-shim")) {
            continue;
        }
        let arguments: Vec<&[u8]> = arguments.collect();
        let has =
            |flag: &[u8], value: &str| arguments.windows(2).any(|pair| pair == [flag, value.as_bytes()]);
        if has(b"-namespace", namespace) && has(b"-id", id) {
            return Some(process.path().join("cwd"));
        }
    }
    None
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}
