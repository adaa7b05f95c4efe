//! `logs`: what containers have written.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use tokio::sync::mpsc;

use crate::cli::container::merged::{self, Handler, Look, Source};
use crate::cli::errors::EngineResult;
use crate::cli::exit::Failures;
use crate::cli::stream::Chunk;
use crate::cli::{Context, names};
use crate::engine::Engine;
use crate::engine::container::{Container, find, is_over_for_good};
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
    wharfie logs -f web db")]
pub struct Args {
    /// Show extra details provided to logs
    #[arg(long)]
    details: bool,
    /// Follow log output
    #[arg(short, long)]
    follow: bool,
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
    /// Containers by name or id; the lines of several are led by their names
    #[arg(required = true, value_name = "CONTAINER", add = names::containers())]
    containers: Vec<String>,
}

/// Run the verb.
pub async fn run(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    let options = options(&args)?;
    let engine = cx.engine().await?;
    let [reference] = args.containers.as_slice() else {
        return several(&engine, &args, &options, cx).await;
    };
    let container = find(&engine, reference).await.told()?;
    let path = log(&container)?;
    let mut printer = Printer {
        ui: cx.ui,
        timestamps: args.timestamps,
        details: args.details,
        out: Vec::new(),
        err: Vec::new(),
    };
    if args.follow {
        follow(engine, container.id, &path, &options, printer)?;
    } else {
        reader::read(&path, &options, &mut |entry| printer.add(entry))?;
        printer.flush()?;
    }
    Ok(0)
}

/// Several logs as one. One that cannot be read does not hide the others.
async fn several(engine: &Engine, args: &Args, options: &Options, cx: &mut Context<'_>) -> Result<u8> {
    let mut failures = Failures::default();
    let mut sources = Vec::new();
    for reference in &args.containers {
        let found = find(engine, reference).await.and_then(|container| Ok((log(&container)?, container)));
        let (path, container) = match found {
            Ok(found) => found,
            Err(error) => {
                failures.add(cx, error)?;
                continue;
            }
        };
        let (engine, id, follow) = (engine.clone(), container.id, args.follow);
        let read = move |handler: &mut Handler| {
            if !follow {
                return reader::read(&path, options, &mut |entry| handler.add(entry));
            }
            let mut ended = ended(engine, id)?;
            let handler = RefCell::new(handler);
            let mut asked = |quiet| {
                let mut handler = handler.borrow_mut();
                handler.caught_up();
                handler.is_gone() || (quiet && ended())
            };
            reader::follow(&path, options, &mut asked, &mut |entry| handler.borrow_mut().add(entry))
        };
        sources.push(Source { name: container.name, read: Box::new(read) });
    }
    let look = Look { timestamps: args.timestamps, details: args.details };
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
            let mut ended = ended(engine, id)?;
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
fn follow(engine: Engine, id: String, path: &Path, options: &Options, printer: Printer<'_>) -> Result<()> {
    let followed = std::thread::scope(|scope| {
        let thread = scope.spawn(move || {
            let mut ended = ended(engine, id)?;
            let printer = RefCell::new(printer);
            let mut asked = |quiet| {
                // Nothing more has come for the moment: what waits is due.
                let flushed = printer.borrow_mut().flush();
                flushed.is_err() || (quiet && ended())
            };
            reader::follow(path, options, &mut asked, &mut |entry| printer.borrow_mut().add(entry))?;
            printer.borrow_mut().flush()
        });
        thread.join()
    });
    followed.map_err(|_| Error::failed("reading the log failed"))?
}

fn options(args: &Args) -> Result<Options> {
    let moment = |text: &Option<String>| -> Result<Option<Timestamp>> {
        let Some(text) = text else { return Ok(None) };
        parse_moment(text, Timestamp::now(), &TimeZone::system()).map(Some)
    };
    // docker shows everything for "all", for a negative number and for what is none.
    let tail = args.tail.parse::<i64>().ok().and_then(|lines| u64::try_from(lines).ok());
    Ok(Options { tail, since: moment(&args.since)?, until: moment(&args.until)?, ..Options::default() })
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

/// A question to containerd, from the thread that reads: has the container ended for good?
fn ended(engine: Engine, id: String) -> Result<impl FnMut() -> bool> {
    let handle = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|cause| Error::failed(format!("start: {cause}")))?;
    let config = engine.config;
    let mut own: Option<Engine> = None;
    Ok(move || {
        handle.block_on(async {
            if own.is_none() {
                own = Engine::connect(std::sync::Arc::clone(&config)).await.ok();
            }
            // Without an answer the log may still grow: the user decides when it is enough.
            match &own {
                Some(engine) => is_over_for_good(engine, &id).await,
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
