//! `--tmpfs target[:options]`.

use super::{Parsed, path, volume};
use crate::oci::request::{MountKind, MountRequest};

/// Options without a value that the kernel or the runtime takes for a tmpfs.
const FLAGS: [&str; 24] = [
    "defaults",
    "suid",
    "nosuid",
    "dev",
    "nodev",
    "exec",
    "noexec",
    "sync",
    "async",
    "dirsync",
    "mand",
    "nomand",
    "atime",
    "noatime",
    "diratime",
    "nodiratime",
    "relatime",
    "norelatime",
    "strictatime",
    "nostrictatime",
    "shared",
    "slave",
    "private",
    "unbindable",
];
/// Options with one.
const KEYS: [&str; 6] = ["nr_inodes", "nr_blocks", "mpol", "uid", "gid", "huge"];

/// The mount for one `--tmpfs`. A size in bytes and a mode are parsed; a size in percent and the rest stay text.
pub fn tmpfs(text: &str) -> Parsed<MountRequest> {
    let (target, options) = text.split_once(':').unwrap_or((text, ""));
    volume::check_target(target)?;
    let mut mount =
        MountRequest { kind: MountKind::Tmpfs, target: path::clean(target), ..MountRequest::default() };
    for option in options.split(',').filter(|option| !option.is_empty()) {
        match option.split_once('=') {
            None if option == "ro" => mount.read_only = true,
            None if option == "rw" => mount.read_only = false,
            None if FLAGS.contains(&option) => mount.tmpfs_options.push(option.to_owned()),
            Some(("size", value)) if !value.ends_with('%') => {
                mount.tmpfs_size = Some(kernel_size(value).ok_or_else(|| invalid(option))?);
            }
            Some(("mode", value)) => {
                mount.tmpfs_mode = Some(
                    u32::from_str_radix(value, 8)
                        .ok()
                        .filter(|mode| *mode <= 0o7777)
                        .ok_or_else(|| invalid(option))?,
                );
            }
            Some((key, value)) if !value.is_empty() && (KEYS.contains(&key) || key == "size") => {
                mount.tmpfs_options.push(option.to_owned());
            }
            _ => return Err(invalid(option)),
        }
    }
    Ok(mount)
}

/// A number with `k`, `m` or `g`, as the kernel reads `size=`.
fn kernel_size(text: &str) -> Option<u64> {
    let (digits, factor) = match text.char_indices().last()? {
        (end, 'k' | 'K') => (&text[..end], 1 << 10),
        (end, 'm' | 'M') => (&text[..end], 1 << 20),
        (end, 'g' | 'G') => (&text[..end], 1 << 30),
        _ => (text, 1u64),
    };
    digits.parse::<u64>().ok()?.checked_mul(factor)
}

fn invalid(option: &str) -> String {
    format!("invalid tmpfs option [{option:?}]")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts() {
        let mount = tmpfs("/run:rw,noexec,nosuid,size=65536k,mode=1777,uid=1").unwrap();
        assert_eq!(mount.target, "/run");
        assert_eq!(mount.kind, MountKind::Tmpfs);
        assert_eq!(mount.tmpfs_size, Some(65536 << 10));
        assert_eq!(mount.tmpfs_mode, Some(0o1777));
        assert_eq!(mount.tmpfs_options, ["noexec", "nosuid", "uid=1"]);
        assert!(!mount.read_only);
        assert!(tmpfs("/run:ro").unwrap().read_only);
        assert_eq!(tmpfs("/a/../run/").unwrap().target, "/run");
        assert_eq!(tmpfs("/run:size=50%").unwrap().tmpfs_options, ["size=50%"]);
        for (text, want) in [
            ("/run:nope", r#"invalid tmpfs option ["nope"]"#),
            ("/run:size=x", r#"invalid tmpfs option ["size=x"]"#),
            ("/run:size=é", r#"invalid tmpfs option ["size=é"]"#),
            ("/run:mode=9", r#"invalid tmpfs option ["mode=9"]"#),
            ("/run:uid=", r#"invalid tmpfs option ["uid="]"#),
            ("/run:size=99999999999999999999g", r#"invalid tmpfs option ["size=99999999999999999999g"]"#),
            ("run", "invalid mount path: 'run' mount path must be absolute"),
            ("/", "invalid specification: destination can't be '/'"),
        ] {
            assert_eq!(tmpfs(text).unwrap_err(), want, "{text}");
        }
    }
}
