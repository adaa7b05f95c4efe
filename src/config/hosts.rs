//! containerd's `certs.d/<host>/hosts.toml`, and docker's certificate directories beside it: where a
//! registry is really asked, and what it is told.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::error::{Error, Kind, Result};
use crate::store::read_bounded;

const LARGEST_FILE: u64 = 1 << 20;

/// What a registry host may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// Fetch manifests and blobs by digest.
    pub pull: bool,
    /// Say which digest a tag has.
    pub resolve: bool,
    /// Take uploads.
    pub push: bool,
}

impl Capabilities {
    const ALL: Self = Self { pull: true, resolve: true, push: true };
}

/// One host as a file describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// As written: with or without scheme and path; empty for the registry itself.
    pub address: String,
    /// What it is used for.
    pub capabilities: Capabilities,
    /// Certificate authorities (PEM) to trust beside the system's.
    pub ca: Vec<PathBuf>,
    /// Client certificates with their keys; the key may be in the same file.
    pub client: Vec<(PathBuf, PathBuf)>,
    /// Do not verify its certificate.
    pub skip_verify: bool,
    /// Sent with every request.
    pub headers: Vec<(String, String)>,
    /// The address's path is the API's root: append no `/v2`.
    pub override_path: bool,
}

/// The hosts of one registry in the order in which they are asked; the registry itself (or what `server`
/// says) comes last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hosts {
    /// Mirrors, as ordered in the file.
    pub mirrors: Vec<Host>,
    /// The registry itself.
    pub server: Host,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct File {
    server: String,
    #[serde(flatten)]
    server_settings: Settings,
    host: BTreeMap<String, Settings>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Settings {
    capabilities: Option<Vec<String>>,
    ca: Option<OneOrMany>,
    client: Option<toml::Value>,
    skip_verify: bool,
    header: BTreeMap<String, OneOrMany>,
    override_path: bool,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    fn as_slice(&self) -> &[String] {
        match self {
            Self::One(text) => std::slice::from_ref(text),
            Self::Many(texts) => texts,
        }
    }
}

/// The settings for `registry` (`docker.io`, `host:5000`) from the first of `directories` that has any;
/// `_default` serves those without their own. None when nothing is configured.
pub fn find(directories: &[PathBuf], registry: &str) -> Result<Option<Hosts>> {
    Ok(find_with_origin(directories, registry)?.map(|(_, hosts)| hosts))
}

/// The same, with the directory that it comes from.
pub fn find_with_origin(directories: &[PathBuf], registry: &str) -> Result<Option<(PathBuf, Hosts)>> {
    let own = match registry.rsplit_once(':') {
        Some((host, port)) => vec![format!("{host}_{port}_"), registry.to_owned()],
        None => vec![registry.to_owned()],
    };
    let names = own.iter().map(String::as_str).chain(["_default"]);
    for name in names {
        for directory in directories {
            let directory = directory.join(name);
            if let Some(hosts) = read_directory(&directory)? {
                return Ok(Some((directory, hosts)));
            }
        }
    }
    Ok(None)
}

fn read_directory(directory: &Path) -> Result<Option<Hosts>> {
    let path = directory.join("hosts.toml");
    match read_bounded(&path, LARGEST_FILE) {
        Ok(bytes) => String::from_utf8(bytes)
            .map_err(|_| "not UTF-8".to_owned())
            .and_then(|text| parse(&text, directory))
            .map(Some)
            .map_err(|cause| {
                Error::failed(format!("read {}: {cause}", path.display()))
                    .hint("see https://github.com/containerd/containerd/blob/main/docs/hosts.md for its form")
            }),
        Err(error) if error.kind == Kind::NotFound => certificates(directory),
        Err(error) => Err(error),
    }
}

/// Docker's form: `*.crt` are authorities, `x.cert` with `x.key` client certificates.
fn certificates(directory: &Path) -> Result<Option<Hosts>> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Ok(None) };
    let mut server = Settings::default().host(String::new(), directory)?;
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("crt") => server.ca.push(path),
            Some("cert") => server.client.push((path.clone(), path.with_extension("key"))),
            _ => {}
        }
    }
    let found = !server.ca.is_empty() || !server.client.is_empty();
    Ok(found.then_some(Hosts { mirrors: vec![], server }))
}

fn parse(text: &str, directory: &Path) -> Result<Hosts, String> {
    let file: File = toml::from_str(text).map_err(|cause| cause.to_string())?;
    let mut positions = order(text)?;
    let mut mirrors = Vec::with_capacity(file.host.len());
    for (address, settings) in file.host {
        let position = positions.remove(&address).unwrap_or(usize::MAX);
        mirrors.push((position, settings.host(address, directory).map_err(|error| error.message)?));
    }
    mirrors.sort_by_key(|(position, _)| *position);
    Ok(Hosts {
        mirrors: mirrors.into_iter().map(|(_, host)| host).collect(),
        server: file.server_settings.host(file.server, directory).map_err(|error| error.message)?,
    })
}

/// Where each host stands in the file: the order is what the user chose, and a table does not keep it.
fn order(text: &str) -> Result<BTreeMap<String, usize>, String> {
    let document = toml::de::DeTable::parse(text).map_err(|cause| cause.to_string())?;
    let Some(hosts) = document.get_ref().get("host").and_then(|value| value.get_ref().as_table()) else {
        return Ok(BTreeMap::new());
    };
    Ok(hosts.keys().map(|key| (key.get_ref().to_string(), key.span().start)).collect())
}

impl Settings {
    fn host(self, address: String, directory: &Path) -> Result<Host> {
        let capabilities = match &self.capabilities {
            None => Capabilities::ALL,
            Some(names) => {
                let mut capabilities = Capabilities { pull: false, resolve: false, push: false };
                for name in names {
                    match name.to_ascii_lowercase().as_str() {
                        "pull" => capabilities.pull = true,
                        "resolve" => capabilities.resolve = true,
                        "push" => capabilities.push = true,
                        other => return Err(Error::failed(format!("unknown capability {other:?}"))),
                    }
                }
                capabilities
            }
        };
        let path = |text: &str| directory.join(text);
        let headers = self
            .header
            .iter()
            .flat_map(|(name, values)| values.as_slice().iter().map(|value| (name.clone(), value.clone())))
            .collect();
        Ok(Host {
            address,
            capabilities,
            ca: self.ca.iter().flat_map(|ca| ca.as_slice()).map(|text| path(text)).collect(),
            client: self.client.map(|value| clients(&value, directory)).transpose()?.unwrap_or_default(),
            skip_verify: self.skip_verify,
            headers,
            override_path: self.override_path,
        })
    }
}

/// `"both.pem"`, `["a.pem", "b.pem"]` or `[["a.cert", "a.key"], …]`.
fn clients(value: &toml::Value, directory: &Path) -> Result<Vec<(PathBuf, PathBuf)>> {
    let invalid = || Error::failed("client must be a path, a list of paths, or a list of [certificate, key]");
    let one = |value: &toml::Value| match value {
        toml::Value::String(path) => Ok((directory.join(path), directory.join(path))),
        toml::Value::Array(pair) => match pair.as_slice() {
            [toml::Value::String(certificate), toml::Value::String(key)] => {
                let key = if key.is_empty() { certificate } else { key };
                Ok((directory.join(certificate), directory.join(key)))
            }
            [toml::Value::String(both)] => Ok((directory.join(both), directory.join(both))),
            _ => Err(invalid()),
        },
        _ => Err(invalid()),
    };
    match value {
        toml::Value::String(_) => Ok(vec![one(value)?]),
        toml::Value::Array(values) => values.iter().map(one).collect(),
        _ => Err(invalid()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_keeps_its_order_and_paths() {
        let text = r#"
            server = "https://registry-1.docker.io"
            [host."https://z.example"]
              capabilities = ["pull", "resolve"]
              ca = "z.crt"
              [host."https://z.example".header]
                x-one = "1"
            [host."http://a.example:5000/proxy"]
              capabilities = ["pull"]
              override_path = true
              skip_verify = true
              client = [["a.cert", "a.key"]]
        "#;
        let hosts = parse(text, Path::new("/certs/x")).unwrap();
        let names: Vec<&str> = hosts.mirrors.iter().map(|host| host.address.as_str()).collect();
        assert_eq!(names, ["https://z.example", "http://a.example:5000/proxy"]);
        let [first, second] = hosts.mirrors.as_slice() else { panic!() };
        assert_eq!(first.capabilities, Capabilities { pull: true, resolve: true, push: false });
        assert_eq!(first.ca, [PathBuf::from("/certs/x/z.crt")]);
        assert_eq!(first.headers, [("x-one".to_owned(), "1".to_owned())]);
        assert_eq!(second.client, [("/certs/x/a.cert".into(), "/certs/x/a.key".into())]);
        assert!(second.override_path && second.skip_verify && !first.skip_verify);
        assert_eq!(hosts.server.address, "https://registry-1.docker.io");
        assert_eq!(hosts.server.capabilities, Capabilities::ALL);
    }

    #[test]
    fn directories_are_tried_in_order() {
        let root = tempfile::tempdir().unwrap();
        let write = |name: &str, file: &str, text: &str| {
            std::fs::create_dir_all(root.path().join(name)).unwrap();
            std::fs::write(root.path().join(name).join(file), text).unwrap();
        };
        write("host_5000_", "hosts.toml", "server = 'http://one'");
        write("_default", "hosts.toml", "[host.'http://mirror']");
        write("certs.example", "ca.crt", "");
        let dirs = [PathBuf::from("/nonexistent"), root.path().to_path_buf()];
        assert_eq!(find(&dirs, "host:5000").unwrap().unwrap().server.address, "http://one");
        assert_eq!(find(&dirs, "other").unwrap().unwrap().mirrors.len(), 1);
        assert_eq!(find(&dirs, "certs.example").unwrap().unwrap().server.ca.len(), 1);
        assert_eq!(find(&dirs[..1], "other").unwrap(), None);
    }

    #[test]
    fn mistakes_are_named() {
        for text in ["server = 1", "[host.'x']\ncapabilities = ['fly']", "[host.'x']\nclient = 3", "nonsense"]
        {
            assert!(parse(text, Path::new("/")).is_err(), "{text}");
        }
    }
}
