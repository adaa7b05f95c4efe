//! Networks whose plugins are not built in: each plugin's binary is executed by the CNI specification, and
//! what it was given and what it answered is kept for the way back.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::cni::Network;
use super::driver::{Driver, SetUp};
use super::{Endpoint, Join, Networks, Publish, collect};
use crate::store::{make_directory, read_bounded, write_atomic};
use crate::{Error, Result};

/// More than any plugin has to say.
const ANSWER_LIMIT: u64 = 1 << 20;
/// Beside the directories of address files.
const RESULTS: &str = ".wharfie-results";

/// The driver of a network of any plugin type.
pub(crate) struct Plugins<'a> {
    pub(crate) networks: &'a Networks,
    pub(crate) network: &'a Network,
}

/// What DEL needs of ADD.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    owner: String,
    interface: String,
    mark: String,
    conflist: Value,
    arguments: Value,
    namespace: PathBuf,
    result: Value,
}

/// The parts of a result that an [`Endpoint`] tells.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Answer {
    interfaces: Vec<Interface>,
    ips: Vec<Address>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Interface {
    name: String,
    mac: String,
    sandbox: String,
}

#[derive(Debug, Deserialize)]
struct Address {
    address: IpNet,
    gateway: Option<IpAddr>,
}

impl Driver for Plugins<'_> {
    fn validate(&self, join: &Join) -> Result<()> {
        if let Some(mac) = &join.mac {
            super::link::parse_mac(mac)?;
        }
        chain(&self.network.raw).iter().try_for_each(|plugin| binary(self.networks, plugin).map(drop))
    }

    fn set_up(&self, request: &SetUp) -> Result<Endpoint> {
        let kept = Kept {
            owner: request.owner.into(),
            interface: request.interface.into(),
            mark: self.networks.mark(),
            conflist: self.network.raw.clone(),
            arguments: arguments(request.join, request.ports),
            namespace: request.namespace_path.into(),
            result: Value::Null,
        };
        // Before the first plugin runs: whatever happens then can be undone.
        let path = self.kept_path(request.owner, request.interface);
        write_kept(&path, &kept)?;
        match self.add(request, kept) {
            Ok(kept) => {
                write_kept(&path, &kept)?;
                Ok(self.endpoint(request, kept.result))
            }
            Err(error) => {
                let endpoint = Endpoint { interface: request.interface.into(), ..Endpoint::default() };
                let _ = self.tear_down(request.owner, request.namespace_path, &endpoint);
                Err(error)
            }
        }
    }

    fn tear_down(&self, owner: &str, _namespace: &Path, endpoint: &Endpoint) -> Result<()> {
        let path = self.kept_path(owner, &endpoint.interface);
        match read_kept(&path)? {
            Some(kept) => take_down(self.networks, &path, &kept),
            None => Ok(()),
        }
    }
}

/// Takes down what the plugins made for owners that are meant, by owner and mark; gives the owners.
pub(crate) fn reap(networks: &Networks, meant: impl Fn(&str, &str) -> bool) -> Result<Vec<String>> {
    let mut owners = Vec::new();
    let mut outcomes = Vec::new();
    let Ok(entries) = std::fs::read_dir(networks.data_dir.join(RESULTS)) else { return Ok(owners) };
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        let Ok(Some(kept)) = read_kept(&path) else { continue };
        if meant(&kept.owner, &kept.mark) {
            outcomes.push(take_down(networks, &path, &kept));
            owners.push(kept.owner);
        }
    }
    collect(outcomes)?;
    Ok(owners)
}

fn take_down(networks: &Networks, path: &Path, kept: &Kept) -> Result<()> {
    // A namespace that is gone is told by an empty path.
    let namespace = if kept.namespace.exists() { kept.namespace.as_path() } else { Path::new("") };
    let call = Call { command: "DEL", owner: &kept.owner, interface: &kept.interface, namespace };
    let plugins = chain(&kept.conflist).into_iter().rev();
    let given = (&kept.arguments, &kept.result);
    let outcomes: Vec<Result<()>> = plugins
        .map(|plugin| execute(networks, &call, &config(&plugin, &kept.conflist, given)).map(drop))
        .collect();
    collect(outcomes)?;
    std::fs::remove_file(path).map_err(|cause| Error::io("remove", path, cause))
}

fn read_kept(path: &Path) -> Result<Option<Kept>> {
    match read_bounded(path, ANSWER_LIMIT) {
        Ok(content) => serde_json::from_slice(&content)
            .map(Some)
            .map_err(|cause| Error::failed(format!("read {}: {cause}", path.display()))),
        Err(error) if error.kind == crate::Kind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

struct Call<'a> {
    command: &'a str,
    owner: &'a str,
    interface: &'a str,
    namespace: &'a Path,
}

impl Plugins<'_> {
    fn add(&self, request: &SetUp, mut kept: Kept) -> Result<Kept> {
        let call = Call {
            command: "ADD",
            owner: request.owner,
            interface: request.interface,
            namespace: request.namespace_path,
        };
        for plugin in chain(&kept.conflist) {
            let config = config(&plugin, &kept.conflist, (&kept.arguments, &kept.result));
            kept.result = execute(self.networks, &call, &config)?;
        }
        Ok(kept)
    }

    fn endpoint(&self, request: &SetUp, result: Value) -> Endpoint {
        let answer: Answer = serde_json::from_value(result).unwrap_or_default();
        let inner = answer.interfaces.iter().find(|interface| interface.name == request.interface);
        let outer = answer
            .interfaces
            .iter()
            .find(|interface| interface.sandbox.is_empty() && interface.name.starts_with("veth"));
        Endpoint {
            network: self.network.name.clone(),
            network_id: self.network.id.clone(),
            interface: request.interface.into(),
            host_interface: outer.map(|interface| interface.name.clone()).unwrap_or_default(),
            bridge: String::new(),
            driver: self.network.driver.clone(),
            mac: inner.map(|interface| interface.mac.clone()).unwrap_or_default(),
            addresses: answer.ips.iter().map(|ip| ip.address).collect(),
            gateways: answer.ips.iter().filter_map(|ip| ip.gateway).collect(),
        }
    }

    /// Beside the address files, so that it outlives a reboot as they do.
    fn kept_path(&self, owner: &str, interface: &str) -> PathBuf {
        let name = format!("{}-{owner}-{interface}.json", self.network.name);
        self.networks.data_dir.join(RESULTS).join(name)
    }
}

fn chain(conflist: &Value) -> Vec<Value> {
    conflist.get("plugins").and_then(Value::as_array).cloned().unwrap_or_default()
}

/// The plugin's file, in the first directory that has it.
fn binary(networks: &Networks, plugin: &Value) -> Result<PathBuf> {
    let kind = plugin.get("type").and_then(Value::as_str).unwrap_or_default();
    let plain = !kind.is_empty() && !kind.contains('/') && !kind.starts_with('.');
    let mut found = std::env::split_paths(&networks.plugin_path).map(|directory| directory.join(kind));
    found.find(|path| plain && path.is_file()).ok_or_else(|| {
        Error::failed(format!("the plugin \"{kind}\" is not in {}", networks.plugin_path.display()))
            .hint("install the CNI plugins there, or name their directory with --cni-path")
    })
}

/// Runs one plugin: the configuration on its input, the result on its output.
fn execute(networks: &Networks, call: &Call, config: &Value) -> Result<Value> {
    let binary = binary(networks, config)?;
    let act = |cause| Error::io("execute", &binary, cause);
    let mut child = Command::new(&binary)
        .env("CNI_COMMAND", call.command)
        .env("CNI_CONTAINERID", call.owner)
        .env("CNI_NETNS", call.namespace)
        .env("CNI_IFNAME", call.interface)
        .env("CNI_PATH", &networks.plugin_path)
        .env("CNI_ARGS", "IgnoreUnknown=1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(act)?;
    // A plugin that ends without reading says why in its answer.
    if let Some(mut input) = child.stdin.take() {
        let _ = input.write_all(config.to_string().as_bytes());
    }
    let mut answer = Vec::new();
    if let Some(output) = child.stdout.take() {
        output.take(ANSWER_LIMIT).read_to_end(&mut answer).map_err(act)?;
    }
    let status = child.wait().map_err(act)?;
    let answer: Value = serde_json::from_slice(&answer).unwrap_or_default();
    if status.success() {
        return Ok(answer);
    }
    let text = |key: &str| answer.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    let message = [text("msg"), text("details")].into_iter().flatten().collect::<Vec<_>>().join("; ");
    let message = if message.is_empty() { status.to_string() } else { message };
    Err(Error::failed(format!("plugin {} failed ({}): {message}", binary.display(), call.command)))
}

fn write_kept(path: &Path, kept: &Kept) -> Result<()> {
    if let Some(directory) = path.parent() {
        make_directory(directory, 0o700)?;
    }
    let text = serde_json::to_vec(kept)
        .map_err(|cause| Error::failed(format!("write {}: {cause}", path.display())))?;
    write_atomic(path, &text, 0o600)
}

/// What every capability may be given.
fn arguments(join: &Join, ports: &[Publish]) -> Value {
    let mut arguments = BTreeMap::new();
    let mappings: Vec<Value> = ports
        .iter()
        .filter_map(|port| {
            Some(json!({
                "hostPort": port.host_port?,
                "containerPort": port.container_port,
                "protocol": port.protocol.name(),
                "hostIP": port.host_ip.map(|address| address.to_string()).unwrap_or_default(),
            }))
        })
        .collect();
    if !mappings.is_empty() {
        arguments.insert("portMappings", json!(mappings));
    }
    let ips: Vec<String> = [join.ipv4, join.ipv6].into_iter().flatten().map(|ip| ip.to_string()).collect();
    if !ips.is_empty() {
        arguments.insert("ips", json!(ips));
    }
    if let Some(mac) = &join.mac {
        arguments.insert("mac", json!(mac));
    }
    json!(arguments)
}

/// One plugin's configuration: its own, the list's name and version, the capabilities that it declares, and
/// the result so far.
fn config(plugin: &Value, conflist: &Value, (arguments, previous): (&Value, &Value)) -> Value {
    let mut config = plugin.as_object().cloned().unwrap_or_default();
    for key in ["name", "cniVersion"] {
        if let Some(value) = conflist.get(key) {
            config.insert(key.into(), value.clone());
        }
    }
    let declared = config.remove("capabilities").unwrap_or_default();
    let is_declared = |key: &str| declared.get(key).and_then(Value::as_bool).unwrap_or(false);
    let given: serde_json::Map<String, Value> = arguments
        .as_object()
        .map(|arguments| {
            arguments
                .iter()
                .filter(|(key, _)| is_declared(key))
                .map(|(k, v)| (k.clone(), v.clone()))
                .collect()
        })
        .unwrap_or_default();
    if !given.is_empty() {
        config.insert("runtimeConfig".into(), Value::Object(given));
    }
    if !previous.is_null() {
        config.insert("prevResult".into(), previous.clone());
    }
    Value::Object(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_is_given_what_it_declares() {
        let list = json!({"cniVersion": "1.0.0", "name": "n"});
        let ports = [Publish {
            host_ip: None,
            host_port: Some(8080),
            host_port_last: None,
            container_port: 80,
            protocol: crate::oci::request::Protocol::Tcp,
        }];
        let join = Join { mac: Some("02:00:00:00:00:01".into()), ..Join::default() };
        let plugin = json!({"type": "portmap", "capabilities": {"portMappings": true, "mac": false}});
        let config = config(&plugin, &list, (&arguments(&join, &ports), &json!({"ips": []})));
        let expected = json!({"type": "portmap", "name": "n", "cniVersion": "1.0.0",
            "runtimeConfig": {"portMappings": [
                {"hostPort": 8080, "containerPort": 80, "protocol": "tcp", "hostIP": ""}]},
            "prevResult": {"ips": []}});
        assert_eq!(config, expected);
    }

    #[test]
    fn plugins_run_by_the_specification() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        // A plugin that writes down what it was told and answers with one address; fails on DEL if told so.
        let script = format!(
            "#!/bin/sh\necho \"$CNI_COMMAND $CNI_CONTAINERID $CNI_IFNAME $CNI_NETNS\" >> {0}/calls\ncat >> {0}/calls\n\
             echo >> {0}/calls\n[ -e {0}/fail ] && {{ echo '{{\"code\": 7, \"msg\": \"no\"}}'; exit 1; }}\n\
             [ $CNI_COMMAND = DEL ] || echo '{{\"cniVersion\": \"1.0.0\", \"interfaces\": [{{\"name\": \"eth0\", \"mac\": \
             \"02:00:00:00:00:01\", \"sandbox\": \"x\"}}], \"ips\": [{{\"address\": \"10.9.0.2/24\", \"gateway\": \"10.9.0.1\"}}]}}'\n",
            root.display()
        );
        let binary = root.join("mine");
        std::fs::write(&binary, script).unwrap();
        std::fs::set_permissions(&binary, std::fs::Permissions::from_mode(0o755)).unwrap();
        let networks = Networks {
            conf_dir: root.join("net.d"),
            namespace: String::new(),
            data_dir: root.join("data"),
            plugin_path: root.into(),
            namespaces: root.join("netns"),
        };
        let list =
            json!({"cniVersion": "1.0.0", "name": "n", "plugins": [{"type": "mine"}, {"type": "mine"}]});
        let network = Network::parse(Path::new("/n.conflist"), list.to_string().as_bytes()).unwrap();
        let driver = Plugins { networks: &networks, network: &network };
        let join = Join::default();
        driver.validate(&join).unwrap();
        let firewall = super::super::firewall::Firewall::open().unwrap();
        let namespace = std::fs::File::open("/proc/self/ns/net").unwrap();
        let request = SetUp {
            owner: "default-a",
            join: &join,
            interface: "eth0",
            first: true,
            firewall: &firewall,
            namespace: &namespace,
            namespace_path: Path::new("/proc/self/ns/net"),
            ports: &[],
        };
        let endpoint = driver.set_up(&request).unwrap();
        assert_eq!(endpoint.addresses, ["10.9.0.2/24".parse().unwrap()]);
        assert_eq!(endpoint.mac, "02:00:00:00:00:01");
        let calls = std::fs::read_to_string(root.join("calls")).unwrap();
        assert_eq!(calls.matches("ADD default-a eth0 /proc/self/ns/net").count(), 2);
        assert_eq!(calls.matches("prevResult").count(), 1);
        driver.tear_down("default-a", Path::new(""), &endpoint).unwrap();
        driver.tear_down("default-a", Path::new(""), &endpoint).unwrap();
        driver.set_up(&request).unwrap();
        assert_eq!(reap(&networks, |owner, _| owner != "default-a").unwrap(), Vec::<String>::new());
        assert_eq!(reap(&networks, |_, mark| mark == networks.mark()).unwrap(), ["default-a"]);
        assert_eq!(reap(&networks, |_, _| true).unwrap(), Vec::<String>::new());
        let calls = std::fs::read_to_string(root.join("calls")).unwrap();
        assert_eq!(calls.matches("DEL default-a eth0").count(), 4);
        std::fs::write(root.join("fail"), "").unwrap();
        let error = driver.set_up(&request).unwrap_err();
        assert!(error.message.ends_with("mine failed (ADD): no"), "{}", error.message);
        let other = json!({"name": "n", "plugins": [{"type": "../sh"}]});
        let other = Network::parse(Path::new("/n.conflist"), other.to_string().as_bytes()).unwrap();
        assert!(Plugins { networks: &networks, network: &other }.validate(&join).is_err());
    }
}
