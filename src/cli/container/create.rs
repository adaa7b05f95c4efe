//! `create`: make a container and print its id; and the steps that `run` shares.

use std::path::{Path, PathBuf};

use crate::cli::args::{ContainerArgs, Environment as Surroundings, parse};
use crate::cli::image::progress::Bars;
use crate::cli::{Context, errors};
use crate::engine::Engine;
use crate::engine::container::{self, Created};
use crate::engine::image::{self, PullPolicy};
use crate::error::{Error, Result};
use crate::oci::request::ContainerRequest;
use crate::store::{read_bounded, write_atomic};

/// Files that flags name are small; a larger one is a mistake.
const LARGEST_FILE: u64 = 16 << 20;

/// Flags of `create`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  wharfie create --name web -p 8080:80 nginx\n  wharfie start web")]
pub struct Args {
    #[command(flatten)]
    container: ContainerArgs,
}

/// What `run` and `create` heed beside the request.
#[derive(Debug, Clone)]
pub struct Extras {
    pull: PullPolicy,
    quiet: bool,
    cidfile: Option<PathBuf>,
}

impl Extras {
    /// From the flags, before they become a request.
    pub fn of(args: &ContainerArgs) -> Result<Self> {
        let cidfile = args.metadata.cidfile.clone().map(PathBuf::from);
        if let Some(path) = cidfile.as_deref().filter(|path| path.exists()) {
            return Err(Error::usage(format!(
                "container ID file found, make sure the other container isn't running or delete {}",
                path.display()
            )));
        }
        Ok(Self { pull: args.lifecycle.pull_policy()?, quiet: args.lifecycle.quiet, cidfile })
    }

    /// Of a verb that has neither the other flags nor `--cidfile`.
    pub fn pulling(pull: PullPolicy, quiet: bool) -> Self {
        Self { pull, quiet, cidfile: None }
    }

    /// Write `--cidfile`.
    pub fn write_id(&self, id: &str) -> Result<()> {
        match &self.cidfile {
            Some(path) => write_atomic(path, id.as_bytes(), 0o644),
            None => Ok(()),
        }
    }
}

/// Run the verb.
pub async fn run(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    let program = cx.program.clone();
    let made = async {
        let extras = Extras::of(&args.container)?;
        for warning in args.container.warnings() {
            cx.ui.warn(warning)?;
        }
        let request =
            with_surroundings(cx, "create", |surroundings| args.container.into_request(surroundings))?;
        let request = with_proxies(cx, request)?;
        let engine = cx.engine().await?;
        let created = make(&engine, request, &extras, cx, false).await?;
        extras.write_id(&created.container.id)?;
        let container = created.settle()?;
        cx.ui.line(&container.id)
    };
    match made.await {
        Ok(()) => Ok(0),
        Err(error) => {
            let (error, code) = errors::from_run(&program, "create", error);
            cx.ui.flush()?;
            cx.ui.error(&error)?;
            Err(Error::silent(code))
        }
    }
}

/// Give the pure step from flags to a request what it may ask of the world.
pub(in crate::cli) fn with_surroundings<T>(
    cx: &Context<'_>,
    verb: &str,
    step: impl FnOnce(&Surroundings<'_>) -> T,
) -> T {
    let command = format!("{} {verb}", cx.program);
    let variable = |name: &str| cx.environment.get(name).map(str::to_owned);
    let read_file = |path: &Path| {
        read_bounded(&cx.environment.directory.join(path), LARGEST_FILE)
            .map_err(|error| std::io::Error::other(cause(&error, path)))
    };
    step(&Surroundings {
        command: &command,
        variable: &variable,
        read_file: &read_file,
        current_dir: &cx.environment.directory,
    })
}

/// The proxies of docker's config.json, where the user has set nothing else.
pub(super) fn with_proxies(cx: &mut Context<'_>, mut request: ContainerRequest) -> Result<ContainerRequest> {
    let key = |entry: &str| entry.split('=').next().unwrap_or_default().to_owned();
    let set: Vec<String> = request.env.iter().map(|entry| key(entry)).collect();
    let proxies = cx.docker_file()?.proxy_variables();
    request.env.extend(proxies.into_iter().filter(|entry| !set.contains(&key(entry))));
    Ok(request)
}

/// The cause alone: the flag's own words name the file.
fn cause(error: &Error, path: &Path) -> String {
    let lead = format!("{}: ", path.display());
    error.message.split_once(&lead).map_or(error.message.as_str(), |(_, cause)| cause).to_owned()
}

/// The keys that leave a container running: the flag's, config.json's, or docker's.
pub(in crate::cli) fn detach_keys(cx: &mut Context<'_>, given: Option<&str>) -> Result<Vec<u8>> {
    let configured = match given {
        Some(text) if !text.is_empty() => text.to_owned(),
        _ => cx.docker_file()?.detach_keys,
    };
    let text = if configured.is_empty() { parse::keys::DEFAULT } else { &configured };
    parse::keys::detach_keys(text)
        .map_err(|cause| Error::usage(format!("invalid detach keys ({text}): {cause}")))
}

/// Get the image, pulling what is missing, and make the container.
pub(in crate::cli) async fn make(
    engine: &Engine,
    request: ContainerRequest,
    extras: &Extras,
    cx: &mut Context<'_>,
    connect: bool,
) -> Result<Created> {
    let platform = request.platform.as_deref().map(image::platform).transpose()?;
    let image = if request.rootfs {
        image::ResolvedImage::of_directory()?
    } else {
        let bars = Bars::new(cx.ui, extras.quiet);
        let found = image::ensure(engine, &request.image, platform.as_ref(), extras.pull, &bars).await;
        bars.finish();
        found?
    };
    let created = container::create(engine, request, &image, connect).await.map_err(errors::of_request)?;
    for warning in &created.warnings {
        cx.ui.warn(warning)?;
    }
    Ok(created)
}
