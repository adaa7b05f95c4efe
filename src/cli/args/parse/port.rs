//! `-p` and `--expose`: ports and ranges of them, one result a container port.

use std::net::IpAddr;

use super::{Parsed, number};
use crate::oci::request::{PortRequest, Protocol};

/// `[[ip:][host]:]container[/protocol]`, ranges as `first-last`, an IPv6 address in brackets or bare; or the
/// long form `published=8080,target=80,protocol=udp`.
pub fn publish(text: &str) -> Parsed<Vec<PortRequest>> {
    if text.contains('=') {
        return publish_short(&short_form(text)?);
    }
    publish_short(text)
}

fn publish_short(text: &str) -> Parsed<Vec<PortRequest>> {
    let (rest, container) = text.rsplit_once(':').unwrap_or(("", text));
    let (ip, host) = rest.rsplit_once(':').unwrap_or(("", rest));
    let (container, protocol) = split_protocol(container);
    if container.is_empty() {
        return Err(format!("no port specified: {text}<empty>"));
    }
    let protocol = protocol_named(protocol)?;
    let host_ip = if ip.is_empty() { None } else { Some(host_ip(ip)?) };
    let (first, last) = range(container).map_err(|_| format!("invalid containerPort: {container}"))?;
    let mut any_of = None;
    let host_first = if host.is_empty() {
        None
    } else {
        let (host_first, host_last) = range(host).map_err(|_| format!("invalid hostPort: {host}"))?;
        if first == last {
            any_of = Some(host_last).filter(|_| host_last > host_first);
        } else if last - first != host_last - host_first {
            return Err(format!(
                "invalid ranges specified for container and host Ports: {container} and {host}"
            ));
        }
        Some(host_first)
    };
    Ok((first..=last)
        .map(|port| PortRequest {
            host_ip,
            // Port 0 asks for a free one, as an empty one does.
            host_port: host_first.map(|host_first| host_first + (port - first)).filter(|port| *port != 0),
            host_port_last: any_of,
            container_port: port,
            protocol,
        })
        .collect())
}

/// `80`, `80/udp`, `80-90/tcp`: each port as `80/tcp`.
pub fn expose(text: &str) -> Parsed<Vec<String>> {
    if text.contains(':') {
        return Err(format!("invalid port format for --expose: {text}"));
    }
    let (ports, protocol) = split_protocol(text);
    let (first, last) =
        range(ports).map_err(|cause| format!("invalid range format for --expose: {text}, error: {cause}"))?;
    let protocol = protocol_named(protocol)?.name();
    Ok((first..=last).map(|port| format!("{port}/{protocol}")).collect())
}

/// `name=value` pairs as the short form that they stand for.
fn short_form(text: &str) -> Parsed<String> {
    let (mut published, mut target, mut protocol) = ("", "", "tcp");
    for pair in text.split(',') {
        match pair.split_once('=') {
            Some(("published", value)) => published = value,
            Some(("target", value)) => target = value,
            Some(("protocol", value)) => protocol = value,
            Some(("mode", "host" | "ingress")) => {}
            Some((key, _)) => {
                return Err(format!(
                    "invalid publish opts: {key} is none of published, target, protocol and mode"
                ));
            }
            None => {
                return Err(format!("invalid publish opts format (should be name=value but got '{pair}')"));
            }
        }
    }
    Ok(format!("{published}:{target}/{protocol}"))
}

fn split_protocol(text: &str) -> (&str, &str) {
    match text.split_once('/') {
        Some((port, "")) => (port, "tcp"),
        Some((port, protocol)) => (port, protocol),
        None => (text, "tcp"),
    }
}

fn protocol_named(text: &str) -> Parsed<Protocol> {
    match text.to_ascii_lowercase().as_str() {
        "tcp" => Ok(Protocol::Tcp),
        "udp" => Ok(Protocol::Udp),
        "sctp" => Ok(Protocol::Sctp),
        other => Err(format!("invalid proto: {other}")),
    }
}

fn host_ip(text: &str) -> Parsed<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    bare.parse().map_err(|_| format!("invalid IP address: {bare}"))
}

fn range(text: &str) -> Parsed<(u16, u16)> {
    let Some((first, last)) = text.split_once('-') else {
        let port = number::port(text)?;
        return Ok((port, port));
    };
    let (first, last) = (number::port(first)?, number::port(last)?);
    if last < first {
        return Err(format!("invalid range specified for port: {text}"));
    }
    Ok((first, last))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `ip|host|container|protocol` of each, for short tables.
    fn shown(text: &str) -> Parsed<Vec<String>> {
        let ports = publish(text)?;
        let one = |port: &PortRequest| {
            let ip = port.host_ip.map(|ip| ip.to_string()).unwrap_or_default();
            let host = port.host_port.map(|port| port.to_string()).unwrap_or_default();
            format!("{ip}|{host}|{}|{}", port.container_port, port.protocol.name())
        };
        Ok(ports.iter().map(one).collect())
    }

    #[test]
    fn published() {
        for (text, want) in [
            ("80", vec!["||80|tcp"]),
            ("80/UDP", vec!["||80|udp"]),
            ("8080:80", vec!["|8080|80|tcp"]),
            (":80", vec!["||80|tcp"]),
            ("0:80", vec!["||80|tcp"]),
            ("127.0.0.1:8080:80", vec!["127.0.0.1|8080|80|tcp"]),
            ("127.0.0.1::80/sctp", vec!["127.0.0.1||80|sctp"]),
            ("[::1]:8080:80", vec!["::1|8080|80|tcp"]),
            ("::1:8080:80", vec!["::1|8080|80|tcp"]),
            ("[::]::80", vec!["::||80|tcp"]),
            ("1234-1235:3333-3334", vec!["|1234|3333|tcp", "|1235|3334|tcp"]),
            ("3333-3334/udp", vec!["||3333|udp", "||3334|udp"]),
            ("published=1500,target=200", vec!["|1500|200|tcp"]),
            ("published=80,target=201,protocol=udp", vec!["|80|201|udp"]),
            ("65535:65535", vec!["|65535|65535|tcp"]),
        ] {
            assert_eq!(shown(text).unwrap(), want, "{text}");
        }
        for (text, want) in [
            ("", "no port specified: <empty>"),
            ("8080:", "no port specified: 8080:<empty>"),
            ("localhost:8080:80", "invalid IP address: localhost"),
            ("80/foo", "invalid proto: foo"),
            ("a", "invalid containerPort: a"),
            ("a:80", "invalid hostPort: a"),
            ("80:70000", "invalid containerPort: 70000"),
            ("9-5", "invalid containerPort: 9-5"),
            ("80-82:80-85", "invalid ranges specified for container and host Ports: 80-85 and 80-82"),
            ("target=80,x", "invalid publish opts format (should be name=value but got 'x')"),
        ] {
            assert_eq!(publish(text).unwrap_err(), want, "{text}");
        }
        let any = &publish("8000-9000:80").unwrap()[0];
        assert_eq!((any.host_port, any.host_port_last, any.container_port), (Some(8000), Some(9000), 80));
    }

    #[test]
    fn exposed() {
        assert_eq!(expose("80").unwrap(), ["80/tcp"]);
        assert_eq!(expose("80-81/udp").unwrap(), ["80/udp", "81/udp"]);
        assert_eq!(expose(":").unwrap_err(), "invalid port format for --expose: :");
        assert_eq!(
            expose("x/tcp").unwrap_err(),
            "invalid range format for --expose: x/tcp, error: strconv.ParseUint: parsing \"x\": invalid syntax"
        );
        assert!(expose("9-8").unwrap_err().starts_with("invalid range format for --expose: 9-8, error: "));
        assert_eq!(expose("80/foo").unwrap_err(), "invalid proto: foo");
    }
}
