//! The command tree, and the way from its leaves to the verbs.

use std::ffi::OsString;

use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};

use super::args::{errors::translate, pflag};
use super::globals::Globals;
use super::{
    Context, container, crictl, ctr, debug, docker_context, doctor, image, namespace, netns, pod, registry,
    system, unbuilt,
};
use crate::config::environment::Environment;
use crate::error::{Error, Result};

/// docker, nerdctl, crictl and ctr in one, for a machine that runs containerd
#[derive(Debug, Parser)]
#[command(
    name = "wharfie",
    disable_version_flag = true,
    disable_help_subcommand = true,
    subcommand_value_name = "COMMAND",
    after_help = "Examples:\n  wharfie run --rm -it busybox sh\n  wharfie ps -a\n  wharfie -n k8s.io images"
)]
pub struct Cli {
    /// The flags before the verb.
    #[command(flatten)]
    pub globals: Globals,
    /// The verb.
    #[command(subcommand)]
    pub command: Option<Verb>,
}

/// The verbs at the top, docker's.
#[derive(Debug, Subcommand)]
pub enum Verb {
    #[command(flatten)]
    Container(ContainerVerb),
    #[command(flatten)]
    Image(ImageVerb),
    /// Return low-level information on containers and images
    Inspect(container::inspect::Args),
    /// Manage containers
    #[command(name = "container", subcommand, subcommand_value_name = "COMMAND")]
    Containers(ContainerFamily),
    /// Manage images
    #[command(name = "image", subcommand, subcommand_value_name = "COMMAND")]
    Images(ImageFamily),
    /// Authenticate to a registry
    Login(registry::login::Args),
    /// Log out from a registry
    Logout(registry::logout::Args),
    /// Search Docker Hub, or another registry, for images
    Search(registry::search::Args),
    /// Ask registries, and log in to them
    #[command(subcommand, subcommand_value_name = "COMMAND")]
    Registry(registry::Verb),
    /// Manage containerd's namespaces
    #[command(subcommand, visible_alias = "ns", subcommand_value_name = "COMMAND")]
    Namespace(namespace::Verb),
    /// Manage contexts: names for other machines and sockets
    #[command(subcommand, subcommand_value_name = "COMMAND")]
    Context(docker_context::Verb),
    /// Open a shell beside a container, with programs that it does not have
    Debug(Box<debug::Args>),
    /// Run a program of this machine in a container's network namespace
    Netns(netns::Args),
    /// Look at and manage the pods of a Kubernetes node
    #[command(subcommand, visible_alias = "pods", subcommand_value_name = "COMMAND")]
    Pod(pod::Verb),
    /// Speak CRI as crictl does; so does this program called as crictl
    Cri(crictl::Args),
    /// Manage this program's own state
    #[command(subcommand, subcommand_value_name = "COMMAND")]
    System(system::Verb),
    /// Say what is wrong with this node and what to do about it
    Doctor(doctor::Args),
    /// Get real time events from the server
    Events(system::events::Args),
    /// Show the versions of this program, containerd and the runtime
    Version(system::version::Args),
    /// Show what this machine's containerd is and has
    Info(system::info::Args),
    /// Print the completion script of a shell
    Completion(system::completion::Args),
    /// Talk to containerd as its own client, ctr, does
    Ctr(ctr::Args),
    /// Write the man pages into a directory
    #[command(hide = true)]
    Man(system::man::Args),
    /// Show help of a command
    Help(system::help::Args),
    #[command(external_subcommand)]
    Unknown(Vec<String>),
}

/// Verbs that stand at the top and below `container`.
#[derive(Debug, Subcommand)]
pub enum ContainerVerb {
    /// Create and run a new container from an image
    Run(Box<container::run::Args>),
    /// Create a new container
    Create(Box<container::create::Args>),
    /// Start one or more stopped containers
    Start(container::start::Args),
    /// Stop one or more running containers
    Stop(container::stop::Args),
    /// Restart one or more containers
    Restart(container::restart::Args),
    /// Kill one or more running containers
    Kill(container::kill::Args),
    /// Pause all processes within one or more containers
    Pause(container::pause::Args),
    /// Unpause all processes within one or more containers
    Unpause(container::pause::UnpauseArgs),
    /// Rename a container
    Rename(container::rename::Args),
    /// Update configuration of one or more containers
    Update(Box<container::update::Args>),
    /// Remove one or more containers
    Rm(container::remove::Args),
    /// List containers
    Ps(container::list::Args),
    /// Fetch the logs of a container
    Logs(container::logs::Args),
    /// Execute a command in a running container
    Exec(Box<container::exec::Args>),
    /// Attach local standard input, output, and error streams to a running container
    Attach(container::attach::Args),
    /// Block until one or more containers stop, then print their exit codes
    Wait(container::wait::Args),
    /// Execute the health check command in a container
    Healthcheck(container::healthcheck::Args),
    /// Display the running processes of a container
    Top(container::top::Args),
    /// Display a live stream of container(s) resource usage statistics
    Stats(container::stats::Args),
    /// List port mappings or a specific mapping for the container
    Port(container::port::Args),
    /// Copy files/folders between a container and the local filesystem
    Cp(container::cp::Args),
    /// Export a container's filesystem as a tar archive
    Export(container::export::Args),
    /// Inspect changes to files or directories on a container's filesystem
    Diff(container::diff::Args),
    /// Create a new image from a container's changes
    Commit(container::commit::Args),
}

/// The verbs below `container`.
#[derive(Debug, Subcommand)]
pub enum ContainerFamily {
    #[command(flatten)]
    Verb(ContainerVerb),
    /// List containers
    #[command(name = "ls", visible_aliases = ["list"])]
    List(container::list::Args),
    /// Display detailed information on one or more containers
    Inspect(container::inspect::ContainerArgs),
    /// Remove all stopped containers
    Prune(container::prune::Args),
    #[command(external_subcommand)]
    Unknown(Vec<String>),
}

/// Verbs of images that stand at the top.
#[derive(Debug, Subcommand)]
pub enum ImageVerb {
    /// Download an image from a registry
    Pull(image::pull::Args),
    /// List images
    Images(image::images::Args),
    /// Load an image from a tar archive or STDIN
    Load(image::load::Args),
    /// Save one or more images to a tar archive (streamed to STDOUT by default)
    Save(image::save::Args),
    /// Import the contents from a tarball to create a filesystem image
    Import(image::import::Args),
    /// Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE
    Tag(image::tag::Args),
    /// Remove one or more images
    Rmi(image::rmi::Args),
    /// Show the history of an image
    History(image::history::Args),
}

/// The verbs below `image`.
#[derive(Debug, Subcommand)]
pub enum ImageFamily {
    /// Download an image from a registry
    Pull(image::pull::Args),
    /// List images
    #[command(visible_aliases = ["list"])]
    Ls(image::images::Args),
    /// Load an image from a tar archive or STDIN
    Load(image::load::Args),
    /// Save one or more images to a tar archive (streamed to STDOUT by default)
    Save(image::save::Args),
    /// Import the contents from a tarball to create a filesystem image
    Import(image::import::Args),
    /// Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE
    Tag(image::tag::Args),
    /// Remove one or more images
    #[command(visible_aliases = ["remove"], alias = "rmi")]
    Rm(image::rmi::Args),
    /// List the tags that a registry has of a repository
    Tags(image::tags::Args),
    /// Show the history of an image
    History(image::history::Args),
    /// List the files of an image, without a container
    Files(image::files::Args),
    /// Print files of an image, without a container
    Cat(image::cat::Args),
    /// Show what one image has that another has not
    Diff(image::diff::Args),
    /// Show the room that images take and share, and what nobody needs any more
    Usage(image::usage::Args),
    /// Send an image to another machine: only what it lacks, unpacked there
    Push(image::push::Args),
    /// Display detailed information on one or more images
    Inspect(image::inspect::Args),
    /// Remove unused images
    Prune(image::prune::Args),
    #[command(external_subcommand)]
    Unknown(Vec<String>),
}

/// Why parsing ended without a command.
#[derive(Debug)]
pub enum Stop {
    /// The user asked for help: this text.
    Help(clap::builder::StyledStr),
    /// The command line is wrong.
    Error(Error),
}

/// The plain command tree under the name it was called by: for help, completions and man pages.
pub fn command(program: &str) -> clap::Command {
    Cli::command().name(program.to_owned()).bin_name(program.to_owned())
}

/// Parse as docker's own flag library would.
pub fn parse(program: &str, arguments: &[OsString]) -> std::result::Result<(Cli, ArgMatches), Stop> {
    let matches = pflag::like_pflag(command(program)).try_get_matches_from(arguments);
    let parsed = matches.and_then(|matches| Ok((Cli::from_arg_matches(&matches)?, matches)));
    // The plain tree, for help and messages, is made only when one is due.
    parsed.map_err(|error| match error.kind() {
        clap::error::ErrorKind::DisplayHelp
        | clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            Stop::Help(pflag::help(&command(program), arguments))
        }
        _ => Stop::Error(translate(&error, &command(program), arguments)),
    })
}

/// The answer to a shell that asks for completions through the environment; None for every other call.
pub fn complete(program: &str, arguments: &[OsString], environment: &Environment) -> Result<Option<Vec<u8>>> {
    system::completion::answer(program, arguments, environment)
}

/// Run a verb.
pub async fn dispatch(verb: Verb, cx: &mut Context<'_>) -> Result<u8> {
    match verb {
        Verb::Container(verb) | Verb::Containers(ContainerFamily::Verb(verb)) => {
            dispatch_container(verb, cx).await
        }
        Verb::Containers(ContainerFamily::List(args)) => container::list::run(args, cx).await,
        Verb::Containers(ContainerFamily::Inspect(args)) => container::inspect::run_container(args, cx).await,
        Verb::Containers(ContainerFamily::Prune(args)) => container::prune::run(args, cx).await,
        Verb::Containers(ContainerFamily::Unknown(words)) => unknown(cx, Some("container"), &words),
        Verb::Inspect(args) => container::inspect::run(args, cx).await,
        Verb::Image(verb) => dispatch_image(verb, cx).await,
        Verb::Images(verb) => dispatch_image_family(verb, cx).await,
        Verb::Login(args) => registry::login::run(args, cx).await,
        Verb::Logout(args) => registry::logout::run(args, cx).await,
        Verb::Search(args) => registry::search::run(args, cx).await,
        Verb::Registry(verb) => registry::run(verb, cx).await,
        Verb::Namespace(verb) => namespace::run(verb, cx).await,
        Verb::Context(verb) => docker_context::run(verb, cx),
        Verb::Debug(args) => debug::run(*args, cx).await,
        Verb::Netns(args) => netns::run(args, cx).await,
        Verb::Pod(verb) => pod::run(verb, cx).await,
        Verb::Cri(args) => crictl::run(args, cx).await,
        Verb::System(verb) => system::run(verb, cx).await,
        Verb::Doctor(args) => doctor::run(args, cx).await,
        Verb::Events(args) => system::events::run(args, cx).await,
        Verb::Version(args) => system::version::run(args, cx).await,
        Verb::Info(args) => system::info::run(args, cx).await,
        Verb::Completion(args) => system::completion::run(args, cx),
        Verb::Ctr(args) => ctr::run(args, cx).await,
        Verb::Man(args) => system::man::run(args, cx),
        Verb::Help(args) => system::help::run(&args, cx),
        Verb::Unknown(words) => unknown(cx, None, &words),
    }
}

async fn dispatch_container(verb: ContainerVerb, cx: &mut Context<'_>) -> Result<u8> {
    match verb {
        ContainerVerb::Run(args) => container::run::run(*args, cx).await,
        ContainerVerb::Create(args) => container::create::run(*args, cx).await,
        ContainerVerb::Start(args) => container::start::run(args, cx).await,
        ContainerVerb::Stop(args) => container::stop::run(args, cx).await,
        ContainerVerb::Restart(args) => container::restart::run(args, cx).await,
        ContainerVerb::Kill(args) => container::kill::run(args, cx).await,
        ContainerVerb::Pause(args) => container::pause::run(args, cx).await,
        ContainerVerb::Unpause(args) => container::pause::run_unpause(args, cx).await,
        ContainerVerb::Rename(args) => container::rename::run(args, cx).await,
        ContainerVerb::Update(args) => container::update::run(*args, cx).await,
        ContainerVerb::Rm(args) => container::remove::run(args, cx).await,
        ContainerVerb::Ps(args) => container::list::run(args, cx).await,
        ContainerVerb::Logs(args) => container::logs::run(args, cx).await,
        ContainerVerb::Exec(args) => container::exec::run(*args, cx).await,
        ContainerVerb::Attach(args) => container::attach::run(args, cx).await,
        ContainerVerb::Wait(args) => container::wait::run(args, cx).await,
        ContainerVerb::Healthcheck(args) => container::healthcheck::run(args, cx).await,
        ContainerVerb::Top(args) => container::top::run(args, cx).await,
        ContainerVerb::Stats(args) => container::stats::run(args, cx).await,
        ContainerVerb::Port(args) => container::port::run(args, cx).await,
        ContainerVerb::Cp(args) => container::cp::run(args, cx).await,
        ContainerVerb::Export(args) => container::export::run(args, cx).await,
        ContainerVerb::Diff(args) => container::diff::run(args, cx).await,
        ContainerVerb::Commit(args) => container::commit::run(args, cx).await,
    }
}

async fn dispatch_image(verb: ImageVerb, cx: &mut Context<'_>) -> Result<u8> {
    match verb {
        ImageVerb::Pull(args) => image::pull::run(args, cx).await,
        ImageVerb::Images(args) => image::images::run(args, cx).await,
        ImageVerb::Load(args) => image::load::run(args, cx).await,
        ImageVerb::Save(args) => image::save::run(args, cx).await,
        ImageVerb::Import(args) => image::import::run(args, cx).await,
        ImageVerb::Tag(args) => image::tag::run(args, cx).await,
        ImageVerb::Rmi(args) => image::rmi::run(args, cx).await,
        ImageVerb::History(args) => image::history::run(args, cx).await,
    }
}

async fn dispatch_image_family(verb: ImageFamily, cx: &mut Context<'_>) -> Result<u8> {
    match verb {
        ImageFamily::Pull(args) => image::pull::run(args, cx).await,
        ImageFamily::Ls(args) => image::images::run(args, cx).await,
        ImageFamily::Load(args) => image::load::run(args, cx).await,
        ImageFamily::Save(args) => image::save::run(args, cx).await,
        ImageFamily::Import(args) => image::import::run(args, cx).await,
        ImageFamily::Tag(args) => image::tag::run(args, cx).await,
        ImageFamily::Rm(args) => image::rmi::run(args, cx).await,
        ImageFamily::Tags(args) => image::tags::run(args, cx).await,
        ImageFamily::History(args) => image::history::run(args, cx).await,
        ImageFamily::Files(args) => image::files::run(args, cx).await,
        ImageFamily::Cat(args) => image::cat::run(args, cx).await,
        ImageFamily::Diff(args) => image::diff::run(args, cx).await,
        ImageFamily::Usage(args) => image::usage::run(args, cx).await,
        ImageFamily::Push(args) => image::push::run(args, cx).await,
        ImageFamily::Inspect(args) => image::inspect::run(args, cx).await,
        ImageFamily::Prune(args) => image::prune::run(args, cx).await,
        ImageFamily::Unknown(words) => unknown(cx, Some("image"), &words),
    }
}

fn unknown(cx: &Context<'_>, family: Option<&str>, words: &[String]) -> Result<u8> {
    let tree = command(&cx.program);
    let level = family.and_then(|family| tree.find_subcommand(family)).unwrap_or(&tree);
    let known: Vec<String> = level
        .get_subcommands()
        .filter(|known| !known.is_hide_set())
        .map(|known| known.get_name().to_owned())
        .collect();
    let path: Vec<String> = family.map(str::to_owned).into_iter().chain(words.first().cloned()).collect();
    Err(unbuilt::unknown(&cx.program, &path, &known))
}
