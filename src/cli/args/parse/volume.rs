//! `-v`: a bind mount, a named volume or an anonymous one.

use std::path::Path;

use super::{Parsed, name, path};
use crate::oci::request::{MountKind, MountRequest};

/// How mounts pass between the host and the container.
pub const PROPAGATIONS: [&str; 6] = ["private", "rprivate", "slave", "rslave", "shared", "rshared"];

/// `[source:]target[:options]`; a source that begins with a dot is taken below `directory`.
pub fn volume(text: &str, directory: &Path) -> Parsed<MountRequest> {
    if text.is_empty() {
        return Err("invalid empty volume spec".into());
    }
    let parts: Vec<&str> = text.split(':').collect();
    if text.len() > 2 && parts.contains(&"") {
        return Err(format!("invalid spec: {text}: empty section between colons"));
    }
    if parts.len() > 3 {
        return Err(format!("invalid spec: {text}: too many colons"));
    }
    let spec = || format!("invalid volume specification: '{text}'");
    let (source, target, mode) = match parts[..] {
        [target] => ("", target, ""),
        // A target and a mode: a volume without a source takes no mode.
        [_, mode] if Mode::parse(mode).is_some() => return Err(spec()),
        [source, target] => (source, target, ""),
        [source, target, mode] => (source, target, mode),
        _ => return Err(spec()),
    };
    let mode = Mode::parse(mode).ok_or_else(|| format!("invalid mode: {mode}"))?;
    let bind = source.starts_with(['/', '.']);
    let kind = if bind { "bind" } else { "volume" };
    let config = |cause: String| format!("{}: invalid mount config for type \"{kind}\": {cause}", spec());
    check_target(target).map_err(config)?;
    if bind && mode.no_copy {
        return Err(config("field VolumeOptions must not be specified".into()));
    }
    if !bind && mode.propagation.is_some() {
        return Err(config("field BindOptions must not be specified".into()));
    }
    let source = if bind { path::absolute(source, directory) } else { source.to_owned() };
    if !bind && !source.is_empty() {
        name::volume(&source)?;
    }
    Ok(MountRequest {
        kind: if bind { MountKind::Bind } else { MountKind::Volume },
        source,
        target: path::clean(target),
        read_only: mode.read_only,
        create_source: bind,
        propagation: mode.propagation,
        no_copy: mode.no_copy,
        selinux: mode.selinux,
        ..MountRequest::default()
    })
}

/// Whether `target` may be mounted on: absolute, and not the root.
pub fn check_target(target: &str) -> Parsed<()> {
    if target.is_empty() {
        return Err("field Target must not be empty".into());
    }
    if path::clean(target) == "/" {
        return Err("invalid specification: destination can't be '/'".into());
    }
    if !target.starts_with('/') {
        return Err(format!("invalid mount path: '{target}' mount path must be absolute"));
    }
    Ok(())
}

/// `--volumes-from container[:options]`: whether the options are ones that may be inherited.
pub fn check_volumes_from(text: &str) -> Parsed<()> {
    let (container, mode) = text.split_once(':').unwrap_or((text, ""));
    if container.is_empty() {
        return Err("volumes-from specification cannot be an empty string".into());
    }
    match Mode::parse(mode) {
        Some(parsed) if parsed.propagation.is_none() && !parsed.no_copy => Ok(()),
        _ => Err(format!("invalid mode: {mode}")),
    }
}

#[derive(Default)]
struct Mode {
    read_only: bool,
    propagation: Option<String>,
    selinux: Option<char>,
    no_copy: bool,
}

impl Mode {
    /// Comma-separated options, at most one of each kind; None where one is unknown or a kind comes twice.
    fn parse(text: &str) -> Option<Self> {
        let mut mode = Self::default();
        let mut seen = [0; 5];
        for option in text.split(',').filter(|_| !text.is_empty()) {
            let kind = match option {
                "ro" | "rw" => {
                    mode.read_only = option == "ro";
                    0
                }
                "z" | "Z" => {
                    mode.selinux = option.chars().next();
                    1
                }
                _ if PROPAGATIONS.contains(&option) => {
                    mode.propagation = Some(option.to_owned());
                    2
                }
                "nocopy" => {
                    mode.no_copy = true;
                    3
                }
                // Meant for Docker Desktop's shared files; on Linux every mount is consistent.
                "consistent" | "cached" | "delegated" => 4,
                _ => return None,
            };
            seen[kind] += 1;
        }
        seen.iter().all(|count| *count <= 1).then_some(mode)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Parsed<MountRequest> {
        volume(text, Path::new("/home/me"))
    }

    #[test]
    fn valid() {
        for (text, kind, source, target) in [
            ("/home", MountKind::Volume, "", "/home"),
            ("/x", MountKind::Volume, "", "/x"),
            ("/with space", MountKind::Volume, "", "/with space"),
            ("/home:/home", MountKind::Bind, "/home", "/home"),
            ("/home:/something/else/", MountKind::Bind, "/home", "/something/else"),
            ("/:/host", MountKind::Bind, "/", "/host"),
            ("relative:/absolute-path", MountKind::Volume, "relative", "/absolute-path"),
            ("./x:/x", MountKind::Bind, "/home/me/x", "/x"),
            (".:/x", MountKind::Bind, "/home/me", "/x"),
            ("../x:/x", MountKind::Bind, "/home/x", "/x"),
            ("/rw:/ro", MountKind::Bind, "/rw", "/ro"),
            ("data:/data:nocopy", MountKind::Volume, "data", "/data"),
        ] {
            let mount = parse(text).unwrap();
            assert_eq!(
                (mount.kind, mount.source.as_str(), mount.target.as_str()),
                (kind, source, target),
                "{text}"
            );
            assert_eq!(mount.create_source, kind == MountKind::Bind);
        }
        for option in PROPAGATIONS {
            let mount = parse(&format!("/a:/b:ro,Z,{option}")).unwrap();
            assert!(mount.read_only);
            assert_eq!(mount.selinux, Some('Z'));
            assert_eq!(mount.propagation.as_deref(), Some(option));
        }
        assert!(!parse("/a:/b:rw").unwrap().read_only);
        assert!(parse("data:/data:nocopy").unwrap().no_copy);
        assert!(parse("/a:/b:cached").is_ok());
    }

    #[test]
    fn invalid() {
        for (text, want) in [
            ("", "invalid empty volume spec"),
            ("./", "mount path must be absolute"),
            ("../", "mount path must be absolute"),
            ("/:../", "mount path must be absolute"),
            ("/:path", "mount path must be absolute"),
            (":", "invalid volume specification: ':'"),
            ("/tmp:", "invalid spec: /tmp:: empty section between colons"),
            (":test", "empty section between colons"),
            (":/test", "empty section between colons"),
            ("/tmp:::", "empty section between colons"),
            ("a:/b:ro:x", "invalid spec: a:/b:ro:x: too many colons"),
            ("/path:rw", "invalid volume specification: '/path:rw'"),
            ("/rw:rw", "invalid volume specification: '/rw:rw'"),
            ("path:ro", "invalid volume specification: 'path:ro'"),
            ("/path:shared", "invalid volume specification: '/path:shared'"),
            ("/path:/path:sw", "invalid mode: sw"),
            ("/path:/path:rwz", "invalid mode: rwz"),
            ("/path:/path:ro,rw", "invalid mode: ro,rw"),
            ("/path:/path:ro,", "invalid mode: ro,"),
            ("/path:/path:ro,rshared,rslave", "invalid mode: ro,rshared,rslave"),
            ("/path:/", "destination can't be '/'"),
            ("/", "destination can't be '/'"),
            ("/a:/..", "destination can't be '/'"),
            (
                "name:/absolute-path:shared",
                "invalid volume specification: 'name:/absolute-path:shared': invalid mount config for type \
                 \"volume\": field BindOptions must not be specified",
            ),
            (
                "/a:/b:nocopy",
                "invalid mount config for type \"bind\": field VolumeOptions must not be specified",
            ),
            ("a/b:/x", "create a/b: \"a/b\" includes invalid characters for a local volume name"),
            ("~/b:/x", "includes invalid characters for a local volume name"),
            ("a:/x", "volume name is too short"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(want), "{text}: {error}");
        }
    }

    #[test]
    fn volumes_from() {
        assert!(check_volumes_from("web").is_ok() && check_volumes_from("web:ro").is_ok());
        assert_eq!(check_volumes_from("web:nope").unwrap_err(), "invalid mode: nope");
        assert_eq!(check_volumes_from("web:rshared").unwrap_err(), "invalid mode: rshared");
        assert!(check_volumes_from(":ro").is_err() && check_volumes_from("").is_err());
    }
}
