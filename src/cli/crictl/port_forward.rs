//! `crictl port-forward`: ports of this machine that lead into a pod.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tokio::sync::mpsc;

use super::session::{Done, Session};
use super::tls::Tls;
use crate::engine::pod::port_forward::{Forward, Told, parse};
use crate::engine::pod::{self, Pod};
use crate::error::{Error, Kind, Result};
use crate::output::notation::quote;
use crate::output::ui::Ui;

/// Flags of `crictl port-forward`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  wharfie cri port-forward 1f73f2d81bf98 8080:80\n  \
    wharfie cri port-forward 1f73f2d81bf98 80 443")]
pub(super) struct Args {
    #[command(flatten)]
    tls: Tls,
    /// A pod's id, and ports
    #[arg(value_name = "POD-ID [LOCAL_PORT:]REMOTE_PORT", num_args = 0..)]
    rest: Vec<String>,
}

/// Where kubectl and crictl listen.
pub(in crate::cli) const LOCALHOST: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];

pub(super) async fn run(args: Args, session: &mut Session<'_, '_>) -> Result<Done> {
    let [id, ports @ ..] = args.rest.as_slice() else { return Ok(Done::Help) };
    if ports.is_empty() {
        return Ok(Done::Help);
    }
    args.tls.check()?;
    forward(id, ports, session).await.map_err(|error| error.context("port forward"))?;
    Ok(Done::Well)
}

async fn forward(id: &str, ports: &[String], session: &mut Session<'_, '_>) -> Result<()> {
    let ports = ports.iter().map(|text| parse(text)).collect::<Result<Vec<_>>>()?;
    let pod = find(id, session).await?;
    let forward = Forward::bind(&pod, &LOCALHOST, &ports).await?;
    serve(forward, session.cx.ui).await
}

async fn find(id: &str, session: &mut Session<'_, '_>) -> Result<Pod> {
    let engine = session.cx.engine().await?;
    pod::find(&engine, id).await.map_err(|error| match error.kind {
        Kind::NotFound => Error::not_found(format!(
            "rpc error: code = NotFound desc = failed to find sandbox {} in store: not found",
            quote(id)
        )),
        _ => error,
    })
}

/// Says where this machine listens, in kubectl's words, and leads connections until the user ends it.
pub(in crate::cli) async fn serve(forward: Forward, ui: &mut Ui) -> Result<()> {
    for (address, remote) in forward.bound() {
        ui.line(format_args!("Forwarding from {address} -> {remote}"))?;
    }
    ui.flush()?;
    let (told, mut tell) = mpsc::unbounded_channel();
    let serving = forward.serve(told);
    tokio::pin!(serving);
    loop {
        tokio::select! {
            () = &mut serving => return Ok(()),
            event = tell.recv() => match event {
                Some(Told::Came(port)) => {
                    ui.line(format_args!("Handling connection for {port}"))?;
                    ui.flush()?;
                }
                Some(Told::Failed(_, error)) => ui.error(&error)?,
                None => return Ok(()),
            },
        }
    }
}
