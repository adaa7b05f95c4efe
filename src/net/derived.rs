//! Links that stand on other links: macvlan, ipvlan, VLANs, and what serves as a parent where there is none.

use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::io::Errno;

use super::link::{
    AF_UNSPEC, IFF_UP, IFLA_ADDRESS, IFLA_IFNAME, IFLA_INFO_DATA, IFLA_INFO_KIND, IFLA_LINKINFO, IFLA_MTU,
    IFLA_NET_NS_FD, Link, Links, NEWLINK, VETH_INFO_PEER, failed, link_header,
};
use super::netlink::{ACK, CREATE, EXCL, Messages};
use crate::{Error, Result};

const IFLA_LINK: u16 = 5;
const IFLA_VLAN_ID: u16 = 1;
const IFLA_MODE: u16 = 1;

/// A macvlan or ipvlan link to make in a namespace.
pub(crate) struct Sub<'a> {
    pub(crate) name: &'a str,
    /// The parent's index here.
    pub(crate) parent: u32,
    /// `macvlan` or `ipvlan`.
    pub(crate) kind: &'static str,
    pub(crate) mode: u32,
    /// None: the kernel's choice, or the parent's own.
    pub(crate) mac: Option<[u8; 6]>,
    pub(crate) mtu: Option<u32>,
    pub(crate) namespace: BorrowedFd<'a>,
}

impl Links {
    /// Makes the link, down, in its namespace.
    ///
    /// # Errors
    /// The kernel's, with what to do where it lacks the kind or the parent serves another one.
    pub(crate) fn sublink(&self, sub: &Sub) -> Result<()> {
        let mut messages = Messages::new();
        messages
            .message(NEWLINK, ACK | CREATE | EXCL, &link_header(0, 0, AF_UNSPEC))
            .text(IFLA_IFNAME, sub.name)
            .native(IFLA_LINK, sub.parent)
            .native(IFLA_NET_NS_FD, sub.namespace.as_raw_fd() as u32);
        if let Some(mac) = sub.mac {
            messages.put(IFLA_ADDRESS, &mac);
        }
        if let Some(mtu) = sub.mtu {
            messages.native(IFLA_MTU, mtu);
        }
        messages.nest(IFLA_LINKINFO, |info| {
            info.put(IFLA_INFO_KIND, sub.kind.as_bytes()).nest(IFLA_INFO_DATA, |data| {
                if sub.kind == "ipvlan" {
                    data.put(IFLA_MODE, &(sub.mode as u16).to_ne_bytes());
                } else {
                    data.native(IFLA_MODE, sub.mode);
                }
            });
        });
        let act = format!("create the {} link {}", sub.kind, sub.name);
        self.0.execute(messages).map_err(|refused| match refused.errno {
            Errno::OPNOTSUPP => lacking(&act, sub.kind),
            Errno::BUSY | Errno::INVAL => failed(&act, refused.errno).hint(
                "the parent may serve macvlan and ipvlan at once, or be in a bridge: `ip -d link` shows it",
            ),
            errno => failed(&act, errno),
        })
    }

    /// The VLAN `id` of the link `base`, up, or the one that is there.
    pub(crate) fn vlan(&self, name: &str, base: u32, id: u16) -> Result<Link> {
        let mut messages = Messages::new();
        messages
            .message(NEWLINK, ACK | CREATE | EXCL, &link_header(0, IFF_UP, AF_UNSPEC))
            .text(IFLA_IFNAME, name)
            .native(IFLA_LINK, base)
            .nest(IFLA_LINKINFO, |info| {
                info.put(IFLA_INFO_KIND, b"vlan").nest(IFLA_INFO_DATA, |data| {
                    data.put(IFLA_VLAN_ID, &id.to_ne_bytes());
                });
            });
        self.made(messages, name, "vlan", "8021q")
    }

    /// A link that leads nowhere, up, as the parent of a network that was given none: a dummy, or where the
    /// kernel has none one end of a pair.
    pub(crate) fn parent(&self, name: &str) -> Result<Link> {
        let mut messages = Messages::new();
        messages
            .message(NEWLINK, ACK | CREATE | EXCL, &link_header(0, IFF_UP, AF_UNSPEC))
            .text(IFLA_IFNAME, name)
            .nest(IFLA_LINKINFO, |info| {
                info.put(IFLA_INFO_KIND, b"dummy");
            });
        self.made(messages, name, "dummy", "dummy").or_else(|_| self.pair_of_own(name))
    }

    fn pair_of_own(&self, name: &str) -> Result<Link> {
        // As long as the name itself, which is as long as a name can be.
        let other = format!("do-{}", name.get(3..).unwrap_or(name));
        let mut messages = Messages::new();
        messages
            .message(NEWLINK, ACK | CREATE | EXCL, &link_header(0, IFF_UP, AF_UNSPEC))
            .text(IFLA_IFNAME, name)
            .nest(IFLA_LINKINFO, |info| {
                info.put(IFLA_INFO_KIND, b"veth").nest(IFLA_INFO_DATA, |data| {
                    data.nest(VETH_INFO_PEER, |peer| {
                        peer.raw(&link_header(0, 0, AF_UNSPEC)).text(IFLA_IFNAME, &other);
                    });
                });
            });
        let link = self.made(messages, name, "veth", "veth")?;
        if let Some(other) = self.find(&other)? {
            self.up(other.index)?;
        }
        Ok(link)
    }

    fn made(&self, messages: Messages, name: &str, kind: &str, module: &str) -> Result<Link> {
        let act = format!("create the {kind} link {name}");
        match self.0.execute(messages).map_err(|refused| refused.errno) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(Errno::OPNOTSUPP) => return Err(lacking(&act, module)),
            Err(errno) => return Err(failed(&act, errno)),
        }
        self.find(name)?.ok_or_else(|| failed(&act, Errno::NODEV))
    }
}

fn lacking(act: &str, module: &str) -> Error {
    Error::failed(format!("{act}: this kernel has no {module}"))
        .hint(format!("`modprobe {module}` loads it where the kernel was built with it"))
}
