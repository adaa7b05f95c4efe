//! `netns`: a program of this machine in a container's network namespace, in place of this one. Its terminal,
//! streams, signals and exit code are its own.

use std::ffi::OsStr;
use std::io;

use crate::cli::{Context, errors};
use crate::engine::container::{locate, network_namespace};
use crate::error::{Error, Kind, Result, reason};
use crate::sys::namespace::{become_program, enter_network};

/// Flags of `netns`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  wharfie netns web ip addr\n  wharfie netns web -- tcpdump -ni eth0 port 80\n  \
    wharfie -n k8s.io netns 3f2a ss -tlnp\n\nThe program is this machine's, and so are the files that it sees, \
    /etc/resolv.conf among them."
)]
pub struct Args {
    /// The container, the program and its arguments
    #[arg(value_name = "CONTAINER [--] COMMAND [ARG...]", required = true, num_args = 2.., trailing_var_arg = true, add = crate::cli::names::running_containers())]
    container_and_command: Vec<String>,
}

/// Run the verb: back only where the program could not be started.
pub async fn run(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    let program = cx.program.clone();
    let Err(error) = attempt(args, cx).await else { return Ok(0) };
    let (error, code) = errors::from_run(&program, "netns", error);
    cx.ui.flush()?;
    cx.ui.error(&error)?;
    Err(Error::silent(code))
}

async fn attempt(args: Args, cx: &mut Context<'_>) -> Result<()> {
    let mut words = args.container_and_command.into_iter().peekable();
    let reference = words.next().unwrap_or_default();
    words.next_if(|word| word == "--");
    let command = words.next().filter(|command| !command.is_empty());
    let command = command.ok_or_else(|| Error::usage("netns: which program? none was named"))?;
    let engine = cx.engine().await?;
    let (engine, container) = locate(&engine, &reference).await?;
    let network = network_namespace(&engine, &container).await?;
    cx.ui.flush()?;
    enter_network(&network)
        .map_err(|cause| Error::io("enter the network namespace of", &container.name, cause))?;
    let arguments: Vec<String> = words.collect();
    Err(not_started(&command, &become_program(OsStr::new(&command), &arguments)))
}

/// A shell's codes.
fn not_started(command: &str, cause: &io::Error) -> Error {
    let kind = match cause.kind() {
        io::ErrorKind::NotFound => Kind::CommandNotFound,
        _ => Kind::CannotInvoke,
    };
    Error::new(kind, format!("exec: {command:?}: {}", reason(cause)))
        .hint("netns runs programs of this machine, not of the container")
}
