//! The monitor's loop: one thread that waits for whatever comes first.

mod client;
mod init;
mod input;
mod outputs;
#[cfg(test)]
mod tests;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;

use super::aftermath::{self, Ending};
use super::frame::{self, Type, Welcome};
use super::health::Checks;
use super::log::{self, Driver, Stream};
use super::socket::Socket;
use super::{Duty, log::time::Stamp};
use crate::sys::fork::{self, Side};
use crate::{Error, Result};
use client::{Client, Request};
use init::Init;
use input::Input;
use outputs::Outputs;

/// Where the container's output comes from, which decides how its end looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// Pipes whose other ends the container has, but the shim too, until it deletes the task: their end comes
    /// after everything else.
    Pipes,
    /// A pipe into which the shim copies a terminal.
    Console,
    /// FIFOs into which the shim copies pipes.
    Fifos,
}

/// All that the loop begins with.
#[derive(Debug)]
pub(super) struct Start {
    pub(super) duty: Duty,
    pub(super) duty_path: PathBuf,
    pub(super) way: Way,
    /// Non-blocking.
    pub(super) stdout: OwnedFd,
    /// Non-blocking.
    pub(super) stderr: OwnedFd,
    pub(super) socket: Socket,
    /// The bundle where it is known.
    pub(super) bundle: Option<PathBuf>,
    /// Where to write a byte once everything is set up.
    pub(super) ready: Option<OwnedFd>,
    /// A pipe that breaks when the starter of the container dies or gives up.
    pub(super) starter: Option<OwnedFd>,
    /// Readable when the shim, or someone else, asks us to leave.
    pub(super) termination: Option<OwnedFd>,
}

/// What a descriptor in the poll set belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Termination,
    Starter,
    Listener,
    Init,
    Check,
    Log,
    Output(Stream),
    Input,
    Client(usize),
}

/// Before, and after, the container's end.
struct Monitor<'t> {
    duty: Duty,
    duty_path: PathBuf,
    way: Way,
    teardown: &'t dyn Fn(&Duty),
    welcome: Welcome,
    log: Box<dyn Driver>,
    outputs: Outputs,
    input: Input,
    init: Init,
    checks: Checks,
    clients: Vec<Client>,
    socket: Option<Socket>,
    starter: Option<OwnedFd>,
    termination: Option<OwnedFd>,
    terminated: bool,
    stopped: bool,
    /// The end was dealt with: only clients are left.
    finished: bool,
    /// The clean-up belongs to an owner that is still there, or did belong to one that has done it.
    owned: bool,
    disowned: bool,
    /// Its owner is gone, and it is to end with it.
    abandoned: bool,
    /// The log holds something back.
    unflushed: bool,
    /// The log has work for idle moments.
    log_works: bool,
    /// No connection can be taken before.
    accept_after: Option<Instant>,
    /// What a start and its clients needed was given back.
    trimmed: bool,
}

/// How long nothing must have happened before memory is given back.
const IDLE: Duration = Duration::from_secs(1);
/// Less than that is too short to be worth it.
const SHORT: Duration = Duration::from_millis(100);
/// How long a pipe that someone beside the container may hold must be quiet.
const QUIET: Duration = Duration::from_millis(100);
/// How long to wait for processes that outlive the init process.
const LEFT_OVER: Duration = Duration::from_secs(1);
/// How long to wait for a shim that has still to copy what was written.
const COPYING: Duration = Duration::from_secs(10);

/// Serves until the container has ended and everything is handed over. `teardown` frees its network.
pub(super) fn serve(start: Start, teardown: &dyn Fn(&Duty)) -> Result<()> {
    let duty = start.duty;
    let input = Input::open(duty.stdin.as_deref())
        .map_err(|cause| Error::io("open", duty.stdin.clone().unwrap_or_default(), cause))?;
    let path = log::path(&duty.directory, &duty.id);
    let health = duty.health.clone();
    let mut monitor = Monitor {
        welcome: Welcome {
            version: super::PROTOCOL,
            tty: duty.tty,
            stdin: duty.stdin.is_some(),
            stdin_once: duty.stdin_once && !duty.tty,
        },
        log: log::open(&duty.log, duty.log_target.as_ref(), path, &duty.log_attributes),
        duty,
        duty_path: start.duty_path,
        way: start.way,
        teardown,
        outputs: Outputs::new(start.stdout, start.stderr),
        input,
        init: Init::new(start.bundle.as_deref()),
        checks: Checks::new(health),
        clients: Vec::new(),
        socket: Some(start.socket),
        starter: start.starter,
        termination: start.termination,
        terminated: false,
        stopped: false,
        finished: false,
        owned: false,
        disowned: false,
        abandoned: false,
        unflushed: false,
        log_works: false,
        accept_after: None,
        trimmed: false,
    };
    if let Some(ready) = start.ready {
        tell_ready(&ready)?;
    }
    while !monitor.is_over() {
        monitor.turn()?;
    }
    monitor.finish();
    while !monitor.clients.is_empty() {
        if monitor.terminated && monitor.step_aside() == Side::Parent {
            return Ok(());
        }
        monitor.turn()?;
    }
    Ok(())
}

/// "binary://" takes the pipe's end for readiness, later forms want a byte.
fn tell_ready(pipe: &OwnedFd) -> Result<()> {
    match rustix::io::write(pipe, b"1") {
        // Whoever started us is gone already; the loop will notice.
        Ok(_) | Err(Errno::PIPE) => Ok(()),
        Err(cause) => Err(Error::io("write to", "the starter's pipe", cause)),
    }
}

impl Monitor<'_> {
    /// Waits once and does what has become possible.
    fn turn(&mut self) -> Result<()> {
        // Before the wait: the process may have been there before this one, and then nothing ever wakes us.
        self.checks.advance(self.init.seen(), &self.duty_path);
        let ready = self.wait().map_err(|cause| Error::io("wait for", &self.duty_path, cause))?;
        let mut read = false;
        let mut changed = false;
        for (source, flags) in &ready {
            match *source {
                Source::Termination => {
                    // Once is enough; a second SIGTERM says nothing new.
                    self.termination = None;
                    self.terminated = true;
                    changed = true;
                }
                Source::Starter => {
                    self.starter = None;
                    self.init.seek();
                }
                Source::Listener => self.accept(),
                Source::Init => {
                    self.init.look();
                    changed = true;
                }
                Source::Check => self.checks.look(),
                Source::Log => self.log.ready(),
                Source::Output(stream) => read |= self.read_output(stream),
                Source::Input => {}
                Source::Client(index) => self.serve_client(index, *flags),
            }
        }
        if changed {
            // This poll may have looked at an output just before the last bytes came, and at the process just
            // after it had ended.
            self.outputs.look_again();
        } else if !read && self.reads_outputs() {
            self.outputs.found_nothing();
        }
        if !read {
            self.settle_log();
        }
        if self.way == Way::Fifos && self.starter.is_none() && self.outputs_ended() {
            self.init.seek();
        }
        self.init.search(&self.duty.namespace, &self.duty.id);
        self.input.advance();
        self.tell_closed();
        self.drop_clients();
        Ok(())
    }

    /// Idle moments are for what the log has held back.
    fn settle_log(&mut self) {
        if self.unflushed {
            self.log.flush();
            self.unflushed = false;
        }
        if self.log_works {
            self.log_works = self.log.work();
        }
        if self.log.deadline().is_some_and(|deadline| deadline <= Instant::now()) {
            self.log.ready();
        }
    }

    /// Polls for all that can be served now.
    fn wait(&mut self) -> rustix::io::Result<Vec<(Source, PollFlags)>> {
        // What is due soon, a check of every second say, leaves half of the time until then.
        let next = self.timeout().map(|timeout| Duration::try_from(timeout).unwrap_or_default() / 2);
        let idle = next.map_or(IDLE, |next| next.min(IDLE));
        if !self.trimmed && idle >= SHORT {
            let ready = self.poll(Timespec::try_from(idle).ok())?;
            if !ready.is_empty() {
                return Ok(ready);
            }
            crate::sys::memory::release_program();
            self.trimmed = true;
        }
        let ready = self.poll(self.timeout())?;
        self.trimmed &= ready.is_empty();
        Ok(ready)
    }

    fn poll(&self, timeout: Option<Timespec>) -> rustix::io::Result<Vec<(Source, PollFlags)>> {
        let sources = self.sources();
        let mut polled: Vec<PollFd<'_>> =
            sources.iter().map(|(_, fd, flags)| PollFd::from_borrowed_fd(*fd, *flags)).collect();
        match rustix::event::poll(&mut polled, timeout.as_ref()) {
            Ok(_) => {}
            // What the flags say was not looked at.
            Err(Errno::INTR) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        }
        let ready = sources.iter().zip(&polled).map(|((source, ..), polled)| (*source, polled.revents()));
        Ok(ready.filter(|(_, flags)| !flags.is_empty()).collect())
    }

    fn sources(&self) -> Vec<(Source, BorrowedFd<'_>, PollFlags)> {
        let mut sources = Vec::with_capacity(8 + self.clients.len());
        let mut add = |source, fd, flags| sources.push((source, fd, flags));
        if let Some(fd) = &self.termination {
            add(Source::Termination, fd.as_fd(), PollFlags::IN);
        }
        if let Some(fd) = self.starter.as_ref().filter(|_| !self.finished) {
            add(Source::Starter, fd.as_fd(), PollFlags::empty());
        }
        if let Some(socket) = self.socket.as_ref().filter(|_| self.accept_after.is_none()) {
            add(Source::Listener, socket.listener.as_fd(), PollFlags::IN);
        }
        if let Some(fd) = self.init.source().filter(|_| !self.finished) {
            add(Source::Init, fd, PollFlags::IN);
        }
        if let Some(fd) = self.checks.source() {
            add(Source::Check, fd, PollFlags::IN);
        }
        if let Some((fd, flags)) = self.log.source() {
            add(Source::Log, fd, flags);
        }
        if self.reads_outputs() {
            for (stream, fd) in self.outputs.open() {
                add(Source::Output(stream), fd, PollFlags::IN);
            }
        }
        if let Some(fd) = self.input.wants_write() {
            add(Source::Input, fd, PollFlags::OUT);
        }
        for (index, client) in self.clients.iter().enumerate() {
            let mut flags = PollFlags::empty();
            flags.set(PollFlags::IN, !client.wants_stdin() || self.input.has_room());
            flags.set(PollFlags::OUT, client.has_queue());
            // A hang-up is reported whether asked for or not: once known, only what can be read counts.
            if !client.hung_up || flags.contains(PollFlags::IN) {
                add(Source::Client(index), client.stream().as_fd(), flags);
            }
        }
        sources
    }

    /// How long to wait at most; None for as long as it takes.
    fn timeout(&self) -> Option<Timespec> {
        let now = Instant::now();
        let patience = self.patience().filter(|_| !self.finished);
        let over = match (patience, self.outputs.quiet_since()) {
            (Some(patience), Some(quiet)) => Some(quiet + patience),
            (Some(_), None) => Some(now),
            (None, _) => None,
        };
        let work = (self.unflushed || self.log_works).then_some(now);
        let own = [self.init.deadline(), self.input.deadline(), self.checks.deadline(), self.log.deadline()];
        let next = [over, work, self.accept_after]
            .into_iter()
            .chain(own)
            .flatten()
            .chain(self.clients.iter().filter_map(Client::deadline))
            .min()?;
        // A millisecond more, so that the moment has passed when we wake.
        let wait = next.saturating_duration_since(now);
        let wait = if wait.is_zero() { wait } else { wait + Duration::from_millis(1) };
        Timespec::try_from(wait).ok()
    }

    /// The container's output is read: not while a client has too much before it. After the end everything is
    /// taken, which is not more than pipes hold: the log must not depend on clients.
    fn reads_outputs(&self) -> bool {
        let ends = self.patience().is_some();
        !self.finished && (ends || !(self.log.is_full() || self.clients.iter().any(Client::is_full)))
    }

    fn outputs_ended(&self) -> bool {
        self.outputs.has_ended(Stream::Stdout)
            && (self.way == Way::Console || self.outputs.has_ended(Stream::Stderr))
    }

    fn read_output(&mut self, stream: Stream) -> bool {
        let bytes = self.outputs.read(stream);
        if bytes.is_empty() {
            return false;
        }
        self.log.write(stream, bytes, &Stamp::now());
        self.unflushed = true;
        self.log_works = true;
        let kind = match stream {
            Stream::Stdout => Type::Stdout,
            Stream::Stderr => Type::Stderr,
        };
        if self.clients.iter().any(|client| client.wants(kind)) {
            let frame: Rc<[u8]> = frame::frame(kind, bytes).into();
            for client in self.clients.iter_mut().filter(|client| client.wants(kind)) {
                client.queue(frame.clone());
                client.send();
            }
        }
        true
    }

    /// How long the outputs must be quiet for the container to be over; None while it runs.
    fn patience(&self) -> Option<Duration> {
        match (self.init.gone(), self.way) {
            (None, _) if self.terminated && self.init.seen().is_none() => Some(QUIET),
            (None, _) if self.init.is_lost() => Some(LEFT_OVER),
            (None, _) => None,
            (Some(_), Way::Pipes) if self.init.takes_all_along() => Some(Duration::ZERO),
            (Some(_), Way::Pipes) => Some(QUIET),
            (Some(_), _) if self.init.takes_all_along() => Some(COPYING),
            (Some(_), _) => Some(LEFT_OVER),
        }
    }

    /// The container has ended, and so has its output.
    fn is_over(&self) -> bool {
        if self.outputs_ended() {
            // A container that has closed its outputs goes on; one that never was, or whose shim has died
            // before it told us, does not.
            let running = self.init.gone().is_none() && self.init.seen().is_some();
            let untold = self.way == Way::Fifos && !self.init.is_lost() && self.init.gone().is_none();
            return !running && (!untold || self.terminated);
        }
        // Processes that outlive the init process may write for ever.
        let most = if self.way == Way::Pipes { LEFT_OVER } else { COPYING };
        if self.init.gone().is_some_and(|gone| gone.elapsed() > most) && !self.init.takes_all_along() {
            return true;
        }
        match (self.patience(), self.outputs.quiet_since()) {
            (Some(patience), Some(quiet)) => quiet.elapsed() >= patience,
            _ => false,
        }
    }

    fn accept(&mut self) {
        let Some(socket) = &self.socket else { return };
        self.accept_after = None;
        loop {
            match socket.listener.accept() {
                Ok((stream, _)) => self.clients.extend(Client::new(stream)),
                Err(error) => match error.kind() {
                    std::io::ErrorKind::WouldBlock => return,
                    std::io::ErrorKind::Interrupted | std::io::ErrorKind::ConnectionAborted => {}
                    // No descriptor is left, most likely.
                    _ => {
                        self.accept_after = Some(Instant::now() + Duration::from_secs(1));
                        return;
                    }
                },
            }
        }
    }

    fn serve_client(&mut self, index: usize, flags: PollFlags) {
        let Some(client) = self.clients.get_mut(index) else { return };
        if flags.intersects(PollFlags::HUP | PollFlags::ERR) {
            client.hang_up();
        }
        let mut requests = Vec::new();
        if flags.contains(PollFlags::IN) || (client.hung_up && self.input.has_room()) {
            client.receive(&self.welcome, &mut requests);
        }
        client.send();
        self.disowned |= client.disowned && self.owned;
        let (ours, once) = (client.wants_stdin(), self.welcome.stdin_once);
        for request in requests {
            match request {
                Request::Stdin(bytes) if ours => self.input.push(&bytes),
                Request::StdinClose if ours && once => self.input.close(),
                Request::Stdin(_) | Request::StdinClose => {}
                Request::Stopping => {
                    self.stopped = true;
                    self.checks.end();
                }
                Request::Pid(pid) => {
                    self.init.is(pid);
                    self.starter = None;
                }
            }
        }
        if self.clients[index].gone && ours && once {
            self.input.close();
        }
    }

    fn tell_closed(&mut self) {
        if self.input.is_closed() {
            for client in self.clients.iter_mut().filter(|client| client.awaits_close) {
                client.awaits_close = false;
                client.queue(frame::frame(Type::StdinClosed, b"").into());
                client.send();
            }
        }
    }

    /// Lets go of clients that are gone, done, or have stalled for too long.
    fn drop_clients(&mut self) {
        if self.accept_after.is_some_and(|after| after <= Instant::now()) {
            self.accept();
        }
        let once = self.welcome.stdin_once;
        let (mut close, mut abandoned) = (false, self.abandoned);
        self.clients.retain(|client| {
            let late = client.deadline().is_some_and(|deadline| deadline <= Instant::now());
            let keep = !late && !client.is_done();
            close |= !keep && once && client.wants_stdin();
            abandoned |= !keep && client.owner;
            keep
        });
        if close {
            self.input.close();
        }
        self.abandoned = abandoned && self.duty.session;
        if self.abandoned {
            self.init.kill();
        }
        if self.owned && !self.clients.iter().any(|client| client.owner) {
            self.owned = false;
            if !self.disowned {
                self.clean_up();
            }
        }
    }

    /// Everything there is has been read: hands it over, and cleans up unless a client does.
    fn finish(&mut self) {
        self.checks.end();
        self.log.finish();
        self.unflushed = false;
        self.log_works = false;
        self.input.discard();
        self.finished = true;
        // What clients asked for before the end counts, even if we have not come to it: a `stop` is sent
        // before the signal.
        self.accept();
        if let Some(socket) = self.socket.take() {
            socket.remove();
        }
        self.sweep();
        for client in &mut self.clients {
            client.end();
            client.send();
        }
        if self.clients.iter().any(|client| client.owner) {
            self.owned = true;
        } else {
            self.clean_up();
        }
        self.drop_clients();
    }

    /// Reads all that clients have sent.
    fn sweep(&mut self) {
        let mut requests = Vec::new();
        for client in &mut self.clients {
            loop {
                let mut byte = [0];
                let peek = rustix::net::recv(client.stream(), &mut byte[..], rustix::net::RecvFlags::PEEK);
                client.receive(&self.welcome, &mut requests);
                if client.gone || !matches!(peek, Ok((1.., _))) {
                    break;
                }
            }
        }
        self.stopped |= requests.contains(&Request::Stopping);
    }

    /// Frees the network, and starts the second process where containerd is needed.
    fn clean_up(&mut self) {
        (self.teardown)(&self.duty);
        let ending =
            Ending { stopped: self.stopped, started: self.init.seen().is_some(), uptime: self.uptime() };
        if ending.needs_aftermath(&self.duty) {
            // There is nobody to tell. The next command, or the next start of containerd, finds the container
            // ended and acts by its policy.
            let _ = aftermath::start(&self.duty_path, &ending);
        }
    }

    fn uptime(&self) -> Duration {
        let end = self.init.gone().unwrap_or_else(Instant::now);
        self.init.seen().map(|seen| end.saturating_duration_since(seen)).unwrap_or_default()
    }

    /// The shim waits for this process to leave before it deletes the task, and whoever asked for that waits
    /// for the shim. So a child goes on with the clients that are not done.
    fn step_aside(&mut self) -> Side {
        self.terminated = false;
        fork::split().unwrap_or(Side::Child)
    }
}
