//! Snapshots that nothing uses and that containerd keeps all the same.

use std::collections::{BTreeMap, HashMap, HashSet};

use futures_util::future::join_all;

use super::Budget;
use super::facts::{Facts, Namespace};
use super::finding::{Finding, count, some_of};
use crate::containerd::{Client, Code, Result, Snapshot};
use crate::engine::Engine;
use crate::engine::container::is_being_made;
use crate::output::units::human_size;

const CHECK: &str = "snapshots";
const KIND: &str = "io.containerd.snapshotter.v1";
/// Where a blob's labels name the snapshot that was unpacked from it.
const REFERENCE: &str = "containerd.io/gc.ref.snapshot.";
/// What keeps a snapshot that nothing refers to. Any other one is removed by containerd itself.
const ROOT: &str = "containerd.io/gc.root";
/// As many are measured.
const MEASURED: usize = 200;

/// Whether every snapshot has somebody who uses it.
pub(super) async fn check(facts: &Facts, budget: Budget) -> Vec<Finding> {
    let (Some(reached), Some(namespaces), Some(plugins)) =
        (&facts.containerd, &facts.namespaces, &facts.plugins)
    else {
        return vec![super::containerd::unanswered(facts, CHECK, "its snapshots")];
    };
    let snapshotters: Vec<&str> = plugins
        .iter()
        .filter(|plugin| plugin.kind == KIND && plugin.error.is_none())
        .map(|plugin| plugin.id.as_str())
        .collect();
    let looked = namespaces.iter().map(|namespace| one(&reached.client, facts, namespace, &snapshotters));
    match tokio::time::timeout_at(budget.until(93), join_all(looked)).await {
        Ok(results) => {
            let found: Result<Vec<Vec<Finding>>> = results.into_iter().collect();
            match found.map(|found| found.into_iter().flatten().collect::<Vec<_>>()) {
                Ok(found) if found.is_empty() => vec![Finding::ok(CHECK, "every one is used")],
                Ok(found) => found,
                Err(error) => vec![
                    Finding::warning(CHECK, format!("containerd does not tell: {}", error.message))
                        .next(facts.daemon.log(&facts.node)),
                ],
            }
        }
        Err(_) => vec![super::containerd::unanswered(facts, CHECK, "its snapshots")],
    }
}

/// The unused ones of a namespace.
async fn one(
    client: &Client,
    facts: &Facts,
    namespace: &Namespace,
    snapshotters: &[&str],
) -> Result<Vec<Finding>> {
    let client = client.with_namespace(&namespace.name)?;
    // What keeps is asked for after what is kept: a container that comes in between would look like a leftover.
    let listed = join_all(snapshotters.iter().map(|name| client.snapshots(name))).await;
    let all: Vec<(&str, Vec<Snapshot>)> =
        snapshotters.iter().copied().zip(listed.into_iter().collect::<Result<Vec<_>>>()?).collect();
    if all.iter().all(|(_, snapshots)| snapshots.is_empty()) {
        return Ok(Vec::new());
    }
    let (containers, blobs, leased) =
        tokio::join!(client.containers(&[]), client.blobs(&[]), leased(&client));
    let mut used: HashSet<(String, String)> = leased?;
    used.extend(containers?.into_iter().map(|container| (container.snapshotter, container.snapshot_key)));
    for (key, value) in blobs?.into_iter().flat_map(|blob| blob.labels) {
        if let Some(snapshotter) = key.strip_prefix(REFERENCE) {
            // A label may go on after the snapshotter's name.
            let snapshotter = snapshotter.split('/').next().unwrap_or_default();
            used.insert((snapshotter.to_owned(), value));
        }
    }
    // A command of ours that makes a container keeps its snapshot by that label for a moment.
    let engine = Engine::over(facts.config.clone(), client.clone()).in_namespace(&namespace.name);
    let engine =
        engine.map_err(|error| crate::containerd::Error { code: Code::Other, message: error.message })?;
    let mut findings = Vec::new();
    for (snapshotter, snapshots) in all {
        let unused = unused(snapshotter, &snapshots, &used);
        let unused: Vec<&str> = unused.into_iter().filter(|key| !is_being_made(&engine, key)).collect();
        if unused.is_empty() {
            continue;
        }
        let sizes =
            join_all(unused.iter().take(MEASURED).map(|key| client.snapshot_usage(snapshotter, key))).await;
        let bytes: u64 = sizes.into_iter().filter_map(Result::ok).sum();
        findings.push(finding(&namespace.name, snapshotter, &unused, bytes));
    }
    Ok(findings)
}

#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
fn finding(namespace: &str, snapshotter: &str, unused: &[&str], bytes: u64) -> Finding {
    let message = format!(
        "{} that no container or image uses, {}: {}",
        count(unused.len(), "snapshot"),
        human_size(bytes as f64),
        some_of(unused)
    );
    let keys: Vec<&str> = unused.iter().rev().take(3).copied().collect();
    Finding::warning(CHECK, message).of(format!("{namespace}/{snapshotter}")).next(format!(
        "wharfie ctr -n {namespace} snapshots --snapshotter {snapshotter} rm {}",
        keys.join(" ")
    ))
}

/// The snapshots that leases keep: pairs of snapshotter and key.
async fn leased(client: &Client) -> Result<HashSet<(String, String)>> {
    let mut kept = HashSet::new();
    for lease in client.leases().await? {
        // One that has ended in the meantime keeps nothing.
        for (kind, id) in client.lease_resources(&lease.id).await.unwrap_or_default() {
            if let Some(snapshotter) = kind.strip_prefix("snapshots/") {
                kept.insert((snapshotter.to_owned(), id));
            }
        }
    }
    Ok(kept)
}

/// The keys that are kept by their own label alone: neither used nor stood on by one that is. The lowest come first.
fn unused<'a>(snapshotter: &str, all: &'a [Snapshot], used: &HashSet<(String, String)>) -> Vec<&'a str> {
    let parents: HashMap<&str, &str> =
        all.iter().map(|snapshot| (snapshot.name.as_str(), snapshot.parent.as_str())).collect();
    let mut kept: HashSet<&str> = HashSet::new();
    for (_, key) in used.iter().filter(|(name, _)| name == snapshotter) {
        let mut at = parents.get_key_value(key.as_str()).map(|(key, _)| *key);
        while let Some(key) = at.filter(|key| !key.is_empty() && kept.insert(key)) {
            at = parents.get(key).copied();
        }
    }
    // What nothing keeps goes by itself; what stands below one that stays does not.
    let mut left: BTreeMap<usize, Vec<&str>> = BTreeMap::new();
    for snapshot in all.iter().filter(|snapshot| snapshot.labels.contains_key(ROOT)) {
        let mut chain = Vec::new();
        let mut at = Some(snapshot.name.as_str());
        while let Some(key) = at.filter(|key| !key.is_empty() && !kept.contains(key)) {
            kept.insert(key);
            chain.push(key);
            at = parents.get(key).copied();
        }
        for (depth, key) in chain.iter().rev().enumerate() {
            left.entry(depth).or_default().push(key);
        }
    }
    left.into_values().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::containerd::SnapshotKind;

    fn snapshot(name: &str, parent: &str, root: bool) -> Snapshot {
        let labels = root.then(|| (ROOT.to_owned(), "now".to_owned())).into_iter().collect();
        Snapshot {
            name: name.into(),
            parent: parent.into(),
            kind: SnapshotKind::Active,
            labels,
            created_at: None,
            updated_at: None,
        }
    }

    #[test]
    fn what_is_used_is_not_left() {
        let all = [
            snapshot("layer1", "", false),
            snapshot("layer2", "layer1", false),
            snapshot("container", "layer2", true),
            snapshot("low", "", false),
            snapshot("left", "low", true),
            snapshot("going", "low", false),
        ];
        let used = HashSet::from([("overlayfs".to_owned(), "container".to_owned())]);
        assert_eq!(unused("overlayfs", &all, &used), ["low", "left"]);
        assert_eq!(unused("native", &all, &used).len(), 5);
    }
}
