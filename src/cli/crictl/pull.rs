//! `crictl pull`: fetch an image; and the credentials that all commands that pull take.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use super::create::{pod_config, print_schema};
use super::select::labels;
use super::session::{Answer, Done, Session};
use crate::cri::{Client, api};
use crate::error::{Error, Result};
use crate::output::notation::quote;
use crate::output::units::parse_duration;
use crate::sys::terminal::read_secret;

/// Flags of `crictl pull`.
#[derive(Debug, clap::Args)]
#[command(
    subcommand_negates_reqs = true,
    after_help = "Examples:\n  wharfie cri pull busybox:1.37\n  wharfie cri pull --creds user:password registry.local/app:1"
)]
pub(super) struct Args {
    /// Annotation to be set on the pulled image
    #[arg(short, long, value_name = "KEY=VALUE", value_delimiter = ',')]
    annotation: Vec<String>,
    #[command(flatten)]
    credentials: Credentials,
    /// Use this pod's configuration for the pull
    #[arg(long, value_name = "FILE")]
    pod_config: Option<PathBuf>,
    #[command(subcommand)]
    schema: Option<Schema>,
    /// The image
    #[arg(value_name = "NAME[:TAG|@DIGEST]")]
    rest: Vec<String>,
}

#[derive(Debug, clap::Subcommand)]
enum Schema {
    /// Display the JSON schema for the pod-config.json
    #[command(visible_alias = "js")]
    Jsonschema,
}

/// Who pulls, and how long it may take.
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct Credentials {
    /// Use this base64 encoded USERNAME[:PASSWORD] for accessing the registry
    #[arg(long, value_name = "AUTH_STRING")]
    auth: Option<String>,
    /// Use these credentials for accessing the registry
    #[arg(long, value_name = "USERNAME[:PASSWORD]")]
    creds: Option<String>,
    /// Maximum time to be used for pulling the image, disabled if set to 0s
    #[arg(long, alias = "pt", value_name = "DURATION")]
    pull_timeout: Option<String>,
    /// Use this user name for accessing the registry; the password is asked for
    #[arg(short, long)]
    username: Option<String>,
}

impl Credentials {
    /// What a registry is shown; None where nothing was said.
    pub(super) fn auth(&self, session: &mut Session<'_, '_>) -> Result<Option<api::AuthConfig>> {
        let said = |flag: &Option<String>, variable: &str| {
            flag.clone().or_else(|| session.cx.environment.set(variable).map(str::to_owned))
        };
        let (creds, auth) = (said(&self.creds, "CRICTL_CREDS"), said(&self.auth, "CRICTL_AUTH"));
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        if let Some(username) = given(self.username.clone()) {
            let password = read_secret(|| {
                session.cx.ui.print("Enter Password:")?;
                session.cx.ui.flush()
            })?;
            session.cx.ui.line("")?;
            return Ok(Some(api::AuthConfig { username, password, ..Default::default() }));
        }
        match (given(creds), given(auth)) {
            (Some(_), Some(_)) => Err(Error::failed("both `--creds` and `--auth` are specified")),
            (Some(creds), None) => {
                let (username, password) = creds.split_once(':').unwrap_or((&creds, ""));
                if username.is_empty() {
                    return Err(Error::failed("username can't be empty"));
                }
                Ok(Some(api::AuthConfig {
                    username: username.into(),
                    password: password.into(),
                    ..Default::default()
                }))
            }
            (None, Some(auth)) => Ok(Some(api::AuthConfig { auth, ..Default::default() })),
            (None, None) => Ok(None),
        }
    }

    /// How long a pull may take; None for ever.
    pub(super) fn timeout(&self, session: &Session<'_, '_>) -> Result<Option<Duration>> {
        let variable = session.cx.environment.set("CRICTL_PULL_TIMEOUT").map(str::to_owned);
        let Some(text) = self.pull_timeout.clone().or(variable) else { return Ok(None) };
        match duration(&text, "pull-timeout")? {
            Some(timeout) => Ok(Some(timeout)),
            None if text.starts_with('-') => Err(Error::failed("timeout should be bigger than 0")),
            None => Ok(None),
        }
    }
}

/// Go's duration; None for nothing and less.
pub(super) fn duration(text: &str, flag: &str) -> Result<Option<Duration>> {
    let nanoseconds = parse_duration(text)
        .map_err(|_| Error::failed(format!("invalid value {} for flag -{flag}: parse error", quote(text))))?;
    Ok(u64::try_from(nanoseconds).ok().filter(|nanoseconds| *nanoseconds > 0).map(Duration::from_nanos))
}

/// What to fetch, as whom, for which pod.
#[derive(Debug, Clone, Default)]
pub(super) struct Pull {
    pub(super) annotations: HashMap<String, String>,
    pub(super) auth: Option<api::AuthConfig>,
    pub(super) pod: Option<api::PodSandboxConfig>,
    pub(super) timeout: Option<Duration>,
}

/// Fetches `image`; its id.
pub(super) async fn pull(images: &Client, image: &str, how: &Pull) -> Result<String> {
    let spec = api::ImageSpec {
        image: image.to_owned(),
        annotations: how.annotations.clone(),
        ..Default::default()
    };
    let request =
        api::PullImageRequest { image: Some(spec), auth: how.auth.clone(), sandbox_config: how.pod.clone() };
    Ok(images.within(how.timeout).pull_image(request).await.during("")?.image_ref)
}

pub(super) async fn run(args: Args, session: &mut Session<'_, '_>) -> Result<Done> {
    if args.schema.is_some() {
        print_schema::<api::PodSandboxConfig>(session.cx.ui)?;
        return Ok(Done::Well);
    }
    let name = match args.rest.as_slice() {
        [name] if !name.is_empty() => name,
        [] | [_] => return Err(Error::failed("image name cannot be empty")),
        _ => return Ok(Done::Help),
    };
    let images = session.images().await?;
    let auth = args.credentials.auth(session)?;
    let pod = args
        .pod_config
        .as_deref()
        .map(|path| pod_config(path, session))
        .transpose()
        .map_err(|error| error.context("load podSandboxConfig"))?;
    let how = Pull {
        annotations: labels(&args.annotation)?,
        auth,
        pod,
        timeout: args.credentials.timeout(session)?,
    };
    let pulled = pull(&images, name, &how).await.map_err(|error| error.context("pulling image"))?;
    session.cx.ui.line(format_args!("Image is up to date for {pulled}"))?;
    Ok(Done::Well)
}
