//! Who has which address: host-local's files, one an address, so that the CNI plugin, nerdctl and we never
//! give one address twice. `<data_dir>/<network>/<address>` holds the owner's id and the interface, parted by
//! `\r\n`; ours have a third line that tells them from those of other tools and other containerds.

use std::io::Write;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use ipnet::IpNet;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::cni::{Network, Subnet, offset};
use crate::store::{Lock, make_directory, read_bounded};
use crate::{Error, Result};

const FILE_LIMIT: u64 = 4096;

/// Who takes an address.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Claim<'a> {
    pub(crate) owner: &'a str,
    pub(crate) interface: &'a str,
    /// The third line.
    pub(crate) mark: &'a str,
}

/// A taken address as its file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) address: IpAddr,
    pub(crate) owner: String,
    pub(crate) interface: String,
    pub(crate) mark: String,
}

/// An address with its prefix, and its subnet's gateway.
pub(crate) type Given = (IpNet, IpAddr);

/// The address files of one network.
#[derive(Debug)]
pub(crate) struct Addresses {
    directory: PathBuf,
}

impl Addresses {
    /// Of `network`; `data_dir` where its configuration names none.
    pub(crate) fn new(data_dir: &Path, network: &Network) -> Self {
        let parent = network.settings.data_dir.as_deref().unwrap_or(data_dir);
        Self { directory: parent.join(&network.name) }
    }

    /// In a directory that is known.
    pub(crate) fn at(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// One address of each set of ranges; `fixed` ones are taken in place of the next free one.
    ///
    /// # Errors
    /// docker's words for an address that is taken or foreign, and for a network that is full.
    pub(crate) fn take(&self, network: &Network, claim: Claim, fixed: &[IpAddr]) -> Result<Vec<Given>> {
        make_directory(&self.directory, 0o700)?;
        let _lock = self.lock()?;
        // Under the lock that its removal holds too: nobody joins what has just been removed.
        if !network.path.exists() {
            return Err(Error::not_found(format!("network {} not found", network.name))
                .hint("it was removed a moment ago; `wharfie network ls` shows the networks"));
        }
        let mut given = Vec::new();
        let sets = network.subnets.iter().map(|subnet| subnet.set).max().map_or(0, |last| last + 1);
        for set in 0..sets {
            let ranges: Vec<&Subnet> = network.subnets.iter().filter(|subnet| subnet.set == set).collect();
            let wanted =
                fixed.iter().find(|address| ranges.iter().any(|range| range.subnet.contains(*address)));
            let outcome = match wanted {
                Some(address) => self.take_fixed(network, &ranges, claim, *address),
                None => self.take_next(network, &ranges, claim),
            };
            match outcome {
                Ok(address) => given.push(address),
                Err(error) => {
                    self.remove(&given);
                    return Err(error);
                }
            }
        }
        Ok(given)
    }

    /// Gives back what `owner` has among `addresses`; what is gone or another's stays as it is.
    pub(crate) fn give_back(&self, owner: &str, addresses: impl Iterator<Item = IpAddr>) -> Result<()> {
        let _lock = match self.lock() {
            Ok(lock) => lock,
            Err(error) if error.kind == crate::Kind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        for address in addresses {
            let path = self.path(address);
            if self.read(address)?.is_some_and(|taken| taken.owner == owner) {
                remove(&path)?;
            }
        }
        Ok(())
    }

    /// Gives back every address that `dead` says so of, and the empty files of plugins that were killed
    /// between making the file and writing it; gives the files' contents.
    pub(crate) fn sweep(&self, dead: impl Fn(&Taken) -> bool) -> Result<Vec<Taken>> {
        let mut freed = Vec::new();
        let _lock = self.lock()?;
        let entries =
            std::fs::read_dir(&self.directory).map_err(|cause| Error::io("read", &self.directory, cause))?;
        for entry in entries.filter_map(std::result::Result::ok) {
            let name = entry.file_name();
            let Some(address) = name.to_str().and_then(|name| name.parse::<IpAddr>().ok()) else { continue };
            match self.read(address)? {
                Some(taken) if dead(&taken) => {
                    remove(&entry.path())?;
                    freed.push(taken);
                }
                Some(taken) if taken.owner.is_empty() => remove(&entry.path())?,
                _ => {}
            }
        }
        Ok(freed)
    }

    /// Who has which of the network's addresses. Another namespace may have a network of that name.
    pub(crate) fn users(&self, network: &Network) -> Result<Vec<Taken>> {
        let is_of =
            |taken: &Taken| network.subnets.iter().any(|subnet| subnet.subnet.contains(&taken.address));
        Ok(self.taken()?.into_iter().filter(is_of).collect())
    }

    /// Who has which address.
    pub(crate) fn taken(&self) -> Result<Vec<Taken>> {
        let entries = match std::fs::read_dir(&self.directory) {
            Ok(entries) => entries,
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(cause) => return Err(Error::io("read", &self.directory, cause)),
        };
        let mut found = Vec::new();
        for entry in entries.filter_map(std::result::Result::ok) {
            let Some(address) = entry.file_name().to_str().and_then(|name| name.parse::<IpAddr>().ok())
            else {
                continue;
            };
            found.extend(self.read(address)?);
        }
        Ok(found)
    }

    /// Keeps everybody from taking an address until it is dropped.
    ///
    /// # Errors
    /// A directory that cannot be made or locked.
    pub(crate) fn close(&self) -> Result<Lock> {
        make_directory(&self.directory, 0o700)?;
        self.lock()
    }

    /// Removes the register itself, unless addresses of a network of the same name are in it.
    pub(crate) fn delete(&self) -> Result<()> {
        let used = std::fs::read_dir(&self.directory).is_ok_and(|mut entries| {
            entries.any(|entry| {
                entry.is_ok_and(|entry| entry.file_name().to_string_lossy().parse::<IpAddr>().is_ok())
            })
        });
        if used {
            return Ok(());
        }
        match std::fs::remove_dir_all(&self.directory) {
            Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::io("remove", &self.directory, cause))
            }
            _ => Ok(()),
        }
    }

    fn lock(&self) -> Result<Lock> {
        Lock::file(&self.directory.join("lock"))
    }

    fn path(&self, address: IpAddr) -> PathBuf {
        self.directory.join(address.to_string())
    }

    fn take_fixed(
        &self,
        network: &Network,
        ranges: &[&Subnet],
        claim: Claim,
        address: IpAddr,
    ) -> Result<Given> {
        let range = ranges
            .iter()
            .find(|range| range.subnet.contains(&address))
            .ok_or_else(|| Error::usage(format!("no configured subnet contains IP address {address}")))?;
        let reserved = network.settings.reserved.contains(&address)
            || address == range.gateway
            || address == range.subnet.network()
            || (address.is_ipv4() && address == range.subnet.broadcast());
        // Its own from a start that was killed is its own still.
        if reserved || !(self.claim(claim, address)? || self.has(claim, address)?) {
            return Err(Error::conflict(format!("Address already in use: {address}"))
                .hint("leave out --ip, or choose an address that no container has"));
        }
        given(range, address)
    }

    /// The next free address after the last one given, round and round, as host-local does: an address rests
    /// as long as possible before it is given again.
    fn take_next(&self, network: &Network, ranges: &[&Subnet], claim: Claim) -> Result<Given> {
        let set = ranges.first().map_or(0, |range| range.set);
        let last_path = self.directory.join(format!("last_reserved_ip.{set}"));
        let last =
            std::fs::read_to_string(&last_path).ok().and_then(|text| text.trim().parse::<IpAddr>().ok());
        let found = ranges.iter().position(|range| {
            last.is_some_and(|last| range.subnet.contains(&last) && range.start <= last && last <= range.end)
        });
        // From behind the last one to its range's end, the other ranges, then from the start up to it.
        let mut spans: Vec<(&Subnet, IpAddr, IpAddr)> = Vec::new();
        let begin = found.unwrap_or(0);
        for step in 0..=ranges.len() {
            let Some(range) = ranges.get((begin + step) % ranges.len().max(1)) else { continue };
            match last.filter(|_| found.is_some()) {
                Some(last) if step == 0 && last == range.end => {}
                Some(last) if step == 0 => spans.push((range, offset(last, 1), range.end)),
                Some(last) if step == ranges.len() => spans.push((range, range.start, last)),
                _ if step < ranges.len() => spans.push((range, range.start, range.end)),
                _ => {}
            }
        }
        for (range, start, end) in spans {
            let mut address = start;
            while address <= end {
                if address != range.gateway
                    && address != range.subnet.network()
                    && self.claim(claim, address)?
                {
                    std::fs::write(&last_path, address.to_string())
                        .map_err(|cause| Error::io("write", &last_path, cause))?;
                    return given(range, address);
                }
                let next = offset(address, 1);
                if next <= address {
                    break;
                }
                address = next;
            }
        }
        let family =
            if ranges.first().is_some_and(|range| range.subnet.addr().is_ipv4()) { "IPv4" } else { "IPv6" };
        Err(Error::failed(format!(
            "no available {family} addresses on this network's address pools: {}",
            network.name
        ))
        .hint("remove containers of this network, or make a network with a larger subnet"))
    }

    /// Makes the address's file; false when it is taken.
    fn claim(&self, claim: Claim, address: IpAddr) -> Result<bool> {
        let path = self.path(address);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let file = match rustix::fs::open(&path, flags, Mode::from_raw_mode(0o600)) {
            Ok(file) => file,
            Err(Errno::EXIST) => return Ok(false),
            Err(cause) => return Err(Error::io("create", &path, cause)),
        };
        let content = format!("{}\r\n{}\r\n{}", claim.owner, claim.interface, claim.mark);
        std::fs::File::from(file).write_all(content.as_bytes()).map_err(|cause| {
            let _ = std::fs::remove_file(&path);
            Error::io("write", &path, cause)
        })?;
        Ok(true)
    }

    fn has(&self, claim: Claim, address: IpAddr) -> Result<bool> {
        let taken = self.read(address)?;
        Ok(taken.is_some_and(|taken| {
            (taken.owner.as_str(), taken.interface.as_str(), taken.mark.as_str())
                == (claim.owner, claim.interface, claim.mark)
        }))
    }

    fn read(&self, address: IpAddr) -> Result<Option<Taken>> {
        let content = match read_bounded(&self.path(address), FILE_LIMIT) {
            Ok(content) => String::from_utf8_lossy(&content).into_owned(),
            Err(error) if error.kind == crate::Kind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut lines = content.lines().map(|line| line.trim().to_owned());
        let mut line = || lines.next().unwrap_or_default();
        Ok(Some(Taken { address, owner: line(), interface: line(), mark: line() }))
    }

    fn remove(&self, given: &[Given]) {
        for (net, _) in given {
            let _ = std::fs::remove_file(self.path(net.addr()));
        }
    }
}

fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => Err(Error::io("remove", path, cause)),
        _ => Ok(()),
    }
}

fn given(range: &Subnet, address: IpAddr) -> Result<Given> {
    let net = IpNet::new(address, range.subnet.prefix_len())
        .map_err(|_| Error::failed(format!("{address} does not fit in {}", range.subnet)))?;
    Ok((net, range.gateway))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const CLAIM: Claim = Claim { owner: "default-a", interface: "eth0", mark: "m" };

    fn network(ranges: serde_json::Value) -> Network {
        let list = json!({"name": "n", "plugins": [{"type": "bridge",
            "ipam": {"type": "host-local", "ranges": ranges}}]});
        // Any file that is there: a network without one has been removed.
        Network::parse(Path::new("/proc/self/exe"), list.to_string().as_bytes()).unwrap()
    }

    fn take(addresses: &Addresses, network: &Network, fixed: &[&str]) -> Result<String> {
        let fixed: Vec<IpAddr> = fixed.iter().map(|address| address.parse().unwrap()).collect();
        let given = addresses.take(network, CLAIM, &fixed)?;
        Ok(given.iter().map(|(net, _)| net.to_string()).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn addresses_go_round_and_are_host_locals() {
        let directory = tempfile::tempdir().unwrap();
        let network = network(json!([[{"subnet": "10.4.0.0/29"}]]));
        let addresses = Addresses::new(directory.path(), &network);
        assert_eq!(take(&addresses, &network, &[]).unwrap(), "10.4.0.2/29");
        assert_eq!(take(&addresses, &network, &[]).unwrap(), "10.4.0.3/29");
        let file = directory.path().join("n/10.4.0.3");
        assert_eq!(std::fs::read_to_string(file).unwrap(), "default-a\r\neth0\r\nm");
        let last = directory.path().join("n/last_reserved_ip.0");
        assert_eq!(std::fs::read_to_string(&last).unwrap(), "10.4.0.3");
        addresses.give_back("other", ["10.4.0.2".parse().unwrap()].into_iter()).unwrap();
        addresses.give_back("default-a", ["10.4.0.3".parse().unwrap()].into_iter()).unwrap();
        addresses.give_back("default-a", ["10.4.0.3".parse().unwrap()].into_iter()).unwrap();
        for expected in ["10.4.0.4/29", "10.4.0.5/29", "10.4.0.6/29", "10.4.0.3/29"] {
            assert_eq!(take(&addresses, &network, &[]).unwrap(), expected);
        }
        let full = take(&addresses, &network, &[]).unwrap_err();
        assert!(full.message.starts_with("no available IPv4 addresses on this network's address pools"));
        std::fs::write(last, "rubbish").unwrap();
        assert!(take(&addresses, &network, &[]).is_err());
    }

    #[test]
    fn fixed_addresses_and_two_families() {
        let directory = tempfile::tempdir().unwrap();
        let network = network(json!([[{"subnet": "10.4.0.0/29"}], [{"subnet": "fd00::/64"}]]));
        let addresses = Addresses::new(directory.path(), &network);
        assert_eq!(take(&addresses, &network, &["10.4.0.5"]).unwrap(), "10.4.0.5/29 fd00::2/64");
        assert_eq!(take(&addresses, &network, &["10.4.0.5", "fd00::2"]).unwrap(), "10.4.0.5/29 fd00::2/64");
        for taken in ["10.4.0.5", "10.4.0.1", "10.4.0.0", "10.4.0.7"] {
            let other = Claim { owner: "default-b", ..CLAIM };
            let error = addresses.take(&network, other, &[taken.parse().unwrap()]).unwrap_err();
            assert!(error.message.starts_with("Address already in use"), "{}", error.message);
        }
        // What failed gave back what it had: only the good one's two addresses are left.
        assert_eq!(take(&addresses, &network, &["fd00::9"]).unwrap(), "10.4.0.2/29 fd00::9/64");
        let other = Claim { owner: "default-b", ..CLAIM };
        assert!(addresses.take(&network, other, &["fd00::9".parse().unwrap()]).is_err());
        assert!(!directory.path().join("n/10.4.0.3").exists());
    }

    #[test]
    fn a_sweep_frees_the_dead_and_the_half_written() {
        let directory = tempfile::tempdir().unwrap();
        let network = network(json!([[{"subnet": "10.4.0.0/24"}]]));
        let addresses = Addresses::new(directory.path(), &network);
        take(&addresses, &network, &[]).unwrap();
        std::fs::write(directory.path().join("n/10.4.0.9"), "").unwrap();
        std::fs::write(directory.path().join("n/10.4.0.10"), "foreign\r\neth0").unwrap();
        let freed = addresses.sweep(|taken| taken.mark == "m").unwrap();
        assert_eq!(freed.len(), 1);
        let mut left: Vec<_> = std::fs::read_dir(directory.path().join("n"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        assert_eq!(left, ["10.4.0.10", "last_reserved_ip.0", "lock"]);
    }
}
