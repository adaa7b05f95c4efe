//! The streams of an attached or executed process: the address that CRI gives is a WebSocket, whose messages each
//! begin with a byte that names one of Kubernetes' channels. Chunks come out, input and sizes go in; nothing is printed.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::error::{Error as SocketError, ProtocolError};
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::{Bytes, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use super::{Client, api};
use crate::error::{Error, Kind, Result, reason};

/// How long the server may take to accept. It listens in containerd itself.
const ANSWER: Duration = Duration::from_secs(10);
/// The fourth version tells the exit code, the fifth can also end the input: containerd's servers know the one or both.
const PROTOCOLS: &str = "v5.channel.k8s.io, v4.channel.k8s.io";
const FIFTH: &str = "v5.channel.k8s.io";

const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const STATUS: u8 = 3;
const RESIZE: u8 = 4;
const CLOSE: u8 = 255;

/// What comes from a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// From standard output, or from the terminal.
    Out(Vec<u8>),
    /// From standard error.
    Err(Vec<u8>),
    /// The last word.
    End(End),
}

/// How a stream ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// The command of an exec ended with 0, or all output of an attached process has come.
    Success,
    /// The command of an exec ended with this code.
    Exit(u32),
    /// The server could not do what was asked, in its words.
    Failure(String),
}

/// The half that reads.
#[derive(Debug)]
pub struct Output(SplitStream<WebSocketStream<TcpStream>>);

/// The half that writes. Cloning is cheap. The connection lives until both halves are gone, or [`Input::close`].
#[derive(Debug, Clone)]
pub struct Input {
    socket: Arc<Mutex<SplitSink<WebSocketStream<TcpStream>, Message>>>,
    ends: bool,
}

/// Connect to the address that CRI's `Attach` or `Exec` gave. It serves once, and for a minute only.
///
/// # Errors
/// An address of another kind (streams over TLS), nobody there, a server that speaks otherwise or not in time. None
/// names the address's path: whoever knows it may use it.
pub async fn connect(url: &str) -> Result<(Output, Input)> {
    let host = host(url)?;
    let place = if port(host).is_some() { host.to_owned() } else { format!("{host}:80") };
    let failed = |cause: &str| {
        Error::new(Kind::Unavailable, format!("connect to containerd's streams at {place}: {cause}"))
    };
    let connected = async {
        let stream = TcpStream::connect(&place).await.map_err(|cause| failed(&reason(&cause)))?;
        // Keys are small and should not wait for one another.
        let _ = stream.set_nodelay(true);
        let address = url.replacen("http", "ws", 1);
        let mut request = address.into_client_request().map_err(|_| failed("its address cannot be read"))?;
        request.headers_mut().insert("Sec-WebSocket-Protocol", HeaderValue::from_static(PROTOCOLS));
        client_async(request, stream).await.map_err(|cause| failed(&told(&cause)))
    };
    let late = || failed("no answer in time");
    let (socket, answer) = tokio::time::timeout(ANSWER, connected).await.map_err(|_| late())??;
    let ends = answer.headers().get("Sec-WebSocket-Protocol").is_some_and(|protocol| protocol == FIFTH);
    let (sink, stream) = socket.split();
    Ok((Output(stream), Input { socket: Arc::new(Mutex::new(sink)), ends }))
}

/// Join a container that runs: its output, and its input where `input` asks for it. `tty` says whether it has a
/// terminal. The input has a connection of its own, so that it can end ([`Input::close`]) and the output go on, with
/// every version of the protocol.
///
/// Without `input` it is for containers that were made without one: containerd takes the channel that is not used
/// for an input that ends, and closes the container's.
///
/// # Errors
/// What CRI answered (a container that does not run, none of this id), and as [`connect`].
pub async fn attach(client: &Client, id: &str, input: bool, tty: bool) -> Result<(Output, Option<Input>)> {
    // A terminal has one stream.
    let output =
        api::AttachRequest { container_id: id.into(), tty, stdin: input, stdout: true, stderr: !tty };
    let silent = api::AttachRequest { stdout: false, stderr: false, ..output.clone() };
    let (output, _) = connect(&client.attach(output).await?.url).await?;
    if !input {
        return Ok((output, None));
    }
    let (mut answers, input) = connect(&client.attach(silent).await?.url).await?;
    // Nothing comes here but what keeps the connection alive.
    tokio::spawn(async move { while let Ok(Some(_)) = answers.next().await {} });
    Ok((output, Some(input)))
}

fn host(url: &str) -> Result<&str> {
    let rest = url.strip_prefix("http://").ok_or_else(|| {
        Error::failed("containerd serves streams over TLS, which wharfie does not speak to it").hint(
            "leave out enable_tls_streaming in containerd's configuration: the streams stay on this machine",
        )
    })?;
    Ok(rest.split('/').next().unwrap_or(rest))
}

fn port(host: &str) -> Option<u16> {
    host.rsplit_once(':').and_then(|(_, port)| port.parse().ok())
}

impl Output {
    /// The next piece; None when the connection is over. May be dropped and called again.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn next(&mut self) -> Result<Option<Piece>> {
        loop {
            let message = match self.0.next().await {
                Some(Ok(message)) => message,
                None | Some(Err(SocketError::ConnectionClosed | SocketError::AlreadyClosed)) => {
                    return Ok(None);
                }
                Some(Err(SocketError::Protocol(ProtocolError::ResetWithoutClosingHandshake))) => {
                    return Ok(None);
                }
                Some(Err(cause)) => {
                    let message = format!("read from containerd's streams: {}", told(&cause));
                    return Err(Error::new(Kind::Unavailable, message));
                }
            };
            if let Message::Binary(bytes) = message
                && let Some(piece) = piece(&bytes)
            {
                return Ok(Some(piece));
            }
        }
    }
}

/// None for what tells nothing: the empty message by which the server says that it is there.
fn piece(message: &[u8]) -> Option<Piece> {
    match message {
        [_] | [] => None,
        [STDOUT, bytes @ ..] => Some(Piece::Out(bytes.to_vec())),
        [STDERR, bytes @ ..] => Some(Piece::Err(bytes.to_vec())),
        [STATUS, json @ ..] => Some(Piece::End(end(json))),
        _ => None,
    }
}

/// Kubernetes' `Status`, as far as it is read here.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Status {
    status: String,
    message: String,
    reason: String,
    details: Details,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Details {
    causes: Vec<Cause>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Cause {
    reason: String,
    message: String,
}

fn end(json: &[u8]) -> End {
    let Ok(status) = serde_json::from_slice::<Status>(json) else {
        return End::Failure(String::from_utf8_lossy(json).into_owned());
    };
    if status.status == "Success" {
        return End::Success;
    }
    let code = status.details.causes.iter().find(|cause| cause.reason == "ExitCode");
    match code.and_then(|cause| cause.message.parse().ok()) {
        Some(code) if status.reason == "NonZeroExitCode" => End::Exit(code),
        _ => End::Failure(status.message),
    }
}

impl Input {
    /// Hand over input; returns when the socket has taken it.
    ///
    /// # Errors
    /// [`Kind::BrokenPipe`] when the other side is gone.
    pub async fn send(&self, bytes: &[u8]) -> Result<()> {
        self.write(STDIN, bytes).await
    }

    /// Set the terminal's size in characters. Without a terminal it means nothing.
    ///
    /// # Errors
    /// As [`Input::send`].
    pub async fn resize(&self, width: u16, height: u16) -> Result<()> {
        self.write(RESIZE, format!(r#"{{"Width":{width},"Height":{height}}}"#).as_bytes()).await
    }

    /// End the input and leave the output as it is. False where the server cannot: only the connection's end
    /// ends the input then.
    ///
    /// # Errors
    /// As [`Input::send`].
    pub async fn end(&self) -> Result<bool> {
        if self.ends {
            self.write(CLOSE, &[STDIN]).await?;
        }
        Ok(self.ends)
    }

    /// End the connection: input and output.
    ///
    /// # Errors
    /// As [`Input::send`].
    pub async fn close(&self) -> Result<()> {
        self.socket.lock().await.close().await.map_err(|cause| broken(&cause))
    }

    async fn write(&self, channel: u8, bytes: &[u8]) -> Result<()> {
        let message = Message::Binary(Bytes::from([&[channel], bytes].concat()));
        self.socket.lock().await.send(message).await.map_err(|cause| broken(&cause))
    }
}

fn broken(cause: &SocketError) -> Error {
    let kind = match cause {
        SocketError::ConnectionClosed
        | SocketError::AlreadyClosed
        | SocketError::Protocol(ProtocolError::SendAfterClosing) => Kind::BrokenPipe,
        SocketError::Io(cause)
            if matches!(cause.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) =>
        {
            Kind::BrokenPipe
        }
        _ => Kind::Failed,
    };
    Error::new(kind, format!("write to containerd's streams: {}", told(cause)))
}

fn told(cause: &SocketError) -> String {
    match cause {
        SocketError::Io(cause) => reason(cause),
        SocketError::Http(answer) => format!("it answered {}", answer.status()),
        cause => cause.to_string().to_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_by_table() {
        let exit =
            br#"{"metadata":{},"status":"Failure","message":"command terminated with non-zero exit code",
            "reason":"NonZeroExitCode","details":{"causes":[{"reason":"ExitCode","message":"3"}]}}"#;
        let failure =
            br#"{"metadata":{},"status":"Failure","message":"no such container","reason":"InternalError"}"#;
        for (channel, bytes, expected) in [
            (1, &b"out"[..], Some(Piece::Out(b"out".to_vec()))),
            (2, b"err", Some(Piece::Err(b"err".to_vec()))),
            (1, b"", None),
            (9, b"x", None),
            (3, br#"{"metadata":{},"status":"Success"}"#, Some(Piece::End(End::Success))),
            (3, exit, Some(Piece::End(End::Exit(3)))),
            (3, failure, Some(Piece::End(End::Failure("no such container".into())))),
            (3, b"not JSON", Some(Piece::End(End::Failure("not JSON".into())))),
        ] {
            assert_eq!(piece(&[&[channel], bytes].concat()), expected);
        }
        assert_eq!(piece(&[]), None);
    }

    #[test]
    fn addresses_by_table() {
        for (url, expected) in [
            ("http://127.0.0.1:4000/attach/token", Some(("127.0.0.1:4000", Some(4000)))),
            ("http://[::1]:4000/attach/token", Some(("[::1]:4000", Some(4000)))),
            ("http://node/exec/token", Some(("node", None))),
            ("https://127.0.0.1:4000/attach/token", None),
        ] {
            let got = host(url);
            assert_eq!(got.as_ref().ok().map(|host| (*host, port(host))), expected);
            assert!(got.is_ok() || !format!("{got:?}").contains("token"));
        }
    }
}
