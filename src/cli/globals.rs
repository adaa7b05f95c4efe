//! The flags before the verb, and how they settle with the environment and the file.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{ArgAction, Args};

use super::args::parse::duration::nanoseconds;
use super::foreign::ForeignGlobals;
use super::names;
use crate::config::contexts::{Contexts, DEFAULT};
use crate::config::credentials::Secret;
use crate::config::environment::Environment;
use crate::config::node::{Address, Node};
use crate::config::{Config, RegistryFlags, file, mirrors};
use crate::error::{Error, Kind, Result};

/// Where a containerd may listen, in the order of trying: its own, k3s's and rke2's, microk8s's, k0s's, docker's.
pub(super) const SOCKETS: [&str; 5] = [
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
    #[arg(short = 'a', long, value_name = "SOCKET", overrides_with = "address")]
    pub address: Option<String>,
    /// Work on another machine, ssh://[user@]node[:port], or on this containerd socket
    #[arg(short = 'H', long, value_name = "ADDRESS", overrides_with = "host")]
    pub host: Option<String>,
    /// Run a reading verb on these machines side by side: names for ssh, or a file with one a line
    #[arg(long, value_name = "NODE,...|FILE", value_delimiter = ',', overrides_with = "nodes")]
    pub nodes: Vec<String>,
    /// How long each of --nodes may take [default: 10s]
    #[arg(long, value_name = "DURATION", value_parser = duration, overrides_with = "node_timeout")]
    pub node_timeout: Option<Duration>,
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
    /// Use the address of this docker context (`wharfie context ls`)
    #[arg(short = 'c', long, value_name = "NAME", overrides_with = "context")]
    pub context: Option<String>,
    /// Print version information and quit
    #[arg(short = 'v', long, action = ArgAction::SetTrue)]
    pub version: bool,
    /// The verb needs no containerd: a context that has gone does not stop it
    #[arg(skip)]
    pub asks_nobody: bool,
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
        let docker_config = docker_config
            .or_else(|| variable("DOCKER_CONFIG").map(PathBuf::from))
            .unwrap_or_else(|| environment.home().join(".docker"));
        let (context, address) = self.place(environment, &docker_config, file.address.as_deref())?;
        let (node, address) = match address {
            Address::Known => (None, None),
            Address::Socket(socket) => (None, Some(socket)),
            Address::Node(node) => (Some(node), None),
        };
        let namespace = self
            .namespace
            .clone()
            .or_else(|| node.as_ref().and_then(|node| node.namespace.clone()))
            .or_else(|| variable("CONTAINERD_NAMESPACE"))
            .or(file.namespace);
        let data_root = self.data_root.clone().or(file.data_root).unwrap_or_else(|| DATA_ROOT.into());
        let data_root = environment.directory.join(data_root);
        let is_default = data_root == Path::new(DATA_ROOT);
        let known = || SOCKETS.iter().map(PathBuf::from).collect();
        let address_given = address.is_some();
        let addresses: Vec<PathBuf> = match (&node, address) {
            (_, Some(address)) => vec![address],
            (Some(Node { socket: Some(socket), .. }), None) => vec![socket.clone()],
            _ => known(),
        };
        Ok(Config {
            namespace_given: namespace.is_some(),
            namespace: namespace.unwrap_or_else(|| "default".into()),
            address_given,
            context,
            runtime_dir: match variable("XDG_RUNTIME_DIR").map(PathBuf::from) {
                Some(directory) if directory.is_dir() => directory,
                _ if rustix::process::geteuid().is_root() => "/run".into(),
                _ => "/tmp".into(),
            },
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
            containerd_config: match (&self.hosts_dir[..], &file.hosts_dir) {
                ([], None) => Some(mirrors::file_of(&addresses)),
                _ => None,
            },
            hosts_dirs: match &self.hosts_dir[..] {
                [] => file
                    .hosts_dir
                    .unwrap_or_else(|| vec!["/etc/containerd/certs.d".into(), "/etc/docker/certs.d".into()]),
                given => given.to_vec(),
            },
            auth_config: variable("DOCKER_AUTH_CONFIG").map(Secret::new),
            docker_config,
            cdi_spec_dirs: match self.foreign.cdi_spec_dirs.as_slice() {
                [] => file.cdi_spec_dirs.unwrap_or_else(|| vec!["/etc/cdi".into(), "/var/run/cdi".into()]),
                given => given.to_vec(),
            },
            host_gateway: match self.foreign.host_gateway_ip {
                Some(address) => Some(address),
                None => variable("NERDCTL_HOST_GATEWAY_IP").and_then(|address| address.parse().ok()),
            },
            debug: self.debug || self.log_level.as_deref() == Some("debug") || file.debug.unwrap_or(false),
            registry_timeout: file.registry_timeout.as_deref().map(registry_timeout).transpose()?,
            insecure_registry: self.insecure_registry || file.insecure_registry.unwrap_or(false),
            runtime: file.runtime.unwrap_or_else(|| "io.containerd.runc.v2".into()),
            data_root,
            addresses,
            node,
            registry: RegistryFlags::default(),
        })
    }

    /// The flags that mean the same on another machine, as words for its command line.
    pub fn passed_on(&self, environment: &Environment) -> Vec<String> {
        let variable = |name: &str| environment.set(name).map(str::to_owned);
        let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
        let mut words = Vec::new();
        for (flag, value) in [
            ("--namespace", self.namespace.clone().or_else(|| variable("CONTAINERD_NAMESPACE"))),
            ("--snapshotter", self.snapshotter.clone().or_else(|| variable("CONTAINERD_SNAPSHOTTER"))),
            ("--data-root", path(&self.data_root)),
            ("--cni-path", path(&self.cni_path)),
            ("--cni-netconfpath", path(&self.cni_netconfpath)),
            ("--log-level", self.log_level.clone()),
            ("--host-gateway-ip", self.foreign.host_gateway_ip.map(|address| address.to_string())),
        ] {
            if let Some(value) = value {
                words.extend([flag.to_owned(), value]);
            }
        }
        let lists = [("--hosts-dir", &self.hosts_dir), ("--cdi-spec-dirs", &self.foreign.cdi_spec_dirs)];
        for (flag, paths) in lists {
            words.extend(paths.iter().flat_map(|path| [flag.to_owned(), path.display().to_string()]));
        }
        let switches = [("--insecure-registry", self.insecure_registry), ("--debug", self.debug)];
        words.extend(switches.iter().filter(|(_, set)| *set).map(|(flag, _)| (*flag).to_owned()));
        words
    }

    /// The context in use and the address that counts, docker's order: -H, --context, DOCKER_HOST, DOCKER_CONTEXT,
    /// the current context; and between a context that says nothing and the known sockets, what containerd's
    /// clients have always heeded.
    fn place(
        &self,
        environment: &Environment,
        docker_config: &Path,
        file: Option<&str>,
    ) -> Result<(String, Address)> {
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let context = given(&self.context);
        let host = self.host.clone().or_else(|| self.address.clone());
        if self.host.is_some() && context.is_some() {
            return Err(Error::failed("conflicting options: cannot specify both --host and --context"));
        }
        let ours = || match environment.set("CONTAINERD_ADDRESS").or(file) {
            Some(address) => Address::parse(address),
            None => Ok(Address::Known),
        };
        if let Some(host) = host {
            return Ok((DEFAULT.into(), Address::parse(&host)?));
        }
        let contexts = Contexts::of(docker_config);
        let docker_host = environment.set("DOCKER_HOST");
        let name = match (context, docker_host) {
            (Some(name), _) => name,
            (None, Some(_)) => DEFAULT.into(),
            (None, None) => match environment.set("DOCKER_CONTEXT") {
                Some(name) => name.to_owned(),
                // A config.json that cannot be read is warned of where it matters.
                None => contexts.current().ok().flatten().unwrap_or_else(|| DEFAULT.into()),
            },
        };
        let address = if name == DEFAULT {
            match docker_host.map(Address::of_docker).transpose()? {
                None | Some(Address::Known) => ours()?,
                Some(address) => address,
            }
        } else {
            // A context that has gone is told of when its address is needed: `context use` must go on working.
            match contexts.get(&name) {
                Ok(stored) => match Address::of_docker(stored.host())? {
                    Address::Known => ours()?,
                    address => address,
                },
                Err(error) if self.asks_nobody => {
                    drop(error);
                    Address::Known
                }
                Err(error) => {
                    let error = error.context("unable to resolve docker endpoint");
                    return Err(Error::new(Kind::Failed, error.message)
                        .hint("choose another one with `wharfie context use`, or see `wharfie context ls`"));
                }
            }
        };
        Ok((name, address))
    }
}

/// What the file says of it.
fn registry_timeout(text: &str) -> Result<Duration> {
    duration(text).map_err(|why| {
        Error::usage(format!("registry_timeout {text:?}: {why}"))
            .hint("write it as 90s or 2m in wharfie's toml file, or leave it out")
    })
}

/// A duration as docker writes them; more than nothing.
fn duration(text: &str) -> std::result::Result<Duration, String> {
    match u64::try_from(nanoseconds(text)?) {
        Ok(nanoseconds @ 1..) => Ok(Duration::from_nanos(nanoseconds)),
        _ => Err("the deadline must be longer than 0".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::contexts::Stored;

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
    fn only_unix_sockets_and_ssh_are_spoken() {
        let flags = Globals { host: Some("tcp://1.2.3.4:2375".into()), ..Globals::default() };
        let error = flags.settle(&Environment::of(&[])).unwrap_err();
        assert!(error.message.contains("tcp://1.2.3.4:2375"));
    }

    #[test]
    fn hosts_and_contexts_in_docker_s_order() {
        let directory = tempfile::tempdir().unwrap();
        let contexts = Contexts::of(directory.path());
        contexts.put(&Stored::new("flag", "", "ssh://by-flag")).unwrap();
        contexts.put(&Stored::new("env", "", "ssh://by-env")).unwrap();
        contexts.put(&Stored::new("now", "", "ssh://by-current?ns=k8s.io")).unwrap();
        contexts.use_context(Some("now")).unwrap();
        let config = directory.path().to_str().unwrap();
        let all =
            [("DOCKER_HOST", "ssh://by-host"), ("DOCKER_CONTEXT", "env"), ("CONTAINERD_ADDRESS", "/a.sock")];
        let settled = |flags: Globals, variables: &[(&str, &str)]| {
            let variables: Vec<(&str, &str)> =
                [("DOCKER_CONFIG", config)].into_iter().chain(variables.iter().copied()).collect();
            flags.settle(&Environment::of(&variables))
        };
        let of = |flags: Globals, variables: &[(&str, &str)]| {
            let config = settled(flags, variables).unwrap();
            (config.node.map_or(String::new(), |node| node.to_string()), config.context, config.namespace)
        };
        let says =
            |host: &str, context: &str, namespace: &str| (host.into(), context.into(), namespace.into());
        let by_context = |name: &str| Globals { context: Some(name.into()), ..Globals::default() };
        let by_host = Globals { host: Some("ssh://given".into()), ..Globals::default() };
        assert_eq!(of(by_host.clone(), &all), says("ssh://given", "default", "default"));
        assert_eq!(of(by_context("flag"), &all), says("ssh://by-flag", "flag", "default"));
        assert_eq!(of(Globals::default(), &all), says("ssh://by-host", "default", "default"));
        assert_eq!(of(Globals::default(), &all[1..]), says("ssh://by-env", "env", "default"));
        assert_eq!(of(Globals::default(), &all[2..]), says("ssh://by-current", "now", "k8s.io"));
        assert_eq!(of(by_context("default"), &all[2..]), says("", "default", "default"));
        let both = Globals { context: Some("flag".into()), ..by_host };
        assert!(settled(both, &[]).unwrap_err().message.starts_with("conflicting options"));
        assert!(settled(by_context("gone"), &[]).unwrap_err().message.contains("context not found"));
    }
}
