//! Another process in a running container. Its streams are FIFOs between the shim and this process: an exec
//! has no monitor, it ends with whoever asked for it or goes on without output.

use std::path::{Path, PathBuf};

use rustix::fs::Mode;
use tokio::net::unix::pipe;

use super::calm;
use super::model::{Container, Origin, Status};
use super::remove::remove_directory;
use super::runtime_error;
use crate::containerd::{Exit, Stdio};
use crate::engine::{Engine, event};
use crate::error::{Error, Result};
use crate::journal::Event;
use crate::oci::request::ExecRequest;
use crate::store::{Lock, make_directory};

/// A process made by [`exec`].
#[derive(Debug)]
pub struct Exec {
    engine: Engine,
    container: String,
    id: String,
    directory: PathBuf,
    command: String,
    told: Told,
    // Tells a later command that this directory is not a dead one's.
    _lock: Lock,
}

/// What the journal is told of an exec; of other clients' containers, containerd tells it.
#[derive(Debug, Clone)]
struct Told(Option<Event>);

impl Told {
    fn new(container: &Container, id: &str) -> Self {
        let ours = container.origin == Origin::Wharfie;
        Self(ours.then(|| event::of_container(container, "").with("execID", id)))
    }

    fn tell(&self, engine: &Engine, action: String, exit: Option<&Exit>) {
        let Some(event) = self.0.clone() else { return };
        let mut event = Event { action, ..event }.at(jiff::Timestamp::now());
        if let Some(exit) = exit {
            event = event.with("exitCode", exit.status.to_string());
        }
        engine.note(&[event]);
    }
}

/// The streams of an exec; None where they were not asked for.
#[derive(Debug, Default)]
pub struct ExecStreams {
    /// Feeds the process.
    pub stdin: Option<pipe::Sender>,
    /// What it writes; everything when there is a terminal.
    pub stdout: Option<pipe::Receiver>,
    /// What it writes to standard error.
    pub stderr: Option<pipe::Receiver>,
}

/// Make a process in `container`, not yet running, and the streams to it.
pub async fn exec(
    engine: &Engine,
    container: &Container,
    request: &ExecRequest,
) -> Result<(Exec, ExecStreams)> {
    match container.status {
        Status::Running | Status::Unknown => {}
        Status::Paused => {
            return Err(Error::conflict(format!(
                "container {} is paused, unpause the container before exec",
                container.id
            )));
        }
        _ => return Err(Error::conflict(format!("container {} is not running", container.id))),
    }
    let process = process(container, request)?;
    let id = super::names::random_id()?[..32].to_owned();
    let directory = engine.paths.run().join("exec").join(&id);
    make_directory(&directory, 0o700)?;
    let lock = Lock::directory(&directory)?;
    let told = Told::new(container, &id);
    let exec = Exec {
        engine: engine.clone(),
        container: container.id.clone(),
        id,
        directory,
        command: request.args.join(" "),
        told,
        _lock: lock,
    };
    let (stdio, streams) = open_streams(&exec.directory, request)?;
    engine
        .containerd
        .exec(&exec.container, &exec.id, process, &stdio)
        .await
        .map_err(runtime_error::from_start)?;
    exec.told.tell(engine, format!("exec_create: {}", exec.command), None);
    Ok((exec, streams))
}

impl Exec {
    /// Its id in containerd.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Let it run: its process id on the host. On failure nothing of it is left.
    pub async fn start(&self) -> Result<u32> {
        let _calm = calm::starting(&self.engine.paths.container(&self.container)).await;
        match self.engine.containerd.start(&self.container, &self.id).await {
            Ok(pid) => {
                self.told.tell(&self.engine, format!("exec_start: {}", self.command), None);
                Ok(pid)
            }
            Err(error) => {
                let _ = self.engine.containerd.delete_exec(&self.container, &self.id).await;
                Err(runtime_error::from_start(error))
            }
        }
    }

    /// Wait for its end, apart from whatever else happens to it. With the container removed under it, it was
    /// killed, whether or not its shim could still say so.
    pub fn wait(&self) -> impl Future<Output = Result<Exit>> + Send + 'static {
        let (engine, container, id) = (self.engine.clone(), self.container.clone(), self.id.clone());
        let told = self.told.clone();
        async move {
            let exit = match engine.containerd.wait(&container, &id).await {
                Ok(exit) => Ok(exit),
                Err(_) if super::is_over(&engine, &container).await => Ok(Exit { status: 137, at: None }),
                Err(error) => Err(Error::from(error)),
            }?;
            told.tell(&engine, "exec_die".into(), Some(&exit));
            Ok(exit)
        }
    }

    /// Forget it once it has ended.
    pub async fn delete(&self) -> Result<()> {
        match self.engine.containerd.delete_exec(&self.container, &self.id).await {
            Err(error) if !error.is_not_found() => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Tell its terminal the size in characters.
    pub async fn resize(&self, width: u16, height: u16) -> Result<()> {
        Ok(self.engine.containerd.resize(&self.container, &self.id, width, height).await?)
    }

    /// Send it a signal.
    pub async fn kill(&self, signal: u32) -> Result<()> {
        Ok(self.engine.containerd.kill(&self.container, &self.id, signal, false).await?)
    }

    /// End its input, after every writer of ours is closed and only once it runs.
    pub async fn close_stdin(&self) -> Result<()> {
        match self.engine.containerd.close_stdin(&self.container, &self.id).await {
            // It has ended already: then nobody misses the end of its input.
            Err(error)
                if error.is_not_found() || error.code == crate::containerd::Code::FailedPrecondition =>
            {
                Ok(())
            }
            result => Ok(result?),
        }
    }
}

impl Drop for Exec {
    fn drop(&mut self) {
        // What is left of a killed process goes with the next `settle`.
        let _ = remove_directory(&self.directory);
    }
}

fn process(container: &Container, request: &ExecRequest) -> Result<Vec<u8>> {
    let process = super::spec::exec_process(container, request)?;
    serde_json::to_vec(&process).map_err(|cause| Error::failed(format!("describe the process: {cause}")))
}

fn open_streams(directory: &Path, request: &ExecRequest) -> Result<(Stdio, ExecStreams)> {
    let mut stdio = Stdio { terminal: request.tty, ..Stdio::default() };
    let mut streams = ExecStreams::default();
    if request.interactive {
        let path = fifo(directory, "stdin")?;
        // Opened for both so that it does not have to wait for the shim's end.
        streams.stdin = Some(
            pipe::OpenOptions::new()
                .read_write(true)
                .open_sender(&path)
                .map_err(|cause| Error::io("open", &path, cause))?,
        );
        stdio.stdin = path.display().to_string();
    }
    if !request.detach {
        let (path, receiver) = receiver(directory, "stdout")?;
        stdio.stdout = path;
        streams.stdout = Some(receiver);
        if !request.tty {
            let (path, receiver) = self::receiver(directory, "stderr")?;
            stdio.stderr = path;
            streams.stderr = Some(receiver);
        }
    }
    Ok((stdio, streams))
}

fn receiver(directory: &Path, name: &str) -> Result<(String, pipe::Receiver)> {
    let path = fifo(directory, name)?;
    let receiver =
        pipe::OpenOptions::new().open_receiver(&path).map_err(|cause| Error::io("open", &path, cause))?;
    Ok((path.display().to_string(), receiver))
}

/// A new FIFO that only this user may open.
pub(super) fn fifo(directory: &Path, name: &str) -> Result<PathBuf> {
    let path = directory.join(name);
    let mode = Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0)
        .map_err(|cause| Error::io("create", &path, cause))?;
    Ok(path)
}
