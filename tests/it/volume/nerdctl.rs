//! Volumes that nerdctl keeps in its own store.

use super::{engine, names};
use crate::container::BUSYBOX;

#[test]
fn nerdctls_volumes_are_seen_used_and_guarded() {
    let engine = engine();
    engine.wharfie(["volume", "create", "ours"]).ok();
    // As nerdctl lays them out: its own data root, the same hash of the socket, the namespace.
    engine.sh(
        "hash=$(basename /var/lib/wharfie/*/default/..| tail -1); hash=$(ls /var/lib/wharfie | head -1)
         store=/var/lib/nerdctl/$hash/volumes/default
         mkdir -p $store/theirs/_data $store/ours/_data
         echo '{\"labels\": {\"a\": \"b\"}}' > $store/theirs/volume.json; echo '{}' > $store/ours/volume.json
         echo nerdctl > $store/theirs/_data/f",
    );
    assert_eq!(names(&engine), "ours theirs");
    assert_eq!(engine.wharfie(["volume", "ls", "-qf", "label=a=b"]).ok(), "theirs");
    let path = engine.wharfie(["volume", "inspect", "-f", "{{.Mountpoint}}", "theirs"]).ok().to_owned();
    assert!(
        path.starts_with("/var/lib/nerdctl/") && path.ends_with("/volumes/default/theirs/_data"),
        "{path}"
    );
    let ours = engine.wharfie(["volume", "inspect", "-f", "{{.Mountpoint}}", "ours"]).ok().to_owned();
    assert!(ours.starts_with("/var/lib/wharfie/"), "{ours}");
    assert_eq!(
        engine
            .wharfie(["run", "--rm", "-v", "theirs:/x", BUSYBOX, "sh", "-c", "cat /x/f; echo new > /x/new"])
            .ok(),
        "nerdctl"
    );
    assert_eq!(engine.sh(&format!("cat {path}/new")), "new");
    // A container of nerdctl's names its volumes in a label; it need not run.
    let mounts = format!(
        "nerdctl/mounts=[{{\"Type\":\"volume\",\"Name\":\"theirs\",\"Source\":\"{path}\",\"Destination\":\"/x\"}}]"
    );
    engine
        .ctr([
            "containers",
            "create",
            "--label",
            "nerdctl/name=web",
            "--label",
            &mounts,
            "docker.io/library/busybox:latest",
            "theirs-1",
        ])
        .ok();
    let refused = engine.wharfie(["volume", "rm", "theirs"]);
    assert!(refused.fails(1).contains("remove theirs: volume is in use - [theirs-1]"), "{refused:?}");
    engine.ctr(["containers", "delete", "theirs-1"]).ok();
    // A prune leaves them to nerdctl; by name they go.
    assert_eq!(
        engine.wharfie(["volume", "prune", "-af"]).ok(),
        "Deleted Volumes:\nours\n\nTotal reclaimed space: 0B"
    );
    assert_eq!(names(&engine), "ours theirs");
    assert_eq!(engine.wharfie(["volume", "rm", "theirs", "ours"]).ok(), "theirs\nours");
    assert_eq!(engine.sh("ls -A /var/lib/nerdctl/*/volumes/default"), "");
    engine.assert_clean();
}
