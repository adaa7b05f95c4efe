//! The companion process of one container: it writes the log, serves attach, frees the network when the
//! container ends, and starts it again by its restart policy. It runs when no user is there, so it is small:
//! one thread, no async runtime, no gRPC. What needs containerd is done by a short-lived second process.

pub mod aftermath;
mod arrival;
pub mod client;
pub mod frame;
pub mod health;
pub mod log;
pub mod program;
pub mod reader;
pub mod resolver;
pub mod restart;
mod serve;
mod setup;
pub mod socket;
mod spawn;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::net::{Connection, Networks};
use crate::oci::request::{HealthCheck, LogConfig, RestartPolicy};

pub use setup::{FAILURE, run};
pub use spawn::{Starter, spawn};

/// Version of the attach protocol, sent first by both sides.
pub const PROTOCOL: u32 = 1;

/// The hidden first argument that makes this binary a monitor; the second is the path of a [`Duty`].
/// containerd's shim builds the command line from `binary:///path?__monitor=/path/of/monitor.json`.
pub const MONITOR_ARGUMENT: &str = "__monitor";

/// The hidden first argument of the process that a monitor starts when its container has ended and
/// containerd is needed (restart, automatic removal); the second is the path of a [`Duty`].
pub const AFTERMATH_ARGUMENT: &str = "__aftermath";

/// The hidden first argument of the process that a monitor starts for each check of its container's health; the
/// second is the path of a [`Duty`].
pub const HEALTH_ARGUMENT: &str = "__healthcheck";

/// What a monitor has to know, written as `monitor.json` in the container's directory before each start.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Duty {
    /// [`PROTOCOL`] of the writer.
    pub version: u32,
    /// containerd's socket.
    pub address: PathBuf,
    /// containerd's namespace.
    pub namespace: String,
    /// The container's id.
    pub id: String,
    /// The settings that the second process needs to act as the same user would.
    pub data_root: PathBuf,
    /// See [`crate::config::Config::run_root`].
    pub run_root: PathBuf,
    /// The container's directory (log, hosts, …).
    pub directory: PathBuf,
    /// The directory of sockets and FIFOs: the monitor listens on `attach.sock` in it.
    pub run_directory: PathBuf,
    /// Whether the container has a terminal (one stream).
    pub tty: bool,
    /// The FIFO that feeds the container's standard input, where it has one.
    pub stdin: Option<PathBuf>,
    /// The standard input ends when the first attached client ends (docker's StdinOnce).
    pub stdin_once: bool,
    /// FIFOs to read in place of the shim's pipes (a container with input and no terminal: the shim's
    /// `binary://` form gives such a container no input).
    pub output: Option<(PathBuf, PathBuf)>,
    /// The log driver and its options.
    pub log: LogConfig,
    /// What every log entry carries as `attrs`: see [`log::attributes::select`].
    #[serde(default)]
    pub log_attributes: BTreeMap<String, String>,
    /// Where the log driver sends messages, where it does.
    #[serde(default)]
    pub log_target: Option<log::remote::Target>,
    /// When to start again.
    pub restart: RestartPolicy,
    /// Remove the container when it ends.
    pub auto_remove: bool,
    /// The container ends when the command that owns it is gone.
    #[serde(default)]
    pub session: bool,
    /// How its health is checked, where it is.
    #[serde(default)]
    pub health: Option<HealthCheck>,
    /// What to take down when the container ends.
    pub connection: Option<Connection>,
    /// Where the networks are kept.
    pub networks: Option<Networks>,
}
