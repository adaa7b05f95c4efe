//! The TOML file with defaults for the global flags: ours, or nerdctl's, whose keys it shares.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::error::{Error, Result};

/// Ours.
pub const PATH: &str = "/etc/wharfie/wharfie.toml";
/// nerdctl's, read when ours is not there.
pub const NERDCTL_PATH: &str = "/etc/nerdctl/nerdctl.toml";

/// What the file may say; everything is optional.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct File {
    /// `--debug`.
    pub debug: Option<bool>,
    /// `--address`.
    pub address: Option<String>,
    /// `--namespace`.
    pub namespace: Option<String>,
    /// `--snapshotter`.
    pub snapshotter: Option<String>,
    /// `--cni-path`.
    pub cni_path: Option<PathBuf>,
    /// `--cni-netconfpath`.
    pub cni_netconfpath: Option<PathBuf>,
    /// `--data-root`.
    pub data_root: Option<PathBuf>,
    /// `--insecure-registry`.
    pub insecure_registry: Option<bool>,
    /// How long a registry may be silent, as docker writes durations.
    pub registry_timeout: Option<String>,
    /// `--hosts-dir`.
    pub hosts_dir: Option<Vec<PathBuf>>,
    /// `--cdi-spec-dirs`.
    pub cdi_spec_dirs: Option<Vec<PathBuf>>,
    /// The default of `run --runtime`.
    pub runtime: Option<String>,
}

/// Read `given`, or ours, or nerdctl's. None there is fine unless it was asked for.
pub fn read(given: Option<&Path>) -> Result<File> {
    if let Some(path) = given {
        return parse(
            path,
            &text(path)?.ok_or_else(|| Error::io("read", path, rustix::io::Errno::NOENT))?,
            true,
        );
    }
    if let Some(content) = text(Path::new(PATH))? {
        return parse(Path::new(PATH), &content, true);
    }
    // nerdctl has more keys than we share: what is not ours there is not an error.
    let path = Path::new(NERDCTL_PATH);
    let Some(content) = text(path)? else { return Ok(File::default()) };
    let mut file = parse(path, &content, false)?;
    // Its data root is not ours: two programs never write into one directory.
    file.data_root = None;
    Ok(file)
}

fn text(path: &Path) -> Result<Option<String>> {
    match std::fs::read_to_string(path) {
        Ok(content) => Ok(Some(content)),
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(Error::io("read", path, cause)),
    }
}

fn parse(path: &Path, content: &str, strict: bool) -> Result<File> {
    let wrong = |cause: toml::de::Error| {
        Error::usage(format!("{}: {}", path.display(), cause.message()))
            .hint("docs/reference lists the keys of this file")
    };
    let table: toml::Table = content.parse().map_err(wrong)?;
    if strict && let Some(key) = table.keys().find(|key| !KEYS.contains(&key.as_str())) {
        return Err(Error::usage(format!("{}: unknown key {key:?}", path.display()))
            .hint(format!("known keys: {}", KEYS.join(", "))));
    }
    table.try_into().map_err(wrong)
}

const KEYS: [&str; 12] = [
    "debug",
    "address",
    "namespace",
    "snapshotter",
    "cni_path",
    "cni_netconfpath",
    "data_root",
    "insecure_registry",
    "registry_timeout",
    "hosts_dir",
    "cdi_spec_dirs",
    "runtime",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_file_is_strict_and_nerdctl_s_is_not() {
        let content = "namespace = \"k8s.io\"\ncgroup_manager = \"cgroupfs\"\n";
        let error = parse(Path::new("/w.toml"), content, true).unwrap_err();
        assert_eq!(error.message, "/w.toml: unknown key \"cgroup_manager\"");
        let file = parse(Path::new("/n.toml"), content, false).unwrap();
        assert_eq!(file.namespace.as_deref(), Some("k8s.io"));
        assert!(parse(Path::new("/w.toml"), "namespace = 3", true).is_err());
        assert!(parse(Path::new("/w.toml"), "= 3", false).is_err());
    }
}
