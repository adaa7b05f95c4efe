//! `network connect`: one more network for a container, whether or not it runs.

use crate::cli::args::errors::{parse_all, parse_one};
use crate::cli::args::parse::{address, link, network};
use crate::cli::errors::EngineResult;
use crate::cli::{Context, names};
use crate::engine::container::{connect, locate, permit, settle};
use crate::error::{Error, Result};
use crate::oci::request::EndpointRequest;

/// Flags of `network connect`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  wharfie network connect shop web\n  \
                  wharfie network connect --ip 10.9.0.7 --alias db shop postgres")]
pub struct Args {
    /// Add network-scoped alias for the container
    #[arg(long, value_name = "stringSlice", value_delimiter = ',')]
    alias: Vec<String>,
    /// Driver options for the network: com.docker.network.endpoint.ifname and .sysctls
    #[arg(long, value_name = "stringSlice")]
    driver_opt: Vec<String>,
    /// Highest gw-priority provides the default gateway. Accepts positive and negative values
    #[arg(long, value_name = "int", allow_negative_numbers = true, default_value_t = 0)]
    gw_priority: i64,
    /// IPv4 address (e.g., "172.30.100.104")
    #[arg(long, value_name = "ip")]
    ip: Option<String>,
    /// IPv6 address (e.g., "2001:db8::33")
    #[arg(long, value_name = "ip")]
    ip6: Option<String>,
    /// Add link to another container
    #[arg(long, value_name = "list", add = names::running_containers())]
    link: Vec<String>,
    /// Add a link-local address for the container
    #[arg(long, value_name = "ipSlice", value_delimiter = ',')]
    link_local_ip: Vec<String>,
    /// The network
    #[arg(value_name = "NETWORK", add = names::network_names())]
    network: String,
    /// The container
    #[arg(value_name = "CONTAINER", add = names::containers())]
    container: String,
}

/// Run the verb.
pub async fn run(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    let links = parse_all(&args.link, "--link", link::link)?;
    let (reference, wish) = (args.container.clone(), wish(args)?);
    let engine = cx.engine().await?;
    settle(&engine).await?;
    let (engine, mut container) = locate(&engine, &reference).await.told()?;
    permit(&container, "connect", None).told()?;
    if connect(&engine, &mut container, wish, links).await.told()? {
        cx.ui.hint("this machine forwards IPv4 packets from now on (net.ipv4.ip_forward=1)")?;
    }
    Ok(0)
}

fn wish(args: Args) -> Result<EndpointRequest> {
    if args.network.is_empty() {
        return Err(Error::usage("network name/id is not specified"));
    }
    let mut options = network::Attachment::default();
    for text in &args.driver_opt {
        network::driver_option(text, &mut options).map_err(Error::usage)?;
    }
    Ok(EndpointRequest {
        network: args.network,
        ipv4: parse_one(args.ip.as_deref().filter(|text| !text.is_empty()), "--ip", address::ipv4)?,
        ipv6: parse_one(args.ip6.as_deref().filter(|text| !text.is_empty()), "--ip6", address::ipv6)?,
        mac: None,
        aliases: args.alias,
        link_local: parse_all(&args.link_local_ip, "--link-local-ip", address::any)?,
        interface: options.interface,
        sysctls: options.sysctls,
        gateway_priority: args.gw_priority,
    })
}
