//! `--dns`, `--dns-search`, `--add-host`, `--ip`, `--mac-address`.

use std::net::IpAddr;

use super::Parsed;

/// An address of either family.
pub fn any(text: &str) -> Parsed<IpAddr> {
    text.trim().parse().map_err(|_| format!("failed to parse IP: {text:?}"))
}

/// The word that stands for the host's address in `--add-host`.
pub const HOST_GATEWAY: &str = "host-gateway";

/// A DNS server's address.
pub fn dns(text: &str) -> Parsed<IpAddr> {
    text.trim().parse().map_err(|_| format!("IP address is not correctly formatted: {text}"))
}

/// A search domain, or `.` for none.
pub fn dns_search(text: &str) -> Parsed<String> {
    let domain = text.trim_matches(' ');
    if domain == "." {
        return Ok(domain.to_owned());
    }
    let bare = domain.strip_suffix('.').unwrap_or(domain);
    let label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let letters = bare.bytes().any(|byte| byte.is_ascii_alphabetic());
    if letters && bare.len() < 255 && bare.split('.').all(label) {
        return Ok(bare.to_owned());
    }
    Err(format!("{text} is not a valid domain"))
}

/// `name:address` or `name=address`, the address also in brackets, or the word `host-gateway`.
pub fn extra_host(text: &str) -> Parsed<(String, String)> {
    let parts = text.split_once('=').or_else(|| text.split_once(':'));
    let (name, address) = match parts {
        Some((name, address)) if !name.is_empty() && !name.contains([':', ' ', '\t', '\n']) => {
            (name, address)
        }
        _ => return Err(format!("bad format for add-host: {text:?}")),
    };
    if address == HOST_GATEWAY {
        return Ok((name.to_owned(), address.to_owned()));
    }
    let bare = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(address);
    if bare.parse::<IpAddr>().is_err() {
        return Err(format!("invalid IP address in add-host: {bare:?}"));
    }
    Ok((name.to_owned(), bare.to_owned()))
}

/// `--ip` or `ip=`: an IPv4 address.
pub fn ipv4(text: &str) -> Parsed<IpAddr> {
    match text.trim().parse::<IpAddr>() {
        Ok(address @ IpAddr::V4(_)) => Ok(address),
        Ok(_) => Err(format!("invalid IPv4 address: {text}")),
        Err(_) => Err(format!("failed to parse IP: {text:?}")),
    }
}

/// `--ip6` or `ip6=`: an IPv6 address.
pub fn ipv6(text: &str) -> Parsed<IpAddr> {
    match text.trim().parse::<IpAddr>() {
        Ok(address @ IpAddr::V6(_)) => Ok(address),
        Ok(_) => Err(format!("invalid IPv6 address: {text}")),
        Err(_) => Err(format!("failed to parse IP: {text:?}")),
    }
}

/// Six bytes as `92:d0:c6:0a:29:33`, `92-d0-…` or `92d0.c60a.2933`, given back in the first form.
pub fn mac(text: &str) -> Parsed<String> {
    let wrong = || format!("{text} is not a valid mac address");
    let text = text.trim();
    let (separator, width) = match text {
        _ if text.contains('.') => ('.', 4),
        _ if text.contains('-') => ('-', 2),
        _ => (':', 2),
    };
    let groups: Vec<&str> = text.split(separator).collect();
    let whole = groups.len() * width == 12
        && groups
            .iter()
            .all(|group| group.len() == width && group.bytes().all(|byte| byte.is_ascii_hexdigit()));
    if !whole {
        return Err(wrong());
    }
    let digits = groups.concat().to_ascii_lowercase();
    let bytes: Vec<&str> = (0..6).filter_map(|index| digits.get(2 * index..2 * index + 2)).collect();
    Ok(bytes.join(":"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extra_hosts() {
        for (text, name, address) in [
            ("myhost:192.168.0.1", "myhost", "192.168.0.1"),
            ("myhost=192.168.0.1", "myhost", "192.168.0.1"),
            ("thathost:10.0.2.1", "thathost", "10.0.2.1"),
            ("anipv6host:2003:ab34:e::1", "anipv6host", "2003:ab34:e::1"),
            ("anipv6host:[2003:ab34:e::1]", "anipv6host", "2003:ab34:e::1"),
            ("anipv6host=[2003:ab34:e::1]", "anipv6host", "2003:ab34:e::1"),
            ("ipv6local:::1", "ipv6local", "::1"),
            ("host.docker.internal:host-gateway", "host.docker.internal", "host-gateway"),
        ] {
            assert_eq!(extra_host(text), Ok((name.into(), address.into())), "{text}");
        }
        for (text, want) in [
            ("myhost=192.notanipaddress.1", r#"invalid IP address in add-host: "192.notanipaddress.1""#),
            ("thathost-nosemicolon10.0.0.1", r#"bad format for add-host: "thathost-nosemicolon10.0.0.1""#),
            ("anipv6host:::::1", r#"invalid IP address in add-host: "::::1""#),
            ("ipv6local:::0::", r#"invalid IP address in add-host: "::0::""#),
            (":1.2.3.4", r#"bad format for add-host: ":1.2.3.4""#),
            ("a:b=1.2.3.4", r#"bad format for add-host: "a:b=1.2.3.4""#),
            ("host:", r#"invalid IP address in add-host: """#),
        ] {
            assert_eq!(extra_host(text).unwrap_err(), want, "{text}");
        }
    }

    #[test]
    fn domains() {
        for (text, want) in [(".", "."), ("example.com", "example.com"), (" a-b.c. ", "a-b.c")] {
            assert_eq!(dns_search(text).unwrap(), want, "{text}");
        }
        for text in ["", "1.2", "-a", "a-", "a..b", "a b", "a_b"] {
            assert_eq!(dns_search(text).unwrap_err(), format!("{text} is not a valid domain"));
        }
    }

    #[test]
    fn addresses() {
        assert_eq!(dns("8.8.8.8"), Ok([8, 8, 8, 8].into()));
        assert_eq!(dns("x").unwrap_err(), "IP address is not correctly formatted: x");
        assert_eq!(ipv4("::1").unwrap_err(), "invalid IPv4 address: ::1");
        assert_eq!(ipv4("1.2.3").unwrap_err(), r#"failed to parse IP: "1.2.3""#);
        assert_eq!(ipv6("1.2.3.4").unwrap_err(), "invalid IPv6 address: 1.2.3.4");
        assert!(ipv6("fd00::2").is_ok());
        for text in ["92:d0:c6:0a:29:33", "92-D0-C6-0A-29-33", "92d0.c60a.2933"] {
            assert_eq!(mac(text).unwrap(), "92:d0:c6:0a:29:33");
        }
        for text in ["", "92:d0:c6:0a:29", "92:d0:c6:0a:29:3g", "92d0c60a2933", "9:d0:c6:0a:29:333"] {
            assert_eq!(mac(text).unwrap_err(), format!("{text} is not a valid mac address"));
        }
    }
}
