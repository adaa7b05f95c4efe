//! `crictl ps`: list containers.

use super::output::{self, names, short, table};
use super::select::{self, Select, pod_label};
use super::session::{Done, Session};
use super::when;
use crate::cri::{api, json::to_value};
use crate::error::{Error, Result};
use crate::output::notation::quote;

/// Flags of `crictl ps`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  wharfie cri ps -a\n  wharfie cri ps --name '^app' -o json")]
pub(super) struct Args {
    /// Show all containers
    #[arg(short, long)]
    all: bool,
    /// Filter by container id
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// Filter by container image
    #[arg(long)]
    image: Option<String>,
    /// Filter by key=value label
    #[arg(long, value_name = "KEY=VALUE", value_delimiter = ',')]
    label: Vec<String>,
    /// Show last n recently created containers (includes all states). Set 0 for unlimited
    #[arg(short = 'n', long, default_value_t = 0, hide_default_value = true)]
    last: i64,
    /// Show the most recently created container (includes all states)
    #[arg(short, long)]
    latest: bool,
    /// Filter by container name regular expression pattern
    #[arg(long, value_name = "PATTERN")]
    name: Option<String>,
    /// Filter by pod namespace regular expression pattern
    #[arg(long, value_name = "PATTERN")]
    namespace: Option<String>,
    /// Show output without truncating the ID
    #[arg(long)]
    no_trunc: bool,
    /// Output format, one of: json|yaml|table
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    output: String,
    /// Filter by pod id
    #[arg(short, long, value_name = "POD-ID")]
    pod: Option<String>,
    /// Only display container IDs
    #[arg(short, long)]
    quiet: bool,
    /// Show image path instead of image id
    #[arg(short, long)]
    resolve_image_path: bool,
    /// Filter by container state
    #[arg(short, long)]
    state: Option<String>,
    /// Show verbose information for containers
    #[arg(short, long)]
    verbose: bool,
    #[arg(hide = true)]
    rest: Vec<String>,
}

pub(super) async fn run(args: Args, session: &mut Session<'_, '_>) -> Result<Done> {
    if !args.rest.is_empty() {
        return Ok(Done::Help);
    }
    let runtime = session.runtime().await?;
    let select = Select {
        id: args.id.clone(),
        pod: args.pod.clone(),
        name: args.name.clone(),
        namespace: args.namespace.clone(),
        state: args.state.clone(),
        labels: args.label.clone(),
        image: args.image.clone(),
        all: args.all,
        latest: args.latest,
        last: args.last,
    };
    write(&args, &select, &runtime, session).await.map_err(|error| error.context("listing containers"))?;
    Ok(Done::Well)
}

async fn write(
    args: &Args,
    select: &Select,
    runtime: &crate::cri::Client,
    session: &mut Session<'_, '_>,
) -> Result<()> {
    let found = select::containers(session, runtime, select)
        .await
        .map_err(|error| error.context("list containers"))?;
    let message = || to_value(&api::ListContainersResponse { containers: found.clone() });
    match args.output.as_str() {
        "json" => return output::json(session.cx.ui, &message()),
        "yaml" => return session.cx.ui.line(output::yaml(&message())?),
        "table" => {}
        other => return Err(Error::failed(format!("unsupported output format {}", quote(other)))),
    }
    if args.quiet {
        return found.iter().try_for_each(|container| session.cx.ui.line(&container.id));
    }
    if args.verbose {
        return found.iter().try_for_each(|container| verbose(container, session));
    }
    let images = if args.resolve_image_path { Some(session.images().await?) } else { None };
    let mut rows = vec![
        ["CONTAINER", "IMAGE", "CREATED", "STATE", "NAME", "ATTEMPT", "POD ID", "POD", "NAMESPACE"]
            .map(str::to_owned)
            .to_vec(),
    ];
    for container in &found {
        let mut image = container.image.as_ref().map(|spec| spec.image.clone()).unwrap_or_default();
        let cut = |id: &str| if args.no_trunc { id.to_owned() } else { short(id) };
        if !args.no_trunc
            && let Some(digest) = image.strip_prefix("sha256:").filter(|digest| digest.len() == 64)
        {
            image = short(digest);
        }
        if let Some(images) = &images {
            let status = select::image(images, &image, false)
                .await
                .map_err(|error| error.context("failed to fetch repo image"))?;
            image = status.image.and_then(|found| found.repo_tags.into_iter().next()).unwrap_or(image);
        }
        let metadata = container.metadata.clone().unwrap_or_default();
        rows.push(vec![
            cut(&container.id),
            image,
            when::ago(container.created_at),
            state(container.state).to_owned(),
            metadata.name,
            metadata.attempt.to_string(),
            cut(&container.pod_sandbox_id),
            pod_label(container, "io.kubernetes.pod.name").to_owned(),
            pod_label(container, "io.kubernetes.pod.namespace").to_owned(),
        ]);
    }
    table(session.cx.ui, &rows)
}

fn verbose(container: &api::Container, session: &mut Session<'_, '_>) -> Result<()> {
    let ui = &mut *session.cx.ui;
    ui.line(format_args!("ID: {}", container.id))?;
    ui.line(format_args!("PodID: {}", container.pod_sandbox_id))?;
    ui.line(format_args!("Namespace: {}", pod_label(container, "io.kubernetes.pod.namespace")))?;
    if let Some(metadata) = &container.metadata {
        if !metadata.name.is_empty() {
            ui.line(format_args!("Name: {}", metadata.name))?;
        }
        ui.line(format_args!("Attempt: {}", metadata.attempt))?;
    }
    ui.line(format_args!("State: {}", state(container.state)))?;
    if let Some(image) = &container.image {
        ui.line(format_args!("Image: {}", image.image))?;
    }
    ui.line(format_args!("Created: {}", when::ago(container.created_at)))?;
    names(ui, "Labels", &container.labels)?;
    names(ui, "Annotations", &container.annotations)?;
    ui.line("")
}

/// A container's state as crictl's tables show it.
fn state(state: i32) -> &'static str {
    match api::ContainerState::try_from(state) {
        Ok(api::ContainerState::ContainerCreated) => "Created",
        Ok(api::ContainerState::ContainerRunning) => "Running",
        Ok(api::ContainerState::ContainerExited) => "Exited",
        Ok(api::ContainerState::ContainerUnknown) | Err(_) => "Unknown",
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn states_have_crictls_words() {
        assert_eq!([0, 1, 2, 3].map(super::state), ["Created", "Running", "Exited", "Unknown"]);
    }
}
