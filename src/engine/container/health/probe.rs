//! One check: a command in the container, its time and its output bounded.

use std::time::Duration;

use jiff::Timestamp;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;

use super::CheckResult;
use crate::containerd::Exit;
use crate::engine::Engine;
use crate::engine::container::exec::{Exec, ExecStreams, exec};
use crate::engine::container::model::Container;
use crate::error::{Error, Result};
use crate::oci::request::{ExecRequest, HealthCheck};
use crate::output::units::go_duration;

/// docker keeps so many bytes of what a check writes.
const OUTPUT: usize = 4096;
/// How long containerd may take to start a process.
const STARTING: Duration = Duration::from_secs(30);
/// How long a process that was killed may take to end, and what it wrote to arrive.
const LATE: Duration = Duration::from_millis(200);

/// The first bytes of what is written; docker marks what is left out.
#[derive(Debug, Default)]
struct Bounded {
    bytes: Vec<u8>,
    cut: bool,
}

impl Bounded {
    fn add(&mut self, bytes: &[u8]) {
        let room = OUTPUT - self.bytes.len();
        self.cut |= bytes.len() > room;
        self.bytes.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn text(&self) -> String {
        let text = String::from_utf8_lossy(&self.bytes);
        if self.cut { format!("{text}...") } else { text.into_owned() }
    }
}

/// How a check ended.
enum Ended {
    Exit(Exit),
    TooLate,
    Cancelled,
}

/// Run `check` in `container`. None when it was cancelled.
///
/// # Errors
/// Only where nothing can be said of the container: it has ended, or containerd does not answer.
pub(super) async fn probe(
    engine: &Engine,
    container: &Container,
    check: &HealthCheck,
    cancelled: impl Future<Output = ()>,
) -> Result<Option<CheckResult>> {
    let configuration = &container.record()?.image_config;
    let args = check.command(configuration).unwrap_or_default();
    let request = ExecRequest { args, ..ExecRequest::default() };
    let start = Timestamp::now();
    let failed = |output: String| CheckResult { start, end: Timestamp::now(), exit_code: -1, output };
    tokio::pin!(cancelled);
    let begun = tokio::select! {
        begun = tokio::time::timeout(STARTING, begin(engine, container, &request)) => begun,
        () = &mut cancelled => return Ok(None),
    };
    let (process, streams, pid) = match begun {
        Ok(Ok(begun)) => begun,
        Ok(Err(error)) => return Ok(Some(failed(error.message))),
        Err(_) => {
            let text = format!("timed out starting health check for container {}", container.id);
            return Ok(Some(failed(text)));
        }
    };
    let mut output = Bounded::default();
    let ended = tokio::select! {
        exit = attend(&process, streams, &mut output) => exit.map(Ended::Exit),
        () = tokio::time::sleep(check.timeout()) => Ok(Ended::TooLate),
        () = &mut cancelled => Ok(Ended::Cancelled),
    };
    if !matches!(ended, Ok(Ended::Exit(_))) {
        end(&process, pid).await;
    }
    // The shim waits for a child that holds the streams open; nobody else has to.
    let _ = tokio::time::timeout(LATE, process.delete()).await;
    Ok(Some(match ended? {
        Ended::Cancelled => return Ok(None),
        Ended::TooLate => {
            let nanoseconds = i64::try_from(check.timeout().as_nanos()).unwrap_or(i64::MAX);
            let text = format!("Health check exceeded timeout ({})", go_duration(nanoseconds));
            let said = output.text();
            failed(if said.is_empty() { text } else { format!("{text}: {said}") })
        }
        Ended::Exit(exit) => {
            CheckResult { start, end: Timestamp::now(), exit_code: exit.status.into(), output: output.text() }
        }
    }))
}

async fn begin(
    engine: &Engine,
    container: &Container,
    request: &ExecRequest,
) -> Result<(Exec, ExecStreams, u32)> {
    let (process, streams) = exec(engine, container, request).await?;
    let pid = process.start().await?;
    Ok((process, streams, pid))
}

/// Read what the process writes until it has ended.
async fn attend(process: &Exec, streams: ExecStreams, output: &mut Bounded) -> Result<Exit> {
    let ExecStreams { mut stdout, mut stderr, .. } = streams;
    let (mut first, mut second) = ([0; 4096], [0; 4096]);
    let waiting = process.wait();
    tokio::pin!(waiting);
    let mut exit = None;
    loop {
        if let Some(exit) = exit
            && stdout.is_none()
            && stderr.is_none()
        {
            return Ok(exit);
        }
        tokio::select! {
            count = read(&mut stdout, &mut first) => match count {
                0 => stdout = None,
                count => output.add(&first[..count]),
            },
            count = read(&mut stderr, &mut second) => match count {
                0 => stderr = None,
                count => output.add(&second[..count]),
            },
            ended = &mut waiting, if exit.is_none() => exit = Some(ended?),
            // A child that outlives the command may hold its streams open for ever.
            () = tokio::time::sleep(LATE), if exit.is_some() => {
                return exit.ok_or_else(|| Error::failed("the check has no exit status"));
            }
        }
    }
}

/// A stream that cannot be read has ended.
async fn read(stream: &mut Option<Receiver>, into: &mut [u8]) -> usize {
    match stream {
        Some(stream) => stream.read(into).await.unwrap_or(0),
        None => std::future::pending().await,
    }
}

/// Kill the process and what it has started: runc makes each exec the leader of a process group.
async fn end(process: &Exec, pid: u32) {
    let leader = i32::try_from(pid).ok().filter(|pid| *pid > 1).and_then(Pid::from_raw);
    if let Some(leader) = leader {
        // It has not ended a moment ago, so the number is still its own.
        let _ = kill_process_group(leader, Signal::KILL);
    }
    let _ = process.kill(9).await;
    let _ = tokio::time::timeout(LATE, process.wait()).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_bounded_and_says_so() {
        let mut output = Bounded::default();
        output.add(&[b'x'; OUTPUT - 1]);
        output.add(b"y");
        assert_eq!((output.text().len(), output.text().ends_with('y')), (OUTPUT, true));
        output.add(b"z");
        assert!(output.text().ends_with("xy...") && output.text().len() == OUTPUT + 3);
    }
}
