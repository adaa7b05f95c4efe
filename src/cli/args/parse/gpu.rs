//! `--gpus`, and `--device` where it names a device of the container device interface.

use super::{Parsed, csv};
use crate::oci::request::NamedDevices;

/// `all`, a number, or `device=0,driver=…,capabilities=…,options=…` with Go's quotes.
pub fn gpus(text: &str) -> Parsed<NamedDevices> {
    let mut request = NamedDevices::default();
    let mut seen: Vec<String> = Vec::new();
    for field in csv::fields(text)? {
        let (key, value) = match field.split_once('=') {
            Some((key, value)) => (key, Some(value)),
            None => (field.as_str(), None),
        };
        let name = if value.is_some() { key } else { "count" };
        if seen.iter().any(|known| known == name) {
            return Err(format!("gpu request key '{name}' can be specified only once"));
        }
        seen.push(name.to_owned());
        match (name, value) {
            ("count", value) => request.count = count(value.unwrap_or(key))?,
            ("driver", Some(value)) => request.driver = value.to_owned(),
            ("device", Some(value)) => request.ids = value.split(',').map(str::to_owned).collect(),
            ("capabilities", Some(value)) => {
                let mut set: Vec<String> = value.split(',').map(str::to_owned).collect();
                set.push("gpu".to_owned());
                request.capabilities = vec![set];
            }
            ("options", Some(value)) => {
                for pair in
                    csv::fields(value).map_err(|cause| format!("failed to read gpu options: {cause}"))?
                {
                    let (key, value) = pair.split_once('=').unwrap_or((&pair, ""));
                    request.options.insert(key.to_owned(), value.to_owned());
                }
            }
            _ => return Err(format!("unexpected key '{name}' in '{field}'")),
        }
    }
    if !seen.iter().any(|key| key == "count") && request.ids.is_empty() {
        request.count = 1;
    }
    if request.capabilities.is_empty() {
        request.capabilities = vec![vec!["gpu".into()]];
    }
    Ok(request)
}

fn count(text: &str) -> Parsed<i64> {
    match text {
        "all" => Ok(-1),
        text => text.parse().map_err(|_| {
            format!("invalid count ({text}): value must be either \"all\" or an integer: invalid syntax")
        }),
    }
}

/// `vendor.com/class=name`: not a path.
pub fn is_named_device(text: &str) -> bool {
    let Some((kind, name)) = text.split_once('=') else { return false };
    let Some((vendor, class)) = kind.split_once('/') else { return false };
    let word = |text: &str, more: &str| {
        let ends = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
        ends(text.as_bytes().first())
            && ends(text.as_bytes().last())
            && text.chars().all(|letter| letter.is_ascii_alphanumeric() || more.contains(letter))
    };
    word(vendor, "_-.") && word(class, "_-") && word(name, "_-.:")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gpu_requests() {
        let ids =
            |text: &str| gpus(text).map(|request| (request.count, request.ids.join("+"), request.driver));
        for (text, count, devices, driver) in [
            ("all", -1, "", ""),
            ("2", 2, "", ""),
            ("count=3", 3, "", ""),
            ("device=0", 0, "0", ""),
            ("\"device=0,GPU-1\"", 0, "0+GPU-1", ""),
            ("driver=nvidia", 1, "", "nvidia"),
            ("all,driver=nvidia", -1, "", "nvidia"),
        ] {
            assert_eq!(ids(text), Ok((count, devices.into(), driver.into())), "{text}");
        }
        let full = gpus("all,\"capabilities=compute,utility\",\"options=a=b,c\"").unwrap();
        assert_eq!(full.capabilities, [["compute", "utility", "gpu"]]);
        assert_eq!(full.options.len(), 2);
        for (text, message) in [
            ("x", "invalid count (x): value must be either \"all\" or an integer: invalid syntax"),
            ("driver=a,driver=b", "gpu request key 'driver' can be specified only once"),
            ("colour=red", "unexpected key 'colour' in 'colour=red'"),
        ] {
            assert_eq!(gpus(text).unwrap_err(), message);
        }
    }

    #[test]
    fn names_of_devices() {
        for (text, expected) in [
            ("nvidia.com/gpu=0", true),
            ("vendor.com/net-dev=a.b:c", true),
            ("/dev/snd", false),
            ("/dev/snd:/dev/x=y", false),
            ("nvidia.com/gpu", false),
            ("nvidia.com/gpu=", false),
            ("-x/gpu=0", false),
        ] {
            assert_eq!(is_named_device(text), expected, "{text}");
        }
    }
}
