//! What the user, the environment and the configuration files say: read once, here and nowhere else.

pub mod certificate;
pub mod contexts;
pub mod credentials;
pub mod docker;
pub mod environment;
pub mod file;
mod helper;
pub mod hosts;
pub mod login;
pub mod mirrors;
pub mod node;
pub mod paths;
pub mod tls;
pub mod trace;

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

/// What one command says about its registry, over what files say.
#[derive(Debug, Clone, Default)]
pub struct RegistryFlags {
    /// Log in with these.
    pub credentials: Option<credentials::Credentials>,
    /// The registry itself speaks plain HTTP.
    pub plain_http: bool,
    /// Verify no certificate.
    pub skip_verify: bool,
    /// One more certificate authority to trust (PEM).
    pub ca: Option<PathBuf>,
    /// A client certificate and its key (PEM).
    pub client: Option<(PathBuf, PathBuf)>,
    /// Who is told of each request.
    pub trace: Option<trace::Trace>,
}

/// The settled global settings of one command: flags over environment over file over defaults.
#[derive(Debug, Clone)]
pub struct Config {
    /// containerd's namespace.
    pub namespace: String,
    /// Whether the user named the namespace.
    pub namespace_given: bool,
    /// The sockets to try, in order: the one asked for, or the known ones.
    pub addresses: Vec<PathBuf>,
    /// The other machine whose containerd is meant; None for this machine's.
    pub node: Option<node::Node>,
    /// The name of the docker context in use.
    pub context: String,
    /// Where short-lived sockets of this process may lie.
    pub runtime_dir: PathBuf,
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
    /// containerd's own configuration, which says more about registries; None where the user has named directories.
    pub containerd_config: Option<PathBuf>,
    /// Log-ins that the environment gives, as JSON: they come before docker's config.json.
    pub auth_config: Option<credentials::Secret>,
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
    /// How long a registry may be silent before its connection counts as broken; None is this program's own measure.
    pub registry_timeout: Option<Duration>,
    /// The default OCI runtime as a containerd runtime name.
    pub runtime: String,
    /// What flags of one verb say about the registry.
    pub registry: RegistryFlags,
}
