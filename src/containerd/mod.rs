//! containerd over gRPC: the only room that names its client and its protobuf types. One file a service; what
//! leaves this room are the plain values below.

mod client;
mod containers;
mod content;
mod diff;
mod error;
mod events;
mod images;
mod introspection;
mod leases;
mod metrics;
mod namespaces;
mod snapshots;
mod tasks;
mod values;

pub use client::Client;
pub use containers::{Container, Extension};
pub use content::{BlobInfo, BlobWriter, Ingest};
pub use error::{Code, Error, Result};
pub use events::{Event, EventStream, Happening};
pub use images::Image;
pub use introspection::{Plugin, Version};
pub use leases::Lease;
pub use metrics::Metrics;
pub use snapshots::{Mount, Snapshot, SnapshotKind};
pub use tasks::{Exit, Stdio, Task, TaskStatus};
