//! containerd over gRPC: the only room that names its client and its protobuf types. One file a service; what
//! leaves this room are the plain values below.

mod client;
mod containers;
mod content;
mod diff;
mod error;
mod event_json;
mod events;
mod images;
mod introspection;
mod leases;
mod metrics;
mod namespaces;
mod readings;
mod sandboxes;
mod snapshots;
mod tasks;
mod values;

pub use client::Client;
pub use containers::{Container, Extension};
pub use content::{BlobInfo, BlobReader, BlobWriter, Ingest};
pub use error::{Code, Error, Result};
pub use events::{Event, EventStream, Happening};
pub use images::Image;
pub use introspection::{Deprecation, Plugin, RuntimeInfo, Server, Version};
pub use leases::{EXPIRY, Lease};
pub use metrics::Metrics;
pub use readings::{CgroupVersion, Readings};
pub use sandboxes::Sandbox;
pub use snapshots::{Mount, Snapshot, SnapshotKind};
pub use tasks::{Exit, Stdio, Task, TaskStatus};
