//! `fluentd`: messages in the forward protocol, `[tag, time, record]` in MessagePack.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};

use super::link::Patience;
use super::options::{Options, Place, boolean, known, place, ram_size};
use super::remote::Message;
use crate::output::units::parse_duration;
use crate::{Error, Result};

/// docker's default port.
const PORT: u16 = 24224;
/// How long a receipt may take where nobody says: what fluentd's own forwarder waits. docker's driver waits for ever.
const RECEIPT: Duration = Duration::from_secs(190);

/// What every message of a container carries.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Form {
    /// The tag, filled in.
    pub tag: String,
    /// `container_id`, `container_name`, labels and variables.
    pub record: BTreeMap<String, String>,
    /// Times have nanoseconds.
    pub precise: bool,
    /// Leads the ids of lines that come in parts.
    pub id: String,
    /// Each message asks for a receipt.
    #[serde(default)]
    pub acknowledged: bool,
}

/// What the options say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where to.
    pub place: Place,
    /// The container starts whether or not the server is there.
    pub asynchronous: bool,
    /// Bytes that may wait; None the default.
    pub limit: Option<usize>,
    /// What becomes of a server that is away.
    pub patience: Patience,
    /// Times have nanoseconds.
    pub precise: bool,
}

/// Checks the options in docker's words.
///
/// # Errors
/// An option that is not known or does not parse.
pub fn parse(options: &Options) -> Result<Settings> {
    known(
        "fluentd",
        options,
        &[
            "env",
            "labels",
            "tag",
            "fluentd-address",
            "fluentd-async",
            "fluentd-async-reconnect-interval",
            "fluentd-buffer-limit",
            "fluentd-max-retries",
            "fluentd-retry-wait",
            "fluentd-sub-second-precision",
            "fluentd-write-timeout",
            "fluentd-read-timeout",
            "fluentd-request-ack",
        ],
    )?;
    let given = |name: &str| options.get(name).map(String::as_str).filter(|text| !text.is_empty());
    let wrong = |name: &str, text: &str| Error::failed(format!("invalid value for {name}: {text:?}"));
    let flag = |name: &str| match given(name) {
        None => Ok(false),
        Some(text) => boolean(text).ok_or_else(|| wrong(name, text)),
    };
    let time = |name: &str| match given(name) {
        None => Ok(None),
        Some(text) => match parse_duration(text).ok().and_then(|time| u64::try_from(time).ok()) {
            Some(nanoseconds) => Ok(Some(Duration::from_nanos(nanoseconds))),
            None => Err(wrong(name, text)),
        },
    };
    // No write is ever waited for, so this has nothing to bound.
    time("fluentd-write-timeout")?;
    let receipt = time("fluentd-read-timeout")?.filter(|time| !time.is_zero()).unwrap_or(RECEIPT);
    let receipt = flag("fluentd-request-ack")?.then_some(receipt);
    let interval = time("fluentd-async-reconnect-interval")?;
    if interval.is_some_and(|time| !(Duration::from_millis(100)..=Duration::from_secs(10)).contains(&time)) {
        return Err(Error::failed(format!(
            "invalid value for fluentd-async-reconnect-interval: value ({:?}) must be between 100ms and 10s",
            given("fluentd-async-reconnect-interval").unwrap_or_default()
        )));
    }
    let limit = match given("fluentd-buffer-limit") {
        None => None,
        Some(text) => Some(ram_size(text).ok_or_else(|| wrong("fluentd-buffer-limit", text))?),
    };
    let attempts = match given("fluentd-max-retries") {
        None => None,
        Some(text) => Some(text.parse().map_err(|_| wrong("fluentd-max-retries", text))?),
    };
    let pause = time("fluentd-retry-wait")?.unwrap_or(Patience::default().pause);
    Ok(Settings {
        place: address(given("fluentd-address").unwrap_or_default())?,
        asynchronous: flag("fluentd-async")?,
        limit,
        patience: Patience { pause, attempts, receipt, ..Patience::default() },
        precise: flag("fluentd-sub-second-precision")?,
    })
}

fn address(text: &str) -> Result<Place> {
    if text.is_empty() {
        return Ok(Place::Tcp("127.0.0.1".into(), PORT));
    }
    let invalid = |cause: &str| Error::failed(format!("invalid fluentd-address {text}: {cause}"));
    let (scheme, rest) = text.split_once("://").unwrap_or(("tcp", text));
    match scheme {
        "unix" if rest.trim_start_matches('/').is_empty() => Err(invalid("path is empty")),
        "unix" => Ok(Place::Stream(PathBuf::from(rest))),
        "tcp" | "tls" if rest.contains('/') => Err(invalid("should not contain a path element")),
        "tcp" | "tls" => {
            let (host, port) = place(rest, PORT).map_err(|error| invalid(&error.message))?;
            Ok(if scheme == "tls" { Place::Tls(host, port) } else { Place::Tcp(host, port) })
        }
        other => Err(invalid(&format!("unsupported scheme: '{other}'"))),
    }
}

impl Form {
    /// One message.
    pub(super) fn write(&self, message: &Message<'_>, out: &mut Vec<u8>) {
        out.push(if self.acknowledged { 0x94 } else { 0x93 });
        text(self.tag.as_bytes(), out);
        let (seconds, nanoseconds) = message.time.moment();
        // fluentd's own seconds have 32 bits too.
        let seconds = u32::try_from(seconds).unwrap_or(u32::MAX);
        if self.precise {
            out.extend_from_slice(&[0xd7, 0x00]);
            out.extend_from_slice(&seconds.to_be_bytes());
            out.extend_from_slice(&nanoseconds.to_be_bytes());
        } else {
            out.push(0xce);
            out.extend_from_slice(&seconds.to_be_bytes());
        }
        let parts = message.part.map(|part| {
            [
                ("partial_message", "true".to_owned()),
                ("partial_id", format!("{}-{}", self.id, part.of)),
                ("partial_ordinal", part.ordinal.to_string()),
                ("partial_last", part.last.to_string()),
            ]
        });
        let parts = parts.iter().flatten();
        let count = self.record.len() + 2 + parts.clone().count();
        out.push(0xde);
        out.extend_from_slice(&u16::try_from(count).unwrap_or(u16::MAX).to_be_bytes());
        let fields = self.record.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        for (key, value) in fields.chain(parts.map(|(key, value)| (*key, value.as_str()))) {
            text(key.as_bytes(), out);
            text(value.as_bytes(), out);
        }
        text(b"source", out);
        text(message.stream.name().as_bytes(), out);
        text(b"log", out);
        text(message.line, out);
        if self.acknowledged {
            out.push(0x81);
            text(b"chunk", out);
            // The last bytes of a message are its chunk's id: by them the link knows whose receipt has come.
            text(chunk().as_bytes(), out);
        }
    }
}

/// An id that no other message has.
fn chunk() -> String {
    let mut bytes = [0; 16];
    // Where the system has no randomness yet, two alike ids only mean that one receipt serves both.
    let _ = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::NONBLOCK);
    BASE64_STANDARD.encode(bytes)
}

/// What stands at the beginning of a server's answers.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Receipt<'a> {
    /// Nothing whole yet.
    Short,
    /// For the chunk with this id; how many bytes it took.
    Of(&'a [u8], usize),
    /// Something else.
    Wrong,
}

/// Reads one `{"ack": id}` in MessagePack.
pub(super) fn receipt(bytes: &[u8]) -> Receipt<'_> {
    const HEAD: &[u8] = b"\x81\xa3ack";
    let Some(rest) = bytes.strip_prefix(HEAD) else {
        return if HEAD.starts_with(bytes) { Receipt::Short } else { Receipt::Wrong };
    };
    let (head, length) = match *rest {
        [] | [0xd9] => return Receipt::Short,
        [short @ 0xa0..=0xbf, ..] => (1, usize::from(short & 0x1f)),
        [0xd9, length, ..] => (2, usize::from(length)),
        _ => return Receipt::Wrong,
    };
    match rest.get(head..head + length) {
        Some([]) => Receipt::Wrong,
        Some(id) => Receipt::Of(id, HEAD.len() + head + length),
        None => Receipt::Short,
    }
}

/// A string of MessagePack. No text here has 4 GiB.
fn text(bytes: &[u8], out: &mut Vec<u8>) {
    match bytes.len() {
        length @ 0..=31 => out.push(0xa0 | length as u8),
        length @ 32..=0xff => out.extend_from_slice(&[0xd9, length as u8]),
        length @ 0x100..=0xffff => {
            out.push(0xda);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            out.push(0xdb);
            out.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
        }
    }
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::log::Stream;
    use crate::monitor::log::time::Stamp;

    fn options(pairs: &[(&str, &str)]) -> Options {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn options_by_table() {
        let tcp = |host: &str, port| Place::Tcp(host.to_owned(), port);
        for (address, expected) in [
            ("", Ok(tcp("127.0.0.1", 24224))),
            ("fluent", Ok(tcp("fluent", 24224))),
            ("tcp://fluent:99", Ok(tcp("fluent", 99))),
            ("tls://fluent:99", Ok(Place::Tls("fluent".into(), 99))),
            (
                "tls://fluent/x",
                Err("invalid fluentd-address tls://fluent/x: should not contain a path element"),
            ),
            ("unix:///run/fluent.sock", Ok(Place::Stream("/run/fluent.sock".into()))),
            ("unix:///", Err("invalid fluentd-address unix:///: path is empty")),
            (
                "tcp://fluent/x",
                Err("invalid fluentd-address tcp://fluent/x: should not contain a path element"),
            ),
            ("udp://fluent", Err("invalid fluentd-address udp://fluent: unsupported scheme: 'udp'")),
        ] {
            let got = parse(&options(&[("fluentd-address", address)]));
            let got = got.map(|settings| settings.place).map_err(|error| error.message);
            assert_eq!(got, expected.map_err(str::to_owned), "{address}");
        }
        let settings = parse(&options(&[
            ("fluentd-async", "true"),
            ("fluentd-buffer-limit", "8KB"),
            ("fluentd-retry-wait", "500ms"),
            ("fluentd-max-retries", "3"),
        ]));
        let settings = settings.unwrap();
        assert_eq!((settings.asynchronous, settings.limit), (true, Some(8192)));
        assert_eq!(
            settings.patience,
            Patience { pause: Duration::from_millis(500), attempts: Some(3), ..Patience::default() }
        );
        for (read_timeout, expected) in [("", RECEIPT), ("0", RECEIPT), ("2s", Duration::from_secs(2))] {
            let options = options(&[("fluentd-request-ack", "true"), ("fluentd-read-timeout", read_timeout)]);
            assert_eq!(parse(&options).unwrap().patience.receipt, Some(expected), "{read_timeout:?}");
        }
        for (name, value, start) in [
            ("colour", "red", "unknown log opt 'colour' for fluentd log driver"),
            ("fluentd-async", "perhaps", "invalid value for fluentd-async"),
            ("fluentd-max-retries", "-1", "invalid value for fluentd-max-retries"),
            (
                "fluentd-async-reconnect-interval",
                "20s",
                "invalid value for fluentd-async-reconnect-interval: value (\"20s\")",
            ),
        ] {
            let message = parse(&options(&[(name, value)])).unwrap_err().message;
            assert!(message.starts_with(start), "{message}");
        }
    }

    #[test]
    fn messages_are_the_forward_protocols() {
        let record = BTreeMap::from([("container_id".to_owned(), "a".repeat(40))]);
        let mut form = Form { tag: "t".into(), record, precise: false, id: "a".into(), acknowledged: false };
        let time = Stamp::at(0x0102_0304, 5);
        let message = Message { stream: Stream::Stdout, line: b"x", part: None, time: &time };
        let mut out = Vec::new();
        form.write(&message, &mut out);
        let mut expected = b"\x93\xa1t\xce\x01\x02\x03\x04\xde\x00\x03\xaccontainer_id\xd9\x28".to_vec();
        expected.extend_from_slice("a".repeat(40).as_bytes());
        expected.extend_from_slice(b"\xa6source\xa6stdout\xa3log\xa1x");
        assert_eq!(out, expected);
        form.precise = true;
        out.clear();
        form.write(&message, &mut out);
        assert!(out.starts_with(b"\x93\xa1t\xd7\x00\x01\x02\x03\x04\x00\x00\x00\x05\xde"));
        form.acknowledged = true;
        let mut ids = std::collections::BTreeSet::new();
        for _ in 0..2 {
            out.clear();
            form.write(&message, &mut out);
            let option = &out[out.len() - 32..];
            assert!(out.starts_with(b"\x94\xa1t") && option.starts_with(b"\x81\xa5chunk\xb8"), "{option:?}");
            ids.insert(option[8..].to_vec());
        }
        assert_eq!(ids.len(), 2);
    }

    #[test]
    fn receipts_by_table() {
        for (bytes, expected) in [
            (&b""[..], Receipt::Short),
            (b"\x81\xa3a", Receipt::Short),
            (b"\x81\xa3ack", Receipt::Short),
            (b"\x81\xa3ack\xa2i", Receipt::Short),
            (b"\x81\xa3ack\xa2id", Receipt::Of(b"id", 8)),
            (b"\x81\xa3ack\xd9\x02id\x81", Receipt::Of(b"id", 9)),
            (b"\x81\xa3ack\xd9", Receipt::Short),
            (b"\x81\xa3ack\xa0", Receipt::Wrong),
            (b"\x81\xa3ack\xc0", Receipt::Wrong),
            (b"\x82", Receipt::Wrong),
            (b"HTTP", Receipt::Wrong),
        ] {
            assert_eq!(receipt(bytes), expected, "{bytes:?}");
        }
    }
}
