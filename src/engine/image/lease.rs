//! What keeps new content from being collected until an image name refers to it.

use jiff::SignedDuration;

use crate::containerd::{Client, Code};
use crate::engine::Engine;
use crate::error::Result;

/// Long enough for the slowest pull, short enough that a killed one does not fill the disk for ever.
const LIFE: SignedDuration = SignedDuration::from_hours(24);

/// A lease and the connection whose new content it keeps. It is ended explicitly: ending takes a call.
#[derive(Debug)]
pub(super) struct Lease {
    /// What is made through this client is kept.
    pub(super) client: Client,
    plain: Client,
    id: String,
    family: String,
}

impl Lease {
    /// Begin a lease for `what`: leases for the same thing are one family, and a process has one at a time.
    pub(super) async fn begin(engine: &Engine, what: &str) -> Result<Self> {
        let digest = crate::image::digest::sha256(what.as_bytes());
        let family = format!("wharfie-{}-{}-", &digest.digest()[..12], process_space());
        let id = format!("{family}{}", std::process::id());
        match engine.containerd.create_lease(&id, LIFE).await {
            Err(error) if error.code == Code::AlreadyExists => {}
            result => result?,
        }
        let plain = engine.containerd.clone();
        Ok(Self { client: plain.with_lease(&id)?, plain, id, family })
    }

    /// Keep a blob that is there already, with what its labels refer to.
    pub(super) async fn keep(&self, digest: &str) -> Result<()> {
        Ok(self.plain.keep_blob(&self.id, digest).await?)
    }

    /// End it, and those that killed processes left behind for the same thing. With `sync`, what nothing else
    /// refers to is gone afterwards.
    pub(super) async fn end(self, sync: bool) {
        // What cannot be ended now ends by itself at its expiry.
        let _ = self.plain.delete_lease(&self.id, sync).await;
        for lease in self.plain.leases().await.unwrap_or_default() {
            let abandoned = lease
                .id
                .strip_prefix(&self.family)
                .and_then(|pid| pid.parse::<u32>().ok())
                .is_some_and(|pid| !std::path::Path::new(&format!("/proc/{pid}")).exists());
            if abandoned {
                let _ = self.plain.delete_lease(&lease.id, false).await;
            }
        }
    }
}

/// Names the space in which process ids are unique, so that a process elsewhere is never taken for dead.
fn process_space() -> String {
    let link = std::fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    link.to_string_lossy().chars().filter(char::is_ascii_digit).collect()
}
