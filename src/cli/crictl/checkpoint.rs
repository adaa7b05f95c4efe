//! `crictl checkpoint`: write running containers' state into archives.

use super::session::{Answer, Done, Session};
use crate::cri::api;
use crate::error::{Error, Result};
use crate::output::notation::quote;

/// Flags of `crictl checkpoint`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  wharfie cri checkpoint --export /tmp/app.tar 87d3992f84f74")]
pub(super) struct Args {
    /// Specify the name of the tar archive (/path/to/checkpoint.tar) used to export the checkpoint image
    #[arg(short, long, value_name = "FILE")]
    export: Option<String>,
    /// Containers by id
    #[arg(value_name = "CONTAINER-ID")]
    ids: Vec<String>,
}

pub(super) async fn run(args: Args, session: &mut Session<'_, '_>) -> Result<Done> {
    if args.ids.is_empty() {
        return Err(Error::failed("ID cannot be empty"));
    }
    let Some(location) = args.export.filter(|path| !path.is_empty()) else {
        return Err(Error::failed(
            "cannot checkpoint a container without specifying the checkpoint destination. \
             Use --export=/path/to/checkpoint.tar",
        ));
    };
    let runtime = session.runtime().await?;
    for id in &args.ids {
        let request = api::CheckpointContainerRequest {
            container_id: id.clone(),
            location: location.clone(),
            ..Default::default()
        };
        runtime
            .checkpoint_container(request)
            .await
            .during(&format!("checkpointing the container {} failed", quote(id)))?;
        session.cx.ui.line(id)?;
    }
    Ok(Done::Well)
}
