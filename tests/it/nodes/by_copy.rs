//! Verbs that need the node's own files and processes: a copy of the program runs there.

use rustix::process::Signal;

use super::{BUSYBOX, Node, engine, nothing_forwarded};

#[test]
fn containers_live_on_the_node() {
    let engine = engine();
    let node = Node::start(&engine, "n1");
    node.load(&engine);
    let wharfie = |arguments: &[&'static str]| node.wharfie(&engine, arguments.iter().copied());
    assert_eq!(wharfie(&["run", "--rm", BUSYBOX, "sh", "-c", "echo 'a  b' \"$HOME\"; exit 7"]).fails(7), "");
    let script = "echo out; echo err >&2; trap \"exit 0\" TERM; while :; do sleep 0.05; done";
    wharfie(&["run", "-d", "--name", "web", BUSYBOX, "sh", "-c", script]).ok();
    assert_eq!(wharfie(&["ps", "--format", "{{.Names}} {{.State}}"]).ok(), "web running");
    assert_eq!(engine.wharfie(["ps", "-aq"]).ok(), "", "this machine has none");
    let logs = wharfie(&["logs", "web"]);
    assert_eq!((logs.ok(), logs.stderr.as_str()), ("out", "err\n"));
    assert_eq!(
        wharfie(&["exec", "web", "echo", "it's \"one\" $word `x` \\ *"]).ok(),
        "it's \"one\" $word `x` \\ *"
    );
    // An exit code that the way itself uses is the container's all the same.
    for code in ["219", "218", "217", "1"] {
        let told = engine.wharfie(["-H", "ssh://n1", "exec", "web", "sh", "-c", &format!("exit {code}")]);
        assert_eq!(told.code.to_string(), code, "{told:?}");
    }
    let through =
        engine.call(["-H", "ssh://n1", "exec", "-i", "web", "wc", "-c"]).stdin(vec![b'x'; 300_000]).run();
    assert_eq!(through.ok(), "300000");
    // Standard input that the verb does not read is left to others.
    assert_eq!(
        engine.sh(
            "printf '1\\n2\\n' | while read -r n; do wharfie -H ssh://n1 ps -q >/dev/null; echo $n; done"
        ),
        "1\n2"
    );
    assert!(wharfie(&["inspect", "-f", "{{.LogPath}}", "web"]).ok().starts_with("/var/lib/wharfie/"));
    let by_variable = engine.call(["ps", "--format", "{{.Names}}"]).env("DOCKER_HOST", "ssh://n1").run();
    assert_eq!(by_variable.ok(), "web");
    let by_variable =
        engine.call(["ps", "--format", "{{.Names}}"]).env("CONTAINERD_ADDRESS", "ssh://n1").run();
    assert_eq!(by_variable.ok(), "web");
    // What that machine's user has chosen for himself does not lead further.
    node.sh(&engine, "mkdir /root/.docker; echo \"{\\\"currentContext\\\": \\\"gone\\\"}\" >/root/.docker/config.json; cat /root/.docker/config.json");
    assert_eq!(wharfie(&["ps", "--format", "{{.Names}}"]).ok(), "web");
    wharfie(&["rm", "-f", "web"]).ok();
    assert!(wharfie(&["logs", "web"]).fails(1).contains("No such container: web"));
    assert!(
        wharfie(&["cp", "web:/etc/passwd", "here"]).fails(125).contains("here is a file of this machine")
    );
    nothing_forwarded(&engine);
}

#[test]
fn a_terminal_is_passed_on() {
    let engine = engine();
    let node = Node::start(&engine, "n1");
    node.load(&engine);
    node.wharfie(&engine, ["run", "-d", "--name", "web", BUSYBOX, "sleep", "1000"]).ok();
    let mut terminal = engine.terminal(["-H", "ssh://n1", "exec", "-it", "web", "sh"]);
    terminal.expect("# ");
    terminal.send("echo size $(stty size)\n");
    terminal.expect("size 24 80");
    terminal.resize(30, 100);
    terminal.send("while [ \"$(stty size)\" != '30 100' ]; do sleep 0.05; done; echo re''sized\n");
    terminal.expect("resized");
    terminal.send("exit 5\n");
    assert_eq!(terminal.wait(), 5);
    assert!(!terminal.is_raw());
    node.wharfie(&engine, ["rm", "-f", "web"]).ok();
    nothing_forwarded(&engine);
}

#[test]
fn a_followed_log_ends_with_its_reader() {
    let engine = engine();
    let node = Node::start(&engine, "n1");
    node.load(&engine);
    let script = "echo first; until [ -e /go ]; do sleep 0.05; done; echo second; sleep 1000";
    node.wharfie(&engine, ["run", "-d", "--name", "web", BUSYBOX, "sh", "-c", script]).ok();
    let following = engine.call(["-H", "ssh://n1", "logs", "-f", "web"]).spawn();
    following.expect("first");
    node.wharfie(&engine, ["exec", "web", "touch", "/go"]).ok();
    following.expect("second");
    // The log says nothing more: the copy over there must still learn that nobody reads.
    following.signal(Signal::KILL);
    drop(following);
    engine.sh("while pgrep -f '[_]_node' >/dev/null || pgrep -x ssh >/dev/null; do sleep 0.02; done");
    node.wharfie(&engine, ["rm", "-f", "web"]).ok();
    nothing_forwarded(&engine);
}

#[test]
fn a_machine_without_wharfie_gets_it_once() {
    let engine = engine();
    let node = Node::bare(&engine, "n1");
    node.load(&engine);
    // What was read of the input must not be lost to the look whether the program is there.
    let first = engine.call(["-H", "ssh://n1", "run", "--rm", "-i", BUSYBOX, "cat"]).stdin("kept").run();
    assert_eq!(first.ok(), "kept");
    let seen = "cd /root/.cache/wharfie && stat -c \"%a %i %n\" . * */wharfie";
    let there = node.sh(&engine, seen);
    let lines: Vec<&str> = there.lines().collect();
    assert!(lines.len() == 3 && lines.iter().all(|line| line.starts_with("700 ")), "{there}");
    assert_eq!(node.wharfie(&engine, ["ps", "-aq"]).ok(), "");
    assert_eq!(node.sh(&engine, seen), there, "it was sent again");
    // Lost: it comes again.
    node.sh(&engine, "rm -r /root/.cache");
    assert_eq!(node.wharfie(&engine, ["run", "--rm", BUSYBOX, "echo", "back"]).ok(), "back");
    // Nothing can be executed there: the socket is left.
    node.sh(&engine, "rm -r /root/.cache; mount -t tmpfs -o noexec tmpfs /root");
    assert_eq!(node.wharfie(&engine, ["ps", "-aq"]).ok(), "");
    let told = node.wharfie(&engine, ["run", "--rm", BUSYBOX, "true"]);
    assert!(told.fails(1).contains("`run` cannot run on ssh://n1: nothing can be executed"), "{told:?}");
    assert_eq!(node.sh(&engine, "find /root -name wharfie -type f"), "", "what cannot run does not stay");
    node.sh(&engine, "umount /root");
    nothing_forwarded(&engine);
}

#[test]
fn another_user_needs_sudo() {
    let engine = engine();
    let node = Node::start(&engine, "n1");
    node.load(&engine);
    engine.sh(
        "echo 'op:x:4242:4242::/home/op:/bin/sh' >>/etc/passwd; echo 'op:x:4242:' >>/etc/group; \
         echo 'op:*:19000:0:99999:7:::' >>/etc/shadow; \
         chmod 755 . ..; sed 's/User root/User op/; s/Host n1/Host op1/' /root/.ssh/config >>/root/.ssh/op; cat /root/.ssh/op >>/root/.ssh/config",
    );
    let keys = engine.directory().join("n1/authorized_keys");
    let keys = keys.display();
    node.sh(
        &engine,
        &format!(
            "mount -t tmpfs tmpfs /home; mkdir -m 700 /home/op; chown 4242:4242 /home/op; chmod 644 {keys}"
        ),
    );
    let told = engine.wharfie(["-H", "ssh://op1", "ps"]);
    assert!(
        told.fails(1).contains("may not open the socket of containerd, and sudo wants a password"),
        "{told:?}"
    );
    let told = engine.wharfie(["-H", "ssh://op1?via=socket", "images"]);
    assert!(told.fails(1).contains("that user may not open its socket"), "{told:?}");
    engine.sh("echo 'op ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/op; chmod 440 /etc/sudoers.d/op");
    assert_eq!(engine.wharfie(["-H", "ssh://op1", "images", "--format", "{{.Repository}}"]).ok(), "busybox");
    assert_eq!(
        engine.wharfie(["-H", "ssh://op1", "run", "--rm", BUSYBOX, "echo", "by sudo"]).ok(),
        "by sudo"
    );
    nothing_forwarded(&engine);
}
