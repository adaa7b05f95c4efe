//! `--network`: a name, or the long form `name=…,alias=…,ip=…`.

use std::net::IpAddr;

use super::{Parsed, address, csv};

/// One `--network` as written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attachment {
    /// A network's name, or `bridge`, `default`, `host`, `none`, `container:X`.
    pub target: String,
    /// Names in that network.
    pub aliases: Vec<String>,
    /// A fixed IPv4 address.
    pub ipv4: Option<IpAddr>,
    /// A fixed IPv6 address.
    pub ipv6: Option<IpAddr>,
    /// A fixed MAC address.
    pub mac: Option<String>,
}

impl Attachment {
    /// Whether the target is a network that a user made.
    pub fn is_user_defined(&self) -> bool {
        !matches!(self.target.as_str(), "bridge" | "default" | "host" | "none")
            && !self.target.starts_with("container:")
    }
}

/// One `--network`.
pub fn attachment(text: &str) -> Parsed<Attachment> {
    if !is_long_form(text) {
        return named(Attachment { target: text.to_owned(), ..Attachment::default() });
    }
    let mut attachment = Attachment::default();
    for field in csv::fields(text)? {
        let (key, value) = match field.split_once('=') {
            Some((key, value)) if !key.is_empty() => (key.trim().to_ascii_lowercase(), value.trim()),
            _ => return Err(format!("invalid field {field}")),
        };
        match key.as_str() {
            "name" => attachment.target = value.to_owned(),
            "alias" => attachment.aliases.push(value.to_owned()),
            "ip" => attachment.ipv4 = Some(address::ipv4(value)?),
            "ip6" => attachment.ipv6 = Some(address::ipv6(value)?),
            "mac-address" => attachment.mac = Some(address::mac(value)?),
            "driver-opt" | "link-local-ip" | "gw-priority" => {
                return Err(format!("{key} is not supported by wharfie's networks"));
            }
            _ => return Err(format!("invalid field key {key}")),
        }
    }
    if attachment.target.is_empty() {
        return Err("network name/id is not specified".into());
    }
    named(attachment)
}

fn named(attachment: Attachment) -> Parsed<Attachment> {
    match attachment.target.as_str() {
        target if target.trim().is_empty() => Err("no name set for network".into()),
        "container:" => Err("Invalid network mode: invalid container format container:<name|id>".into()),
        _ => Ok(attachment),
    }
}

/// docker takes a text for the long form when a word stands on each side of some `=`.
fn is_long_form(text: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    text.as_bytes().windows(3).any(|three| word(three[0]) && three[1] == b'=' && word(three[2]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attachments() {
        assert_eq!(attachment("docknet1").unwrap().target, "docknet1");
        assert_eq!(attachment("container:web").unwrap().target, "container:web");
        let long =
            attachment("name=docknet1,alias=web,alias=web2,ip=172.20.88.22,mac-address=02:32:1c:23:00:04,ip6=2001:db8::8822")
                .unwrap();
        assert_eq!(
            long,
            Attachment {
                target: "docknet1".into(),
                aliases: vec!["web".into(), "web2".into()],
                ipv4: Some([172, 20, 88, 22].into()),
                ipv6: Some("2001:db8::8822".parse().unwrap()),
                mac: Some("02:32:1c:23:00:04".into()),
            }
        );
        for (text, want) in [
            ("alias=web", "network name/id is not specified"),
            ("name=docknet1,alias", "invalid field alias"),
            ("invalidField=webdb", "invalid field key invalidfield"),
            ("name=docknet1,driver-opt=field1=value1", "driver-opt is not supported by wharfie's networks"),
            ("name=docknet1,ip=x", r#"failed to parse IP: "x""#),
            ("", "no name set for network"),
            ("container:", "Invalid network mode: invalid container format container:<name|id>"),
        ] {
            assert_eq!(attachment(text).unwrap_err(), want, "{text}");
        }
    }

    #[test]
    fn user_defined() {
        for (text, want) in [
            ("bridge", false),
            ("default", false),
            ("host", false),
            ("none", false),
            ("container:x", false),
            ("x", true),
        ] {
            assert_eq!(attachment(text).unwrap().is_user_defined(), want, "{text}");
        }
    }
}
