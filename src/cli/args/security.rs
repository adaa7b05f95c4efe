//! Flags about privileges.

use std::path::Path;

use clap::Args;

use super::Environment;
use super::errors::parse_all;
use super::parse::keyvalue;
use super::parse::security::{SecurityOption, option};
use crate::oci::request::{ContainerRequest, Seccomp};
use crate::{Error, Result};

/// `--privileged`, `--cap-add`, `--security-opt` and `--sysctl`.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Security")]
pub struct SecurityArgs {
    /// Give extended privileges to this container
    #[arg(long)]
    pub privileged: bool,
    /// Add Linux capabilities
    #[arg(long, value_name = "list")]
    pub cap_add: Vec<String>,
    /// Drop Linux capabilities
    #[arg(long, value_name = "list")]
    pub cap_drop: Vec<String>,
    /// Security Options
    #[arg(long, value_name = "list")]
    pub security_opt: Vec<String>,
    /// Sysctl options
    #[arg(long, value_name = "map")]
    pub sysctl: Vec<String>,
}

impl SecurityArgs {
    /// Fills the request's part; a seccomp profile is read through `environment`.
    ///
    /// # Errors
    /// An option that does not parse, a profile that cannot be read or is not JSON.
    pub fn apply(self, request: &mut ContainerRequest, environment: &Environment<'_>) -> Result<()> {
        let security = &mut request.security;
        security.privileged = self.privileged;
        security.cap_add = self.cap_add;
        security.cap_drop = self.cap_drop;
        for text in &self.security_opt {
            match option(text).map_err(Error::usage)? {
                SecurityOption::SeccompUnconfined => security.seccomp = Seccomp::Unconfined,
                SecurityOption::SeccompDefault => security.seccomp = Seccomp::Default,
                SecurityOption::SeccompFile(file) => {
                    security.seccomp = Seccomp::Profile(profile(&file, environment)?);
                }
                SecurityOption::Apparmor(profile) => security.apparmor = Some(profile),
                SecurityOption::NoNewPrivileges(on) => security.no_new_privileges = on,
                SecurityOption::SystemPathsUnconfined => security.system_paths_unconfined = true,
                SecurityOption::WritableCgroups(on) => security.writable_cgroups = on,
                SecurityOption::Label => {}
            }
        }
        security.options = self.security_opt;
        request.sysctls = parse_all(&self.sysctl, "--sysctl", keyvalue::sysctl)?.into_iter().collect();
        Ok(())
    }
}

fn profile(file: &str, environment: &Environment<'_>) -> Result<serde_json::Value> {
    let content = (environment.read_file)(Path::new(file)).map_err(|cause| {
        let reason = crate::error::reason(&cause);
        Error::usage(format!("opening seccomp profile ({file}) failed: open {file}: {reason}"))
    })?;
    serde_json::from_slice(&content).map_err(|cause| {
        Error::usage(format!("compacting json for seccomp profile ({file}) failed: {cause}"))
    })
}
