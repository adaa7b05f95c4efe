//! Capabilities as docker grants them: fourteen by default, `--cap-add` and `--cap-drop` over them, all that
//! the machine has for `--privileged`. A set is a bit mask, as in `/proc/PID/status`.

use std::str::FromStr;

use oci_spec::runtime::{Capabilities, Capability, LinuxCapabilities, LinuxCapabilitiesBuilder};

use super::built;
use super::request::Security;
use crate::{Error, Result};

/// Every capability's name without `CAP_`, at the index of its bit.
pub const NAMES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// docker's fourteen: CHOWN, DAC_OVERRIDE, FSETID, FOWNER, MKNOD, NET_RAW, SETGID, SETUID, SETFCAP, SETPCAP,
/// NET_BIND_SERVICE, SYS_CHROOT, KILL and AUDIT_WRITE.
pub const DEFAULT: u64 = 0xa804_25fb;

/// Every capability that this crate knows.
pub const KNOWN: u64 = (1 << NAMES.len()) - 1;

/// The set that a container gets. `available` is what the machine can give (the bounding set). Fails, in
/// docker's words, for a name that nobody knows or that the machine cannot give.
pub fn granted(security: &Security, available: u64) -> Result<u64> {
    let all = available & KNOWN;
    let add = Wish::parse(&security.cap_add, all).map_err(|error| error.context("invalid CapAdd"))?;
    let drop = Wish::parse(&security.cap_drop, all).map_err(|error| error.context("invalid CapDrop"))?;
    Ok(if security.privileged {
        all
    } else if add.all {
        all & !drop.named
    } else if drop.all {
        add.named
    } else {
        // Where the machine itself lacks one of the defaults, the runtime could only fail.
        (DEFAULT & !drop.named & all) | add.named
    })
}

/// The set's form in a runtime specification: bounding, effective and permitted; nothing is inheritable,
/// because a file with inheritable capabilities would otherwise hand them to any user.
pub fn in_spec(set: u64) -> Result<LinuxCapabilities> {
    let names: Capabilities = NAMES
        .iter()
        .enumerate()
        .filter(|(bit, _)| set & (1 << bit) != 0)
        .filter_map(|(_, name)| Capability::from_str(name).ok())
        .collect();
    built(
        LinuxCapabilitiesBuilder::default()
            .bounding(names.clone())
            .effective(names.clone())
            .permitted(names)
            .inheritable(Capabilities::new())
            .ambient(Capabilities::new())
            .build(),
    )
}

/// The bit of a name, with or without `CAP_`, in either case.
pub fn bit(name: &str) -> Option<u64> {
    let name = name.to_ascii_uppercase();
    let name = name.strip_prefix("CAP_").unwrap_or(&name);
    NAMES.iter().position(|known| *known == name).map(|index| 1 << index)
}

/// What one of the two flags asks for.
struct Wish {
    all: bool,
    named: u64,
}

impl Wish {
    fn parse(names: &[String], available: u64) -> Result<Self> {
        let mut wish = Self { all: false, named: 0 };
        for name in names {
            let upper = name.to_ascii_uppercase();
            if upper == "ALL" {
                wish.all = true;
                continue;
            }
            let shown = if upper.starts_with("CAP_") { upper.clone() } else { format!("CAP_{upper}") };
            match bit(&upper) {
                None => {
                    return Err(Error::usage(format!("unknown capability: {shown:?}"))
                        .hint("the names are in capabilities(7), with or without CAP_"));
                }
                Some(bit) if available & bit == 0 => {
                    return Err(Error::failed(format!(
                        "capability not supported by your kernel or not available in the current environment: {shown:?}"
                    )));
                }
                Some(bit) => wish.named |= bit,
            }
        }
        Ok(wish)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(set: u64) -> Vec<&'static str> {
        (0..NAMES.len()).filter(|bit| set & (1 << bit) != 0).map(|bit| NAMES[bit]).collect()
    }

    fn of(add: &[&str], drop: &[&str]) -> Result<u64> {
        let texts = |list: &[&str]| list.iter().map(|text| text.to_string()).collect();
        granted(&Security { cap_add: texts(add), cap_drop: texts(drop), ..Security::default() }, KNOWN)
    }

    #[test]
    fn the_default_is_dockers() {
        let mut expected = [
            "CHOWN",
            "DAC_OVERRIDE",
            "FSETID",
            "FOWNER",
            "MKNOD",
            "NET_RAW",
            "SETGID",
            "SETUID",
            "SETFCAP",
            "SETPCAP",
            "NET_BIND_SERVICE",
            "SYS_CHROOT",
            "KILL",
            "AUDIT_WRITE",
        ];
        let mut found = names(DEFAULT);
        expected.sort_unstable();
        found.sort_unstable();
        assert_eq!(found, expected);
    }

    #[test]
    fn adding_and_dropping() {
        let net_admin = bit("NET_ADMIN").unwrap();
        let kill = bit("kill").unwrap();
        for (add, drop, expected) in [
            (&[][..], &[][..], DEFAULT),
            (&["NET_ADMIN"], &[], DEFAULT | net_admin),
            (&["cap_net_admin"], &["Kill"], (DEFAULT | net_admin) & !kill),
            (&["ALL"], &[], KNOWN),
            (&["all"], &["KILL"], KNOWN & !kill),
            (&[], &["ALL"], 0),
            (&["KILL"], &["ALL"], kill),
            (&["KILL"], &["KILL"], DEFAULT),
            (&["ALL"], &["ALL"], KNOWN),
        ] {
            assert_eq!(names(of(add, drop).unwrap()), names(expected), "+{add:?} -{drop:?}");
        }
    }

    #[test]
    fn unknown_and_unavailable_names_are_refused() {
        assert_eq!(
            of(&["NOPE"], &[]).unwrap_err().message,
            "invalid CapAdd: unknown capability: \"CAP_NOPE\""
        );
        assert_eq!(of(&[], &["CAP_"]).unwrap_err().message, "invalid CapDrop: unknown capability: \"CAP_\"");
        let bpf = Security { cap_add: vec!["BPF".into()], ..Security::default() };
        let message = granted(&bpf, DEFAULT).unwrap_err().message;
        assert!(message.contains("not supported by your kernel"), "{message}");
    }

    #[test]
    fn privileged_gets_what_the_machine_has() {
        let privileged = Security { privileged: true, ..Security::default() };
        assert_eq!(granted(&privileged, u64::MAX).unwrap(), KNOWN);
        assert_eq!(granted(&privileged, DEFAULT).unwrap(), DEFAULT);
        assert_eq!(granted(&Security::default(), 1).unwrap(), 1);
    }

    #[test]
    fn every_name_has_its_form_in_the_specification() {
        let spec = in_spec(KNOWN).unwrap();
        assert_eq!(spec.bounding().as_ref().unwrap().len(), NAMES.len());
        assert!(spec.inheritable().as_ref().unwrap().is_empty());
    }
}
