//! One command in a test's world: its input, its deadline, what it said.

use std::fmt;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

use crate::world::only_child;

/// How long a command may take before the test fails. Long, for two busy cores: a pass never waits for it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// What a command left behind when it ended.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Output {
    /// The exit code; 128 + n when signal n ended it, as a shell says it.
    pub(crate) code: i32,
    /// Standard output, bytes that are not UTF-8 replaced.
    pub(crate) stdout: String,
    /// Standard error, likewise.
    pub(crate) stderr: String,
    /// The command line, for messages.
    pub(crate) line: String,
}

impl Output {
    /// Standard output without its last newline; fails the test unless the exit code is 0.
    #[track_caller]
    pub(crate) fn ok(&self) -> &str {
        assert!(self.code == 0, "expected success of {self:?}");
        self.stdout.strip_suffix('\n').unwrap_or(&self.stdout)
    }

    /// Standard error; fails the test unless the exit code is `code`.
    #[track_caller]
    pub(crate) fn fails(&self, code: i32) -> &str {
        assert!(self.code == code, "expected exit code {code} of {self:?}");
        self.stderr.trim_end()
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cut = |text: &str| match text.char_indices().nth(4000) {
            Some((at, _)) => format!("{}… ({} bytes)", &text[..at], text.len()),
            None => text.to_owned(),
        };
        write!(
            f,
            "`{}`\n  exit code {}\n  stdout: {}\n  stderr: {}",
            self.line,
            self.code,
            cut(&self.stdout),
            cut(&self.stderr)
        )
    }
}

/// A command about to run.
pub(crate) struct Call {
    command: Command,
    line: String,
    input: Input,
    timeout: Duration,
}

enum Input {
    Nothing,
    Bytes(Vec<u8>),
    Open,
}

impl Call {
    pub(crate) fn new(command: Command, line: String) -> Self {
        Self { command, line, input: Input::Nothing, timeout: PATIENCE }
    }

    /// These bytes are the standard input, which then ends. Without it the input is /dev/null.
    pub(crate) fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.input = Input::Bytes(bytes.into());
        self
    }

    /// The standard input is a pipe that stays open: [`Running::send`], [`Running::close`].
    pub(crate) fn open_stdin(mut self) -> Self {
        self.input = Input::Open;
        self
    }

    /// One more variable in the environment.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// Another deadline than [`PATIENCE`].
    pub(crate) fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Runs it to its end.
    #[track_caller]
    pub(crate) fn run(self) -> Output {
        self.spawn().wait()
    }

    /// Starts it and goes on.
    #[track_caller]
    pub(crate) fn spawn(mut self) -> Running {
        let stdin = if matches!(self.input, Input::Nothing) { Stdio::null() } else { Stdio::piped() };
        let mut child = self
            .command
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("start `{}`: {error}", self.line));
        let mut pipe = child.stdin.take();
        if let Input::Bytes(bytes) = self.input
            && let Some(mut pipe) = pipe.take()
        {
            // A program that does not read its input to the end is none of our business.
            thread::spawn(move || drop(pipe.write_all(&bytes)));
        }
        let stdout = Capture::of(child.stdout.take().expect("stdout is piped"));
        let stderr = Capture::of(child.stderr.take().expect("stderr is piped"));
        let process = Process::new(child, self.line, self.timeout);
        Running { process, input: pipe.map(OwnedFd::from), stdout, stderr }
    }
}

/// A command that runs in the background. Dropped, it is killed.
pub(crate) struct Running {
    process: Process,
    input: Option<OwnedFd>,
    stdout: Arc<Capture>,
    stderr: Arc<Capture>,
}

impl Running {
    /// Writes to its standard input.
    #[track_caller]
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let pipe = self.input.as_ref().expect("the command was not started with open_stdin()");
        let mut bytes = bytes.as_ref();
        while !bytes.is_empty() {
            let written = rustix::io::write(pipe, bytes).expect("write to the command's standard input");
            bytes = &bytes[written..];
        }
    }

    /// Ends its standard input.
    pub(crate) fn close(&mut self) {
        self.input = None;
    }

    /// Waits until standard output contains `text`.
    #[track_caller]
    pub(crate) fn expect(&self, text: &str) {
        if !self.stdout.wait_for(self.process.deadline, 0, |bytes| find(bytes, text).is_some()) {
            panic!("`{}` never said {text:?}\n  {:?}", self.process.line, self.so_far());
        }
    }

    /// Sends a signal to the program itself.
    #[track_caller]
    pub(crate) fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Waits for the end; past the deadline the program is killed and the test fails.
    #[track_caller]
    pub(crate) fn wait(mut self) -> Output {
        self.input = None;
        let Some(code) = self.process.wait() else {
            panic!("no end after {:?}: {:?}", self.process.timeout, self.so_far());
        };
        let ended = [&self.stdout, &self.stderr].iter().all(|stream| stream.wait_end());
        let output = Output { code, ..self.so_far() };
        assert!(ended, "a process left behind holds the output open, so `| cat` would hang: {output:?}");
        output
    }

    fn so_far(&self) -> Output {
        Output {
            code: -1,
            stdout: self.stdout.text(),
            stderr: self.stderr.text(),
            line: self.process.line.clone(),
        }
    }
}

/// A child, known by its command line, with a deadline.
pub(crate) struct Process {
    child: Child,
    ended: bool,
    pub(crate) line: String,
    pub(crate) timeout: Duration,
    pub(crate) deadline: Instant,
}

impl Process {
    pub(crate) fn new(child: Child, line: String, timeout: Duration) -> Self {
        Self { child, ended: false, line, timeout, deadline: Instant::now() + timeout }
    }

    /// The exit code, or None past the deadline (the program is dead then, too).
    pub(crate) fn wait(&mut self) -> Option<i32> {
        let pid = Pid::from_child(&self.child);
        let watch = pidfd_open(pid, PidfdFlags::empty()).expect("open the child's pidfd");
        let ended = loop {
            match poll(&mut [PollFd::new(&watch, PollFlags::IN)], Some(&left(self.deadline))) {
                Ok(count) => break count > 0,
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => panic!("poll the child: {error}"),
            }
        };
        if !ended {
            self.kill();
            return None;
        }
        let status = self.child.wait().expect("wait for the child");
        self.ended = true;
        Some(code(status))
    }

    /// Sends a signal to the program: it is the only child of nsenter.
    #[track_caller]
    pub(crate) fn signal(&self, signal: Signal) {
        let deadline = Instant::now() + PATIENCE;
        let inner = loop {
            if let Some(inner) = only_child(self.child.id()) {
                break inner;
            }
            assert!(Instant::now() < deadline, "`{}` has ended, no signal can reach it", self.line);
            thread::yield_now();
        };
        let pid = Pid::from_raw(inner.cast_signed()).expect("a process number is not 0");
        kill_process(pid, signal).unwrap_or_else(|error| panic!("signal `{}`: {error}", self.line));
    }

    fn kill(&mut self) {
        kill(&mut self.child);
        self.ended = true;
    }
}

/// Kills the program that `nsenter` runs. nsenter itself ends of it: killed first, it would leave the
/// program to the machine's init, and the end of its namespace would wait until that one looks.
pub(crate) fn kill(nsenter: &mut Child) {
    match only_child(nsenter.id()).and_then(|pid| Pid::from_raw(pid.cast_signed())) {
        Some(program) => drop(kill_process(program, Signal::KILL)),
        None => drop(nsenter.kill()),
    }
    let _ = nsenter.wait();
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.ended {
            self.kill();
        }
    }
}

/// A stream that a thread reads to its end.
pub(crate) struct Capture {
    state: Mutex<(Vec<u8>, bool)>,
    changed: Condvar,
}

impl Capture {
    pub(crate) fn of(mut source: impl Read + Send + 'static) -> Arc<Self> {
        let capture = Arc::new(Self { state: Mutex::new((Vec::new(), false)), changed: Condvar::new() });
        let writer = Arc::clone(&capture);
        thread::spawn(move || {
            let mut buffer = [0; 64 * 1024];
            loop {
                let count = source.read(&mut buffer).unwrap_or(0);
                let mut state = writer.state.lock().unwrap();
                state.0.extend_from_slice(&buffer[..count]);
                state.1 = count == 0;
                writer.changed.notify_all();
                if count == 0 {
                    return;
                }
            }
        });
        capture
    }

    /// Everything so far.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.state.lock().unwrap().0).into_owned()
    }

    /// Waits until the bytes from `start` satisfy `enough`; false at the deadline or the stream's end.
    pub(crate) fn wait_for(&self, deadline: Instant, start: usize, enough: impl Fn(&[u8]) -> bool) -> bool {
        let mut state = self.state.lock().unwrap();
        loop {
            if enough(&state.0[start..]) {
                return true;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if state.1 || left.is_zero() {
                return false;
            }
            state = self.changed.wait_timeout(state, left).unwrap().0;
        }
    }

    /// Waits for the stream's end after the program's; false when somebody keeps it open.
    fn wait_end(&self) -> bool {
        let state = self.state.lock().unwrap();
        self.changed.wait_timeout_while(state, Duration::from_secs(10), |state| !state.1).unwrap().0.1
    }
}

/// Where `text` begins.
pub(crate) fn find(bytes: &[u8], text: &str) -> Option<usize> {
    if text.is_empty() {
        return Some(0);
    }
    bytes.windows(text.len()).position(|window| window == text.as_bytes())
}

fn left(deadline: Instant) -> Timespec {
    let left = deadline.saturating_duration_since(Instant::now());
    Timespec { tv_sec: left.as_secs().cast_signed(), tv_nsec: left.subsec_nanos().into() }
}

fn code(status: ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(-1)
}
