//! `image push ssh://…`: only what the other machine lacks, unpacked there.

use super::{BUSYBOX, FULL, Node, engine, nothing_forwarded};
use crate::images::Image;

/// A connection that lets twelve megabytes pass and loses what comes after.
const HELD: &str = "
import os, socket, threading
far, left = socket.create_connection(('10.99.1.2', 22)), 12_000_000
def back():
    while data := far.recv(65536):
        os.write(1, data)
threading.Thread(target=back, daemon=True).start()
while data := os.read(0, 65536):
    if left > 0:
        far.sendall(data)
    left -= len(data)
";

#[test]
fn only_missing_blobs_go_over() {
    let engine = engine();
    let node = Node::start(&engine, "n1");
    engine.load_with_ctr(FULL, &Image::busybox());
    engine.accept();
    let first = engine.wharfie(["image", "push", BUSYBOX, "ssh://n1"]);
    let last = first.ok().lines().last().unwrap().to_owned();
    assert!(
        last.starts_with(&format!("{FULL}: digest: sha256:")) && last.contains(" sent: 3 of 3 blobs, "),
        "{first:?}"
    );
    assert!(first.ok().contains(": Pushed\n") && first.ok().contains(": Unpacked\n"), "{first:?}");
    assert_eq!(node.ctr(&engine, "leases ls -q"), "");
    assert_eq!(node.wharfie(&engine, ["run", "--rm", "--pull", "never", BUSYBOX, "echo", "hi"]).ok(), "hi");
    // Again: nothing goes over, in either order of words.
    let again = engine.wharfie(["image", "push", "ssh://n1", BUSYBOX]);
    assert!(
        again.ok().ends_with("sent: 0 of 3 blobs, 0B") && again.ok().contains("Layer already exists"),
        "{again:?}"
    );
    // One layer more: its blob, and the manifest and configuration that name it.
    engine.wharfie(["run", "--name", "base", BUSYBOX, "sh", "-c", "echo more >/more"]).ok();
    engine.wharfie(["commit", "base", "more:1"]).ok();
    engine.wharfie(["rm", "base"]).ok();
    let before: usize = node.ctr(&engine, "content ls -q").lines().count();
    let more = engine.wharfie(["image", "push", "more:1", "ssh://n1"]);
    assert!(more.ok().contains("sent: 3 of 4 blobs"), "{more:?}");
    assert_eq!(node.ctr(&engine, "content ls -q").lines().count(), before + 3);
    assert_eq!(
        node.wharfie(&engine, ["run", "--rm", "--pull", "never", "more:1", "cat", "/more"]).ok(),
        "more"
    );
    assert_eq!(
        engine.wharfie(["image", "push", "-q", "more:1", "ssh://n1"]).ok(),
        "docker.io/library/more:1"
    );
    for (line, why) in [
        (["image", "push", "nothing:1", "ssh://n1"], "No such image: nothing:1"),
        (["image", "push", BUSYBOX, "ssh://n1/nowhere.sock"], "none of the known sockets is there"),
    ] {
        let told = engine.wharfie(line);
        assert!(told.fails(1).contains(why), "{told:?}");
    }
    nothing_forwarded(&engine);
}

#[test]
fn kubernetes_gets_its_names_and_labels() {
    let engine = engine();
    let node = Node::start(&engine, "n1");
    engine.load_with_ctr(FULL, &Image::busybox());
    engine.accept();
    engine.wharfie(["image", "push", BUSYBOX, "ssh://n1?ns=k8s.io"]).ok();
    let images = node.ctr(&engine, "-n k8s.io images ls");
    assert_eq!(images.matches("io.cri-containerd.image=managed").count(), 3, "{images}");
    let names = node.ctr(&engine, "-n k8s.io images ls -q");
    let names: Vec<&str> = names.lines().collect();
    assert!(names.contains(&FULL) && names.iter().any(|name| name.starts_with("sha256:")), "{names:?}");
    assert!(names.iter().any(|name| name.starts_with("docker.io/library/busybox@sha256:")), "{names:?}");
    assert_eq!(node.ctr(&engine, "images ls -q"), "", "the default namespace has nothing");
    let snapshots = node.ctr(&engine, "-n k8s.io snapshots ls");
    assert!(snapshots.contains("Committed"), "{snapshots}");
    nothing_forwarded(&engine);
}

#[test]
fn an_interrupted_push_goes_on() {
    let engine = engine();
    let node = Node::start(&engine, "n1");
    // A layer that does not shrink, of which the connection lets a part pass and then holds.
    engine.sh("head -c 30000000 /dev/urandom >big; tar -cf big.tar big");
    engine.wharfie(["import", "big.tar", "big:1"]).ok();
    engine.accept();
    engine.sh(
        "printf 'Host n1held\\n  HostKeyAlias 10.99.1.2\\n  User root\\n  IdentityFile /root/.ssh/key\\n  \
         ProxyCommand python3 %s/proxy.py\\n' \"$PWD\" >>/root/.ssh/config",
    );
    std::fs::write(engine.directory().join("home/proxy.py"), HELD).expect("write the proxy");
    let pushing = engine.call(["image", "push", "big:1", "ssh://n1held"]).spawn();
    let offset = || {
        let told = node.ctr(&engine, "content active");
        told.lines().find(|line| line.contains("layer-")).map(str::to_owned)
    };
    // What the connection lets pass is there, all of it.
    let mut seen = None;
    loop {
        let now = offset();
        if now.is_some()
            && now == seen
            && now.as_ref().is_some_and(|line| line.contains("MB") || line.contains("MiB"))
        {
            break;
        }
        seen = now;
        engine.sh("sleep 0.3");
    }
    pushing.signal(rustix::process::Signal::KILL);
    drop(pushing);
    engine.sh("while pgrep -x ssh >/dev/null || pgrep -f '[p]roxy.py' >/dev/null; do sleep 0.02; done");
    assert!(offset().is_some(), "the part stays");
    let again = engine.wharfie(["image", "push", "big:1", "ssh://n1"]);
    let last = again.ok().lines().last().unwrap().to_owned();
    let megabytes: f64 = last.rsplit(' ').next().unwrap().trim_end_matches("MB").parse().unwrap();
    assert!(megabytes > 5.0 && megabytes < 25.0, "30 MB less what was there: {last}");
    assert_eq!(offset(), None);
    assert_eq!(node.wharfie(&engine, ["images", "--format", "{{.Repository}}"]).ok(), "big");
    let left = node.ctr(&engine, "leases ls -q");
    assert_eq!(left, "", "the killed push's lease went with the second one");
    nothing_forwarded(&engine);
}
