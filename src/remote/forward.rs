//! containerd's socket of another machine as one of this machine.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use super::script::SOCKETS;
use super::ssh::{Login, not_started, unreachable, words};
use crate::error::{Error, Result};
use crate::store::Lock;

/// Directories of forwarded sockets, `wharfie-ssh-<pid>-<random>`.
const PREFIX: &str = "wharfie-ssh-";
/// The last line of the other side's report.
const END: &str = "end of sockets";
/// Bytes kept of what ssh complains of.
const MOST_TALK: u64 = 64 << 10;

/// A connection that forwards sockets. Dropped, ssh ends and nothing is left; killed, ssh ends as well, and what is
/// left of the directory (nothing, once [`Forward::connected`]) goes with the next forward.
#[derive(Debug)]
pub struct Forward {
    child: Child,
    /// The other side ends with it, should everything else fail.
    _input: Option<ChildStdin>,
    directory: PathBuf,
    _lock: Lock,
    sockets: Vec<PathBuf>,
    complaint: Arc<Mutex<String>>,
}

/// Why there is nothing to forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The user who logs in may not open the socket, or not even see it.
    Denied,
    /// There is no socket.
    Missing,
}

impl Forward {
    /// Forward those of `sockets` that are there, into a directory of our own below `runtime`.
    ///
    /// # Errors
    /// The machine cannot be reached, or the directory not be made.
    pub fn open(login: &Login<'_>, sockets: &[PathBuf], runtime: &Path) -> Result<Result<Self, Refusal>> {
        sweep(runtime);
        let (directory, lock) = make(runtime)?;
        // From here on it is removed again, whatever fails.
        let directory = Private(directory);
        let local = |number: usize| directory.0.join(format!("{number}.sock"));
        let mut flags = vec!["-T".to_owned(), "-S".into(), "none".into()];
        for (number, socket) in sockets.iter().enumerate() {
            flags.push("-L".into());
            flags.push(format!("{}:{}", escaped(&local(number)), escaped(socket)));
        }
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        let names = sockets.iter().filter_map(|socket| socket.to_str());
        let mut child = login
            .command(&flags, &words(SOCKETS, names))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|cause| not_started(&cause))?;
        let complaint = Arc::new(Mutex::new(String::new()));
        let listener = child.stderr.take().map(|stderr| {
            let complaint = Arc::clone(&complaint);
            std::thread::spawn(move || listen(stderr, &complaint))
        });
        let input = child.stdin.take();
        let report = child.stdout.take().map(report).unwrap_or_default();
        let Some(report) = report.filter(|report| report.complete) else {
            drop(input);
            end(&mut child);
            if let Some(listener) = listener {
                let _ = listener.join();
            }
            let told = complaint.lock().unwrap_or_else(PoisonError::into_inner).clone();
            return Err(unreachable(login.node, &told));
        };
        let open = |(_, socket): &(usize, &PathBuf)| report.open.iter().any(|one| Path::new(one) == *socket);
        let there: Vec<PathBuf> =
            sockets.iter().enumerate().filter(open).map(|(number, _)| local(number)).collect();
        if there.is_empty() {
            drop(input);
            end(&mut child);
            // Another user may not even look into the directory.
            let denied = report.denied || !report.is_root;
            return Ok(Err(if denied { Refusal::Denied } else { Refusal::Missing }));
        }
        let path = directory.0.clone();
        std::mem::forget(directory);
        Ok(Ok(Self { child, _input: input, directory: path, _lock: lock, sockets: there, complaint }))
    }

    /// This machine's ends, in the order asked for.
    pub fn sockets(&self) -> &[PathBuf] {
        &self.sockets
    }

    /// The directory that holds them, which is ours alone and goes with this.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The connection stands: nobody else needs a way in, and a killed process leaves nothing.
    pub fn connected(&self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }

    /// The last thing that ssh said.
    pub fn complaint(&self) -> Option<String> {
        let told = self.complaint.lock().unwrap_or_else(PoisonError::into_inner);
        told.lines().map(str::trim).rfind(|line| !line.is_empty()).map(str::to_owned)
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        end(&mut self.child);
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// A directory that is removed unless it is forgotten.
struct Private(PathBuf);

impl Drop for Private {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What the script on the other side has told.
#[derive(Debug, Default)]
struct Report {
    is_root: bool,
    open: Vec<String>,
    denied: bool,
    complete: bool,
}

fn report(stdout: impl Read) -> Option<Report> {
    let mut report = Report::default();
    // A login script may greet; whatever else speaks, it is not much.
    for line in BufReader::new(stdout.take(MOST_TALK)).lines() {
        let line = line.ok()?;
        report.complete = line == END;
        match line.split_once(' ') {
            Some(("uid", uid)) => report.is_root = uid == "0",
            Some(("open", socket)) => report.open.push(socket.to_owned()),
            Some(("denied", _)) => report.denied = true,
            _ => {}
        }
        if report.complete {
            break;
        }
    }
    Some(report)
}

fn listen(stderr: impl Read, complaint: &Mutex<String>) {
    for line in BufReader::new(stderr).lines().map_while(|line| line.ok()) {
        let mut told = complaint.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() as u64 + line.len() as u64 <= MOST_TALK {
            told.push_str(&line);
            told.push('\n');
        }
    }
}

fn end(child: &mut Child) {
    // ssh ends what it has started itself (a ProxyCommand) when it is asked to.
    let _ =
        rustix::process::kill_process(rustix::process::Pid::from_child(child), rustix::process::Signal::TERM);
    let _ = child.wait();
}

/// A path in `-L`, where a colon separates.
fn escaped(path: &Path) -> String {
    path.display().to_string().replace('\\', "\\\\").replace(':', "\\:")
}

/// A new directory that only we may enter, locked for as long as we live.
fn make(runtime: &Path) -> Result<(PathBuf, Lock)> {
    let mut random = [0; 6];
    rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty())
        .map_err(|cause| Error::failed(format!("get random bytes: {cause}")))?;
    let random: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    let path = runtime.join(format!("{PREFIX}{}-{random}", std::process::id()));
    rustix::fs::mkdir(&path, rustix::fs::Mode::RWXU).map_err(|cause| Error::io("create", &path, cause))?;
    let lock = Lock::directory(&path)?;
    Ok((path, lock))
}

/// Removes what processes left in `runtime` that were killed before they were connected.
pub fn sweep(runtime: &Path) {
    let Ok(entries) = std::fs::read_dir(runtime) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let owner =
            name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.split('-').next()?.parse::<u32>().ok());
        let Some(owner) = owner else { continue };
        // Its number may have been given anew, and a process elsewhere has numbers of its own: the lock tells.
        let is_dead = !Path::new(&format!("/proc/{owner}")).exists();
        let path = entry.path();
        if is_dead && matches!(Lock::try_directory(&path), Ok(Some(_))) {
            let _ = std::fs::remove_dir_all(&path);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_other_side_s_report_is_read() {
        let greeting = &b"Welcome\nuid 1000\ndenied /a.sock\nopen /b.sock\nend of sockets\nmore\n"[..];
        let told = report(greeting).unwrap();
        assert!(told.complete && told.denied && !told.is_root);
        assert_eq!(told.open, ["/b.sock"]);
        assert!(report(&b"uid 0\nend of sockets\n"[..]).unwrap().is_root);
        assert!(!report(&b"uid 0\n"[..]).unwrap().complete);
    }

    #[test]
    fn what_dead_processes_left_goes() {
        let runtime = tempfile::tempdir().unwrap();
        let (ours, _lock) = make(runtime.path()).unwrap();
        assert_eq!(std::fs::metadata(&ours).unwrap().permissions().mode() & 0o777, 0o700);
        let dead = runtime.path().join("wharfie-ssh-4294967294-x");
        let other = runtime.path().join("wharfie-ssh-");
        for path in [&dead, &other] {
            std::fs::create_dir(path).unwrap();
        }
        sweep(runtime.path());
        assert!(!dead.exists() && ours.exists() && other.exists());
    }
}
