//! The harness itself, tried with containerd's own client: a test that passes because nothing was looked at
//! is worse than none.

use std::time::Duration;

use rustix::process::Signal;

use crate::engine::TestEngine;
use crate::images::{Entry, Image, hostile_tar};
use crate::registry::{Guard, PASSWORD, USER};

#[test]
fn every_machine_has_a_containerd_of_its_own() {
    let (one, other) = (TestEngine::new(), TestEngine::new());
    one.load_with_ctr("docker.io/library/busybox:latest", &Image::busybox());
    assert_eq!(one.ctr(["images", "ls", "-q"]).ok(), "docker.io/library/busybox:latest");
    assert_eq!(other.ctr(["images", "ls", "-q"]).ok(), "");
    let version = one.ctr(["version"]).ok().to_owned();
    let wanted = std::env::var("WHARFIE_CONTAINERD").unwrap_or_else(|_| "1.6".into());
    assert!(
        version.matches(&format!("Version:  {wanted}.")).count() == 2,
        "client and server are {wanted}: {version}"
    );
}

#[test]
fn containers_run_and_nothing_is_left() {
    let engine = TestEngine::new();
    let image = engine.load_with_ctr("docker.io/library/busybox:latest", &Image::busybox());
    assert_eq!(engine.ctr(["run", "--rm", image, "hello", "echo", "hello"]).ok(), "hello");
    engine.assert_clean();
}

#[test]
fn what_is_left_is_found() {
    let engine = TestEngine::new();
    let image = engine.load_with_ctr("docker.io/library/busybox:latest", &Image::busybox());
    engine.ctr(["run", "-d", image, "left", "sleep", "1000"]).ok();
    engine.ctr(["leases", "create", "--id", "kept"]).ok();
    engine.sh("ip link add left type veth peer name right");
    engine.sh(
        "nft add table ip wharfie; nft 'add set ip wharfie s { type ipv4_addr; elements = { 10.4.0.9 } }'",
    );
    engine.sh("mkdir -p /var/lib/cni/networks/bridge /run/wharfie/ab/netns /mnt; touch /var/lib/cni/networks/bridge/10.4.0.9");
    engine.sh("touch /run/wharfie/ab/netns/default-left; mount -t tmpfs tmpfs /mnt");
    engine
        .sh("mkdir -p /var/lib/wharfie/ab/default/containers/left /var/lib/wharfie/ab/default/pending/left");
    let found = crate::leaks::inventory(&engine);
    for kind in [
        "container default/left",
        "task default/left",
        "lease default/kept",
        "snapshot overlayfs default/left",
        "link left",
        "nft set \"s\" element \"10.4.0.9\"",
        "address ",
        "network namespace ",
        "mount /mnt",
        "directory ",
        "bundle ",
        "process ",
    ] {
        assert!(found.iter().any(|thing| thing.starts_with(kind)), "no {kind:?} in {found:#?}");
    }
    for end in ["/containers/left", "/pending/left", "sleep 1000"] {
        assert!(found.iter().any(|thing| thing.ends_with(end)), "no {end:?} in {found:#?}");
    }
}

#[test]
fn a_dropped_machine_leaves_nothing() {
    let engine = TestEngine::new();
    let image = engine.load_with_ctr("docker.io/library/busybox:latest", &Image::busybox());
    let id = format!("dropped-{}", std::process::id());
    engine.ctr(["run", "-d", image, &id, "sleep", "1000"]).ok();
    engine.ctr(["run", "-d", image, &format!("{id}-paused"), "sleep", "1000"]).ok();
    engine.ctr(["tasks", "pause", &format!("{id}-paused")]).ok();
    let processes = engine.world().processes();
    assert!(processes.len() > 3, "containerd, shims, containers: {processes:?}");
    let directory = engine.directory().to_owned();
    drop(engine);
    assert!(!directory.exists(), "{}", directory.display());
    for pid in processes {
        assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists(), "process {pid} lives");
    }
    let groups = std::process::Command::new("find")
        .args(["/sys/fs/cgroup", "-name", &format!("{id}*")])
        .output()
        .expect("start find");
    assert_eq!(String::from_utf8_lossy(&groups.stdout), "");
}

#[test]
fn containerd_is_killed_and_comes_back() {
    let engine = TestEngine::new();
    let image = engine.load_with_ctr("docker.io/library/busybox:latest", &Image::busybox());
    engine.ctr(["run", "-d", image, "survivor", "sleep", "1000"]).ok();
    engine.kill_containerd();
    assert_ne!(engine.ctr(["--connect-timeout", "100ms", "version"]).code, 0);
    engine.start_containerd();
    assert!(engine.ctr(["tasks", "ls"]).ok().contains("survivor"));
}

#[test]
fn commands_have_input_signals_and_codes() {
    let engine = TestEngine::without_containerd("");
    assert_eq!(engine.program("cat", []).stdin("given").run().ok(), "given");
    assert_eq!(engine.program("sh", ["-c", "exit 7"]).run().code, 7);
    assert_eq!(
        engine.program("sh", ["-c", "echo $WORD $HOME"]).env("WORD", "said").run().ok(),
        format!("said {}/home", engine.directory().display())
    );
    let mut cat = engine.program("cat", []).open_stdin().spawn();
    cat.send("first\n");
    cat.expect("first");
    cat.close();
    assert_eq!(cat.wait().ok(), "first");
    let sleep = engine.program("sh", ["-c", "echo up; exec sleep 1000"]).spawn();
    sleep.expect("up");
    sleep.signal(Signal::TERM);
    assert_eq!(sleep.wait().code, 128 + 15);
}

#[test]
#[should_panic(expected = "no end after")]
fn a_hanging_command_fails_the_test() {
    let engine = TestEngine::without_containerd("");
    engine.program("sleep", ["1000"]).timeout(Duration::from_millis(300)).run();
}

#[test]
fn a_terminal_shows_echoes_and_resizes() {
    let engine = TestEngine::without_containerd("");
    let mut shell = engine.terminal_of(
        "sh",
        ["-c", "trap 'stty size' WINCH; stty size; read -r word; read -r _; echo got $word"],
    );
    shell.expect("24 80");
    assert!(!shell.is_raw());
    shell.send("word\n");
    shell.resize(40, 100);
    shell.send("\n");
    shell.expect("40 100");
    shell.expect("got word");
    assert_eq!(shell.wait(), 0);
    let mut sleep = engine.terminal_of("sh", ["-c", "echo up; exec sleep 1000"]);
    sleep.expect("up");
    sleep.signal(Signal::INT);
    assert_eq!(sleep.wait(), 128 + 2);
}

#[test]
fn registries_guard_themselves() {
    let engine = TestEngine::without_containerd("");
    let image = Image::new([crate::images::tar_of([("file", b"content".as_slice())])]);
    let plain = engine.registry(Guard::Plain);
    let digest = plain.put("library/tiny", "1", &image);
    let told = engine.sh(&format!(
        "curl -fsS http://{}/v2/library/tiny/manifests/1 -H 'Accept: application/vnd.oci.image.manifest.v1+json' | sha256sum",
        plain.host
    ));
    assert!(digest.ends_with(told.split(' ').next().unwrap()), "{digest} {told}");
    assert!(plain.blob(&digest).exists());

    let tls = engine.registry(Guard::Tls);
    engine.sh(&format!("curl -fsS --cacert {} https://{}/v2/", tls.authority.display(), tls.host));
    let guarded = engine.registry(Guard::Password);
    let ask = |user: &str| {
        engine.sh(&format!("curl -s -o /dev/null -w '%{{http_code}}' {user} http://{}/v2/", guarded.host))
    };
    assert_eq!((ask(""), ask(&format!("-u {USER}:{PASSWORD}"))), ("401".into(), "200".into()));
}

#[test]
fn archives_are_what_they_say() {
    let engine = TestEngine::with_cri();
    let image = Image::new([hostile_tar(&[
        Entry::File("../../escaped", b"content"),
        Entry::Symlink("/etc/link", "/../../outside"),
        Entry::Hardlink("twin", "../../escaped"),
    ])]);
    for (name, archive) in
        [("oci", image.oci_archive("host/oci:1")), ("docker", image.docker_archive("host/docker:1"))]
    {
        let file = engine.directory().join(name);
        std::fs::write(&file, archive).expect("write an archive");
        engine.ctr(["images", "import", "--no-unpack", file.to_str().expect("a path in UTF-8")]).ok();
    }
    assert_eq!(engine.ctr(["images", "ls", "-q"]).ok(), "docker.io/host/docker:1\nhost/oci:1");
    // containerd's own names for the half that only this machine has.
    assert!(
        engine.ctr(["plugins", "ls"]).ok().lines().any(|line| line.contains("cri") && line.contains("ok"))
    );
}
