//! The flags of `exec`, and the pure step to its request.

use clap::Args;

use super::process::{VariableArgs, given, working_dir};
use super::{Environment, check_detach_keys};
use crate::oci::request::ExecRequest;
use crate::{Error, Result};

/// Execute a command in a running container
#[derive(Debug, Clone, Default, Args)]
#[command(disable_help_flag = true)]
pub struct ExecArgs {
    /// Detached mode: run command in the background
    #[arg(short, long)]
    pub detach: bool,
    /// Override the key sequence for detaching a container
    #[arg(long, value_name = "string")]
    pub detach_keys: Option<String>,
    /// Environment of the command
    #[command(flatten)]
    pub variables: VariableArgs,
    /// Keep STDIN open even if not attached
    #[arg(short, long)]
    pub interactive: bool,
    /// Give extended privileges to the command
    #[arg(long)]
    pub privileged: bool,
    /// Allocate a pseudo-TTY
    #[arg(short, long)]
    pub tty: bool,
    /// Username or UID (format: "<name|uid>[:<group|gid>]")
    #[arg(short, long, value_name = "string")]
    pub user: Option<String>,
    /// Working directory inside the container
    #[arg(short, long, value_name = "string")]
    pub workdir: Option<String>,
    /// Print usage
    #[arg(long, action = clap::ArgAction::Help)]
    pub help: Option<bool>,
    /// The container, the command and its arguments
    #[arg(value_name = "CONTAINER COMMAND [ARG...]", required = true, num_args = 2.., trailing_var_arg = true, add = crate::cli::names::running_containers())]
    pub container_and_command: Vec<String>,
}

impl ExecArgs {
    /// The container as the user named it, and what to start in it.
    ///
    /// # Errors
    /// [`crate::Kind::Usage`] in docker's words, with a hint that points to the help.
    pub fn into_request(self, environment: &Environment<'_>) -> Result<(String, ExecRequest)> {
        self.convert(environment).map_err(|error| environment.with_help(error))
    }

    fn convert(self, environment: &Environment<'_>) -> Result<(String, ExecRequest)> {
        let mut words = self.container_and_command.into_iter();
        let container = words.next().filter(|container| !container.is_empty());
        let container = container.ok_or_else(|| Error::usage("the container's name is empty"))?;
        check_detach_keys(self.detach_keys.as_deref())?;
        let request = ExecRequest {
            args: words.collect(),
            env: self.variables.resolve(environment)?,
            user: given(self.user),
            working_dir: working_dir(self.workdir)?,
            tty: self.tty,
            interactive: self.interactive,
            detach: self.detach,
            privileged: self.privileged,
            detach_keys: given(self.detach_keys),
        };
        Ok((container, request))
    }
}
