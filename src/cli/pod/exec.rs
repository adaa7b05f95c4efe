//! `pod exec`: run a command in a container of a pod.

use crate::cli::args::ExecArgs;
use crate::cli::container::{create, exec};
use crate::cli::errors::EngineResult;
use crate::cli::stream::check_terminal;
use crate::cli::{Context, names};
use crate::engine::container::Container;
use crate::engine::{Engine, pod};
use crate::error::{Error, Result};

/// Flags of `pod exec`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  wharfie pod exec -it web sh\n  wharfie pod exec shop/web -c app -- ls /"
)]
pub struct Args {
    /// In this container
    #[arg(short, long, value_name = "NAME", add = names::pods())]
    container: Option<String>,
    #[command(flatten)]
    exec: ExecArgs,
}

/// Run the verb: the exit code is the command's.
pub async fn run(mut args: Args, cx: &mut Context<'_>) -> Result<u8> {
    take_container(&mut args)?;
    let (reference, request) =
        create::with_surroundings(cx, "exec", |surroundings| args.exec.into_request(surroundings))?;
    if !request.detach {
        check_terminal(request.tty, request.interactive)?;
    }
    let keys = create::detach_keys(cx, request.detach_keys.as_deref())?;
    let engine = cx.pod_engine().await?;
    let container = find(&engine, &reference, args.container.as_deref()).await.told()?;
    exec::execute(&engine, &container, &request, (keys, cx)).await
}

/// kubectl's order: the flag behind the pod's name, and `--` before the command.
fn take_container(args: &mut Args) -> Result<()> {
    let words = &mut args.exec.container_and_command;
    loop {
        match words.get(1).map(String::as_str) {
            Some("-c" | "--container") if words.len() > 3 => {
                args.container = Some(words.remove(2));
                words.remove(1);
            }
            Some("--") if words.len() > 2 => {
                words.remove(1);
                return Ok(());
            }
            Some("-c" | "--container" | "--") => {
                return Err(
                    Error::usage("no command to execute").hint("`wharfie pod exec POD -c CONTAINER COMMAND`")
                );
            }
            _ => return Ok(()),
        }
    }
}

/// The container of this name in a pod, or the one that the pod's name stands for.
async fn find(engine: &Engine, reference: &str, name: Option<&str>) -> Result<Container> {
    let Some(name) = name else {
        return match pod::find(engine, reference).await {
            Ok(found) => Ok(found.only_member()?.container.clone()),
            // It may name the container itself.
            Err(error) => match pod::find_container(engine, reference).await {
                Ok(container) => Ok(container),
                Err(_) => Err(error),
            },
        };
    };
    let found = pod::find(engine, reference).await?;
    let known = found.references().join(", ");
    found.member(name).map(|member| member.container.clone()).ok_or_else(|| {
        Error::not_found(format!("pod {} has no container {name}", found.full_name()))
            .hint(format!("it has {known}"))
    })
}
