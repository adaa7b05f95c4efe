//! `top`: the processes of a container, in the columns of `ps`.

mod columns;
mod options;

use columns::Sight;
use options::{Column, columns};

use crate::cli::errors::EngineResult;
use crate::cli::{Context, names};
use crate::engine::container::{locate, processes};
use crate::error::Result;
use crate::output::table::aligned;
use crate::sys::process::Process;

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
    let sheet = Sheet::new(&args.options)?;
    let engine = cx.engine().await?;
    let (engine, container) = locate(&engine, &args.container).await.told()?;
    let processes = processes(&engine, &container).await.told()?;
    let lines: String = sheet.lines(&processes).collect();
    cx.ui.print(table(&format!("{}{lines}", sheet.titles())))?;
    Ok(0)
}

/// The columns that are asked for, and what their values are seen against.
pub(in crate::cli) struct Sheet {
    columns: Vec<Column>,
    sight: Sight,
}

impl Sheet {
    /// From the options of ps.
    pub(in crate::cli) fn new(options: &[String]) -> Result<Self> {
        Ok(Self { columns: columns(options)?, sight: Sight::now()? })
    }

    /// The titles, with a newline.
    pub(in crate::cli) fn titles(&self) -> String {
        let titles: Vec<&str> = self.columns.iter().map(|column| column.title.as_str()).collect();
        format!("{}\n", titles.join("\t"))
    }

    /// A line a process, with a newline.
    pub(in crate::cli) fn lines(&self, processes: &[Process]) -> impl Iterator<Item = String> {
        processes.iter().map(|process| {
            let cells: Vec<String> =
                self.columns.iter().map(|column| printable(&(column.value)(process, &self.sight))).collect();
            format!("{}\n", cells.join("\t"))
        })
    }
}

/// Lines of cells as docker aligns them.
pub(in crate::cli) fn table(text: &str) -> String {
    aligned(text, WIDTH, PADDING)
}

/// A process writes its own name and arguments: nothing of it shall move the cursor or a column.
fn printable(cell: &str) -> String {
    cell.chars().map(|letter| if letter.is_control() { '?' } else { letter }).collect()
}
