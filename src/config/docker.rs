//! What docker's config.json says of how lists look, which keys detach, and which proxies containers get. Its
//! credentials are [`super::credentials`]'.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize as _};
use serde_json::{Map, Value};

use crate::error::{Error, Kind, Result};
use crate::store::{Lock, make_directory, read_bounded, write_atomic};

const LARGEST_FILE: u64 = 4 << 20;

/// The parts of the file that verbs heed; everything is optional.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct DockerFile {
    /// `ps` without `--format`.
    pub ps_format: String,
    /// `images` without `--format`.
    pub images_format: String,
    /// `network ls` without `--format`.
    pub networks_format: String,
    /// `volume ls` without `--format`.
    pub volumes_format: String,
    /// `stats` without `--format`.
    pub stats_format: String,
    /// `plugin ls` without `--format`.
    pub plugins_format: String,
    /// `--detach-keys` where the flag is not given.
    pub detach_keys: String,
    /// Filters that every prune begins with.
    pub prune_filters: Vec<String>,
    /// Proxies for containers, by the daemon's address; `default` is for every one.
    proxies: BTreeMap<String, Proxy>,
    /// Headers for docker's daemon, which passes some of them on.
    #[serde(rename = "HttpHeaders")]
    http_headers: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Proxy {
    http_proxy: String,
    https_proxy: String,
    no_proxy: String,
    ftp_proxy: String,
    all_proxy: String,
}

impl DockerFile {
    /// The file in `directory`; one that is not there says nothing.
    ///
    /// # Errors
    /// A file that cannot be read, or is not docker's.
    pub fn read(directory: &Path) -> Result<Self> {
        let path = directory.join("config.json");
        let content = match read_bounded(&path, LARGEST_FILE) {
            Ok(content) => content,
            Err(error) if error.kind == Kind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(error),
        };
        serde_json::from_slice(&content).map_err(|cause| {
            Error::failed(format!("Error parsing config file ({}): {cause}", path.display()))
        })
    }

    /// The headers that registries get, as from docker's daemon: those that begin with `X-Meta-`. The others are
    /// between docker and its daemon, and may be secrets.
    pub fn registry_headers(&self) -> Vec<(String, String)> {
        let begins = |name: &str| name.get(..7).is_some_and(|begin| begin.eq_ignore_ascii_case("x-meta-"));
        self.http_headers.clone().into_iter().filter(|(name, _)| begins(name)).collect()
    }

    /// The variables that a container gets, `HTTP_PROXY=…` and its lower-case twin.
    pub fn proxy_variables(&self) -> Vec<String> {
        let Some(proxy) = self.proxies.get("default") else { return Vec::new() };
        [
            ("HTTP_PROXY", &proxy.http_proxy),
            ("HTTPS_PROXY", &proxy.https_proxy),
            ("NO_PROXY", &proxy.no_proxy),
            ("FTP_PROXY", &proxy.ftp_proxy),
            ("ALL_PROXY", &proxy.all_proxy),
        ]
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .flat_map(|(key, value)| [format!("{key}={value}"), format!("{}={value}", key.to_lowercase())])
        .collect()
    }
}

/// Change config.json in `directory`, where `change` says that it has: only what it touches. The directory is made when
/// it is missing, and a link stays one. Gives the file's path.
pub(super) fn change(
    directory: &Path,
    change: impl FnOnce(&mut Map<String, Value>) -> bool,
) -> Result<PathBuf> {
    make_directory(directory, 0o700)?;
    // Two commands at once must not lose each other's change.
    let _alone = Lock::directory(directory)?;
    let path = directory.join("config.json");
    // docker's users keep a link there to a file elsewhere.
    let path = std::fs::canonicalize(&path)
        .or_else(|_| std::fs::read_link(&path).map(|target| directory.join(target)))
        .unwrap_or(path);
    let mut config = as_map(&path)?;
    if !change(&mut config) {
        return Ok(path);
    }
    let mut bytes = Vec::new();
    let tabs = serde_json::ser::PrettyFormatter::with_indent(b"\t");
    let mut writer = serde_json::Serializer::with_formatter(&mut bytes, tabs);
    Value::Object(config)
        .serialize(&mut writer)
        .map_err(|cause| Error::failed(format!("encode JSON: {cause}")))?;
    write_atomic(&path, &bytes, 0o600)?;
    Ok(path)
}

/// The whole config.json at `path`; one that is not there is empty.
pub(super) fn as_map(path: &Path) -> Result<Map<String, Value>> {
    match read_bounded(path, LARGEST_FILE) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|cause| {
            Error::failed(format!("Error parsing config file ({}): {cause}", path.display()))
        }),
        Err(error) if error.kind == Kind::NotFound => Ok(Map::new()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_read_as_far_as_it_concerns_us() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(DockerFile::read(directory.path()).unwrap(), DockerFile::default());
        let write = |text: &str| std::fs::write(directory.path().join("config.json"), text).unwrap();
        write(
            r#"{"auths": {"x": {}}, "psFormat": "{{.ID}}", "detachKeys": "ctrl-a", "currentContext": "default",
                "HttpHeaders": {"a": "b", "X-Meta-Site": "here"}, "proxies": {"default": {"httpProxy": "http://p:1", "noProxy": "a,b"},
                "tcp://x": {"httpProxy": "no"}}, "pruneFilters": ["until=1h"]}"#,
        );
        let file = DockerFile::read(directory.path()).unwrap();
        assert_eq!((file.ps_format.as_str(), file.detach_keys.as_str()), ("{{.ID}}", "ctrl-a"));
        assert_eq!(
            file.proxy_variables(),
            ["HTTP_PROXY=http://p:1", "http_proxy=http://p:1", "NO_PROXY=a,b", "no_proxy=a,b"]
        );
        assert_eq!(file.registry_headers(), [("X-Meta-Site".to_owned(), "here".to_owned())]);
        write("{");
        assert!(
            DockerFile::read(directory.path()).unwrap_err().message.contains("Error parsing config file")
        );
    }
}
