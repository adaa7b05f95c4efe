//! Which networks there are, and the default one.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use ipnet::{IpNet, Ipv4Net};
use sha2::{Digest, Sha256};

use super::cni::{self, Network};
use super::link::Links;
use super::{Networks, address::Addresses, collect, conflist, driver};
use crate::store::{Lock, make_directory, write_atomic};
use crate::{Error, Result};

/// The default network's name, docker's and nerdctl's.
pub(crate) const DEFAULT: &str = "bridge";
const DEFAULT_BRIDGE: &str = "nerdctl0";
/// host-local's own directory, which needs no mention in a conflist.
const STANDARD_DATA_DIR: &str = "/var/lib/cni/networks";

impl Networks {
    /// Every network that the configuration directory tells of, and its part for this namespace, by name. Files
    /// that cannot be read are left out: [`Networks::get`] says what is wrong with one.
    ///
    /// # Errors
    /// A directory that cannot be read.
    pub fn list(&self) -> Result<Vec<Network>> {
        Ok(self.read_all()?.0)
    }

    /// The network of that name, or whose id begins so.
    ///
    /// # Errors
    /// [`crate::Kind::NotFound`] in docker's words; a broken file that could have been it.
    pub fn get(&self, name: &str) -> Result<Network> {
        // The usual files first: a directory full of networks costs nothing then.
        let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
        if plain && !name.is_empty() {
            let own = path_of(&self.conf_dir, &self.namespace, name);
            for path in [path_of(&self.conf_dir, "", name), own] {
                if let Ok(network) = cni::read(&path)
                    && network.name == name
                {
                    return Ok(network);
                }
            }
        }
        let (networks, broken) = self.read_all()?;
        let by_id = |network: &&Network| name.len() >= 4 && network.id.starts_with(name);
        let found =
            networks.iter().find(|network| network.name == name).or_else(|| networks.iter().find(by_id));
        match found {
            Some(network) => Ok(network.clone()),
            None => {
                let mut error = Error::not_found(format!("network {name} not found"))
                    .hint("`wharfie network ls` shows the networks");
                for cause in broken {
                    error = error.hint(format!("not read: {}", cause.message));
                }
                Err(error)
            }
        }
    }

    /// The networks of all namespaces, by path: what must not overlap.
    pub(crate) fn everywhere(&self) -> Result<Vec<Network>> {
        let mut found = cni::read_all(&self.conf_dir)?.0;
        for entry in std::fs::read_dir(&self.conf_dir).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                found.extend(cni::read_all(&entry.path())?.0);
            }
        }
        Ok(found)
    }

    fn read_all(&self) -> Result<(Vec<Network>, Vec<Error>)> {
        let (mut networks, mut broken) = cni::read_all(&self.conf_dir)?;
        if !self.namespace.is_empty() {
            let (own, also_broken) = cni::read_all(&self.conf_dir.join(&self.namespace))?;
            broken.extend(also_broken);
            networks.extend(own);
            // The first of a name counts, as in `get`.
            networks.sort_by(|one, other| one.name.cmp(&other.name));
            networks.dedup_by(|later, first| later.name == first.name);
        }
        Ok((networks, broken))
    }

    /// The default network, made when there is none of its name. Its subnet is 10.4.0.0/24, or one near it when
    /// an address or route of this host has that. With a data directory of its own (a second containerd, a
    /// test) it gets a bridge of its own too: two registers of addresses must not share a bridge.
    ///
    /// # Errors
    /// A directory or file that cannot be written; no free subnet.
    pub fn ensure_default(&self) -> Result<Network> {
        match self.get(DEFAULT) {
            Err(error) if error.kind == crate::Kind::NotFound => {}
            other => return other,
        }
        make_directory(&self.conf_dir, 0o755)?;
        // nerdctl locks the directory itself.
        let _lock = Lock::directory(&self.conf_dir)?;
        match self.get(DEFAULT) {
            Err(error) if error.kind == crate::Kind::NotFound => {}
            other => return other,
        }
        let path = path_of(&self.conf_dir, "", DEFAULT);
        if path.exists() {
            // Broken, or of another name: not ours to overwrite.
            return cni::read(&path);
        }
        let private = self.private_data_dir().map(|_| self.digest());
        let bridge = match &private {
            None => DEFAULT_BRIDGE.to_owned(),
            Some(digest) => {
                digest.iter().take(4).fold("wharfie".to_owned(), |name, byte| format!("{name}{byte:02x}"))
            }
        };
        let start = private.map_or(0, |digest| 1 + digest.last().copied().unwrap_or_default() % 255);
        let subnet = self.free_subnet(&bridge, start)?;
        let list = conflist::default_network(DEFAULT, &bridge, subnet, self.private_data_dir());
        let text = serde_json::to_string_pretty(&list)
            .map_err(|cause| Error::failed(format!("write {}: {cause}", path.display())))?;
        write_atomic(&path, text.as_bytes(), 0o644)?;
        cni::read(&path)
    }

    /// The owners of addresses on the network: its users, also those that no containerd knows any more.
    ///
    /// # Errors
    /// A register that cannot be read.
    pub fn owners(&self, network: &Network) -> Result<Vec<String>> {
        let taken = Addresses::new(&self.data_dir, network).users(network)?;
        let mut owners: Vec<String> = taken.into_iter().map(|taken| taken.owner).collect();
        owners.sort_unstable();
        owners.dedup();
        Ok(owners)
    }

    /// Removes a network that no container is in: its link, rules, file and register. Killed in between, it is
    /// still a network, and can be removed again.
    ///
    /// # Errors
    /// docker's words for one in use; all failing steps in one.
    pub fn remove(&self, network: &Network) -> Result<()> {
        let _lock = Lock::directory(&self.conf_dir)?;
        network.path.parent().into_iter().for_each(sweep_unfinished);
        let register = Addresses::new(&self.data_dir, network);
        // Nobody joins while it goes.
        let closed = register.close()?;
        if !register.users(network)?.is_empty() {
            return Err(in_use(&network.name));
        }
        let link = if network.settings.native { driver::of(self, network).dismantle() } else { Ok(()) };
        let file = match std::fs::remove_file(&network.path) {
            Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::io("remove", &network.path, cause))
            }
            _ => Ok(()),
        };
        let directory = self.conf_dir.join(&self.namespace);
        if !self.namespace.is_empty() && network.path.parent() == Some(&directory) {
            // The last one of its namespace.
            let _ = std::fs::remove_dir(&directory);
        }
        let removed = collect([link, file, register.delete()]);
        drop(closed);
        removed
    }

    fn free_subnet(&self, bridge: &str, start: u8) -> Result<IpNet> {
        let links = Links::open()?;
        let own = links.find(bridge)?.map(|link| link.index);
        let mut used = links.used(own)?;
        for network in self.everywhere()? {
            used.extend(network.nets());
        }
        choose_subnet(start, &used).ok_or_else(|| {
            Error::failed("no free subnet for the default network: 10.4.0.0/16 and 172.16.0.0/12 are in use")
                .hint(format!("write {} by hand", path_of(&self.conf_dir, "", DEFAULT).display()))
        })
    }

    /// The directory of address files where it is not host-local's own.
    pub(crate) fn private_data_dir(&self) -> Option<&Path> {
        Some(self.data_dir.as_path()).filter(|directory| *directory != Path::new(STANDARD_DATA_DIR))
    }

    /// What marks addresses and rules as ours: one per directory of namespaces, so one per containerd.
    pub(crate) fn mark(&self) -> String {
        self.digest().iter().take(4).fold("wharfie-".to_owned(), |mark, byte| format!("{mark}{byte:02x}"))
    }

    fn digest(&self) -> [u8; 32] {
        Sha256::digest(self.namespaces.as_os_str().as_encoded_bytes()).into()
    }

    /// Every directory of address files that this machine's networks use, also of networks that are gone.
    pub(crate) fn registers(&self) -> Result<Vec<Addresses>> {
        let mut directories: Vec<std::path::PathBuf> = vec![self.data_dir.clone()];
        directories.extend(self.everywhere()?.into_iter().filter_map(|network| network.settings.data_dir));
        directories.sort();
        directories.dedup();
        let mut found = Vec::new();
        for directory in directories {
            let Ok(entries) = std::fs::read_dir(&directory) else { continue };
            // What begins with a point is ours and no network's.
            let hidden = |entry: &std::fs::DirEntry| entry.file_name().as_encoded_bytes().starts_with(b".");
            let networks = entries
                .filter_map(|entry| entry.ok().filter(|entry| !hidden(entry)))
                .map(|entry| entry.path())
                .filter(|path| path.is_dir());
            found.extend(networks.map(Addresses::at));
        }
        Ok(found)
    }
}

/// The first of 10.4.`start`.0/24 and on, around, then 172.16 to 172.31, that touches nothing in use.
fn choose_subnet(start: u8, used: &[IpNet]) -> Option<IpNet> {
    let near = (0..=255u8).map(|step| Ipv4Addr::new(10, 4, start.wrapping_add(step), 0));
    let far =
        (16..32u8).flat_map(|second| (0..=255u8).map(move |third| Ipv4Addr::new(172, second, third, 0)));
    near.chain(far)
        .filter_map(|address| Ipv4Net::new(address, 24).ok())
        .map(IpNet::V4)
        .find(|subnet| !used.iter().any(|other| overlap(subnet, other)))
}

/// Removes what a killed writer left of its file. To be called with the configuration directory locked, which
/// every writer of ours holds: nobody is at work on one.
pub(crate) fn sweep_unfinished(directory: &Path) {
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_name().as_encoded_bytes().starts_with(b".nerdctl-") {
            // It disturbs nobody: readers look at names that end otherwise.
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// docker's words for a network that somebody is in.
pub(crate) fn in_use(name: &str) -> Error {
    Error::conflict(format!("error while removing network: network {name} has active endpoints"))
        .hint("remove or disconnect its containers first")
}

/// Where nerdctl keeps the network of that name: the default one for all namespaces, others for their own.
pub(crate) fn path_of(directory: &Path, namespace: &str, name: &str) -> PathBuf {
    let directory = if name == DEFAULT { directory.to_path_buf() } else { directory.join(namespace) };
    directory.join(format!("nerdctl-{name}.conflist"))
}

/// Whether two subnets share addresses; a default route is none.
pub(crate) fn overlap(one: &IpNet, other: &IpNet) -> bool {
    other.prefix_len() > 0 && (one.contains(&other.network()) || other.contains(&one.network()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subnets_avoid_what_is_used() {
        for (start, used, expected) in [
            (0, vec![], "10.4.0.0/24"),
            (0, vec!["0.0.0.0/0", "fd00::/8"], "10.4.0.0/24"),
            (0, vec!["10.4.0.77/32", "10.4.1.0/25"], "10.4.2.0/24"),
            (255, vec!["10.4.255.1/24"], "10.4.0.0/24"),
            (0, vec!["10.0.0.0/8", "172.16.0.0/16"], "172.17.0.0/24"),
        ] {
            let used: Vec<IpNet> = used.iter().map(|net| net.parse().unwrap()).collect();
            assert_eq!(choose_subnet(start, &used), Some(expected.parse().unwrap()));
        }
        assert_eq!(
            choose_subnet(0, &["10.0.0.0/8".parse().unwrap(), "172.16.0.0/12".parse().unwrap()]),
            None
        );
    }
}
