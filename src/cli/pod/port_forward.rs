//! `pod port-forward`: ports of this machine that lead into a pod. It needs no CRI.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::cli::Context;
use crate::cli::crictl::serve;
use crate::engine::pod::find;
use crate::engine::pod::port_forward::{Forward, parse};
use crate::error::{Error, Result};

/// Flags of `pod port-forward`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  wharfie pod port-forward web 8080:80\n  \
    wharfie pod port-forward --address 0.0.0.0 shop/web 80 :443")]
pub struct Args {
    /// Listen on these addresses
    #[arg(long, value_name = "ADDRESS", value_delimiter = ',', default_value = "localhost")]
    address: Vec<String>,
    /// A pod by name, namespace/name or id
    #[arg(value_name = "POD")]
    pod: String,
    /// Ports: one for both ends, or a local one and the pod's; a free local one where it is left out before the colon
    #[arg(required = true, value_name = "[LOCAL:]REMOTE")]
    ports: Vec<String>,
}

/// Run the verb, until the user ends it.
pub async fn run(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    let ports = args.ports.iter().map(|text| parse(text)).collect::<Result<Vec<_>>>()?;
    let mut addresses = Vec::new();
    for address in &args.address {
        match address.as_str() {
            "localhost" => addresses.extend([IpAddr::from(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()]),
            text => addresses.push(text.parse().map_err(|_| {
                Error::usage(format!("invalid address {text:?}")).hint("write an IP address, or localhost")
            })?),
        }
    }
    let engine = cx.pod_engine().await?;
    let pod = find(&engine, &args.pod).await?;
    let forward = Forward::bind(&pod, &addresses, &ports).await?;
    serve(forward, cx.ui).await?;
    Ok(0)
}
