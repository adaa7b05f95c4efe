//! `top`: the processes of a container, in the columns of `ps`.

mod columns;
mod options;

use columns::Sight;
use options::columns;

use crate::cli::errors::EngineResult;
use crate::cli::{Context, names};
use crate::engine::container::{locate, processes};
use crate::error::Result;
use crate::output::table::aligned;

/// docker's table of processes: at least twenty characters a column, three of them spaces.
const WIDTH: usize = 20;
const PADDING: usize = 3;

/// Flags of `top`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  wharfie top web\n  wharfie top web -o pid,user,rss,args\n  wharfie top web aux"
)]
pub struct Args {
    /// The container by name or id
    #[arg(value_name = "CONTAINER", add = names::running_containers())]
    container: String,
    /// Options of ps: -ef, aux, or -o with a list of columns
    #[arg(value_name = "ps OPTIONS", trailing_var_arg = true, allow_hyphen_values = true, num_args = 0..)]
    options: Vec<String>,
}

/// Run the verb.
pub async fn run(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    let columns = columns(&args.options)?;
    let engine = cx.engine().await?;
    let (engine, container) = locate(&engine, &args.container).await.told()?;
    let processes = processes(&engine, &container).await.told()?;
    let sight = Sight::now()?;
    let titles: Vec<&str> = columns.iter().map(|column| column.title.as_str()).collect();
    let mut text = format!("{}\n", titles.join("\t"));
    for process in &processes {
        let cells: Vec<String> =
            columns.iter().map(|column| printable(&(column.value)(process, &sight))).collect();
        text.push_str(&cells.join("\t"));
        text.push('\n');
    }
    cx.ui.print(aligned(&text, WIDTH, PADDING))?;
    Ok(0)
}

/// A process writes its own name and arguments: nothing of it shall move the cursor or a column.
fn printable(cell: &str) -> String {
    cell.chars().map(|letter| if letter.is_control() { '?' } else { letter }).collect()
}
