//! The loop with real pipes, FIFOs, sockets and processes. `Container` plays the shim and the container.

mod clients;
mod ends;
mod health;
mod input;
mod process;

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;

use super::*;
use crate::monitor::client::{Attachment, Event, Wants, stopping};
use crate::monitor::reader;
use crate::monitor::{AFTERMATH_ARGUMENT, MONITOR_ARGUMENT};
use crate::oci::request::{LogConfig, RestartPolicy};

const ALL: Wants = Wants { stdin: true, stdout: true, stderr: true };
const OUTPUT: Wants = Wants { stdin: false, stdout: true, stderr: true };
const DUTY: &str = "WHARFIE_TEST_DUTY";

struct Container {
    temp: tempfile::TempDir,
    /// A process that ends when its input does.
    init: Child,
    stdout: Option<File>,
    stderr: Option<File>,
    monitor: Option<JoinHandle<()>>,
    torn_down: Arc<AtomicUsize>,
}

#[derive(Clone, Default)]
struct Kind {
    way: Option<Way>,
    stdin: bool,
    stdin_once: bool,
    restart: RestartPolicy,
    auto_remove: bool,
    session: bool,
    health: Option<crate::oci::request::HealthCheck>,
    /// The starter says nothing of the process.
    hide_init: bool,
}

fn duty(directory: &Path, kind: &Kind) -> Duty {
    let run = directory.join("run");
    std::fs::create_dir_all(&run).unwrap();
    let stdin = kind.stdin.then(|| fifo(&run.join("stdin")));
    let output = (kind.way == Some(Way::Fifos)).then(|| (fifo(&run.join("out")), fifo(&run.join("err"))));
    Duty {
        version: 1,
        address: "/nowhere.sock".into(),
        namespace: "test".into(),
        id: id(directory),
        data_root: directory.into(),
        run_root: directory.into(),
        directory: directory.into(),
        run_directory: run,
        tty: false,
        stdin,
        stdin_once: kind.stdin_once,
        output,
        log: LogConfig::default(),
        log_attributes: std::collections::BTreeMap::new(),
        log_target: None,
        restart: kind.restart,
        auto_remove: kind.auto_remove,
        session: kind.session,
        health: kind.health.clone(),
        connection: None,
        networks: None,
    }
}

/// As unique as the directory.
fn id(directory: &Path) -> String {
    directory.file_name().unwrap().to_str().unwrap().trim_start_matches('.').to_owned()
}

fn fifo(path: &Path) -> PathBuf {
    let kind = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, path, kind, rustix::fs::Mode::from_raw_mode(0o600), 0).unwrap();
    path.into()
}

fn pipe() -> (OwnedFd, File) {
    let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
    (read, File::from(write))
}

fn sleeper() -> Child {
    Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap()
}

impl Container {
    fn start(kind: &Kind) -> Self {
        Self::start_with(kind, sleeper())
    }

    fn start_with(kind: &Kind, init: Child) -> Self {
        let temp = tempfile::tempdir().unwrap();
        let duty = duty(temp.path(), kind);
        let way = kind.way.unwrap_or(Way::Pipes);
        let bundle = temp.path().join("bundle");
        std::fs::create_dir(&bundle).unwrap();
        let open = |path: &PathBuf| {
            let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::NONBLOCK;
            let read = rustix::fs::open(path, flags, rustix::fs::Mode::empty()).unwrap();
            (read, File::options().write(true).open(path).unwrap())
        };
        let ((stdout, stdout_write), (stderr, stderr_write)) = match &duty.output {
            Some((stdout, stderr)) => (open(stdout), open(stderr)),
            None => (pipe(), pipe()),
        };
        for fd in [&stdout, &stderr] {
            rustix::io::ioctl_fionbio(fd, true).unwrap();
        }
        let torn_down = Arc::new(AtomicUsize::new(0));
        let duty_path = temp.path().join("monitor.json");
        std::fs::write(&duty_path, serde_json::to_vec(&duty).unwrap()).unwrap();
        let start = Start {
            socket: Socket::listen(&duty.run_directory).unwrap(),
            duty,
            duty_path,
            way,
            stdout,
            stderr,
            bundle: (way != Way::Fifos).then(|| bundle.clone()),
            ready: None,
            starter: None,
            termination: None,
        };
        let count = torn_down.clone();
        let monitor = std::thread::spawn(move || {
            serve(start, &|_| {
                count.fetch_add(1, Ordering::SeqCst);
            })
            .unwrap();
        });
        if !kind.hide_init {
            // As runc does: written beside it, then renamed.
            std::fs::write(bundle.join(".init.pid"), init.id().to_string()).unwrap();
            std::fs::rename(bundle.join(".init.pid"), bundle.join("init.pid")).unwrap();
        }
        Self {
            temp,
            init,
            stdout: Some(stdout_write),
            stderr: Some(stderr_write),
            monitor: Some(monitor),
            torn_down,
        }
    }

    fn run_directory(&self) -> PathBuf {
        self.temp.path().join("run")
    }

    fn print(&mut self, text: &str) {
        self.stdout.as_mut().unwrap().write_all(text.as_bytes()).unwrap();
    }

    /// The init process ends; the shim still has its ends of the pipes.
    fn end(&mut self) {
        drop(self.init.stdin.take());
        let _ = self.init.kill();
        self.init.wait().unwrap();
    }

    /// The monitor leaves by itself; its log.
    fn left(&mut self) -> String {
        self.monitor.take().unwrap().join().unwrap();
        self.log()
    }

    fn log(&self) -> String {
        log_of(self.temp.path())
    }

    fn torn_down(&self) -> usize {
        self.torn_down.load(Ordering::SeqCst)
    }

    /// What the second process was told, None when there was none.
    fn aftermath(&self) -> Option<Ending> {
        let told = self.temp.path().join("aftermath");
        wait_for(Duration::from_secs(3), || told.exists()).then_some(())?;
        Some(Ending::from_argument(Some(&std::fs::read_to_string(told).unwrap())))
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let _ = self.init.kill();
        let _ = self.init.wait();
    }
}

fn log_of(directory: &Path) -> String {
    let mut text = Vec::new();
    let path = log::path(directory, &id(directory));
    reader::read(&path, &reader::Options::default(), &mut |entry| {
        text.extend_from_slice(entry.line);
        Ok(())
    })
    .unwrap();
    String::from_utf8(text).unwrap()
}

fn wait_for(most: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + most;
    while !condition() {
        if Instant::now() > end {
            return false;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    true
}

/// A client in a thread-local runtime.
struct Attached {
    runtime: tokio::runtime::Runtime,
    attachment: Attachment,
}

impl Attached {
    fn new(run_directory: &Path, wants: Wants) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let attachment = runtime.block_on(Attachment::connect(run_directory, wants)).unwrap();
        Self { runtime, attachment }
    }

    fn next(&mut self) -> Result<Option<Event>> {
        self.runtime.block_on(self.attachment.events.next())
    }

    /// All output up to the end.
    fn rest(&mut self) -> Result<String> {
        let mut text = Vec::new();
        while let Some(event) = self.next()? {
            match event {
                Event::Stdout(bytes) | Event::Stderr(bytes) => text.extend(bytes),
                Event::StdinClosed | Event::End => {}
            }
        }
        Ok(String::from_utf8(text).unwrap())
    }

    fn tell(&mut self, kind: Type, payload: &[u8]) {
        let input = &mut self.attachment.input;
        self.runtime
            .block_on(async {
                match kind {
                    Type::Stdin => input.stdin(payload).await,
                    Type::StdinClose => input.close_stdin().await,
                    Type::Own => input.own().await,
                    Type::DisownDone => input.disown_done().await,
                    Type::Pid => input.pid(u32::from_be_bytes(payload.try_into().unwrap())).await,
                    other => panic!("{other:?}"),
                }
            })
            .unwrap();
    }
}
