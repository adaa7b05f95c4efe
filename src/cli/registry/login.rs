//! `login`: a log-in that a registry takes, kept for later pulls and pushes.

use std::io::{BufRead as _, Read as _};

use super::flags::RegistryArgs;
use super::server;
use crate::cli::Context;
use crate::cli::errors::{EngineResult as _, from_engine};
use crate::config::credentials::{Credentials, Secret};
use crate::config::login::Kept;
use crate::engine::registry;
use crate::error::{Error, Kind, Result};
use crate::registry::DOCKER_HUB;
use crate::sys::terminal::{is_terminal, read_secret};

/// A longer password is a file by mistake (bytes).
const LONGEST: u64 = 1 << 20;

/// Flags of `login`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Without a server, Docker Hub is meant. The log-in is kept in docker's config.json, or by the credential \
    helper that it names.\n\nExamples:\n  wharfie login registry.example\n  wharfie login -u ci --password-stdin \
    registry.example:5000 < token"
)]
pub struct Args {
    /// Password or Personal Access Token (PAT)
    #[arg(short, long, value_name = "string")]
    password: Option<String>,
    /// Take the Password or Personal Access Token (PAT) from stdin
    #[arg(long)]
    password_stdin: bool,
    /// Username
    #[arg(short, long, value_name = "string")]
    username: Option<String>,
    #[command(flatten)]
    registry: RegistryArgs,
    /// The registry
    #[arg(value_name = "SERVER")]
    server: Option<String>,
}

/// Run the verb.
pub async fn run(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    check(&args)?;
    warn_of_environment(cx)?;
    let mut requests = args.registry.apply(cx);
    let result = log_in(args, cx).await;
    requests.say(cx.ui)?;
    succeeded(&result?, cx)
}

async fn log_in(args: Args, cx: &mut Context<'_>) -> Result<Kept> {
    let server = server(args.server.as_deref()).to_owned();
    let given = match &args.password {
        Some(password) => {
            cx.ui.say("WARNING! Using --password via the CLI is insecure. Use --password-stdin.")?;
            Some(Secret::new(password))
        }
        None if args.password_stdin => Some(piped()?),
        None => None,
    };
    let mut known_name = None;
    if args.username.is_none()
        && given.is_none()
        && let Ok(Some(found)) = registry::known(&cx.config, &server).await
        && let Credentials::Password { username, .. } = &found.credentials
    {
        cx.ui.say(format_args!("Authenticating with existing credentials... [Username: {username}]"))?;
        let program = &cx.program;
        cx.ui.say(format_args!(
            "To login with a different account, run '{program} logout' followed by '{program} login'\n"
        ))?;
        known_name = Some(username.clone());
        match registry::log_in(&cx.config, &server, found.credentials).await {
            Ok(kept) => return Ok(kept),
            Err(error) if error.kind == Kind::Failed => {
                cx.ui.say("Stored credentials invalid or expired")?;
            }
            Err(error) => {
                cx.ui.say(format_args!("Login did not succeed, error: {}", from_engine(error).message))?;
            }
        }
    }
    let credentials = match (args.username, given) {
        (Some(username), Some(password)) => registry::password(&username, password),
        (username, password) => ask(username, password, (&server, known_name), cx)?,
    };
    registry::log_in(&cx.config, &server, credentials).await.told()
}

fn check(args: &Args) -> Result<()> {
    let empty = |text: &Option<String>| text.as_ref().is_some_and(String::is_empty);
    let message = match () {
        () if args.password_stdin && args.password.is_some() => {
            "conflicting options: cannot specify both --password and --password-stdin"
        }
        () if args.password_stdin && args.username.is_none() => {
            "the --password-stdin option requires --username to be set"
        }
        () if empty(&args.username) => "username is empty",
        () if empty(&args.password) => "password is empty",
        () => return Ok(()),
    };
    Err(Error::failed(message))
}

/// That `DOCKER_AUTH_CONFIG` comes before everything that is kept.
pub(super) fn warn_of_environment(cx: &mut Context<'_>) -> Result<()> {
    if cx.config.auth_config.is_none() {
        return Ok(());
    }
    cx.ui.warn("DOCKER_AUTH_CONFIG is set and takes precedence.")?;
    cx.ui.hint("unset it to use what `login` keeps")
}

/// The whole standard input without the end of its last line.
fn piped() -> Result<Secret> {
    let mut text = String::new();
    let read = std::io::stdin().take(LONGEST).read_to_string(&mut text);
    read.map_err(|cause| Error::io("read", "the password from standard input", cause))?;
    let ends = ["\r\n", "\n", "\r"];
    let text = ends.iter().find_map(|end| text.strip_suffix(end)).unwrap_or(&text);
    if text.is_empty() {
        return Err(Error::failed("password is empty"));
    }
    Ok(Secret::new(text))
}

/// What is missing, from whoever sits at the terminal.
fn ask(
    username: Option<String>,
    password: Option<Secret>,
    (server, known_name): (&str, Option<String>),
    cx: &mut Context<'_>,
) -> Result<Credentials> {
    if !is_terminal(std::io::stdin()) {
        return Err(Error::failed("error: cannot perform an interactive login from a non-TTY device")
            .hint(format!("pipe the password: {} login -u NAME --password-stdin SERVER", cx.program)));
    }
    let username = match username {
        Some(username) => username,
        None => {
            if server == DOCKER_HUB {
                cx.ui.say(
                    "Log in with your Docker ID or email address, and a password or a personal access token.",
                )?;
            }
            let shown = known_name.as_ref().map(|name| format!(" ({name})")).unwrap_or_default();
            cx.ui.write_err(format!("Username{shown}: ").as_bytes())?;
            let mut line = String::new();
            let read = std::io::stdin().lock().read_line(&mut line);
            read.map_err(|cause| Error::io("read", "standard input", cause))?;
            let typed = line.trim();
            let typed = if typed.is_empty() { known_name.unwrap_or_default() } else { typed.to_owned() };
            if typed.is_empty() {
                return Err(Error::failed("error: username is required"));
            }
            typed
        }
    };
    let password = match password {
        Some(password) => password,
        None => {
            let typed = read_secret(|| cx.ui.write_err(b"Password: "))?;
            cx.ui.say("")?;
            if typed.is_empty() {
                return Err(Error::failed("error: password is required"));
            }
            Secret::new(typed)
        }
    };
    Ok(registry::password(&username, password))
}

fn succeeded(kept: &Kept, cx: &mut Context<'_>) -> Result<u8> {
    if let Kept::File(_) = kept {
        let file = cx.config.docker_config.join("config.json");
        cx.ui.say(format_args!(
            "\nWARNING! Your credentials are stored unencrypted in '{}'.\nConfigure a credential helper to remove this \
             warning. See\nhttps://docs.docker.com/go/credential-store/\n",
            file.display()
        ))?;
    }
    cx.ui.line("Login Succeeded")?;
    Ok(0)
}
