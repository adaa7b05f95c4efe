//! The fixed part of the rules: what the table is made of before any network or port is in it.

use std::net::Ipv6Addr;

use super::nftables::{Batch, Family, Hook, Set, Step};

/// The table's name.
pub(crate) const TABLE: &str = "wharfie";
const PUBLISH: &str = "publish";

// nft's numbers of types, to be printed by `nft list`.
const IPV4: u32 = 7;
const IPV6: u32 = 8;
const PROTOCOL: u32 = 12;
const SERVICE: u32 = 13;
const IFNAME: u32 = 41;

pub(crate) const META_IIFNAME: u32 = 6;
pub(crate) const META_OIFNAME: u32 = 7;
const META_L4PROTO: u32 = 16;
const CT_STATE: u32 = 0;
const CT_STATUS: u32 = 2;
const STATE_ESTABLISHED_OR_RELATED: u32 = 2 | 4;
const STATE_NEW: u32 = 8;
const STATUS_DESTINATION_NAT: u32 = 0x20;
const NETWORK: u32 = 1;
const TRANSPORT: u32 = 2;

/// The first 16-byte register, and the first 4-byte one (the same place).
pub(crate) const LONG: u32 = 1;
const SHORT: u32 = 8;

/// The table with its sets, chains and rules.
pub(crate) fn foundation(family: Family) -> Batch {
    let (address, length) = match family {
        Family::V4 => (IPV4, 4),
        Family::V6 => (IPV6, 16),
    };
    let (source, destination) = match family {
        Family::V4 => (12, 16),
        Family::V6 => (8, 24),
    };
    let mut batch = Batch::new();
    batch.table(family, TABLE);
    let port = (PROTOCOL << 6 | SERVICE, 8);
    let target = Some((address << 6 | SERVICE, length + 4));
    let set =
        |name, key: (u32, u32), data, interval| Set { name, key, data, interval, native: key.0 == IFNAME };
    let sets = [
        set("bridges", (IFNAME, 16), None, false),
        set("pairs", (IFNAME << 6 | IFNAME, 32), None, false),
        set("isolated", (IFNAME, 16), None, false),
        set("internal", (IFNAME, 16), None, false),
        set("guarded", (IFNAME, 16), None, false),
        set("subnets", (address, length), None, true),
        set("masqueraded", (address, length), None, true),
        set("loopback", (address, length), None, false),
        set("published_any", port, target, false),
        set("published", ((address << 6 | PROTOCOL) << 6 | SERVICE, length + 8), target, false),
    ];
    for (id, set) in (1..).zip(&sets) {
        batch.set(family, TABLE, set, id);
    }
    for (name, kind, number, priority) in [
        ("guard", "filter", 0, -300),
        ("prerouting", "nat", 0, -100),
        ("output", "nat", 3, -100),
        ("postrouting", "nat", 4, 100),
        ("forward", "filter", 2, 0),
    ] {
        batch.chain(family, TABLE, name, Some(Hook { kind, number, priority, drops: false }));
    }
    batch.chain(family, TABLE, PUBLISH, None);

    let after_address = SHORT + length / 4;
    let rewrite = Step::DestinationNat { family, address: SHORT, port: after_address };
    let mut rule = |chain: &str, steps: &[Step]| batch.rule(family, (TABLE, chain), steps, None);
    let iif = Step::Meta { key: META_IIFNAME, register: LONG };
    let oif = Step::Meta { key: META_OIFNAME, register: LONG };
    let from = Step::Payload { base: NETWORK, offset: source, length, register: SHORT };

    // A bridge routes 127.0.0.0/8 for the sake of ports published on it; a container must not use that to
    // reach what listens on the host's loopback alone.
    if family == Family::V4 {
        let first = Step::Payload { base: NETWORK, offset: destination, length: 1, register: LONG };
        let loopback = Step::Equal { register: LONG, value: &[127] };
        rule("guard", &[iif, Step::In { set: "bridges", register: LONG }, first, loopback, Step::Drop]);
    }

    // A port published on one address, then one published on all of them.
    rule(
        PUBLISH,
        &[
            Step::Payload { base: NETWORK, offset: destination, length, register: SHORT },
            Step::Meta { key: META_L4PROTO, register: after_address },
            Step::Payload { base: TRANSPORT, offset: 2, length: 2, register: after_address + 1 },
            Step::Map { map: "published", register: SHORT, into: SHORT },
            rewrite,
        ],
    );
    rule(
        PUBLISH,
        &[
            Step::DestinationKind { register: SHORT },
            Step::Equal { register: SHORT, value: &2u32.to_ne_bytes() },
            Step::Meta { key: META_L4PROTO, register: SHORT },
            Step::Payload { base: TRANSPORT, offset: 2, length: 2, register: SHORT + 1 },
            Step::Map { map: "published_any", register: SHORT, into: SHORT },
            rewrite,
        ],
    );
    rule("prerouting", &[Step::Jump(PUBLISH)]);
    // Where answers could not come back to ::1, a connection to it is refused at once.
    let own_loopback = Ipv6Addr::LOCALHOST.octets();
    let is_own_loopback = Step::Equal { register: SHORT, value: &own_loopback };
    if family == Family::V6 {
        let to = Step::Payload { base: NETWORK, offset: destination, length, register: SHORT };
        let unserved = Step::NotIn { set: "loopback", register: SHORT };
        rule("output", &[to, is_own_loopback, unserved, Step::Accept]);
    }
    rule("output", &[Step::Jump(PUBLISH)]);

    // What came to a published port from 127.0.0.1 or ::1, or from the container's own subnet, needs an answer by
    // the same way: its source becomes the bridge. Clients from elsewhere keep their address.
    let to_bridge = Step::In { set: "bridges", register: LONG };
    let rewritten = ct(CT_STATUS, STATUS_DESTINATION_NAT);
    if family == Family::V4 {
        let first = Step::Payload { base: NETWORK, offset: source, length: 1, register: LONG };
        let loopback = Step::Equal { register: LONG, value: &[127] };
        rule("postrouting", &[first, loopback, oif, to_bridge, Step::Masquerade]);
    } else {
        rule("postrouting", &[from, is_own_loopback, oif, to_bridge, Step::Masquerade]);
    }
    let own = Step::In { set: "subnets", register: SHORT };
    let [status, mask, set] = rewritten;
    rule("postrouting", &[status, mask, set, from, own, oif, to_bridge, Step::Masquerade]);
    let masqueraded = Step::In { set: "masqueraded", register: SHORT };
    let elsewhere = Step::NotIn { set: "bridges", register: LONG };
    rule("postrouting", &[from, masqueraded, oif, elsewhere, Step::Masquerade]);

    // Where bridged packets pass the firewall, those of one network are its own affair.
    let second = Step::Meta { key: META_OIFNAME, register: LONG + 1 };
    rule("forward", &[iif, second, Step::In { set: "pairs", register: LONG }, Step::Accept]);
    // Before anything is let through: what comes from an internal network or goes there, ends here.
    let internal = Step::In { set: "internal", register: LONG };
    rule("forward", &[iif, internal, Step::Drop]);
    rule("forward", &[oif, internal, Step::Drop]);
    let [state, state_mask, one_of] = ct(CT_STATE, STATE_ESTABLISHED_OR_RELATED);
    rule("forward", &[status, mask, set, Step::Accept]);
    rule("forward", &[state, state_mask, one_of, Step::Accept]);
    let isolated = Step::In { set: "isolated", register: LONG };
    rule("forward", &[iif, isolated, oif, isolated, Step::Drop]);
    let [new, new_mask, is_new] = ct(CT_STATE, STATE_NEW);
    let guarded = Step::In { set: "guarded", register: LONG };
    rule("forward", &[new, new_mask, is_new, oif, guarded, Step::Drop]);
    batch
}

/// Loads a number of the connection and goes on when one of the bits is set.
fn ct(key: u32, bits: u32) -> [Step<'static>; 3] {
    [
        Step::Conntrack { key, register: LONG },
        Step::Mask { register: LONG, mask: bits },
        Step::Differs { register: LONG, value: &[0; 4] },
    ]
}
