//! Names of containers: who is on which network by which names (a file a container, read by the resolver),
//! what a question is answered with, and the sockets inside a container's network where questions arrive.
//!
//! `<run>/names/<owner>` lies beside the directory of namespaces and goes with the owner's namespace, so that
//! whatever takes a container down takes its names along.

mod answer;
mod door;
mod zone;

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Networks;
use super::namespace::check_owner;
use crate::store::{make_directory, read_bounded, write_atomic};
use crate::{Error, Result};

pub use self::answer::{Verdict, answer, unavailable};
pub use self::door::Door;
pub use self::zone::Zone;

/// Where containers ask: docker's address, which scripts look for.
pub const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 11);

/// Over what a question came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// One datagram: an answer that does not fit is cut, and says so.
    Udp,
    /// A stream.
    Tcp,
}

/// More than the names of any container.
const FILE_LIMIT: u64 = 1 << 20;

/// One container that asks and is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Member {
    /// Only members of one group know one another: containerd's namespace.
    pub group: String,
    /// The file of its network namespace.
    pub namespace: PathBuf,
    /// Name servers of its own for what no container is called, asked from inside its network; empty for the
    /// host's.
    pub servers: Vec<IpAddr>,
    /// It may ask the host's name servers: false where every network of it is internal.
    pub outside: bool,
    /// The networks on which it is known.
    pub seats: Vec<Seat>,
}

/// A member's place on one network.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Seat {
    /// The network's name.
    pub network: String,
    /// The network's id.
    pub network_id: String,
    /// What it is called there, the first one in answers to the reverse question.
    pub names: Vec<String>,
    /// Its addresses there.
    pub addresses: Vec<IpAddr>,
}

impl Networks {
    /// The directory of members, beside the one of namespaces.
    pub fn members_directory(&self) -> PathBuf {
        self.namespaces.with_file_name("names")
    }

    /// Makes the owner known, or known anew.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn write_member(&self, owner: &str, member: &Member) -> Result<()> {
        check_owner(owner)?;
        let directory = self.members_directory();
        make_directory(&directory, 0o700)?;
        let text = serde_json::to_vec(member)
            .map_err(|cause| Error::failed(format!("write the names of {owner}: {cause}")))?;
        write_atomic(&directory.join(owner), &text, 0o600)
    }

    /// Makes the owner unknown; an unknown one is fine.
    pub(crate) fn remove_member(&self, owner: &str) -> Result<()> {
        let path = self.members_directory().join(owner);
        match std::fs::remove_file(&path) {
            Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::io("remove", &path, cause))
            }
            _ => Ok(()),
        }
    }

    /// Whether anybody is known.
    pub fn has_members(&self) -> bool {
        !owners(&self.members_directory()).is_empty()
    }
}

/// The owners that a directory of members knows. What begins with a point is no member.
pub fn owners(directory: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names.filter(|name| !name.starts_with('.')).collect()
}

/// One member; None when it has gone, or its file is none.
pub fn read_member(directory: &Path, owner: &str) -> Option<Member> {
    serde_json::from_slice(&read_bounded(&directory.join(owner), FILE_LIMIT).ok()?).ok()
}
