//! Containers that others have made: a kubelet's, ctr's, nerdctl's.

use super::engine;
use crate::cri;
use crate::engine::TestEngine;

#[test]
fn beside_a_pods_container() {
    let engine = cri::engine();
    let pod = cri::pod(&engine);
    let wharfie = |line: &[&str]| engine.wharfie([&["-n", "k8s.io"], line].concat());
    // What the pod resolves names by is what is resolved by here.
    let look = "tr '\\0' ' ' < $TARGET/proc/self/cmdline; hostname; echo '# ours' >> $TARGET/etc/resolv.conf; \
        grep -q ours /etc/resolv.conf && tr '\\0' ' ' < /proc/1/cmdline";
    for tools in ["host", "image", "toolbox"] {
        let seen = wharfie(&["debug", "--tools", tools, &pod.container, "--", "sh", "-c", look]);
        let told = seen.ok().to_owned();
        // The pod's sandbox is the first process of its world.
        assert!(told.contains("\n") && told.ends_with("/bin/sleep 100000 "), "{seen:?}");
        assert!(
            seen.stderr.contains("k8s://shop/web/app") && !seen.stderr.contains("/proc/1/root"),
            "{seen:?}"
        );
    }
    // The service neither counts nor touches what stands beside its container, also after a restart.
    let mut shell = engine.terminal(["-n", "k8s.io", "debug", "--tools", "toolbox", &pod.container]);
    shell.expect("/ # ");
    assert_eq!(cri::containers(&engine), 1);
    engine.kill_containerd();
    engine.start_containerd();
    until_cri_serves(&engine);
    assert_eq!(cri::containers(&engine), 1);
    shell.send("echo still $((40 + 2))\n");
    shell.expect("still 42");
    shell.send("exit 3\n");
    assert_eq!(shell.wait(), 3);
    assert_eq!(wharfie(&["ps", "-q", "--no-trunc"]).ok(), pod.container);
    cri::remove(&engine, &pod);
    assert_eq!(wharfie(&["ps", "-aq"]).ok(), "");
}

#[track_caller]
fn until_cri_serves(engine: &TestEngine) {
    engine.sh("until ctr plugins ls | grep -E 'cri +.*ok' > /dev/null; do sleep 0.05; done");
}

#[test]
fn beside_ctrs_and_nerdctls_containers() {
    let engine = engine();
    engine.ctr(["run", "-d", "--null-io", "docker.io/library/bare:latest", "theirs", "/sleep", "1000"]).ok();
    engine
        .ctr([
            "run",
            "-d",
            "--null-io",
            "--label",
            "nerdctl/name=named",
            "docker.io/library/bare:latest",
            "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
            "/sleep",
            "1000",
        ])
        .ok();
    for name in ["theirs", "named"] {
        for tools in ["host", "image", "toolbox"] {
            let seen = engine.wharfie([
                "debug",
                "--tools",
                tools,
                name,
                "--",
                "sh",
                "-c",
                "cat $TARGET/mark; ip -o link | wc -l",
            ]);
            assert_eq!(seen.ok(), "of the target\n1", "{seen:?}");
        }
        engine.wharfie(["rm", "-f", name]).ok();
    }
    engine.assert_clean();
}

#[test]
fn beside_a_container_with_users_of_its_own() {
    let engine = engine();
    let map = "0:100000:65536";
    let image = "docker.io/library/bare:latest";
    engine
        .ctr(["run", "-d", "--null-io", "--uidmap", map, "--gidmap", map, image, "theirs", "/sleep", "1000"])
        .ok();
    let look = "cat $TARGET/mark; id -u; tr -s ' ' < /proc/self/uid_map; ip -o link | wc -l; \
        test $(readlink /proc/self/ns/user) = $(readlink /proc/1/ns/user); echo $?";
    for tools in ["host", "toolbox", "image"] {
        let seen = engine.wharfie(["debug", "--tools", tools, "theirs", "--", "sh", "-c", look]);
        assert_eq!(seen.ok(), "of the target\n0\n 0 100000 65536\n1\n0", "{seen:?}");
    }
    engine.wharfie(["rm", "-f", "theirs"]).ok();
    engine.assert_clean();
}
