//! `info`: what this machine's containerd is and has.

use serde_json::{Value, json};

use super::identity::identity;
use super::version::client;
use crate::cli::Context;
use crate::engine::system::{self, Info};
use crate::error::{Error, Result};
use crate::output::units::bytes_size;
use crate::output::{Inspector, Object};

/// Flags of `info`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  wharfie info\n  wharfie info --format '{{.CgroupVersion}}'")]
pub struct Args {
    /// Format output using a custom template: 'json', or a Go template such as '{{.ServerVersion}}'
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
    /// Show docker's view (dockercompat); nerdctl's own (native) is refused
    #[arg(long, value_name = "MODE", default_value = "dockercompat", hide = true)]
    mode: String,
}

/// Run the verb. Without a server the client's part is still told, and the error after it.
pub async fn run(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    if args.mode != "dockercompat" {
        return Err(Error::usage(format!(
            "--mode {} is not supported: there is docker's view alone",
            args.mode
        ))
        .hint("`wharfie info --format json` has all of it"));
    }
    let inspector = Inspector::parse_for(Object::Info, args.format.as_deref())?;
    let identity = identity(&cx.program);
    let server = match cx.engine().await {
        Ok(engine) => system::info(&engine, &identity).await,
        Err(error) => Err(error),
    };
    if inspector.is_default() {
        cx.ui.print(of_client(&identity.version, cx.config.debug))?;
        if let Ok(info) = &server {
            cx.ui.print(of_server(info))?;
            for warning in info.warnings.iter().flatten() {
                cx.ui.say(warning)?;
            }
        }
    } else {
        let value = value(server.as_ref(), client(&cx.program), cx.config.debug)?;
        inspector.line(cx.ui, Object::Info, &value)?;
    }
    server.map(|_| 0)
}

/// The server's fields, and beside them the client's.
fn value(server: Result<&Info, &Error>, mut client: Value, debug: bool) -> Result<Value> {
    let mut value = match server {
        Ok(info) => {
            serde_json::to_value(info).map_err(|cause| Error::failed(format!("encode JSON: {cause}")))?
        }
        Err(error) => json!({ "ServerErrors": [error.message] }),
    };
    client["Debug"] = debug.into();
    client["Plugins"] = json!([]);
    client["Warnings"] = Value::Null;
    value["ClientInfo"] = client;
    Ok(value)
}

fn of_client(version: &str, debug: bool) -> String {
    format!("Client:\n Version:    {version}\n Context:    default\n Debug Mode: {debug}\n\nServer:\n")
}

/// docker's text.
fn of_server(info: &Info) -> String {
    let mut lines = Lines::default();
    lines.add(1, "Containers", info.containers);
    lines.add(2, "Running", info.containers_running);
    lines.add(2, "Paused", info.containers_paused);
    lines.add(2, "Stopped", info.containers_stopped);
    lines.add(1, "Images", info.images);
    lines.add(1, "Server Version", &info.server_version);
    lines.add(1, "Storage Driver", &info.driver);
    for [key, value] in &info.driver_status {
        lines.add(2, key, value);
    }
    lines.add(1, "Logging Driver", &info.logging_driver);
    lines.add(1, "Cgroup Driver", &info.cgroup_driver);
    lines.add(1, "Cgroup Version", &info.cgroup_version);
    lines.title(1, "Plugins:");
    lines.add(2, "Volume", info.plugins.volume.join(" "));
    lines.add(2, "Network", info.plugins.network.join(" "));
    lines.add(2, "Log", info.plugins.log.join(" "));
    lines.add(2, "Storage", info.plugins.storage.join(" "));
    lines.add(1, "Swarm", "inactive");
    lines.add(1, "Runtimes", info.runtimes.keys().cloned().collect::<Vec<_>>().join(" "));
    lines.add(1, "Default Runtime", &info.default_runtime);
    lines.add(1, "Init Binary", &info.init_binary);
    lines.add(1, "containerd version", &info.containerd_commit.id);
    lines.add(1, "runc version", &info.runc_commit.id);
    lines.title(1, "Security Options:");
    for option in &info.security_options {
        security(option, &mut lines);
    }
    lines.add(1, "Kernel Version", &info.kernel_version);
    lines.add(1, "Operating System", &info.operating_system);
    lines.add(1, "OSType", &info.os_type);
    lines.add(1, "Architecture", &info.architecture);
    lines.add(1, "CPUs", info.ncpu);
    lines.add(1, "Total Memory", memory(info.mem_total));
    lines.add(1, "Name", &info.name);
    lines.add(1, "ID", &info.id);
    lines.add(1, "Docker Root Dir", &info.docker_root_dir);
    lines.add(1, "Debug Mode", info.debug);
    lines.add(1, "Experimental", info.experimental_build);
    lines.title(1, "Insecure Registries:");
    for network in
        info.registry_config.get("InsecureRegistryCIDRs").and_then(Value::as_array).into_iter().flatten()
    {
        lines.title(2, network.as_str().unwrap_or_default());
    }
    lines.add(1, "Live Restore Enabled", info.live_restore_enabled);
    lines.add(1, "containerd Address", text(&info.containerd, "/Address"));
    lines.add(1, "containerd Namespace", text(&info.containerd, "/Namespaces/Containers"));
    lines.0.push('\n');
    lines.0
}

fn text(value: &Value, path: &str) -> String {
    value.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned()
}

#[expect(clippy::cast_precision_loss, reason = "four digits are shown")]
fn memory(bytes: u64) -> String {
    bytes_size(bytes as f64)
}

/// `name=seccomp,profile=builtin`.
fn security(option: &str, lines: &mut Lines) {
    for (key, value) in option.split(',').filter_map(|part| part.split_once('=')) {
        match key {
            "name" => lines.title(2, value),
            "profile" => lines.add(3, "Profile", value),
            _ => {}
        }
    }
}

/// Lines `label: value`; what has no value is left out.
#[derive(Debug, Default)]
struct Lines(String);

impl Lines {
    fn add(&mut self, indent: usize, label: &str, value: impl ToString) {
        let value = value.to_string();
        if !value.is_empty() {
            self.title(indent, &format!("{label}: {value}"));
        }
    }

    fn title(&mut self, indent: usize, text: &str) {
        self.0.push_str(&format!("{:indent$}{text}\n", ""));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn security_options_are_lines() {
        let mut lines = Lines::default();
        for option in ["name=apparmor", "name=seccomp,profile=builtin", "odd"] {
            security(option, &mut lines);
        }
        assert_eq!(lines.0, "  apparmor\n  seccomp\n   Profile: builtin\n");
    }

    #[test]
    fn a_missing_server_leaves_the_client() {
        let error = Error::failed("cannot connect");
        let value = value(Err(&error), client("docker"), true).unwrap();
        assert_eq!(value["ServerErrors"], json!(["cannot connect"]));
        assert_eq!(
            (&value["ClientInfo"]["Version"], &value["ClientInfo"]["Debug"]),
            (&json!("29.0.0"), &json!(true))
        );
    }
}
