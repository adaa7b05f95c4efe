//! `syslog`: a line a message, in one of docker's four forms.

use std::path::{Path, PathBuf};

use jiff::Zoned;
use serde::{Deserialize, Serialize};

use super::options::{Options, Place, boolean, place};
use super::remote::Message;
use super::{Stream, tls};
use crate::{Error, Result};

/// docker's default port.
const PORT: u16 = 514;
/// `err` and `info` of RFC 5424.
const ERROR: u8 = 3;
const INFORMATION: u8 = 6;
const FACILITIES: [&str; 20] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
    "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
];
/// Where this machine's own syslog listens.
const LOCAL: [&str; 3] = ["/dev/log", "/var/run/syslog", "/var/run/log"];

/// How a line looks.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Form {
    /// Its layout.
    pub layout: Layout,
    /// 0 to 23.
    pub facility: u8,
    /// The tag, filled in.
    pub tag: String,
    /// This machine's name.
    pub hostname: String,
}

/// docker's `syslog-format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// For the local socket: no host.
    Unix,
    /// RFC 3164.
    Rfc3164,
    /// RFC 5424, whole seconds.
    Rfc5424,
    /// RFC 5424, microseconds.
    Rfc5424Micro,
}

/// Checks the options in docker's words: where to send, facility and layout.
///
/// # Errors
/// An option that is not known or does not parse.
pub fn parse(options: &Options) -> Result<(Place, u8, Layout)> {
    super::options::known(
        "syslog",
        options,
        &[
            "env",
            "labels",
            "tag",
            "syslog-address",
            "syslog-facility",
            "syslog-format",
            "syslog-tls-ca-cert",
            "syslog-tls-cert",
            "syslog-tls-key",
            "syslog-tls-skip-verify",
        ],
    )?;
    let text = |name: &str| options.get(name).map(String::as_str).unwrap_or_default();
    Ok((address(text("syslog-address"))?, facility(text("syslog-facility"))?, layout(text("syslog-format"))?))
}

fn address(text: &str) -> Result<Place> {
    if text.is_empty() {
        return Ok(local());
    }
    let (scheme, rest) = text.split_once("://").unwrap_or_default();
    match scheme {
        "unix" | "unixgram" => {
            let path = Path::new(rest);
            if !path.exists() {
                return Err(Error::failed(format!("stat {rest}: no such file or directory")));
            }
            let path = path.to_path_buf();
            Ok(if scheme == "unix" { Place::Stream(path) } else { Place::Datagram(path) })
        }
        "udp" | "tcp" | "tcp+tls" => {
            let (host, port) = place(rest, PORT)?;
            Ok(match scheme {
                "udp" => Place::Udp(host, port),
                "tcp" => Place::Tcp(host, port),
                _ => Place::Tls(host, port),
            })
        }
        other => Err(Error::failed(format!("unsupported scheme: '{other}'"))),
    }
}

/// How the options want TLS with the server `name`. Without an address that asks for TLS they mean nothing, as docker's.
///
/// # Errors
/// A certificate without its key, or the other way round.
pub fn tls(options: &Options, name: String) -> Result<tls::Settings> {
    let file = |name: &str| options.get(name).filter(|path| !path.is_empty()).map(PathBuf::from);
    let identity = match (file("syslog-tls-cert"), file("syslog-tls-key")) {
        (None, None) => None,
        (Some(certificate), Some(key)) => Some((certificate, key)),
        _ => {
            return Err(Error::failed(
                "could not load X509 key pair: syslog-tls-cert and syslog-tls-key go together",
            ));
        }
    };
    // docker takes any value for a yes. One that says no is not made a yes here.
    let skip_verify = options.get("syslog-tls-skip-verify").is_some_and(|text| boolean(text) != Some(false));
    Ok(tls::Settings { name, authorities: file("syslog-tls-ca-cert"), identity, skip_verify })
}

/// This machine's syslog. Where none is found the usual place is tried again with every message.
fn local() -> Place {
    let found = LOCAL.iter().map(PathBuf::from).find(|path| path.exists());
    Place::Datagram(found.unwrap_or_else(|| PathBuf::from(LOCAL[0])))
}

fn facility(text: &str) -> Result<u8> {
    if text.is_empty() {
        return Ok(3);
    }
    let named = FACILITIES.iter().position(|name| *name == text).map(|index| match index {
        // Four numbers between ftp and local0 have no name.
        12.. => index + 4,
        _ => index,
    });
    let number = named.or_else(|| text.parse().ok()).and_then(|number| u8::try_from(number).ok());
    number.filter(|number| *number < 24).ok_or_else(|| Error::failed("invalid syslog facility"))
}

fn layout(text: &str) -> Result<Layout> {
    match text {
        "" => Ok(Layout::Unix),
        "rfc3164" => Ok(Layout::Rfc3164),
        "rfc5424" => Ok(Layout::Rfc5424),
        "rfc5424micro" => Ok(Layout::Rfc5424Micro),
        _ => Err(Error::failed("Invalid syslog format")),
    }
}

impl Form {
    /// One line; empty lines are left out, as docker does.
    pub(super) fn write(&self, message: &Message<'_>, out: &mut Vec<u8>) {
        if message.line.is_empty() {
            return;
        }
        let severity = if message.stream == Stream::Stderr { ERROR } else { INFORMATION };
        let priority = u32::from(self.facility) * 8 + u32::from(severity);
        let process = std::process::id();
        let Self { tag, hostname, .. } = self;
        // The server's zone is this machine's: docker sends local time too.
        let now = Zoned::now();
        let head = match self.layout {
            Layout::Unix => format!("<{priority}>{} {tag}[{process}]: ", now.strftime("%b %e %H:%M:%S")),
            Layout::Rfc3164 => {
                format!("<{priority}>{} {hostname} {tag}[{process}]: ", now.strftime("%b %e %H:%M:%S"))
            }
            Layout::Rfc5424 | Layout::Rfc5424Micro => {
                let micro = if self.layout == Layout::Rfc5424Micro { "%.6f" } else { "" };
                let zone = if now.offset().is_zero() { "Z" } else { "%:z" };
                let time = now.strftime(&format!("%Y-%m-%dT%H:%M:%S{micro}{zone}")).to_string();
                format!("<{priority}>1 {time} {hostname} {tag} {process} {tag} - ")
            }
        };
        out.extend_from_slice(head.as_bytes());
        out.extend_from_slice(message.line);
        out.push(b'\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::log::time::Stamp;

    fn options(pairs: &[(&str, &str)]) -> Options {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn options_by_table() {
        let udp = |port| Place::Udp("logs.example".into(), port);
        for (address, expected) in [
            ("udp://logs.example:1514", Ok(udp(1514))),
            ("udp://logs.example", Ok(udp(514))),
            ("tcp://[::1]:99", Ok(Place::Tcp("::1".into(), 99))),
            ("unixgram:///nowhere/log", Err("stat /nowhere/log: no such file or directory")),
            ("ftp://x", Err("unsupported scheme: 'ftp'")),
            ("localhost", Err("unsupported scheme: ''")),
            ("tcp+tls://x", Ok(Place::Tls("x".into(), 514))),
        ] {
            let got = parse(&options(&[("syslog-address", address)]));
            let got = got.map(|(place, ..)| place).map_err(|error| error.message);
            assert_eq!(got, expected.map_err(str::to_owned), "{address}");
        }
        for (facility, expected) in [
            ("", Some(3)),
            ("local0", Some(16)),
            ("local7", Some(23)),
            ("ftp", Some(11)),
            ("5", Some(5)),
            ("24", None),
            ("x", None),
        ] {
            let got = parse(&options(&[("syslog-facility", facility)])).ok().map(|(_, number, _)| number);
            assert_eq!(got, expected, "{facility:?}");
        }
        let wrong = parse(&options(&[("syslog-format", "rfc1")])).unwrap_err();
        assert_eq!(wrong.message, "Invalid syslog format");
        let unknown = parse(&options(&[("x", "1")])).unwrap_err();
        assert_eq!(unknown.message, "unknown log opt 'x' for syslog log driver");
    }

    #[test]
    fn tls_by_table() {
        let of = |pairs: &[(&str, &str)]| tls(&options(pairs), "logs.example".into());
        let plain = of(&[]).unwrap();
        assert_eq!((plain.name.as_str(), plain.authorities, plain.identity), ("logs.example", None, None));
        let files =
            of(&[("syslog-tls-ca-cert", "/ca"), ("syslog-tls-cert", "/cert"), ("syslog-tls-key", "/key")])
                .unwrap();
        assert_eq!(files.authorities, Some("/ca".into()));
        assert_eq!(files.identity, Some(("/cert".into(), "/key".into())));
        for (value, expected) in [("true", true), ("", true), ("yes", true), ("false", false), ("0", false)] {
            assert_eq!(of(&[("syslog-tls-skip-verify", value)]).unwrap().skip_verify, expected, "{value:?}");
        }
        assert!(of(&[("syslog-tls-cert", "/cert")]).is_err());
    }

    #[test]
    fn lines_have_dockers_forms() {
        let process = std::process::id();
        let time = Stamp::now();
        for (layout, start, end) in [
            (Layout::Unix, "<30>", format!(" web[{process}]: text\n")),
            (Layout::Rfc3164, "<30>", format!(" host web[{process}]: text\n")),
            (Layout::Rfc5424, "<30>1 20", format!(" host web {process} web - text\n")),
            (Layout::Rfc5424Micro, "<30>1 20", format!(" host web {process} web - text\n")),
        ] {
            let form = Form { layout, facility: 3, tag: "web".into(), hostname: "host".into() };
            let mut out = Vec::new();
            let message = Message { stream: Stream::Stdout, line: b"text", part: None, time: &time };
            form.write(&message, &mut out);
            let text = String::from_utf8(out).unwrap();
            assert!(text.starts_with(start) && text.ends_with(&end), "{text}");
            let micro =
                text.find('.').map(|dot| text[dot + 1..].chars().take_while(char::is_ascii_digit).count());
            assert_eq!(micro, (layout == Layout::Rfc5424Micro).then_some(6), "{text}");
            let mut out = Vec::new();
            form.write(&Message { stream: Stream::Stderr, ..message }, &mut out);
            assert!(out.starts_with(b"<27>"));
        }
    }
}
