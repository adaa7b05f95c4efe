//! What the user, the environment and the configuration files say: read once, here and nowhere else.

pub mod credentials;
pub mod docker;
pub mod environment;
pub mod file;
pub mod hosts;
pub mod paths;

use std::net::IpAddr;
use std::path::PathBuf;

/// The settled global settings of one command: flags over environment over file over defaults.
#[derive(Debug, Clone)]
pub struct Config {
    /// containerd's namespace.
    pub namespace: String,
    /// Whether the user named the namespace.
    pub namespace_given: bool,
    /// The sockets to try, in order: the one asked for, or the known ones.
    pub addresses: Vec<PathBuf>,
    /// Whether the user named the address.
    pub address_given: bool,
    /// The snapshotter's name.
    pub snapshotter: String,
    /// Where logs, volumes and per-container files live.
    pub data_root: PathBuf,
    /// Where sockets and network namespaces live: gone after a reboot when `data_root` is the default one.
    pub run_root: PathBuf,
    /// Directories with CNI plugin binaries, for plugin types that wharfie does not run natively.
    pub cni_path: PathBuf,
    /// The directory of CNI conflists.
    pub cni_conf_dir: PathBuf,
    /// host-local's directory of address files.
    pub cni_data_dir: PathBuf,
    /// containerd's `certs.d` directories.
    pub hosts_dirs: Vec<PathBuf>,
    /// The directory of docker's config.json.
    pub docker_config: PathBuf,
    /// The directories of vendors' device specifications.
    pub cdi_spec_dirs: Vec<PathBuf>,
    /// What `host-gateway` stands for; None is the network's gateway.
    pub host_gateway: Option<IpAddr>,
    /// `--debug` or `--log-level debug`: say on stderr what is done.
    pub debug: bool,
    /// Registries over plain HTTP or with an unverified certificate are allowed.
    pub insecure_registry: bool,
    /// The default OCI runtime as a containerd runtime name.
    pub runtime: String,
}
