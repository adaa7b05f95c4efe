//! The kernel's memory of connections: what it remembers of datagrams to a port is forgotten when the port
//! becomes a container's or ceases to be.

use std::net::IpAddr;

use rustix::io::Errno;

use super::netlink::{ACK, DUMP, Messages, Socket, attribute};

const SUBSYSTEM: u16 = 1 << 8;
const GET: u16 = 1;
const DELETE: u16 = 2;
const TUPLE_ORIGINAL: u16 = 1;
const UDP: u8 = 17;
/// Deletions in one call: their answers must fit in the receive buffer.
const AT_ONCE: usize = 200;

/// Forgets every UDP flow that was sent to one of `ports`, an unspecified address meaning every one of its
/// family. It reads the whole table, so it is only for changes of UDP ports.
///
/// # Errors
/// The kernel's; a kernel without the table has nothing to forget.
pub(crate) fn forget_udp(socket: &Socket, ports: &[(IpAddr, u16)]) -> Result<(), Errno> {
    if ports.is_empty() {
        return Ok(());
    }
    let mut flows: Vec<(u8, Vec<u8>)> = Vec::new();
    for (family, v4) in [(2, true), (10, false)] {
        if !ports.iter().any(|(address, _)| address.is_ipv4() == v4) {
            continue;
        }
        let mut messages = Messages::new();
        messages.message(SUBSYSTEM | GET, DUMP, &[family, 0, 0, 0]);
        let answer = socket.query(messages, |_, payload| {
            let tuple = attribute(payload.get(4..).unwrap_or_default(), TUPLE_ORIGINAL).unwrap_or_default();
            if destination(tuple).is_some_and(|to| ports.iter().any(|port| is_to(to, *port))) {
                flows.push((family, tuple.to_vec()));
            }
        });
        match answer {
            Ok(()) => {}
            Err(Errno::OPNOTSUPP | Errno::INVAL | Errno::AFNOSUPPORT) => return Ok(()),
            Err(errno) => return Err(errno),
        }
    }
    for part in flows.chunks(AT_ONCE) {
        let mut messages = Messages::new();
        for (family, tuple) in part {
            messages.message(SUBSYSTEM | DELETE, ACK, &[*family, 0, 0, 0]).nest(TUPLE_ORIGINAL, |inside| {
                inside.raw(tuple);
            });
        }
        match socket.execute(messages) {
            // It ended by itself meanwhile.
            Ok(()) | Err(super::netlink::Refused { errno: Errno::NOENT, .. }) => {}
            Err(refused) => return Err(refused.errno),
        }
    }
    Ok(())
}

fn is_to((address, port): (IpAddr, u16), (host, host_port): (IpAddr, u16)) -> bool {
    port == host_port && address.is_ipv4() == host.is_ipv4() && (host.is_unspecified() || host == address)
}

/// Where a UDP flow's first packet was sent.
fn destination(tuple: &[u8]) -> Option<(IpAddr, u16)> {
    let transport = attribute(tuple, 2)?;
    if attribute(transport, 1)?.first() != Some(&UDP) {
        return None;
    }
    let port = u16::from_be_bytes(*attribute(transport, 3)?.first_chunk::<2>()?);
    let addresses = attribute(tuple, 1)?;
    let v4 =
        attribute(addresses, 2).and_then(|value| value.first_chunk::<4>()).map(|value| IpAddr::from(*value));
    let v6 = || {
        attribute(addresses, 4).and_then(|value| value.first_chunk::<16>()).map(|value| IpAddr::from(*value))
    };
    Some((v4.or_else(v6)?, port))
}
