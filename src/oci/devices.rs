//! Device nodes of a container, and which devices its control group lets it use.

use oci_spec::runtime::{
    LinuxDevice, LinuxDeviceBuilder, LinuxDeviceCgroup, LinuxDeviceCgroupBuilder, LinuxDeviceType as Kind,
};

use super::built;
use super::spec::SpecInput;
use crate::sys::host::Device;
use crate::{Error, Result};

/// A device of `--device`, looked up on the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantedDevice {
    /// The node as it is to appear in the container.
    pub device: Device,
    /// Some of `rwm`.
    pub permissions: String,
}

/// Character devices that every container may use, beside the ones that runtimes add themselves: zero, null,
/// urandom, random, tty and console.
const USABLE: [(i64, i64); 6] = [(1, 5), (1, 3), (1, 9), (1, 8), (5, 0), (5, 1)];
/// `/dev/fuse` is denied by name, as docker does.
const FUSE: (i64, i64) = (10, 229);

/// The nodes to make and the control group's rules.
pub fn devices(input: &SpecInput) -> Result<(Vec<LinuxDevice>, Vec<LinuxDeviceCgroup>)> {
    if input.request.security.privileged {
        // The host's devices have their own paths already: only renamed ones are added.
        let renamed = input
            .devices
            .iter()
            .map(|granted| &granted.device)
            .filter(|device| !input.host_devices.iter().any(|known| known.path == device.path));
        let nodes = input.host_devices.iter().chain(renamed).map(node).collect::<Result<_>>()?;
        return Ok((nodes, vec![rule(true, None, (None, None), "rwm")?]));
    }
    let mut nodes = Vec::new();
    let mut rules = vec![rule(false, None, (None, None), "rwm")?];
    for (major, minor) in USABLE {
        rules.push(rule(true, Some(Kind::C), (Some(major), Some(minor)), "rwm")?);
    }
    rules.push(rule(false, Some(Kind::C), (Some(FUSE.0), Some(FUSE.1)), "rwm")?);
    for granted in input.devices {
        let device = &granted.device;
        let numbers = (Some(i64::from(device.major)), Some(i64::from(device.minor)));
        check_permissions(&granted.permissions)?;
        nodes.push(node(device)?);
        rules.push(rule(true, Some(kind(device)), numbers, &granted.permissions)?);
    }
    for text in &input.request.resources.device_cgroup_rules {
        rules.push(parse_rule(text)?);
    }
    Ok((nodes, rules))
}

/// `c 13:* rwm`: kind, major and minor number or a star, permissions.
fn parse_rule(text: &str) -> Result<LinuxDeviceCgroup> {
    let invalid = || Error::usage(format!("invalid device cgroup rule format: '{text}'"));
    let mut parts = text.split(' ');
    let (Some(kind), Some(numbers), Some(access), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(invalid());
    };
    let (major, minor) = numbers.split_once(':').ok_or_else(invalid)?;
    let number = |text: &str, part: &str, most: i64| match text {
        "*" => Ok(-1),
        digits if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            digits.parse().ok().filter(|number| *number <= most).ok_or_else(|| {
                Error::usage(format!("invalid {part} value in device cgroup rule format: '{text}'"))
            })
        }
        _ => Err(invalid()),
    };
    let numbers = (Some(number(major, "major", 0xfff)?), Some(number(minor, "minor", 0xf_ffff)?));
    check_permissions(access).map_err(|_| invalid())?;
    let kind = match kind {
        "c" => Kind::C,
        "b" => Kind::B,
        "a" if numbers == (Some(-1), Some(-1)) && access == "rwm" => Kind::A,
        "a" => {
            return Err(Error::usage(format!(
                "although this cgroup rule is technically correct, because 'a' maps to 'a *:* rwm' regardless of what comes next, this format is partially ineffective: '{text}'"
            )));
        }
        _ => return Err(invalid()),
    };
    rule(true, Some(kind), numbers, access)
}

fn check_permissions(permissions: &str) -> Result<()> {
    let good = (1..=3).contains(&permissions.len())
        && permissions.chars().all(|letter| "rwm".contains(letter))
        && "rwm".chars().all(|letter| permissions.matches(letter).count() <= 1);
    if good { Ok(()) } else { Err(Error::usage(format!("invalid device mode: {permissions}"))) }
}

fn kind(device: &Device) -> Kind {
    if device.block { Kind::B } else { Kind::C }
}

fn node(device: &Device) -> Result<LinuxDevice> {
    built(
        LinuxDeviceBuilder::default()
            .path(&device.path)
            .typ(kind(device))
            .major(i64::from(device.major))
            .minor(i64::from(device.minor))
            .file_mode(device.mode)
            .uid(device.uid)
            .gid(device.gid)
            .build(),
    )
}

fn rule(
    allow: bool,
    kind: Option<Kind>,
    (major, minor): (Option<i64>, Option<i64>),
    access: &str,
) -> Result<LinuxDeviceCgroup> {
    let mut rule = built(LinuxDeviceCgroupBuilder::default().allow(allow).access(access).build())?;
    rule.set_typ(kind).set_major(major).set_minor(minor);
    Ok(rule)
}

#[cfg(test)]
mod tests {
    use super::super::spec::tests::Case;
    use super::*;

    fn device(path: &str, major: u32, minor: u32) -> Device {
        Device { path: path.into(), block: true, major, minor, mode: 0o660, uid: 0, gid: 6 }
    }

    #[test]
    fn the_default_rules_are_dockers() {
        let case = Case::new();
        let (nodes, rules) = devices(&case.input()).unwrap();
        assert!(nodes.is_empty());
        let shown: Vec<_> = rules.iter().map(|rule| (rule.allow(), rule.major(), rule.minor())).collect();
        assert_eq!(
            shown,
            [
                (false, None, None),
                (true, Some(1), Some(5)),
                (true, Some(1), Some(3)),
                (true, Some(1), Some(9)),
                (true, Some(1), Some(8)),
                (true, Some(5), Some(0)),
                (true, Some(5), Some(1)),
                (false, Some(10), Some(229)),
            ]
        );
    }

    #[test]
    fn granted_devices_and_rules() {
        let mut case = Case::new();
        case.devices = vec![GrantedDevice { device: device("/dev/x", 8, 1), permissions: "r".into() }];
        case.request.resources.device_cgroup_rules = vec!["c 13:* rw".into(), "a *:* rwm".into()];
        let (nodes, rules) = devices(&case.input()).unwrap();
        assert_eq!((nodes[0].major(), nodes[0].minor(), nodes[0].file_mode()), (8, 1, Some(0o660)));
        assert_eq!(rules[8].access().as_deref(), Some("r"));
        assert_eq!((rules[9].major(), rules[9].minor()), (Some(13), Some(-1)));
        assert_eq!(rules[10].typ(), Some(Kind::A));
    }

    #[test]
    fn privileged_has_all() {
        let mut case = Case::new();
        case.request.security.privileged = true;
        case.host_devices = vec![device("/dev/sda", 8, 0)];
        case.devices = vec![
            GrantedDevice { device: device("/dev/sda", 8, 0), permissions: "r".into() },
            GrantedDevice { device: device("/dev/other", 8, 0), permissions: "r".into() },
        ];
        let (nodes, rules) = devices(&case.input()).unwrap();
        assert_eq!(nodes.len(), 2);
        assert_eq!(rules.len(), 1);
        assert!(rules[0].allow());
    }

    #[test]
    fn faulty_rules_are_refused() {
        for (text, expected) in [
            ("", "invalid device cgroup rule format"),
            ("c", "invalid device cgroup rule format"),
            ("c 1:2", "invalid device cgroup rule format"),
            ("c 1:2 rwx", "invalid device cgroup rule format"),
            ("c 1:2 rr", "invalid device cgroup rule format"),
            ("d 1:2 r", "invalid device cgroup rule format"),
            ("c -1:2 r", "invalid device cgroup rule format"),
            ("c 1:2 r r", "invalid device cgroup rule format"),
            ("c 99999:2 r", "invalid major value"),
            ("c 1:99999999 r", "invalid minor value"),
            ("a 1:2 r", "partially ineffective"),
        ] {
            let message = parse_rule(text).unwrap_err().message;
            assert!(message.contains(expected), "{text}: {message}");
        }
    }
}
