//! Networks between tools: nerdctl's and others' files are used by us, ours by CNI's own plugins.

use serde_json::Value;

use super::{BUSYBOX, address, bare, create, engine, field, reaches, sleeper, taken};

/// A conflist as nerdctl 2 writes it.
const NERDCTLS: &str = r#"{
  "cniVersion": "1.0.0",
  "name": "theirs",
  "nerdctlID": "b18b0a30d0a9b5ab5fbd9a8e4c8fd3cb3ab0e5b6e67e9c9a3a7e2d8ad4dd6aa1",
  "nerdctlLabels": {"made": "there"},
  "plugins": [
    {
      "type": "bridge",
      "bridge": "br-b18b0a30d0a9",
      "isGateway": true,
      "ipMasq": true,
      "hairpinMode": true,
      "ipam": {
        "ranges": [[{"gateway": "10.4.7.1", "ipRange": "10.4.7.128/25", "rangeEnd": "10.4.7.255",
          "rangeStart": "10.4.7.129", "subnet": "10.4.7.0/24"}]],
        "routes": [{"dst": "0.0.0.0/0"}],
        "type": "host-local"
      }
    },
    {"capabilities": {"portMappings": true}, "type": "portmap"},
    {"ingressPolicy": "same-bridge", "type": "firewall"},
    {"type": "tuning"}
  ]
}"#;

#[test]
fn a_network_of_nerdctls_is_used_and_removed() {
    let engine = engine();
    engine.sh(&format!(
        "mkdir -p /etc/cni/net.d/default; cat > /etc/cni/net.d/default/nerdctl-theirs.conflist <<'END'\n{NERDCTLS}\nEND"
    ));
    assert_eq!(
        field(&engine, "theirs", "{{.Labels.made}} {{(index .IPAM.Config 0).IPRange}}"),
        "there 10.4.7.128/25"
    );
    assert_eq!(field(&engine, "b18b0a30d0a9", "{{.Name}}"), "theirs");
    sleeper(&engine, &["--name", "web", "--network", "theirs"]);
    assert_eq!(address(&engine, "web", "eth0"), "10.4.7.129/24");
    engine.wharfie(["rm", "-f", "web"]).ok();
    engine.wharfie(["network", "rm", "theirs"]).ok();
    engine.assert_clean();
}

/// What libcni does with a conflist: each plugin with the result before it; DEL in reverse.
const RUNNER: &str = r#"
import json, os, subprocess, sys
path, command, owner, netns = sys.argv[1:]
conflist = json.load(open(path))
previous = None
plugins = conflist["plugins"] if command == "ADD" else reversed(conflist["plugins"])
for plugin in plugins:
    # Its firewall and portmap need iptables, whose rules are no part of this.
    if plugin["type"] in ("firewall", "portmap"):
        continue
    config = dict(plugin, name=conflist["name"], cniVersion=conflist["cniVersion"])
    config.pop("capabilities", None)
    config["ipMasq"] = False
    if previous:
        config["prevResult"] = previous
    environment = dict(os.environ, CNI_COMMAND=command, CNI_CONTAINERID=owner, CNI_NETNS=netns,
                       CNI_IFNAME="eth0", CNI_PATH="/usr/lib/cni")
    done = subprocess.run(["/usr/lib/cni/" + plugin["type"]], input=json.dumps(config), text=True,
                          capture_output=True, env=environment)
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    previous = json.loads(done.stdout) if done.stdout.strip() else previous
print(json.dumps(previous))
"#;

#[test]
fn a_network_of_ours_is_used_by_cnis_plugins() {
    let engine = engine();
    create(&engine, &["--subnet", "10.9.0.0/29", "--aux-address", "printer=10.9.0.3", "--ipv6"], "shop");
    sleeper(&engine, &["--name", "web", "--network", "shop"]);
    let web = bare(&engine, "web", "eth0");
    assert_eq!(web, "10.9.0.2");
    engine.sh("ip netns add probe");
    engine.sh(&format!("cat > runner.py <<'END'\n{RUNNER}\nEND"));
    let run = |command: &str| {
        engine.sh(&format!(
            "python3 runner.py /etc/cni/net.d/default/nerdctl-shop.conflist {command} theirs /run/netns/probe"
        ))
    };
    let result: Value = serde_json::from_str(&run("ADD")).expect("JSON");
    // Neither ours nor the printer's.
    assert_eq!(result["ips"][0]["address"], "10.9.0.4/29", "{result}");
    assert!(result["ips"][1]["address"].as_str().unwrap().starts_with("fd"), "{result}");
    engine.sh(&format!("ip netns exec probe busybox ping -c1 -W2 {web} >/dev/null"));
    assert!(reaches(&engine, "web", "10.9.0.4"));
    // Theirs is theirs: the network is in use, and we give out another one.
    let next = engine.wharfie([
        "run",
        "--rm",
        "--network",
        "shop",
        BUSYBOX,
        "ip",
        "-4",
        "-o",
        "addr",
        "show",
        "eth0",
    ]);
    assert!(next.ok().contains("10.9.0.5/29"), "{next:?}");
    engine.wharfie(["rm", "-f", "web"]).ok();
    assert!(taken(&engine, "shop").contains(&"10.9.0.4".to_owned()));
    let in_use = engine.wharfie(["network", "rm", "shop"]);
    assert!(in_use.fails(1).contains("network shop has active endpoints"), "{in_use:?}");
    run("DEL");
    engine.wharfie(["network", "rm", "shop"]).ok();
    engine.sh("ip netns del probe");
    engine.assert_clean();
}
