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
    /// Further addresses of the link.
    pub link_local: Vec<IpAddr>,
    /// The interface's name.
    pub interface: Option<String>,
    /// `net.ipv4.conf.IFNAME.x=1`, one each.
    pub sysctls: Vec<String>,
    /// Which network has the default route.
    pub gateway_priority: i64,
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
            "link-local-ip" => attachment.link_local.push(address::any(value)?),
            "gw-priority" => {
                attachment.gateway_priority = value.parse().map_err(|_| {
                    format!("invalid gw-priority: strconv.Atoi: parsing {value:?}: invalid syntax")
                })?;
            }
            "driver-opt" => driver_option(value, &mut attachment)?,
            _ => return Err(format!("invalid field key {key}")),
        }
    }
    if attachment.target.is_empty() {
        return Err("network name/id is not specified".into());
    }
    named(attachment)
}

/// docker's options of an endpoint: the interface's name and its kernel settings.
pub fn driver_option(text: &str, attachment: &mut Attachment) -> Parsed<()> {
    const PREFIX: &str = "com.docker.network.endpoint.";
    let (key, value) = text
        .split_once('=')
        .ok_or_else(|| format!("invalid key value pair format in driver options: {text}"))?;
    match key.trim().to_ascii_lowercase().strip_prefix(PREFIX) {
        Some("ifname") => {
            let sound = |byte: u8| byte.is_ascii_graphic() && byte != b'/' && byte != b':';
            if value.is_empty() || value.len() > 15 || value == "lo" || !value.bytes().all(sound) {
                return Err(format!("invalid interface name {value:?}"));
            }
            attachment.interface = Some(value.to_owned());
        }
        Some("sysctls") => {
            for setting in value.split(',') {
                let (name, _) = setting.split_once('=').ok_or_else(|| {
                    format!("invalid sysctl {setting:?}: write it as net.X.Y.IFNAME.Z=VALUE")
                })?;
                let parts: Vec<&str> = name.split('.').collect();
                let sound = |part: &&str| {
                    !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
                };
                if parts.len() != 5 || parts[0] != "net" || parts[3] != "IFNAME" || !parts.iter().all(sound) {
                    return Err(format!("unrecognised network interface sysctl '{setting}'"));
                }
                attachment.sysctls.push(setting.to_owned());
            }
        }
        _ => {
            return Err(format!("driver-opt {key} is not supported: {PREFIX}ifname and {PREFIX}sysctls are"));
        }
    }
    Ok(())
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
                ..Attachment::default()
            }
        );
        for (text, want) in [
            ("alias=web", "network name/id is not specified"),
            ("name=docknet1,alias", "invalid field alias"),
            ("invalidField=webdb", "invalid field key invalidfield"),
            (
                "name=docknet1,driver-opt=field1=value1",
                "driver-opt field1 is not supported: com.docker.network.endpoint.ifname and \
                 com.docker.network.endpoint.sysctls are",
            ),
            (
                "name=n,driver-opt=com.docker.network.endpoint.sysctls=net.ipv4.ip_forward=1",
                "unrecognised network interface sysctl 'net.ipv4.ip_forward=1'",
            ),
            ("name=n,driver-opt=com.docker.network.endpoint.ifname=a/b", "invalid interface name \"a/b\""),
            ("name=n,gw-priority=x", "invalid gw-priority: strconv.Atoi: parsing \"x\": invalid syntax"),
            ("name=docknet1,ip=x", r#"failed to parse IP: "x""#),
            ("", "no name set for network"),
            ("container:", "Invalid network mode: invalid container format container:<name|id>"),
        ] {
            assert_eq!(attachment(text).unwrap_err(), want, "{text}");
        }
    }

    #[test]
    fn settings_of_an_endpoint() {
        let found = attachment(
            "\"name=n\",\"driver-opt=com.docker.network.endpoint.sysctls=net.ipv4.conf.IFNAME.log_martians=1,\
             net.ipv4.conf.IFNAME.forwarding=0\",driver-opt=com.docker.network.endpoint.ifname=net0,\
             link-local-ip=169.254.8.8,gw-priority=-2",
        )
        .unwrap();
        assert_eq!(found.sysctls.len(), 2);
        assert_eq!(found.interface.as_deref(), Some("net0"));
        assert_eq!(found.link_local, [IpAddr::from([169, 254, 8, 8])]);
        assert_eq!(found.gateway_priority, -2);
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
