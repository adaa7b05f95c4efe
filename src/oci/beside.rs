//! A container that stands beside another one: `debug`. It has the other one's namespaces and a root of its own.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Beside whom a container stands, and with what.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Beside {
    /// The other container's id.
    pub target: String,
    /// Where the other container's files are seen: `/proc/1/root`.
    pub files: String,
    /// Where the programs come from.
    pub tools: Tools,
    /// The user and the group of this machine that are root for the other container.
    pub root: (u32, u32),
}

/// Where the programs of a container that stands beside another one come from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "from", content = "path")]
pub enum Tools {
    /// Its image.
    #[default]
    Image,
    /// This directory of the machine, which has the form of a root file system: `/` for the machine's own.
    Tree(PathBuf),
    /// Programs that need nothing: a directory of them, or the one program that is all of them (busybox).
    Static(PathBuf),
}

/// What of a root file system programs live by. Data (/var, /home, /root, /srv) stays away, and so does what may
/// hang on a machine that is ill: mounts of other machines.
pub const TREE: [&str; 12] =
    ["bin", "sbin", "lib", "lib32", "lib64", "libx32", "usr", "etc", "opt", "nix", "gnu", "snap"];

/// Where statically linked programs are mounted; links in /bin lead there.
pub const TOOLBOX: &str = "/toolbox";

/// The link to the other container's files, in a root that is made for the occasion.
pub const TARGET: &str = "target";
