//! `pod top`: the processes of a pod's containers, in the columns of `ps`.

use crate::cli::container::top::{Sheet, table};
use crate::cli::errors::EngineResult;
use crate::cli::{Context, names};
use crate::engine::container::processes;
use crate::engine::pod;
use crate::error::{Error, Result};

/// Flags of `pod top`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  wharfie pod top web\n  wharfie pod top shop/web -o pid,user,rss,args")]
pub struct Args {
    /// The pod by name, namespace/name or id
    #[arg(value_name = "POD", add = names::pods())]
    pod: String,
    /// Options of ps: -ef, aux, or -o with a list of columns
    #[arg(value_name = "ps OPTIONS", trailing_var_arg = true, allow_hyphen_values = true, num_args = 0..)]
    options: Vec<String>,
}

/// Run the verb.
pub async fn run(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    let sheet = Sheet::new(&args.options)?;
    let engine = cx.pod_engine().await?;
    let pod = pod::find(&engine, &args.pod).await.told()?;
    let mut text = format!("CONTAINER\t{}", sheet.titles());
    let mut runs = false;
    for member in pod.current().into_iter().filter(|member| member.container.status.is_alive()) {
        runs = true;
        for line in sheet.lines(&processes(&engine, &member.container).await.told()?) {
            text.push_str(&format!("{}\t{line}", member.name));
        }
    }
    if !runs {
        return Err(Error::conflict(format!("no container of pod {} is running", pod.full_name()))).told();
    }
    cx.ui.print(table(&text))?;
    Ok(0)
}
