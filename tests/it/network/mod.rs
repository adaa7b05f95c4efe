//! The verbs of networks, and what containers in them see.

mod cni;
mod connect;
mod crash;
mod create;
mod list;
mod rm;
mod sublink;

pub(crate) use crate::container::{BUSYBOX, engine, inside, sh, sleeper};
use crate::engine::TestEngine;

/// A network: its id.
#[track_caller]
fn create(engine: &TestEngine, flags: &[&str], name: &str) -> String {
    let line = [&["network", "create"], flags, &[name]].concat();
    engine.wharfie(line).ok().to_owned()
}

/// A field of `network inspect`.
#[track_caller]
fn field(engine: &TestEngine, name: &str, template: &str) -> String {
    engine.wharfie(["network", "inspect", "-f", template, name]).ok().to_owned()
}

/// The IPv4 address, with its prefix, of an interface in a container; empty where it has none.
#[track_caller]
fn address(engine: &TestEngine, container: &str, interface: &str) -> String {
    let script = format!("ip -4 -o addr show {interface} 2>/dev/null | awk '{{print $4}}'");
    inside(engine, container, &script)
}

/// The address without its prefix.
#[track_caller]
fn bare(engine: &TestEngine, container: &str, interface: &str) -> String {
    address(engine, container, interface).split('/').next().unwrap_or_default().to_owned()
}

/// Whether a container reaches an address.
#[track_caller]
fn reaches(engine: &TestEngine, container: &str, address: &str) -> bool {
    engine.wharfie(["exec", container, "ping", "-c1", "-W2", address]).code == 0
}

/// The addresses that are taken on a network, by host-local's files.
#[track_caller]
fn taken(engine: &TestEngine, network: &str) -> Vec<String> {
    let list = engine.sh(&format!("ls /var/lib/cni/networks/{network} 2>/dev/null || true"));
    list.lines().filter(|name| name.parse::<std::net::IpAddr>().is_ok()).map(str::to_owned).collect()
}
