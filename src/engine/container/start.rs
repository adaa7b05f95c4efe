//! Starting a container: files, network, shim, monitor, process, in that order and side by side where they
//! do not need one another.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use tokio::sync::oneshot;

use super::end::{finish_held, write_state};
use super::exec::fifo;
use super::hold::hold;
use super::model::{Container, Record, Status};
use super::network::{self, Connecting};
use super::remove::{end_task, remove_directory};
use super::{files, health, hung, logging, runtime_error};
use crate::containerd::{Mount, Stdio};
use crate::engine::{Engine, event};
use crate::error::{Error, Kind, Result};
use crate::monitor::client::{Attachment, Wants};
use crate::monitor::{self, Duty, MONITOR_ARGUMENT};
use crate::net::Connection;
use crate::store::{make_directory, write_atomic};

/// How to start.
#[derive(Debug, Default)]
pub struct StartOptions {
    /// Listen from before the first byte.
    pub attach: Option<Wants>,
    /// The caller cleans up when the container ends; the monitor does it only if the caller is killed.
    pub own: bool,
    /// A restart by policy: counts, and leaves the user's wish to stop as it is.
    pub by_policy: bool,
    /// The network, where it is being made already.
    pub connecting: Option<Connecting>,
    /// The mounts of the snapshot, where they are known.
    pub mounts: Option<Vec<Mount>>,
}

/// A started container.
#[derive(Debug)]
pub struct Started {
    /// The streams, where they were asked for.
    pub attachment: Option<Attachment>,
    /// It ran already: nothing was done.
    pub was_running: bool,
}

/// Start a container of ours that does not run. One that runs is fine.
pub async fn start(engine: &Engine, container: &mut Container, options: StartOptions) -> Result<Started> {
    container.record()?;
    let directory = engine.paths.container(&container.id);
    make_directory(&directory, 0o711)?;
    let _held = hold(&directory).await?;
    if options.mounts.is_none() {
        // What was seen before we held it may have changed: a container that another command has started
        // meanwhile must not be taken for one that was left behind.
        match super::find(engine, &container.id).await {
            Ok(seen) => *container = seen,
            Err(error) => {
                if error.kind == Kind::NotFound {
                    remove_directory(&directory)?;
                }
                return Err(error);
            }
        }
    }
    start_held(engine, container, options).await
}

/// [`start`] for a caller that holds the container still and has looked since.
pub(super) async fn start_held(
    engine: &Engine,
    container: &mut Container,
    mut options: StartOptions,
) -> Result<Started> {
    let record = container.record()?.clone();
    match container.status {
        Status::Running => return Ok(Started { attachment: None, was_running: true }),
        Status::Unknown => return Err(hung::error(container)),
        Status::Paused => {
            return Err(Error::conflict("cannot start a paused container, try unpause instead"));
        }
        _ => {}
    }
    if options.mounts.is_none() {
        clear_last_run(engine, container).await?;
    }
    let exposed = exposed_by_image(&record);
    let mut connecting = options
        .connecting
        .take()
        .or_else(|| network::begin(engine, &container.id, &record.request, &exposed));
    match launch(engine, container, &record, options, &mut connecting).await {
        Ok(attachment) => Ok(Started { attachment, was_running: false }),
        Err(error) => {
            // A failure elsewhere does not stop the other thread: what it makes must be known to be undone.
            if let Some(connecting) = connecting {
                container.state.connection =
                    connecting.finish().await.ok().or(container.state.connection.take());
            }
            undo(engine, container, &error).await;
            Err(error)
        }
    }
}

/// What an earlier run or a killed start has left: its task, its sockets, its addresses.
async fn clear_last_run(engine: &Engine, container: &mut Container) -> Result<()> {
    if finish_held(engine, container).await?.is_none() {
        end_task(engine, container, true).await?;
        finish_held(engine, container).await?;
    }
    remove_directory(&engine.paths.container_run(&container.id))
}

async fn launch(
    engine: &Engine,
    container: &mut Container,
    record: &Record,
    options: StartOptions,
    connecting: &mut Option<Connecting>,
) -> Result<Option<Attachment>> {
    let id = container.id.clone();
    let run_directory = engine.paths.container_run(&id);
    make_directory(&run_directory, 0o700)?;
    let mut duty = duty(engine, container, record)?;
    logging::settle(container, record, &mut duty).await?;
    write_duty(&duty)?;
    // `create` has just written them for a container whose mounts are given.
    if options.mounts.is_none() {
        files::write(engine, &id, record, None)?;
    }
    super::sharing::refresh(engine, container, record).await?;
    if let Some(connecting) = connecting {
        connecting.namespace().await;
    }
    let program = monitor::program::ensure(&engine.paths.programs())?;
    let stdio = stdio(&duty, &program);
    // Kept until the monitor knows the process: without it, it would wait for ever for a start that failed.
    let starter = match duty.output {
        Some(_) => Some(monitor::spawn(&program, &duty_path(&duty)).await?),
        None => None,
    };
    let mounts = match options.mounts {
        Some(mounts) => mounts,
        // Its root is a directory, which the specification names.
        None if container.raw.snapshot_key.is_empty() => Vec::new(),
        None => {
            engine.containerd.snapshot_mounts(&container.raw.snapshotter, &container.raw.snapshot_key).await?
        }
    };
    // One that the shim did not start learns the process from us, also when nobody stays.
    let wants = options.attach.or_else(|| duty.output.is_some().then(Wants::default));
    let (tell, told) = oneshot::channel();
    let made = async {
        let runtime_options = container.raw.runtime_options.as_ref();
        let made = engine.containerd.create_task(&id, &mounts, &stdio, runtime_options).await;
        // Nobody listens where nobody attaches, or who attaches has done so.
        let _ = tell.send(made.is_ok());
        made.map_err(|error| runtime_error::from_start(error).context("failed to create task for container"))
    };
    let connected = async {
        match connecting.take() {
            Some(connecting) => {
                let connection = connecting.insist(engine).await?;
                let attended = super::resolver::attend(engine, container, record, &connection).await;
                Ok::<_, Error>(Some((connection, attended)))
            }
            None => Ok(None),
        }
    };
    let attached = async {
        let Some(wants) = wants else { return Ok(None) };
        tokio::select! {
            biased;
            attachment = Attachment::arrive(&run_directory, wants) => attachment.map(Some),
            // A monitor that has not come by now has left already: connecting tells why.
            made = told => match made {
                Ok(true) => Attachment::connect(&run_directory, wants).await.map(Some),
                _ => Ok(None),
            },
        }
    };
    // All are awaited to their end, so that whichever fails first leaves nothing of the others behind.
    let (made, connected, attached) = tokio::join!(made, connected, attached);
    if let Ok(Some((connection, _))) = &connected {
        container.state.connection = Some(connection.clone());
    }
    let (pid, connected, mut attachment) = (made?, connected?, attached?);
    let connection = match connected {
        Some((connection, attended)) => attended.map(|()| Some(connection))?,
        None => None,
    };
    if connection.is_some() {
        files::write(engine, &id, record, connection.as_ref())?;
        // What they link to is here from now on; that they do not learn it is no failure of this start.
        let _ = super::links::tell(engine, container).await;
        duty.connection.clone_from(&connection);
        write_duty(&duty)?;
    }
    if let Some(attachment) = &mut attachment {
        attachment.input.pid(pid).await?;
        if options.own {
            attachment.input.own().await?;
        }
    }
    let state = begun(container, connection, options.by_policy);
    health::begin(engine, container, state.started_at)?;
    let (started, kept) =
        tokio::join!(engine.containerd.start(&id, ""), write_state(engine, container, state));
    started
        .map_err(|error| runtime_error::from_start(error).context("failed to start task for container"))?;
    kept?;
    if let Some(starter) = starter {
        starter.done();
    }
    container.pid = pid;
    container.status = Status::Running;
    note_start(engine, container, options.attach.is_some());
    if let Some(path) = &record.request.special.pidfile {
        write_atomic(path, pid.to_string().as_bytes(), 0o644)?;
    }
    Ok(attachment.filter(|_| options.attach.is_some()))
}

/// docker's order: who listens, the networks, the volumes, the start.
fn note_start(engine: &Engine, container: &Container, attached: bool) {
    let mut events = Vec::new();
    if attached {
        events.push(event::of_container(container, "attach"));
    }
    let connection = container.state.connection.iter();
    events.extend(connection.flat_map(|connection| event::of_networks(&container.id, connection, "connect")));
    events.extend(event::of_mounts(container, true));
    events.push(event::of_container(container, "start"));
    engine.note(&events);
}

fn begun(container: &Container, connection: Option<Connection>, by_policy: bool) -> super::State {
    super::State {
        started_at: Some(Timestamp::now()),
        finished_at: None,
        exit_code: None,
        oom_killed: false,
        error: String::new(),
        restart_count: if by_policy { container.state.restart_count + 1 } else { 0 },
        restart_delay: if by_policy { container.state.restart_delay } else { 0 },
        stopped_by_user: false,
        restarting: false,
        connection,
    }
}

/// Take down what a failed start has made, and keep the reason for `inspect`. The first error is the one that
/// the user sees.
async fn undo(engine: &Engine, container: &mut Container, error: &Error) {
    let _ = end_task(engine, container, true).await;
    let _ = network::end(engine, container, container.state.connection.as_ref()).await;
    let _ = remove_directory(&engine.paths.container_run(&container.id));
    let state = super::State {
        error: error.message.clone(),
        exit_code: Some(match error.exit_code() {
            code @ (126 | 127) => code.into(),
            _ => 128,
        }),
        finished_at: Some(Timestamp::now()),
        connection: None,
        ..container.state.clone()
    };
    let _ = write_state(engine, container, state).await;
    container.set_task(None);
}

fn exposed_by_image(record: &Record) -> Vec<String> {
    let ports = record.image_config.pointer("/config/ExposedPorts").and_then(|ports| ports.as_object());
    ports.map(|ports| ports.keys().cloned().collect()).unwrap_or_default()
}

fn duty(engine: &Engine, container: &Container, record: &Record) -> Result<Duty> {
    let request = &record.request;
    let run_directory = engine.paths.container_run(&container.id);
    let stdin = request.open_stdin.then(|| fifo(&run_directory, "stdin")).transpose()?;
    let output = if request.open_stdin && !request.tty {
        Some((fifo(&run_directory, "stdout")?, fifo(&run_directory, "stderr")?))
    } else {
        None
    };
    Ok(Duty {
        version: monitor::PROTOCOL,
        address: engine.containerd.socket().to_path_buf(),
        namespace: container.namespace.clone(),
        id: container.id.clone(),
        data_root: engine.config.data_root.clone(),
        run_root: engine.config.run_root.clone(),
        directory: engine.paths.container(&container.id),
        run_directory,
        tty: request.tty,
        stdin,
        stdin_once: !request.detach,
        output,
        log: request.log.clone(),
        log_attributes: BTreeMap::new(),
        log_target: None,
        restart: request.restart,
        auto_remove: request.auto_remove,
        session: request.beside.is_some(),
        health: health::of(container).cloned(),
        connection: None,
        networks: Some(engine.networks.clone()),
    })
}

fn duty_path(duty: &Duty) -> PathBuf {
    duty.directory.join("monitor.json")
}

fn write_duty(duty: &Duty) -> Result<()> {
    let json = serde_json::to_vec(duty)
        .map_err(|cause| Error::failed(format!("describe the monitor's duty: {cause}")))?;
    write_atomic(&duty_path(duty), &json, 0o600)
}

/// Where the streams go. containerd's `binary://` gives the container the monitor's own pipes, copied by
/// nobody, but no input unless there is a terminal; a container with input and without a terminal has FIFOs.
fn stdio(duty: &Duty, program: &Path) -> Stdio {
    let text = |path: &Path| path.display().to_string();
    let stdin = duty.stdin.as_deref().map(text).unwrap_or_default();
    if let Some((stdout, stderr)) = &duty.output {
        return Stdio { stdin, stdout: text(stdout), stderr: text(stderr), terminal: false };
    }
    let logger = format!("binary://{}?{MONITOR_ARGUMENT}={}", escape(program), escape(&duty_path(duty)));
    let stderr = if duty.tty { String::new() } else { logger.clone() };
    Stdio { stdin, stdout: logger, stderr, terminal: duty.tty }
}

/// A path in a URI: everything but letters, digits and `-_./` as `%XX`.
fn escape(path: &Path) -> String {
    let mut escaped = String::new();
    for &byte in path.as_os_str().as_encoded_bytes() {
        if byte.is_ascii_alphanumeric() || b"-_./".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_survive_a_uri() {
        assert_eq!(escape(Path::new("/var/lib/wharfie/a b+c%.json")), "/var/lib/wharfie/a%20b%2Bc%25.json");
    }
}
