//! `debug`: a shell beside a container, with programs that the container does not have.

use std::path::PathBuf;

use super::args::lifecycle::pull_policy;
use super::args::parse::volume;
use super::args::process::VariableArgs;
use super::args::{Environment as Surroundings, parse};
use super::container::create::{self, Extras};
use super::container::run::stay;
use super::stream::{Join, check_terminal};
use super::{Context, errors};
use crate::engine::Engine;
use crate::engine::container::{
    Container, Created, Debugging, StartOptions, Status, Wanted, debug, locate, start,
};
use crate::engine::image::PullPolicy;
use crate::error::{Error, Result};
use crate::monitor::client::Wants;
use crate::oci::request::{ContainerRequest, Tools};
use crate::sys::terminal::is_terminal;

/// The image of `--tools image` where none is named.
const IMAGE: &str = "busybox";

/// Flags of `debug`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  wharfie debug web\n  wharfie debug web --image busybox\n  \
    wharfie debug web -- ls -l /proc/1/root/etc\n  wharfie -n k8s.io debug --tools toolbox 3f2a\n\n\
    The shell is in the container's pid, network, ipc, uts and user namespaces; $TARGET is where its files are. \
    Without --image, the programs are this machine's own (/usr, /bin, /etc, ..., read-only), so that no registry \
    is needed. When the command ends, nothing is left.")]
pub struct Args {
    /// Take the programs from this image
    #[arg(long, value_name = "IMAGE", add = super::names::images())]
    image: Option<String>,
    /// Where the programs come from: host, image or toolbox (a static busybox) [default: host]
    #[arg(long, value_name = "host|image|toolbox")]
    tools: Option<String>,
    /// Take the programs from this directory: static ones, or a root file system's bin/ and usr/
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    toolbox: Option<PathBuf>,
    /// Pull image before creating ("always", "missing", "never")
    #[arg(long, value_name = "string")]
    pull: Option<String>,
    /// Say nothing but what goes wrong
    #[arg(short, long)]
    quiet: bool,
    /// Username or UID (format: <name|uid>[:<group|gid>]) [default: 0:0]
    #[arg(short, long, value_name = "string")]
    user: Option<String>,
    /// Working directory
    #[arg(short, long, value_name = "string")]
    workdir: Option<String>,
    /// Environment of the command
    #[command(flatten)]
    variables: VariableArgs,
    /// Set the variables that the container was started with, too
    #[arg(long)]
    target_env: bool,
    /// Bind mount a volume
    #[arg(short, long, value_name = "list", add = super::names::volumes())]
    volume: Vec<String>,
    /// Give extended privileges to the command
    #[arg(long)]
    privileged: bool,
    /// Add Linux capabilities
    #[arg(long, value_name = "list")]
    cap_add: Vec<String>,
    /// Drop Linux capabilities; SYS_PTRACE is there unless it is dropped
    #[arg(long, value_name = "list")]
    cap_drop: Vec<String>,
    /// Keep STDIN open: it always is
    #[arg(short, long)]
    interactive: bool,
    /// Allocate a pseudo-TTY: by default where there is a terminal
    #[arg(short, long)]
    tty: bool,
    /// The container
    #[arg(value_name = "CONTAINER", required = true, add = super::names::running_containers())]
    container: String,
    /// The command and its arguments in place of a shell
    #[arg(value_name = "[--] [COMMAND] [ARG...]", num_args = 0.., trailing_var_arg = true, allow_hyphen_values = false)]
    command: Vec<String>,
}

/// Run the verb: the exit code is the command's.
pub async fn run(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    let program = cx.program.clone();
    match attempt(args, cx).await {
        Ok(code) => Ok(code),
        Err(error) => {
            let (error, code) = errors::from_run(&program, "debug", error);
            cx.ui.flush()?;
            cx.ui.error(&error)?;
            Err(Error::silent(code))
        }
    }
}

async fn attempt(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    let at_terminal = is_terminal(std::io::stdin()) && cx.ui.out_is_terminal();
    let asked = create::with_surroundings(cx, "debug", |surroundings| {
        args.settle(at_terminal, surroundings)
            .map_err(|error| error.hint(format!("See '{} --help'.", surroundings.command)))
    })?;
    // Never left running: no keys leave it.
    let how = Join { tty: asked.request.tty, input: true, proxy: true, detach: Vec::new() };
    check_terminal(how.tty, true)?;
    let extras = Extras::pulling(asked.pull, asked.quiet);
    let engine = cx.engine().await?;
    let (engine, target) = locate(&engine, &asked.target).await?;
    let debugging = debug(&target, asked.wanted, asked.request, asked.target_env)?;
    if !asked.quiet {
        for line in told(&target, &debugging) {
            cx.ui.say(line)?;
        }
    }
    let from_image = debugging.tools == Tools::Image;
    let created = create::make(&engine, debugging.request, &extras, cx, false).await;
    let created = created.map_err(|error| match from_image {
        true => error.hint("without an image, the programs are this machine's own: leave out --image"),
        false => error,
    })?;
    session(&engine, created, &how, cx).await
}

/// Start the container and stay with it. Its journal is kept until it is gone: whoever is killed leaves it to the
/// next command.
async fn session(engine: &Engine, created: Created, how: &Join, cx: &mut Context<'_>) -> Result<u8> {
    let (mut container, mounts, connecting, unsettled) = created.into_parts();
    let attach = Some(Wants { stdin: true, stdout: true, stderr: true });
    let options = StartOptions { attach, own: true, by_policy: false, connecting, mounts: Some(mounts) };
    let ended = match start(engine, &mut container, options).await.map_err(errors::of_request) {
        Ok(started) => match started.attachment {
            Some(mut attachment) => stay(engine, &mut container, &mut attachment, how, cx).await,
            None => Err(Error::failed("the container was started without its streams")),
        },
        Err(error) => Err(error),
    };
    // What cannot be taken down now is left to the next command; the user hears of the first failure.
    let gone = match ended {
        Ok(_) => unsettled.settle(),
        Err(_) => unsettled.roll_back(engine, &container).await,
    };
    let code = ended?;
    gone.map(|()| code)
}

/// What the flags come to.
struct Asked {
    target: String,
    wanted: Wanted,
    request: ContainerRequest,
    target_env: bool,
    pull: PullPolicy,
    quiet: bool,
}

impl Args {
    fn settle(self, at_terminal: bool, surroundings: &Surroundings<'_>) -> Result<Asked> {
        let mut request = ContainerRequest {
            command: Some(self.command),
            env: self.variables.resolve(surroundings)?,
            user: self.user.filter(|user| !user.is_empty()),
            working_dir: super::args::process::working_dir(self.workdir)?,
            tty: self.tty || (at_terminal && !self.interactive),
            open_stdin: true,
            ..ContainerRequest::default()
        };
        for text in &self.volume {
            request.mounts.push(volume::volume(text, surroundings.current_dir).map_err(Error::usage)?);
        }
        request.security.privileged = self.privileged;
        request.security.cap_add = self.cap_add;
        request.security.cap_drop = self.cap_drop;
        let wanted = wanted(self.tools.as_deref(), self.image, self.toolbox, surroundings)?;
        if let Wanted::Image(image) = &wanted {
            parse::name::image(image).map_err(Error::usage)?;
        }
        let pull = pull_policy(self.pull.as_deref())?;
        Ok(Asked {
            target: self.container,
            wanted,
            request,
            target_env: self.target_env,
            pull,
            quiet: self.quiet,
        })
    }
}

fn wanted(
    tools: Option<&str>,
    image: Option<String>,
    toolbox: Option<PathBuf>,
    surroundings: &Surroundings<'_>,
) -> Result<Wanted> {
    let toolbox = toolbox.map(|directory| surroundings.current_dir.join(directory));
    let twice = |one: &str, other: &str| Error::usage(format!("conflicting options: {one} and {other}"));
    match (tools.filter(|tools| !tools.is_empty()), image.filter(|image| !image.is_empty()), toolbox) {
        (_, Some(_), Some(_)) => Err(twice("--image", "--toolbox")),
        (None | Some("image"), Some(image), None) => Ok(Wanted::Image(image)),
        (Some("image"), None, None) => Ok(Wanted::Image(IMAGE.into())),
        (None | Some("host"), None, None) => Ok(Wanted::Host),
        (None | Some("toolbox"), None, toolbox) => Ok(Wanted::Toolbox(toolbox)),
        (Some(tools @ ("host" | "toolbox")), Some(_), None) => {
            Err(twice(&format!("--tools {tools}"), "--image"))
        }
        (Some(tools @ ("host" | "image")), None, Some(_)) => {
            Err(twice(&format!("--tools {tools}"), "--toolbox"))
        }
        (Some(other), ..) => {
            Err(Error::usage(format!("invalid --tools: {other:?}: must be one of host, image or toolbox")))
        }
    }
}

/// What the user should know at the beginning.
fn told(target: &Container, debugging: &Debugging) -> Vec<String> {
    let tools = match &debugging.tools {
        Tools::Image => format!("programs from image {}", debugging.request.image),
        Tools::Tree(tree) if tree == std::path::Path::new("/") => {
            "programs of this machine, read-only".into()
        }
        Tools::Tree(path) | Tools::Static(path) => format!("programs from {}, read-only", path.display()),
    };
    let mut lines =
        vec![format!("Beside {}: {tools}; its files are in $TARGET = {}", target.name, debugging.files)];
    match target.status {
        Status::Paused => lines.push(format!("{} is paused: its processes stand still", target.name)),
        Status::Unknown => {
            lines.push(format!("the shim of {} does not answer: its state is not known", target.name))
        }
        _ => {}
    }
    if debugging.strange_runtime {
        let runtime = &target.raw.runtime;
        lines.push(format!("{} may be out of this machine's sight: its runtime is {runtime}", target.name));
    }
    lines
}
