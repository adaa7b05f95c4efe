//! A layer on its way: whoever fetches it writes it into a file, whoever unpacks it follows that file.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::error::{Error, Result};

/// How far a layer has come.
#[derive(Debug, Clone)]
pub(super) enum Arriving {
    /// Nothing is known yet.
    Awaited,
    /// It is being written into a file of this machine.
    Growing(Arc<Growing>),
    /// containerd has it.
    Stored,
}

/// Where a layer is awaited; without a sender it is stored already.
#[derive(Debug, Clone)]
pub(super) struct Arrival(Option<watch::Receiver<Arriving>>);

impl Arrival {
    /// The two ends.
    pub(super) fn pair() -> (watch::Sender<Arriving>, Self) {
        let (sender, receiver) = watch::channel(Arriving::Awaited);
        (sender, Self(Some(receiver)))
    }

    /// Of a layer that is in the store.
    pub(super) fn stored() -> Self {
        Self(None)
    }

    /// The first that is known of it.
    pub(super) async fn begun(&mut self) -> Result<Arriving> {
        self.until(|state| !matches!(state, Arriving::Awaited)).await
    }

    /// Once containerd has it.
    pub(super) async fn is_stored(&mut self) -> Result<()> {
        self.until(|state| matches!(state, Arriving::Stored)).await.map(drop)
    }

    /// Whether what containerd has in the end are the bytes of `growing`. Waits until that is known.
    pub(super) async fn was(&mut self, growing: &Arc<Growing>) -> Result<bool> {
        let is_known = |state: &Arriving| match state {
            Arriving::Awaited => false,
            Arriving::Growing(other) => !Arc::ptr_eq(other, growing),
            Arriving::Stored => true,
        };
        let state = self.until(is_known).await?;
        Ok(matches!(state, Arriving::Stored) && !growing.is_void())
    }

    async fn until(&mut self, wanted: impl FnMut(&Arriving) -> bool) -> Result<Arriving> {
        let Some(receiver) = &mut self.0 else { return Ok(Arriving::Stored) };
        match receiver.wait_for(wanted).await {
            Ok(state) => Ok(state.clone()),
            Err(_) => Err(Error::failed("a layer did not arrive")),
        }
    }
}

/// A file that grows while it is read.
#[derive(Debug)]
pub(super) struct Growing {
    file: File,
    grown: Mutex<Grown>,
    more: Condvar,
}

#[derive(Debug, Default)]
struct Grown {
    written: u64,
    is_whole: bool,
    /// What was read is void: it begins anew, or nobody wants it any more.
    is_void: bool,
}

impl Growing {
    /// `file`, of which `written` bytes are there.
    pub(super) fn new(file: File, written: u64) -> Arc<Self> {
        let grown = Mutex::new(Grown { written, ..Grown::default() });
        Arc::new(Self { file, grown, more: Condvar::new() })
    }

    /// A file that is whole.
    pub(super) fn whole(file: File) -> io::Result<Arc<Self>> {
        let length = file.metadata()?.len();
        let growing = Self::new(file, length);
        growing.complete();
        Ok(growing)
    }

    /// So many bytes are there now.
    pub(super) fn grow(&self, written: u64) {
        self.change(|grown| grown.written = written);
    }

    /// No more comes.
    pub(super) fn complete(&self) {
        self.change(|grown| grown.is_whole = true);
    }

    /// What is missing does not come. Nothing happens to a file that is whole.
    pub(super) fn give_up(&self) {
        self.change(|grown| grown.is_void |= !grown.is_whole);
    }

    /// Its readers are to stop, whole or not.
    pub(super) fn stop(&self) {
        self.change(|grown| grown.is_void = true);
    }

    /// Whether what was read of it is void.
    pub(super) fn is_void(&self) -> bool {
        self.lock().is_void
    }

    /// From its beginning, waiting for what is not there yet.
    pub(super) fn reader(self: &Arc<Self>) -> impl Read + Send + use<> {
        Following { growing: Arc::clone(self), at: 0 }
    }

    fn change(&self, change: impl FnOnce(&mut Grown)) {
        change(&mut self.lock());
        self.more.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Grown> {
        self.grown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Following {
    growing: Arc<Growing>,
    at: u64,
}

impl Read for Following {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut grown = self.growing.lock();
        let there = loop {
            if grown.is_void {
                return Err(io::Error::other("it was interrupted"));
            }
            match grown.written.saturating_sub(self.at) {
                0 if grown.is_whole => return Ok(0),
                0 => grown = self.growing.more.wait(grown).unwrap_or_else(PoisonError::into_inner),
                there => break there,
            }
        };
        drop(grown);
        let wanted = usize::try_from(there).unwrap_or(usize::MAX).min(buffer.len());
        let count = self.growing.file.read_at(buffer.get_mut(..wanted).unwrap_or_default(), self.at)?;
        if count == 0 && wanted > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.at += count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn a_reader_waits_for_what_is_not_there_yet() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"one ").unwrap();
        let growing = Growing::new(file.try_clone().unwrap(), 4);
        let mut reader = growing.reader();
        let mut first = [0; 4];
        reader.read_exact(&mut first).unwrap();
        let rest = std::thread::spawn(move || {
            let mut rest = String::new();
            reader.read_to_string(&mut rest).map(|_| rest)
        });
        file.write_all(b"two three").unwrap();
        growing.grow(8);
        growing.grow(13);
        growing.complete();
        assert_eq!((&first, rest.join().unwrap().unwrap().as_str()), (b"one ", "two three"));
    }

    #[test]
    fn a_reader_of_what_is_void_stops() {
        let growing = Growing::new(tempfile::tempfile().unwrap(), 0);
        let mut reader = growing.reader();
        let waiting = std::thread::spawn(move || reader.read(&mut [0; 8]));
        growing.give_up();
        assert!(waiting.join().unwrap().is_err());
        assert!(growing.is_void());
    }
}
