//! Options of a tmpfs mount: docker's defaults, and the user's over them.

use crate::{Error, Result};

/// docker's options for a tmpfs that the user asked for.
pub const DEFAULT: [&str; 4] = ["noexec", "nosuid", "nodev", "rprivate"];

/// Flags that exclude one another; of each row the last one given counts.
const FLAGS: [&[&str]; 11] = [
    &["ro", "rw"],
    &["exec", "noexec"],
    &["suid", "nosuid"],
    &["dev", "nodev"],
    &["sync", "async"],
    &["dirsync"],
    &["atime", "noatime"],
    &["diratime", "nodiratime"],
    &["relatime", "norelatime"],
    &["strictatime", "nostrictatime"],
    &[
        "bind",
        "rbind",
        "unbindable",
        "runbindable",
        "private",
        "rprivate",
        "shared",
        "rshared",
        "slave",
        "rslave",
    ],
];
const KEYS: [&str; 7] = ["size", "mode", "uid", "gid", "nr_inodes", "nr_blocks", "mpol"];

/// `options` without those that a later one overrides, in order. Fails for one that tmpfs does not have.
pub fn merge(options: impl DoubleEndedIterator<Item = String>) -> Result<Vec<String>> {
    let mut taken: Vec<String> = Vec::new();
    let mut merged = Vec::new();
    for option in options.rev().filter(|option| !option.is_empty() && option != "defaults") {
        let group = match FLAGS.iter().find(|row| row.contains(&option.as_str())) {
            Some(row) => row[0].to_owned(),
            None => match option.split_once('=') {
                Some((key, _)) if KEYS.contains(&key) => format!("{key}="),
                _ => {
                    return Err(Error::usage(format!("Invalid tmpfs option {option:?}")).hint(
                        "tmpfs takes size=, mode=, uid=, gid=, nr_inodes= and flags such as exec or ro",
                    ));
                }
            },
        };
        if !taken.contains(&group) {
            taken.push(group);
            merged.push(option);
        }
    }
    merged.reverse();
    Ok(merged)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_options_win() {
        for (given, expected) in [
            ("", "noexec,nosuid,nodev,rprivate"),
            ("exec", "nosuid,nodev,rprivate,exec"),
            ("size=1,size=2k,ro", "noexec,nosuid,nodev,rprivate,size=2k,ro"),
            ("rw,ro,mode=1777,defaults,shared", "noexec,nosuid,nodev,ro,mode=1777,shared"),
        ] {
            let options = DEFAULT.into_iter().chain(given.split(',')).map(str::to_owned);
            let options: Vec<_> = options.collect();
            assert_eq!(merge(options.into_iter()).unwrap().join(","), expected, "{given}");
        }
        for faulty in ["x", "size", "lowerdir=/", "=1"] {
            let message = merge([faulty.to_owned()].into_iter()).unwrap_err().message;
            assert!(message.starts_with("Invalid tmpfs option"), "{message}");
        }
    }
}
