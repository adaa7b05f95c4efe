//! Image references as docker writes and reads them: short names, tags, digests.

use std::fmt;

use oci_spec::image::Digest;

use crate::error::{Error, Result};

/// The registry of names that name none.
pub const DOCKER_HUB: &str = "docker.io";
const LEGACY_HUB: &str = "index.docker.io";
const OFFICIAL: &str = "library/";
const LONGEST_NAME: usize = 255;
const LONGEST_TAG: usize = 128;

/// A reference with its registry filled in; the tag only when one was written.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Reference {
    domain: String,
    path: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

impl Reference {
    /// Read what a user wrote: `busybox`, `host:5000/a/b:tag`, `a@sha256:…`. Errors have docker's words.
    pub fn parse(text: &str) -> Result<Self> {
        if is_hex(text) && text.len() == 64 {
            return Err(Error::usage(format!(
                "invalid repository name ({text}), cannot specify 64-byte hexadecimal strings"
            )));
        }
        let (domain, remainder) = split_domain(text);
        let written = remainder.split([':', '@']).next().unwrap_or_default();
        if written.chars().any(char::is_uppercase) {
            return Err(Error::usage(format!(
                "invalid reference format: repository name ({written}) must be lowercase"
            )));
        }
        Self::parse_parts(domain, &remainder).ok_or_else(|| {
            Error::usage("invalid reference format")
                .hint(format!("{text:?} is no image name: write NAME[:TAG] or REGISTRY/NAME[@sha256:DIGEST]"))
        })
    }

    fn parse_parts(domain: String, remainder: &str) -> Option<Self> {
        let (rest, digest) = match remainder.split_once('@') {
            Some((rest, digest)) => (rest, Some(parse_digest(digest)?)),
            None => (remainder, None),
        };
        let (path, tag) = match rest.split_once(':') {
            Some((path, tag)) => (path, Some(tag)),
            None => (rest, None),
        };
        if !is_domain(&domain) || !path.split('/').all(is_path_component) || !tag.is_none_or(is_tag) {
            return None;
        }
        if path.len() > LONGEST_NAME {
            return None;
        }
        Some(Self { domain, path: path.to_owned(), tag: tag.map(str::to_owned), digest })
    }

    /// The registry: `docker.io`, `localhost:5000`.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The repository in its registry: `library/busybox`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The tag that was written.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest that was written.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// Registry and repository: `docker.io/library/busybox`.
    pub fn name(&self) -> String {
        format!("{}/{}", self.domain, self.path)
    }

    /// The name as a user would write it: `busybox`.
    pub fn familiar_name(&self) -> String {
        if self.domain != DOCKER_HUB {
            return self.name();
        }
        match self.path.strip_prefix(OFFICIAL) {
            Some(short) if !short.contains('/') => short.to_owned(),
            _ => self.path.clone(),
        }
    }

    /// The whole reference as a user would write it: `busybox:latest`.
    pub fn familiar(&self) -> String {
        self.written(self.familiar_name())
    }

    /// The same with the tag `latest` when neither tag nor digest was written.
    #[must_use]
    pub fn with_default_tag(mut self) -> Self {
        if self.tag.is_none() && self.digest.is_none() {
            self.tag = Some("latest".into());
        }
        self
    }

    /// The same repository with another tag and without digest.
    #[must_use]
    pub fn with_tag(&self, tag: &str) -> Self {
        Self { tag: Some(tag.into()), digest: None, ..self.clone() }
    }

    /// The same repository by digest and without tag.
    #[must_use]
    pub fn with_digest(&self, digest: &Digest) -> Self {
        Self { tag: None, digest: Some(digest.clone()), ..self.clone() }
    }

    /// The name that containerd's clients keep: by digest when there is one, else by tag, `latest` if none
    /// was written.
    pub fn canonical(&self) -> String {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => format!("{}@{digest}", self.name()),
            (None, Some(tag)) => format!("{}:{tag}", self.name()),
            (None, None) => format!("{}:latest", self.name()),
        }
    }

    /// What a registry is asked for: the digest, or the tag.
    pub fn identifier(&self) -> String {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => digest.to_string(),
            (None, Some(tag)) => tag.clone(),
            (None, None) => "latest".into(),
        }
    }

    fn written(&self, mut text: String) -> String {
        if let Some(tag) = &self.tag {
            text.push(':');
            text.push_str(tag);
        }
        if let Some(digest) = &self.digest {
            text.push('@');
            text.push_str(digest.as_ref());
        }
        text
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written(self.name()))
    }
}

/// Whether `text` can be (the beginning of) an image id: hexadecimal digits, with or without `sha256:`.
pub fn is_id_prefix(text: &str) -> bool {
    let hex = text.strip_prefix("sha256:").unwrap_or(text);
    !hex.is_empty() && hex.len() <= 64 && is_hex(hex)
}

fn split_domain(text: &str) -> (String, String) {
    let (domain, remainder) = match text.split_once('/') {
        Some((first, rest))
            if first.contains(['.', ':'])
                || first == "localhost"
                || first.chars().any(char::is_uppercase) =>
        {
            (first, rest)
        }
        _ => (DOCKER_HUB, text),
    };
    let domain = if domain == LEGACY_HUB { DOCKER_HUB } else { domain };
    if domain == DOCKER_HUB && !remainder.contains('/') {
        return (domain.into(), format!("{OFFICIAL}{remainder}"));
    }
    (domain.into(), remainder.into())
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn is_domain(domain: &str) -> bool {
    let host = match domain.strip_prefix('[') {
        Some(rest) => {
            let Some((address, port)) = rest.split_once(']') else { return false };
            let plain = address.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b':');
            return plain && !address.is_empty() && (port.is_empty() || is_port(port.strip_prefix(':')));
        }
        None => match domain.split_once(':') {
            Some((host, port)) if is_port(Some(port)) => host,
            Some(_) => return false,
            None => domain,
        },
    };
    host.split('.').all(|part| {
        !part.is_empty()
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !part.starts_with('-')
            && !part.ends_with('-')
    })
}

fn is_port(port: Option<&str>) -> bool {
    port.is_some_and(|port| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Lower-case letters and digits, joined by one `.`, one or two `_`, or any number of `-`.
fn is_path_component(part: &str) -> bool {
    let alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = part.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else { return false };
    alphanumeric(*first)
        && alphanumeric(*last)
        && bytes
            .split(|byte| alphanumeric(*byte))
            .all(|join| matches!(join, b"" | b"." | b"_" | b"__") || join.iter().all(|byte| *byte == b'-'))
}

pub(super) fn is_tag(tag: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    tag.len() <= LONGEST_TAG
        && tag.bytes().next().is_some_and(word)
        && tag.bytes().all(|byte| word(byte) || byte == b'.' || byte == b'-')
}

fn parse_digest(text: &str) -> Option<Digest> {
    let digest: Digest = text.parse().ok()?;
    let hex = digest.digest();
    (hex.len() >= 32 && is_hex(hex)).then_some(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff";

    #[test]
    fn names_are_normalised() {
        let digested = format!("a/b@sha256:{HEX}");
        let both = format!("busybox:1@sha256:{HEX}");
        let cases = [
            ("busybox", "docker.io/library/busybox:latest", "busybox"),
            ("busybox:1.36", "docker.io/library/busybox:1.36", "busybox:1.36"),
            ("library/busybox", "docker.io/library/busybox:latest", "busybox"),
            ("docker.io/busybox", "docker.io/library/busybox:latest", "busybox"),
            ("docker.io/library/busybox:latest", "docker.io/library/busybox:latest", "busybox:latest"),
            ("index.docker.io/busybox", "docker.io/library/busybox:latest", "busybox"),
            ("docker.io/library/a/b", "docker.io/library/a/b:latest", "library/a/b"),
            ("user/app", "docker.io/user/app:latest", "user/app"),
            ("localhost/x", "localhost/x:latest", "localhost/x"),
            ("localhost:5000/x:1", "localhost:5000/x:1", "localhost:5000/x:1"),
            ("127.0.0.1:5000/a/b", "127.0.0.1:5000/a/b:latest", "127.0.0.1:5000/a/b"),
            ("[2001:db8::1]:5000/repo", "[2001:db8::1]:5000/repo:latest", "[2001:db8::1]:5000/repo"),
            ("Host/x", "Host/x:latest", "Host/x"),
            ("quay.io/a/b_c:Tag", "quay.io/a/b_c:Tag", "quay.io/a/b_c:Tag"),
            ("a--b/c__d/e.f", "docker.io/a--b/c__d/e.f:latest", "a--b/c__d/e.f"),
            ("test:5000", "docker.io/library/test:5000", "test:5000"),
            (
                digested.as_str(),
                "docker.io/a/b@sha256:ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
                digested.as_str(),
            ),
            (
                both.as_str(),
                "docker.io/library/busybox@sha256:ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
                both.as_str(),
            ),
        ];
        for (text, canonical, familiar) in cases {
            let reference = Reference::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(reference.canonical(), canonical, "{text}");
            assert_eq!(reference.familiar(), familiar, "{text}");
            assert_eq!(Reference::parse(&reference.to_string()).unwrap(), reference, "{text}");
        }
    }

    #[test]
    fn bad_references_are_refused_in_dockers_words() {
        let long_tag = format!("a:{}", "t".repeat(129));
        let long_name = "a/".repeat(128) + "b";
        let cases = [
            ("", "invalid reference format"),
            (":justtag", "invalid reference format"),
            ("@sha256:00", "invalid reference format"),
            ("repo@sha256:ffff", "invalid reference format"),
            ("validname@invaliddigest:abc", "invalid reference format"),
            (
                "Uppercase:tag",
                "invalid reference format: repository name (library/Uppercase) must be lowercase",
            ),
            ("test.com/Upper/x:tag", "invalid reference format: repository name (Upper/x) must be lowercase"),
            ("aa/asdf$$^/aa", "invalid reference format"),
            ("a//b", "invalid reference format"),
            ("/a", "invalid reference format"),
            ("a/", "invalid reference format"),
            ("-a", "invalid reference format"),
            ("a_", "invalid reference format"),
            ("a___b", "invalid reference format"),
            ("a..b", "invalid reference format"),
            ("a:", "invalid reference format"),
            ("a:b:c", "invalid reference format"),
            ("-test.com/a", "invalid reference format"),
            ("host:port/a", "invalid reference format"),
            ("[::1/a", "invalid reference format"),
            ("a b", "invalid reference format"),
            (long_tag.as_str(), "invalid reference format"),
            (long_name.as_str(), "invalid reference format"),
            (HEX, "invalid repository name"),
        ];
        for (text, message) in cases {
            let error = Reference::parse(text).map(|found| found.to_string()).expect_err(text);
            assert!(error.message.starts_with(message), "{text}: {}", error.message);
        }
    }

    #[test]
    fn ids_are_hexadecimal() {
        for (text, expected) in [
            ("abc", true),
            ("sha256:abc", true),
            ("", false),
            ("xyz", false),
            ("ABC", false),
            ("sha256:", false),
        ] {
            assert_eq!(is_id_prefix(text), expected, "{text}");
        }
    }
}
