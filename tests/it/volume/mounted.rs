//! Volumes whose options name something to be mounted: `-o type=… -o device=… -o o=…`.

use std::fs;

use super::{engine, remove_all, store};
use crate::container::{BUSYBOX, inside, sleeper};
use crate::engine::TestEngine;

/// Whether the volume is mounted on this machine.
#[track_caller]
fn is_mounted(engine: &TestEngine, volume: &str) -> bool {
    engine.sh(&format!("grep -c '/volumes/{volume}/_data ' /proc/self/mountinfo || :")) != "0"
}

#[track_caller]
fn make(engine: &TestEngine, name: &str, options: [&str; 3]) {
    let [kind, device, data] = options;
    let mut line = vec!["volume", "create"];
    let options = [format!("type={kind}"), format!("device={device}"), format!("o={data}")];
    for option in options.iter().filter(|option| *option != "o=") {
        line.extend(["-o", option]);
    }
    line.push(name);
    assert_eq!(engine.wharfie(line).ok(), name);
}

#[test]
fn memory_is_shared_and_ends_with_its_last_container() {
    let engine = engine();
    make(&engine, "memory", ["tmpfs", "tmpfs", "size=1m,mode=1770"]);
    let shown = engine.wharfie(["volume", "inspect", "-f", "{{json .Options}}", "memory"]).ok().to_owned();
    assert_eq!(shown, r#"{"device":"tmpfs","o":"size=1m,mode=1770","type":"tmpfs"}"#);
    assert!(!is_mounted(&engine, "memory"));
    sleeper(&engine, &["--name", "one", "-v", "memory:/m"]);
    assert_eq!(
        inside(&engine, "one", "stat -c %a /m; df -k /m | tail -1 | awk '{print $2}'; echo x > /m/f"),
        "1770\n1024"
    );
    sleeper(&engine, &["--name", "two", "-v", "memory:/m:ro"]);
    assert_eq!(inside(&engine, "two", "cat /m/f"), "x");
    assert!(engine.wharfie(["volume", "rm", "memory"]).fails(1).contains("volume is in use"));
    engine.wharfie(["stop", "one"]).ok();
    assert!(is_mounted(&engine, "memory"));
    assert_eq!(inside(&engine, "two", "cat /m/f"), "x");
    // A third one finds the same files.
    let third = engine.wharfie(["run", "--rm", "-v", "memory:/m", BUSYBOX, "cat", "/m/f"]);
    assert_eq!(third.ok(), "x");
    engine.wharfie(["kill", "two"]).ok();
    engine.sh("while grep -q /volumes/memory/_data /proc/self/mountinfo; do sleep 0.02; done");
    engine.wharfie(["start", "one"]).ok();
    assert_eq!(inside(&engine, "one", "ls /m"), "", "memory keeps nothing");
    engine.wharfie(["rm", "-f", "one", "two"]).ok();
    assert!(!is_mounted(&engine, "memory"));
    remove_all(&engine);
}

#[test]
fn a_directory_of_the_machine_survives_its_volume() {
    let engine = engine();
    let source = engine.directory().join("source");
    fs::create_dir(&source).unwrap();
    fs::write(source.join("mine"), "precious\n").unwrap();
    let path = source.display().to_string();
    make(&engine, "here", ["none", &path, "bind"]);
    make(&engine, "look", ["none", &path, "bind,ro"]);
    assert_eq!(
        engine
            .wharfie(["run", "--rm", "-v", "here:/x", BUSYBOX, "sh", "-c", "cat /x/mine; echo new > /x/new"])
            .ok(),
        "precious"
    );
    assert_eq!(fs::read_to_string(source.join("new")).unwrap(), "new\n");
    let denied = engine.wharfie(["run", "--rm", "-v", "look:/x", BUSYBOX, "touch", "/x/no"]);
    assert!(denied.fails(1).contains("Read-only file system"), "{denied:?}");
    sleeper(&engine, &["--name", "box", "-v", "here:/x"]);
    assert!(is_mounted(&engine, "here"));
    // cp sees what the container sees, and what it would see if it ran.
    assert!(engine.wharfie(["cp", "box:/x/mine", "-"]).ok().contains("precious"));
    engine.wharfie(["stop", "box"]).ok();
    assert!(!is_mounted(&engine, "here"));
    assert!(engine.wharfie(["cp", "box:/x/mine", "-"]).ok().contains("precious"));
    engine.wharfie(["rm", "box"]).ok();
    // Mounted by hand, it is not taken for the volume's own files.
    engine.sh(&format!("mount --bind {path} {}/here/_data", store(&engine)));
    engine.wharfie(["volume", "rm", "here", "look"]).ok();
    assert!(source.join("mine").exists() && source.join("new").exists());
    // Nor is what lies in a volume of its own.
    engine.wharfie(["volume", "create", "plain"]).ok();
    let below = format!("{}/plain/_data/below", store(&engine));
    engine.sh(&format!("mkdir {below} && mount --bind {path} {below}"));
    assert!(engine.wharfie(["volume", "rm", "plain"]).fails(1).contains("something is mounted at"));
    assert!(source.join("mine").exists());
    engine.sh(&format!("umount {below}"));
    remove_all(&engine);
}

#[test]
fn after_a_reboot_it_is_mounted_again() {
    let engine = engine();
    let source = engine.directory().join("source");
    fs::create_dir(&source).unwrap();
    make(&engine, "here", ["none", &source.display().to_string(), "bind"]);
    let flags = ["run", "-d", "--name", "box", "-v", "here:/x", "-v", "plain:/p", "-v", "plain:/q"];
    engine.wharfie([&flags[..], &[BUSYBOX, "sleep", "1000"]].concat()).ok();
    inside(&engine, "box", "echo here > /x/f; echo plain > /p/f");
    // A reboot: no process, no mount, nothing in /run.
    engine.kill_containerd();
    engine.sh(
        "ps -eww -o pid=,args= | awk '/containerd-shim|__monitor|sleep 1000/ && !/awk/ && !/bash/ { print $1 }' | xargs kill -9
         until ! ps -eww -o args= | grep -E '^sleep 1000|__monitor' | grep -qv grep; do sleep 0.02; done
         findmnt -rno TARGET | grep -E '^/run/|/lib/containerd|/_data$' | tac | xargs -r -n1 umount -l 2>/dev/null || :
         rm -rf /run/*; nft flush ruleset
         ip -o link show type veth | awk -F'[:@] *' '{ print $2 }' | xargs -r -n1 ip link del",
    );
    assert!(!is_mounted(&engine, "here"));
    engine.start_containerd();
    engine.wharfie(["start", "box"]).ok();
    assert!(is_mounted(&engine, "here"));
    assert_eq!(inside(&engine, "box", "cat /x/f /q/f"), "here\nplain");
    engine.wharfie(["rm", "-f", "box"]).ok();
    assert!(!is_mounted(&engine, "here"));
    remove_all(&engine);
}

#[test]
fn what_cannot_be_mounted_is_told_without_secrets_and_leaves_nothing() {
    let engine = engine();
    make(&engine, "share", ["nonesuchfs", "//192.0.2.1/x", "username=me,password=secret"]);
    let output = engine.wharfie([
        "run",
        "--rm",
        "--mount",
        "type=volume,src=share,dst=/x,volume-nocopy",
        BUSYBOX,
        "true",
    ]);
    let told = output.fails(125);
    assert!(
        told.contains("error while mounting volume '")
            && told.contains("failed to mount local volume: mount //192.0.2.1/x:"),
        "{told}"
    );
    assert!(
        told.contains("data: username=me,password=********: no such device") && !told.contains("secret"),
        "{told}"
    );
    make(&engine, "missing", ["none", "/no/such/place", "bind"]);
    let output = engine.wharfie(["run", "-d", "--name", "box", "-v", "missing:/x", BUSYBOX, "true"]);
    assert!(output.fails(125).contains("/no/such/place"), "{output:?}");
    // An option on the way is the same.
    let mount = "type=volume,src=by-run,dst=/x,volume-driver=local,volume-opt=type=tmpfs,volume-opt=device=tmpfs,volume-opt=o=size=2m,volume-label=a=b";
    let script = "df -k /x | tail -1 | awk '{print $2}'";
    assert_eq!(engine.wharfie(["run", "--rm", "--mount", mount, BUSYBOX, "sh", "-c", script]).ok(), "2048");
    assert_eq!(engine.wharfie(["volume", "inspect", "-f", "{{.Labels.a}}", "by-run"]).ok(), "b");
    let wrong = engine.wharfie([
        "run",
        "--rm",
        "--mount",
        "type=volume,src=odd,dst=/x,volume-opt=colour=red",
        BUSYBOX,
        "true",
    ]);
    assert!(wrong.fails(125).contains("create odd: invalid option: \"colour\""), "{wrong:?}");
    engine.sh("wharfie ps -aq | xargs -r wharfie rm -f >/dev/null");
    remove_all(&engine);
}
