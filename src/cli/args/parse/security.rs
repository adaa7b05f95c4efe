//! `--security-opt`.

use super::{Parsed, number};

/// One option, its files not read yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecurityOption {
    /// `seccomp=unconfined`.
    SeccompUnconfined,
    /// `seccomp=builtin`: docker's default profile.
    SeccompDefault,
    /// `seccomp=FILE`.
    SeccompFile(String),
    /// `apparmor=PROFILE`.
    Apparmor(String),
    /// `no-new-privileges`, `no-new-privileges=true|false`.
    NoNewPrivileges(bool),
    /// `systempaths=unconfined`.
    SystemPathsUnconfined,
    /// `writable-cgroups`, `writable-cgroups=true|false`.
    WritableCgroups(bool),
    /// `label=…`: for SELinux, which decides nothing where it is not loaded.
    Label,
}

/// One `--security-opt`, with `=` or the older `:` between key and value.
pub fn option(text: &str) -> Parsed<SecurityOption> {
    let (key, value) = match text.split_once('=').or_else(|| text.split_once(':')) {
        Some((key, value)) => (key, value),
        None if text == "no-new-privileges" => return Ok(SecurityOption::NoNewPrivileges(true)),
        None if text == "writable-cgroups" => return Ok(SecurityOption::WritableCgroups(true)),
        None => return Err(format!("Invalid --security-opt: {text:?}")),
    };
    Ok(match (key, value) {
        ("seccomp", "unconfined") => SecurityOption::SeccompUnconfined,
        ("seccomp", "builtin") => SecurityOption::SeccompDefault,
        ("seccomp", file) if !file.is_empty() => SecurityOption::SeccompFile(file.to_owned()),
        ("apparmor", profile) => SecurityOption::Apparmor(profile.to_owned()),
        ("no-new-privileges", value) => SecurityOption::NoNewPrivileges(
            number::switch(value).map_err(|_| format!("Invalid --security-opt: {text:?}"))?,
        ),
        ("writable-cgroups", value) => SecurityOption::WritableCgroups(
            number::switch(value).map_err(|_| format!("Invalid --security-opt: {text:?}"))?,
        ),
        ("systempaths", "unconfined") => SecurityOption::SystemPathsUnconfined,
        ("label", _) => SecurityOption::Label,
        _ => return Err(format!("Invalid --security-opt: {text:?}")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options() {
        for (text, want) in [
            ("seccomp=unconfined", SecurityOption::SeccompUnconfined),
            ("seccomp:unconfined", SecurityOption::SeccompUnconfined),
            ("seccomp=builtin", SecurityOption::SeccompDefault),
            ("seccomp=/a:b.json", SecurityOption::SeccompFile("/a:b.json".into())),
            ("apparmor=docker-default", SecurityOption::Apparmor("docker-default".into())),
            ("apparmor:unconfined", SecurityOption::Apparmor("unconfined".into())),
            ("no-new-privileges", SecurityOption::NoNewPrivileges(true)),
            ("no-new-privileges:true", SecurityOption::NoNewPrivileges(true)),
            ("no-new-privileges=false", SecurityOption::NoNewPrivileges(false)),
            ("systempaths=unconfined", SecurityOption::SystemPathsUnconfined),
            ("label=disable", SecurityOption::Label),
            ("label:type:svirt_t", SecurityOption::Label),
        ] {
            assert_eq!(option(text), Ok(want), "{text}");
        }
        for text in ["", "nonsense", "foo=bar", "no-new-privileges=maybe", "systempaths=x", "seccomp="] {
            assert_eq!(option(text).unwrap_err(), format!("Invalid --security-opt: {text:?}"));
        }
    }
}
