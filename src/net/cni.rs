//! CNI network configurations as files and as values: what nerdctl and others wrote is read, what we write
//! they can read.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::store::read_bounded;
use crate::{Error, Result};

/// More than any real configuration.
const FILE_LIMIT: u64 = 1 << 20;
const TYPES_WITHOUT_A_BINARY: [&str; 4] = ["portmap", "firewall", "tuning", "loopback"];

/// A network as its conflist says.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Network {
    /// 64 hexadecimal digits: nerdctl's id where written, else the name's SHA-256, which is the same.
    pub id: String,
    /// The name, unique.
    pub name: String,
    /// Labels (`nerdctlLabels`).
    pub labels: BTreeMap<String, String>,
    /// The type of the first plugin: `bridge`, `macvlan`, …
    pub driver: String,
    /// Its address ranges.
    pub subnets: Vec<Subnet>,
    /// The bridge's name, where there is one.
    pub bridge: String,
    /// docker's names of driver options for what the conflist sets.
    pub options: BTreeMap<String, String>,
    /// Nothing leads out of it.
    pub internal: bool,
    /// The conflist as it was read.
    pub raw: Value,
    /// The file.
    pub path: PathBuf,
    #[serde(skip)]
    pub(crate) settings: Settings,
}

/// One range of addresses that containers get.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Subnet {
    /// The network.
    pub subnet: IpNet,
    /// The gateway; the subnet's first address unless the conflist says otherwise.
    pub gateway: IpAddr,
    /// The first address to give.
    pub start: IpAddr,
    /// The last address to give.
    pub end: IpAddr,
    /// Ranges of one set give one address together; each set gives one.
    pub set: usize,
}

/// What the bridge driver reads from the conflist.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Settings {
    pub(crate) is_gateway: bool,
    pub(crate) masquerade: bool,
    pub(crate) hairpin: bool,
    pub(crate) isolated: bool,
    pub(crate) mtu: Option<u32>,
    /// host-local's own directory for this network.
    pub(crate) data_dir: Option<PathBuf>,
    pub(crate) routes: Vec<(IpNet, Option<IpAddr>)>,
    /// Every plugin of the list is one that is built in.
    pub(crate) native: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Conflist {
    name: String,
    #[serde(rename = "nerdctlID")]
    nerdctl_id: Option<String>,
    nerdctl_labels: Option<BTreeMap<String, String>>,
    plugins: Vec<Plugin>,
}

#[derive(Debug, Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Plugin {
    #[serde(rename = "type")]
    kind: String,
    bridge: Option<String>,
    is_gateway: bool,
    is_default_gateway: bool,
    ip_masq: bool,
    hairpin_mode: bool,
    promisc_mode: bool,
    mtu: Option<u32>,
    vlan: Option<u32>,
    ingress_policy: Option<String>,
    ipam: Option<Ipam>,
    sysctl: Option<Value>,
    mac: Option<Value>,
    promisc: Option<Value>,
    allmulti: Option<Value>,
}

#[derive(Debug, Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Ipam {
    #[serde(rename = "type")]
    kind: String,
    data_dir: Option<PathBuf>,
    routes: Vec<Route>,
    ranges: Vec<Vec<Range>>,
    #[serde(flatten)]
    single: Range,
}

#[derive(Debug, Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Range {
    subnet: Option<IpNet>,
    range_start: Option<IpAddr>,
    range_end: Option<IpAddr>,
    gateway: Option<IpAddr>,
}

#[derive(Debug, Deserialize)]
struct Route {
    dst: IpNet,
    gw: Option<IpAddr>,
}

impl Network {
    /// From a conflist's (or a single plugin's) text.
    ///
    /// # Errors
    /// What is wrong with it, led by the path.
    pub fn parse(path: &Path, text: &[u8]) -> Result<Self> {
        let wrong = |cause: &dyn std::fmt::Display| {
            Error::failed(format!("read {}: {cause}", path.display()))
                .hint("correct or remove this network configuration file")
        };
        let mut raw: Value = serde_json::from_slice(text).map_err(|cause| wrong(&cause))?;
        if raw.get("plugins").is_none() && raw.get("type").is_some() {
            let name = raw.get("name").cloned().unwrap_or_default();
            let version = raw.get("cniVersion").cloned().unwrap_or_else(|| json!("0.1.0"));
            raw = json!({ "cniVersion": version, "name": name, "plugins": [raw] });
        }
        let list: Conflist = Conflist::deserialize(&raw).map_err(|cause| wrong(&cause))?;
        if !is_name(&list.name) {
            return Err(wrong(&format!("\"{}\" is no name of a network", list.name)));
        }
        let Some(first) = list.plugins.first() else { return Err(wrong(&"no plugins")) };
        let subnets = subnets(first.ipam.as_ref()).map_err(|cause| wrong(&cause))?;
        let settings = settings(&list.plugins, first);
        let bridge = match first.kind.as_str() {
            "bridge" => first.bridge.clone().unwrap_or_else(|| "cni0".into()),
            _ => String::new(),
        };
        if first.kind == "bridge" && !is_link_name(&bridge) {
            return Err(wrong(&format!("\"{bridge}\" is no name of a bridge")));
        }
        let managed = list.nerdctl_id.is_some();
        Ok(Self {
            internal: managed && !bridge.is_empty() && !leads_out(&settings),
            id: list.nerdctl_id.unwrap_or_else(|| id_of(&list.name)),
            labels: list.nerdctl_labels.unwrap_or_default(),
            driver: first.kind.clone(),
            subnets,
            options: options(&bridge, &settings),
            bridge,
            name: list.name,
            raw,
            path: path.to_path_buf(),
            settings,
        })
    }

    /// The zone's subnets as they are in rules and routes.
    pub(crate) fn nets(&self) -> Vec<IpNet> {
        self.subnets.iter().map(|subnet| subnet.subnet.trunc()).collect()
    }

    /// Whether a plugin of the list maps ports by itself.
    pub(crate) fn maps_ports(&self) -> bool {
        let plugins = self.raw.get("plugins").and_then(Value::as_array);
        let maps = |plugin: &Value| plugin.pointer("/capabilities/portMappings") == Some(&Value::Bool(true));
        plugins.is_some_and(|plugins| plugins.iter().any(maps))
    }

    /// The first gateway of IPv4, else of any family.
    pub fn gateway(&self) -> Option<IpAddr> {
        let gateways = || self.subnets.iter().map(|subnet| subnet.gateway);
        gateways().find(IpAddr::is_ipv4).or_else(|| gateways().next())
    }
}

/// A network's id, as nerdctl derives it from the name.
pub fn id_of(name: &str) -> String {
    Sha256::digest(name.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Every network of the directory, by name; the first file (by file name) of a name counts. Files that cannot
/// be read come back as errors beside it.
///
/// # Errors
/// When the directory is there and cannot be read.
pub(crate) fn read_all(directory: &Path) -> Result<(Vec<Network>, Vec<Error>)> {
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok((Vec::new(), Vec::new())),
        Err(cause) => return Err(Error::io("read", directory, cause)),
    };
    let mut paths: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            let extension = path.extension().and_then(|extension| extension.to_str());
            matches!(extension, Some("conflist" | "conf" | "json"))
        })
        .collect();
    paths.sort();
    let mut found: BTreeMap<String, Network> = BTreeMap::new();
    let mut errors = Vec::new();
    for path in paths {
        match read(&path) {
            Ok(network) => {
                found.entry(network.name.clone()).or_insert(network);
            }
            Err(error) => errors.push(error),
        }
    }
    Ok((found.into_values().collect(), errors))
}

/// One file.
pub(crate) fn read(path: &Path) -> Result<Network> {
    Network::parse(path, &read_bounded(path, FILE_LIMIT)?)
}

/// Where nerdctl keeps the network of that name.
pub(crate) fn path_of(directory: &Path, name: &str) -> PathBuf {
    directory.join(format!("nerdctl-{name}.conflist"))
}

/// The default network as nerdctl writes it, on `subnet`. `data_dir` only where it is not host-local's own.
pub(crate) fn default_network(name: &str, bridge: &str, subnet: IpNet, data_dir: Option<&Path>) -> Value {
    let gateway = subnet.hosts().next().unwrap_or_else(|| subnet.addr());
    let mut ipam = json!({
        "ranges": [[{ "gateway": gateway, "subnet": subnet }]],
        "routes": [{ "dst": "0.0.0.0/0" }],
        "type": "host-local",
    });
    if let (Some(data_dir), Some(ipam)) = (data_dir, ipam.as_object_mut()) {
        ipam.insert("dataDir".into(), json!(data_dir));
    }
    json!({
        "cniVersion": "1.0.0",
        "name": name,
        "nerdctlID": id_of(name),
        "nerdctlLabels": { "nerdctl/default-network": "true" },
        "plugins": [
            {
                "type": "bridge",
                "bridge": bridge,
                "isGateway": true,
                "ipMasq": true,
                "hairpinMode": true,
                "ipam": ipam,
            },
            { "type": "portmap", "capabilities": { "portMappings": true } },
            { "type": "firewall", "ingressPolicy": "same-bridge" },
            { "type": "tuning" },
        ],
    })
}

/// A name that can be a directory's and a file's.
fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 200
        && !name.starts_with('.')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
}

fn is_link_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= super::link::NAME_LIMIT
        && name != "."
        && name != ".."
        && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/' && byte != b':')
}

fn subnets(ipam: Option<&Ipam>) -> Result<Vec<Subnet>, String> {
    let Some(ipam) = ipam.filter(|ipam| ipam.kind == "host-local") else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    // host-local puts the old single form before the sets.
    let single = ipam.single.subnet.is_some().then(|| std::slice::from_ref(&ipam.single));
    for (set, ranges) in single.into_iter().chain(ipam.ranges.iter().map(Vec::as_slice)).enumerate() {
        for range in ranges {
            found.push(subnet(range, set)?);
        }
    }
    if found.is_empty() { Err("host-local without a range".into()) } else { Ok(found) }
}

fn subnet(range: &Range, set: usize) -> Result<Subnet, String> {
    let subnet = range.subnet.ok_or("a range without a subnet")?.trunc();
    if subnet.max_prefix_len() - subnet.prefix_len() < 2 {
        return Err(format!("the subnet {subnet} is too small"));
    }
    let first = offset(subnet.network(), 1);
    // IPv4 keeps the last address for broadcasts.
    let last = if subnet.addr().is_ipv4() { offset(subnet.broadcast(), -1) } else { subnet.broadcast() };
    let chosen = Subnet {
        subnet,
        gateway: range.gateway.unwrap_or(first),
        start: range.range_start.unwrap_or(first),
        end: range.range_end.unwrap_or(last),
        set,
    };
    for address in [chosen.gateway, chosen.start, chosen.end] {
        if !subnet.contains(&address) {
            return Err(format!("{address} is not in the subnet {subnet}"));
        }
    }
    Ok(chosen)
}

/// The address `by` further, within the family's numbers.
pub(crate) fn offset(address: IpAddr, by: i32) -> IpAddr {
    match address {
        IpAddr::V4(address) => std::net::Ipv4Addr::from(u32::from(address).wrapping_add_signed(by)).into(),
        IpAddr::V6(address) => {
            std::net::Ipv6Addr::from(u128::from(address).wrapping_add_signed(by.into())).into()
        }
    }
}

fn settings(plugins: &[Plugin], first: &Plugin) -> Settings {
    let ipam = first.ipam.as_ref();
    let mut routes: Vec<(IpNet, Option<IpAddr>)> =
        ipam.map(|ipam| ipam.routes.iter().map(|route| (route.dst, route.gw)).collect()).unwrap_or_default();
    if first.is_default_gateway && !routes.iter().any(|(destination, _)| destination.prefix_len() == 0) {
        routes.push((super::DEFAULT_V4, None));
    }
    Settings {
        is_gateway: first.is_gateway || first.is_default_gateway,
        masquerade: first.ip_masq,
        hairpin: first.hairpin_mode,
        isolated: plugins.iter().any(|plugin| plugin.ingress_policy.as_deref() == Some("same-bridge")),
        mtu: first.mtu.filter(|mtu| *mtu > 0),
        data_dir: ipam.and_then(|ipam| ipam.data_dir.clone()).filter(|path| path.is_absolute()),
        routes,
        native: is_native(plugins),
    }
}

fn is_native(plugins: &[Plugin]) -> bool {
    let Some((first, rest)) = plugins.split_first() else { return false };
    let bridge = first.kind == "bridge"
        && first.vlan.is_none_or(|vlan| vlan == 0)
        && !first.promisc_mode
        && first.ipam.as_ref().is_some_and(|ipam| ipam.kind == "host-local");
    let plain = |plugin: &Plugin| {
        TYPES_WITHOUT_A_BINARY.contains(&plugin.kind.as_str())
            && plugin.sysctl.is_none()
            && plugin.mac.is_none()
            && plugin.promisc.is_none()
            && plugin.allmulti.is_none()
            && (plugin.kind != "tuning" || plugin.mtu.is_none())
    };
    bridge && rest.iter().all(plain)
}

fn leads_out(settings: &Settings) -> bool {
    settings.masquerade || settings.routes.iter().any(|(destination, _)| destination.prefix_len() == 0)
}

fn options(bridge: &str, settings: &Settings) -> BTreeMap<String, String> {
    let mut options = BTreeMap::new();
    if let Some(mtu) = settings.mtu {
        options.insert("com.docker.network.driver.mtu".into(), mtu.to_string());
    }
    if !bridge.is_empty() {
        options.insert("com.docker.network.bridge.name".into(), bridge.into());
        let masquerade = settings.masquerade.to_string();
        options.insert("com.docker.network.bridge.enable_ip_masquerade".into(), masquerade);
    }
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(value: &Value) -> Result<Network> {
        Network::parse(Path::new("/etc/cni/net.d/x.conflist"), value.to_string().as_bytes())
    }

    #[test]
    fn the_default_network_is_nerdctls() {
        let value = default_network("bridge", "nerdctl0", "10.4.0.0/24".parse().unwrap(), None);
        let network = parse(&value).unwrap();
        assert_eq!(network.id, "17f29b073143d8cd97b5bbe492bdeffec1c5fee55cc1fe2112c8b9335f8b6121");
        assert_eq!((network.name.as_str(), network.bridge.as_str()), ("bridge", "nerdctl0"));
        assert_eq!(network.gateway(), Some("10.4.0.1".parse().unwrap()));
        assert_eq!(network.subnets[0].end, "10.4.0.254".parse::<IpAddr>().unwrap());
        assert!(network.settings.native && network.settings.masquerade && network.settings.isolated);
        assert_eq!(network.labels["nerdctl/default-network"], "true");
    }

    #[test]
    fn other_forms() {
        // The old single form of host-local, and a single plugin instead of a list.
        let old = json!({"cniVersion": "0.3.1", "name": "old", "type": "bridge", "isDefaultGateway": true,
            "ipam": {"type": "host-local", "subnet": "10.9.0.0/16", "rangeStart": "10.9.1.0"}});
        let old = parse(&old).unwrap();
        assert_eq!((old.bridge.as_str(), old.subnets[0].start), ("cni0", "10.9.1.0".parse().unwrap()));
        assert_eq!(old.settings.routes, [(super::super::DEFAULT_V4, None)]);
        let dual = json!({"name": "dual", "plugins": [{"type": "bridge", "bridge": "br-dual", "ipam": {
            "type": "host-local", "ranges": [[{"subnet": "10.8.0.0/24"}], [{"subnet": "fd00:8::/64"}]]}}]});
        let dual = parse(&dual).unwrap();
        assert_eq!(dual.subnets.iter().map(|subnet| subnet.set).collect::<Vec<_>>(), [0, 1]);
        assert!(!dual.settings.isolated);
        for (plugin, native) in [
            (json!({"type": "portmap"}), true),
            (json!({"type": "tuning", "sysctl": {"a": "b"}}), false),
            (json!({"type": "bandwidth"}), false),
        ] {
            let list = json!({"name": "n", "plugins": [{"type": "bridge", "ipam":
                {"type": "host-local", "subnet": "10.8.0.0/24"}}, plugin]});
            assert_eq!(parse(&list).unwrap().settings.native, native, "{list}");
        }
        let flannel = json!({"name": "cbr0", "plugins": [{"type": "flannel", "delegate": {}}]});
        let flannel = parse(&flannel).unwrap();
        assert_eq!((flannel.driver.as_str(), flannel.settings.native), ("flannel", false));
    }

    #[test]
    fn hostile_files_are_errors_with_their_path() {
        for text in [
            "",
            "[]",
            "{}",
            r#"{"name":"a","plugins":[]}"#,
            r#"{"name":"../a","plugins":[{"type":"bridge"}]}"#,
            r#"{"name":"a","plugins":[{"type":"bridge","bridge":"a/b"}]}"#,
            r#"{"name":"a","plugins":[{"type":"bridge","ipam":{"type":"host-local"}}]}"#,
            r#"{"name":"a","plugins":[{"type":"bridge","ipam":{"type":"host-local","subnet":"10.0.0.0/31"}}]}"#,
            r#"{"name":"a","plugins":[{"type":"bridge","ipam":{"type":"host-local","subnet":"10.0.0.0/24","gateway":"10.0.1.1"}}]}"#,
        ] {
            let error = Network::parse(Path::new("/x/y.conflist"), text.as_bytes()).unwrap_err();
            assert!(error.message.starts_with("read /x/y.conflist: "), "{}", error.message);
        }
    }
}
