//! The loop: members that come and go, questions that arrive.

use std::collections::BTreeMap;
use std::io::Write;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};

use super::seat::{Place, Seat};
use super::{SOCKET, forward, stream};
use crate::monitor::socket::Socket;
use crate::net::resolver::{Door, Transport, Verdict, Zone, answer, owners, read_member, unavailable};
use crate::{Error, Result};

/// Questions of one container before the others have their turn.
const AT_ONCE: usize = 32;
const LONGEST: usize = 4096;
/// How long somebody at the control socket may take to listen.
const LISTENING: Duration = Duration::from_secs(1);

/// The resolver of one directory of members.
pub(super) struct Server {
    directory: PathBuf,
    control: Socket,
    changes: OwnedFd,
    zone: Arc<Zone>,
    seats: BTreeMap<String, Seat>,
    failures: BTreeMap<String, String>,
    waiting: Arc<AtomicUsize>,
    turn: usize,
}

/// Who asks, and all that is needed to answer away from the loop.
pub(super) struct Asker {
    owner: String,
    zone: Arc<Zone>,
    door: Arc<Door>,
}

impl Server {
    /// Listens, and knows the members that are there.
    pub(super) fn begin(directory: &Path) -> Result<Self> {
        let watch = |cause: rustix::io::Errno| Error::io("watch", directory, cause);
        let changes = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).map_err(watch)?;
        let flags =
            WatchFlags::MOVED_TO | WatchFlags::MOVED_FROM | WatchFlags::DELETE | WatchFlags::DELETE_SELF;
        inotify::add_watch(&changes, directory, flags).map_err(watch)?;
        let control = Socket::listen_as(directory, SOCKET)?;
        let mut server = Self {
            directory: directory.into(),
            control,
            changes,
            zone: Arc::default(),
            seats: BTreeMap::new(),
            failures: BTreeMap::new(),
            waiting: Arc::default(),
            turn: 0,
        };
        server.reload(&owners(directory));
        Ok(server)
    }

    /// Serves until nobody is left to be known.
    pub(super) fn serve(mut self) {
        while !self.zone.members.is_empty() {
            self.wait();
            // Before any question is answered: a name that a command has made known is known.
            self.notice();
            self.tell();
            let owners: Vec<String> = self.seats.keys().cloned().collect();
            for owner in owners {
                self.hear(&owner);
            }
        }
        self.control.remove();
    }

    /// Waits for anything to happen.
    fn wait(&self) {
        let mut polled = vec![
            PollFd::new(&self.changes, PollFlags::IN),
            PollFd::from_borrowed_fd(self.control.listener.as_fd(), PollFlags::IN),
        ];
        let mut limit = None;
        for seat in self.seats.values() {
            match seat.rest() {
                Some(rest) => limit = Some(rest),
                None => {
                    polled.push(PollFd::from_borrowed_fd(seat.door.datagrams.as_fd(), PollFlags::IN));
                    polled.push(PollFd::from_borrowed_fd(seat.door.streams.as_fd(), PollFlags::IN));
                }
            }
        }
        let limit = limit.and_then(|limit| Timespec::try_from(limit).ok());
        // An interrupted wait is a short one.
        let _ = poll(&mut polled, limit.as_ref());
    }

    /// Takes in what has changed in the directory.
    fn notice(&mut self) {
        let mut changed: Vec<String> = Vec::new();
        let mut all = false;
        let mut space = [MaybeUninit::uninit(); 4096];
        let mut events = inotify::Reader::new(&self.changes, &mut space);
        while let Ok(event) = events.next() {
            match event.file_name().and_then(|name| name.to_str().ok()) {
                Some(name) if !name.starts_with('.') => changed.push(name.into()),
                Some(_) => {}
                // Too much has happened, or the directory itself has gone.
                None => all = true,
            }
        }
        if all {
            changed = owners(&self.directory);
            changed.extend(self.zone.members.keys().cloned());
        }
        self.reload(&changed);
    }

    /// Reads these members anew.
    fn reload(&mut self, changed: &[String]) {
        if changed.is_empty() {
            return;
        }
        let mut zone = Zone::clone(&self.zone);
        for owner in changed {
            self.failures.remove(owner);
            let Some(member) = read_member(&self.directory, owner) else {
                zone.members.remove(owner);
                self.seats.remove(owner);
                continue;
            };
            // Another network may be there by the same name: the container has been started again.
            if !self.seats.get(owner).is_some_and(|seat| seat.door.is_of(&member.namespace)) {
                self.seats.remove(owner);
                match Seat::open(&member.namespace) {
                    Ok(seat) => drop(self.seats.insert(owner.clone(), seat)),
                    Err(error) => drop(self.failures.insert(owner.clone(), error.message)),
                }
            }
            zone.members.insert(owner.clone(), member);
        }
        self.zone = Arc::new(zone);
    }

    /// Tells those at the control socket who cannot be served. What they have written before they came is known.
    fn tell(&mut self) {
        while let Ok((mut client, _)) = self.control.listener.accept() {
            self.notice();
            let text = serde_json::to_vec(&self.failures).unwrap_or_default();
            // Only who may start containers gets here; who does not listen is told no more.
            let _ = client.set_nonblocking(false);
            let _ = client.set_write_timeout(Some(LISTENING));
            let _ = client.write_all(&text);
        }
    }

    /// Answers what a container asks, up to its share.
    fn hear(&mut self, owner: &str) {
        let mut buffer = [0; LONGEST];
        for _ in 0..AT_ONCE {
            let Some(seat) = self.seats.get_mut(owner) else { return };
            if seat.rest().is_some() {
                return;
            }
            let Ok((length, from)) = seat.door.datagrams.recv_from(&mut buffer) else { break };
            if !seat.may_ask() {
                return;
            }
            self.turn = self.turn.wrapping_add(1);
            let question = buffer.get(..length).unwrap_or_default();
            match answer(&self.zone, owner, question, (Transport::Udp, self.turn)) {
                // A full buffer loses datagrams as any network does.
                Verdict::Reply(reply) => drop(seat.door.datagrams.send_to(&reply, from)),
                Verdict::Forward => self.forward(owner, question, from),
                Verdict::Nothing => {}
            }
        }
        self.accept(owner);
    }

    fn forward(&self, owner: &str, question: &[u8], from: SocketAddr) {
        let Some((asker, place)) = self.asker(owner) else {
            if let (Some(seat), Some(reply)) = (self.seats.get(owner), unavailable(question)) {
                let _ = seat.door.datagrams.send_to(&reply, from);
            }
            return;
        };
        let question = question.to_vec();
        // Without a thread the container asks again.
        let _ = thread(move || {
            let _place = place;
            if let Some(reply) = outside(&asker, &question, Transport::Udp) {
                let _ = asker.door.datagrams.send_to(&reply, from);
            }
        });
    }

    fn accept(&self, owner: &str) {
        let Some(seat) = self.seats.get(owner) else { return };
        for _ in 0..AT_ONCE {
            let Ok((client, _)) = seat.door.streams.accept() else { return };
            // One too many ends at once.
            if let Some((asker, place)) = self.asker(owner) {
                stream::serve(client, asker, place);
            }
        }
    }

    fn asker(&self, owner: &str) -> Option<(Asker, Place)> {
        let seat = self.seats.get(owner)?;
        let place = seat.place(&self.waiting)?;
        Some((Asker { owner: owner.into(), zone: self.zone.clone(), door: seat.door.clone() }, place))
    }
}

/// The answer, wherever it comes from; None for what is no question.
pub(super) fn finish(asker: &Asker, question: &[u8], how: (Transport, usize)) -> Option<Vec<u8>> {
    match answer(&asker.zone, &asker.owner, question, how) {
        Verdict::Reply(reply) => Some(reply),
        Verdict::Forward => outside(asker, question, how.0),
        Verdict::Nothing => None,
    }
}

/// The answer of the servers outside; where none answers, that.
fn outside(asker: &Asker, question: &[u8], transport: Transport) -> Option<Vec<u8>> {
    let member = asker.zone.members.get(&asker.owner)?;
    forward::ask(member, &asker.door.network, question, transport).or_else(|| unavailable(question))
}

/// A thread with a small stack.
pub(super) fn thread(work: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
    std::thread::Builder::new().name("names".into()).stack_size(256 * 1024).spawn(work).map(drop)
}
