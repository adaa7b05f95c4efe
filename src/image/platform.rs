//! Platforms: what an image was built for, what a machine runs, and which of several fits best.

use std::fmt;

use oci_spec::image::Descriptor;

use crate::error::{Error, Result};

/// An operating system, a processor architecture and its variant, in Go's names.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Platform {
    /// `linux`.
    pub os: String,
    /// `amd64`, `arm64`, …
    pub architecture: String,
    /// `v7`; empty when there is none or it is the usual one.
    pub variant: String,
}

impl Platform {
    /// This machine's.
    pub fn host() -> Self {
        Self::normalised("linux", std::env::consts::ARCH, "")
    }

    /// What a user writes after `--platform`: `linux/arm64`, `arm64`, `linux/arm/v7`.
    pub fn parse(text: &str) -> Result<Self> {
        let invalid = || {
            Error::usage(format!("{text:?} is an invalid OS platform"))
                .hint("write it as os[/arch[/variant]], for example linux/arm64")
        };
        let parts: Vec<&str> = text.split('/').collect();
        let plain = |part: &&str| {
            !part.is_empty()
                && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'))
        };
        if !parts.iter().all(plain) {
            return Err(invalid());
        }
        match parts.as_slice() {
            [one] if is_os(one) => Ok(Self { os: one.to_lowercase(), ..Self::host() }),
            [one] if is_architecture(one) => Ok(Self::normalised("linux", one, "")),
            [os, architecture] => Ok(Self::normalised(os, architecture, "")),
            [os, architecture, variant] => Ok(Self::normalised(os, architecture, variant)),
            _ => Err(invalid()),
        }
    }

    /// In Go's names, without the variant that every processor of the kind has.
    pub fn normalised(os: &str, architecture: &str, variant: &str) -> Self {
        let architecture = architecture.to_lowercase();
        let variant = variant.to_lowercase();
        let (architecture, variant) = match (architecture.as_str(), variant.as_str()) {
            ("x86_64" | "x86-64" | "amd64", "v1" | "") => ("amd64", ""),
            ("x86_64" | "x86-64", variant) => ("amd64", variant),
            ("i386" | "i686" | "x86", _) => ("386", ""),
            ("aarch64" | "arm64", "8" | "v8" | "") => ("arm64", ""),
            ("aarch64", variant) => ("arm64", variant),
            ("armhf", _) => ("arm", "v7"),
            ("armel", _) => ("arm", "v6"),
            ("arm", "" | "7") => ("arm", "v7"),
            ("arm", "5") => ("arm", "v5"),
            ("arm", "6") => ("arm", "v6"),
            ("arm", "8") => ("arm", "v8"),
            ("powerpc64", _) if cfg!(target_endian = "little") => ("ppc64le", ""),
            (architecture, variant) => (architecture, variant),
        };
        Self { os: os.to_lowercase(), architecture: architecture.into(), variant: variant.into() }
    }

    /// The platform of an index's entry, when it is said.
    pub fn of(descriptor: &Descriptor) -> Option<Self> {
        let platform = descriptor.platform().as_ref()?;
        let variant = platform.variant().as_deref().unwrap_or_default();
        Some(Self::normalised(&platform.os().to_string(), &platform.architecture().to_string(), variant))
    }

    /// How well `offered` runs where this is wanted: 0 is best, None not at all.
    pub fn fit(&self, offered: &Self) -> Option<u8> {
        if self.os != offered.os {
            return None;
        }
        let level = |platform: &Self| platform.variant.trim_start_matches('v').parse::<u8>().ok();
        if self.architecture == offered.architecture {
            if self.variant == offered.variant {
                return Some(0);
            }
            let usual = match self.architecture.as_str() {
                "amd64" => 1,
                "arm64" => 8,
                _ => 7,
            };
            let (wanted, got) = (level(self).unwrap_or(usual), level(offered).unwrap_or(usual));
            return (got <= wanted).then(|| 1 + (wanted - got));
        }
        match (self.architecture.as_str(), offered.architecture.as_str()) {
            ("amd64", "386") => Some(100),
            ("arm64", "arm") => Some(100 + 8u8.saturating_sub(level(offered).unwrap_or(7))),
            _ => None,
        }
    }

    /// The entries of an index that fit, the best first; attestations never fit.
    pub fn pick<'a>(&self, entries: &'a [Descriptor]) -> Vec<&'a Descriptor> {
        let mut fitting: Vec<(u8, &Descriptor)> = entries
            .iter()
            .filter(|entry| !super::media::is_attestation(entry))
            .filter_map(|entry| match Self::of(entry) {
                Some(offered) => Some((self.fit(&offered)?, entry)),
                // An entry that does not say is taken when nothing better is there.
                None => Some((u8::MAX, entry)),
            })
            .collect();
        fitting.sort_by_key(|(fit, _)| *fit);
        fitting.into_iter().map(|(_, entry)| entry).collect()
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        if !self.variant.is_empty() {
            write!(f, "/{}", self.variant)?;
        }
        Ok(())
    }
}

fn is_os(text: &str) -> bool {
    matches!(text.to_lowercase().as_str(), "linux" | "windows" | "darwin" | "freebsd")
}

fn is_architecture(text: &str) -> bool {
    matches!(
        text.to_lowercase().as_str(),
        "amd64"
            | "x86_64"
            | "x86-64"
            | "386"
            | "i386"
            | "arm64"
            | "aarch64"
            | "arm"
            | "armhf"
            | "armel"
            | "ppc64le"
            | "s390x"
            | "riscv64"
            | "mips64le"
            | "loong64"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn platform(text: &str) -> Platform {
        Platform::parse(text).unwrap()
    }

    #[test]
    fn platforms_are_read() {
        for (text, expected) in [
            ("linux/amd64", "linux/amd64"),
            ("linux/x86_64", "linux/amd64"),
            ("arm64", "linux/arm64"),
            ("linux/arm64/v8", "linux/arm64"),
            ("linux/arm", "linux/arm/v7"),
            ("linux/arm/v6", "linux/arm/v6"),
            ("windows/amd64", "windows/amd64"),
        ] {
            assert_eq!(platform(text).to_string(), expected, "{text}");
        }
        for text in ["", "linux/", "/", "a/b/c/d", "what", "linux/a b"] {
            assert!(Platform::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_best_fit_wins() {
        let fit = |wanted: &str, offered: &str| platform(wanted).fit(&platform(offered));
        assert_eq!(fit("linux/amd64", "linux/amd64"), Some(0));
        assert_eq!(fit("linux/amd64", "linux/amd64/v3"), None);
        assert_eq!(fit("linux/amd64", "linux/arm64"), None);
        assert_eq!(fit("linux/amd64", "windows/amd64"), None);
        assert!(fit("linux/arm/v7", "linux/arm/v6") < fit("linux/arm/v7", "linux/arm/v5"));
        assert!(fit("linux/arm64", "linux/arm/v7") > fit("linux/arm64", "linux/arm64"));
        assert_eq!(fit("linux/arm/v6", "linux/arm/v7"), None);
    }
}
