//! `crictl create`, `run` and `runp`: pods and containers from configuration files.

use std::path::Path;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::log::Level;
use super::pull::{Credentials, Pull, duration, pull};
use super::session::{Answer, Done, Session};
use super::settings::read_text;
use super::start;
use crate::cri::json::{from_value, schema};
use crate::cri::{Client, api};
use crate::engine::pod::lifecycle::uuid;
use crate::error::{Error, Result};
use crate::output::ui::Ui;

/// Flags of `crictl create`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  wharfie cri create 1f73f2d81bf98 container.json pod.json\n  \
    wharfie cri create jsonschema --container")]
pub(super) struct CreateArgs {
    /// How long creating may take
    #[arg(short = 'T', long, value_name = "DURATION")]
    cancel_timeout: Option<String>,
    #[command(flatten)]
    credentials: Credentials,
    /// Do not pull the image on container creation (overrides pull-image-on-create=true in config)
    #[arg(long)]
    no_pull: bool,
    /// Pull the image on container creation (overrides pull-image-on-create=false in config)
    #[arg(long)]
    with_pull: bool,
    #[command(subcommand)]
    schema: Option<Schema>,
    /// A pod's id, then the container's and the pod's configuration
    #[arg(value_name = "POD CONTAINER-CONFIG POD-CONFIG", num_args = 0..)]
    rest: Vec<String>,
}

/// Flags of `crictl run`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  wharfie cri run container.json pod.json\n  wharfie cri run jsonschema --pod"
)]
pub(super) struct RunArgs {
    /// How long creating may take
    #[arg(short = 'T', long, value_name = "DURATION")]
    cancel_timeout: Option<String>,
    #[command(flatten)]
    credentials: Credentials,
    /// Do not pull the image (overrides disable-pull-on-run=false in config)
    #[arg(long)]
    no_pull: bool,
    /// Runtime handler to use
    #[arg(short, long)]
    runtime: Option<String>,
    /// Pull the image (overrides disable-pull-on-run=true in config)
    #[arg(long)]
    with_pull: bool,
    #[command(subcommand)]
    schema: Option<Schema>,
    /// The container's and the pod's configuration
    #[arg(value_name = "CONTAINER-CONFIG POD-CONFIG", num_args = 0..)]
    rest: Vec<String>,
}

/// Flags of `crictl runp`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  wharfie cri runp pod.yaml\n  wharfie cri runp --runtime kata pod.json")]
pub(super) struct PodArgs {
    /// How long running the pod may take
    #[arg(short = 'T', long, value_name = "DURATION")]
    cancel_timeout: Option<String>,
    /// Runtime handler to use
    #[arg(short, long)]
    runtime: Option<String>,
    #[command(subcommand)]
    schema: Option<PodSchema>,
    /// The pod's configuration
    #[arg(value_name = "POD-CONFIG")]
    rest: Vec<String>,
}

#[derive(Debug, clap::Subcommand)]
enum Schema {
    /// Display the JSON schema for the pod or container config
    #[command(visible_alias = "js")]
    Jsonschema {
        /// Print the container's JSON schema
        #[arg(short, long)]
        container: bool,
        /// Print the pod's JSON schema
        #[arg(short, long)]
        pod: bool,
    },
}

#[derive(Debug, clap::Subcommand)]
enum PodSchema {
    /// Display the JSON schema for the pod-config.json
    #[command(visible_alias = "js")]
    Jsonschema,
}

impl Schema {
    fn print(&self, ui: &mut Ui) -> Result<Done> {
        let Self::Jsonschema { container, pod } = self;
        if *pod {
            print_schema::<api::PodSandboxConfig>(ui)?;
        }
        if *container {
            print_schema::<api::ContainerConfig>(ui)?;
        }
        Ok(if *pod || *container { Done::Well } else { Done::Help })
    }
}

/// Writes the JSON schema of a message.
pub(super) fn print_schema<T: DeserializeOwned>(ui: &mut Ui) -> Result<()> {
    super::output::json(ui, &schema::<T>())
}

/// A container to make, and whether its image is fetched before.
struct Plan<'a> {
    config: &'a Path,
    pod_config: &'a Path,
    pull: Option<&'a Credentials>,
}

pub(super) async fn run_create(args: CreateArgs, session: &mut Session<'_, '_>) -> Result<Done> {
    if let Some(schema) = &args.schema {
        return schema.print(session.cx.ui);
    }
    let [pod, config, pod_config] = args.rest.as_slice() else { return Ok(Done::Help) };
    let pulls = pulls(args.no_pull, args.with_pull, session.settings.pull_image_on_create)?;
    let deadline = args.cancel_timeout.as_deref().map(|text| duration(text, "cancel-timeout")).transpose()?;
    let runtime = session.runtime_within(deadline.flatten()).await?;
    let plan = Plan {
        config: Path::new(config),
        pod_config: Path::new(pod_config),
        pull: pulls.then_some(&args.credentials),
    };
    let id =
        create(&runtime, pod, &plan, session).await.map_err(|error| error.context("creating container"))?;
    session.cx.ui.line(id)?;
    Ok(Done::Well)
}

pub(super) async fn run_run(args: RunArgs, session: &mut Session<'_, '_>) -> Result<Done> {
    if let Some(schema) = &args.schema {
        return schema.print(session.cx.ui);
    }
    let [config, pod_config] = args.rest.as_slice() else { return Ok(Done::Help) };
    let pulls = pulls(args.no_pull, args.with_pull, !session.settings.disable_pull_on_run)?;
    let deadline = args.cancel_timeout.as_deref().map(|text| duration(text, "cancel-timeout")).transpose()?;
    let runtime = session.runtime_within(deadline.flatten()).await?;
    let plan = Plan {
        config: Path::new(config),
        pod_config: Path::new(pod_config),
        pull: pulls.then_some(&args.credentials),
    };
    let handler = args.runtime.as_deref().unwrap_or_default();
    let started = async {
        let pod = run_pod(&runtime, plan.pod_config, handler, session).await?;
        let id = create(&runtime, &pod, &plan, session)
            .await
            .map_err(|error| error.context("creating container failed"))?;
        start::start(&runtime, &id, session.cx.ui).await
    };
    started.await.map_err(|error| error.context("running container"))?;
    Ok(Done::Well)
}

pub(super) async fn run_runp(args: PodArgs, session: &mut Session<'_, '_>) -> Result<Done> {
    if args.schema.is_some() {
        print_schema::<api::PodSandboxConfig>(session.cx.ui)?;
        return Ok(Done::Well);
    }
    let [path] = args.rest.as_slice() else { return Ok(Done::Help) };
    let deadline = args.cancel_timeout.as_deref().map(|text| duration(text, "cancel-timeout")).transpose()?;
    let runtime = session.runtime_within(deadline.flatten()).await?;
    let handler = args.runtime.as_deref().unwrap_or_default();
    let id = run_pod(&runtime, Path::new(path), handler, session).await?;
    session.cx.ui.line(id)?;
    Ok(Done::Well)
}

fn pulls(no: bool, with: bool, configured: bool) -> Result<bool> {
    if no && with {
        return Err(Error::failed("conflict: no-pull and with-pull are both set"));
    }
    Ok(with || (configured && !no))
}

async fn run_pod(
    runtime: &Client,
    path: &Path,
    handler: &str,
    session: &mut Session<'_, '_>,
) -> Result<String> {
    let config = pod_config(path, session).map_err(|error| error.context("load podSandboxConfig"))?;
    let request = api::RunPodSandboxRequest { config: Some(config), runtime_handler: handler.to_owned() };
    // As crictl: a network and an image of its own take longer than a question does.
    let patient = runtime.within(Some(session.settings.timeout * 2).max(runtime.deadline()));
    Ok(patient.run_pod_sandbox(request).await.during("run pod sandbox")?.pod_sandbox_id)
}

async fn create(
    runtime: &Client,
    pod: &str,
    plan: &Plan<'_>,
    session: &mut Session<'_, '_>,
) -> Result<String> {
    let mut config = container_config(plan.config)?;
    let pod_config = pod_config(plan.pod_config, session)?;
    let mut images = Vec::new();
    let mut annotations = Default::default();
    if let Some(spec) = &mut config.image {
        if spec.user_specified_image.is_empty() {
            spec.user_specified_image.clone_from(&spec.image);
        }
        images.push(spec.image.clone());
        annotations = spec.annotations.clone();
    }
    if let Some(credentials) = plan.pull {
        let client = session.images().await?;
        let how = Pull {
            annotations,
            auth: credentials.auth(session)?,
            pod: Some(pod_config.clone()),
            timeout: credentials.timeout(session)?,
        };
        images.extend(config.mounts.iter().filter_map(|mount| Some(mount.image.as_ref()?.image.clone())));
        for image in images.iter().filter(|image| !image.is_empty()) {
            session.say(Level::Info, &format!("Pulling container image: {image}"))?;
            pull(&client, image, &how).await?;
        }
    }
    let request = api::CreateContainerRequest {
        pod_sandbox_id: pod.to_owned(),
        config: Some(config),
        sandbox_config: Some(pod_config),
    };
    Ok(runtime.create_container(request).await.during("")?.container_id)
}

/// A file in JSON or YAML.
fn read(path: &Path) -> Result<Value> {
    let text = read_text(path)?;
    serde_saphyr::from_str(&text).map_err(|cause| Error::failed(format!("{}: {cause}", path.display())))
}

fn message<T: DeserializeOwned>(path: &Path) -> Result<T> {
    from_value(&read(path)?).map_err(|cause| Error::failed(format!("{}: {cause}", path.display())))
}

/// A container's configuration, complete enough to make one.
fn container_config(path: &Path) -> Result<api::ContainerConfig> {
    let config: api::ContainerConfig = message(path)?;
    match (&config.metadata, &config.image) {
        (None, _) => Err(Error::failed("metadata is not set")),
        (Some(metadata), _) if metadata.name.is_empty() => {
            Err(Error::failed(format!("name is not in metadata of {}", path.display())))
        }
        (_, None) => Err(Error::failed("image is not set")),
        (_, Some(image)) if image.image.is_empty() => {
            Err(Error::failed(format!("image field is not set in image of {}", path.display())))
        }
        _ => Ok(config),
    }
}

/// A pod's configuration, complete enough to make one; it gets a uid where it has none.
pub(super) fn pod_config(path: &Path, session: &mut Session<'_, '_>) -> Result<api::PodSandboxConfig> {
    let mut config: api::PodSandboxConfig = message(path)?;
    let Some(metadata) = &mut config.metadata else { return Err(Error::failed("metadata is not set")) };
    if metadata.uid.is_empty() {
        metadata.uid = uuid()?;
    }
    if metadata.name.is_empty() || metadata.namespace.is_empty() {
        return Err(Error::failed(format!("name or namespace is not in metadata of {}", path.display())));
    }
    if config.linux.as_ref().is_some_and(|linux| linux.cgroup_parent.is_empty()) {
        session.say(
            Level::Warning,
            "cgroup_parent is not set. Use `runtime-config` to get the runtime cgroup driver",
        )?;
    }
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whether_to_pull() {
        for (no, with, configured, pulled) in [
            (false, false, false, false),
            (false, false, true, true),
            (true, false, true, false),
            (false, true, false, true),
        ] {
            assert_eq!(pulls(no, with, configured).unwrap(), pulled);
        }
        assert_eq!(
            pulls(true, true, true).unwrap_err().message,
            "conflict: no-pull and with-pull are both set"
        );
    }
}
