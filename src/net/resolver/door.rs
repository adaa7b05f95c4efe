//! The sockets inside a container's network where its questions arrive. They listen on ports that the kernel
//! chooses, and a rule leads what is sent to port 53 there: the container may have a name server of its own.

use std::fs::File;
use std::net::{TcpListener, UdpSocket};
use std::path::Path;

use rustix::io::Errno;

use crate::net::link::failed;
use crate::net::namespace::{self, inside};
use crate::net::netlink::Socket;
use crate::net::nftables::{Batch, Family, Hook, Step};
use crate::{Error, Result};

/// The table in the container's network; the name of the host's own is left to a wharfie in the container.
const TABLE: &str = "wharfie-names";
const CHAIN: &str = "output";
const PORT: u16 = 53;
const TCP: u8 = 6;
const UDP: u8 = 17;

/// The open sockets, and the network they are in.
#[derive(Debug)]
pub struct Door {
    /// Does not wait.
    pub datagrams: UdpSocket,
    /// Does not wait.
    pub streams: TcpListener,
    /// Keeps the network: drop it with the container.
    pub network: File,
}

impl Door {
    /// Opens them, in place of any that were open before.
    ///
    /// # Errors
    /// A namespace that has gone; the kernel's.
    pub fn open(path: &Path) -> Result<Self> {
        let network = namespace::open(path)?;
        let (datagrams, streams) = inside(&network, || {
            let bind = |cause: std::io::Error| {
                Error::failed(format!("listen on {} in a container: {cause}", super::ADDRESS))
            };
            let datagrams = UdpSocket::bind((super::ADDRESS, 0)).map_err(bind)?;
            let streams = TcpListener::bind((super::ADDRESS, 0)).map_err(bind)?;
            datagrams.set_nonblocking(true).map_err(bind)?;
            streams.set_nonblocking(true).map_err(bind)?;
            let ports = [
                (UDP, datagrams.local_addr().map_err(bind)?.port()),
                (TCP, streams.local_addr().map_err(bind)?.port()),
            ];
            lead(&ports)?;
            Ok((datagrams, streams))
        })?;
        Ok(Self { datagrams, streams, network })
    }

    /// Whether the namespace's file still keeps the network that the sockets are in.
    pub fn is_of(&self, path: &Path) -> bool {
        let (Ok(ours), Ok(there)) = (rustix::fs::fstat(&self.network), rustix::fs::stat(path)) else {
            return false;
        };
        (ours.st_dev, ours.st_ino) == (there.st_dev, there.st_ino)
    }
}

/// Leads port 53 of the resolver's address to `ports`, in the calling thread's network.
fn lead(ports: &[(u8, u16)]) -> Result<()> {
    let socket = Socket::netfilter().map_err(|errno| failed("open nf_tables", errno))?;
    let outcome = match rules(ports, Batch::table).commit(&socket) {
        // A resolver was here before. Not done at once: a removal makes everybody wait.
        Err(Errno::EXIST) => rules(ports, Batch::replace_table).commit(&socket),
        other => other,
    };
    outcome.map_err(|errno| failed("lead the container's name queries to the resolver", errno))
}

fn rules(ports: &[(u8, u16)], table: fn(&mut Batch, Family, &str)) -> Batch {
    let mut batch = Batch::new();
    table(&mut batch, Family::V4, TABLE);
    // Output, before packets are routed: nat's usual place.
    let hook = Hook { kind: "nat", number: 3, priority: -100, drops: false };
    batch.chain(Family::V4, TABLE, CHAIN, Some(hook));
    let address = super::ADDRESS.octets();
    let asked = PORT.to_be_bytes();
    for (protocol, port) in ports {
        let (protocol, port) = ([*protocol], port.to_be_bytes());
        let (one, other) = (8, 9);
        let steps = [
            Step::Payload { base: 1, offset: 16, length: 4, register: one },
            Step::Equal { register: one, value: &address },
            Step::Meta { key: 16, register: one },
            Step::Equal { register: one, value: &protocol },
            Step::Payload { base: 2, offset: 2, length: 2, register: one },
            Step::Equal { register: one, value: &asked },
            Step::Load { register: one, value: &address },
            Step::Load { register: other, value: &port },
            Step::DestinationNat { family: Family::V4, address: one, port: other },
        ];
        batch.rule(Family::V4, (TABLE, CHAIN), &steps, None);
    }
    batch
}
