//! `--nodes`: a reading verb on many machines at once, each by a process of this program with a deadline.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use super::Caller;
use super::line::Shape;
use super::list::{Named, nodes};
use super::merge::{line, merged};
use crate::config::Config;
use crate::error::{Error, Result, reason};
use crate::output::ui::Ui;
use crate::sys::child::end_with_us;

/// Each machine's deadline where `--node-timeout` gives none.
const DEADLINE: Duration = Duration::from_secs(10);
/// Bytes kept of one machine's output.
const LARGEST_OUTPUT: u64 = 256 << 20;

/// What the readers tell.
enum Told {
    /// A line of standard output, at once.
    Line(usize, String),
    /// All of standard output and of standard error.
    All(usize, [Vec<u8>; 2]),
}

/// One machine at work.
struct Task {
    name: String,
    child: Child,
    output: Option<[Vec<u8>; 2]>,
    late: bool,
}

/// Run the verb on every node of `--nodes`: the exit code, 1 if it failed on any.
///
/// # Errors
/// A verb that changes things, nodes that cannot be named, output that nobody reads.
pub fn run(caller: &Caller<'_>, config: &Config, ui: &mut Ui) -> Result<u8> {
    check(caller)?;
    let deadline = caller.globals.node_timeout.unwrap_or(DEADLINE);
    let follows = caller.line.follows();
    let (sender, receiver) = mpsc::channel();
    let mut tasks = Vec::new();
    for (number, (name, named)) in
        nodes(&caller.globals.nodes, config, &caller.environment.directory)?.into_iter().enumerate()
    {
        let child = start(caller, (&name, &named), deadline)?;
        tasks.push(Task { name, child, output: None, late: false });
        if let Some(task) = tasks.last_mut() {
            read(&mut task.child, (number, follows), &sender);
        }
    }
    drop(sender);
    collect(&mut tasks, &receiver, (!follows).then(|| Instant::now() + deadline), ui)?;
    let shape = if follows { Shape::Lines } else { caller.line.shape() };
    let text: Vec<(String, String)> = tasks
        .iter()
        .filter_map(|task| {
            let [out, _] = task.output.as_ref()?;
            Some((task.name.clone(), String::from_utf8_lossy(out).into_owned()))
        })
        .collect();
    let text: Vec<(&str, &str)> = text.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    ui.print(merged(&text, shape))?;
    ui.flush()?;
    let code = ends(tasks, deadline, ui);
    // One that was killed while it connected leaves the directory of its socket.
    crate::remote::sweep(&config.runtime_dir);
    code
}

fn check(caller: &Caller<'_>) -> Result<()> {
    let globals = caller.globals;
    if globals.host.is_some() || globals.address.is_some() || globals.context.is_some() {
        return Err(Error::usage(
            "conflicting options: --nodes names the machines, --host, --address and --context name one",
        ));
    }
    if !caller.line.only_reads() {
        return Err(Error::usage(format!(
            "`{}` does not take --nodes: only verbs that read do",
            caller.line.verb()
        ))
        .hint("change one machine at a time: -H ssh://node"));
    }
    if caller.line.draws() {
        return Err(Error::usage(format!("`{}` with --nodes needs --no-stream", caller.line.verb())));
    }
    Ok(())
}

fn start(caller: &Caller<'_>, (name, named): (&str, &Named), deadline: Duration) -> Result<Child> {
    let mut command = Command::new("/proc/self/exe");
    command.args(caller.globals.passed_on(caller.environment));
    if let Some(config) = &caller.globals.config {
        command.arg("--config").arg(config);
    }
    match named {
        Named::Local => command.args(["--context", "default"]),
        Named::Context => command.args(["--context", name]),
        Named::Node(address) => command.args(["--host", address]),
    };
    command.arg("--node-timeout").arg(format!("{}ms", deadline.as_millis().max(1)));
    if caller.environment.get("CONTAINERD_ADDRESS").is_some_and(|address| address.starts_with("ssh://")) {
        command.env_remove("CONTAINERD_ADDRESS");
    }
    command
        .args(caller.line.rest())
        .env_remove("DOCKER_HOST")
        .env_remove("DOCKER_CONTEXT")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    end_with_us(&mut command);
    command
        .spawn()
        .map_err(|cause| Error::failed(format!("start this program for {name}: {}", reason(&cause))))
}

/// Read both streams of a child on threads of their own.
fn read(child: &mut Child, (number, follows): (usize, bool), sender: &Sender<Told>) {
    let (Some(out), Some(err)) = (child.stdout.take(), child.stderr.take()) else { return };
    let sender = sender.clone();
    let talk = std::thread::spawn(move || whole(err));
    std::thread::spawn(move || {
        let said = if follows {
            for text in BufReader::new(out).split(b'\n').map_while(|text| text.ok()) {
                if sender.send(Told::Line(number, String::from_utf8_lossy(&text).into_owned())).is_err() {
                    return;
                }
            }
            Vec::new()
        } else {
            whole(out)
        };
        // Nobody listens once the verb has ended.
        let _ = sender.send(Told::All(number, [said, talk.join().unwrap_or_default()]));
    });
}

fn whole(stream: impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut stream = stream.take(LARGEST_OUTPUT);
    // What came before a failure is shown.
    let _ = stream.read_to_end(&mut bytes);
    bytes
}

/// Wait for all, or until the deadline, and end the late ones.
fn collect(
    tasks: &mut [Task],
    receiver: &Receiver<Told>,
    deadline: Option<Instant>,
    ui: &mut Ui,
) -> Result<()> {
    while tasks.iter().any(|task| task.output.is_none()) {
        let told = match deadline {
            None => receiver.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(deadline) => receiver.recv_timeout(deadline.saturating_duration_since(Instant::now())),
        };
        match told {
            Ok(Told::Line(number, text)) => {
                if let Some(task) = tasks.get(number) {
                    ui.line(line(&task.name, &text))?;
                    ui.flush()?;
                }
            }
            Ok(Told::All(number, output)) => {
                if let Some(task) = tasks.get_mut(number) {
                    task.output = Some(output);
                }
            }
            Err(_) => {
                for task in tasks.iter_mut().filter(|task| task.output.is_none()) {
                    task.late = true;
                    let _ = task.child.kill();
                }
                return Ok(());
            }
        }
    }
    Ok(())
}

/// What each has said on standard error, and which ones failed.
fn ends(tasks: Vec<Task>, deadline: Duration, ui: &mut Ui) -> Result<u8> {
    let mut failed = Vec::new();
    let count = tasks.len();
    for mut task in tasks {
        let status = task.child.wait();
        let [_, talk] = task.output.unwrap_or_default();
        for text in String::from_utf8_lossy(&talk).lines() {
            ui.say(line(&task.name, text))?;
        }
        if task.late {
            ui.say(line(&task.name, &format!("no answer within {}", seconds(deadline))))?;
        }
        if task.late || !status.is_ok_and(|status| status.success()) {
            failed.push(task.name);
        }
    }
    if failed.is_empty() {
        return Ok(0);
    }
    ui.say(format_args!("{} of {count} nodes failed: {}", failed.len(), failed.join(", ")))?;
    Ok(1)
}

fn seconds(duration: Duration) -> String {
    format!("{}s", duration.as_secs_f64())
}
