//! The flags with which ctr makes a container, and what they ask for.

use std::path::PathBuf;

use super::shown;
use crate::cli::Context;
use crate::engine::container::{Base, PlainContainer, RuncOptions, spec_file};
use crate::error::{Error, Result};
use crate::oci::plain::{PlainMount, PlainRequest};
use crate::oci::request::Seccomp;
use crate::store::read_bounded;

const LARGEST_FILE: u64 = 4 << 20;

/// The flags of runc's shim.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct RuncFlags {
    /// Specify runc-compatible binary
    #[arg(long, value_name = "value")]
    runc_binary: Option<String>,
    /// Specify runc-compatible root
    #[arg(long, value_name = "value")]
    runc_root: Option<String>,
    /// Start runc with systemd cgroup manager
    #[arg(long)]
    runc_systemd_cgroup: bool,
}

impl RuncFlags {
    /// As the shim takes them.
    pub(super) fn options(&self) -> RuncOptions {
        RuncOptions {
            no_pivot: false,
            binary: self.runc_binary.clone().unwrap_or_default(),
            root: self.runc_root.clone().unwrap_or_default(),
            systemd_cgroup: self.runc_systemd_cgroup,
        }
    }
}

/// The flags that `run` and `containers create` share.
#[derive(Debug, clap::Args)]
pub struct ContainerFlags {
    /// Snapshotter name. Empty value stands for the default value
    #[arg(long, value_name = "value")]
    pub(super) snapshotter: Option<String>,
    /// Labels added to the new snapshot for this container
    #[arg(long, value_name = "key=value")]
    snapshotter_label: Vec<String>,
    /// Path to the runtime-specific spec config file
    #[arg(short, long, value_name = "value")]
    config: Option<PathBuf>,
    /// Specify the working directory of the process
    #[arg(long, value_name = "value")]
    cwd: Option<String>,
    /// Specify additional container environment variables (e.g. FOO=bar)
    #[arg(long, value_name = "value")]
    env: Vec<String>,
    /// Specify additional container environment variables in a file (e.g. FOO=bar, one per line)
    #[arg(long, value_name = "value")]
    env_file: Option<PathBuf>,
    /// Specify additional labels (e.g. foo=bar)
    #[arg(long, value_name = "value")]
    label: Vec<String>,
    /// Specify additional OCI annotations (e.g. foo=bar)
    #[arg(long, value_name = "value")]
    annotation: Vec<String>,
    /// Specify additional container mount (e.g. type=bind,src=/tmp,dst=/host,options=rbind:ro)
    #[arg(long, value_name = "value")]
    mount: Vec<String>,
    /// Enable host networking for the container
    #[arg(long)]
    net_host: bool,
    /// Run privileged container
    #[arg(long)]
    privileged: bool,
    /// Set the containers filesystem as readonly
    #[arg(long)]
    read_only: bool,
    /// Set the container's host name
    #[arg(long, value_name = "value")]
    hostname: Option<String>,
    /// Username or user id, group optional (format: <name|uid>[:<group|gid>])
    #[arg(short, long, value_name = "value")]
    user: Option<String>,
    /// Runtime name or absolute path to runtime binary
    #[arg(long, value_name = "value", default_value = "io.containerd.runc.v2")]
    runtime: String,
    /// Optional runtime config path: not here
    #[arg(long, value_name = "value")]
    runtime_config_path: Option<String>,
    /// Allocate a TTY for the container
    #[arg(short, long)]
    pub(super) tty: bool,
    /// Specify existing Linux namespaces to join at container runtime (format '<nstype>:<path>')
    #[arg(long, value_name = "value")]
    with_ns: Vec<String>,
    /// File path to write the task's pid
    #[arg(long, value_name = "value")]
    pub(super) pid_file: Option<PathBuf>,
    /// Add gpus to the container: not here
    #[arg(long, value_name = "value")]
    gpus: Vec<u32>,
    /// Turn off OCI spec's NoNewPrivileges feature flag
    #[arg(long)]
    allow_new_privs: bool,
    /// Memory limit (in bytes) for the container
    #[arg(long, value_name = "value", default_value_t = 0)]
    memory_limit: u64,
    /// Limit CPU CFS quota
    #[arg(long, value_name = "value", default_value_t = -1)]
    cpu_quota: i64,
    /// Limit CPU CFS period
    #[arg(long, value_name = "value", default_value_t = 0)]
    cpu_period: u64,
    /// File path to a device to add to the container; or a path to a directory tree of devices
    #[arg(long, value_name = "value")]
    device: Vec<PathBuf>,
    /// Add Linux capabilities (Set capabilities with 'CAP_' prefix)
    #[arg(long, value_name = "value")]
    cap_add: Vec<String>,
    /// Drop Linux capabilities (Set capabilities with 'CAP_' prefix)
    #[arg(long, value_name = "value")]
    cap_drop: Vec<String>,
    /// Enable the default seccomp profile
    #[arg(long)]
    seccomp: bool,
    /// File path to custom seccomp profile. seccomp must be set to true, before using seccomp-profile
    #[arg(long, value_name = "value")]
    seccomp_profile: Option<PathBuf>,
    /// Enable AppArmor with the default profile with the specified name: not here
    #[arg(long, value_name = "value")]
    apparmor_default_profile: Option<String>,
    /// Enable AppArmor with an existing custom profile
    #[arg(long, value_name = "value")]
    apparmor_profile: Option<String>,
    /// Name of the block I/O class: not here
    #[arg(long, value_name = "value")]
    blockio_class: Option<String>,
    /// File path to a block I/O class definition: not here
    #[arg(long, value_name = "value")]
    blockio_config_file: Option<String>,
    /// Name of the RDT class to associate the container with
    #[arg(long, value_name = "value")]
    rdt_class: Option<String>,
    /// Use custom rootfs that is not managed by containerd snapshotter
    #[arg(long)]
    rootfs: bool,
    /// Set the propagation of the container rootfs
    #[arg(long, value_name = "value")]
    rootfs_propagation: Option<String>,
    /// Disable use of pivot-root (linux only)
    #[arg(long)]
    pub(super) no_pivot: bool,
    /// Create the container in the given sandbox
    #[arg(long, value_name = "value")]
    sandbox: Option<String>,
    #[command(flatten)]
    runc: RuncFlags,
}

impl ContainerFlags {
    /// What the flags and the words (an image, an id, a command) ask for. `tail` ends complaints about the words.
    pub(super) fn request(&self, words: &[String], tail: &str, cx: &Context<'_>) -> Result<PlainContainer> {
        let directory = &cx.environment.directory;
        let missing = |what: &str| Error::failed(format!("{what} must be provided{tail}"));
        let word = |number: usize| words.get(number).cloned().filter(|word| !word.is_empty());
        let (base, id, command) = match &self.config {
            Some(path) => {
                if words.len() > 1 {
                    return Err(Error::failed(format!(
                        "with spec config file, only container id should be provided{tail}"
                    )));
                }
                let id = word(0).ok_or_else(|| missing("container id"))?;
                (Base::Spec(spec_file(&directory.join(path))?), id, Vec::new())
            }
            None => {
                let base = word(0).ok_or_else(|| missing("image ref"))?;
                let id = word(1).ok_or_else(|| missing("container id"))?;
                let base =
                    if self.rootfs { Base::Directory(directory.join(base)) } else { Base::Image(base) };
                (base, id, words.get(2..).unwrap_or_default().to_vec())
            }
        };
        self.check()?;
        Ok(PlainContainer {
            id,
            base,
            platform: None,
            asked: self.asked(command, cx)?,
            user: self.user.clone().filter(|user| !user.is_empty()),
            seccomp: self.filter(cx)?,
            devices: self.device.clone(),
            labels: shown::flag_labels(&self.label),
            snapshot_labels: shown::flag_labels(&self.snapshotter_label),
            runtime: self.runtime.clone(),
            runtime_options: self.runc.options(),
            sandbox: self.sandbox.clone().unwrap_or_default(),
        })
    }

    /// What is known and not here.
    fn check(&self) -> Result<()> {
        let absent = [
            (self.runtime_config_path.is_some(), "--runtime-config-path"),
            (!self.gpus.is_empty(), "--gpus"),
            (self.apparmor_default_profile.is_some(), "--apparmor-default-profile"),
            (self.blockio_class.is_some(), "--blockio-class"),
            (self.blockio_config_file.is_some(), "--blockio-config-file"),
        ];
        match absent.iter().find(|(given, _)| *given) {
            Some((_, flag)) => Err(Error::failed(format!("{flag} is not here"))
                .hint("`wharfie run` has --gpus and AppArmor's default profile")),
            None => Ok(()),
        }
    }

    fn filter(&self, cx: &Context<'_>) -> Result<Option<Seccomp>> {
        match (&self.seccomp_profile, self.seccomp) {
            (Some(_), false) => {
                Err(Error::failed("seccomp must be set to true, if using a custom seccomp-profile"))
            }
            (Some(path), true) => {
                let path = cx.environment.directory.join(path);
                let profile = serde_json::from_slice(&read_bounded(&path, LARGEST_FILE)?);
                let invalid =
                    |cause| Error::failed(format!("{}: invalid seccomp profile: {cause}", path.display()));
                Ok(Some(Seccomp::Profile(profile.map_err(invalid)?)))
            }
            (None, true) => Ok(Some(Seccomp::Default)),
            (None, false) => Ok(None),
        }
    }

    fn asked(&self, command: Vec<String>, cx: &Context<'_>) -> Result<PlainRequest> {
        let mut env = Vec::new();
        if let Some(path) = &self.env_file {
            let path = cx.environment.directory.join(path);
            let text = String::from_utf8_lossy(&read_bounded(&path, LARGEST_FILE)?).into_owned();
            let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
            env.extend(lines.map(str::to_owned));
        }
        env.extend(self.env.iter().cloned());
        let namespaces = self.with_ns.iter().map(|text| match text.split_once(':') {
            Some((kind, path)) if !path.contains(':') => Ok((kind.to_owned(), path.to_owned())),
            _ => Err(Error::failed(
                "joining a Linux namespace using --with-ns requires the format 'nstype:path'",
            )),
        });
        // Labels are annotations as well, as ctr has it.
        let mut annotations = shown::flag_labels(&self.label);
        annotations.extend(shown::flag_labels(&self.annotation));
        Ok(PlainRequest {
            command,
            env,
            cwd: self.cwd.clone().filter(|cwd| !cwd.is_empty()),
            hostname: self.hostname.clone().filter(|name| !name.is_empty()),
            tty: self.tty,
            read_only: self.read_only,
            privileged: self.privileged,
            host_network: self.net_host,
            new_privileges: self.allow_new_privs,
            annotations: annotations.into_iter().collect(),
            mounts: self.mount.iter().map(|text| mount(text)).collect::<Result<_>>()?,
            namespaces: namespaces.collect::<Result<_>>()?,
            cap_add: self.cap_add.clone(),
            cap_drop: self.cap_drop.clone(),
            memory: self.memory_limit,
            cpu_quota: self.cpu_quota,
            cpu_period: self.cpu_period,
            apparmor: self.apparmor_profile.clone(),
            rdt_class: self.rdt_class.clone(),
            root_propagation: self.rootfs_propagation.clone(),
            ..PlainRequest::default()
        })
    }
}

/// `type=bind,src=/tmp,dst=/host,options=rbind:ro`.
fn mount(text: &str) -> Result<PlainMount> {
    let mut mount = PlainMount::default();
    for field in text.split(',') {
        let (key, value) = field.split_once('=').ok_or_else(|| {
            Error::failed(format!("invalid mount specification: expected key=val, got {field:?}"))
        })?;
        match key {
            "type" => mount.kind = value.to_owned(),
            "source" | "src" => mount.source = value.to_owned(),
            "destination" | "dst" => mount.destination = value.to_owned(),
            "options" => mount.options = value.split(':').map(str::to_owned).collect(),
            _ => return Err(Error::failed(format!("mount option {key:?} not supported"))),
        }
    }
    Ok(mount)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_are_read() {
        let expected = PlainMount {
            kind: "bind".into(),
            source: "/tmp".into(),
            destination: "/host".into(),
            options: vec!["rbind".into(), "ro".into()],
        };
        assert_eq!(mount("type=bind,src=/tmp,dst=/host,options=rbind:ro").unwrap(), expected);
        assert!(mount("type").is_err() && mount("what=1").is_err());
    }
}
