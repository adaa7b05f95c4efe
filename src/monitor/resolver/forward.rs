//! A question that no container answers, sent on as it is to the name servers outside.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use crate::net::resolver::{ADDRESS, Member, Transport};
use crate::net::{inside, names};
use crate::{Error, Result};

/// How long one server is waited for, and how many are asked: a container's own resolver waits 5 s.
const PATIENCE: Duration = Duration::from_secs(2);
const MOST: usize = 3;
const PORT: u16 = 53;
const HEADER: usize = 12;
const LONGEST: usize = 65535;
/// The answers that another server may better: failure, not implemented, refused.
const POOR: [u8; 3] = [2, 4, 5];

/// The answer of the first server that gives a good one, else of the last that gave any. The host's servers are
/// read at this moment and asked from the host's network; the member's own are asked from its network.
pub(super) fn ask(member: &Member, network: &File, question: &[u8], transport: Transport) -> Option<Vec<u8>> {
    let own = !member.servers.is_empty();
    let mut servers = if own { member.servers.clone() } else { names::servers(&names::host_file()) };
    // The resolver itself would ask again, for ever.
    servers.retain(|server| !own || *server != IpAddr::V4(ADDRESS));
    let mut best = None;
    for server in servers.into_iter().take(MOST) {
        let to = SocketAddr::new(server, PORT);
        let network = own.then_some(network);
        let answer = match transport {
            Transport::Udp => by_datagram(network, to, question),
            Transport::Tcp => by_stream(network, to, question),
        };
        if let Ok(answer) = answer {
            let poor = answer.get(3).is_some_and(|flags| POOR.contains(&(flags & 15)));
            best = Some(answer);
            if !poor {
                break;
            }
        }
    }
    best
}

fn by_datagram(network: Option<&File>, to: SocketAddr, question: &[u8]) -> Result<Vec<u8>> {
    let any: IpAddr = match to {
        SocketAddr::V4(_) => std::net::Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => std::net::Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = within(network, || {
        let socket = UdpSocket::bind((any, 0)).map_err(failed)?;
        // The kernel takes datagrams of nobody else from here on.
        socket.connect(to).map_err(failed)?;
        Ok(socket)
    })?;
    let (ours, id) = numbered(question)?;
    socket.send(&ours).map_err(failed)?;
    let deadline = Instant::now() + PATIENCE;
    let mut buffer = vec![0; LONGEST];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Error::failed("no answer"));
        }
        socket.set_read_timeout(Some(left)).map_err(failed)?;
        let length = socket.recv(&mut buffer).map_err(failed)?;
        if let Some(answer) = restored(buffer.get(..length).unwrap_or_default(), id, question) {
            return Ok(answer);
        }
    }
}

fn by_stream(network: Option<&File>, to: SocketAddr, question: &[u8]) -> Result<Vec<u8>> {
    let mut stream = within(network, || TcpStream::connect_timeout(&to, PATIENCE).map_err(failed))?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
    stream.set_write_timeout(Some(PATIENCE)).map_err(failed)?;
    let (ours, id) = numbered(question)?;
    write(&mut stream, &ours).map_err(failed)?;
    let answer = read(&mut stream).map_err(failed)?;
    restored(&answer, id, question).ok_or_else(|| Error::failed("another question's answer"))
}

fn within<T: Send>(network: Option<&File>, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    match network {
        Some(network) => inside(network, work),
        None => work(),
    }
}

fn failed(cause: std::io::Error) -> Error {
    Error::failed(cause.to_string())
}

/// A message of a stream, led by its length.
pub(super) fn read(stream: &mut impl Read) -> std::io::Result<Vec<u8>> {
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut message = vec![0; u16::from_be_bytes(length).into()];
    stream.read_exact(&mut message)?;
    Ok(message)
}

/// Writes a message with its length in one call.
pub(super) fn write(stream: &mut impl Write, message: &[u8]) -> std::io::Result<()> {
    let length = u16::try_from(message.len()).map_err(std::io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes(), message].concat())
}

/// The question under a number of ours: the container's may be easy to guess.
fn numbered(question: &[u8]) -> Result<(Vec<u8>, [u8; 2])> {
    let mut id = [0; 2];
    rustix::rand::getrandom(&mut id, rustix::rand::GetRandomFlags::empty())
        .map_err(|errno| failed(errno.into()))?;
    let mut ours = question.to_vec();
    ours.get_mut(..2).ok_or_else(|| Error::failed("no question"))?.copy_from_slice(&id);
    Ok((ours, id))
}

/// The answer under the container's number; None when it is no answer to this question.
fn restored(answer: &[u8], id: [u8; 2], question: &[u8]) -> Option<Vec<u8>> {
    let header = answer.first_chunk::<HEADER>()?;
    if header[..2] != id || header[2] & 0x80 == 0 {
        return None;
    }
    let asked = asked(question)?;
    // A refusal may leave the question out.
    let repeated =
        answer.get(HEADER..HEADER + asked.len()).is_some_and(|found| found.eq_ignore_ascii_case(asked));
    if !repeated && header[4..6] != [0, 0] {
        return None;
    }
    let mut answer = answer.to_vec();
    answer.get_mut(..2)?.copy_from_slice(question.get(..2)?);
    Some(answer)
}

/// The bytes of the first question: labels, type, class.
fn asked(message: &[u8]) -> Option<&[u8]> {
    let mut at = HEADER;
    loop {
        let length = usize::from(*message.get(at)?);
        // A pointer: nobody needs one in a first question.
        if length >= 64 {
            return None;
        }
        at += 1 + length;
        if length == 0 {
            return message.get(HEADER..at + 4);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_answer_to_the_question_is_taken() {
        let question = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03web\x00\x00\x01\x00\x01";
        let (ours, id) = numbered(question).unwrap();
        assert_eq!(ours[2..], question[2..]);
        let mut answer = ours.clone();
        assert!(restored(&answer, id, question).is_none(), "a question is no answer");
        answer[2] |= 0x80;
        answer[13] = b'W';
        answer.extend(b"more");
        let taken = restored(&answer, id, question).unwrap();
        assert_eq!((&taken[..2], &taken[2..]), (&question[..2], &answer[2..]));
        assert!(restored(&answer, [id[0], id[1] ^ 1], question).is_none());
        answer[14] = b'x';
        assert!(restored(&answer, id, question).is_none(), "another name");
        assert!(restored(b"", id, question).is_none());
        for end in 0..question.len() {
            assert!(asked(&question[..end]).is_none());
        }
    }
}
