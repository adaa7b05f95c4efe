//! From a path on the command line to a serving monitor: reads the duty, takes the descriptors that the shim
//! or the cli left open, and says when it is ready.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags};

use super::serve::{Start, Way, serve};
use super::socket::Socket;
use super::{Duty, program};
use crate::sys::{inherited, signal};
use crate::{Error, Result};

/// The file in the run directory that says why a monitor could not start. The shim takes its early end for
/// readiness, so whoever finds no monitor looks here.
pub const FAILURE: &str = "monitor.error";

/// A duty is a page of JSON.
const LONGEST_DUTY: u64 = 1024 * 1024;

/// The whole life of a monitor: the process's exit code when it is over. `teardown` frees what the network
/// has given the container (ports, addresses, namespace); it is called once, after the container's end and
/// before the second process starts, unless an owning client does it. It must bear being called for what is
/// already free.
pub fn run(duty_path: &Path, teardown: &dyn Fn(&Duty)) -> u8 {
    // First of all, before any other descriptor could get their numbers.
    let inherited = [3, 4, 5].map(inherited::take);
    let _held = program::hold();
    let duty = match read(duty_path) {
        Ok(duty) => duty,
        Err(error) => return fail(duty_path.parent(), &error),
    };
    let directory = duty.run_directory.clone();
    let failure = directory.join(FAILURE);
    // A reason from an earlier start explains nothing now.
    let _ = std::fs::remove_file(failure);
    match begin(duty, duty_path, inherited).and_then(|start| serve(start, teardown)) {
        Ok(()) => 0,
        Err(error) => fail(Some(&directory), &error),
    }
}

fn fail(directory: Option<&Path>, error: &Error) -> u8 {
    if let Some(directory) = directory {
        // Nobody reads our stderr; where even this cannot be written, nothing can be told.
        let _ = std::fs::write(directory.join(FAILURE), format!("{error}\n"));
    }
    1
}

fn read(path: &Path) -> Result<Duty> {
    let mut text = Vec::new();
    File::open(path)
        .and_then(|file| file.take(LONGEST_DUTY).read_to_end(&mut text))
        .map_err(|cause| Error::io("read", path, cause))?;
    serde_json::from_slice(&text).map_err(|cause| Error::failed(format!("read {}: {cause}", path.display())))
}

fn begin(duty: Duty, duty_path: &Path, inherited: [io::Result<OwnedFd>; 3]) -> Result<Start> {
    let termination = signal::termination().map_err(|cause| Error::io("wait for", "SIGTERM", cause))?;
    let mut start = match &duty.output {
        None => from_shim(duty, duty_path, inherited)?,
        Some((stdout, stderr)) => {
            let fifos = (open_fifo(stdout)?, open_fifo(stderr)?);
            from_cli(duty, duty_path, fifos)?
        }
    };
    start.termination = Some(termination);
    Ok(start)
}

/// Started by the shim: pipes are open as 3 and 4, it waits for 5, and we are in the bundle.
fn from_shim(duty: Duty, duty_path: &Path, inherited: [io::Result<OwnedFd>; 3]) -> Result<Start> {
    let [stdout, stderr, ready] = inherited;
    let taken = |fd: io::Result<OwnedFd>| fd.map_err(|cause| Error::io("take", "the shim's pipes", cause));
    let (stdout, stderr, ready) = (taken(stdout)?, taken(stderr)?, taken(ready)?);
    for pipe in [&stdout, &stderr] {
        rustix::io::ioctl_fionbio(pipe, true).map_err(|cause| Error::io("set up", "a pipe", cause))?;
    }
    let socket = Socket::listen(&duty.run_directory)?;
    Ok(Start {
        way: if duty.tty { Way::Console } else { Way::Pipes },
        duty,
        duty_path: duty_path.to_path_buf(),
        stdout,
        stderr,
        socket,
        bundle: Some(PathBuf::from(".")),
        ready: Some(ready),
        starter: None,
        termination: None,
    })
}

/// Started by the cli: FIFOs, and readiness goes to standard output, whose pipe the cli keeps open until it
/// has told us the pid.
fn from_cli(duty: Duty, duty_path: &Path, (stdout, stderr): (OwnedFd, OwnedFd)) -> Result<Start> {
    let socket = Socket::listen(&duty.run_directory)?;
    let out = rustix::stdio::stdout();
    let piped =
        rustix::fs::fstat(out).is_ok_and(|data| FileType::from_raw_mode(data.st_mode) == FileType::Fifo);
    let duplicate = || {
        rustix::io::fcntl_dupfd_cloexec(out, 3).map_err(|cause| Error::io("use", "standard output", cause))
    };
    let (ready, starter) = if piped { (Some(duplicate()?), Some(duplicate()?)) } else { (None, None) };
    Ok(Start {
        way: Way::Fifos,
        duty,
        duty_path: duty_path.to_path_buf(),
        stdout,
        stderr,
        socket,
        bundle: None,
        ready,
        starter,
        termination: None,
    })
}

fn open_fifo(path: &Path) -> Result<OwnedFd> {
    // For reading only, so that there is an end to see; without waiting for a writer.
    rustix::fs::open(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty())
        .map_err(|cause| Error::io("open", path, cause))
}
