//! What libcni keeps of each container that it has put on a network (CNI specification 1.0, section 4, "CNI result caching"):
//! the addresses of a hundred pods without a hundred questions.

use std::collections::HashMap;
use std::fs::{DirEntry, File};
use std::io::Read;
use std::net::IpAddr;
use std::path::Path;

use ipnet::IpNet;
use serde::Deserialize;

/// Where libcni's users keep the results, containerd among them.
pub const RESULTS: &str = "/var/lib/cni/results";
/// The interface that CRI takes a pod's addresses from; the file's name ends with it.
const INTERFACE: &str = "-eth0";
/// A result takes one or two kilobytes.
const MOST_BYTES: u64 = 256 << 10;
/// Nobody has so many pods.
const MOST_FILES: usize = 10_000;

#[derive(Deserialize)]
struct Cached {
    #[serde(rename = "containerId")]
    container: String,
    #[serde(default)]
    result: Outcome,
}

#[derive(Deserialize, Default)]
struct Outcome {
    #[serde(default)]
    ips: Vec<Address>,
}

#[derive(Deserialize)]
struct Address {
    address: IpNet,
}

/// The addresses of each container that the results in `directory` tell of, the first of IPv4 before the first of IPv6, by the
/// container's id. What cannot be read is left out.
pub fn addresses(directory: &Path) -> HashMap<String, Vec<IpAddr>> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    entries.take(MOST_FILES).filter_map(|entry| read(&entry)).collect()
}

fn read(entry: &DirEntry) -> Option<(String, Vec<IpAddr>)> {
    if !entry.file_name().to_str()?.ends_with(INTERFACE) || !entry.file_type().ok()?.is_file() {
        return None;
    }
    let mut bytes = Vec::with_capacity(4 << 10);
    File::open(entry.path()).ok()?.take(MOST_BYTES).read_to_end(&mut bytes).ok()?;
    let cached: Cached = serde_json::from_slice(&bytes).ok()?;
    let mut addresses: Vec<IpAddr> = cached.result.ips.iter().map(|ip| ip.address.addr()).collect();
    addresses.sort_by_key(IpAddr::is_ipv6);
    (!addresses.is_empty()).then_some((cached.container, addresses))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_read() {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(directory.path().join(name), text).unwrap();
        let both = r#"{"kind":"cniCacheV1","containerId":"a1","ifName":"eth0","networkName":"pods",
            "result":{"cniVersion":"1.0.0","ips":[{"address":"fd00::2/64"},{"address":"10.1.0.2/16","gateway":"10.1.0.1"}]}}"#;
        write("pods-a1-eth0", both);
        write("cni-loopback-a1-lo", &both.replace("10.1.0.2/16", "127.0.0.1/8"));
        write(
            "pods-b2-eth0",
            r#"{"containerId":"b2","result":{"cniVersion":"0.2.0","ip4":{"ip":"10.1.0.3/16"}}}"#,
        );
        write("pods-c3-eth0", "{");
        let found = addresses(directory.path());
        assert_eq!(
            found,
            HashMap::from([("a1".into(), vec!["10.1.0.2".parse().unwrap(), "fd00::2".parse().unwrap()])])
        );
        assert!(addresses(Path::new("/nowhere")).is_empty());
    }
}
