//! A container as everything above containerd's records sees it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::health::Health;
use crate::containerd::{self, Extension, TaskStatus};
use crate::error::{Error, Result};
use crate::net::Connection;
use crate::oci::request::{ContainerRequest, MountKind};

/// The label that holds a container's name; lists filter on it.
pub const NAME_LABEL: &str = "wharfie/name";
/// The extension that holds the [`Record`].
pub const RECORD_EXTENSION: &str = "wharfie/record";
/// The extension that holds the [`State`].
pub const STATE_EXTENSION: &str = "wharfie/state";

const RECORD_TYPE: &str = "wharfie/Record";
const STATE_TYPE: &str = "wharfie/State";

/// Who made a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Origin {
    /// This program.
    Wharfie,
    /// nerdctl.
    Nerdctl,
    /// A kubelet, through CRI.
    Cri,
    /// ctr, or some other client of containerd.
    Other,
}

/// What was asked for and what came of it: written once, at creation.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Record {
    /// The settings.
    pub request: ContainerRequest,
    /// The command line, the image's and the user's put together.
    pub command: Vec<String>,
    /// containerd's name of the image.
    pub image_name: String,
    /// The image's id: the digest of its index or manifest.
    pub image_id: String,
    /// The image's own configuration, for `inspect` and a later `commit`.
    pub image_config: serde_json::Value,
    /// What was mounted, volumes resolved to their directories.
    pub mounts: Vec<ResolvedMount>,
}

/// A mount with its source on this machine.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ResolvedMount {
    /// Its kind.
    pub kind: MountKind,
    /// The volume's name, where it is one.
    pub name: String,
    /// The path on the host.
    pub source: PathBuf,
    /// The path in the container.
    pub target: String,
    /// Read-only.
    pub read_only: bool,
    /// Options as written.
    pub mode: String,
    /// `rprivate` and so on.
    pub propagation: String,
    /// A volume made without a name for this container: `--rm` and `rm -v` remove it.
    pub anonymous: bool,
    /// The snapshot that holds an image for this mount.
    pub snapshot: String,
    /// Only this part of an image.
    pub subpath: Option<String>,
}

/// What changes while a container lives, kept beside its record.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    /// The last start.
    pub started_at: Option<Timestamp>,
    /// The last end.
    pub finished_at: Option<Timestamp>,
    /// The last exit status.
    pub exit_code: Option<u32>,
    /// The kernel ended a process of the last run for want of memory.
    pub oom_killed: bool,
    /// Why the last start failed.
    pub error: String,
    /// How often the policy has started it again since the user did.
    pub restart_count: u32,
    /// Milliseconds that the policy waited before the last start; 0 when the user started it.
    pub restart_delay: u64,
    /// The user stopped it: no policy starts it again until the user does.
    pub stopped_by_user: bool,
    /// Ended and about to be started again by its policy.
    pub restarting: bool,
    /// How it is connected while it runs.
    pub connection: Option<Connection>,
}

impl State {
    /// Whether a start was recorded and no end.
    pub(super) fn is_open(&self) -> bool {
        self.started_at.is_some() && self.exit_code.is_none()
    }

    /// After the end of its process.
    pub(super) fn ended(mut self, exit: containerd::Exit) -> Self {
        self.exit_code = Some(exit.status);
        self.finished_at = Some(exit.at.unwrap_or_else(Timestamp::now));
        self
    }
}

/// docker's states of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// Made, never started.
    Created,
    /// Running.
    Running,
    /// Frozen.
    Paused,
    /// Ended, to be started again by its policy.
    Restarting,
    /// Ended.
    Exited,
    /// Half removed, or never finished.
    Dead,
    /// Its shim did not answer in time.
    Unknown,
}

impl Status {
    /// docker's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Restarting => "restarting",
            Self::Exited => "exited",
            Self::Dead => "dead",
            Self::Unknown => "unknown",
        }
    }

    /// Whether processes are there.
    pub fn is_alive(self) -> bool {
        matches!(self, Self::Running | Self::Paused)
    }
}

/// A container, whoever made it.
#[derive(Debug, Clone)]
pub struct Container {
    /// Its id in containerd.
    pub id: String,
    /// Its name; for other clients' containers what comes nearest to one.
    pub name: String,
    /// containerd's namespace.
    pub namespace: String,
    /// Who made it.
    pub origin: Origin,
    /// The image as it was named.
    pub image: String,
    /// The command line that runs.
    pub command: Vec<String>,
    /// The user's labels.
    pub labels: BTreeMap<String, String>,
    /// When it was made.
    pub created_at: Option<Timestamp>,
    /// Whether it has a terminal.
    pub tty: bool,
    /// Its state.
    pub status: Status,
    /// Process id on the host; 0 when it does not run.
    pub pid: u32,
    /// What changes; for other clients' containers as far as it can be known.
    pub state: State,
    /// Ours: what was asked for.
    pub record: Option<Record>,
    /// Its health as it is kept, where it is checked: [`super::health::shown`] is what docker says of it.
    pub health: Option<Health>,
    /// Where its log is, for containers whose log this program can read.
    pub log: Option<PathBuf>,
    /// containerd's own record.
    pub raw: containerd::Container,
}

impl Container {
    /// A container of which nothing is known but its record.
    pub(in crate::engine) fn bare(raw: containerd::Container, namespace: &str) -> Self {
        Self {
            id: raw.id.clone(),
            name: raw.id.clone(),
            namespace: namespace.into(),
            origin: Origin::Other,
            image: raw.image.clone(),
            command: Vec::new(),
            labels: BTreeMap::new(),
            created_at: raw.created_at,
            tty: false,
            status: Status::Created,
            pid: 0,
            state: State::default(),
            record: None,
            health: None,
            log: None,
            raw,
        }
    }

    /// The record, for what only our containers have.
    pub fn record(&self) -> Result<&Record> {
        self.record.as_ref().ok_or_else(|| {
            Error::failed(format!(
                "container {} was not made by wharfie: its settings are not known",
                self.name
            ))
            .hint("`wharfie inspect --mode native` shows what containerd knows of it")
        })
    }

    /// Put a task's state, or its absence, into the status.
    pub fn set_task(&mut self, task: Option<containerd::Task>) {
        self.pid = 0;
        self.status = match task {
            None if self.state.restarting => Status::Restarting,
            // docker's rule: one whose only start failed is as it was made.
            None if self.state.started_at.is_none() => Status::Created,
            None => Status::Exited,
            Some(task) => {
                self.pid = task.pid;
                match task.status {
                    TaskStatus::Created => Status::Created,
                    TaskStatus::Running => Status::Running,
                    TaskStatus::Paused | TaskStatus::Pausing => Status::Paused,
                    TaskStatus::Unknown => Status::Unknown,
                    TaskStatus::Stopped => {
                        self.pid = 0;
                        self.state.exit_code = Some(task.exit_status);
                        self.state.finished_at = task.exited_at.or(self.state.finished_at);
                        if self.state.restarting { Status::Restarting } else { Status::Exited }
                    }
                }
            }
        };
    }
}

/// The record as an extension of containerd's record.
pub(super) fn record_extension(record: &Record) -> Result<Extension> {
    extension(RECORD_TYPE, record)
}

/// The state as an extension of containerd's record.
pub(super) fn state_extension(state: &State) -> Result<Extension> {
    extension(STATE_TYPE, state)
}

fn extension(type_url: &str, value: &impl Serialize) -> Result<Extension> {
    let value =
        serde_json::to_vec(value).map_err(|cause| Error::failed(format!("write {type_url}: {cause}")))?;
    Ok(Extension { type_url: type_url.into(), value })
}
