//! `version`: of this program, and of containerd and the runtime below it.

use serde_json::{Value, json};

use super::identity::{self, identity};
use crate::cli::Context;
use crate::engine::system::{self, ServerVersion};
use crate::error::{Error, Result};
use crate::output::{Inspector, Object};

/// Flags of `version`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  wharfie version\n  wharfie version --format '{{.Server.APIVersion}}'")]
pub struct Args {
    /// Format output using a custom template: 'json', or a Go template such as '{{.Client.Version}}'
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
}

/// The answer to `--version`.
pub fn one_line(program: &str) -> String {
    identity::one_line(program)
}

/// Run the verb. Without a server the client's part is still told, as docker does, and the error after it.
pub async fn run(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    let inspector = Inspector::parse_for(Object::Version, args.format.as_deref())?;
    let identity = identity(&cx.program);
    let server = match cx.engine().await {
        Ok(engine) => system::version(&engine, &identity).await,
        Err(error) => Err(error),
    };
    let mut client = client(&cx.program);
    client["Context"] = cx.config.context.clone().into();
    if inspector.is_default() {
        cx.ui.print(text(&client, server.as_ref().ok()))?;
    } else {
        let shown = server.as_ref().ok().map(serde_json::to_value).transpose();
        let shown = shown.map_err(|cause| Error::failed(format!("encode JSON: {cause}")))?;
        inspector.line(cx.ui, Object::Version, &json!({ "Client": client, "Server": shown }))?;
    }
    server.map(|_| 0)
}

/// docker's client part: here the same program.
pub(super) fn client(program: &str) -> Value {
    let identity = identity(program);
    json!({
        "Platform": { "Name": identity.platform },
        "Version": identity.version,
        "ApiVersion": system::API_VERSION,
        "DefaultAPIVersion": system::API_VERSION,
        "GitCommit": identity.build,
        "GoVersion": "",
        "Os": "linux",
        "Arch": crate::sys::host::go_architecture(std::env::consts::ARCH),
        "BuildTime": "",
        "Context": "default",
    })
}

/// docker's text: labels in a column of twenty.
fn text(client: &Value, server: Option<&ServerVersion>) -> String {
    let of_client = |name: &str| client.get(name).and_then(Value::as_str).unwrap_or_default();
    let platform = client.pointer("/Platform/Name").and_then(Value::as_str).unwrap_or_default();
    let mut text = format!("Client: {platform}\n");
    let mut line = |indent: usize, label: &str, value: &str| {
        if !value.is_empty() {
            let label = format!("{:indent$}{label}:", "");
            text.push_str(&format!("{label:<20}{value}\n"));
        }
    };
    line(1, "Version", of_client("Version"));
    line(1, "API version", of_client("ApiVersion"));
    line(1, "Git commit", of_client("GitCommit"));
    line(1, "OS/Arch", &format!("{}/{}", of_client("Os"), of_client("Arch")));
    line(1, "Context", of_client("Context"));
    if let Some(server) = server {
        text.push_str(&of_server(server));
    }
    text
}

fn of_server(server: &ServerVersion) -> String {
    let mut text = format!("\nServer: {}\n", server.platform.name);
    for component in &server.components {
        text.push_str(&format!(" {}:\n", component.name));
        let mut line = |label: &str, value: &str| {
            if !value.is_empty() {
                text.push_str(&format!("{:<20}{value}\n", format!("  {label}:")));
            }
        };
        line("Version", &component.version);
        if component.name == "Engine" {
            line(
                "API version",
                &format!("{} (minimum version {})", server.api_version, server.min_api_version),
            );
            line("Git commit", &server.git_commit);
            line("OS/Arch", &format!("{}/{}", server.os, server.arch));
            line("Experimental", "false");
        } else {
            line("GitCommit", component.details.get("GitCommit").map(String::as_str).unwrap_or_default());
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::system::{Component, Platform};

    #[test]
    fn the_text_is_dockers() {
        let server = ServerVersion {
            platform: Platform { name: "wharfie 0.1.0".into() },
            version: "29.0.0".into(),
            api_version: "1.52".into(),
            min_api_version: "1.44".into(),
            os: "linux".into(),
            arch: "amd64".into(),
            components: vec![
                Component { name: "Engine".into(), version: "29.0.0".into(), details: Default::default() },
                Component {
                    name: "runc".into(),
                    version: "1.1.5".into(),
                    details: [("GitCommit".into(), "abc".into())].into(),
                },
                Component { name: "crun".into(), version: String::new(), details: Default::default() },
            ],
            git_commit: "wharfie-0.1.0".into(),
            go_version: String::new(),
            kernel_version: "6.1".into(),
            build_time: String::new(),
        };
        assert_eq!(
            of_server(&server),
            "\nServer: wharfie 0.1.0\n Engine:\n  Version:          29.0.0\n  API version:      1.52 (minimum version 1.44)\n  \
             Git commit:       wharfie-0.1.0\n  OS/Arch:          linux/amd64\n  Experimental:     false\n runc:\n  \
             Version:          1.1.5\n  GitCommit:        abc\n crun:\n"
        );
        let alone = text(&client("docker"), None);
        assert!(
            alone.starts_with("Client: wharfie ") && alone.contains("\n Version:           29.0.0\n"),
            "{alone}"
        );
        assert!(!alone.contains("Server"), "{alone}");
    }
}
