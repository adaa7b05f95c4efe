//! `crictl start`: start created containers.

use super::session::{Answer, Done, Session};
use crate::cri::{Client, api};
use crate::error::{Error, Result};
use crate::output::notation::quote;
use crate::output::ui::Ui;

/// Flags of `crictl start`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  wharfie cri start 87d3992f84f74\n  wharfie cri start 87d3992f84f74 3e025dd50a72d"
)]
pub(super) struct Args {
    /// Containers by id
    #[arg(value_name = "CONTAINER-ID")]
    ids: Vec<String>,
}

pub(super) async fn run(args: Args, session: &mut Session<'_, '_>) -> Result<Done> {
    if args.ids.is_empty() {
        return Err(Error::failed("ID cannot be empty"));
    }
    let runtime = session.runtime().await?;
    for id in &args.ids {
        start(&runtime, id, session.cx.ui).await?;
    }
    Ok(Done::Well)
}

/// Starts a container and prints its id.
pub(super) async fn start(runtime: &Client, id: &str, ui: &mut Ui) -> Result<()> {
    let request = api::StartContainerRequest { container_id: id.to_owned() };
    runtime.start_container(request).await.during(&format!("starting the container {}", quote(id)))?;
    ui.line(id)
}
