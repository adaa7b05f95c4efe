//! `port`: where the ports of a container are published.

use crate::cli::errors::EngineResult;
use crate::cli::{Context, names};
use crate::engine::container::{inspect, locate};
use crate::error::{Error, Result};
use crate::net::PublishedPort;

/// Flags of `port`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  wharfie port web\n  wharfie port web 80/tcp")]
pub struct Args {
    /// The container by name or id
    #[arg(value_name = "CONTAINER", add = names::containers())]
    container: String,
    /// Only this port of the container, tcp unless it says otherwise
    #[arg(value_name = "PRIVATE_PORT[/PROTO]")]
    port: Option<String>,
}

/// Run the verb.
pub async fn run(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    let wanted = args.port.as_deref().map(parse).transpose()?;
    let engine = cx.engine().await?;
    let (_, container) = locate(&engine, &args.container).await.told()?;
    let published = inspect::connection(&container).map(|connection| connection.ports).unwrap_or_default();
    for line in lines(&published, wanted.as_ref(), &args.container)? {
        cx.ui.line(line)?;
    }
    Ok(0)
}

/// A port of the container: its number and protocol, and how it was asked for.
type Wanted = (u16, String, String);

fn parse(text: &str) -> Result<Wanted> {
    let (port, protocol) = text.split_once('/').unwrap_or((text, ""));
    let port = port.parse().map_err(|_| {
        Error::failed(format!(
            "Error: invalid port ({port}): strconv.ParseUint: parsing {port:?}: invalid syntax"
        ))
        .hint("write it as 80 or 53/udp")
    })?;
    Ok((
        port,
        if protocol.is_empty() { "tcp".into() } else { protocol.to_ascii_lowercase() },
        text.to_owned(),
    ))
}

/// The lines to print, in the order of the ports; an error where the wanted one is not published.
fn lines(published: &[PublishedPort], wanted: Option<&Wanted>, container: &str) -> Result<Vec<String>> {
    let mut ports: Vec<&PublishedPort> = published.iter().collect();
    ports.sort_by_key(|port| (port.container_port, port.protocol, port.host_ip, port.host_port));
    let Some((number, protocol, asked)) = wanted else {
        let line = |port: &&PublishedPort| {
            format!("{}/{} -> {}", port.container_port, port.protocol.name(), host(port))
        };
        return Ok(ports.iter().map(line).collect());
    };
    ports.retain(|port| port.container_port == *number && port.protocol.name() == protocol);
    if ports.is_empty() {
        return Err(Error::failed(format!("Error: No public port '{asked}' published for {container}"))
            .hint(format!("`wharfie port {container}` lists what is published")));
    }
    Ok(ports.into_iter().map(host).collect())
}

fn host(port: &PublishedPort) -> String {
    std::net::SocketAddr::new(port.host_ip, port.host_port).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::request::Protocol;

    fn published() -> Vec<PublishedPort> {
        let port = |host_ip: &str, host_port, container_port, protocol| PublishedPort {
            host_ip: host_ip.parse().unwrap(),
            host_port,
            container_port,
            protocol,
        };
        vec![
            port("::", 8080, 80, Protocol::Tcp),
            port("0.0.0.0", 8080, 80, Protocol::Tcp),
            port("127.0.0.1", 5353, 53, Protocol::Udp),
        ]
    }

    #[test]
    fn lines_are_dockers() {
        let all = lines(&published(), None, "web").unwrap();
        assert_eq!(all, ["53/udp -> 127.0.0.1:5353", "80/tcp -> 0.0.0.0:8080", "80/tcp -> [::]:8080"]);
        assert!(lines(&[], None, "web").unwrap().is_empty());
        for (text, expected) in
            [("80", vec!["0.0.0.0:8080", "[::]:8080"]), ("53/UDP", vec!["127.0.0.1:5353"])]
        {
            assert_eq!(lines(&published(), Some(&parse(text).unwrap()), "web").unwrap(), expected);
        }
    }

    #[test]
    fn what_is_not_published_is_named() {
        let error = lines(&published(), Some(&parse("53").unwrap()), "web").unwrap_err();
        assert_eq!(error.message, "Error: No public port '53' published for web");
        for text in ["x", "", "65536", "-1", "/tcp"] {
            assert_eq!(parse(text).unwrap_err().exit_code(), 1, "{text}");
        }
    }
}
