//! Verbs that change something, on a kubelet's containers: refused unless they are asked for outright.

use super::BUSYBOX;
use crate::cri;

#[test]
fn a_pods_containers_are_changed_only_by_force() {
    let engine = cri::engine();
    let pod = cri::pod(&engine);
    let (container, sandbox) = (pod.container.as_str(), pod.sandbox.as_str());
    let wharfie = |line: &[&str]| engine.wharfie([&["-n", "k8s.io"], line].concat());
    assert_eq!(
        wharfie(&["ps", "--format", "{{.ID}} {{.Names}}"]).ok(),
        format!("{} k8s://shop/web/app", &container[..12])
    );
    for (line, act) in [
        (&["stop", container][..], "stop"),
        (&["kill", container], "kill"),
        (&["restart", container], "restart"),
        (&["pause", container], "pause"),
        (&["rename", container, "other"], "rename"),
        (&["update", "--memory", "64m", "--memory-swap", "-1", container], "update"),
        (&["rm", container], "remove"),
        (&["stop", sandbox], "stop"),
        (&["rm", sandbox], "remove"),
    ] {
        let refused = wharfie(line);
        let message = refused.fails(1);
        assert!(
            message.starts_with("Error response from daemon: ")
                && message.contains(&format!("cannot {act} container k8s://shop/web")),
            "{refused:?}"
        );
        assert!(
            message.contains("that a kubelet manages")
                && message.contains("`kubectl delete pod -n shop web`"),
            "{refused:?}"
        );
        let stop = if line.contains(&sandbox) { "stopp" } else { "stop" };
        assert!(message.contains(&format!("`crictl {stop} ")), "{refused:?}");
        assert_eq!(refused.stdout, "");
    }
    for prune in [&["container", "prune", "-f"][..], &["system", "prune", "-af", "--volumes"]] {
        assert_eq!(wharfie(prune).ok(), "Total reclaimed space: 0B");
    }
    assert_eq!(wharfie(&["ps", "-aq", "--sandboxes"]).ok().lines().count(), 2, "all is as it was");
    // Asked for outright.
    assert_eq!(
        wharfie(&["update", "--force", "--memory", "64m", "--memory-swap", "-1", container]).ok(),
        container
    );
    let limit =
        "cat /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null || cat /sys/fs/cgroup/memory.max";
    assert_eq!(wharfie(&["exec", container, "sh", "-c", limit]).ok(), "67108864");
    assert_eq!(wharfie(&["inspect", "-f", "{{.HostConfig.Memory}}", container]).ok(), "67108864");
    let policy = wharfie(&["update", "--force", "--restart", "always", container]);
    assert!(policy.fails(1).contains("its restart policy is kept by the kubelet"), "{policy:?}");
    assert_eq!(wharfie(&["pause", "--force", container]).ok(), container);
    assert_eq!(wharfie(&["unpause", container]).ok(), container);
    let row =
        wharfie(&["stats", "--no-stream", "--format", "{{.Name}} {{.MemUsage}} {{.NetIO}}"]).ok().to_owned();
    assert!(row.starts_with("k8s://shop/web/app ") && row.ends_with("/ 64MiB 0B / 0B"), "{row}");
    assert_eq!(wharfie(&["stop", "--force", container]).ok(), container);
    // The service hears of the end by an event, and asks a shim that is gone until it has.
    cri::wait_for_end(&engine, container);
    cri::remove(&engine, &pod);
    assert_eq!(wharfie(&["ps", "-aq"]).ok(), "");
    let pod = cri::pod(&engine);
    for id in [&pod.container, &pod.sandbox] {
        assert_eq!(wharfie(&["rm", "-f", id]).ok(), id);
    }
    assert_eq!(wharfie(&["ps", "-aq"]).ok(), "");
    // What is nobody's needs no force, and takes it.
    engine.ctr(["images", "import", &archive(&engine)]).ok();
    engine.wharfie(["run", "-d", "--name", "own", BUSYBOX, "sleep", "1000"]).ok();
    engine.wharfie(["pause", "--force", "own"]).ok();
    engine.wharfie(["kill", "--force", "own"]).ok();
    engine.wharfie(["rm", "-f", "own"]).ok();
}

#[test]
fn what_pods_stand_on_is_removed_only_by_force() {
    let engine = cri::engine();
    let pause = "registry.local/pause:1";
    let wharfie = |line: &[&str]| engine.wharfie([&["-n", "k8s.io"], line].concat());
    let names = || {
        let mut names: Vec<String> = wharfie(&["images", "--format", "{{.Repository}}:{{.Tag}}"])
            .ok()
            .lines()
            .map(str::to_owned)
            .collect();
        names.sort();
        names.join(" ")
    };
    let id = wharfie(&["images", "-q", pause]).ok().to_owned();
    // A name that only the sandbox of a pod has, and one that CRI has pinned.
    wharfie(&["tag", "busybox", "own:1"]).ok();
    let sandbox = ["--label", "io.cri-containerd.kind=sandbox", "docker.io/library/own:1", "pod", "true"];
    engine.ctr(["-n", "k8s.io", "containers", "create"].into_iter().chain(sandbox)).ok();
    wharfie(&["tag", "busybox", "marked:1"]).ok();
    let marked = ["docker.io/library/marked:1", "io.cri-containerd.pinned=pinned"];
    engine.ctr(["-n", "k8s.io", "images", "label"].into_iter().chain(marked)).ok();
    let before = names();
    for (image, why) in [
        (pause, "- "),
        (&id, "- "),
        ("own:1", "image is being used by pod, the sandbox of a pod"),
        ("marked:1", "CRI has pinned it"),
    ] {
        let refused = wharfie(&["rmi", image]);
        let error = refused.fails(1);
        assert!(error.contains(&format!("unable to delete {image} (must be forced) - ")), "{refused:?}");
        assert!(error.contains(why) && error.contains("--force removes it all the same"), "{refused:?}");
    }
    for line in [&["image", "prune", "-af"][..], &["system", "prune", "-af"]] {
        assert_eq!(wharfie(line).ok(), "Total reclaimed space: 0B");
    }
    let look = wharfie(&["system", "prune", "-a", "--dry-run"]);
    assert_eq!(look.ok(), "Total reclaimable space: 0B");
    assert_eq!(names(), before);
    // What is no pod's goes as ever, and by force everything does.
    wharfie(&["tag", "busybox", "other:1"]).ok();
    assert_eq!(wharfie(&["rmi", "other:1"]).ok(), "Untagged: other:1");
    for image in ["marked:1", "own:1"] {
        assert_eq!(wharfie(&["rmi", "-f", image]).ok(), format!("Untagged: {image}"));
    }
    assert!(wharfie(&["rmi", "-f", pause]).ok().starts_with(&format!("Untagged: {pause}\nDeleted: sha256:")));
    engine.ctr(["-n", "k8s.io", "containers", "rm", "pod"]).ok();
}

#[track_caller]
fn archive(engine: &crate::engine::TestEngine) -> String {
    let path = engine.directory().join("busybox.tar");
    std::fs::write(&path, crate::images::Image::busybox().oci_archive("docker.io/library/busybox:latest"))
        .unwrap();
    path.to_str().unwrap().to_owned()
}
