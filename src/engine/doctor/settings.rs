//! containerd's own configuration: its file in the three forms that there have been, with what it imports, and over
//! that what a live CRI says of itself.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::daemon::Daemon;
use super::node::Node;

/// The plugins with CRI's settings: versions 1 and 2, then the two halves of version 3.
pub(super) const CRI_PLUGINS: [&str; 4] =
    ["cri", "io.containerd.grpc.v1.cri", "io.containerd.cri.v1.runtime", "io.containerd.cri.v1.images"];
/// No chain of imports is followed further.
const MOST_FILES: usize = 100;

/// What containerd is configured to do, as far as checks need it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The file. It may not exist: containerd then has its defaults.
    pub path: PathBuf,
    /// The files that were read, the imported ones last.
    pub files: Vec<PathBuf>,
    /// What could not be read: the file and why.
    pub broken: Vec<(PathBuf, String)>,
    /// `version`; 1 where the file does not say. None without a file.
    pub version: Option<i64>,
    /// Where images and snapshots are kept.
    pub root: PathBuf,
    /// Where bundles of running containers are.
    pub state: PathBuf,
    /// `disabled_plugins`.
    pub disabled: Vec<String>,
    /// CRI's part.
    pub cri: CriSettings,
}

/// CRI's settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CriSettings {
    /// The image of sandboxes, where it is said.
    pub sandbox_image: Option<String>,
    /// The snapshotter of pods' containers.
    pub snapshotter: String,
    /// The directory of CNI configurations.
    pub cni_conf_dir: PathBuf,
    /// The directories of CNI's plugins.
    pub cni_bin_dirs: Vec<PathBuf>,
    /// The `certs.d` directories; None where nothing is said, empty when it is said to be none.
    pub certs_d: Option<Vec<PathBuf>>,
    /// The runtime of pods that ask for none.
    pub default_runtime: String,
    /// The runtimes by name.
    pub runtimes: BTreeMap<String, Runtime>,
}

/// A runtime that pods can ask for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Runtime {
    /// `io.containerd.runc.v2`.
    pub kind: String,
    /// The program, where another one than runc is named.
    pub program: String,
    /// Whether control groups are made by systemd.
    pub systemd: bool,
}

impl Default for CriSettings {
    fn default() -> Self {
        let runc = Runtime { kind: "io.containerd.runc.v2".into(), ..Runtime::default() };
        Self {
            sandbox_image: None,
            snapshotter: "overlayfs".into(),
            cni_conf_dir: "/etc/cni/net.d".into(),
            cni_bin_dirs: vec!["/opt/cni/bin".into()],
            certs_d: None,
            default_runtime: "runc".into(),
            runtimes: BTreeMap::from([("runc".to_owned(), runc)]),
        }
    }
}

impl Settings {
    /// The configuration of the containerd that is `daemon`.
    pub(super) fn read(node: &Node, daemon: &Daemon) -> Self {
        let mut settings = Self {
            path: daemon.config.clone(),
            files: Vec::new(),
            broken: Vec::new(),
            version: None,
            root: daemon.root.clone(),
            state: daemon.state.clone(),
            disabled: Vec::new(),
            cri: CriSettings::default(),
        };
        let mut merged = serde_json::Map::new();
        let mut waiting = vec![daemon.config.clone()];
        while let Some(path) = waiting.pop() {
            if settings.files.contains(&path) || settings.files.len() >= MOST_FILES || !node.has(&path) {
                continue;
            }
            let directory = path.parent().unwrap_or(Path::new("/")).to_path_buf();
            let parsed = node.text(&path).ok_or_else(|| "cannot be read".to_owned());
            match parsed.and_then(|text| parse(&text)) {
                Ok(table) => {
                    let imports = table.get("imports").and_then(Value::as_array).cloned().unwrap_or_default();
                    let patterns = imports.iter().filter_map(Value::as_str);
                    waiting.extend(patterns.flat_map(|pattern| matching(node, &directory.join(pattern))));
                    if settings.version.is_none() {
                        settings.version = Some(table.get("version").and_then(Value::as_i64).unwrap_or(1));
                    }
                    merge(&mut merged, table);
                }
                Err(cause) => settings.broken.push((path.clone(), cause)),
            }
            settings.files.push(path);
        }
        settings.apply_file(&Value::Object(merged), daemon);
        settings
    }

    fn apply_file(&mut self, file: &Value, daemon: &Daemon) {
        if let Some(root) = string(file, &["root"]).filter(|_| !daemon.root_given) {
            self.root = root.into();
        }
        if let Some(state) = string(file, &["state"]).filter(|_| !daemon.state_given) {
            self.state = state.into();
        }
        self.disabled = strings(file.get("disabled_plugins"));
        let plugins = file.get("plugins").unwrap_or(&Value::Null);
        for name in CRI_PLUGINS {
            if let Some(section) = plugins.get(name) {
                self.cri.apply(section);
            }
        }
    }

    /// What a live CRI says, which counts more than a file that may have been changed since.
    pub(super) fn apply_live(&mut self, live: &Value) {
        self.cri.apply(live);
        if let Some(root) = string(live, &["containerdRootDir"]).filter(|root| !root.is_empty()) {
            self.root = root.into();
        }
    }

    /// Whether a list of switched-off plugins names CRI.
    pub(super) fn cri_is_disabled(&self) -> bool {
        self.disabled.iter().any(|name| CRI_PLUGINS.contains(&name.as_str()))
    }

    /// The runtime of pods that ask for none.
    pub(super) fn runtime(&self) -> Runtime {
        let known = self.cri.runtimes.get(&self.cri.default_runtime).cloned();
        known.unwrap_or_else(|| Runtime { kind: "io.containerd.runc.v2".into(), ..Runtime::default() })
    }
}

impl CriSettings {
    /// Take what `section` says: keys as the file has them, or as CRI's answer has them.
    fn apply(&mut self, section: &Value) {
        if let Some(image) =
            string(section, &["sandbox_image", "sandboxImage"]).filter(|image| !image.is_empty())
        {
            self.sandbox_image = Some(image.to_owned());
        }
        let pinned = pick(section, &["pinned_images", "pinnedImages"]);
        if let Some(image) = string(pinned, &["sandbox"]) {
            self.sandbox_image = Some(image.to_owned());
        }
        let containerd = pick(section, &["containerd"]);
        let snapshotter = string(containerd, &["snapshotter"]).or_else(|| string(section, &["snapshotter"]));
        if let Some(name) = snapshotter.filter(|name| !name.is_empty()) {
            self.snapshotter = name.to_owned();
        }
        if let Some(name) = string(containerd, &["default_runtime_name", "defaultRuntimeName"]) {
            self.default_runtime = name.to_owned();
        }
        for (name, section) in pick(containerd, &["runtimes"]).as_object().into_iter().flatten() {
            let runtime = self.runtimes.entry(name.clone()).or_default();
            if let Some(kind) = string(section, &["runtime_type", "runtimeType"]) {
                runtime.kind = kind.to_owned();
            }
            let options = pick(section, &["options"]);
            if let Some(program) = string(options, &["BinaryName"]) {
                runtime.program = program.to_owned();
            }
            if let Some(systemd) = options.get("SystemdCgroup").and_then(Value::as_bool) {
                runtime.systemd = systemd;
            }
        }
        let cni = pick(section, &["cni"]);
        if let Some(directory) = string(cni, &["conf_dir", "confDir"]).filter(|text| !text.is_empty()) {
            self.cni_conf_dir = directory.into();
        }
        let mut bins = strings(Some(pick(cni, &["bin_dirs", "binDirs"])));
        if bins.is_empty() {
            bins.extend(string(cni, &["bin_dir", "binDir"]).map(str::to_owned));
        }
        bins.retain(|directory| !directory.is_empty());
        if !bins.is_empty() {
            self.cni_bin_dirs = bins.into_iter().map(PathBuf::from).collect();
        }
        if let Some(path) = string(pick(section, &["registry"]), &["config_path", "configPath"]) {
            self.certs_d = Some(path.split(':').filter(|part| !part.is_empty()).map(PathBuf::from).collect());
        }
    }
}

/// A TOML file as JSON's values.
pub(super) fn parse(text: &str) -> Result<serde_json::Map<String, Value>, String> {
    let table: toml::Table = text.parse().map_err(|cause: toml::de::Error| {
        let line = cause.span().map(|span| text[..span.start.min(text.len())].matches('\n').count() + 1);
        let place = line.map(|line| format!("line {line}: ")).unwrap_or_default();
        format!("{place}{}", cause.message())
    })?;
    match serde_json::to_value(table) {
        Ok(Value::Object(map)) => Ok(map),
        _ => Err("is no table".into()),
    }
}

/// As containerd merges: tables key by key, lists of plugins one after the other, all else replaced.
fn merge(into: &mut serde_json::Map<String, Value>, from: serde_json::Map<String, Value>) {
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(Value::Object(old)), Value::Object(new)) => merge(old, new),
            (Some(Value::Array(old)), Value::Array(new)) => old.extend(new),
            (_, value) => drop(into.insert(key, value)),
        }
    }
}

/// The files that a pattern with stars in its last part means.
fn matching(node: &Node, pattern: &Path) -> Vec<PathBuf> {
    let (Some(directory), Some(name)) =
        (pattern.parent(), pattern.file_name().and_then(|name| name.to_str()))
    else {
        return Vec::new();
    };
    if !name.contains('*') {
        return vec![pattern.to_path_buf()];
    }
    let names = node.names(directory).into_iter().filter_map(|name| name.into_string().ok());
    let mut found: Vec<PathBuf> =
        names.filter(|candidate| fits(name, candidate)).map(|name| directory.join(name)).collect();
    // The last one waiting is read first.
    found.reverse();
    found
}

/// Whether `name` fits a pattern with stars.
fn fits(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| name.strip_prefix(first)) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

fn pick<'a>(value: &'a Value, keys: &[&str]) -> &'a Value {
    keys.iter().find_map(|key| value.get(key)).unwrap_or(&Value::Null)
}

fn string<'a>(value: &'a Value, keys: &[&str]) -> Option<&'a str> {
    pick(value, keys).as_str()
}

fn strings(value: Option<&Value>) -> Vec<String> {
    let texts = value.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    texts.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::super::node::tests::node;
    use super::*;

    fn read(files: &[(&str, &str)]) -> Settings {
        let (_root, node) = node(files);
        Settings::read(&node, &Daemon::of_socket(&node, Path::new("/run/containerd/containerd.sock")))
    }

    const CONFIG: &str = "/etc/containerd/config.toml";

    #[test]
    fn all_three_forms_are_read() {
        let first = "root = '/data'\n[plugins.cri]\nsandbox_image = 'pause:1'\n[plugins.cri.cni]\nbin_dir = '/cni'\n\
            [plugins.cri.containerd.runtimes.runc.options]\nSystemdCgroup = true\n";
        let second = "version = 2\nroot = '/data'\n[plugins.'io.containerd.grpc.v1.cri']\nsandbox_image = 'pause:1'\n\
            [plugins.'io.containerd.grpc.v1.cri'.cni]\nbin_dir = '/cni'\n\
            [plugins.'io.containerd.grpc.v1.cri'.containerd.runtimes.runc.options]\nSystemdCgroup = true\n";
        let third = "version = 3\nroot = '/data'\n[plugins.'io.containerd.cri.v1.images'.pinned_images]\nsandbox = 'pause:1'\n\
            [plugins.'io.containerd.cri.v1.runtime'.cni]\nbin_dirs = ['/cni']\n\
            [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]\nSystemdCgroup = true\n";
        for (text, version) in [(first, 1), (second, 2), (third, 3)] {
            let settings = read(&[(CONFIG, text)]);
            assert_eq!(settings.version, Some(version));
            assert_eq!((settings.root.to_str(), &settings.broken), (Some("/data"), &vec![]));
            assert_eq!(settings.cri.sandbox_image.as_deref(), Some("pause:1"), "{text}");
            assert_eq!(settings.cri.cni_bin_dirs, [PathBuf::from("/cni")]);
            let runtime = settings.runtime();
            assert!(runtime.systemd && runtime.kind == "io.containerd.runc.v2", "{text}");
        }
    }

    #[test]
    fn imports_add_to_it() {
        let settings = read(&[
            (
                CONFIG,
                "version = 2\nimports = ['conf.d/*.toml', '/etc/more.toml']\ndisabled_plugins = ['a']\n",
            ),
            ("/etc/containerd/conf.d/1.toml", "disabled_plugins = ['cri']"),
            (
                "/etc/containerd/conf.d/2.toml",
                "[plugins.'io.containerd.grpc.v1.cri'.registry]\nconfig_path = '/a:/b'\n",
            ),
            ("/etc/containerd/conf.d/3.txt", "nonsense"),
            ("/etc/more.toml", "imports = ['/etc/containerd/config.toml']\nx ="),
        ]);
        assert_eq!(settings.files.len(), 4);
        let mut disabled = settings.disabled.clone();
        disabled.sort();
        assert_eq!((disabled, settings.cri_is_disabled()), (vec!["a".to_owned(), "cri".to_owned()], true));
        assert_eq!(settings.cri.certs_d, Some(vec!["/a".into(), "/b".into()]));
        assert_eq!(settings.broken.len(), 1);
        assert!(settings.broken[0].1.starts_with("line 2: "), "{:?}", settings.broken);
    }

    #[test]
    fn a_live_cri_knows_better() {
        let mut settings = read(&[]);
        assert_eq!((settings.version, settings.files.len()), (None, 0));
        settings.apply_live(&serde_json::json!({
            "containerd": {"snapshotter": "native", "defaultRuntimeName": "crun", "runtimes": {
                "crun": {"runtimeType": "io.containerd.runc.v2", "options": {"BinaryName": "/bin/crun", "SystemdCgroup": true}}}},
            "cni": {"binDir": "/b", "confDir": "/c"}, "registry": {"configPath": ""},
            "sandboxImage": "p:1", "containerdRootDir": "/r",
        }));
        let cri = &settings.cri;
        assert_eq!((cri.snapshotter.as_str(), cri.sandbox_image.as_deref()), ("native", Some("p:1")));
        assert_eq!(
            settings.runtime(),
            Runtime { kind: "io.containerd.runc.v2".into(), program: "/bin/crun".into(), systemd: true }
        );
        assert_eq!((cri.cni_conf_dir.to_str(), settings.root.to_str()), (Some("/c"), Some("/r")));
        assert_eq!(cri.certs_d, Some(vec![]));
    }

    #[test]
    fn stars_fit() {
        for (pattern, name, expected) in [
            ("*.toml", "a.toml", true),
            ("*.toml", "a.tml", false),
            ("a*b*c", "a1b2c", true),
            ("a", "ab", false),
        ] {
            assert_eq!(fits(pattern, name), expected, "{pattern} {name}");
        }
    }
}
