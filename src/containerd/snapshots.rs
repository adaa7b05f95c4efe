//! Snapshots: the layers of images and of containers as file systems.

use std::collections::HashMap;

use containerd_client::services::v1::snapshots as api;
use containerd_client::types;
use jiff::Timestamp;

use super::client::LARGEST_MESSAGE;
use super::{Client, Error, Result, values};

/// How to mount a snapshot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mount {
    /// `overlay` or `bind`.
    pub kind: String,
    /// What is mounted.
    pub source: String,
    /// Where below the root; usually empty.
    pub target: String,
    /// `lowerdir=…`, `ro`, …
    pub options: Vec<String>,
}

/// What a snapshot is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SnapshotKind {
    /// A read-only look at a committed one.
    View,
    /// Being written.
    Active,
    /// Fixed; others can stand on it.
    Committed,
    /// Not said.
    Unknown,
}

/// A snapshot's record.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Its key.
    pub name: String,
    /// What it stands on; empty for the lowest.
    pub parent: String,
    /// What it is.
    pub kind: SnapshotKind,
    /// Labels.
    pub labels: HashMap<String, String>,
    /// When it was made.
    pub created_at: Option<Timestamp>,
    /// When its record was last changed.
    pub updated_at: Option<Timestamp>,
}

impl Client {
    /// A new writable snapshot `key` on `parent` (empty: on nothing).
    pub async fn prepare_snapshot(
        &self,
        snapshotter: &str,
        key: &str,
        parent: &str,
        labels: HashMap<String, String>,
    ) -> Result<Vec<Mount>> {
        let request = api::PrepareSnapshotRequest {
            snapshotter: snapshotter.into(),
            key: key.into(),
            parent: parent.into(),
            labels,
        };
        twice(async || {
            let reply = self.snapshots_api().prepare(self.request(request.clone())).await?;
            Ok(mounts(reply.into_inner().mounts))
        })
        .await
    }

    /// A new read-only look `key` at the committed snapshot `parent`.
    pub async fn view_snapshot(
        &self,
        snapshotter: &str,
        key: &str,
        parent: &str,
        labels: HashMap<String, String>,
    ) -> Result<Vec<Mount>> {
        let request = api::ViewSnapshotRequest {
            snapshotter: snapshotter.into(),
            key: key.into(),
            parent: parent.into(),
            labels,
        };
        twice(async || {
            let reply = self.snapshots_api().view(self.request(request.clone())).await?;
            Ok(mounts(reply.into_inner().mounts))
        })
        .await
    }

    /// How to mount the writable snapshot or view `key`.
    pub async fn snapshot_mounts(&self, snapshotter: &str, key: &str) -> Result<Vec<Mount>> {
        let request = self.request(api::MountsRequest { snapshotter: snapshotter.into(), key: key.into() });
        Ok(mounts(self.snapshots_api().mounts(request).await?.into_inner().mounts))
    }

    /// Fix the writable snapshot `key` under `name`.
    pub async fn commit_snapshot(
        &self,
        snapshotter: &str,
        name: &str,
        key: &str,
        labels: HashMap<String, String>,
    ) -> Result<()> {
        let request = self.request(api::CommitSnapshotRequest {
            snapshotter: snapshotter.into(),
            name: name.into(),
            key: key.into(),
            labels,
        });
        self.snapshots_api().commit(request).await?;
        Ok(())
    }

    /// Remove a snapshot that nothing stands on.
    pub async fn remove_snapshot(&self, snapshotter: &str, key: &str) -> Result<()> {
        let request =
            self.request(api::RemoveSnapshotRequest { snapshotter: snapshotter.into(), key: key.into() });
        self.snapshots_api().remove(request).await?;
        Ok(())
    }

    /// A snapshot's record.
    pub async fn snapshot(&self, snapshotter: &str, key: &str) -> Result<Snapshot> {
        let request =
            self.request(api::StatSnapshotRequest { snapshotter: snapshotter.into(), key: key.into() });
        let reply = self.snapshots_api().stat(request).await?.into_inner();
        reply
            .info
            .map(from_api)
            .ok_or_else(|| Error::other(format!("containerd sent nothing for snapshot {key}")))
    }

    /// Every snapshot of the namespace.
    pub async fn snapshots(&self, snapshotter: &str) -> Result<Vec<Snapshot>> {
        let request =
            self.request(api::ListSnapshotsRequest { snapshotter: snapshotter.into(), filters: vec![] });
        let mut stream = self.snapshots_api().list(request).await?.into_inner();
        let mut snapshots = Vec::new();
        while let Some(part) = stream.message().await? {
            snapshots.extend(part.info.into_iter().map(from_api));
        }
        Ok(snapshots)
    }

    /// Set labels of a snapshot, an empty value removing one: its record afterwards.
    pub async fn relabel_snapshot(
        &self,
        snapshotter: &str,
        key: &str,
        labels: HashMap<String, String>,
    ) -> Result<Snapshot> {
        let paths: Vec<String> = labels.keys().map(|label| format!("labels.{label}")).collect();
        let request = self.request(api::UpdateSnapshotRequest {
            snapshotter: snapshotter.into(),
            info: Some(api::Info { name: key.into(), labels, ..api::Info::default() }),
            update_mask: values::mask(&paths.iter().map(String::as_str).collect::<Vec<_>>()),
        });
        let reply = self.snapshots_api().update(request).await?.into_inner();
        let missing = || Error::other(format!("containerd sent nothing for snapshot {key}"));
        reply.info.map(from_api).ok_or_else(missing)
    }

    /// Bytes that the snapshot adds to what it stands on.
    pub async fn snapshot_usage(&self, snapshotter: &str, key: &str) -> Result<u64> {
        self.snapshot_size(snapshotter, key).await.map(|(bytes, _)| bytes)
    }

    /// Bytes and files that the snapshot adds to what it stands on.
    pub async fn snapshot_size(&self, snapshotter: &str, key: &str) -> Result<(u64, u64)> {
        let request = self.request(api::UsageRequest { snapshotter: snapshotter.into(), key: key.into() });
        let reply = self.snapshots_api().usage(request).await?.into_inner();
        let plain = |count: i64| u64::try_from(count).unwrap_or_default();
        Ok((plain(reply.size), plain(reply.inodes)))
    }

    fn snapshots_api(&self) -> api::snapshots_client::SnapshotsClient<tonic::transport::Channel> {
        api::snapshots_client::SnapshotsClient::new(self.channel.clone())
            .max_decoding_message_size(LARGEST_MESSAGE)
    }
}

/// A containerd that was killed in the middle has left a directory in the place of the next snapshot. It fails once,
/// and removes it when it does.
async fn twice<T>(make: impl AsyncFn() -> Result<T>) -> Result<T> {
    match make().await {
        Err(error) if error.message.contains("failed to rename") => make().await,
        other => other,
    }
}

pub(super) fn mounts(mounts: Vec<types::Mount>) -> Vec<Mount> {
    mounts
        .into_iter()
        .map(|mount| Mount {
            kind: mount.r#type,
            source: mount.source,
            target: mount.target,
            options: mount.options,
        })
        .collect()
}

fn from_api(info: api::Info) -> Snapshot {
    let kind = match info.kind() {
        api::Kind::View => SnapshotKind::View,
        api::Kind::Active => SnapshotKind::Active,
        api::Kind::Committed => SnapshotKind::Committed,
        api::Kind::Unknown => SnapshotKind::Unknown,
    };
    Snapshot {
        name: info.name,
        parent: info.parent,
        kind,
        labels: info.labels,
        created_at: values::time(info.created_at),
        updated_at: values::time(info.updated_at),
    }
}
