//! Networks as containers use them: names, ports, the firewall, and what is left after a kill. Networks are
//! written as nerdctl writes them.

mod answers;
mod firewall;
mod packets;
mod ports;
mod recovery;

mod resolver;

use crate::call::Output;
use crate::container::{BUSYBOX, engine};
use crate::engine::TestEngine;

/// Writes a network of nerdctl's form: `ranges` are host-local's, `more` is put into the bridge plugin.
#[track_caller]
fn network(engine: &TestEngine, name: &str, ranges: &[&str], more: &str) {
    let ranges: Vec<String> = ranges.iter().map(|range| format!("[{{\"subnet\": \"{range}\"}}]")).collect();
    let outside = if more.contains("ipMasq") { "" } else { "\"isGateway\": true, \"ipMasq\": true, " };
    let routes = if more.contains("ipMasq") { "" } else { "{\"dst\": \"0.0.0.0/0\"}" };
    let digit = |letter: char| format!("{:02x}", letter as u32);
    let id = format!("{:0<64}", name.chars().map(digit).collect::<String>());
    let conflist = format!(
        r#"{{"cniVersion": "1.0.0", "name": "{name}", "nerdctlID": "{id}", "nerdctlLabels": {{}}, "plugins": [
            {{"type": "bridge", "bridge": "br-{name}", {outside}{more}"hairpinMode": true,
              "ipam": {{"type": "host-local", "routes": [{routes}], "ranges": [{}]}}}},
            {{"type": "portmap", "capabilities": {{"portMappings": true}}}},
            {{"type": "firewall", "ingressPolicy": "same-bridge"}}, {{"type": "tuning"}}]}}"#,
        ranges.join(", ")
    );
    engine.sh(&format!(
        "mkdir -p /etc/cni/net.d; cat > /etc/cni/net.d/nerdctl-{name}.conflist <<'END'\n{conflist}\nEND"
    ));
}

/// A container that sleeps, with these flags: its id.
#[track_caller]
fn sleeper(engine: &TestEngine, name: &str, flags: &[&str]) -> String {
    let line = [&["run", "-d", "--name", name], flags, &[BUSYBOX, "sleep", "10000"]].concat();
    engine.wharfie(line).ok().to_owned()
}

/// A container's address on its n-th interface.
#[track_caller]
fn address(engine: &TestEngine, name: &str, interface: &str) -> String {
    inside(
        engine,
        name,
        &format!("ip -4 -o addr show {interface} | awk '{{split($4, part, \"/\"); print part[1]}}'"),
    )
    .ok()
    .to_owned()
}

/// A script in a container.
#[track_caller]
fn inside(engine: &TestEngine, name: &str, script: &str) -> Output {
    engine.wharfie(["exec", name, "sh", "-c", script])
}

/// A program of the machine's in a container's network.
#[track_caller]
fn beside(engine: &TestEngine, container: &str, program: &[&str]) -> crate::call::Call {
    let pid = engine.wharfie(["inspect", "-f", "{{.State.Pid}}", container]).ok().to_owned();
    let target = format!("--target={pid}");
    engine.program("nsenter", [&[target.as_str(), "--net", "--"][..], program].concat())
}
