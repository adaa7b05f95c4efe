//! Names: of containers, volumes, images, platforms and hosts.

use super::Parsed;

/// A container's name, a leading slash dropped.
pub fn container(text: &str) -> Parsed<String> {
    let name = text.strip_prefix('/').unwrap_or(text);
    if is_restricted(name) {
        return Ok(name.to_owned());
    }
    Err(format!("Invalid container name ({text}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"))
}

/// A volume's name.
pub fn volume(text: &str) -> Parsed<()> {
    if is_restricted(text) {
        return Ok(());
    }
    if text.len() == 1 {
        return Err("volume name is too short, names should be at least two alphanumeric characters".into());
    }
    Err(format!(
        "create {text}: {text:?} includes invalid characters for a local volume name, only \
         \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. If you intended to pass a host directory, use absolute path"
    ))
}

/// A host's or domain's name as a kernel and a hosts file can hold it.
pub fn host(text: &str) -> Parsed<()> {
    let printable = text.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'/' | b'#' | b'\\'));
    if text.len() > 64 || !printable {
        return Err(format!("invalid hostname format: {text}"));
    }
    Ok(())
}

/// What a platform of one word can be: containerd's lists of systems and of architectures with their other names.
const SYSTEMS: [&str; 14] = [
    "aix",
    "android",
    "darwin",
    "dragonfly",
    "freebsd",
    "illumos",
    "ios",
    "js",
    "linux",
    "netbsd",
    "openbsd",
    "plan9",
    "solaris",
    "windows",
];
const ARCHITECTURES: [&str; 19] = [
    "386", "aarch64", "amd64", "arm", "arm64", "armel", "armhf", "i386", "loong64", "mips", "mips64",
    "mips64le", "mipsle", "ppc64", "ppc64le", "riscv64", "s390x", "wasm", "x86_64",
];

/// `os[/arch[/variant]]`, or an architecture alone; what is wrong in containerd's words.
pub fn platform(text: &str) -> Parsed<()> {
    let component = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
    };
    let parts: Vec<&str> = text.split('/').collect();
    if let Some(part) = parts.iter().find(|part| !component(part)) {
        return Err(format!(
            "{part:?} is an invalid component of {text:?}: platform specifier component must match \
             \"^[A-Za-z0-9_.-]+$\": invalid argument"
        ));
    }
    let known = |word: &str| {
        let word = word.to_ascii_lowercase();
        SYSTEMS.contains(&word.as_str()) || ARCHITECTURES.contains(&word.as_str())
    };
    match parts[..] {
        [word] if !known(word) => {
            Err(format!("{text:?}: unknown operating system or architecture: invalid argument"))
        }
        [_] | [_, _] | [_, _, _] => Ok(()),
        _ => Err(format!("{text:?}: cannot parse platform specifier: invalid argument")),
    }
}

/// An image's name as far as its letters go: what a registry or containerd makes of it is not decided here.
pub fn image(text: &str) -> Parsed<()> {
    const WRONG: &str = "invalid reference format";
    let (rest, digest) = match text.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest)),
        None => (text, None),
    };
    if digest.is_some_and(|digest| !is_digest(digest)) {
        return Err(WRONG.into());
    }
    // A colon after the last slash starts a tag; one before it belongs to the registry's port.
    let after_slash = rest.rfind('/').map_or(0, |slash| slash + 1);
    let (name, tag) = match rest[after_slash..].find(':') {
        Some(colon) => (&rest[..after_slash + colon], Some(&rest[after_slash + colon + 1..])),
        None => (rest, None),
    };
    if tag.is_some_and(|tag| !is_tag(tag)) || name.is_empty() || name.len() > 255 {
        return Err(WRONG.into());
    }
    let (domain, path) = match name.split_once('/') {
        Some((first, path)) if first.contains(['.', ':']) || first == "localhost" || has_upper(first) => {
            (Some(first), path)
        }
        _ => (None, name),
    };
    if path.split('/').all(is_path_component) && domain.is_none_or(is_domain) {
        return Ok(());
    }
    if has_upper(path) && path.to_ascii_lowercase().split('/').all(is_path_component) {
        let path =
            if domain.is_none() && !path.contains('/') { format!("library/{path}") } else { path.into() };
        return Err(format!("{WRONG}: repository name ({path}) must be lowercase"));
    }
    Err(WRONG.into())
}

/// docker's pattern for names that it stores: two or more of `[a-zA-Z0-9_.-]`, a letter or digit first.
fn is_restricted(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() >= 2
        && bytes[0].is_ascii_alphanumeric()
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(byte))
}

fn has_upper(text: &str) -> bool {
    text.bytes().any(|byte| byte.is_ascii_uppercase())
}

/// Letters and digits with single separators between them: `.`, `_`, `__` or any number of `-`.
fn is_path_component(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    let ends = bytes.first().copied().is_some_and(plain) && bytes.last().copied().is_some_and(plain);
    ends && text.split(|letter: char| letter.is_ascii_alphanumeric()).all(|separator| {
        matches!(separator, "" | "." | "_" | "__") || separator.bytes().all(|byte| byte == b'-')
    }) && !has_upper(text)
}

fn is_domain(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[') {
        Some(bracketed) => match bracketed.split_once(']') {
            Some((address, rest)) if address.parse::<std::net::Ipv6Addr>().is_ok() => {
                return rest.is_empty() || rest.strip_prefix(':').is_some_and(is_digits);
            }
            _ => return false,
        },
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    host.split('.').all(label) && port.is_none_or(is_digits)
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_tag(text: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let bytes = text.as_bytes();
    bytes.first().copied().is_some_and(word)
        && bytes.len() <= 128
        && bytes.iter().all(|byte| word(*byte) || b".-".contains(byte))
}

fn is_digest(text: &str) -> bool {
    let Some((algorithm, hex)) = text.split_once(':') else { return false };
    let named = algorithm.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+._-".contains(&byte));
    let length = match algorithm {
        "sha256" => hex.len() == 64,
        "sha512" => hex.len() == 128,
        _ => hex.len() >= 32,
    };
    !algorithm.is_empty()
        && named
        && length
        && hex.bytes().all(|byte| byte.is_ascii_hexdigit() && !byte.is_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn container_names() {
        assert_eq!(container("web_1.x-y"), Ok("web_1.x-y".into()));
        assert_eq!(container("/web"), Ok("web".into()));
        for text in ["", "a", "-web", "we b", "wéb", "a/b"] {
            assert_eq!(
                container(text).unwrap_err(),
                format!("Invalid container name ({text}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed")
            );
        }
    }

    #[test]
    fn images() {
        let digest = format!("busybox@sha256:{}", "a".repeat(64));
        for text in [
            "busybox",
            "busybox:1.36",
            "library/busybox",
            "localhost:5000/a/b:v1",
            "localhost/x",
            "registry.example.com/a__b/c--d.e:X_Y.z-1",
            "[::1]:5000/x",
            "Registry/x",
            "abc123",
            &digest,
            &format!("busybox:1@sha256:{}", "0".repeat(64)),
            &format!("sha256:{}", "0".repeat(64)),
        ] {
            assert_eq!(image(text), Ok(()), "{text}");
        }
        for text in [
            "",
            ":tag",
            "a:",
            "a b",
            "-a",
            "a//b",
            "a/",
            "/a",
            "a@sha256:1",
            "a..b",
            "a___b",
            "x:y:z",
            "a\n",
            "é",
        ] {
            assert_eq!(image(text).unwrap_err(), "invalid reference format", "{text}");
        }
        assert_eq!(
            image("Busybox").unwrap_err(),
            "invalid reference format: repository name (library/Busybox) must be lowercase"
        );
    }

    #[test]
    fn volume_names() {
        assert_eq!(volume("data"), Ok(()));
        assert!(volume("a").unwrap_err().starts_with("volume name is too short"));
        assert!(volume("a/b").unwrap_err().starts_with(r#"create a/b: "a/b" includes invalid characters"#));
    }

    #[test]
    fn hosts_and_platforms() {
        assert!(host("web.example").is_ok() && host("a b").is_err() && host("a\nb").is_err());
        assert!(host(&"a".repeat(65)).is_err());
        assert!(platform("linux/arm64/v8").is_ok() && platform("amd64").is_ok());
        assert_eq!(
            platform("x").unwrap_err(),
            "\"x\": unknown operating system or architecture: invalid argument"
        );
        assert!(platform("").is_err() && platform("linux/").is_err() && platform("a/b/c/d").is_err());
    }
}
