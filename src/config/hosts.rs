//! containerd's `certs.d/<host>/hosts.toml`, and docker's certificate directories beside it: where a
//! registry is really asked, and what it is told.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use super::credentials::Credentials;
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
    /// Everything.
    pub const ALL: Self = Self { pull: true, resolve: true, push: true };
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
    /// How long a connection may take to come about.
    pub dial_timeout: Option<Duration>,
    /// The log-in that the same file gives.
    pub credentials: Option<Credentials>,
    /// The line that names it.
    pub origin: Option<Origin>,
}

/// A place in a configuration file, or a directory of certificates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The file or directory.
    pub path: PathBuf,
    /// The line, from 1; None for a directory.
    pub line: Option<usize>,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}", self.path.display()),
            None => self.path.display().fmt(f),
        }
    }
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
    dial_timeout: Option<String>,
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

/// The settings for `registry` (`docker.io`, `host:5000`): of the first of `directories` that has a directory for it,
/// or a `_default` for those without their own. None when there is none.
///
/// # Errors
/// A hosts.toml that cannot be read, with what is wrong in it.
pub fn find(directories: &[PathBuf], registry: &str) -> Result<Option<Hosts>> {
    let own = match registry.rsplit_once(':') {
        Some((host, port)) => vec![format!("{host}_{port}_"), registry.to_owned()],
        None => vec![registry.to_owned()],
    };
    for directory in directories {
        let named = own.iter().map(String::as_str).chain(["_default"]).map(|name| directory.join(name));
        // As containerd does it: a directory that is there is the one, whatever is in it.
        if let Some(directory) = named.into_iter().find(|directory| directory.is_dir()) {
            return read_directory(&directory).map(Some);
        }
    }
    Ok(None)
}

fn read_directory(directory: &Path) -> Result<Hosts> {
    let path = directory.join("hosts.toml");
    match read_bounded(&path, LARGEST_FILE) {
        Ok(bytes) if bytes.is_empty() => Ok(certificates(directory)),
        Ok(bytes) => String::from_utf8(bytes)
            .map_err(|_| "not UTF-8".to_owned())
            .and_then(|text| parse(&text, &path))
            .map_err(|cause| {
                Error::failed(format!("read {}: {cause}", path.display()))
                    .hint("see https://github.com/containerd/containerd/blob/main/docs/hosts.md for its form")
            }),
        Err(error) if error.kind == Kind::NotFound => Ok(certificates(directory)),
        Err(error) => Err(error),
    }
}

/// Docker's form: `*.crt` are authorities, `x.cert` with `x.key` client certificates.
fn certificates(directory: &Path) -> Hosts {
    let mut server = Host::itself();
    server.origin = Some(Origin { path: directory.to_path_buf(), line: None });
    let entries = std::fs::read_dir(directory).into_iter().flatten();
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("crt") => server.ca.push(path),
            Some("cert") => {
                let key = path.with_extension("key");
                let key = if key.exists() { key } else { path.clone() };
                server.client.push((path, key));
            }
            _ => {}
        }
    }
    Hosts { mirrors: vec![], server }
}

/// The hosts.toml at `path`.
fn parse(text: &str, path: &Path) -> Result<Hosts, String> {
    let directory = path.parent().unwrap_or(Path::new("/"));
    let file: File = toml::from_str(text).map_err(|cause| told(&cause, text))?;
    let document = toml::de::DeTable::parse(text).map_err(|cause| told(&cause, text))?;
    let document = document.get_ref();
    let origin = |start: Option<usize>| {
        let line = start.map(|start| text[..start.min(text.len())].matches('\n').count() + 1);
        Some(Origin { path: path.to_path_buf(), line })
    };
    // The order is what the user chose, and a table does not keep it.
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    if let Some(hosts) = document.get("host").and_then(|value| value.get_ref().as_table()) {
        places.extend(hosts.keys().map(|key| (key.get_ref().to_string(), key.span().start)));
    }
    let mut mirrors = Vec::with_capacity(file.host.len());
    for (address, settings) in file.host {
        let place = places.get(&address).copied();
        let mut host = settings.host(address, directory).map_err(|error| error.message)?;
        host.origin = origin(place);
        mirrors.push((place, host));
    }
    mirrors.sort_by_key(|(place, _)| place.unwrap_or(usize::MAX));
    let mut server = file.server_settings.host(file.server, directory).map_err(|error| error.message)?;
    if server.address.is_empty() {
        // As with containerd: the registry itself does everything where the file does not name a server.
        server.capabilities = Capabilities::ALL;
    }
    let named = document.keys().find(|key| key.get_ref() == "server").map(|key| key.span().start);
    server.origin = origin(named);
    Ok(Hosts { mirrors: mirrors.into_iter().map(|(_, host)| host).collect(), server })
}

/// What is wrong and where, without the line itself: a header can be a secret.
fn told(cause: &toml::de::Error, text: &str) -> String {
    let line = cause.span().map(|span| text[..span.start.min(text.len())].matches('\n').count() + 1);
    let place = line.map(|line| format!("line {line}: ")).unwrap_or_default();
    let message = cause.message();
    match (message.find(" string \""), message.rfind("\", expected")) {
        (Some(begin), Some(end)) if begin < end => {
            format!("{place}{} a text{}", &message[..begin], &message[end + 1..])
        }
        _ => format!("{place}{message}"),
    }
}

impl Host {
    /// A registry that nothing is said about.
    pub fn itself() -> Self {
        Self {
            address: String::new(),
            capabilities: Capabilities::ALL,
            ca: vec![],
            client: vec![],
            skip_verify: false,
            headers: vec![],
            override_path: false,
            dial_timeout: None,
            credentials: None,
            origin: None,
        }
    }
}

impl Settings {
    fn host(self, address: String, directory: &Path) -> Result<Host> {
        let capabilities = match self.capabilities.as_deref() {
            None | Some([]) => Capabilities::ALL,
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
            dial_timeout: self.dial_timeout.as_deref().map(duration).transpose()?,
            credentials: None,
            origin: None,
        })
    }
}

/// `3s`, `1m30s`; 0 is no limit of its own.
fn duration(text: &str) -> Result<Duration> {
    let parsed: Option<jiff::SignedDuration> = text.parse().ok();
    parsed
        .and_then(|parsed| Duration::try_from(parsed).ok())
        .ok_or_else(|| Error::failed(format!("invalid dial_timeout {text:?}")))
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
    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;

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
        let hosts = parse(text, Path::new("/certs/x/hosts.toml")).unwrap();
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
        let lines = [first, second, &hosts.server].map(|host| host.origin.as_ref().unwrap().to_string());
        assert_eq!(lines, ["/certs/x/hosts.toml:3", "/certs/x/hosts.toml:8", "/certs/x/hosts.toml:2"]);
    }

    #[test]
    fn what_is_left_out_means_what_it_means_to_containerd() {
        let parse = |text: &str| parse(text, Path::new("/c/hosts.toml")).unwrap();
        // No capabilities and none of them are all of them; a server without a name has all.
        let hosts = parse("capabilities = ['pull']\n[host.'a']\ncapabilities = []");
        assert_eq!(
            (hosts.mirrors[0].capabilities, hosts.server.capabilities),
            (Capabilities::ALL, Capabilities::ALL)
        );
        let hosts = parse("server = 's'\ncapabilities = ['Pull']");
        assert!(hosts.server.capabilities.pull && !hosts.server.capabilities.resolve);
        // Certificates in each form that there is.
        let hosts = parse("ca = ['x', '/y']\nclient = ['one', ['two'], ['three', ''], ['four', 'k']]");
        assert_eq!(hosts.server.ca, [PathBuf::from("/c/x"), PathBuf::from("/y")]);
        let pair = |one: &str, other: &str| (PathBuf::from(one), PathBuf::from(other));
        let expected = [
            pair("/c/one", "/c/one"),
            pair("/c/two", "/c/two"),
            pair("/c/three", "/c/three"),
            pair("/c/four", "/c/k"),
        ];
        assert_eq!(hosts.server.client, expected);
        assert_eq!(
            parse("dial_timeout = '1m500ms'").server.dial_timeout,
            Some(Duration::from_millis(60_500))
        );
        assert_eq!(parse("client = 'both.pem'").server.client, [pair("/c/both.pem", "/c/both.pem")]);
        let hosts = parse("[header]\na = ['1', '2']");
        assert_eq!(hosts.server.headers, [("a".into(), "1".into()), ("a".into(), "2".into())]);
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
        write("certs.example", "c.cert", "");
        write("certs.example", "d.cert", "");
        write("certs.example", "d.key", "");
        write("empty.example", "notes", "");
        let dirs = [PathBuf::from("/nonexistent"), root.path().to_path_buf()];
        assert_eq!(find(&dirs, "host:5000").unwrap().unwrap().server.address, "http://one");
        assert_eq!(find(&dirs, "other").unwrap().unwrap().mirrors.len(), 1);
        let certified = find(&dirs, "certs.example").unwrap().unwrap().server;
        assert_eq!(certified.ca.len(), 1);
        let at = |name: &str| root.path().join("certs.example").join(name);
        assert_eq!(certified.client, [(at("c.cert"), at("c.cert")), (at("d.cert"), at("d.key"))]);
        // A directory of its own, however empty, is not `_default`; and the first directory's `_default` comes before
        // the second one's own.
        assert_eq!(find(&dirs, "empty.example").unwrap().unwrap().mirrors, []);
        let second = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(second.path().join("other")).unwrap();
        let both = [root.path().to_path_buf(), second.path().to_path_buf()];
        assert_eq!(find(&both, "other").unwrap().unwrap().mirrors.len(), 1);
        assert_eq!(find(&dirs[..1], "other").unwrap(), None);
    }

    fn settings() -> ProptestConfig {
        // The same cases every time: a failure must not depend on the day.
        ProptestConfig {
            cases: 300,
            rng_seed: RngSeed::Fixed(1),
            failure_persistence: None,
            ..Default::default()
        }
    }

    proptest! {
        #![proptest_config(settings())]

        #[test]
        fn no_text_makes_the_parser_panic(text in prop_oneof![
            any::<String>(),
            "(server|host|ca|client|header|capabilities|[.'\"=\\[\\]{}a-z,\n ])*",
        ]) {
            let _ = parse(&text, Path::new("/c/hosts.toml"));
        }

        #[test]
        fn what_is_written_is_read_in_its_order(
            names in proptest::collection::hash_set("[a-z]{1,8}(:[1-9][0-9]{0,3})?(/[a-z]{1,4})?", 0..6),
            able in proptest::collection::vec((any::<bool>(), any::<bool>(), any::<bool>()), 6),
            skip in any::<bool>(),
            quiet in 0..3_usize,
        ) {
            let names: Vec<String> = names.into_iter().map(|name| format!("https://{name}")).collect();
            let mut text = "\n".repeat(quiet);
            text.push_str(&format!("server = 'https://own'\nskip_verify = {skip}\n"));
            let all = |(pull, resolve, push): (bool, bool, bool)| {
                [(pull, "pull"), (resolve, "resolve"), (push, "push")].into_iter().filter(|(able, _)| *able).map(|(_, name)| name).collect::<Vec<_>>()
            };
            for (name, able) in names.iter().zip(&able) {
                text.push_str(&format!("[host.{name:?}]\ncapabilities = {:?}\n", all(*able)));
            }
            let hosts = parse(&text, Path::new("/c/hosts.toml")).unwrap();
            let read: Vec<String> = hosts.mirrors.iter().map(|host| host.address.clone()).collect();
            prop_assert_eq!(&read, &names);
            prop_assert_eq!(hosts.server.skip_verify, skip);
            for (at, (host, able)) in hosts.mirrors.iter().zip(&able).enumerate() {
                let Capabilities { pull, resolve, push } = host.capabilities;
                let none = *able == (false, false, false);
                prop_assert_eq!((pull, resolve, push), if none { (true, true, true) } else { *able });
                prop_assert_eq!(host.origin.as_ref().unwrap().line, Some(quiet + 3 + 2 * at));
            }
        }
    }

    #[test]
    fn mistakes_are_named() {
        for text in ["server = 1", "[host.'x']\ncapabilities = ['fly']", "[host.'x']\nclient = 3", "nonsense"]
        {
            assert!(parse(text, Path::new("/hosts.toml")).is_err(), "{text}");
        }
        for (text, line) in [
            ("\n[header]\nAuthorization = \"Bearer hunter2", "line 3"),
            ("header = 'Bearer hunter2'", "line 1"),
            ("dial_timeout = 'x'", "dial_timeout"),
        ] {
            let error = parse(text, Path::new("/hosts.toml")).unwrap_err();
            assert!(error.contains(line) && !error.contains("hunter2"), "{error}");
        }
    }
}
