//! The flags before the verb, and how they settle with the environment and the file.

use std::path::{Path, PathBuf};

use clap::{ArgAction, Args};

use super::foreign::ForeignGlobals;
use super::names;
use crate::config::environment::Environment;
use crate::config::{Config, file};
use crate::error::{Error, Result};

/// Where a containerd may listen, in the order of trying: its own, k3s's and rke2's, microk8s's, k0s's, docker's.
const SOCKETS: [&str; 5] = [
    "/run/containerd/containerd.sock",
    "/run/k3s/containerd/containerd.sock",
    "/var/snap/microk8s/common/run/containerd.sock",
    "/run/k0s/containerd.sock",
    "/run/docker/containerd/containerd.sock",
];

const DATA_ROOT: &str = "/var/lib/wharfie";
const RUN_ROOT: &str = "/run/wharfie";

/// The global flags.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Global options")]
pub struct Globals {
    /// Use this containerd namespace; Kubernetes keeps its images and containers in k8s.io [default: default]
    #[arg(short = 'n', long, value_name = "NAME", overrides_with = "namespace", add = names::namespaces())]
    pub namespace: Option<String>,
    /// Connect to this containerd socket [default: the first known one that answers]
    #[arg(short = 'a', long, alias = "host", value_name = "SOCKET", overrides_with = "address")]
    pub address: Option<String>,
    /// The same as --address
    #[arg(short = 'H', value_name = "SOCKET", hide = true, overrides_with = "host")]
    pub host: Option<String>,
    /// Use this containerd snapshotter [default: overlayfs]
    #[arg(long, alias = "storage-driver", value_name = "NAME", overrides_with = "snapshotter")]
    pub snapshotter: Option<String>,
    /// Keep logs, volumes and files of containers here [default: /var/lib/wharfie]
    #[arg(long, value_name = "DIR", overrides_with = "data_root")]
    pub data_root: Option<PathBuf>,
    /// Find CNI plugins here that are not built in [default: /opt/cni/bin]
    #[arg(long, value_name = "DIR", overrides_with = "cni_path")]
    pub cni_path: Option<PathBuf>,
    /// Keep networks here, as CNI configurations [default: /etc/cni/net.d]
    #[arg(long, value_name = "DIR", overrides_with = "cni_netconfpath")]
    pub cni_netconfpath: Option<PathBuf>,
    /// Read registry hosts from here [default: /etc/containerd/certs.d, /etc/docker/certs.d]
    #[arg(long, value_name = "DIR", value_delimiter = ',')]
    pub hosts_dir: Vec<PathBuf>,
    /// Allow registries over plain HTTP or with a certificate that cannot be verified
    #[arg(long)]
    pub insecure_registry: bool,
    /// Read docker's config.json from this directory, or global flags from this .toml file
    #[arg(long, value_name = "PATH", overrides_with = "config")]
    pub config: Option<PathBuf>,
    /// Say on standard error what is done
    #[arg(short = 'D', long, alias = "debug-full")]
    pub debug: bool,
    /// Say more or less: debug, info, warn, error, fatal
    #[arg(short = 'l', long, value_name = "LEVEL", overrides_with = "log_level",
        value_parser = ["debug", "info", "warn", "error", "fatal"])]
    pub log_level: Option<String>,
    /// Use this docker context; there is one, "default"
    #[arg(short = 'c', long, value_name = "NAME", hide = true, value_parser = ["default", ""], overrides_with = "context")]
    pub context: Option<String>,
    /// Print version information and quit
    #[arg(short = 'v', long, action = ArgAction::SetTrue)]
    pub version: bool,
    /// What docker and nerdctl have beside these
    #[command(flatten)]
    pub foreign: ForeignGlobals,
}

impl Globals {
    /// Flags over environment over file over defaults.
    pub fn settle(&self, environment: &Environment) -> Result<Config> {
        self.foreign.check()?;
        let (toml, docker_config) = match &self.config {
            Some(path) if path.extension().is_some_and(|extension| extension == "toml") => {
                (Some(path.clone()), None)
            }
            Some(path) => (None, Some(path.clone())),
            None => (environment.set("WHARFIE_TOML").map(PathBuf::from), None),
        };
        let file = file::read(toml.as_deref())?;
        let variable = |name: &str| environment.set(name).map(str::to_owned);
        let address = self
            .host
            .clone()
            .or_else(|| self.address.clone())
            .or_else(|| variable("CONTAINERD_ADDRESS"))
            .or(file.address)
            .map(|address| socket(&address))
            .transpose()?;
        let namespace =
            self.namespace.clone().or_else(|| variable("CONTAINERD_NAMESPACE")).or(file.namespace);
        let data_root = self.data_root.clone().or(file.data_root).unwrap_or_else(|| DATA_ROOT.into());
        let data_root = environment.directory.join(data_root);
        let is_default = data_root == Path::new(DATA_ROOT);
        let known = || SOCKETS.iter().map(PathBuf::from).collect();
        Ok(Config {
            namespace_given: namespace.is_some(),
            namespace: namespace.unwrap_or_else(|| "default".into()),
            address_given: address.is_some(),
            addresses: address.map_or_else(known, |address| vec![address]),
            snapshotter: self
                .snapshotter
                .clone()
                .or_else(|| variable("CONTAINERD_SNAPSHOTTER"))
                .or(file.snapshotter)
                .unwrap_or_else(|| "overlayfs".into()),
            run_root: if is_default { RUN_ROOT.into() } else { data_root.join("run") },
            cni_path: self
                .cni_path
                .clone()
                .or_else(|| variable("CNI_PATH").map(PathBuf::from))
                .or(file.cni_path)
                .unwrap_or_else(|| "/opt/cni/bin".into()),
            cni_conf_dir: self
                .cni_netconfpath
                .clone()
                .or_else(|| variable("NETCONFPATH").map(PathBuf::from))
                .or(file.cni_netconfpath)
                .unwrap_or_else(|| "/etc/cni/net.d".into()),
            // host-local's own directory, shared with nerdctl and the plugins; a data root of one's own keeps all
            // of it apart.
            cni_data_dir: if is_default { "/var/lib/cni/networks".into() } else { data_root.join("cni") },
            hosts_dirs: if self.hosts_dir.is_empty() {
                file.hosts_dir
                    .unwrap_or_else(|| vec!["/etc/containerd/certs.d".into(), "/etc/docker/certs.d".into()])
            } else {
                self.hosts_dir.clone()
            },
            docker_config: docker_config
                .or_else(|| variable("DOCKER_CONFIG").map(PathBuf::from))
                .unwrap_or_else(|| environment.home().join(".docker")),
            cdi_spec_dirs: match self.foreign.cdi_spec_dirs.as_slice() {
                [] => file.cdi_spec_dirs.unwrap_or_else(|| vec!["/etc/cdi".into(), "/var/run/cdi".into()]),
                given => given.to_vec(),
            },
            host_gateway: match self.foreign.host_gateway_ip {
                Some(address) => Some(address),
                None => variable("NERDCTL_HOST_GATEWAY_IP").and_then(|address| address.parse().ok()),
            },
            debug: self.debug || self.log_level.as_deref() == Some("debug") || file.debug.unwrap_or(false),
            insecure_registry: self.insecure_registry || file.insecure_registry.unwrap_or(false),
            runtime: file.runtime.unwrap_or_else(|| "io.containerd.runc.v2".into()),
            data_root,
        })
    }
}

/// A socket's path, with or without `unix://`.
fn socket(address: &str) -> Result<PathBuf> {
    let path = address.strip_prefix("unix://").unwrap_or(address);
    if path.contains("://") {
        return Err(Error::usage(format!("cannot connect to {address}: only unix sockets are spoken"))
            .hint("name containerd's socket, for example --address /run/containerd/containerd.sock"));
    }
    Ok(PathBuf::from(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_beats_the_environment_which_beats_the_default() {
        let environment =
            Environment::of(&[("CONTAINERD_NAMESPACE", "k8s.io"), ("CONTAINERD_ADDRESS", "unix:///x.sock")]);
        let config = Globals::default().settle(&environment).unwrap();
        assert_eq!((config.namespace.as_str(), config.addresses), ("k8s.io", vec![PathBuf::from("/x.sock")]));
        let flags =
            Globals { namespace: Some("moby".into()), host: Some("/y.sock".into()), ..Globals::default() };
        let config = flags.settle(&environment).unwrap();
        assert_eq!((config.namespace.as_str(), config.addresses), ("moby", vec![PathBuf::from("/y.sock")]));
        let config = Globals::default().settle(&Environment::of(&[])).unwrap();
        assert_eq!((config.namespace.as_str(), config.addresses.len()), ("default", SOCKETS.len()));
        assert_eq!(config.run_root, PathBuf::from("/run/wharfie"));
    }

    #[test]
    fn a_data_root_of_one_s_own_keeps_everything_apart() {
        let flags = Globals { data_root: Some("/tmp/d".into()), ..Globals::default() };
        let config = flags.settle(&Environment::of(&[])).unwrap();
        assert_eq!(config.run_root, PathBuf::from("/tmp/d/run"));
        assert_eq!(config.cni_data_dir, PathBuf::from("/tmp/d/cni"));
    }

    #[test]
    fn only_unix_sockets_are_spoken() {
        assert!(socket("tcp://1.2.3.4:2375").unwrap_err().message.contains("tcp://1.2.3.4:2375"));
    }
}
