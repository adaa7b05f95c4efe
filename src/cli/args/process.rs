//! Flags about the process in the container: what runs, as whom, where, with which variables, and how it stops.

use std::path::Path;

use clap::Args;

use super::Environment;
use super::errors::{invalid, parse_one, refused};
use super::parse::{keyvalue, name, number, path, signal};
use crate::oci::request::ContainerRequest;
use crate::{Error, Result};

/// `--entrypoint`, `-e`, `-u`, `-w` and their kin.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Process")]
pub struct ProcessArgs {
    /// Overwrite the default ENTRYPOINT of the image
    #[arg(long, value_name = "string")]
    pub entrypoint: Option<String>,
    /// Environment of the command
    #[command(flatten)]
    pub variables: VariableArgs,
    /// Username or UID (format: <name|uid>[:<group|gid>])
    #[arg(short, long, value_name = "string")]
    pub user: Option<String>,
    /// Add additional groups to join
    #[arg(long, value_name = "list")]
    pub group_add: Vec<String>,
    /// Working directory inside the container
    #[arg(short, long, value_name = "string")]
    pub workdir: Option<String>,
    /// Container host name
    #[arg(short = 'h', long, value_name = "string")]
    pub hostname: Option<String>,
    /// Container NIS domain name
    #[arg(long, value_name = "string")]
    pub domainname: Option<String>,
    /// Run an init inside the container that forwards signals and reaps processes
    #[arg(long)]
    pub init: bool,
    /// Keep STDIN open even if not attached
    #[arg(short, long)]
    pub interactive: bool,
    /// Allocate a pseudo-TTY
    #[arg(short, long)]
    pub tty: bool,
    /// Signal to stop the container
    #[arg(long, value_name = "string")]
    pub stop_signal: Option<String>,
    /// Timeout (in seconds) to stop a container
    #[arg(long, value_name = "int")]
    pub stop_timeout: Option<String>,
}

/// `-e` and `--env-file`, which exec has too.
#[derive(Debug, Clone, Default, Args)]
pub struct VariableArgs {
    /// Set environment variables
    #[arg(short = 'e', long, value_name = "list")]
    pub env: Vec<String>,
    /// Read in a file of environment variables
    #[arg(long, value_name = "list")]
    pub env_file: Vec<String>,
}

impl VariableArgs {
    /// The files' variables, then those of `-e`, as `KEY=value`. A `KEY` alone that is not set is left out.
    ///
    /// # Errors
    /// A file that cannot be read or parsed, a variable without a name.
    pub fn resolve(&self, environment: &Environment<'_>) -> Result<Vec<String>> {
        let mut all = Vec::new();
        for file in &self.env_file {
            all.extend(pairs_of(file, environment, environment.variable)?);
        }
        for value in &self.env {
            let pair = keyvalue::environment(value, environment.variable);
            all.push(pair.map_err(|cause| invalid(value, "-e, --env", cause))?);
        }
        Ok(all)
    }
}

/// The lines of an env file or label file.
pub(super) fn pairs_of(
    file: &str,
    environment: &Environment<'_>,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<Vec<String>> {
    let content = (environment.read_file)(Path::new(file))
        .map_err(|cause| Error::usage(format!("open {file}: {}", crate::error::reason(&cause))))?;
    keyvalue::file(&content, lookup)
        .map_err(|cause| Error::usage(format!("invalid env file ({file}): {cause}")))
}

/// `-w`, cleaned.
pub(in crate::cli) fn working_dir(text: Option<String>) -> Result<Option<String>> {
    match text {
        None => Ok(None),
        Some(text) if text.is_empty() => Ok(None),
        Some(text) if text.starts_with('/') => Ok(Some(path::clean(&text))),
        Some(text) => Err(refused(format!(
            "the working directory '{text}' is invalid, it needs to be an absolute path"
        ))),
    }
}

/// A text that counts as not given when it is empty.
pub(super) fn given(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

impl ProcessArgs {
    /// Fills the request's part.
    ///
    /// # Errors
    /// A value that does not parse, a file that cannot be read.
    pub fn apply(self, request: &mut ContainerRequest, environment: &Environment<'_>) -> Result<()> {
        request.env = self.variables.resolve(environment)?;
        request.entrypoint = self.entrypoint.map(|one| if one.is_empty() { Vec::new() } else { vec![one] });
        request.user = given(self.user);
        request.group_add = self.group_add;
        request.working_dir = working_dir(self.workdir)?;
        request.hostname = given(self.hostname);
        request.domainname = given(self.domainname);
        for host in [&request.hostname, &request.domainname].into_iter().flatten() {
            name::host(host).map_err(Error::usage)?;
        }
        request.init = self.init;
        request.open_stdin = self.interactive;
        request.tty = self.tty;
        request.stop_signal = given(self.stop_signal);
        if let Some(text) = &request.stop_signal {
            signal::check(text).map_err(refused)?;
        }
        request.stop_timeout = parse_one(self.stop_timeout.as_deref(), "--stop-timeout", number::signed)?;
        Ok(())
    }
}
