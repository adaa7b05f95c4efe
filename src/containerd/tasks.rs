//! Tasks: the running side of a container, and processes executed in it.

use std::time::Duration;

use containerd_client::services::v1 as api;
use containerd_client::types;
use jiff::Timestamp;

use super::client::LARGEST_MESSAGE;
use super::{Client, Code, Error, Extension, Mount, Result, values};

/// How long a shim may take to tell why it refused.
const STATE_DEADLINE: Duration = Duration::from_secs(2);

/// The state of a process in a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskStatus {
    /// Made and not started.
    Created,
    /// Running.
    Running,
    /// Ended; its record is still there.
    Stopped,
    /// Frozen.
    Paused,
    /// About to be frozen.
    Pausing,
    /// The shim did not say.
    Unknown,
}

/// The init process of a container, as its shim describes it.
#[derive(Debug, Clone)]
pub struct Task {
    /// The container's id.
    pub id: String,
    /// Process id on the host; 0 when there is none.
    pub pid: u32,
    /// Its state.
    pub status: TaskStatus,
    /// Meaningful when stopped: the exit status, 128 + n after a signal.
    pub exit_status: u32,
    /// When it stopped.
    pub exited_at: Option<Timestamp>,
    /// Whether it has a terminal.
    pub terminal: bool,
    /// The path of its standard input's FIFO, if any.
    pub stdin: String,
    /// Where its standard output goes: a path or `binary://…`.
    pub stdout: String,
    /// The same for standard error.
    pub stderr: String,
}

/// How a process ended.
#[derive(Debug, Clone, Copy)]
pub struct Exit {
    /// The exit status, 128 + n after a signal.
    pub status: u32,
    /// When.
    pub at: Option<Timestamp>,
}

/// Where a process's streams go: FIFO paths or, for output, a `binary://` address. Empty: nowhere.
#[derive(Debug, Clone, Default)]
pub struct Stdio {
    /// Standard input.
    pub stdin: String,
    /// Standard output; everything when there is a terminal.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// Whether there is a terminal.
    pub terminal: bool,
}

/// How long a shim may take for what takes it milliseconds: one that hangs must not hang us.
const ANSWER: Duration = Duration::from_secs(10);
/// To delete a task the shim waits for the log's writer, and runs the runtime.
const DELETION: Duration = Duration::from_secs(30);

/// The type of an OCI process in Go's typeurl registry.
const PROCESS_TYPE: &str = "types.containerd.io/opencontainers/runtime-spec/1/Process";
/// The same of limits.
const RESOURCES_TYPE: &str = "types.containerd.io/opencontainers/runtime-spec/1/LinuxResources";

impl Client {
    /// Start the shim and make the container's init process, not yet running. Returns its process id.
    pub async fn create_task(
        &self,
        id: &str,
        rootfs: &[Mount],
        stdio: &Stdio,
        options: Option<&Extension>,
    ) -> Result<u32> {
        let request = self.request(api::CreateTaskRequest {
            container_id: id.into(),
            rootfs: rootfs.iter().map(Mount::to_api).collect(),
            stdin: stdio.stdin.clone(),
            stdout: stdio.stdout.clone(),
            stderr: stdio.stderr.clone(),
            terminal: stdio.terminal,
            options: options.map(|options| prost_types::Any {
                type_url: options.type_url.clone(),
                value: options.value.clone(),
            }),
            ..api::CreateTaskRequest::default()
        });
        Ok(self.tasks_api().create(request).await?.into_inner().pid)
    }

    /// Let the init process, or the process `exec` made by [`Client::exec`], run. Returns its process id.
    pub async fn start(&self, id: &str, exec: &str) -> Result<u32> {
        let request = self.request(api::StartRequest { container_id: id.into(), exec_id: exec.into() });
        Ok(self.tasks_api().start(request).await?.into_inner().pid)
    }

    /// Wait until the init process (`exec` empty) or a process of an exec ends.
    pub async fn wait(&self, id: &str, exec: &str) -> Result<Exit> {
        let request = self.request(api::WaitRequest { container_id: id.into(), exec_id: exec.into() });
        match self.tasks_api().wait(request).await {
            Ok(reply) => {
                let reply = reply.into_inner();
                Ok(Exit { status: reply.exit_status, at: values::time(reply.exited_at) })
            }
            Err(status) => Err(self.refusal(id, status.into(), false).await),
        }
    }

    /// Remove an ended task and stop its shim.
    pub async fn delete_task(&self, id: &str) -> Result<Exit> {
        let mut request = self.request(api::DeleteTaskRequest { container_id: id.into() });
        request.set_timeout(DELETION);
        match self.tasks_api().delete(request).await {
            Ok(reply) => {
                let reply = reply.into_inner();
                Ok(Exit { status: reply.exit_status, at: values::time(reply.exited_at) })
            }
            Err(status) => Err(self.refusal(id, status.into(), true).await),
        }
    }

    /// Why a shim refused, where it gave words without a code: the task has gone, and the shim in the middle of
    /// the question; or it runs, which a deletion does not suffer.
    async fn refusal(&self, id: &str, error: Error, deletes: bool) -> Error {
        if error.code != Code::Other {
            return error;
        }
        match self.task(id, Some(STATE_DEADLINE)).await {
            Ok(task) if deletes && task.status != TaskStatus::Stopped => {
                Error { code: Code::FailedPrecondition, ..error }
            }
            Err(gone) if gone.is_not_found() => gone,
            _ => error,
        }
    }

    /// Remove an ended process of an exec.
    pub async fn delete_exec(&self, id: &str, exec: &str) -> Result<Exit> {
        let request =
            self.request(api::DeleteProcessRequest { container_id: id.into(), exec_id: exec.into() });
        let reply = self.tasks_api().delete_process(request).await?.into_inner();
        Ok(Exit { status: reply.exit_status, at: values::time(reply.exited_at) })
    }

    /// The state of the container's init process. `deadline` bounds the answer of a hung shim.
    pub async fn task(&self, id: &str, deadline: Option<Duration>) -> Result<Task> {
        self.process(id, "", deadline).await
    }

    /// The same of the process of an exec.
    pub async fn process(&self, id: &str, exec: &str, deadline: Option<Duration>) -> Result<Task> {
        let mut request = self.request(api::GetRequest { container_id: id.into(), exec_id: exec.into() });
        if let Some(deadline) = deadline {
            request.set_timeout(deadline);
        }
        let reply = self.tasks_api().get(request).await?.into_inner();
        let process =
            reply.process.ok_or_else(|| Error::other(format!("containerd sent no task for {id}")))?;
        Ok(from_api(process))
    }

    /// Every task of the namespace: containerd asks the shims one after the other, so one hung shim delays all.
    pub async fn tasks(&self, deadline: Duration) -> Result<Vec<Task>> {
        let mut request = self.request(api::ListTasksRequest { filter: String::new() });
        request.set_timeout(deadline);
        let reply = self.tasks_api().list(request).await?.into_inner();
        Ok(reply.tasks.into_iter().map(from_api).collect())
    }

    /// Send a signal to the init process (`exec` empty), to an exec's process, or to `all`.
    pub async fn kill(&self, id: &str, exec: &str, signal: u32, all: bool) -> Result<()> {
        let mut request =
            self.request(api::KillRequest { container_id: id.into(), exec_id: exec.into(), signal, all });
        request.set_timeout(ANSWER);
        match self.tasks_api().kill(request).await {
            Ok(_) => Ok(()),
            Err(status) => Err(self.refusal(id, status.into(), false).await),
        }
    }

    /// Make another process in a running container, from an OCI process as JSON.
    pub async fn exec(&self, id: &str, exec: &str, process: Vec<u8>, stdio: &Stdio) -> Result<()> {
        let request = self.request(api::ExecProcessRequest {
            container_id: id.into(),
            stdin: stdio.stdin.clone(),
            stdout: stdio.stdout.clone(),
            stderr: stdio.stderr.clone(),
            terminal: stdio.terminal,
            spec: Some(prost_types::Any { type_url: PROCESS_TYPE.into(), value: process }),
            exec_id: exec.into(),
        });
        self.tasks_api().exec(request).await?;
        Ok(())
    }

    /// Tell a terminal its size in characters.
    pub async fn resize(&self, id: &str, exec: &str, width: u16, height: u16) -> Result<()> {
        let request = self.request(api::ResizePtyRequest {
            container_id: id.into(),
            exec_id: exec.into(),
            width: width.into(),
            height: height.into(),
        });
        self.tasks_api().resize_pty(request).await?;
        Ok(())
    }

    /// End a process's standard input. Only once it has started: containerd 2 loses it before.
    pub async fn close_stdin(&self, id: &str, exec: &str) -> Result<()> {
        let request =
            self.request(api::CloseIoRequest { container_id: id.into(), exec_id: exec.into(), stdin: true });
        self.tasks_api().close_io(request).await?;
        Ok(())
    }

    /// Freeze every process of the container.
    pub async fn pause(&self, id: &str) -> Result<()> {
        let mut request = self.request(api::PauseTaskRequest { container_id: id.into() });
        request.set_timeout(ANSWER);
        self.tasks_api().pause(request).await?;
        Ok(())
    }

    /// Change the limits of a running container: `resources` is the specification's LinuxResources as JSON.
    pub async fn update_task(&self, id: &str, resources: Vec<u8>) -> Result<()> {
        let mut request = self.request(api::UpdateTaskRequest {
            container_id: id.into(),
            resources: Some(prost_types::Any { type_url: RESOURCES_TYPE.into(), value: resources }),
            ..api::UpdateTaskRequest::default()
        });
        request.set_timeout(ANSWER);
        self.tasks_api().update(request).await?;
        Ok(())
    }

    /// Thaw it.
    pub async fn resume(&self, id: &str) -> Result<()> {
        let mut request = self.request(api::ResumeTaskRequest { container_id: id.into() });
        request.set_timeout(ANSWER);
        self.tasks_api().resume(request).await?;
        Ok(())
    }

    /// The host's process ids of the container's processes.
    pub async fn pids(&self, id: &str) -> Result<Vec<u32>> {
        let reply = self
            .tasks_api()
            .list_pids(self.request(api::ListPidsRequest { container_id: id.into() }))
            .await?;
        Ok(reply.into_inner().processes.into_iter().map(|process| process.pid).collect())
    }

    /// The ids of the processes that were added to the task and run. Only runc's shims tell.
    pub async fn execs(&self, id: &str) -> Result<Vec<String>> {
        Ok(self.processes(id).await?.into_iter().filter_map(|(_, exec)| exec).collect())
    }

    /// The host's process ids of the container's processes, each with the id of its exec where it has one.
    pub async fn processes(&self, id: &str) -> Result<Vec<(u32, Option<String>)>> {
        let request = self.request(api::ListPidsRequest { container_id: id.into() });
        let reply = self.tasks_api().list_pids(request).await?.into_inner();
        let told =
            |process: types::v1::ProcessInfo| (process.pid, process.info.and_then(|any| exec_id(&any.value)));
        Ok(reply.processes.into_iter().map(told).collect())
    }

    pub(super) fn tasks_api(&self) -> api::tasks_client::TasksClient<tonic::transport::Channel> {
        api::tasks_client::TasksClient::new(self.channel.clone()).max_decoding_message_size(LARGEST_MESSAGE)
    }
}

impl Mount {
    pub(super) fn to_api(&self) -> types::Mount {
        types::Mount {
            r#type: self.kind.clone(),
            source: self.source.clone(),
            target: self.target.clone(),
            options: self.options.clone(),
        }
    }
}

/// `exec_id`, field 1 of containerd.runc.v1.ProcessDetails.
fn exec_id(message: &[u8]) -> Option<String> {
    const EXEC_ID: u8 = 1 << 3 | 2;
    let [EXEC_ID, length, rest @ ..] = message else { return None };
    // No id is long enough for a second byte of length.
    let text = rest.get(..usize::from(*length).min(127))?;
    String::from_utf8(text.to_vec()).ok().filter(|id| !id.is_empty())
}

fn from_api(process: types::v1::Process) -> Task {
    let status = match process.status() {
        types::v1::Status::Created => TaskStatus::Created,
        types::v1::Status::Running => TaskStatus::Running,
        types::v1::Status::Stopped => TaskStatus::Stopped,
        types::v1::Status::Paused => TaskStatus::Paused,
        types::v1::Status::Pausing => TaskStatus::Pausing,
        types::v1::Status::Unknown => TaskStatus::Unknown,
    };
    // Task lists leave `container_id` empty and give the container's id as `id`.
    let id = if process.container_id.is_empty() { process.id } else { process.container_id };
    Task {
        id,
        pid: process.pid,
        status,
        exit_status: process.exit_status,
        exited_at: values::time(process.exited_at),
        terminal: process.terminal,
        stdin: process.stdin,
        stdout: process.stdout,
        stderr: process.stderr,
    }
}
