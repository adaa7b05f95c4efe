//! containerd's own configuration as far as it says where registries are asked: `config_path`, and the older
//! `registry.mirrors` and `registry.configs`, which count where there is no `config_path`.

use std::path::{Path, PathBuf};

use toml::Value;

use super::credentials::{Credentials, Secret, decode};
use super::hosts::{Capabilities, Host, Hosts, Origin};
use crate::error::{Error, Kind, Result};
use crate::store::read_bounded;

const LARGEST_FILE: u64 = 4 << 20;
/// No chain of imports is followed further.
const MOST_FILES: usize = 100;
/// The plugins that have said it, by the file's version: 1, 2, 3.
const PLUGINS: [&str; 3] = ["cri", "io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images"];

/// Where a distribution keeps the file: a part of its socket's path, and the file.
const PLACES: [(&str, &str); 5] = [
    ("/run/k3s/", "/var/lib/rancher/rke2/agent/etc/containerd/config.toml"),
    ("/run/k3s/", "/var/lib/rancher/k3s/agent/etc/containerd/config.toml"),
    ("/microk8s/", "/var/snap/microk8s/current/args/containerd.toml"),
    ("/run/k0s/", "/etc/k0s/containerd.toml"),
    ("", "/etc/containerd/config.toml"),
];

/// What CRI's section of containerd's configuration says about registries.
#[derive(Debug, Clone, Default)]
pub struct Registries {
    /// `config_path`: the `certs.d` directories.
    pub directories: Vec<PathBuf>,
    /// `registry`, merged from all files.
    section: toml::Table,
    /// Each file with its text: for the lines.
    files: Vec<(PathBuf, String)>,
}

/// The configuration of the containerd behind the first of `sockets` that is there.
pub fn file_of(sockets: &[PathBuf]) -> PathBuf {
    let socket = sockets.iter().find(|socket| socket.exists()).or(sockets.first());
    let socket = socket.map(|socket| socket.to_string_lossy()).unwrap_or_default();
    let fitting =
        PLACES.iter().filter(|(part, _)| socket.contains(part)).map(|(_, file)| PathBuf::from(file));
    // k3s and rke2 share the socket: the one that has a file is meant.
    fitting.clone().find(|file| file.exists()).or_else(|| fitting.clone().next()).unwrap_or_default()
}

/// Read the configuration at `path` with what it imports. A file that is not there says nothing.
///
/// # Errors
/// A file that cannot be read or is no TOML.
pub fn read(path: &Path) -> Result<Registries> {
    let mut found = Registries::default();
    let mut waiting = vec![path.to_path_buf()];
    while let Some(path) = waiting.pop() {
        if found.files.len() >= MOST_FILES || found.files.iter().any(|(known, _)| *known == path) {
            continue;
        }
        let text = match read_bounded(&path, LARGEST_FILE) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if error.kind == Kind::NotFound => continue,
            Err(error) => return Err(error),
        };
        let table: toml::Table = text.parse().map_err(|cause: toml::de::Error| {
            Error::failed(format!("read {}: {}", path.display(), cause.message())).hint(
                "correct containerd's configuration, or say with --hosts-dir where registries are configured",
            )
        })?;
        let directory = path.parent().unwrap_or(Path::new("/"));
        let imports = table.get("imports").and_then(Value::as_array).into_iter().flatten();
        waiting
            .extend(imports.filter_map(Value::as_str).flat_map(|import| matching(&directory.join(import))));
        let plugins = table.get("plugins");
        for name in PLUGINS {
            let section = plugins.and_then(|plugins| plugins.get(name)?.get("registry")?.as_table());
            merge(&mut found.section, section.cloned().unwrap_or_default());
        }
        found.files.push((path, text));
    }
    let paths = found.section.get("config_path").and_then(Value::as_str).unwrap_or_default();
    found.directories = std::env::split_paths(paths).filter(|path| !path.as_os_str().is_empty()).collect();
    Ok(found)
}

impl Registries {
    /// What `mirrors` and `configs` say of `registry`; None where neither names it, or `config_path` counts.
    pub fn find(&self, registry: &str) -> Option<Hosts> {
        if !self.directories.is_empty() {
            return None;
        }
        let mirrors = self.section.get("mirrors").and_then(Value::as_table);
        let key = [registry, "*"].into_iter().find(|key| mirrors.is_some_and(|all| all.contains_key(*key)));
        let endpoints =
            key.and_then(|key| mirrors?.get(key)?.get("endpoint")?.as_array().cloned()).unwrap_or_default();
        let line = |what: &str, key: &str| {
            self.place(&format!("{what}.\"{key}\"")).or(self.place(&format!("{what}.{key}")))
        };
        let origin = key.and_then(|key| line("mirrors", key));
        let mirrors: Vec<Host> = endpoints
            .iter()
            .filter_map(Value::as_str)
            .filter(|endpoint| !endpoint.is_empty())
            .map(|endpoint| self.host(endpoint, origin.clone()))
            .collect();
        let authority = if registry == "docker.io" { "registry-1.docker.io" } else { registry };
        let settings = self.settings(authority).is_some();
        if mirrors.is_empty() && !settings {
            return None;
        }
        let mut server = self.host(authority, line("configs", authority));
        server.address = String::new();
        // As in a hosts.toml: a mirror that is the registry itself is the last one asked.
        server.capabilities = Capabilities::ALL;
        Some(Hosts { mirrors, server })
    }

    fn settings(&self, authority: &str) -> Option<&Value> {
        self.section.get("configs")?.get(authority)
    }

    fn host(&self, endpoint: &str, origin: Option<Origin>) -> Host {
        let (scheme, rest) = endpoint.split_once("://").unwrap_or(("", endpoint));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let scheme = match scheme {
            "" if is_localhost(authority) => "http",
            "" => "https",
            given => given,
        };
        let settings = self.settings(authority);
        let tls = settings.and_then(|settings| settings.get("tls"));
        let file = |key: &str| {
            let path = tls?.get(key)?.as_str()?;
            (!path.is_empty()).then(|| PathBuf::from(path))
        };
        let certificate = file("cert_file");
        Host {
            address: format!("{scheme}://{rest}"),
            capabilities: Capabilities { pull: true, resolve: true, push: false },
            ca: file("ca_file").into_iter().collect(),
            client: certificate.clone().zip(file("key_file").or(certificate)).into_iter().collect(),
            skip_verify: tls.and_then(|tls| tls.get("insecure_skip_verify")?.as_bool()).unwrap_or_default(),
            headers: vec![],
            // A path is the API's root there; only where there is none, it is `/v2`.
            override_path: !path.is_empty(),
            dial_timeout: None,
            credentials: settings.and_then(|settings| log_in(settings.get("auth")?)),
            origin,
        }
    }

    /// The line of the first table in any file whose title has `name`.
    fn place(&self, name: &str) -> Option<Origin> {
        let name = name.replace('"', "");
        self.files.iter().find_map(|(path, text)| {
            let is_title = |line: &str| {
                let line = line.trim().replace(['"', '\''], "");
                line.starts_with('[')
                    && (line.contains(&format!(".{name}]")) || line.contains(&format!(".{name}.")))
            };
            let line = text.lines().position(is_title)?;
            Some(Origin { path: path.clone(), line: Some(line + 1) })
        })
    }
}

/// `auth`: a name and a password, both in base64, or a token.
fn log_in(auth: &Value) -> Option<Credentials> {
    let text = |key: &str| auth.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    if let Some(username) = text("username") {
        let password = Secret::new(text("password").unwrap_or_default());
        return Some(Credentials::Password { username: username.to_owned(), password });
    }
    match (text("identitytoken"), text("auth")) {
        (Some(token), _) => Some(Credentials::IdentityToken(Secret::new(token))),
        (None, Some(both)) => decode(&Secret::new(both)),
        (None, None) => None,
    }
}

fn is_localhost(authority: &str) -> bool {
    let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Table by table; what comes later counts.
fn merge(into: &mut toml::Table, from: toml::Table) {
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(Value::Table(old)), Value::Table(new)) => merge(old, new),
            (_, value) => drop(into.insert(key, value)),
        }
    }
}

/// The files that a pattern with a star in its last part means.
fn matching(pattern: &Path) -> Vec<PathBuf> {
    let (Some(directory), Some(name)) =
        (pattern.parent(), pattern.file_name().and_then(|name| name.to_str()))
    else {
        return Vec::new();
    };
    let Some((begin, end)) = name.split_once('*') else { return vec![pattern.to_path_buf()] };
    let fits =
        |name: &str| name.len() >= begin.len() + end.len() && name.starts_with(begin) && name.ends_with(end);
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = entries
        .filter(|entry| entry.file_name().to_str().is_some_and(fits))
        .map(|entry| entry.path())
        .collect();
    // The last one is read first: what waits is taken from the end.
    found.sort_unstable_by(|one, other| other.cmp(one));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registries(text: &str) -> Registries {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.toml");
        std::fs::write(&path, text).unwrap();
        read(&path).unwrap()
    }

    #[test]
    fn mirrors_and_their_settings_in_each_version() {
        for (version, plugin) in
            [(1, "cri"), (2, "\"io.containerd.grpc.v1.cri\""), (3, "'io.containerd.cri.v1.images'")]
        {
            let found = registries(&format!(
                "version = {version}\n[plugins.{plugin}.registry.mirrors.\"docker.io\"]\n\
                 endpoint = ['mirror.example', 'http://cache.example:5000/hub', 'localhost:5000']\n\
                 [plugins.{plugin}.registry.configs.\"mirror.example\".tls]\nca_file = '/ca'\ncert_file = '/c'\n\
                 key_file = '/k'\ninsecure_skip_verify = true\n\
                 [plugins.{plugin}.registry.configs.\"cache.example:5000\".auth]\nusername = 'u'\npassword = 'p'\n\
                 [plugins.{plugin}.registry.configs.\"registry-1.docker.io\".auth]\nauth = 'YTpi'\n"
            ));
            let hosts = found.find("docker.io").unwrap();
            let addresses: Vec<&str> = hosts.mirrors.iter().map(|host| host.address.as_str()).collect();
            assert_eq!(
                addresses,
                ["https://mirror.example", "http://cache.example:5000/hub", "http://localhost:5000"]
            );
            let [first, second, third] = hosts.mirrors.as_slice() else { panic!() };
            assert_eq!((first.ca.as_slice(), first.skip_verify), ([PathBuf::from("/ca")].as_slice(), true));
            assert_eq!(first.client, [("/c".into(), "/k".into())]);
            assert!(second.override_path && !third.override_path && !first.capabilities.push);
            let password = |user: &str, password: &str| {
                Some(Credentials::Password { username: user.into(), password: Secret::new(password) })
            };
            assert_eq!(second.credentials, password("u", "p"));
            assert_eq!((hosts.server.address.as_str(), &hosts.server.credentials), ("", &password("a", "b")));
            assert!(first.origin.as_ref().unwrap().to_string().ends_with("config.toml:2"));
            assert!(hosts.server.origin.as_ref().unwrap().to_string().ends_with("config.toml:12"));
            assert_eq!(found.find("quay.io"), None);
        }
    }

    #[test]
    fn a_star_is_for_all_others_and_config_path_beats_it() {
        let star = "[plugins.cri.registry.mirrors.'*']\nendpoint = ['http://all:1']\n";
        assert_eq!(registries(star).find("quay.io").unwrap().mirrors[0].address, "http://all:1");
        let both = registries(&format!("[plugins.cri.registry]\nconfig_path = '/a:/b'\n{star}"));
        assert_eq!(
            (both.directories.as_slice(), both.find("quay.io")),
            ([PathBuf::from("/a"), "/b".into()].as_slice(), None)
        );
        // An empty one is none.
        let empty = registries(&format!("[plugins.cri.registry]\nconfig_path = ''\n{star}"));
        assert!(empty.find("quay.io").is_some());
    }

    #[test]
    fn imports_are_followed_and_count_more() {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(directory.path().join(name), text).unwrap();
        write(
            "config.toml",
            "imports = ['conf.d-*.toml', 'config.toml']\n[plugins.cri.registry]\nconfig_path = '/a'\n",
        );
        write("conf.d-1.toml", "[plugins.cri.registry]\nconfig_path = '/b'\n");
        write("conf.d-2.toml", "[plugins.cri.registry]\nconfig_path = '/c'\n");
        let path = directory.path().join("config.toml");
        assert_eq!(read(&path).unwrap().directories, [PathBuf::from("/c")]);
        write("conf.d-2.toml", "nonsense");
        assert!(read(&path).unwrap_err().message.contains("conf.d-2.toml"));
        assert!(read(&directory.path().join("none")).unwrap().directories.is_empty());
    }
}
