//! What keeps new content from being collected until an image name refers to it.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};

use crate::containerd::{Client, Code, EXPIRY};
use crate::engine::Engine;
use crate::error::Result;

/// Long enough for the slowest pull, short enough that a killed one does not fill the disk for ever.
const LIFE: SignedDuration = SignedDuration::from_hours(24);

/// Our label on a lease: what it is for.
const PURPOSE: &str = "wharfie/for";
const PREFIX: &str = "wharfie-";

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
        let family = format!("{PREFIX}{}-{}-", &digest.digest()[..12], process_space());
        let id = format!("{family}{}", std::process::id());
        let expiry = Timestamp::now().saturating_add(LIFE).unwrap_or(Timestamp::MAX);
        let labels = [
            (EXPIRY.to_owned(), expiry.to_string()),
            (PURPOSE.to_owned(), what.chars().take(1000).collect()),
        ];
        match engine.containerd.create_labelled_lease(&id, HashMap::from(labels)).await {
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
        end_abandoned(&self.plain, |id, _| id.starts_with(&self.family)).await;
    }
}

/// End what killed processes have left behind for whatever `is_meant`: what their leases alone kept is collected when
/// the next thing is removed. What cannot be ended now ends by itself at its expiry. True when something was ended.
pub(super) async fn sweep(engine: &Engine, is_meant: impl Fn(&str) -> bool) -> bool {
    end_abandoned(&engine.containerd, |_, purpose| is_meant(purpose)).await
}

async fn end_abandoned(client: &Client, is_meant: impl Fn(&str, &str) -> bool) -> bool {
    let here = process_space();
    let mut any = false;
    for lease in client.leases().await.unwrap_or_default() {
        let process = lease.id.strip_prefix(PREFIX).and_then(|rest| {
            let mut parts = rest.splitn(3, '-').skip(1);
            (parts.next()? == here).then(|| parts.next()?.parse::<u32>().ok()).flatten()
        });
        let is_over = process.is_some_and(|pid| !std::path::Path::new(&format!("/proc/{pid}")).exists());
        let purpose = lease.labels.get(PURPOSE).map(String::as_str).unwrap_or_default();
        if is_over && is_meant(&lease.id, purpose) {
            any |= client.delete_lease(&lease.id, false).await.is_ok();
        }
    }
    any
}

/// Collect now what nothing refers to any more, rather than whenever containerd finds the time.
pub(super) async fn collect(engine: &Engine) {
    let id = format!("{PREFIX}collect-{}-{}", process_space(), std::process::id());
    // containerd collects when a lease ends.
    if engine.containerd.create_lease(&id, SignedDuration::from_mins(1)).await.is_ok() {
        let _ = engine.containerd.delete_lease(&id, true).await;
    }
}

/// Names the space in which process ids are unique, so that a process elsewhere is never taken for dead.
fn process_space() -> String {
    let link = std::fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    link.to_string_lossy().chars().filter(char::is_ascii_digit).collect()
}
