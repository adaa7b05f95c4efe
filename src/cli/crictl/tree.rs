//! crictl's command tree: its global flags and its commands.

use std::path::PathBuf;

use clap::{ArgAction, Parser, Subcommand};

use super::{
    attach, checkpoint, completion, config, create, events, exec, images, info, inspect, inspecti, logs,
    metrics, pods, port_forward, ps, pull, remove, rmi, start, stats, statsp, stop, update,
};

/// Client for CRI
#[derive(Debug, Parser)]
#[command(
    name = "crictl",
    disable_version_flag = true,
    disable_help_subcommand = true,
    subcommand_value_name = "COMMAND"
)]
pub(super) struct Cli {
    /// The flags before the command.
    #[command(flatten)]
    pub(super) globals: Globals,
    /// The command.
    #[command(subcommand)]
    pub(super) verb: Option<Verb>,
    /// What is no command.
    #[arg(hide = true)]
    pub(super) rest: Vec<String>,
}

/// The global flags.
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct Globals {
    /// Location of the client config file [default: /etc/crictl.yaml]
    #[arg(short, long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Enable debug mode
    #[arg(short = 'D', long)]
    pub(super) debug: bool,
    /// Enable OpenTelemetry tracing; there is none here, so it has no effect
    #[arg(long, hide = true)]
    pub(super) enable_tracing: bool,
    /// Endpoint of CRI image manager service [default: the runtime's]
    #[arg(short, long, value_name = "ENDPOINT")]
    pub(super) image_endpoint: Option<String>,
    /// Maximum number of attempts to connect; one is enough on a unix socket
    #[arg(long, value_name = "NUMBER", hide = true)]
    pub(super) max_retries: Option<i64>,
    /// Write a pprof CPU profile; there is none here, so it has no effect
    #[arg(long, value_name = "FILE", hide = true)]
    pub(super) profile_cpu: Option<String>,
    /// Write a pprof memory profile; there is none here, so it has no effect
    #[arg(long, value_name = "FILE", hide = true)]
    pub(super) profile_mem: Option<String>,
    /// Endpoint of CRI container runtime service [default: the first known one that answers]
    #[arg(short, long, value_name = "ENDPOINT")]
    pub(super) runtime_endpoint: Option<String>,
    /// Timeout of connecting to the server in seconds (e.g. 2s, 20s) [default: 2s]
    #[arg(short, long, value_name = "DURATION")]
    pub(super) timeout: Option<String>,
    /// Where spans are sent; there is no tracing here
    #[arg(long, value_name = "ADDRESS", hide = true)]
    pub(super) tracing_endpoint: Option<String>,
    /// How many spans are sent; there is no tracing here
    #[arg(long, value_name = "NUMBER", hide = true)]
    pub(super) tracing_sampling_rate_per_million: Option<i64>,
    /// Print the version
    #[arg(short, long, action = ArgAction::SetTrue)]
    pub(super) version: bool,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Attach to a running container
    Attach(attach::Args),
    /// Checkpoint one or more running containers
    Checkpoint(checkpoint::Args),
    /// Output shell completion code
    Completion(completion::Args),
    /// Get, set and list crictl configuration options
    Config(config::Args),
    /// Create a new container
    Create(create::CreateArgs),
    /// Stream the events of containers
    #[command(visible_alias = "event")]
    Events(events::Args),
    /// Run a command in a running container
    Exec(Box<exec::Args>),
    /// Return image filesystem info
    Imagefsinfo(info::FormatArgs),
    /// List images
    #[command(visible_aliases = ["image", "img"])]
    Images(images::Args),
    /// Display information of the container runtime
    Info(info::Args),
    /// Display the status of one or more containers
    Inspect(Box<inspect::ContainerArgs>),
    /// Return the status of one or more images
    Inspecti(inspecti::Args),
    /// Display the status of one or more pods
    Inspectp(Box<inspect::PodArgs>),
    /// Fetch the logs of a container
    Logs(logs::Args),
    /// List metric descriptors
    Metricdescs(metrics::DescriptorArgs),
    /// List pod metrics
    Metricsp(metrics::Args),
    /// List pods
    Pods(Box<pods::Args>),
    /// Forward local port to a pod
    PortForward(port_forward::Args),
    /// List containers
    Ps(Box<ps::Args>),
    /// Pull an image from a registry
    Pull(pull::Args),
    /// Remove one or more containers
    Rm(remove::Args),
    /// Remove one or more images
    Rmi(rmi::Args),
    /// Remove one or more pods
    Rmp(remove::PodArgs),
    /// Run a new container inside a sandbox
    Run(create::RunArgs),
    /// Run a new pod
    Runp(create::PodArgs),
    /// Retrieve the container runtime configuration
    RuntimeConfig(info::RuntimeConfigArgs),
    /// Start one or more created containers
    Start(start::Args),
    /// List container(s) resource usage statistics
    Stats(stats::Args),
    /// List pod statistics
    Statsp(statsp::Args),
    /// Stop one or more running containers
    Stop(stop::Args),
    /// Stop one or more running pods
    Stopp(stop::PodArgs),
    /// Update one or more running containers
    Update(update::Args),
    /// Update the runtime configuration
    UpdateRuntimeConfig(info::UpdateArgs),
    /// Display runtime version information
    Version(info::VersionArgs),
    /// Show help of a command
    #[command(alias = "h")]
    Help(HelpArgs),
}

/// Flags of `help`.
#[derive(Debug, clap::Args)]
pub(super) struct HelpArgs {
    /// The command
    #[arg(value_name = "COMMAND")]
    pub(super) rest: Vec<String>,
}
