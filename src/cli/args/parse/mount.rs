//! `--mount`: comma-separated `key=value` pairs.

use std::path::Path;

use super::{Parsed, csv, name, number, path, size, volume};
use crate::oci::request::{MountKind, MountRequest};

/// One `--mount`; a bind source that begins with a dot is taken below `directory`.
pub fn mount(text: &str, directory: &Path) -> Parsed<MountRequest> {
    let text = text.trim();
    if text.is_empty() {
        return Err("value is empty".into());
    }
    let mut draft = Draft { kind: "volume".into(), ..Draft::default() };
    for field in csv::fields(text)? {
        draft.set(&field, directory)?;
    }
    draft.finish()
}

/// The keys seen so far; which of them fit together is known only at the end.
#[derive(Default)]
struct Draft {
    kind: String,
    mount: MountRequest,
    volume_options: bool,
    bind_options: bool,
    tmpfs_options: bool,
    image_options: bool,
    bind_recursive: String,
}

impl Draft {
    fn set(&mut self, field: &str, directory: &Path) -> Parsed<()> {
        let (key, value) = match field.split_once('=') {
            Some((key, value)) => (key, Some(value)),
            None => (field, None),
        };
        if key.trim() != key {
            return Err(format!("invalid option '{key}' in '{field}': option should not have whitespace"));
        }
        let lower = key.to_ascii_lowercase();
        let Some(value) = value else {
            return match lower.as_str() {
                "readonly" | "ro" | "volume-nocopy" | "bind-nonrecursive" | "bind-create-src" => {
                    self.set_pair(&lower, "true", field)
                }
                _ => Err(format!("invalid field '{field}' must be a key=value pair")),
            };
        };
        if value.trim().is_empty() {
            return Err(format!("invalid value for '{key}': value is empty"));
        }
        if value.trim() != value {
            return Err(format!("invalid value for '{key}' in '{field}': value should not have whitespace"));
        }
        if matches!(lower.as_str(), "source" | "src")
            && (value.starts_with("./") || value.starts_with("../") || matches!(value, "." | ".."))
        {
            self.mount.source = path::absolute(value, directory);
            return Ok(());
        }
        self.set_pair(&lower, value, field)
    }

    fn set_pair(&mut self, key: &str, value: &str, field: &str) -> Parsed<()> {
        let invalid = || format!("invalid value for {key}: {value}");
        let switch = || number::switch(value).map_err(|_| invalid());
        self.volume_options |= key.starts_with("volume-");
        self.bind_options |= key.starts_with("bind-");
        self.tmpfs_options |= key.starts_with("tmpfs-");
        self.image_options |= key.starts_with("image-");
        let mount = &mut self.mount;
        match key {
            "type" => self.kind = value.to_ascii_lowercase(),
            "source" | "src" => mount.source = value.to_owned(),
            "target" | "dst" | "destination" => mount.target = value.to_owned(),
            "readonly" | "ro" => mount.read_only = switch()?,
            // Meant for Docker Desktop's shared files; on Linux every mount is consistent.
            "consistency" => {}
            "bind-propagation" => mount.propagation = Some(value.to_ascii_lowercase()),
            "bind-nonrecursive" => mount.non_recursive = switch()?,
            "bind-create-src" => mount.create_source = switch()?,
            "bind-recursive" => self.bind_recursive = value.to_owned(),
            "volume-nocopy" => mount.no_copy = switch()?,
            "volume-subpath" | "image-subpath" => mount.subpath = Some(value.to_owned()),
            "volume-label" => insert(&mut mount.volume_labels, value),
            "volume-driver" => mount.volume_driver = Some(value.to_owned()),
            "volume-opt" => insert(&mut mount.volume_options, value),
            "tmpfs-size" => {
                let bytes = size::ram_bytes(value).ok().and_then(|bytes| u64::try_from(bytes).ok());
                mount.tmpfs_size = Some(bytes.ok_or_else(invalid)?);
            }
            "tmpfs-mode" => mount.tmpfs_mode = Some(u32::from_str_radix(value, 8).map_err(|_| invalid())?),
            _ => return Err(format!("unknown option '{key}' in '{field}'")),
        }
        Ok(())
    }

    fn finish(mut self) -> Parsed<MountRequest> {
        let kind = std::mem::take(&mut self.kind);
        let kind = kind.as_str();
        for (used, options, owner) in [
            (self.volume_options, "volume", "volume"),
            (self.bind_options, "bind", "bind"),
            (self.tmpfs_options, "tmpfs", "tmpfs"),
            (self.image_options, "image", "image"),
        ] {
            if used && kind != owner {
                return Err(format!("cannot mix '{options}-*' options with mount type '{kind}'"));
            }
        }
        if self.mount.target.is_empty() {
            return Err("target is required".into());
        }
        self.mount.kind = match kind {
            "bind" => MountKind::Bind,
            "volume" => MountKind::Volume,
            "tmpfs" => MountKind::Tmpfs,
            "image" => MountKind::Image,
            _ => return Err(format!("invalid mount config for type \"{kind}\": mount type unknown")),
        };
        self.recursion()?;
        let config = |cause: String| format!("invalid mount config for type \"{kind}\": {cause}");
        check(&self.mount).map_err(config)?;
        if self.mount.kind == MountKind::Volume && !self.mount.source.is_empty() {
            name::volume(&self.mount.source)?;
        }
        if self.mount.kind == MountKind::Bind {
            self.mount.source = path::clean(&self.mount.source);
        }
        self.mount.target = path::clean(&self.mount.target);
        Ok(self.mount)
    }

    /// What `bind-recursive` says about mounts below the source.
    fn recursion(&mut self) -> Parsed<()> {
        let mount = &mut self.mount;
        match self.bind_recursive.as_str() {
            "" | "enabled" => return Ok(()),
            "disabled" => {
                mount.non_recursive = true;
                return Ok(());
            }
            "writable" => mount.recursive_read_only = Some(false),
            "readonly" => mount.recursive_read_only = Some(true),
            other => {
                return Err(format!(
                    "invalid value for bind-recursive: {other} (must be \"enabled\", \"disabled\", \"writable\", or \
                     \"readonly\")"
                ));
            }
        }
        let mode = &self.bind_recursive;
        if !mount.read_only {
            return Err(format!(
                "option 'bind-recursive={mode}' requires 'readonly' to be specified in conjunction"
            ));
        }
        if mode == "readonly" && mount.propagation.as_deref() != Some("rprivate") {
            return Err(
                "option 'bind-recursive=readonly' requires 'bind-propagation=rprivate' to be specified in conjunction"
                    .into(),
            );
        }
        Ok(())
    }
}

/// docker's rules for one mount of a known kind.
fn check(mount: &MountRequest) -> Parsed<()> {
    volume::check_target(&mount.target)?;
    let source = mount.source.as_str();
    match mount.kind {
        MountKind::Bind | MountKind::Image if source.is_empty() => {
            return Err("field Source must not be empty".into());
        }
        MountKind::Bind if !source.starts_with('/') => {
            return Err(format!("invalid mount path: '{source}' mount path must be absolute"));
        }
        MountKind::Tmpfs if !source.is_empty() => return Err("field Source must not be specified".into()),
        MountKind::Volume if source.is_empty() && mount.read_only => {
            return Err("must not set ReadOnly mode when using anonymous volumes".into());
        }
        MountKind::Volume if source.is_empty() && mount.subpath.is_some() => {
            return Err("must not set Subpath when using anonymous volumes".into());
        }
        _ => {}
    }
    if let Some(propagation) = &mount.propagation
        && !volume::PROPAGATIONS.contains(&propagation.as_str())
    {
        return Err(format!("invalid propagation mode: {propagation}"));
    }
    if mount.subpath.as_deref().is_some_and(|subpath| !path::is_local(subpath)) {
        return Err("subpath must be a relative path within the volume".into());
    }
    Ok(())
}

fn insert(map: &mut std::collections::BTreeMap<String, String>, pair: &str) {
    let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
    if !key.is_empty() {
        map.insert(key.to_owned(), value.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Parsed<MountRequest> {
        mount(text, Path::new("/home/me"))
    }

    #[test]
    fn valid() {
        let bind = parse("type=bind,source=/foo,target=/target/,ro,bind-propagation=rslave").unwrap();
        assert_eq!(
            (bind.kind, bind.source.as_str(), bind.target.as_str()),
            (MountKind::Bind, "/foo", "/target")
        );
        assert!(bind.read_only && !bind.create_source);
        assert_eq!(bind.propagation.as_deref(), Some("rslave"));
        for text in [
            "type=bind,src=./x,dst=/t",
            "TYPE=BIND,SRC=x/../x,destination=/t".replace("x/../x", "./x").as_str(),
        ] {
            assert_eq!(parse(text).unwrap().source, "/home/me/x", "{text}");
        }
        let volume = parse(
            "source=data,target=/t,volume-nocopy,volume-label=a=b,volume-label=c,volume-driver=local,\
             volume-opt=type=tmpfs,volume-subpath=x/y,readonly=1",
        )
        .unwrap();
        assert_eq!(volume.kind, MountKind::Volume);
        assert!(volume.no_copy && volume.read_only);
        assert_eq!(volume.volume_labels.get("a").map(String::as_str), Some("b"));
        assert_eq!(volume.volume_labels.get("c").map(String::as_str), Some(""));
        assert_eq!(volume.volume_options.get("type").map(String::as_str), Some("tmpfs"));
        assert_eq!(volume.subpath.as_deref(), Some("x/y"));
        assert_eq!(parse("target=/t").unwrap().source, "");
        let tmpfs = parse("type=tmpfs,target=/t,tmpfs-size=1m,tmpfs-mode=0700").unwrap();
        assert_eq!((tmpfs.tmpfs_size, tmpfs.tmpfs_mode), (Some(1 << 20), Some(0o700)));
        let image = parse("type=image,source=busybox,target=/t,image-subpath=bin").unwrap();
        assert_eq!((image.kind, image.source.as_str()), (MountKind::Image, "busybox"));
        assert_eq!(parse(r#"type=bind,"src=/a,b",dst=/t"#).unwrap().source, "/a,b");
        assert!(parse("type=bind,src=/a,dst=/t,bind-nonrecursive").unwrap().non_recursive);
        assert!(parse("type=bind,src=/a,dst=/t,bind-recursive=disabled").unwrap().non_recursive);
        assert_eq!(
            parse("type=bind,src=/a,dst=/t,ro,bind-recursive=writable").unwrap().recursive_read_only,
            Some(false)
        );
        assert!(parse("type=bind,src=/a,dst=/t,bind-create-src").unwrap().create_source);
        assert!(!parse("type=bind,src=/a,dst=/t,ro=false,consistency=cached").unwrap().read_only);
    }

    #[test]
    fn invalid() {
        for (text, want) in [
            ("", "value is empty"),
            ("type=bind,source=/foo", "target is required"),
            ("type=volume,target", "invalid field 'target' must be a key=value pair"),
            ("type=volume,target=", "invalid value for 'target': value is empty"),
            (
                "type=volume, target=/t",
                "invalid option ' target' in ' target=/t': option should not have whitespace",
            ),
            ("target= /t", "invalid value for 'target' in 'target= /t': value should not have whitespace"),
            ("target=/t,unknown=x", "unknown option 'unknown' in 'unknown=x'"),
            ("target=/t,readonly=no", "invalid value for readonly: no"),
            ("type=tmpfs,target=/t,tmpfs-size=x", "invalid value for tmpfs-size: x"),
            ("type=tmpfs,target=/t,tmpfs-mode=8", "invalid value for tmpfs-mode: 8"),
            (
                "type=volume,target=/t,bind-propagation=rslave",
                "cannot mix 'bind-*' options with mount type 'volume'",
            ),
            (
                "type=bind,target=/t,source=/s,volume-nocopy",
                "cannot mix 'volume-*' options with mount type 'bind'",
            ),
            (
                "type=bind,target=/t,source=/s,tmpfs-size=1",
                "cannot mix 'tmpfs-*' options with mount type 'bind'",
            ),
            (
                "type=bind,target=/t,source=/s,image-subpath=x",
                "cannot mix 'image-*' options with mount type 'bind'",
            ),
            ("type=npipe,target=/t", "invalid mount config for type \"npipe\": mount type unknown"),
            ("type=bind,target=/t", "invalid mount config for type \"bind\": field Source must not be empty"),
            (
                "type=bind,target=/t,source=s",
                "invalid mount config for type \"bind\": invalid mount path: 's' mount path must be absolute",
            ),
            (
                "target=t",
                "invalid mount config for type \"volume\": invalid mount path: 't' mount path must be absolute",
            ),
            (
                "target=/",
                "invalid mount config for type \"volume\": invalid specification: destination can't be '/'",
            ),
            (
                "type=tmpfs,source=x,target=/t",
                "invalid mount config for type \"tmpfs\": field Source must not be specified",
            ),
            (
                "type=bind,src=/a,dst=/t,bind-propagation=x",
                "invalid mount config for type \"bind\": invalid propagation mode: x",
            ),
            (
                "target=/t,ro",
                "invalid mount config for type \"volume\": must not set ReadOnly mode when using anonymous volumes",
            ),
            (
                "src=data,dst=/t,volume-subpath=../x",
                "invalid mount config for type \"volume\": subpath must be a relative path within the volume",
            ),
            (
                "type=bind,src=/a,dst=/t,bind-recursive=x",
                "invalid value for bind-recursive: x (must be \"enabled\", \"disabled\", \"writable\", or \"readonly\")",
            ),
            (
                "type=bind,src=/a,dst=/t,bind-recursive=writable",
                "option 'bind-recursive=writable' requires 'readonly' to be specified in conjunction",
            ),
            (
                "type=bind,src=/a,dst=/t,ro,bind-recursive=readonly",
                "option 'bind-recursive=readonly' requires 'bind-propagation=rprivate' to be specified in conjunction",
            ),
            (r#"a"b"#, "parse error on line 1, column 2: bare \" in non-quoted field"),
        ] {
            assert_eq!(parse(text).unwrap_err(), want, "{text}");
        }
        assert!(
            parse("src=a/b,dst=/t")
                .unwrap_err()
                .contains("includes invalid characters for a local volume name")
        );
    }
}
