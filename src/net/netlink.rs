//! Netlink as bytes: messages with attributes, sent and acknowledged. One small encoder serves route netlink
//! and nf_tables; the kernel works a request off inside `send`, so nothing here waits.

use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink};

pub(crate) const REQUEST: u16 = 1;
pub(crate) const ACK: u16 = 4;
pub(crate) const DUMP: u16 = 0x300;
pub(crate) const APPEND: u16 = 0x800;
pub(crate) const CREATE: u16 = 0x400;
pub(crate) const EXCL: u16 = 0x200;
pub(crate) const REPLACE: u16 = 0x100;

const HEADER: usize = 16;
const ERROR: u16 = 2;
const DONE: u16 = 3;
const NESTED: u16 = 0x8000;
const BUFFER: usize = 64 * 1024;

/// Messages under construction.
#[derive(Debug, Default)]
pub(crate) struct Messages {
    bytes: Vec<u8>,
    begin: usize,
    count: u32,
    acknowledged: usize,
}

impl Messages {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Begins a message; what follows belongs to it. `header` is the family's fixed header.
    pub(crate) fn message(&mut self, kind: u16, flags: u16, header: &[u8]) -> &mut Self {
        self.close();
        self.begin = self.bytes.len();
        if flags & ACK != 0 {
            self.acknowledged += 1;
        }
        self.bytes.extend_from_slice(&0u32.to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(&(flags | REQUEST).to_ne_bytes());
        self.bytes.extend_from_slice(&self.count.to_ne_bytes());
        self.bytes.extend_from_slice(&0u32.to_ne_bytes());
        self.bytes.extend_from_slice(header);
        self.count += 1;
        self.pad();
        self
    }

    /// An attribute with its value.
    pub(crate) fn put(&mut self, kind: u16, value: &[u8]) -> &mut Self {
        // Callers bound what comes from outside; a value that does not fit in 16 bits is cut, not wrapped.
        let value = value.get(..value.len().min(usize::from(u16::MAX) - 4)).unwrap_or_default();
        self.bytes.extend_from_slice(&((value.len() + 4) as u16).to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(value);
        self.pad();
        self
    }

    /// A text with the ending zero.
    pub(crate) fn text(&mut self, kind: u16, value: &str) -> &mut Self {
        let mut bytes = Vec::with_capacity(value.len() + 1);
        bytes.extend_from_slice(value.as_bytes());
        bytes.push(0);
        self.put(kind, &bytes)
    }

    /// A number in the machine's order (route netlink).
    pub(crate) fn native(&mut self, kind: u16, value: u32) -> &mut Self {
        self.put(kind, &value.to_ne_bytes())
    }

    /// A number in the network's order (nf_tables).
    pub(crate) fn big(&mut self, kind: u16, value: u32) -> &mut Self {
        self.put(kind, &value.to_be_bytes())
    }

    /// An attribute of attributes (or of a header and attributes, through [`Messages::raw`]).
    pub(crate) fn nest(&mut self, kind: u16, inside: impl FnOnce(&mut Self)) -> &mut Self {
        let begin = self.bytes.len();
        self.bytes.extend_from_slice(&0u16.to_ne_bytes());
        self.bytes.extend_from_slice(&(kind | NESTED).to_ne_bytes());
        inside(self);
        let length = (self.bytes.len() - begin) as u16;
        if let Some(field) = self.bytes.get_mut(begin..begin + 2) {
            field.copy_from_slice(&length.to_ne_bytes());
        }
        self
    }

    /// Bytes as they are.
    pub(crate) fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(bytes);
        self.pad();
        self
    }

    /// Asks for an answer to the message under construction.
    pub(crate) fn acknowledge_last(&mut self) {
        if let Some(field) = self.bytes.get_mut(self.begin + 6..self.begin + 8) {
            let flags = u16_at(field, 0).unwrap_or_default();
            field.copy_from_slice(&(flags | ACK).to_ne_bytes());
            self.acknowledged += 1;
        }
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    fn close(&mut self) {
        let length = (self.bytes.len() - self.begin) as u32;
        if let Some(field) = self.bytes.get_mut(self.begin..self.begin + 4) {
            field.copy_from_slice(&length.to_ne_bytes());
        }
    }
}

/// The first message that the kernel refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refused {
    /// Its place among the messages, from 0.
    pub(crate) message: usize,
    /// Why.
    pub(crate) errno: Errno,
}

impl From<Errno> for Refused {
    fn from(errno: Errno) -> Self {
        Self { message: 0, errno }
    }
}

/// A netlink socket; it stays in the network namespace of the thread that opened it.
#[derive(Debug)]
pub(crate) struct Socket(OwnedFd);

impl Socket {
    /// Links, addresses, routes.
    pub(crate) fn route() -> Result<Self, Errno> {
        Self::open(None)
    }

    /// nf_tables.
    pub(crate) fn netfilter() -> Result<Self, Errno> {
        Self::open(Some(netlink::NETFILTER))
    }

    fn open(protocol: Option<rustix::net::Protocol>) -> Result<Self, Errno> {
        let kind = SocketType::RAW;
        rustix::net::socket_with(AddressFamily::NETLINK, kind, SocketFlags::CLOEXEC, protocol).map(Self)
    }

    /// Sends the messages in one call and reads every answer to them.
    ///
    /// # Errors
    /// The first refused message; those after it may have been done (route) or none was (nf_tables).
    pub(crate) fn execute(&self, messages: Messages) -> Result<(), Refused> {
        let expected = messages.acknowledged;
        self.send(messages)?;
        let mut buffer = vec![0; BUFFER];
        let mut refused = None;
        let mut seen = 0;
        // Answers lie ready when send returns; an error also answers a message that asked for none.
        loop {
            let flags =
                if seen < expected && refused.is_none() { RecvFlags::empty() } else { RecvFlags::DONTWAIT };
            let length = match rustix::net::recv(&self.0, &mut buffer[..], flags) {
                Ok((length, _)) => length,
                Err(Errno::INTR) => continue,
                Err(Errno::AGAIN) => break,
                Err(errno) => return Err(errno.into()),
            };
            for answer in Answers::new(buffer.get(..length).unwrap_or_default()) {
                if answer.kind != ERROR {
                    continue;
                }
                seen += 1;
                if let Some(errno) = answer.errno()
                    && refused.is_none()
                {
                    refused = Some(Refused { message: answer.sequence as usize, errno });
                }
            }
        }
        refused.map_or(Ok(()), Err)
    }

    /// Sends one message and gives each message of the answer to `each`: its kind and its bytes after the
    /// netlink header.
    ///
    /// # Errors
    /// The kernel's.
    pub(crate) fn query(&self, messages: Messages, mut each: impl FnMut(u16, &[u8])) -> Result<(), Errno> {
        self.send(messages)?;
        let mut buffer = vec![0; BUFFER];
        loop {
            let length = match rustix::net::recv(&self.0, &mut buffer[..], RecvFlags::empty()) {
                Ok((length, _)) => length,
                Err(Errno::INTR) => continue,
                Err(errno) => return Err(errno),
            };
            for answer in Answers::new(buffer.get(..length).unwrap_or_default()) {
                match answer.kind {
                    DONE => return Ok(()),
                    ERROR => return answer.errno().map_or(Ok(()), Err),
                    kind => each(kind, answer.payload),
                }
            }
        }
    }

    fn send(&self, mut messages: Messages) -> Result<(), Errno> {
        messages.close();
        if messages.bytes.len() > 100_000 {
            // Thousands of ports in one batch: a batch is one datagram and must fit in the send buffer.
            rustix::net::sockopt::set_socket_send_buffer_size_force(&self.0, messages.bytes.len() * 2)?;
        }
        loop {
            match rustix::net::send(&self.0, &messages.bytes, SendFlags::empty()) {
                Ok(_) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno),
            }
        }
    }
}

struct Answer<'a> {
    kind: u16,
    sequence: u32,
    payload: &'a [u8],
}

impl Answer<'_> {
    fn errno(&self) -> Option<Errno> {
        let code = self.payload.first_chunk::<4>().map(|code| i32::from_ne_bytes(*code)).unwrap_or_default();
        (code < 0).then(|| Errno::from_raw_os_error(-code))
    }
}

struct Answers<'a>(&'a [u8]);

impl<'a> Answers<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }
}

impl<'a> Iterator for Answers<'a> {
    type Item = Answer<'a>;

    fn next(&mut self) -> Option<Answer<'a>> {
        let length = u32_at(self.0, 0)? as usize;
        let kind = u16_at(self.0, 4)?;
        let sequence = u32_at(self.0, 8)?;
        let payload = self.0.get(HEADER..length)?;
        self.0 = self.0.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(Answer { kind, sequence, payload })
    }
}

/// The attributes in `bytes`: kind without flags, and value. Ends at the first malformed one.
pub(crate) fn attributes(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let length = usize::from(u16_at(rest, 0)?);
        let kind = u16_at(rest, 2)? & 0x3fff;
        let value = rest.get(4..length)?;
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

/// The value of the first attribute of that kind.
pub(crate) fn attribute(bytes: &[u8], kind: u16) -> Option<&[u8]> {
    attributes(bytes).find(|(found, _)| *found == kind).map(|(_, value)| value)
}

/// A text value without its ending zero.
pub(crate) fn as_text(value: &[u8]) -> String {
    let end = value.iter().position(|byte| *byte == 0).unwrap_or(value.len());
    String::from_utf8_lossy(value.get(..end).unwrap_or_default()).into_owned()
}

/// Four bytes at `offset` in the machine's order.
pub(crate) fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    bytes.get(offset..)?.first_chunk::<4>().map(|value| u32::from_ne_bytes(*value))
}

/// Two bytes at `offset` in the machine's order.
pub(crate) fn u16_at(bytes: &[u8], offset: usize) -> Option<u16> {
    bytes.get(offset..)?.first_chunk::<2>().map(|value| u16::from_ne_bytes(*value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut messages = Messages::new();
        messages.message(7, ACK, &[1, 2, 3, 4]).text(1, "abc").nest(2, |inside| {
            inside.native(3, 9).big(4, 9);
        });
        messages.message(8, 0, &[]).put(5, &[]);
        messages.close();
        let found: Vec<_> =
            Answers::new(&messages.bytes).map(|answer| (answer.kind, answer.sequence)).collect();
        assert_eq!(found, [(7, 0), (8, 1)]);
        let first =
            Answers::new(&messages.bytes).next().map(|answer| answer.payload.to_vec()).unwrap_or_default();
        let first = first.get(4..).unwrap_or_default();
        assert_eq!(attribute(first, 1).map(as_text).as_deref(), Some("abc"));
        let nested = attribute(first, 2).unwrap_or_default();
        assert_eq!(attribute(nested, 3), Some(&9u32.to_ne_bytes()[..]));
        assert_eq!(attribute(nested, 4), Some(&9u32.to_be_bytes()[..]));
    }

    #[test]
    fn broken_bytes_end_the_walk() {
        for bytes in [&[][..], &[3, 0, 1, 0], &[200, 0, 1, 0, 9], &[0, 0, 0, 0, 0, 0, 0, 0]] {
            assert_eq!(attributes(bytes).count(), 0, "{bytes:?}");
        }
        assert_eq!(Answers::new(&[0; 16]).count(), 0);
    }
}
