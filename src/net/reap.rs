//! Freeing what dead owners left: after kill -9 of anything, a reboot, or a container that containerd lost.

use std::collections::{BTreeMap, BTreeSet};

use super::address::Taken;
use super::bridge::host_interfaces;
use super::firewall::Firewall;
use super::link::Links;
use super::{Networks, collect, plugin, resolver};
use crate::{Error, Result};

impl Networks {
    /// Frees addresses, rules, links and namespaces of owners of ours that `alive` does not know; gives the
    /// owners that had any. "Of ours" is what this machine's wharfie made with the same directory of
    /// namespaces: what other tools and other containerds have is left alone.
    ///
    /// `alive` must also say true for containers that are being made at this moment, and may say false for
    /// stopped ones.
    ///
    /// # Errors
    /// All failures in one, when the rest was done.
    pub fn reap(&self, alive: &dyn Fn(&str) -> bool) -> Result<Vec<String>> {
        let mark = self.mark();
        let dead_owner = |owner: &str| !alive(owner);
        let tag_suffix = format!(" {mark}");
        let dead_tag = |tag: &str| tag.strip_suffix(&tag_suffix).is_some_and(dead_owner);
        let mut found = BTreeSet::new();
        let mut errors = Vec::new();

        // Plugins first: they may want to see the namespace.
        match plugin::reap(self, |owner, found| found == mark && dead_owner(owner)) {
            Ok(owners) => found.extend(owners),
            Err(error) => errors.push(Err(error)),
        }
        for owner in self.namespace_owners()?.into_iter().filter(|owner| !alive(owner)) {
            errors.push(self.remove_namespace(&owner));
            found.insert(owner);
        }
        match Firewall::open().and_then(|firewall| firewall.withdraw(dead_tag)) {
            Ok(ports) => found.extend(
                ports.iter().filter_map(|port| port.tag.strip_suffix(&tag_suffix)).map(str::to_owned),
            ),
            Err(error) => errors.push(Err(error)),
        }
        match self.free_addresses(|taken| taken.mark == mark && dead_owner(&taken.owner)) {
            Ok(owners) => found.extend(owners),
            Err(error) => errors.push(Err(error)),
        }
        collect(errors)?;
        Ok(found.into_iter().collect())
    }

    /// What [`Networks::reap`] could find, by owner. Nothing is changed.
    ///
    /// # Errors
    /// What cannot be read.
    pub fn owned(&self) -> Result<BTreeMap<String, BTreeSet<&'static str>>> {
        let mark = self.mark();
        let mut found: BTreeMap<String, BTreeSet<&'static str>> = BTreeMap::new();
        let mut add = |owner: &str, what| found.entry(owner.to_owned()).or_default().insert(what);
        for owner in self.namespace_owners()? {
            add(&owner, "network namespace");
        }
        for port in Firewall::open()?.published()? {
            if let Some(owner) = port.tag.strip_suffix(&format!(" {mark}")) {
                add(owner, "published port");
            }
        }
        let links = Links::open()?;
        for register in self.registers()? {
            for taken in register.taken()?.into_iter().filter(|taken| taken.mark == mark) {
                add(&taken.owner, "address");
                for link in host_interfaces(&taken.owner, &taken.interface) {
                    if links.find(&link)?.is_some() {
                        add(&taken.owner, "link");
                    }
                }
            }
        }
        Ok(found)
    }

    /// Frees everything of one owner, whichever tool connected it, when no [`super::Connection`] is left to
    /// tell what it had. Idempotent.
    ///
    /// # Errors
    /// All failures in one.
    pub fn forget(&self, owner: &str) -> Result<()> {
        let tag = self.tag(owner);
        let rules = Firewall::open().and_then(|firewall| firewall.withdraw(|found| found == tag)).map(drop);
        let addresses = self.free_addresses(|taken| taken.owner == owner).map(drop);
        let plugins = plugin::reap(self, |found, _| found == owner).map(drop);
        collect([rules, addresses, plugins, self.remove_namespace(owner)])
    }

    /// Silences the links of the addresses that are meant (they go with their namespace), then frees them;
    /// gives their owners.
    pub(super) fn free_addresses(&self, meant: impl Fn(&Taken) -> bool) -> Result<Vec<String>> {
        let links = Links::open()?;
        let mut owners = Vec::new();
        let mut errors = Vec::new();
        for register in self.registers()? {
            // A foreign tool's link has another name: silencing what is not there is nothing.
            let dead = |taken: &Taken| {
                meant(taken)
                    && host_interfaces(&taken.owner, &taken.interface)
                        .all(|link| links.silence(&link).is_ok())
            };
            match register.sweep(dead) {
                Ok(freed) => owners.extend(freed.into_iter().map(|taken| taken.owner)),
                Err(error) => errors.push(Err(error)),
            }
        }
        collect(errors)?;
        Ok(owners)
    }

    /// Who has a namespace, or names that are known in one.
    fn namespace_owners(&self) -> Result<BTreeSet<String>> {
        let mut owners: BTreeSet<String> = resolver::owners(&self.members_directory()).into_iter().collect();
        match std::fs::read_dir(&self.namespaces) {
            Ok(entries) => {
                owners.extend(entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()));
            }
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => {}
            Err(cause) => return Err(Error::io("read", &self.namespaces, cause)),
        }
        Ok(owners)
    }
}
