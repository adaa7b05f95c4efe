//! ctr's command tree, and the way from its leaves to the families.

use clap::Subcommand;

use super::{
    containers, content, events, images, leases, namespaces, plugins, probes, run, sandboxes, snapshots,
    system, tasks,
};
use crate::cli::Context;
use crate::error::Result;

/// The commands at the top.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Provides information about containerd plugins
    #[command(subcommand, visible_alias = "plugin")]
    Plugins(plugins::Verb),
    /// Print the client and server versions
    Version(system::VersionArgs),
    /// Manage containers
    #[command(subcommand, visible_aliases = ["c", "container"])]
    Containers(containers::Verb),
    /// Manage content
    #[command(subcommand)]
    Content(content::Verb),
    /// Display containerd events
    #[command(visible_alias = "event")]
    Events(events::Args),
    /// Manage images
    #[command(subcommand, visible_aliases = ["image", "i"])]
    Images(images::Verb),
    /// Manage leases
    #[command(subcommand)]
    Leases(leases::Verb),
    /// Manage namespaces
    #[command(subcommand, visible_aliases = ["namespace", "ns"])]
    Namespaces(namespaces::Verb),
    /// Golang pprof outputs of containerd: not here
    Pprof(probes::Args),
    /// Run a container
    Run(Box<run::Args>),
    /// Manage snapshots
    #[command(visible_alias = "snapshot")]
    Snapshots(snapshots::Args),
    /// Manage tasks
    #[command(subcommand, visible_aliases = ["t", "task"])]
    Tasks(tasks::Verb),
    /// Install a new package: not here
    Install(probes::InstallArgs),
    /// OCI tools
    #[command(subcommand)]
    Oci(system::OciVerb),
    /// Manage sandboxes
    #[command(subcommand, visible_aliases = ["sandbox", "sb", "s"])]
    Sandboxes(sandboxes::Verb),
    /// Print the server info
    Info(system::InfoArgs),
    /// What was used that a later containerd will not have
    #[command(subcommand)]
    Deprecations(system::DeprecationsVerb),
    /// Interact with a shim directly: not here
    Shim(probes::Args),
}

/// Run a command.
pub(super) async fn dispatch(verb: Verb, cx: &mut Context<'_>) -> Result<u8> {
    match verb {
        Verb::Plugins(verb) => plugins::run(verb, cx).await,
        Verb::Version(args) => system::version(args, cx).await,
        Verb::Containers(verb) => containers::run(verb, cx).await,
        Verb::Content(verb) => content::run(verb, cx).await,
        Verb::Events(args) => events::run(args, cx).await,
        Verb::Images(verb) => images::run(verb, cx).await,
        Verb::Leases(verb) => leases::run(verb, cx).await,
        Verb::Namespaces(verb) => namespaces::run(verb, cx).await,
        Verb::Pprof(args) => probes::pprof(&args),
        Verb::Run(args) => run::run(*args, cx).await,
        Verb::Snapshots(args) => snapshots::run(args, cx).await,
        Verb::Tasks(verb) => tasks::run(verb, cx).await,
        Verb::Install(args) => probes::install(&args, cx).await,
        Verb::Oci(verb) => system::oci(verb, cx),
        Verb::Sandboxes(verb) => sandboxes::run(verb, cx).await,
        Verb::Info(args) => system::info(args, cx).await,
        Verb::Deprecations(verb) => system::deprecations(verb, cx).await,
        Verb::Shim(args) => probes::shim(&args),
    }
}
