//! kill -9 at each step, by strace at the n-th system call of each kind that changes something; and many commands
//! at once.

use super::{engine, names, remove_all, store};
use crate::container::BUSYBOX;
use crate::engine::TestEngine;

const CALLS: [&str; 8] = ["mkdir", "renameat2", "rename", "unlinkat", "openat", "flock", "write", "mount"];
const KILLS: usize = 4;

/// Kills `script`, one command of wharfie's, at many of its steps; `before` makes the state, `check` looks at what
/// is left.
#[track_caller]
fn killed(engine: &TestEngine, before: &str, line: &[&str], check: &dyn Fn(&str)) {
    let log = engine.directory().join("strace.log");
    for call in CALLS {
        engine.sh(before);
        let trace = format!("trace={call}");
        let count = ["-f", "-qq", "-o", log.to_str().expect("UTF-8"), "-e", &trace, "wharfie"];
        engine.program("strace", count.iter().chain(line).copied()).run().ok();
        check("undisturbed");
        let text = std::fs::read_to_string(&log).expect("read strace's log");
        let total = text.lines().filter(|line| line.contains(&format!(" {call}("))).count();
        let mut steps: Vec<usize> =
            (0..KILLS).map(|part| 1 + part * total.saturating_sub(1) / (KILLS - 1)).collect();
        steps.dedup();
        for step in steps.into_iter().filter(|step| *step <= total) {
            engine.sh(before);
            let inject = format!("inject={call}:signal=SIGKILL:when={step}");
            let quiet = ["-c", "exec strace -D -f -qq -o /dev/null -e \"$@\" >said 2>&1", "strace"];
            let call_of = [trace.as_str(), "-e", &inject, "wharfie"];
            engine.program("bash", quiet.iter().chain(&call_of).chain(line).copied()).run();
            check(&format!("killed at {call} {step} of {total}"));
        }
    }
}

#[test]
fn a_killed_create_makes_a_volume_or_none() {
    let engine = engine();
    killed(
        &engine,
        "wharfie volume rm -f data >/dev/null",
        &["volume", "create", "--label", "a=b", "data"],
        &|at| {
            let there = names(&engine);
            assert!(["", "data"].contains(&there.as_str()), "{at}: {there}");
            assert_eq!(engine.wharfie(["volume", "create", "--label", "a=b", "data"]).ok(), "data", "{at}");
            assert_eq!(
                engine.wharfie(["volume", "inspect", "-f", "{{.Labels.a}}", "data"]).ok(),
                "b",
                "{at}"
            );
            engine.wharfie(["volume", "rm", "data"]).ok();
            assert_eq!(engine.sh(&format!("ls -A {}", store(&engine))), "", "{at}");
        },
    );
    engine.assert_clean();
}

#[test]
fn a_killed_removal_removes_all_or_nothing() {
    let engine = engine();
    let before = "wharfie volume rm -f data >/dev/null; wharfie volume create data >/dev/null
                  for n in $(seq 20); do echo $n > /var/lib/wharfie/*/default/volumes/data/_data/$n; done";
    // A name with a star is no file: the shell's own redirection needs the path.
    let before =
        before.replace("/var/lib/wharfie/*/default/volumes", "$(echo /var/lib/wharfie/*/default/volumes)");
    killed(&engine, &before, &["volume", "rm", "data"], &|at| {
        if names(&engine) == "data" {
            assert_eq!(engine.sh(&format!("ls {}/data/_data | wc -l", store(&engine))), "20", "{at}");
        }
        engine.wharfie(["volume", "rm", "-f", "data"]).ok();
        assert_eq!(engine.sh(&format!("ls -A {}", store(&engine))), "", "{at}");
    });
    engine.assert_clean();
}

#[test]
fn a_killed_import_changes_all_or_nothing() {
    let engine = engine();
    engine.sh("mkdir -p t/d; for n in $(seq 9); do echo new > t/d/$n; echo new > t/$n; done; tar -C t -cf files.tar .");
    let before = "wharfie volume rm -f data >/dev/null; wharfie volume create data >/dev/null
                  cd /var/lib/wharfie/*/default/volumes/data/_data; mkdir d; for n in 1 2 3; do echo old > $n; echo old > d/$n; done";
    let archive = engine.directory().join("home/files.tar").display().to_string();
    killed(&engine, before, &["volume", "import", "data", &archive], &|at| {
        // The next command finishes what was ready, and takes away what was not.
        engine.wharfie(["volume", "create", "data"]).ok();
        let left = engine.sh(&format!(
            "cd {}/data; ls -A; find _data -type f | xargs cat | sort | uniq -c | tr -s ' '",
            store(&engine)
        ));
        let (old, new) = ("_data\nvolume.json\n 6 old", "_data\nvolume.json\n 18 new");
        assert!(left == old || left == new, "{at}: {left}");
    });
    remove_all(&engine);
}

#[test]
fn a_killed_import_leaves_nothing_where_a_volume_lies_elsewhere() {
    let engine = engine();
    let place = engine.directory().join("place").display().to_string();
    engine.sh("mkdir -p t/d; for n in $(seq 9); do echo new > t/d/$n; echo new > t/$n; done; tar -C t -cf files.tar .");
    let (device, archive) = (format!("device={place}"), engine.directory().join("home/files.tar"));
    engine.sh(&format!("mkdir {place}"));
    engine.wharfie(["volume", "create", "-o", "type=none", "-o", &device, "-o", "o=bind", "data"]).ok();
    let before = format!(
        "wharfie volume ls >/dev/null; cd {place}; rm -rf ./*; mkdir d; for n in 1 2 3; do echo old > $n; echo old > d/$n; done"
    );
    let commands = [
        &["volume", "ls"][..],
        &["volume", "create", "other"],
        &["volume", "prune", "-f"],
        &["volume", "rm", "other"],
    ];
    let next = std::cell::Cell::new(0);
    killed(&engine, &before, &["volume", "import", "data", &archive.display().to_string()], &|at| {
        // Whichever command of volumes comes next.
        let line = commands[next.replace((next.get() + 1) % commands.len())];
        engine.wharfie(line.iter().copied()).ok();
        let left = engine.sh(&format!(
            "ls -A {}/data; cd {place}; ls -A | wc -l; find . -type f | xargs cat | sort | uniq -c | tr -s ' '",
            store(&engine)
        ));
        let (old, new) = ("_data\nvolume.json\n4\n 6 old", "_data\nvolume.json\n10\n 18 new");
        assert!(left == old || left == new, "{at}, then {line:?}: {left}");
    });
    remove_all(&engine);
}

#[test]
fn imports_side_by_side_do_not_disturb_one_another() {
    let engine = engine();
    let place = engine.directory().join("place").display().to_string();
    engine.sh(&format!("mkdir {place} one two; seq 9 > one/a; seq 9 > two/b; tar -C one -cf one.tar a; tar -C two -cf two.tar b"));
    let device = format!("device={place}");
    engine.wharfie(["volume", "create", "-o", "type=none", "-o", &device, "-o", "o=bind", "data"]).ok();
    // The first one has begun and waits for the rest of its archive.
    let mut first = engine.call(["volume", "import", "data"]).open_stdin().spawn();
    let archive = std::fs::read(engine.directory().join("home/one.tar")).expect("read the archive");
    first.send(&archive[..600]);
    engine.sh(&format!("until [ -n \"$(ls -A {place})\" ]; do sleep 0.02; done"));
    engine.wharfie(["volume", "import", "data", "two.tar"]).ok();
    engine.wharfie(["volume", "ls"]).ok();
    first.send(&archive[600..]);
    first.close();
    first.wait().ok();
    assert_eq!(engine.sh(&format!("ls -A {place}")), "a\nb");
    remove_all(&engine);
}

#[test]
fn a_killed_start_leaves_nothing_mounted_that_its_removal_does_not_take() {
    let engine = engine();
    engine.wharfie(["volume", "create", "-o", "type=tmpfs", "-o", "device=tmpfs", "memory"]).ok();
    engine.wharfie(["run", "--rm", "-v", "plain:/p", BUSYBOX, "mkdir", "/p/part"]).ok();
    engine.accept();
    let before = "wharfie rm -f box >/dev/null 2>&1 || :
                  wharfie create --name box -v memory:/m --mount type=volume,src=plain,dst=/p,volume-subpath=part busybox true >/dev/null";
    killed(&engine, before, &["start", "-a", "box"], &|at| {
        engine.wharfie(["rm", "-f", "box"]).ok();
        let mounted = engine
            .sh("grep -c -e /volumes/memory/_data -e /run/wharfie/.*/volumes/ /proc/self/mountinfo || :");
        assert_eq!(mounted, "0", "{at}");
        assert_eq!(engine.sh(&format!("ls {}/plain/_data", store(&engine))), "part", "{at}");
        engine.assert_clean();
    });
    engine.sh("rm -r /var/lib/wharfie/*/default/volumes/*");
}

#[test]
fn many_commands_at_once_lose_and_double_nothing() {
    let engine = engine();
    // All make the same one, all get it; then all remove it, one of them does.
    let made = engine.sh("for n in $(seq 12); do wharfie volume create same & done; wait");
    assert_eq!(made.lines().filter(|line| *line == "same").count(), 12, "{made}");
    assert_eq!(names(&engine), "same");
    let removed = engine.sh("for n in $(seq 8); do wharfie volume rm same 2>/dev/null & done | wc -l; wait");
    assert_eq!(removed, "1");
    // Containers that come while it is removed have it, or it was removed before.
    engine.sh("for n in $(seq 6); do
             wharfie create --name box$n -v data:/d busybox true >/dev/null &
             wharfie volume rm -f data >/dev/null 2>&1 &
         done; wait");
    assert_eq!(names(&engine), "data");
    engine.sh("for n in $(seq 6); do wharfie start -a box$n; done");
    assert!(engine.wharfie(["volume", "rm", "data"]).fails(1).contains("volume is in use"));
    // Those that share memory start and end side by side.
    engine.wharfie(["volume", "create", "-o", "type=tmpfs", "-o", "device=tmpfs", "memory"]).ok();
    engine.sh("for n in $(seq 10); do wharfie run --rm -v memory:/m busybox true & done; wait");
    assert_eq!(engine.sh("grep -c /volumes/memory/_data /proc/self/mountinfo || :"), "0");
    engine.sh("wharfie ps -aq | xargs wharfie rm -f >/dev/null");
    remove_all(&engine);
}
