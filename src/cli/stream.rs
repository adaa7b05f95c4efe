//! The user's terminal joined to a process in a container: output as it comes, keys and signals on their way,
//! the detach keys watched for.

use std::io::Read;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use crate::error::{Error, Kind, Result};
use crate::output::ui::Ui;
use crate::sys::terminal::{RawMode, is_terminal, size};

/// A piece of output.
#[derive(Debug)]
pub enum Chunk {
    /// From standard output, or from the terminal.
    Out(Vec<u8>),
    /// From standard error.
    Err(Vec<u8>),
}

/// A process at the other end. Its parts are used side by side: one that waits for its output to be read takes
/// no input meanwhile.
pub trait Remote {
    /// Output, input and the rest.
    fn split(&mut self) -> (impl Source, impl Sink, impl Control);
}

/// What a process writes.
pub trait Source {
    /// The next piece of output; None at its end. May be dropped and called again.
    async fn next(&mut self) -> Result<Option<Chunk>>;
}

/// What a process reads.
pub trait Sink {
    /// Hand it input.
    async fn send(&mut self, bytes: Vec<u8>) -> Result<()>;
    /// Its input ends.
    async fn close(&mut self) -> Result<()>;
}

/// What else can be done to a process.
pub trait Control {
    /// Its terminal's size in characters.
    async fn resize(&self, width: u16, height: u16) -> Result<()>;
    /// A signal for it.
    async fn signal(&self, number: u32) -> Result<()>;
}

/// How to join the two.
#[derive(Debug, Clone)]
pub struct Join {
    /// The process has a terminal.
    pub tty: bool,
    /// Standard input goes to it.
    pub input: bool,
    /// Signals go to it.
    pub proxy: bool,
    /// The keys that leave it running.
    pub detach: Vec<u8>,
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// All output has come.
    Output,
    /// The user typed the detach keys.
    Detached,
    /// The user insisted: three times the same ending signal.
    Forced(u8),
}

/// Check that `-it` has a terminal to work with.
pub fn check_terminal(tty: bool, interactive: bool) -> Result<()> {
    if tty && interactive && !is_terminal(std::io::stdin()) {
        return Err(Error::failed(
            "cannot attach stdin to a TTY-enabled container because stdin is not a terminal",
        )
        .hint("the input device is not a TTY: leave out -t"));
    }
    Ok(())
}

/// Join the user to `remote` until its output ends or the user leaves.
pub async fn join(ui: &mut Ui, remote: &mut impl Remote, how: &Join) -> Result<Ended> {
    let raw = (how.tty && how.input && is_terminal(std::io::stdin())).then(RawMode::enter).transpose()?;
    let mut signals = Signals::listen(how)?;
    let (mut source, mut sink, control) = remote.split();
    if how.tty
        && let Some((width, height)) = size()
    {
        // A process that has ended already needs no size.
        let _ = control.resize(width, height).await;
    }
    let mut feeds = how.input;
    let feeding = feed(how, &mut sink);
    tokio::pin!(feeding);
    let ended = loop {
        tokio::select! {
            chunk = source.next() => match chunk? {
                Some(Chunk::Out(bytes)) => { ui.write(&bytes)?; ui.flush()?; }
                Some(Chunk::Err(bytes)) => ui.write_err(&bytes)?,
                None => break Ended::Output,
            },
            fed = &mut feeding, if feeds => match fed? {
                Fed::Detached => break Ended::Detached,
                Fed::All => feeds = false,
            },
            event = signals.next() => match event {
                Event::Resize => if let Some((width, height)) = size() {
                    let _ = control.resize(width, height).await;
                },
                // It may have ended between the signal and now.
                Event::Proxy(number) => drop(control.signal(number).await),
                Event::Forced(number) => break Ended::Forced(number),
            },
        }
    };
    drop(raw);
    Ok(ended)
}

enum Fed {
    Detached,
    All,
}

/// Hand over standard input to its end, or to the detach keys.
async fn feed(how: &Join, sink: &mut impl Sink) -> Result<Fed> {
    let mut input = read_stdin();
    let mut keys = DetachKeys::new(if how.tty { &how.detach } else { &[] });
    while let Some(bytes) = input.recv().await {
        let (pass, detached) = keys.filter(&bytes);
        if !pass.is_empty() && !still_taken(sink.send(pass).await)? {
            return Ok(Fed::All);
        }
        if detached {
            return Ok(Fed::Detached);
        }
    }
    still_taken(sink.close().await).map(|_| Fed::All)
}

/// A process that takes no input any more has ended, or will go on without: its output tells which.
fn still_taken(sent: Result<()>) -> Result<bool> {
    match sent {
        Ok(()) => Ok(true),
        Err(error) if error.kind == Kind::BrokenPipe => Ok(false),
        Err(error) => Err(error),
    }
}

/// Standard input by a thread of its own: regular files cannot be polled, and a thread that waits for a key
/// holds nothing back when the program ends.
fn read_stdin() -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel(4);
    std::thread::spawn(move || {
        let mut stdin = std::io::stdin().lock();
        let mut buffer = vec![0; 32 << 10];
        loop {
            match stdin.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => {
                    if sender.blocking_send(buffer[..count].to_vec()).is_err() {
                        break;
                    }
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
    });
    receiver
}

/// Looks for a sequence of keys across reads. Keys that begin it are held back until the next one decides.
#[derive(Debug)]
struct DetachKeys<'a> {
    keys: &'a [u8],
    matched: usize,
}

impl<'a> DetachKeys<'a> {
    fn new(keys: &'a [u8]) -> Self {
        Self { keys, matched: 0 }
    }

    /// What passes on, and whether the sequence is complete.
    fn filter(&mut self, bytes: &[u8]) -> (Vec<u8>, bool) {
        if self.keys.is_empty() {
            return (bytes.to_vec(), false);
        }
        let mut pass = Vec::with_capacity(bytes.len());
        for &byte in bytes {
            if byte != self.keys[self.matched] {
                pass.extend_from_slice(&self.keys[..self.matched]);
                self.matched = 0;
            }
            if byte == self.keys[self.matched] {
                self.matched += 1;
                if self.matched == self.keys.len() {
                    return (pass, true);
                }
            } else {
                pass.push(byte);
            }
        }
        (pass, false)
    }
}

enum Event {
    Resize,
    Proxy(u32),
    Forced(u8),
}

/// The signals of this process while it stands for another.
struct Signals {
    resize: Option<Signal>,
    proxied: Vec<(u32, Signal)>,
    last: Option<(u32, u32)>,
}

impl Signals {
    fn listen(how: &Join) -> Result<Self> {
        let wrong = |cause: std::io::Error| Error::failed(format!("listen to signals: {cause}"));
        let resize = how.tty.then(|| signal(SignalKind::window_change())).transpose().map_err(wrong)?;
        let mut proxied = Vec::new();
        if how.proxy {
            for number in [1, 2, 3, 10, 12, 14, 15, 18] {
                proxied.push((number as u32, signal(SignalKind::from_raw(number)).map_err(wrong)?));
            }
        }
        Ok(Self { resize, proxied, last: None })
    }

    async fn next(&mut self) -> Event {
        let resized = async {
            match &mut self.resize {
                Some(signal) => signal.recv().await,
                None => std::future::pending().await,
            }
        };
        let number = tokio::select! {
            _ = resized => return Event::Resize,
            number = first(&mut self.proxied) => number,
        };
        // A user who has asked three times does not want to wait for a process that does not listen.
        let count = match self.last {
            Some((last, count)) if last == number => count + 1,
            _ => 1,
        };
        self.last = Some((number, count));
        if count >= 3 && matches!(number, 2 | 15) {
            Event::Forced(128 + number as u8)
        } else {
            Event::Proxy(number)
        }
    }
}

async fn first(signals: &mut [(u32, Signal)]) -> u32 {
    if signals.is_empty() {
        return std::future::pending().await;
    }
    let waiting = signals.iter_mut().map(|(number, signal)| {
        Box::pin(async move {
            signal.recv().await;
            *number
        })
    });
    futures_util::future::select_all(waiting).await.0
}

/// How long nothing may come, once a process has ended, before its output counts as ended: a child of it may
/// hold the stream open, and a busy shim may still have something to copy.
pub const LATE_OUTPUT: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn detach_keys_are_found_across_reads_and_nothing_else_is_lost() {
        let mut keys = DetachKeys::new(&[16, 17]);
        assert_eq!(keys.filter(b"ab"), (b"ab".to_vec(), false));
        assert_eq!(keys.filter(&[b'c', 16]), (b"c".to_vec(), false));
        assert_eq!(keys.filter(b"d"), (vec![16, b'd'], false));
        assert_eq!(keys.filter(&[16, 16]), (vec![16], false));
        assert_eq!(keys.filter(&[17, b'x']), (vec![], true));
        assert_eq!(DetachKeys::new(&[]).filter(&[16, 17]), (vec![16, 17], false));
    }
}
