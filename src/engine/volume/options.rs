//! The options of docker's `local` driver: what is mounted in a volume's place while it is used.

use std::collections::BTreeMap;

use crate::error::{Error, Result};
use crate::output::units::parse_ram;
use crate::sys::local_mount::LocalMount;

const KNOWN: [&str; 4] = ["device", "o", "size", "type"];
/// What an option needs beside it.
const NEEDS: [(&str, &str); 4] = [("type", "device"), ("device", "type"), ("o", "device"), ("o", "type")];

/// Whether a volume can have these options.
///
/// # Errors
/// docker's words.
pub fn check_options(options: &BTreeMap<String, String>) -> Result<()> {
    if let Some(unknown) = options.keys().find(|key| !KNOWN.contains(&key.as_str())) {
        return Err(Error::failed(format!("invalid option: {unknown:?}"))
            .hint("the local driver's options are type, device and o, as mount(8) has them"));
    }
    let text = |key: &str| options.get(key).map(String::as_str).unwrap_or_default();
    if text("type") == "cifs" && has_port(text("device")) {
        return Err(Error::failed("port not allowed in CIFS device URL, include 'port' in 'o='"));
    }
    if let Some(size) = options.get("size") {
        let bytes = parse_ram(size).map_err(|_| Error::failed(format!("invalid size: '{size}'")))?;
        if bytes > 0 {
            return Err(Error::failed("quota size requested but no quota support")
                .hint("only memory has a limit here: -o type=tmpfs -o device=tmpfs -o o=size=100m"));
        }
    }
    match NEEDS.iter().find(|(key, needed)| options.contains_key(*key) && !options.contains_key(*needed)) {
        Some((key, needed)) => Err(Error::failed(format!("missing required option: {needed:?}"))
            .hint(format!("{key} needs type and device: -o type=nfs -o device=:/path -o o=addr=192.0.2.1"))),
        None => Ok(()),
    }
}

/// What the options say is mounted; None for a volume that is a directory of its own.
pub(super) fn local_mount(options: &BTreeMap<String, String>) -> Option<LocalMount> {
    let text = |key: &str| options.get(key).map(String::as_str).unwrap_or_default();
    let (kind, device) = (text("type"), text("device"));
    (!kind.is_empty() || !device.is_empty()).then(|| LocalMount::new(kind, device, text("o")))
}

/// `//host:port/share`
fn has_port(device: &str) -> bool {
    let host =
        device.trim_start_matches("cifs:").trim_start_matches('/').split('/').next().unwrap_or_default();
    host.rsplit_once(':')
        .is_some_and(|(_, port)| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn rules_are_dockers() {
        for (pairs, expected) in [
            (&[][..], Ok(())),
            (&[("type", "tmpfs"), ("device", "tmpfs")], Ok(())),
            (&[("type", "tmpfs"), ("device", "tmpfs"), ("o", "size=1m")], Ok(())),
            (&[("size", "0")], Ok(())),
            (&[("type", "tmpfs")], Err("missing required option: \"device\"")),
            (&[("device", "/x")], Err("missing required option: \"type\"")),
            (&[("o", "bind")], Err("missing required option: \"device\"")),
            (&[("colour", "red")], Err("invalid option: \"colour\"")),
            (&[("size", "1m")], Err("quota size requested but no quota support")),
            (&[("size", "much")], Err("invalid size: 'much'")),
            (
                &[("type", "cifs"), ("device", "//host:445/x")],
                Err("port not allowed in CIFS device URL, include 'port' in 'o='"),
            ),
            (&[("type", "cifs"), ("device", "//host/x")], Ok(())),
        ] {
            let outcome = check_options(&options(pairs)).map_err(|error| error.message);
            assert_eq!(outcome, expected.map_err(str::to_owned), "{pairs:?}");
        }
        assert!(local_mount(&options(&[("size", "0")])).is_none());
        assert!(local_mount(&options(&[("type", "tmpfs"), ("device", "tmpfs")])).is_some());
    }
}
