//! `exec`: run a command in a running container.

use crate::cli::args::ExecArgs;
use crate::cli::container::create;
use crate::cli::container::session::Executed;
use crate::cli::errors::{EngineResult, from_engine};
use crate::cli::stream::{Ended, Join, LATE_OUTPUT, check_terminal, join};
use crate::cli::{Context, exit};
use crate::engine::Engine;
use crate::engine::container::{Container, exec, locate};
use crate::error::{Error, Kind, Result};
use crate::oci::request::ExecRequest;

/// Flags of `exec`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  wharfie exec -it web sh\n  wharfie exec -u root web id")]
pub struct Args {
    #[command(flatten)]
    exec: ExecArgs,
}

/// A process that cannot be started: docker says so without its usual lead, and 126 where it is not 127.
fn of_process(error: Error) -> Error {
    match error.kind {
        Kind::Conflict | Kind::NotFound | Kind::Unavailable => from_engine(error),
        Kind::CommandNotFound => error,
        _ if error.message.contains("no such file or directory") => {
            Error { kind: Kind::CommandNotFound, ..error }
        }
        _ => Error { kind: Kind::CannotInvoke, ..error },
    }
}

/// Run the verb: the exit code is the command's.
pub async fn run(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    let (reference, request) =
        create::with_surroundings(cx, "exec", |surroundings| args.exec.into_request(surroundings))?;
    if !request.detach {
        check_terminal(request.tty, request.interactive)?;
    }
    let keys = create::detach_keys(cx, request.detach_keys.as_deref())?;
    let engine = cx.engine().await?;
    let (engine, container) = locate(&engine, &reference).await.told()?;
    execute(&engine, &container, &request, (keys, cx)).await
}

/// Run what is asked for in the container: the exit code is the command's.
pub(in crate::cli) async fn execute(
    engine: &Engine,
    container: &Container,
    request: &ExecRequest,
    (keys, cx): (Vec<u8>, &mut Context<'_>),
) -> Result<u8> {
    let (process, streams) = exec(engine, container, request).await.map_err(of_process)?;
    process.start().await.map_err(of_process)?;
    if request.detach {
        return Ok(0);
    }
    let mut remote = Executed::new(&process, streams);
    let how = Join { tty: request.tty, input: request.interactive, proxy: !request.tty, detach: keys };
    match join(cx.ui, &mut remote, &how).await? {
        Ended::Detached => return Ok(0),
        Ended::Forced(code) => return Err(Error::silent(code)),
        Ended::Output => {}
    }
    let exit = remote.exit().await?;
    // The shim waits for a child that holds the streams open; nobody else has to, nor is its answer missed.
    let _ = tokio::time::timeout(LATE_OUTPUT, process.delete()).await;
    Ok(exit::of_process(exit.status))
}
