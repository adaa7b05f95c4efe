//! Starting a task or an exec and serving its streams until it ends.

use std::path::{Path, PathBuf};

use tokio::task::JoinHandle;

use crate::cli::Context;
use crate::cli::container::foreign::Fifos as Joined;
use crate::cli::container::session::InContainer;
use crate::cli::exit::of_process;
use crate::cli::stream::{Join, join};
use crate::containerd::{Container, Exit, Stdio};
use crate::engine::Engine;
use crate::engine::container::{ExecStreams, FIFO_DIRECTORY, RuncOptions, make_fifos, remove_fifo_directory};
use crate::error::{Error, Result};
use crate::sys::terminal::is_terminal;

/// Where a process's streams go.
#[derive(Debug, Default, clap::Args)]
pub struct StreamFlags {
    /// Send all IO to /dev/null
    #[arg(long)]
    null_io: bool,
    /// Log uri for custom shim logging (binary:///program, file:///path)
    #[arg(long, value_name = "value")]
    log_uri: Option<String>,
    /// Directory used for storing IO FIFOs [default: /run/containerd/fifo]
    #[arg(long, value_name = "value")]
    fifo_dir: Option<PathBuf>,
}

impl StreamFlags {
    /// For an exec, which has no `--null-io`.
    pub(super) fn new(log_uri: Option<String>, fifo_dir: Option<PathBuf>) -> Self {
        Self { null_io: false, log_uri, fifo_dir }
    }

    /// Refuse what does not go together.
    pub(super) fn check(&self, tty: bool, detach: bool) -> Result<()> {
        if tty && self.null_io {
            return Err(Error::failed("tty and null-io cannot be used together"));
        }
        if tty && !detach && !is_terminal(std::io::stdin()) {
            return Err(Error::failed("provided file is not a console")
                .hint("standard input is no terminal: leave out -t"));
        }
        Ok(())
    }
}

/// Streams that are open, and what to remove of them.
struct Open {
    stdio: Stdio,
    streams: ExecStreams,
    directory: Option<PathBuf>,
}

impl Open {
    fn new(flags: &StreamFlags, id: &str, tty: bool) -> Result<Self> {
        let none = |stdio| Self { stdio, streams: ExecStreams::default(), directory: None };
        if flags.null_io {
            return Ok(none(Stdio { terminal: tty, ..Stdio::default() }));
        }
        if let Some(address) = flags.log_uri.as_deref().filter(|address| !address.is_empty()) {
            let (stdout, stderr) = (address.to_owned(), address.to_owned());
            return Ok(none(Stdio { stdout, stderr, terminal: tty, ..Stdio::default() }));
        }
        let root = flags.fifo_dir.clone().unwrap_or_else(|| FIFO_DIRECTORY.into());
        let fifos = make_fifos(&root, id, tty)?;
        let stdio = fifos.stdio.clone();
        let (streams, directory) = fifos.into_parts();
        Ok(Self { stdio, streams, directory: Some(directory) })
    }

    fn remove(&self) {
        if let Some(directory) = &self.directory {
            remove_fifo_directory(directory);
        }
    }
}

/// A container to start.
pub(super) struct Start<'a> {
    pub(super) engine: &'a Engine,
    pub(super) container: &'a Container,
    pub(super) streams: &'a StreamFlags,
    pub(super) tty: bool,
    pub(super) detach: bool,
    pub(super) no_pivot: bool,
    pub(super) pid_file: Option<PathBuf>,
}

/// Start a container's task; the exit code is its own unless it is left alone.
pub(super) async fn start(start: Start<'_>, cx: &mut Context<'_>) -> Result<u8> {
    let (engine, container) = (start.engine, start.container);
    let (client, id) = (&engine.containerd, container.id.as_str());
    let rootfs = match container.snapshot_key.is_empty() {
        true => Vec::new(),
        false => client.snapshot_mounts(&container.snapshotter, &container.snapshot_key).await?,
    };
    let mut open = Open::new(start.streams, id, start.tty)?;
    let options = start.no_pivot.then(|| RuncOptions { no_pivot: true, ..RuncOptions::default() }.encoded());
    let made = client.create_task(id, &rootfs, &open.stdio, options.as_ref()).await;
    let pid = match made {
        Ok(pid) => pid,
        Err(error) => {
            open.remove();
            return Err(error.into());
        }
    };
    let (waited, of) = (client.clone(), id.to_owned());
    let waiting = tokio::spawn(async move { waited.wait(&of, "").await.ok() });
    let written = match &start.pid_file {
        Some(path) => write_pid(path, pid),
        None => Ok(()),
    };
    let started = match written {
        Ok(()) => client.start(id, "").await.map_err(Error::from),
        Err(error) => Err(error),
    };
    if let Err(error) = started {
        let _ = client.kill(id, "", 9, true).await;
        let _ = client.delete_task(id).await;
        open.remove();
        return Err(error);
    }
    if start.detach {
        return Ok(0);
    }
    let streams = std::mem::take(&mut open.streams);
    let process = InContainer { engine, id, exec: "" };
    let ended = serve(streams, process, waiting, start.tty, cx).await;
    let deleted = client.delete_task(id).await;
    open.remove();
    let code = ended?;
    match deleted {
        Err(error) if !error.is_not_found() => Err(error.into()),
        _ => Ok(code),
    }
}

/// Run a process beside a container's own.
pub(super) struct Exec<'a> {
    pub(super) engine: &'a Engine,
    pub(super) container: &'a str,
    pub(super) id: &'a str,
    pub(super) process: Vec<u8>,
    pub(super) streams: &'a StreamFlags,
    pub(super) tty: bool,
    pub(super) detach: bool,
}

/// Start an exec; the exit code is its own unless it is left alone.
pub(super) async fn exec(exec: Exec<'_>, cx: &mut Context<'_>) -> Result<u8> {
    let (client, container, id) = (&exec.engine.containerd, exec.container, exec.id);
    let mut open = Open::new(exec.streams, id, exec.tty)?;
    if let Err(error) = client.exec(container, id, exec.process, &open.stdio).await {
        open.remove();
        return Err(error.into());
    }
    let (waited, of, process) = (client.clone(), container.to_owned(), id.to_owned());
    let waiting = tokio::spawn(async move { waited.wait(&of, &process).await.ok() });
    if let Err(error) = client.start(container, id).await {
        let _ = client.delete_exec(container, id).await;
        open.remove();
        return Err(error.into());
    }
    if exec.detach {
        return Ok(0);
    }
    let streams = std::mem::take(&mut open.streams);
    let process = InContainer { engine: exec.engine, id: container, exec: id };
    let ended = serve(streams, process, waiting, exec.tty, cx).await;
    let deleted = client.delete_exec(container, id).await;
    open.remove();
    let code = ended?;
    match deleted {
        Err(error) if !error.is_not_found() => Err(error.into()),
        _ => Ok(code),
    }
}

/// Join the user to a process until it ends.
pub(super) async fn serve(
    streams: ExecStreams,
    process: InContainer<'_>,
    mut waiting: JoinHandle<Option<Exit>>,
    tty: bool,
    cx: &mut Context<'_>,
) -> Result<u8> {
    let how = Join { tty, input: streams.stdin.is_some(), proxy: !tty, detach: Vec::new() };
    let mut exit = None;
    let mut remote = Joined { streams, process, waiting: &mut waiting, exit: &mut exit };
    join(cx.ui, &mut remote, &how).await?;
    let exit: Option<Exit> = match exit {
        Some(exit) => exit,
        None => waiting.await.unwrap_or_default(),
    };
    match exit {
        Some(exit) => Ok(of_process(exit.status)),
        None => Err(Error::failed("containerd could not tell how the process ended")),
    }
}

fn write_pid(path: &Path, pid: u32) -> Result<()> {
    crate::store::write_atomic(path, pid.to_string().as_bytes(), 0o644)
}
