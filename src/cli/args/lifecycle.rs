//! Flags about how a container comes and goes, and about the image that it is made of.

use clap::Args;

use super::Environment;
use super::errors::{parse_all, refused, unsupported};
use super::parse::{name, restart};
use super::process::given;
use crate::engine::image::PullPolicy;
use crate::oci::request::{ContainerRequest, RestartPolicy};
use crate::{Error, Result};

/// `--rm`, `--restart`, `--pull`, `--platform`, `-a`.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Lifecycle and image")]
pub struct LifecycleArgs {
    /// Automatically remove the container and its associated anonymous volumes when it exits
    #[arg(long)]
    pub rm: bool,
    /// Restart policy to apply when a container exits
    #[arg(long, value_name = "string")]
    pub restart: Option<String>,
    /// Attach to STDIN, STDOUT or STDERR
    #[arg(short, long, value_name = "list")]
    pub attach: Vec<String>,
    /// Pull image before creating ("always", "missing", "never")
    #[arg(long, value_name = "string")]
    pub pull: Option<String>,
    /// Suppress the pull output
    #[arg(short, long)]
    pub quiet: bool,
    /// Set platform if server is multi-platform capable
    #[arg(long, value_name = "string")]
    pub platform: Option<String>,
    /// Skip image verification (deprecated)
    #[arg(long, action = clap::ArgAction::SetFalse, hide = true)]
    pub disable_content_trust: bool,
}

/// The streams to attach to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Streams {
    /// Send standard input.
    pub stdin: bool,
    /// Show standard output.
    pub stdout: bool,
    /// Show standard error.
    pub stderr: bool,
}

/// `--pull`.
///
/// # Errors
/// A policy that does not exist.
pub fn pull_policy(text: Option<&str>) -> Result<PullPolicy> {
    match text {
        None | Some("missing" | "") => Ok(PullPolicy::Missing),
        Some("always") => Ok(PullPolicy::Always),
        Some("never") => Ok(PullPolicy::Never),
        Some(other) => Err(Error::usage(format!(
            "invalid pull option: '{other}': must be one of \"always\", \"missing\" or \"never\""
        ))),
    }
}

impl LifecycleArgs {
    /// `--pull`.
    ///
    /// # Errors
    /// A policy that does not exist.
    pub fn pull_policy(&self) -> Result<PullPolicy> {
        pull_policy(self.pull.as_deref())
    }

    /// `-a`, which leaves out what it does not name; without it output is attached, and input where `interactive`.
    ///
    /// # Errors
    /// A stream that does not exist.
    pub fn streams(&self, interactive: bool) -> Result<Streams> {
        let named =
            parse_all(&self.attach, "-a, --attach", |text| match text.to_ascii_lowercase().as_str() {
                stream @ ("stdin" | "stdout" | "stderr") => Ok(stream.to_owned()),
                _ => Err("valid streams are STDIN, STDOUT and STDERR".to_owned()),
            })?;
        let has = |stream: &str| named.iter().any(|one| one == stream);
        let all = named.is_empty();
        Ok(Streams {
            stdin: interactive || has("stdin"),
            stdout: all || has("stdout"),
            stderr: all || has("stderr"),
        })
    }

    /// Fills the request's part.
    ///
    /// # Errors
    /// A value that does not parse, flags that contradict one another.
    pub fn apply(self, request: &mut ContainerRequest, environment: &Environment<'_>) -> Result<()> {
        self.pull_policy()?;
        self.streams(false)?;
        if !self.disable_content_trust {
            return Err(unsupported(
                "--disable-content-trust=false",
                "docker has given up content trust as well",
            ));
        }
        let restart = self.restart.as_deref().unwrap_or_default();
        let restarts = !restart::policy(restart).is_ok_and(|policy| policy == RestartPolicy::No);
        request.auto_remove = self.rm;
        if self.rm && restarts {
            return Err(Error::usage("conflicting options: cannot specify both --restart and --rm"));
        }
        // What is no policy at all the command sees; which ones there are the daemon knows.
        request.restart =
            restart::policy(restart).map_err(|cause| match cause.contains("policy format") {
                true => Error::usage(cause),
                false => refused(cause),
            })?;
        request.platform =
            given(self.platform).or_else(|| given((environment.variable)("DOCKER_DEFAULT_PLATFORM")));
        if let Some(platform) = &request.platform {
            name::platform(platform)
                .map_err(|cause| Error::usage(format!("error parsing specified platform: {cause}")))?;
        }
        Ok(())
    }
}
