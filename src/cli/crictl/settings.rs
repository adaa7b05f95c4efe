//! crictl's settings: flags over environment over /etc/crictl.yaml over defaults.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::tree::Globals;
use crate::cli::args::urfave::truth;
use crate::config::environment::Environment;
use crate::error::{Error, Kind, Result, reason};
use crate::output::notation::quote;
use crate::output::units::parse_duration;
use crate::store::{read_bounded, write_atomic};

/// Where the file is unless something else is said.
pub(super) const FILE: &str = "/etc/crictl.yaml";

/// How long a call may take unless something else is said.
const TIMEOUT: Duration = Duration::from_secs(2);

/// No such file is near this size.
const LARGEST: u64 = 1 << 20;

/// The keys of the file, in the order they are listed.
pub(super) const KEYS: [&str; 6] =
    ["runtime-endpoint", "image-endpoint", "timeout", "debug", "pull-image-on-create", "disable-pull-on-run"];

/// What the file says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct File {
    pub(super) runtime_endpoint: String,
    pub(super) image_endpoint: String,
    /// In seconds; nothing above 0 is the default.
    pub(super) timeout: i64,
    pub(super) debug: bool,
    pub(super) pull_image_on_create: bool,
    pub(super) disable_pull_on_run: bool,
    /// The file's lines, so that comments survive a change.
    lines: Vec<String>,
}

impl File {
    /// The file at `path`; None where there is none.
    pub(super) fn read(path: &Path) -> Result<Option<Self>> {
        let bytes = match read_bounded(path, LARGEST) {
            Ok(bytes) => bytes,
            Err(error) if error.kind == Kind::NotFound => return Ok(None),
            Err(error) => return Err(error.context("load config file")),
        };
        Self::parse(&String::from_utf8_lossy(&bytes))
            .map(Some)
            .map_err(|error| error.context("load config file"))
    }

    pub(super) fn parse(text: &str) -> Result<Self> {
        let mut file = Self { lines: text.lines().map(str::to_owned).collect(), ..Self::default() };
        let parsed: serde_json::Value =
            serde_saphyr::from_str(text).map_err(|cause| Error::failed(cause.to_string()))?;
        let entries = match &parsed {
            serde_json::Value::Object(entries) => entries,
            // An empty file says nothing.
            serde_json::Value::Null => return Ok(file),
            _ => return Err(Error::failed("it is no list of keys and values")),
        };
        for (key, value) in entries {
            let value = match value {
                serde_json::Value::String(text) => text.clone(),
                serde_json::Value::Null => String::new(),
                other => other.to_string(),
            };
            if !KEYS.contains(&key.as_str()) {
                return Err(Error::failed(format!("Config option '{key}' is not valid")));
            }
            file.assign(key, &value)
                .map_err(|cause| Error::failed(format!("parsing config option '{key}': {cause}")))?;
        }
        Ok(file)
    }

    /// What the key `name` is set to; None when there is no such key.
    pub(super) fn get(&self, name: &str) -> Option<String> {
        Some(match name {
            "runtime-endpoint" => self.runtime_endpoint.clone(),
            "image-endpoint" => self.image_endpoint.clone(),
            "timeout" => self.timeout.to_string(),
            "debug" => self.debug.to_string(),
            "pull-image-on-create" => self.pull_image_on_create.to_string(),
            "disable-pull-on-run" => self.disable_pull_on_run.to_string(),
            _ => return None,
        })
    }

    /// Sets a key, in crictl's words where that fails.
    pub(super) fn set(&mut self, name: &str, value: &str) -> Result<()> {
        if !KEYS.contains(&name) {
            return Err(no_option(name));
        }
        self.assign(name, value)
            .map_err(|cause| Error::failed(format!("parse {name} value '{value}': {cause}")))
    }

    fn assign(&mut self, name: &str, value: &str) -> Result<(), String> {
        let flag = |value: &str| {
            truth(value).ok_or_else(|| format!("strconv.ParseBool: parsing {}: invalid syntax", quote(value)))
        };
        match name {
            "runtime-endpoint" => value.clone_into(&mut self.runtime_endpoint),
            "image-endpoint" => value.clone_into(&mut self.image_endpoint),
            "timeout" => {
                self.timeout = value
                    .parse()
                    .map_err(|_| format!("strconv.Atoi: parsing {}: invalid syntax", quote(value)))?;
            }
            "debug" => self.debug = flag(value)?,
            "pull-image-on-create" => self.pull_image_on_create = flag(value)?,
            _ => self.disable_pull_on_run = flag(value)?,
        }
        Ok(())
    }

    /// Writes the file with every key in it. Lines of other content stay.
    pub(super) fn write(&self, path: &Path) -> Result<()> {
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(|cause| Error::io("create", parent, cause))?;
        }
        write_atomic(path, self.text().as_bytes(), 0o644)
    }

    fn text(&self) -> String {
        let mut lines = self.lines.clone();
        for key in KEYS {
            let value = match (key, self.get(key).unwrap_or_default()) {
                ("runtime-endpoint" | "image-endpoint", text)
                    if text.is_empty() || text.contains(['#', '"', '\'']) =>
                {
                    quote(&text)
                }
                (_, text) => text,
            };
            let is_key = |line: &String| line.split_once(':').is_some_and(|(name, _)| name == key);
            match lines.iter_mut().find(|line| is_key(line)) {
                Some(line) => {
                    let comment = line.find(" #").map(|at| line[at..].to_owned()).unwrap_or_default();
                    *line = format!("{key}: {value}{comment}");
                }
                None => lines.push(format!("{key}: {value}")),
            }
        }
        lines.join("\n") + "\n"
    }
}

/// crictl's words for a key that is not there.
pub(super) fn no_option(name: &str) -> Error {
    Error::failed(format!("no configuration option named {name}"))
}

/// What the command works with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Settings {
    /// Where the file is, or would be.
    pub(super) file: PathBuf,
    /// CRI's socket as written; None: the first known one that answers.
    pub(super) runtime_endpoint: Option<String>,
    /// The image service's; None: the same.
    pub(super) image_endpoint: Option<String>,
    /// How long a call may take.
    pub(super) timeout: Duration,
    pub(super) debug: bool,
    pub(super) pull_image_on_create: bool,
    pub(super) disable_pull_on_run: bool,
}

impl Settings {
    pub(super) fn settle(globals: &Globals, environment: &Environment) -> Result<Self> {
        let named = globals.config.clone().or_else(|| environment.set("CRI_CONFIG_FILE").map(PathBuf::from));
        let path = environment.directory.join(named.as_deref().unwrap_or(Path::new(FILE)));
        let file = match File::read(&path) {
            Ok(Some(file)) => file,
            Ok(None) if named.is_some() => {
                return Err(Error::failed(format!(
                    "load config file: stat {}: no such file or directory",
                    path.display()
                )));
            }
            Err(error) if named.is_some() => return Err(error),
            // As crictl does: a default file that cannot be read is as good as none.
            Ok(None) | Err(_) => File::default(),
        };
        let endpoint = |flag: &Option<String>, variable: &str, file: &str| {
            flag.clone()
                .or_else(|| environment.get(variable).map(str::to_owned))
                .or_else(|| (!file.is_empty()).then(|| file.to_owned()))
        };
        let timeout = match &globals.timeout {
            Some(text) => {
                let nanoseconds = parse_duration(text).map_err(|_| {
                    Error::failed(format!("invalid value {} for flag -timeout: parse error", quote(text)))
                })?;
                u64::try_from(nanoseconds)
                    .ok()
                    .filter(|nanoseconds| *nanoseconds > 0)
                    .map(Duration::from_nanos)
            }
            None => u64::try_from(file.timeout).ok().filter(|seconds| *seconds > 0).map(Duration::from_secs),
        };
        Ok(Self {
            runtime_endpoint: endpoint(
                &globals.runtime_endpoint,
                "CONTAINER_RUNTIME_ENDPOINT",
                &file.runtime_endpoint,
            ),
            image_endpoint: endpoint(&globals.image_endpoint, "IMAGE_SERVICE_ENDPOINT", &file.image_endpoint),
            timeout: timeout.unwrap_or(TIMEOUT),
            debug: globals.debug || file.debug,
            pull_image_on_create: file.pull_image_on_create,
            disable_pull_on_run: file.disable_pull_on_run,
            file: path,
        })
    }
}

/// The path of a unix socket written with or without `unix://`.
pub(super) fn socket(endpoint: &str) -> Result<PathBuf> {
    let path = endpoint.strip_prefix("unix://").unwrap_or(endpoint);
    if path.is_empty() || path.contains("://") {
        return Err(Error::failed(format!(
            "validate service connection: cannot use endpoint {}: only unix sockets are spoken",
            quote(endpoint)
        ))
        .hint("write it as unix:///run/containerd/containerd.sock"));
    }
    Ok(PathBuf::from(path))
}

/// The words of the system for what a socket said.
pub(super) fn cause_of(error: &Error, socket: &Path) -> String {
    let lead = format!("cannot connect to containerd at {}: ", socket.display());
    error.message.strip_prefix(&lead).map_or_else(|| error.message.clone(), str::to_owned)
}

/// A file's content as text, in Go's words where it cannot be had.
pub(super) fn read_text(path: &Path) -> Result<String> {
    let bytes = std::fs::read(path).map_err(|cause| match cause.kind() {
        std::io::ErrorKind::NotFound => Error::failed(format!("config at {} not found", path.display())),
        _ => Error::failed(format!("open {}: {}", path.display(), reason(&cause))),
    })?;
    String::from_utf8(bytes).map_err(|_| Error::failed(format!("{} is not text", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_and_changed_with_its_comments() {
        let text = "# node 7\nruntime-endpoint: unix:///a.sock # ours\ntimeout: 10\ndebug: true\n";
        let mut file = File::parse(text).unwrap();
        assert_eq!((file.runtime_endpoint.as_str(), file.timeout, file.debug), ("unix:///a.sock", 10, true));
        file.set("timeout", "5").unwrap();
        file.set("disable-pull-on-run", "1").unwrap();
        assert_eq!(
            file.text(),
            "# node 7\nruntime-endpoint: unix:///a.sock # ours\ntimeout: 5\ndebug: true\nimage-endpoint: \"\"\n\
             pull-image-on-create: false\ndisable-pull-on-run: true\n"
        );
        let again = File::parse(&file.text()).unwrap();
        assert_eq!(KEYS.map(|key| again.get(key)), KEYS.map(|key| file.get(key)));
        assert_eq!(File::parse("").unwrap().text().lines().count(), 6);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, why) in [
            ("nope: 1\n", "Config option 'nope' is not valid"),
            ("timeout: x\n", "parsing config option 'timeout': strconv.Atoi: parsing \"x\": invalid syntax"),
            ("debug: x\n", "parsing config option 'debug': strconv.ParseBool: parsing \"x\": invalid syntax"),
        ] {
            assert_eq!(File::parse(text).unwrap_err().message, why);
        }
        let error = File::default().set("x", "1").unwrap_err();
        assert_eq!(error.message, "no configuration option named x");
    }

    #[test]
    fn a_flag_beats_the_environment_which_beats_the_file() {
        let directory = std::env::temp_dir().join(format!("crictl-settings-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let file = directory.join("crictl.yaml");
        std::fs::write(&file, "runtime-endpoint: unix:///file\nimage-endpoint: unix:///file\ntimeout: 7\n")
            .unwrap();
        let environment = Environment::of(&[
            ("CRI_CONFIG_FILE", file.to_str().unwrap()),
            ("CONTAINER_RUNTIME_ENDPOINT", "unix:///environment"),
        ]);
        let settings = Settings::settle(&Globals::default(), &environment).unwrap();
        assert_eq!(settings.runtime_endpoint.as_deref(), Some("unix:///environment"));
        assert_eq!(settings.image_endpoint.as_deref(), Some("unix:///file"));
        assert_eq!(settings.timeout, Duration::from_secs(7));
        let globals = Globals {
            runtime_endpoint: Some("unix:///flag".into()),
            timeout: Some("300ms".into()),
            ..Globals::default()
        };
        let settings = Settings::settle(&globals, &environment).unwrap();
        assert_eq!(settings.runtime_endpoint.as_deref(), Some("unix:///flag"));
        assert_eq!(settings.timeout, Duration::from_millis(300));
        let globals = Globals { config: Some(directory.join("none")), ..Globals::default() };
        assert!(
            Settings::settle(&globals, &environment).unwrap_err().message.contains("load config file: stat")
        );
        std::fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn only_unix_sockets_are_spoken() {
        assert_eq!(socket("unix:///a.sock").unwrap(), Path::new("/a.sock"));
        assert_eq!(socket("/a.sock").unwrap(), Path::new("/a.sock"));
        assert!(socket("tcp://1.2.3.4:5").is_err());
    }
}
