//! What was asked of a registry, one request at a time: plain data that leaves no secret behind.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// One request and what came of it.
#[derive(Debug, Clone, Default)]
pub struct Exchange {
    /// `GET`.
    pub method: String,
    /// `https://host:port`, as it was asked.
    pub host: String,
    /// The path, without its query.
    pub path: String,
    /// The address that answered.
    pub address: Option<SocketAddr>,
    /// Where the answer came from in the end, when that is another host.
    pub redirected: Option<String>,
    /// The status, where there was an answer.
    pub status: Option<u16>,
    /// Why there was none.
    pub failure: Option<String>,
    /// Bytes of the body that was sent.
    pub sent: u64,
    /// Bytes of the body that was read.
    pub received: u64,
    /// From the request to the last byte that was read.
    pub time: Duration,
    /// Where the log-in came from: `config.json`, `helper NAME`, `none`.
    pub credentials: String,
    /// The line of a file that chose the host; `default` without one.
    pub chosen_by: String,
}

/// Takes what was asked.
#[derive(Clone)]
pub struct Trace(UnboundedSender<Exchange>);

impl Trace {
    /// One, and the other end, where requests come out as they end.
    pub fn new() -> (Self, UnboundedReceiver<Exchange>) {
        let (sender, receiver) = unbounded_channel();
        (Self(sender), receiver)
    }

    /// Tell of one request.
    pub fn tell(&self, exchange: Exchange) {
        // Nobody listens any more: nobody misses it.
        let _ = self.0.send(exchange);
    }
}

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Trace")
    }
}
