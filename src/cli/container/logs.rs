//! `logs`: what containers have written.

use std::cell::RefCell;
use std::path::PathBuf;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use tokio::sync::mpsc;

use crate::cli::container::merged::{self, Handler, Look, Source};
use crate::cli::context::pod_engine;
use crate::cli::errors::EngineResult;
use crate::cli::exit::Failures;
use crate::cli::stream::Chunk;
use crate::cli::{Context, names};
use crate::engine::container::{Container, find_itself, is_over_for_good, locate};
use crate::engine::pod::logs::{PodLog, Wanted};
use crate::engine::{Engine, pod};
use crate::error::{Error, Kind, Result};
use crate::monitor::log::Stream;
use crate::monitor::reader::{self, Entry, Options};
use crate::output::ui::Ui;
use crate::output::units::parse_moment;

/// How much waits before it is written: a log of a million lines is not a million writes.
const BATCH: usize = 128 << 10;
/// How many entries of a followed log wait for a slow terminal.
const WAITING: usize = 64;

/// Flags of `logs`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  wharfie logs -f --tail 20 web\n  wharfie logs --since 10m web\n  \
    wharfie logs -f web db\n  wharfie logs --previous shop/web/app")]
pub struct Args {
    #[command(flatten)]
    pub(in crate::cli) flags: Flags,
    /// Containers and pods by name or id; the lines of several are led by their names
    #[arg(required = true, value_name = "CONTAINER", add = names::containers())]
    containers: Vec<String>,
}

/// What and how much of a log is shown.
#[derive(Debug, clap::Args)]
pub struct Flags {
    /// Show extra details provided to logs
    #[arg(long)]
    details: bool,
    /// Follow log output
    #[arg(short, long)]
    follow: bool,
    /// Show the log of a pod's container before it was last made anew
    #[arg(short, long)]
    pub(in crate::cli) previous: bool,
    /// Show the logs of all containers of a pod, also of init containers that are done
    #[arg(long)]
    pub(in crate::cli) all_containers: bool,
    /// Show logs since timestamp (e.g. "2013-01-02T13:23:37Z") or relative (e.g. "42m" for 42 minutes)
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Number of lines to show from the end of the logs
    #[arg(short = 'n', long, value_name = "NUMBER", default_value = "all", hide_default_value = true)]
    tail: String,
    /// Show timestamps
    #[arg(short, long)]
    timestamps: bool,
    /// Show logs before a timestamp (e.g. "2013-01-02T13:23:37Z") or relative (e.g. "42m" for 42 minutes)
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
}

/// A log that is shown.
#[derive(Debug)]
pub(in crate::cli) struct Target {
    /// What leads its lines among others'.
    pub(in crate::cli) name: String,
    /// Where it is.
    pub(in crate::cli) path: PathBuf,
    /// What tells that nothing more will come.
    pub(in crate::cli) end: End,
}

/// When following a log ends.
#[derive(Debug)]
pub(in crate::cli) enum End {
    /// With this container.
    Container(Engine, String),
    /// With this sandbox: until then the container may be made anew, with another log beside this one.
    Sandbox(Engine, String),
    /// At once: nobody is left to write.
    Now,
}

/// Run the verb.
pub async fn run(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    let options = options(&args.flags)?;
    let engine = cx.engine().await?;
    let mut failures = Failures::default();
    let mut targets = Vec::new();
    for reference in &args.containers {
        match find_logs(&engine, reference, args.flags.wanted()).await {
            Ok(found) => targets.extend(found),
            Err(error) if args.containers.len() == 1 => return Err(error).told(),
            // One that cannot be read does not hide the others.
            Err(error) => failures.add(cx, error)?,
        }
    }
    if args.containers.len() == 1
        && let [_] = targets.as_slice()
        && let Some(target) = targets.pop()
    {
        return one(target, &args.flags, &options, cx);
    }
    several(targets, (&args.flags, &options), cx, failures)
}

impl Flags {
    /// Which of a pod's logs are meant.
    pub(in crate::cli) fn wanted(&self) -> Wanted {
        Wanted { previous: self.previous, all: self.all_containers }
    }
}

/// Show the logs of one pod: one log as it is, several with the names of their containers.
pub(in crate::cli) fn show(mut targets: Vec<Target>, flags: &Flags, cx: &mut Context<'_>) -> Result<u8> {
    let options = options(flags)?;
    if targets.len() == 1
        && let Some(target) = targets.pop()
    {
        return one(target, flags, &options, cx);
    }
    several(targets, (flags, &options), cx, Failures::default())
}

/// The logs of pods as targets.
pub(in crate::cli) fn of_pod(engine: Option<&Engine>, logs: Vec<PodLog>) -> Vec<Target> {
    let target = |log: PodLog| {
        let end = match (engine, log.sandbox) {
            (Some(engine), Some(sandbox)) => End::Sandbox(engine.clone(), sandbox),
            _ => End::Now,
        };
        Target { name: log.container, path: log.path, end }
    };
    logs.into_iter().map(target).collect()
}

/// What is called so: a container, or else a pod, or one of its containers.
async fn find_logs(engine: &Engine, reference: &str, wanted: Wanted) -> Result<Vec<Target>> {
    let missing = match find_itself(engine, reference).await {
        Ok(container) => return Ok(vec![of_container(engine, container, wanted)?]),
        Err(error) if error.kind == Kind::NotFound => error,
        Err(error) => return Err(error),
    };
    let pods = pod_engine(engine)?;
    match pod::logs::logs(&pods, reference, wanted).await {
        Ok(logs) => Ok(of_pod(Some(&pods), logs)),
        Err(error) if error.kind != Kind::NotFound || pod::is_pod_form(reference) => Err(error),
        Err(_) => match locate(engine, reference).await {
            Ok((engine, container)) => Ok(vec![of_container(&engine, container, wanted)?]),
            Err(error) if error.kind == Kind::NotFound => Err(missing),
            Err(error) => Err(error),
        },
    }
}

fn of_container(engine: &Engine, container: Container, wanted: Wanted) -> Result<Target> {
    let mut path = log(&container)?;
    let mut end = End::Container(engine.clone(), container.id);
    if wanted.previous {
        path = pod::logs::previous(&path, &container.name)?;
        end = End::Now;
    }
    Ok(Target { name: container.name, path, end })
}

fn one(target: Target, flags: &Flags, options: &Options, cx: &mut Context<'_>) -> Result<u8> {
    let mut printer = Printer {
        ui: cx.ui,
        timestamps: flags.timestamps,
        details: flags.details,
        out: Vec::new(),
        err: Vec::new(),
    };
    if flags.follow {
        follow(target, options, printer)?;
    } else {
        reader::read(&target.path, options, &mut |entry| printer.add(entry))?;
        printer.flush()?;
    }
    Ok(0)
}

/// Several logs as one.
fn several(
    targets: Vec<Target>,
    (flags, options): (&Flags, &Options),
    cx: &mut Context<'_>,
    mut failures: Failures,
) -> Result<u8> {
    let mut sources = Vec::new();
    for Target { name, path, end } in targets {
        let follow = flags.follow;
        let read = move |handler: &mut Handler| {
            if !follow {
                return reader::read(&path, options, &mut |entry| handler.add(entry));
            }
            let restarts = end.has_restarts();
            let mut ended = ended(end)?;
            let handler = RefCell::new(handler);
            let mut asked = |quiet| {
                let mut handler = handler.borrow_mut();
                handler.caught_up();
                handler.is_gone() || (quiet && ended())
            };
            let mut sink = |entry: &Entry<'_>| handler.borrow_mut().add(entry);
            if restarts {
                reader::follow_attempts(&path, options, &mut asked, &mut sink)
            } else {
                reader::follow(&path, options, &mut asked, &mut sink)
            }
        };
        sources.push(Source { name, read: Box::new(read) });
    }
    let look = Look { timestamps: flags.timestamps, details: flags.details };
    for error in merged::print(cx.ui, sources, look)? {
        failures.add(cx, error)?;
    }
    Ok(failures.code())
}

/// What a container writes into its log from now on, until it ends or nobody takes it any more. It is read on a
/// thread of its own, which ends with this process at the latest.
pub(super) fn follow_new(engine: &Engine, container: &Container) -> Result<mpsc::Receiver<Result<Chunk>>> {
    let path = log(container)?;
    let (engine, id) = (engine.clone(), container.id.clone());
    let (sender, receiver) = mpsc::channel(WAITING);
    std::thread::spawn(move || {
        let options = Options { tail: Some(0), ..Options::default() };
        let read = || {
            let mut ended = ended(End::Container(engine, id))?;
            let mut asked = |quiet| sender.is_closed() || (quiet && ended());
            reader::follow(&path, &options, &mut asked, &mut |entry| {
                let bytes = entry.line.to_vec();
                let chunk = match entry.stream {
                    Stream::Stdout => Chunk::Out(bytes),
                    Stream::Stderr => Chunk::Err(bytes),
                };
                sender
                    .blocking_send(Ok(chunk))
                    .map_err(|_| Error::new(Kind::BrokenPipe, "nobody takes the log"))
            })
        };
        if let Err(error) = read() {
            let _ = sender.blocking_send(Err(error));
        }
    });
    Ok(receiver)
}

/// Follow the log on a thread of its own: it waits for the file, and asks containerd by itself.
fn follow(target: Target, options: &Options, printer: Printer<'_>) -> Result<()> {
    let followed = std::thread::scope(|scope| {
        let thread = scope.spawn(move || {
            let Target { path, end, .. } = target;
            let restarts = end.has_restarts();
            let mut ended = ended(end)?;
            let printer = RefCell::new(printer);
            let mut asked = |quiet| {
                // Nothing more has come for the moment: what waits is due.
                let flushed = printer.borrow_mut().flush();
                flushed.is_err() || (quiet && ended())
            };
            let mut sink = |entry: &Entry<'_>| printer.borrow_mut().add(entry);
            if restarts {
                reader::follow_attempts(&path, options, &mut asked, &mut sink)?;
            } else {
                reader::follow(&path, options, &mut asked, &mut sink)?;
            }
            printer.borrow_mut().flush()
        });
        thread.join()
    });
    followed.map_err(|_| Error::failed("reading the log failed"))?
}

fn options(flags: &Flags) -> Result<Options> {
    let moment = |text: &Option<String>| -> Result<Option<Timestamp>> {
        let Some(text) = text else { return Ok(None) };
        parse_moment(text, Timestamp::now(), &TimeZone::system()).map(Some)
    };
    // docker shows everything for "all", for a negative number and for what is none.
    let tail = flags.tail.parse::<i64>().ok().and_then(|lines| u64::try_from(lines).ok());
    Ok(Options { tail, since: moment(&flags.since)?, until: moment(&flags.until)?, ..Options::default() })
}

fn log(container: &Container) -> Result<PathBuf> {
    container.log.clone().ok_or_else(|| {
        let driver = container.record.as_ref().map(|record| record.request.log.driver.as_str());
        match driver {
            Some(driver) => Error::new(
                Kind::Failed,
                format!(
                    "Error response from daemon: configured logging driver does not support reading: {driver}"
                ),
            ),
            None => Error::new(
                Kind::Failed,
                format!("container {} keeps no log that can be read", container.name),
            )
            .hint("it was made by ctr or another client, which gave its output to whoever started it"),
        }
    })
}

impl End {
    fn has_restarts(&self) -> bool {
        matches!(self, Self::Sandbox(..))
    }
}

/// A question to containerd, from the thread that reads: has the container ended for good?
fn ended(end: End) -> Result<impl FnMut() -> bool> {
    let handle = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|cause| Error::failed(format!("start: {cause}")))?;
    let mut own: Option<Engine> = None;
    Ok(move || {
        let (End::Container(engine, id) | End::Sandbox(engine, id)) = &end else { return true };
        handle.block_on(async {
            if own.is_none() {
                let connected = Engine::connect(std::sync::Arc::clone(&engine.config)).await;
                own = connected.and_then(|own| own.in_namespace(engine.containerd.namespace())).ok();
            }
            // Without an answer the log may still grow: the user decides when it is enough.
            match &own {
                Some(engine) => is_over_for_good(engine, id).await,
                None => false,
            }
        })
    })
}

/// Entries as docker prints them, gathered into large writes.
struct Printer<'a> {
    ui: &'a mut Ui,
    timestamps: bool,
    details: bool,
    out: Vec<u8>,
    err: Vec<u8>,
}

impl Printer<'_> {
    fn add(&mut self, entry: &Entry<'_>) -> Result<()> {
        // The two streams keep their order to one another: what waits for the other goes first.
        let (buffer, other) = match entry.stream {
            Stream::Stdout => (&mut self.out, !self.err.is_empty()),
            Stream::Stderr => (&mut self.err, !self.out.is_empty()),
        };
        reader::render(entry, self.timestamps, self.details, buffer);
        if other {
            let moved = std::mem::take(buffer);
            self.flush()?;
            match entry.stream {
                Stream::Stdout => self.out = moved,
                Stream::Stderr => self.err = moved,
            }
        }
        if self.out.len() + self.err.len() >= BATCH { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<()> {
        if !self.out.is_empty() {
            self.ui.write(&self.out)?;
            self.out.clear();
        }
        self.ui.flush()?;
        if !self.err.is_empty() {
            self.ui.write_err(&self.err)?;
            self.err.clear();
        }
        Ok(())
    }
}
