//! `--ulimit`, `--blkio-weight-device`, `--device-read-bps` and its siblings.

use super::{Parsed, size};

const NAMES: [&str; 15] = [
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
];

/// `name=soft[:hard]`; -1 is unlimited, and the hard limit is the soft one where it is not given.
pub fn ulimit(text: &str) -> Parsed<(String, i64, i64)> {
    let (name, limits) = text.split_once('=').ok_or_else(|| format!("invalid ulimit argument: {text}"))?;
    if !NAMES.contains(&name) {
        return Err(format!("invalid ulimit type: {name}"));
    }
    let number = |text: &str| {
        text.parse::<i64>().map_err(|_| format!("strconv.ParseInt: parsing {text:?}: invalid syntax"))
    };
    let parts: Vec<&str> = limits.split(':').collect();
    let (soft, hard) = match parts[..] {
        [soft] => {
            let soft = number(soft)?;
            (soft, soft)
        }
        [soft, hard] => {
            let hard = number(hard)?;
            (number(soft)?, hard)
        }
        _ => {
            return Err(format!(
                "too many limit value arguments - {limits}, can only have up to two, `soft[:hard]`"
            ));
        }
    };
    if hard != -1 && soft == -1 {
        return Err(format!(
            "ulimit soft limit must be less than or equal to hard limit: soft: -1 (unlimited), hard: {hard}"
        ));
    }
    if hard != -1 && soft > hard {
        return Err(format!("ulimit soft limit must be less than or equal to hard limit: {soft} > {hard}"));
    }
    Ok((name.to_owned(), soft, hard))
}

/// `path:rate` with a unit: bytes a second.
pub fn bytes_per_second(text: &str) -> Parsed<(String, u64)> {
    let (path, rate) = device_and_value(text)?;
    let rate = size::ram_bytes(rate).ok().and_then(|rate| u64::try_from(rate).ok()).ok_or_else(|| {
        format!(
            "invalid rate for device: {text}. The correct format is <device-path>:<number>[<unit>]. Number must be \
             a positive integer. Unit is optional and can be kb, mb, or gb"
        )
    })?;
    Ok((path, rate))
}

/// `path:rate`: operations a second.
pub fn operations_per_second(text: &str) -> Parsed<(String, u64)> {
    let (path, rate) = device_and_value(text)?;
    let rate = rate.parse().map_err(|_| {
        format!(
            "invalid rate for device: {text}. The correct format is <device-path>:<number>. Number must be a \
             positive integer"
        )
    })?;
    Ok((path, rate))
}

/// `path:weight`, the weight 0 or 10 to 1000.
pub fn weight(text: &str) -> Parsed<(String, u16)> {
    let (path, weight) = device_and_value(text)?;
    match weight.parse::<u16>() {
        Ok(weight @ (0 | 10..=1000)) => Ok((path, weight)),
        _ => Err(format!("invalid weight for device: {text}")),
    }
}

fn device_and_value(text: &str) -> Parsed<(String, &str)> {
    match text.split_once(':') {
        None | Some(("", _)) => Err(format!("bad format: {text}")),
        Some((path, _)) if !path.starts_with("/dev/") => Err(format!("bad format for device path: {text}")),
        Some((path, value)) => Ok((path.to_owned(), value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ulimits() {
        for (text, want) in [
            ("nofile=512:1024", ("nofile".to_owned(), 512, 1024)),
            ("nofile=1024", ("nofile".to_owned(), 1024, 1024)),
            ("cpu=2:-1", ("cpu".to_owned(), 2, -1)),
            ("core=-1:-1", ("core".to_owned(), -1, -1)),
            ("core=-1", ("core".to_owned(), -1, -1)),
        ] {
            assert_eq!(ulimit(text), Ok(want), "{text}");
        }
        for (text, want) in [
            ("nofile", "invalid ulimit argument: nofile"),
            ("notarealtype=1024:1024", "invalid ulimit type: notarealtype"),
            ("nofile=asdf", r#"strconv.ParseInt: parsing "asdf": invalid syntax"#),
            (
                "nofile=1024:1024:1024",
                "too many limit value arguments - 1024:1024:1024, can only have up to two, `soft[:hard]`",
            ),
            ("nofile=1024:1", "ulimit soft limit must be less than or equal to hard limit: 1024 > 1"),
            (
                "nofile=-1:1024",
                "ulimit soft limit must be less than or equal to hard limit: soft: -1 (unlimited), hard: 1024",
            ),
        ] {
            assert_eq!(ulimit(text).unwrap_err(), want, "{text}");
        }
    }

    #[test]
    fn throttles() {
        assert_eq!(bytes_per_second("/dev/sda:1mb"), Ok(("/dev/sda".into(), 1 << 20)));
        assert_eq!(operations_per_second("/dev/sda:100"), Ok(("/dev/sda".into(), 100)));
        assert_eq!(weight("/dev/sda:500"), Ok(("/dev/sda".into(), 500)));
        assert_eq!(bytes_per_second("x").unwrap_err(), "bad format: x");
        assert_eq!(bytes_per_second(":1").unwrap_err(), "bad format: :1");
        assert_eq!(weight("sda:1").unwrap_err(), "bad format for device path: sda:1");
        assert_eq!(weight("/dev/sda:5").unwrap_err(), "invalid weight for device: /dev/sda:5");
        assert!(
            bytes_per_second("/dev/sda:x")
                .unwrap_err()
                .starts_with("invalid rate for device: /dev/sda:x. The")
        );
        assert!(operations_per_second("/dev/sda:1kb").unwrap_err().starts_with("invalid rate for device"));
    }
}
