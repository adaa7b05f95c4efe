//! `--device` and `--device-cgroup-rule`.

use super::{Parsed, path};
use crate::oci::request::DeviceRequest;

/// `host[:container[:rwm]]` or `host:rwm`.
pub fn device(text: &str) -> Parsed<DeviceRequest> {
    let parts: Vec<&str> = text.split(':').collect();
    let (host, container, mode) = match parts[..] {
        ["", ..] => return Err(format!("bad format for path: {text}")),
        [host] => (host, host, "rwm"),
        [host, mode] if is_mode(mode) => (host, host, mode),
        [host, container] => (host, container, "rwm"),
        [_, _, mode] if !is_mode(mode) => return Err(format!("bad mode specified: {mode}")),
        [host, container, mode] => (host, container, mode),
        _ => return Err(format!("bad format for path: {text}")),
    };
    if !container.starts_with('/') {
        return Err(format!("{container} is not an absolute path"));
    }
    // docker expands the star on the client's disk; here nothing is read, and a literal star never exists.
    if host.ends_with('*') {
        return Err(format!("{text}: a pattern is not supported: name each device, or the directory"));
    }
    Ok(DeviceRequest {
        host: path::clean(host),
        container: path::clean(container),
        permissions: mode.to_owned(),
    })
}

/// `type major:minor mode`: `c 13:* rwm`.
pub fn cgroup_rule(text: &str) -> Parsed<()> {
    let number =
        |text: &str| text == "*" || (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()));
    let parts: Vec<&str> = text.split(' ').collect();
    let valid = match parts[..] {
        ["a" | "b" | "c", numbers, mode] => {
            numbers.split_once(':').is_some_and(|(major, minor)| number(major) && number(minor))
                && (1..=3).contains(&mode.len())
                && mode.bytes().all(|byte| b"rwm".contains(&byte))
        }
        _ => false,
    };
    if valid { Ok(()) } else { Err(format!("invalid device cgroup format '{text}'")) }
}

/// Letters of `rwm`, each at most once.
fn is_mode(text: &str) -> bool {
    (1..=3).contains(&text.len())
        && text.bytes().all(|byte| b"rwm".contains(&byte))
        && text.bytes().enumerate().all(|(index, byte)| !text.as_bytes()[..index].contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices() {
        for (text, host, container, mode) in [
            ("/dev/snd", "/dev/snd", "/dev/snd", "rwm"),
            ("/dev/snd:rw", "/dev/snd", "/dev/snd", "rw"),
            ("/dev/snd:/something", "/dev/snd", "/something", "rwm"),
            ("/dev/snd:/something:rw", "/dev/snd", "/something", "rw"),
            ("/dev/fuse:/dev/../dev/fuse", "/dev/fuse", "/dev/fuse", "rwm"),
        ] {
            let want =
                DeviceRequest { host: host.into(), container: container.into(), permissions: mode.into() };
            assert_eq!(device(text), Ok(want), "{text}");
        }
        for (text, want) in [
            ("", "bad format for path: "),
            (":/dev/x", "bad format for path: :/dev/x"),
            ("/a:/b:rw:x", "bad format for path: /a:/b:rw:x"),
            ("/a:/b:rx", "bad mode specified: rx"),
            ("/a:/b:rr", "bad mode specified: rr"),
            ("/a:b", "b is not an absolute path"),
            ("a", "a is not an absolute path"),
        ] {
            assert_eq!(device(text).unwrap_err(), want, "{text}");
        }
        assert!(device("/dev/tty*").unwrap_err().contains("pattern"));
    }

    #[test]
    fn cgroup_rules() {
        for text in ["c 13:* rwm", "b 8:0 r", "a *:* rwm"] {
            assert_eq!(cgroup_rule(text), Ok(()), "{text}");
        }
        for text in ["", "d 1:1 r", "c 1 r", "c 1:1", "c 1:1 rwmx", "c 1:1 x", "c  1:1 r", "c x:1 r"] {
            assert_eq!(cgroup_rule(text).unwrap_err(), format!("invalid device cgroup format '{text}'"));
        }
    }
}
