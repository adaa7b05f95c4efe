//! One verb on one other machine: over its forwarded socket, or by a copy of this program there.
//!
//! The copy costs one connection and no further round trips, has the node's files, mounts and FIFOs at hand, and is
//! measured no slower; so most verbs go that way. What moves files of this machine (`save`, `load`, `import`) and what
//! containerd's API answers whole goes over the socket, which needs nothing there but sshd.

use super::{Caller, Line};
use crate::cli::system;
use crate::config::Config;
use crate::config::node::{Node, Via};
use crate::engine::node;
use crate::error::{Error, Kind, Result};
use crate::output::ui::Ui;
use crate::output::units::human_size;
use crate::remote::{Forward, Login, Outcome, Program, Refusal, Run, Sent, Terminal};
use crate::sys::terminal::is_terminal;

/// Where a verb runs.
#[derive(Debug)]
pub enum Place {
    /// In this process, on this machine's containerd.
    Here,
    /// In this process, on another machine's containerd.
    Forwarded(Forward),
    /// It ran elsewhere, with this exit code.
    Ended(u8),
}

/// Find the place of a verb; for one that runs elsewhere, run it. `config` is settled for a forwarded socket.
///
/// # Errors
/// The machine that cannot be reached, the user who may not, the file or flag that would mean something else there.
pub fn place(caller: &Caller<'_>, config: &mut Config, ui: &mut Ui) -> Result<Place> {
    let Some(node) = config.node.clone().filter(|_| !caller.line.is_local()) else { return Ok(Place::Here) };
    let login = login(caller, &node);
    let line = caller.line;
    match node.via.unwrap_or_else(|| line.way()) {
        Via::Socket if !line.socket_is_enough() => {
            Err(Error::usage(format!("`{}` needs more of {node} than containerd's socket", line.verb()))
                .hint("leave out via=socket: a copy of wharfie runs there"))
        }
        Via::Socket => match Forward::open(&login, &config.addresses, &config.runtime_dir)? {
            Ok(forward) => Ok(forwarded(config, forward)),
            // As another user, who may be allowed sudo.
            Err(Refusal::Denied)
                if node.via.is_none() && line.check_sendable().is_ok() && !names_files(line) =>
            {
                by_program(caller, config, ui)
            }
            Err(refusal) => Err(refused(&node, refusal)),
        },
        Via::Program => by_program(caller, config, ui),
    }
}

/// Run the verb by the copy of this program on the machine of `config`, which is sent when it is not there.
///
/// # Errors
/// As [`place`].
pub fn by_program(caller: &Caller<'_>, config: &mut Config, ui: &mut Ui) -> Result<Place> {
    let Some(node) = config.node.clone() else { return Ok(Place::Here) };
    caller.line.check_sendable()?;
    let login = login(caller, &node);
    let program = Program::own(&system::version::one_line("wharfie"))?;
    let streams = [is_terminal(std::io::stdin()), ui.out_is_terminal(), ui.err_is_terminal()];
    let [typed, ..] = streams;
    let terminal = streams == [true; 3] || (typed && caller.line.wants_terminal());
    let run = Run {
        login: &login,
        name: caller.program,
        arguments: &arguments(caller, &node),
        sockets: &config.addresses,
        input: terminal || caller.line.reads_input(),
        terminal: if terminal { Terminal::Ours } else { Terminal::None },
    };
    ui.flush()?;
    // What ssh has read of our input before it finds nothing there would be lost.
    let may_lose = run.input && !typed;
    let mut is_new = may_lose && !program.is_there(&login)?;
    loop {
        if is_new && let Some(why) = send(&program, &login, ui)? {
            return without_program(caller, config, (&login, why));
        }
        match program.run(&run)? {
            Outcome::Ended(code) => return Ok(Place::Ended(code)),
            Outcome::NotThere if !is_new => is_new = true,
            Outcome::NotThere => {
                return Err(Error::failed(format!("the copy of wharfie that {node} got is gone again"))
                    .hint("does something clean ~/.cache there?"));
            }
            Outcome::Unreached => {
                ui.hint(format_args!(
                    "exit code 255 is ssh's own for {node}; try `ssh {} true`",
                    node.destination
                ))?;
                return Ok(Place::Ended(255));
            }
        }
    }
}

/// Send the program; why not, where it cannot run there.
fn send(program: &Program, login: &Login<'_>, ui: &mut Ui) -> Result<Option<String>> {
    if ui.err_is_terminal() {
        ui.say(format_args!(
            "copying wharfie to {}, once ({})",
            login.node,
            human_size(program.size() as f64)
        ))?;
    }
    Ok(match program.send(login)? {
        Sent::Done => None,
        Sent::NoExec => Some("nothing can be executed in ~/.cache there (noexec?)".into()),
        Sent::OtherMachine(machine) => {
            Some(format!("this wharfie is for {}, and that machine is {machine}", std::env::consts::ARCH))
        }
    })
}

/// The machine takes no copy: what the socket serves goes over that.
fn without_program(
    caller: &Caller<'_>,
    config: &mut Config,
    (login, why): (&Login<'_>, String),
) -> Result<Place> {
    let forward = match caller.line.socket_is_enough() && login.node.via.is_none() {
        true => Forward::open(login, &config.addresses, &config.runtime_dir)?.ok(),
        false => None,
    };
    match forward {
        Some(forward) => Ok(forwarded(config, forward)),
        None => Err(Error::failed(format!("`{}` cannot run on {}: {why}", caller.line.verb(), login.node))
            .hint("install the same version of wharfie in that machine's PATH")
            .hint("what containerd's socket serves works without: images, ps, inspect, save, load, …")),
    }
}

fn forwarded(config: &mut Config, forward: Forward) -> Place {
    *config = node::settings(config, &forward);
    Place::Forwarded(forward)
}

fn login<'a>(caller: &Caller<'_>, node: &'a Node) -> Login<'a> {
    let may_ask = is_terminal(std::io::stdin()) && is_terminal(rustix::stdio::stderr());
    Login { node, may_ask, deadline: caller.globals.node_timeout }
}

/// Whether the verb moves files of this machine.
fn names_files(line: &Line) -> bool {
    ["save", "load", "import", "push"].iter().any(|verb| line.verb().ends_with(verb))
}

fn refused(node: &Node, refusal: Refusal) -> Error {
    match refusal {
        Refusal::Denied => Error::new(
            Kind::Unavailable,
            format!("cannot connect to containerd of {node}: that user may not open its socket"),
        )
        .hint("log in as root: -H ssh://root@…"),
        Refusal::Missing => Error::new(
            Kind::Unavailable,
            format!("cannot connect to containerd of {node}: none of the known sockets is there"),
        )
        .hint("start containerd there, or name its socket: -H ssh://node/path/of/containerd.sock"),
    }
}

/// The command line there: the flags that mean the same, and the verb as it was typed.
fn arguments(caller: &Caller<'_>, node: &Node) -> Vec<String> {
    // The current context there is somebody else's choice.
    let mut words = vec!["--context".to_owned(), "default".into()];
    if let Some(name) = &node.namespace {
        words.extend(["--namespace".to_owned(), name.clone()]);
    }
    if let Some(socket) = &node.socket {
        words.extend(["--address".to_owned(), socket.display().to_string()]);
    }
    // The last one counts: a flag before what the address says.
    words.extend(caller.globals.passed_on(caller.environment));
    words.extend_from_slice(caller.line.rest());
    words
}
