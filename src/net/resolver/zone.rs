//! What a container may know: the names and addresses of those that share a network with it.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::{Member, Seat};

/// Addresses of one name at most.
const MOST: usize = 512;

/// Every member, by its owner.
#[derive(Debug, Clone, Default)]
pub struct Zone {
    /// By owner.
    pub members: BTreeMap<String, Member>,
}

impl Zone {
    /// The addresses of `name` (lower case, without the last point) as `asker` may know them: those of the first
    /// of its networks where anybody is called so. `name.network` is known too. None for an unknown name.
    pub fn addresses(&self, asker: &str, name: &str) -> Option<Vec<IpAddr>> {
        let asker = self.members.get(asker)?;
        let on = |own: &Seat, name: &str| {
            let called = self.neighbours(asker, own).filter(|seat| is_called(seat, name));
            let mut found: Vec<IpAddr> = called.flat_map(|seat| seat.addresses.iter().copied()).collect();
            found.sort_unstable();
            found.dedup();
            found.truncate(MOST);
            Some(found).filter(|found| !found.is_empty())
        };
        let plain = || asker.seats.iter().find_map(|own| on(own, name));
        let qualified = || {
            asker.seats.iter().find_map(|own| {
                let rest = name.strip_suffix(&own.network.to_ascii_lowercase())?;
                on(own, rest.strip_suffix('.')?)
            })
        };
        plain().or_else(qualified)
    }

    /// `name.network` of who has that address on a network of the asker's.
    pub fn name(&self, asker: &str, address: IpAddr) -> Option<String> {
        let asker = self.members.get(asker)?;
        asker.seats.iter().find_map(|own| {
            let seat = self.neighbours(asker, own).find(|seat| seat.addresses.contains(&address))?;
            Some(format!("{}.{}", seat.names.first()?, seat.network))
        })
    }

    /// Everybody's place on the network of `own`, the asker's own too.
    fn neighbours<'a>(&'a self, asker: &'a Member, own: &'a Seat) -> impl Iterator<Item = &'a Seat> {
        self.members
            .values()
            .filter(|member| member.group == asker.group)
            .flat_map(|member| &member.seats)
            .filter(|seat| seat.network_id == own.network_id)
    }
}

fn is_called(seat: &Seat, name: &str) -> bool {
    seat.names.iter().any(|one| one.eq_ignore_ascii_case(name))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::net::resolver) fn seat(network: &str, names: &[&str], addresses: &[&str]) -> Seat {
        Seat {
            network: network.into(),
            network_id: format!("id of {network}"),
            names: names.iter().map(|&name| name.into()).collect(),
            addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
        }
    }

    /// web on front, db on back, proxy on both; other on another group's front.
    pub(in crate::net::resolver) fn zone() -> Zone {
        let member = |group: &str, seats: Vec<Seat>| Member {
            group: group.into(),
            outside: true,
            seats,
            ..Member::default()
        };
        let members = [
            ("a-web", member("a", vec![seat("front", &["web", "Shop"], &["10.1.0.2", "fd00::2"])])),
            ("a-db", member("a", vec![seat("back", &["db"], &["10.2.0.2"])])),
            (
                "a-proxy",
                member(
                    "a",
                    vec![
                        seat("front", &["proxy", "shop"], &["10.1.0.3"]),
                        seat("back", &["proxy"], &["10.2.0.3"]),
                    ],
                ),
            ),
            ("b-other", member("b", vec![seat("front", &["other", "web"], &["10.1.0.9"])])),
        ];
        Zone { members: members.into_iter().map(|(owner, member)| (owner.to_owned(), member)).collect() }
    }

    #[test]
    fn names_are_known_on_shared_networks() {
        let zone = zone();
        for (asker, name, expected) in [
            ("a-web", "web", Some("10.1.0.2 fd00::2")),
            ("a-web", "proxy", Some("10.1.0.3")),
            ("a-web", "shop", Some("10.1.0.2 10.1.0.3 fd00::2")),
            ("a-web", "shop.front", Some("10.1.0.2 10.1.0.3 fd00::2")),
            ("a-web", "db", None),
            ("a-web", "db.back", None),
            ("a-web", "other", None),
            ("a-web", "front", None),
            ("a-web", "", None),
            ("a-db", "proxy", Some("10.2.0.3")),
            ("a-db", "web", None),
            ("a-proxy", "db", Some("10.2.0.2")),
            ("a-proxy", "proxy.back", Some("10.2.0.3")),
            ("b-other", "web", Some("10.1.0.9")),
            ("nobody", "web", None),
        ] {
            let found = zone.addresses(asker, name);
            let found = found.map(|all| all.iter().map(IpAddr::to_string).collect::<Vec<_>>().join(" "));
            assert_eq!(found.as_deref(), expected, "{asker} asks for {name:?}");
        }
    }

    #[test]
    fn addresses_have_names() {
        let zone = zone();
        for (asker, address, expected) in [
            ("a-web", "10.1.0.3", Some("proxy.front")),
            ("a-web", "fd00::2", Some("web.front")),
            ("a-web", "10.2.0.2", None),
            ("a-web", "10.1.0.9", None),
            ("a-proxy", "10.2.0.2", Some("db.back")),
        ] {
            assert_eq!(zone.name(asker, address.parse().unwrap()).as_deref(), expected, "{asker} {address}");
        }
    }
}
