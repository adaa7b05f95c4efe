//! The container device interface: what a vendor's specification says of its devices, as JSON.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A vendor's specification of its devices.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Specification {
    /// The version of the interface.
    pub cdi_version: String,
    /// `vendor.com/class`.
    pub kind: String,
    /// Its devices.
    pub devices: Vec<Device>,
    /// What every one of its devices needs.
    pub container_edits: Edits,
}

/// A device by name.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Device {
    /// `0`, `all`, …
    pub name: String,
    /// What a container that has it needs.
    pub container_edits: Edits,
}

/// Changes of a container's specification.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Edits {
    /// `KEY=value`.
    pub env: Vec<String>,
    /// Nodes to make.
    pub device_nodes: Vec<Node>,
    /// Files and directories of the host.
    pub mounts: Vec<Mount>,
    /// Programs that the runtime calls.
    pub hooks: Vec<Hook>,
    /// Groups of the process.
    #[serde(rename = "additionalGids")]
    pub additional_gids: Vec<u32>,
    /// Intel's resource director.
    pub intel_rdt: Option<Value>,
}

/// A device node.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Node {
    /// Its path in the container.
    pub path: String,
    /// Its path on the host, where that differs.
    pub host_path: String,
    /// `c`, `b` or `p`; empty where the host's node tells.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its number.
    pub major: i64,
    /// Its number.
    pub minor: i64,
    /// Mode bits.
    pub file_mode: Option<u32>,
    /// Some of `rwm`.
    pub permissions: String,
    /// Its owner.
    pub uid: Option<u32>,
    /// Its group.
    pub gid: Option<u32>,
}

/// A mount.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Mount {
    /// Where from.
    pub host_path: String,
    /// Where to.
    pub container_path: String,
    /// How.
    pub options: Vec<String>,
    /// `bind` where it is empty.
    #[serde(rename = "type")]
    pub kind: String,
}

/// A program that the runtime calls.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Hook {
    /// `createContainer`, …
    #[serde(rename = "hookName")]
    pub name: String,
    /// The program.
    pub path: String,
    /// Its arguments, its name first.
    pub args: Vec<String>,
    /// Its environment.
    pub env: Vec<String>,
    /// Seconds.
    pub timeout: Option<i64>,
}

impl Edits {
    /// Both, `other` after this.
    pub fn append(&mut self, other: &Self) {
        self.env.extend(other.env.iter().cloned());
        self.device_nodes.extend(other.device_nodes.iter().cloned());
        self.mounts.extend(other.mounts.iter().cloned());
        self.hooks.extend(other.hooks.iter().cloned());
        self.additional_gids.extend(&other.additional_gids);
        if other.intel_rdt.is_some() {
            self.intel_rdt.clone_from(&other.intel_rdt);
        }
    }
}
