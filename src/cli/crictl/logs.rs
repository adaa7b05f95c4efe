//! `crictl logs`: what a container has written, from the file that CRI keeps.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::exec::missing;
use super::log::Level;
use super::session::{Answer, Done, Session};
use crate::cri::log::Entry;
use crate::cri::{Client, api};
use crate::engine::container::find;
use crate::error::{Error, Kind, Result, reason};
use crate::output::notation::quote;
use crate::output::ui::Ui;
use crate::output::units::parse_moment;
use crate::store::Watch;

/// Flags of `crictl logs`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  wharfie cri logs 87d3992f84f74\n  wharfie cri logs -f --tail 20 87d3992f84f74"
)]
pub(super) struct Args {
    /// Follow log output
    #[arg(short, long)]
    follow: bool,
    /// Maximum bytes of logs to return. Defaults to no limit
    #[arg(long, value_name = "BYTES", default_value_t = -1, hide_default_value = true)]
    limit_bytes: i64,
    /// Print the logs for the previous instance of the container in a pod if it exists
    #[arg(short, long)]
    previous: bool,
    /// Reopen the container logs for the provided container
    #[arg(short, long)]
    reopen: bool,
    /// Show logs since timestamp (e.g. 2013-01-02T13:23:37) or relative (e.g. 42m for 42 minutes)
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Show specified stream (stdout or stderr). Defaults to both
    #[arg(short, long)]
    stream: Option<String>,
    /// Number of lines to show from the end of the logs. Defaults to all
    #[arg(long, value_name = "NUMBER")]
    tail: Option<i64>,
    /// Show timestamps
    #[arg(short, long)]
    timestamps: bool,
    /// A container's id
    #[arg(value_name = "CONTAINER-ID")]
    rest: Vec<String>,
}

/// How often a followed log's container is asked after, while it writes nothing.
const ASK: Duration = Duration::from_secs(1);

/// No line of CRI's is longer: containerd cuts them at 16 KiB.
const LONGEST: u64 = 1 << 20;

pub(super) async fn run(args: Args, session: &mut Session<'_, '_>) -> Result<Done> {
    let id = match args.rest.as_slice() {
        [id] if !id.is_empty() => id.clone(),
        [] | [_] => return Err(Error::failed("ID cannot be empty")),
        _ => return Ok(Done::Help),
    };
    let since = args.since.as_deref().filter(|text| !text.is_empty());
    let since = since.map(|text| parse_moment(text, Timestamp::now(), &TimeZone::system())).transpose()?;
    let stream = args.stream.as_deref().unwrap_or_default();
    if !matches!(stream, "" | "stdout" | "stderr") {
        return Err(Error::failed(format!(
            "invalid stream {}, must be \"stdout\" or \"stderr\"",
            quote(stream)
        )));
    }
    if args.tail.is_some() && args.stream.is_some() {
        return Err(Error::failed("--tail and --stream are mutually exclusive"));
    }
    let runtime = match session.runtime().await {
        Ok(runtime) => Some(runtime),
        // The file and its place are known without CRI.
        Err(error) if error.kind == Kind::Unavailable && !args.reopen && !args.previous => {
            session.say(Level::Warning, &format!("reading the log without CRI: {}", error.message))?;
            None
        }
        Err(error) => return Err(error),
    };
    let path = match &runtime {
        Some(runtime) => told(&args, &id, runtime, session).await?,
        None => {
            let engine = session.cx.engine().await?;
            find(&engine, &id).await.map_err(|error| missing(&id, error))?.log.unwrap_or_default()
        }
    };
    if path.as_os_str().is_empty() {
        return Err(Error::failed("the container has not set log path"));
    }
    let mut printer = Printer {
        timestamps: args.timestamps,
        since,
        stream,
        left: u64::try_from(args.limit_bytes).ok(),
        begun: [false; 2],
        out: Vec::new(),
        err: Vec::new(),
    };
    let mut file = open(&path)?;
    seek_tail(&mut file, args.tail.unwrap_or(-1), &path)?;
    let mut file = BufReader::new(file);
    let watch = Watch::new(path.parent().unwrap_or(Path::new("/")));
    loop {
        // Asked before reading: what it wrote until then is read afterwards.
        let ended = match (&runtime, args.follow) {
            (_, false) => true,
            (Some(runtime), true) => has_ended(runtime, &id).await,
            (None, true) => false,
        };
        pass(&mut file, &mut printer, session.cx.ui)?;
        if printer.left == Some(0) || ended {
            // A log that was rotated meanwhile goes on in the new file.
            return Ok(Done::Well);
        }
        if watch.wait(ASK) {
            pass(&mut file, &mut printer, session.cx.ui)?;
        }
        if is_other(&path, file.get_ref()) {
            pass(&mut file, &mut printer, session.cx.ui)?;
            file = BufReader::new(open(&path)?);
        }
    }
}

/// Where CRI says that the log is.
async fn told(args: &Args, id: &str, runtime: &Client, session: &mut Session<'_, '_>) -> Result<PathBuf> {
    if args.reopen {
        let request = api::ReopenContainerLogRequest { container_id: id.to_owned() };
        runtime.reopen_container_log(request).await.during("reopen container logs")?;
        session.say(Level::Info, "Container logs reopened")?;
    }
    let request = api::ContainerStatusRequest { container_id: id.to_owned(), verbose: false };
    let status = runtime.container_status(request).await.during("")?.status.unwrap_or_default();
    let path = PathBuf::from(&status.log_path);
    if !args.previous || status.log_path.is_empty() {
        return Ok(path);
    }
    let metadata = status.metadata.unwrap_or_default();
    let Some(before) = metadata.attempt.checked_sub(1) else {
        return Err(Error::failed(format!("previous terminated container {} not found", metadata.name)));
    };
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or("log");
    Ok(path.with_file_name(format!("{before}.{extension}")))
}

async fn has_ended(runtime: &Client, id: &str) -> bool {
    let request = api::ContainerStatusRequest { container_id: id.to_owned(), verbose: false };
    match runtime.container_status(request).await {
        Ok(answer) => answer
            .status
            .is_none_or(|status| status.state != i32::from(api::ContainerState::ContainerRunning)),
        // Without an answer the log may still grow: the user decides when it is enough.
        Err(error) => error.is_not_found(),
    }
}

fn open(path: &Path) -> Result<File> {
    File::open(path).map_err(|cause| {
        let why = reason(&cause);
        Error::failed(format!(
            "failed to try resolving symlinks in path {}: open: {why}",
            quote(&path.display().to_string())
        ))
    })
}

/// Whether another file is at `path` by now.
fn is_other(path: &Path, file: &File) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (path.metadata(), file.metadata()) {
        (Ok(there), Ok(open)) => (there.dev(), there.ino()) != (open.dev(), open.ino()),
        _ => false,
    }
}

/// Moves to the start of the last `lines` lines; less than none is all of them.
fn seek_tail(file: &mut File, lines: i64, path: &Path) -> Result<()> {
    let Ok(lines) = usize::try_from(lines) else { return Ok(()) };
    let failed = |cause: std::io::Error| Error::io("read", path, cause);
    let mut end = file.seek(SeekFrom::End(0)).map_err(failed)?;
    let (mut found, mut block) = (0, vec![0; 64 << 10]);
    let mut is_last = true;
    while end > 0 {
        let length = usize::try_from(end).unwrap_or(usize::MAX).min(block.len());
        let start = end - length as u64;
        file.seek(SeekFrom::Start(start)).map_err(failed)?;
        let bytes = block.get_mut(..length).unwrap_or_default();
        file.read_exact(bytes).map_err(failed)?;
        for at in (0..length).rev().filter(|at| bytes.get(*at) == Some(&b'\n')) {
            // The newline that ends the file begins no line.
            if std::mem::take(&mut is_last) && start + at as u64 + 1 == end && lines > 0 {
                continue;
            }
            found += 1;
            if found >= lines.max(1) {
                let position =
                    if lines == 0 { SeekFrom::End(0) } else { SeekFrom::Start(start + at as u64 + 1) };
                file.seek(position).map_err(failed)?;
                return Ok(());
            }
        }
        is_last = false;
        end = start;
    }
    file.seek(if lines == 0 { SeekFrom::End(0) } else { SeekFrom::Start(0) }).map_err(failed)?;
    Ok(())
}

/// Hands on what the file has; half a line waits for its end.
fn pass(file: &mut BufReader<File>, printer: &mut Printer<'_>, ui: &mut Ui) -> Result<()> {
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = file.by_ref().take(LONGEST).read_until(b'\n', &mut line);
        let count = read.map_err(|cause| Error::io("read", "the log", cause))?;
        if count > 0 && !line.ends_with(b"\n") && (count as u64) < LONGEST {
            let back = i64::try_from(count).unwrap_or(i64::MAX);
            file.seek_relative(-back).map_err(|cause| Error::io("read", "the log", cause))?;
            return printer.flush(ui);
        }
        if count == 0 || printer.left == Some(0) {
            return printer.flush(ui);
        }
        if let Some(entry) = Entry::parse(&line) {
            printer.add(&entry, ui)?;
        }
    }
}

/// Entries as crictl prints them, gathered into large writes.
struct Printer<'a> {
    timestamps: bool,
    since: Option<Timestamp>,
    stream: &'a str,
    /// How many bytes may still be printed.
    left: Option<u64>,
    /// Whether a line of standard output, of standard error, is half printed.
    begun: [bool; 2],
    out: Vec<u8>,
    err: Vec<u8>,
}

impl Printer<'_> {
    fn add(&mut self, entry: &Entry<'_>, ui: &mut Ui) -> Result<()> {
        let is_old =
            self.since.is_some_and(|since| entry.time.parse::<Timestamp>().is_ok_and(|time| time < since));
        let other = if entry.is_error { "stdout" } else { "stderr" };
        if is_old || self.stream == other {
            return Ok(());
        }
        let begun = self.begun.get_mut(usize::from(entry.is_error));
        let is_start = begun.is_none_or(|begun| !std::mem::replace(begun, entry.is_partial));
        let mut line = Vec::with_capacity(entry.text.len() + 40);
        if self.timestamps && is_start {
            line.extend_from_slice(entry.time.as_bytes());
            line.push(b' ');
        }
        line.extend_from_slice(entry.text);
        if !entry.is_partial {
            line.push(b'\n');
        }
        if let Some(left) = &mut self.left {
            line.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
            *left -= line.len() as u64;
        }
        // The two streams keep their order to one another: what waits for the other goes first.
        let waiting = if entry.is_error { &self.out } else { &self.err };
        if !waiting.is_empty() {
            self.flush(ui)?;
        }
        let buffer = if entry.is_error { &mut self.err } else { &mut self.out };
        buffer.append(&mut line);
        if buffer.len() > 128 << 10 { self.flush(ui) } else { Ok(()) }
    }

    fn flush(&mut self, ui: &mut Ui) -> Result<()> {
        if !self.out.is_empty() {
            ui.write(&std::mem::take(&mut self.out))?;
        }
        ui.flush()?;
        if !self.err.is_empty() {
            ui.write_err(&std::mem::take(&mut self.err))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "2023-11-14T22:13:20.1Z stdout P ha\n2023-11-14T22:13:20.2Z stdout F lf\n\
                       2023-11-14T22:13:21.1Z stderr F oops\nrubbish\n2023-11-14T22:13:22.1Z stdout F end\n";

    /// What `logs` prints of [`LOG`].
    fn printed(tail: i64, change: impl Fn(&mut Printer<'_>)) -> (String, String) {
        let path = std::env::temp_dir().join(format!(
            "crictl-log-{}-{:?}",
            std::process::id(),
            std::thread::current().id()
        ));
        std::fs::write(&path, LOG).unwrap();
        let mut printer = Printer {
            timestamps: false,
            since: None,
            stream: "",
            left: None,
            begun: [false; 2],
            out: Vec::new(),
            err: Vec::new(),
        };
        change(&mut printer);
        let (mut ui, captured) = Ui::captured();
        let mut file = open(&path).unwrap();
        seek_tail(&mut file, tail, &path).unwrap();
        pass(&mut BufReader::new(file), &mut printer, &mut ui).unwrap();
        std::fs::remove_file(&path).unwrap();
        (captured.out(), captured.err())
    }

    #[test]
    fn a_log_is_printed_by_stream() {
        let pair = |out: &str, err: &str| (out.to_owned(), err.to_owned());
        assert_eq!(printed(-1, |_| ()), pair("half\nend\n", "oops\n"));
        assert_eq!(printed(-1, |printer| printer.stream = "stderr"), pair("", "oops\n"));
        assert_eq!(printed(-1, |printer| printer.left = Some(6)), pair("half\n", "o"));
        assert_eq!(
            printed(-1, |printer| printer.timestamps = true),
            pair(
                "2023-11-14T22:13:20.1Z half\n2023-11-14T22:13:22.1Z end\n",
                "2023-11-14T22:13:21.1Z oops\n"
            )
        );
        let since = Some("2023-11-14T22:13:21Z".parse().unwrap());
        assert_eq!(printed(-1, |printer| printer.since = since), pair("end\n", "oops\n"));
    }

    #[test]
    fn the_last_lines_are_found_from_the_end() {
        for (tail, out, err) in [
            (0, "", ""),
            (1, "end\n", ""),
            (3, "end\n", "oops\n"),
            (4, "lf\nend\n", "oops\n"),
            (99, "half\nend\n", "oops\n"),
        ] {
            assert_eq!(printed(tail, |_| ()), (out.to_owned(), err.to_owned()), "{tail}");
        }
    }
}
