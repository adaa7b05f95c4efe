//! Flags about namespaces, cgroups and the runtime.

use clap::Args;

use super::errors::refused;
use super::process::given;
use crate::cli::errors::LEAD;
use crate::oci::request::ContainerRequest;
use crate::{Error, Result};

/// `--pid`, `--ipc`, `--uts`, `--cgroupns` and their kin.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Namespaces and runtime")]
pub struct NamespaceArgs {
    /// PID namespace to use
    #[arg(long, value_name = "string", add = crate::cli::names::shared_containers())]
    pub pid: Option<String>,
    /// IPC mode to use
    #[arg(long, value_name = "string", add = crate::cli::names::shared_containers())]
    pub ipc: Option<String>,
    /// UTS namespace to use
    #[arg(long, value_name = "string")]
    pub uts: Option<String>,
    /// User namespace to use
    #[arg(long, value_name = "string")]
    pub userns: Option<String>,
    /// Cgroup namespace to use (host|private)
    #[arg(long, value_name = "string")]
    pub cgroupns: Option<String>,
    /// Optional parent cgroup for the container
    #[arg(long, value_name = "string")]
    pub cgroup_parent: Option<String>,
    /// Runtime to use for this container
    #[arg(long, value_name = "string")]
    pub runtime: Option<String>,
    /// Container isolation technology
    #[arg(long, value_name = "string")]
    pub isolation: Option<String>,
}

impl NamespaceArgs {
    /// Fills the request's part.
    ///
    /// # Errors
    /// A mode that does not exist, or one that cannot be done here.
    pub fn apply(self, request: &mut ContainerRequest) -> Result<()> {
        let namespaces = &mut request.namespaces;
        namespaces.pid =
            checked(self.pid, |mode| mode == "host" || of_container(mode), "--pid: invalid PID mode")?;
        namespaces.uts = checked(self.uts, |mode| mode == "host", "--uts: invalid UTS mode")?;
        namespaces.cgroup = checked(
            self.cgroupns,
            |mode| matches!(mode, "host" | "private"),
            "--cgroupns: invalid CGROUP mode",
        )?;
        let ipc = format!("{LEAD}invalid IPC mode: {}", self.ipc.as_deref().unwrap_or_default());
        let known =
            |mode: &str| matches!(mode, "none" | "private" | "shareable" | "host") || of_container(mode);
        namespaces.ipc = checked(self.ipc, known, &ipc)?;
        namespaces.user = match given(self.userns) {
            Some(mode) if mode != "host" => {
                return Err(Error::usage("--userns: invalid USER mode")
                    .hint("containers share the host's user namespace; `host` is the only mode"));
            }
            mode => mode,
        };
        request.cgroup_parent = given(self.cgroup_parent);
        request.runtime = given(self.runtime);
        match given(self.isolation) {
            Some(isolation) if !isolation.eq_ignore_ascii_case("default") => {
                Err(refused(format!("Invalid isolation: {isolation:?} - linux only supports 'default'")))
            }
            _ => Ok(()),
        }
    }
}

fn checked(mode: Option<String>, valid: impl Fn(&str) -> bool, message: &str) -> Result<Option<String>> {
    match given(mode) {
        Some(mode) if !valid(&mode) => Err(Error::usage(message)),
        mode => Ok(mode),
    }
}

fn of_container(mode: &str) -> bool {
    mode.strip_prefix("container:").is_some_and(|name| !name.is_empty())
}
