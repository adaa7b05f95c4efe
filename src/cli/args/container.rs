//! All flags that `run` and `create` share, those of each, and the pure step to a request.

use clap::Args;

use super::errors::refused;
use super::health::HealthArgs;
use super::lifecycle::{LifecycleArgs, Streams};
use super::logging::LoggingArgs;
use super::metadata::MetadataArgs;
use super::mounts::MountArgs;
use super::namespaces::NamespaceArgs;
use super::nerdctl::NerdctlArgs;
use super::network::NetworkArgs;
use super::parse::{keys, name};
use super::ports::PortArgs;
use super::process::{ProcessArgs, given};
use super::resources::ResourceArgs;
use super::security::SecurityArgs;
use super::{Environment, check_detach_keys};
use crate::oci::request::{ContainerRequest, NetworkMode};
use crate::{Error, Result};

/// docker says this of the command line itself: exit code 1.
pub(crate) const ATTACH_AND_DETACH: &str = "conflicting options: cannot specify both --attach and --detach";

/// Create a new container
#[derive(Debug, Clone, Default, Args)]
#[command(disable_help_flag = true)]
pub struct ContainerArgs {
    /// What runs
    #[command(flatten)]
    pub process: ProcessArgs,
    /// How it comes and goes
    #[command(flatten)]
    pub lifecycle: LifecycleArgs,
    /// What it is called
    #[command(flatten)]
    pub metadata: MetadataArgs,
    /// What is mounted
    #[command(flatten)]
    pub mounts: MountArgs,
    /// How it is connected
    #[command(flatten)]
    pub network: NetworkArgs,
    /// Which ports it shows
    #[command(flatten)]
    pub ports: PortArgs,
    /// What it may use
    #[command(flatten)]
    pub resources: ResourceArgs,
    /// What it may do
    #[command(flatten)]
    pub security: SecurityArgs,
    /// What it shares
    #[command(flatten)]
    pub namespaces: NamespaceArgs,
    /// Where its output goes
    #[command(flatten)]
    pub logging: LoggingArgs,
    /// How it is checked
    #[command(flatten)]
    pub health: HealthArgs,
    /// What nerdctl has beyond docker
    #[command(flatten)]
    pub nerdctl: NerdctlArgs,
    /// Print usage
    #[arg(long, action = clap::ArgAction::Help, help_heading = "Options")]
    pub help: Option<bool>,
    /// The image, and the command with its arguments in place of the image's
    #[arg(value_name = "IMAGE [COMMAND] [ARG...]", required = true, num_args = 1.., trailing_var_arg = true, add = crate::cli::names::images())]
    pub image_and_command: Vec<String>,
}

/// Create and run a new container from an image
#[derive(Debug, Clone, Default, Args)]
#[command(disable_help_flag = true)]
pub struct RunArgs {
    /// Run container in background and print container ID
    #[arg(short, long)]
    pub detach: bool,
    /// Override the key sequence for detaching a container
    #[arg(long, value_name = "string")]
    pub detach_keys: Option<String>,
    /// Proxy received signals to the process
    #[arg(long, action = clap::ArgAction::SetFalse)]
    pub sig_proxy: bool,
    /// With --detach: return when the container is healthy, or runs where it has no health check
    #[arg(long)]
    pub wait: bool,
    /// Give up --wait after this time (seconds, or as in 1m30s)
    #[arg(long, value_name = "duration")]
    pub wait_timeout: Option<String>,
    /// What create takes too
    #[command(flatten)]
    pub container: ContainerArgs,
}

impl RunArgs {
    /// The request, with what only `run` knows.
    ///
    /// # Errors
    /// As [`ContainerArgs::into_request`].
    pub fn into_request(self, environment: &Environment<'_>) -> Result<ContainerRequest> {
        let check = || {
            check_detach_keys(self.detach_keys.as_deref())?;
            if !self.wait && self.wait_timeout.is_some() {
                return Err(Error::usage("--wait-timeout needs --wait"));
            }
            if self.wait && !self.detach {
                return Err(Error::usage("conflicting options: --wait needs --detach"));
            }
            if self.detach && !self.container.lifecycle.attach.is_empty() {
                return Err(Error::failed(ATTACH_AND_DETACH));
            }
            Ok(())
        };
        check().map_err(|error| environment.with_help(error))?;
        let mut request = self.container.into_request(environment)?;
        request.detach = self.detach;
        request.detach_keys = given(self.detach_keys);
        Ok(request)
    }

    /// The streams to attach to: none where the container is detached.
    ///
    /// # Errors
    /// A stream that does not exist.
    pub fn streams(&self) -> Result<Streams> {
        let streams = self.container.lifecycle.streams(self.container.process.interactive)?;
        Ok(if self.detach { Streams::default() } else { streams })
    }

    /// The bytes of `--detach-keys`, docker's default sequence without it.
    ///
    /// # Errors
    /// A key that does not exist.
    pub fn detach_bytes(&self) -> Result<Vec<u8>> {
        let text = self.detach_keys.as_deref().filter(|text| !text.is_empty()).unwrap_or(keys::DEFAULT);
        keys::detach_keys(text)
            .map_err(|cause| Error::usage(format!("invalid detach keys ({text}): {cause}")))
    }
}

impl ContainerArgs {
    /// The request: defaults settled, conflicts refused, files read through `environment` and nothing else
    /// touched. `name` is empty where none was given.
    ///
    /// # Errors
    /// [`crate::Kind::Usage`] in docker's words, with a hint that points to the help.
    pub fn into_request(self, environment: &Environment<'_>) -> Result<ContainerRequest> {
        self.convert(environment).map_err(|error| environment.with_help(error))
    }

    /// Lines for stderr about flags that have no effect, as docker warns of them.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = self.resources.warnings();
        let host =
            self.network.network.iter().any(|network| matches!(network.as_str(), "host" | "name=host"));
        if host && (!self.ports.publish.is_empty() || self.ports.publish_all) {
            warnings.push("Published ports are discarded when using host network mode".into());
        }
        warnings
    }

    fn convert(self, environment: &Environment<'_>) -> Result<ContainerRequest> {
        let mut request = ContainerRequest::default();
        let mut words = self.image_and_command.into_iter();
        request.image = words.next().unwrap_or_default();
        let command: Vec<String> = words.collect();
        request.command = (!command.is_empty()).then_some(command);
        self.resources.apply(&mut request)?;
        self.mounts.apply(&mut request, environment)?;
        self.ports.apply(&mut request)?;
        self.process.apply(&mut request, environment)?;
        self.nerdctl.apply(&mut request)?;
        self.metadata.apply(&mut request, environment)?;
        self.namespaces.apply(&mut request)?;
        self.lifecycle.apply(&mut request, environment)?;
        self.logging.apply(&mut request)?;
        self.security.apply(&mut request, environment)?;
        self.health.apply(&mut request)?;
        self.network.apply(&mut request)?;
        conflicts(&request)?;
        if !request.rootfs {
            name::image(&request.image).map_err(Error::usage)?;
        }
        Ok(request)
    }
}

/// What no single group can see: settings that a shared namespace takes away.
fn conflicts(request: &ContainerRequest) -> Result<()> {
    let network = &request.network;
    let named = request.hostname.is_some();
    let message = if request.namespaces.uts.is_some() && named {
        "conflicting options: hostname and the UTS mode"
    } else if !request.links.is_empty() && network.mode == NetworkMode::Host {
        "conflicting options: host type networking can't be used with links. This would result in undefined behavior"
    } else if !request.links.is_empty() && matches!(network.mode, NetworkMode::Container(_)) {
        "conflicting options: container type network can't be used with links. This would result in undefined behavior"
    } else if !matches!(network.mode, NetworkMode::Container(_)) {
        return Ok(());
    } else if named {
        "conflicting options: hostname and the network mode"
    } else if !network.dns.is_empty() {
        "conflicting options: dns and the network mode"
    } else if !network.extra_hosts.is_empty() {
        "conflicting options: custom host-to-IP mapping and the network mode"
    } else if !network.ports.is_empty() || network.publish_all {
        "conflicting options: port publishing and the container type network mode"
    } else if !network.expose.is_empty() {
        "conflicting options: port exposing and the container type network mode"
    } else {
        return Ok(());
    };
    Err(refused(message))
}
