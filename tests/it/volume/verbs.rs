//! `volume create`, `ls`, `inspect`, `rm`, `prune`, `update`, and what `system` tells of volumes.

use serde_json::{Value, json};

use super::{engine, names, remove_all};
use crate::container::{BUSYBOX, sleeper};

#[test]
fn volumes_are_made_listed_and_shown_as_dockers() {
    let engine = engine();
    assert_eq!(engine.wharfie(["volume", "create", "v10"]).ok(), "v10");
    assert_eq!(engine.wharfie(["volume", "create", "--label", "a=1", "--label", "b", "v9"]).ok(), "v9");
    assert_eq!(engine.wharfie(["volume", "create", "--name", "by-flag"]).ok(), "by-flag");
    let anonymous = engine.wharfie(["volume", "create"]).ok().to_owned();
    assert!(anonymous.len() == 64 && anonymous.bytes().all(|byte| byte.is_ascii_hexdigit()), "{anonymous}");

    let table = engine.wharfie(["volume", "ls", "-f", "name=v"]).ok().to_owned();
    assert_eq!(table, "DRIVER    VOLUME NAME\nlocal     v9\nlocal     v10");
    assert_eq!(engine.wharfie(["volume", "list", "-qf", "label=a=1"]).ok(), "v9");
    assert_eq!(engine.wharfie(["volume", "ls", "-qf", "driver=nfs"]).ok(), "");
    assert_eq!(
        engine.wharfie(["volume", "ls", "--cluster"]).ok(),
        "VOLUME NAME   GROUP     DRIVER    AVAILABILITY   STATUS"
    );
    assert_eq!(
        engine
            .wharfie([
                "volume",
                "ls",
                "-f",
                "name=v9",
                "--format",
                "{{.Name}} {{.Label \"a\"}} {{.Scope}} {{.Links}} {{.Size}}"
            ])
            .ok(),
        "v9 1 local N/A N/A"
    );
    assert_eq!(
        engine.wharfie(["volume", "ls", "-f", "name=v10", "--format", "raw"]).ok(),
        "name: v10\ndriver: local\n"
    );
    let row = engine.wharfie(["volume", "ls", "-f", "name=v9", "--format", "json"]).ok().to_owned();
    let row: Value = serde_json::from_str(&row).unwrap();
    assert_eq!(
        (&row["Labels"], &row["Group"], &row["Size"]),
        (&json!("a=1,b="), &json!("N/A"), &json!("N/A"))
    );

    for (name, code) in [("v9", 0), ("v8", 1)] {
        let exists = engine.wharfie(["volume", "exists", name]);
        assert_eq!((exists.code, exists.stdout.as_str(), exists.stderr.as_str()), (code, "", ""));
    }

    let shown = engine.wharfie(["volume", "inspect", "v9", "v10"]).ok().to_owned();
    let shown: Value = serde_json::from_str(&shown).unwrap();
    let keys: Vec<&String> = shown[0].as_object().unwrap().keys().collect();
    assert_eq!(keys, ["CreatedAt", "Driver", "Labels", "Mountpoint", "Name", "Options", "Scope"]);
    assert_eq!((&shown[0]["Labels"], &shown[1]["Labels"]), (&json!({ "a": "1", "b": "" }), &Value::Null));
    let mountpoint = engine.wharfie(["volume", "inspect", "-f", "{{.Mountpoint}}", "v9"]).ok().to_owned();
    assert!(engine.sh(&format!("stat -c %F {mountpoint}")).starts_with("directory"));
    let labels = engine.wharfie(["volume", "inspect", "-f", "{{json .Labels}}", &anonymous]).ok().to_owned();
    assert_eq!(labels, "{\"com.docker.volume.anonymous\":\"\"}");

    // The same name once more is fine; what it would change is told.
    assert_eq!(engine.wharfie(["volume", "create", "v9"]).ok(), "v9");
    let again = engine.wharfie(["volume", "create", "--label", "other", "v9"]);
    assert!(again.ok() == "v9" && again.stderr.contains("v9 is there already"), "{again:?}");

    // A size, in bytes, of what is in it; who has it.
    sleeper(&engine, &["--name", "box", "-v", "v9:/data"]);
    engine.wharfie(["exec", "box", "sh", "-c", "head -c 3000 /dev/zero > /data/f"]).ok();
    assert_eq!(
        engine.wharfie(["volume", "ls", "-s", "-f", "name=v9"]).ok(),
        "DRIVER    VOLUME NAME   SIZE\nlocal     v9            3kB"
    );
    assert_eq!(engine.wharfie(["volume", "ls", "-qf", "size>=3000"]).ok(), "v9");
    assert_eq!(engine.wharfie(["volume", "ls", "-qf", "dangling=false"]).ok(), "v9");
    assert_eq!(engine.wharfie(["volume", "ls", "-f", "dangling=true", "-qf", "name=v"]).ok(), "v10");
    let usage =
        engine.wharfie(["volume", "inspect", "-s", "-f", "{{json .UsageData}}", "v9"]).ok().to_owned();
    assert_eq!(usage, "{\"RefCount\":1,\"Size\":3000}");
    let listed = engine
        .wharfie([
            "system",
            "df",
            "-v",
            "--format",
            "{{range .Volumes}}{{.Name}}={{.Links}}/{{.Size}} {{end}}",
        ])
        .ok()
        .to_owned();
    assert!(listed.contains("v9=1/3kB ") && listed.contains("v10=0/0B "), "{listed}");
    engine.wharfie(["rm", "-f", "box"]).ok();
    remove_all(&engine);
}

#[test]
fn wrong_words_are_answered_as_docker_does() {
    let engine = engine();
    for (line, code, message) in [
        (
            &["create", "a"][..],
            1,
            "Error response from daemon: create a: volume name is too short, names should be at least two alphanumeric characters",
        ),
        (
            &["create", "a/b"],
            1,
            "Error response from daemon: create a/b: \"a/b\" includes invalid characters for a local volume name",
        ),
        (
            &["create", "-d", "nfs", "ab"],
            1,
            "Error response from daemon: create ab: error looking up volume plugin nfs: plugin \"nfs\" not found",
        ),
        (
            &["create", "-o", "colour=red", "ab"],
            1,
            "Error response from daemon: create ab: invalid option: \"colour\"",
        ),
        (
            &["create", "-o", "type=nfs", "ab"],
            1,
            "Error response from daemon: create ab: missing required option: \"device\"",
        ),
        (&["create", "-o", "size=1g", "ab"], 1, "quota size requested but no quota support"),
        (
            &["create", "--scope", "multi", "ab"],
            1,
            "Error response from daemon: This node is not a swarm manager.",
        ),
        (&["create", "--secret", "a=b", "ab"], 1, "This node is not a swarm manager."),
        (
            &["create", "--name", "ab", "cd"],
            1,
            "conflicting options: cannot specify a volume-name through both --name and as a positional arg",
        ),
        (&["inspect", "none"], 1, "Error response from daemon: get none: no such volume"),
        (&["rm", "none"], 1, "Error response from daemon: get none: no such volume"),
        (&["update", "none"], 1, "Error response from daemon: get none: no such volume"),
        (&["export", "none"], 1, "Error response from daemon: get none: no such volume"),
        (&["import", "none"], 1, "Error response from daemon: get none: no such volume"),
        (&["ls", "-f", "colour=red"], 1, "Error response from daemon: invalid filter 'colour'"),
        (&["prune", "-f", "--filter", "until=1h"], 1, "Error response from daemon: invalid filter 'until'"),
        (
            &["prune", "-af", "--filter", "all=1"],
            1,
            "conflicting options: cannot specify both --all and --filter all=1",
        ),
        (&["frobnicate"], 1, "unknown command"),
    ] {
        let output = engine.wharfie([&["volume"], line].concat());
        assert!(output.fails(code).contains(message), "{output:?}");
    }
    assert_eq!(engine.wharfie(["volume", "inspect", "none"]).stdout, "[]\n");
    assert_eq!(names(&engine), "");
    engine.wharfie(["volume", "create", "there"]).ok();
    assert!(
        engine.wharfie(["volume", "update", "there"]).fails(1).contains("Can only update cluster volumes")
    );
    // What is there is removed all the same, and a missing one is fine with -f.
    let mixed = engine.wharfie(["volume", "rm", "none", "there"]);
    assert!(mixed.fails(1).contains("get none: no such volume") && mixed.stdout == "there\n", "{mixed:?}");
    assert_eq!(engine.wharfie(["volume", "rm", "-f", "none"]).ok(), "none");
    engine.assert_clean();
}

#[test]
fn what_a_container_has_is_not_removed() {
    let engine = engine();
    let id = engine
        .wharfie(["create", "--name", "box", "-v", "kept:/data", "-v", "/own", BUSYBOX, "true"])
        .ok()
        .to_owned();
    let other = engine
        .wharfie(["create", "--name", "other", "--volumes-from", "box", BUSYBOX, "true"])
        .ok()
        .to_owned();
    let refused = engine.wharfie(["volume", "rm", "kept"]);
    let told = refused.fails(1);
    assert!(told.starts_with("Error response from daemon: remove kept: volume is in use - ["), "{told}");
    assert!(told.contains(&id) && told.contains(&other), "{told}");
    assert_eq!(engine.wharfie(["volume", "prune", "-af"]).ok(), "Total reclaimed space: 0B");
    // A bind of its files counts as well, whoever made it.
    let data = engine.wharfie(["volume", "create", "bound"]).ok().to_owned();
    let path = engine.wharfie(["volume", "inspect", "-f", "{{.Mountpoint}}", &data]).ok().to_owned();
    engine.wharfie(["create", "--name", "third", "-v", &format!("{path}:/x"), BUSYBOX]).ok();
    assert!(engine.wharfie(["volume", "rm", "bound"]).fails(1).contains("volume is in use"));
    // The anonymous one stays for as long as one of the two has it.
    assert_eq!(engine.wharfie(["volume", "ls", "-q"]).ok().lines().count(), 3);
    engine.wharfie(["rm", "-v", "box"]).ok();
    assert_eq!(engine.wharfie(["volume", "ls", "-q"]).ok().lines().count(), 3);
    engine.wharfie(["rm", "-v", "other", "third"]).ok();
    assert_eq!(names(&engine), "bound kept");
    assert_eq!(engine.wharfie(["volume", "rm", "kept", "bound"]).ok(), "kept\nbound");
    engine.assert_clean();
}

#[test]
fn prune_takes_what_nobody_named_or_all() {
    let engine = engine();
    engine.wharfie(["volume", "create", "named"]).ok();
    engine.wharfie(["volume", "create", "--label", "keep", "labelled"]).ok();
    engine.wharfie(["volume", "create", "-o", "type=tmpfs", "-o", "device=tmpfs", "memory"]).ok();
    let anonymous = engine.wharfie(["volume", "create"]).ok().to_owned();
    engine.wharfie(["create", "--name", "box", "-v", "/own", BUSYBOX]).ok();
    engine
        .wharfie(["run", "--rm", "-v", "named:/x", BUSYBOX, "sh", "-c", "head -c 2000 /dev/zero > /x/f"])
        .ok();

    let asked = engine.call(["volume", "prune"]).stdin("n\n").run();
    assert_eq!(
        asked.ok(),
        "WARNING! This will remove anonymous local volumes not used by at least one container.\nAre you sure you want to continue? [y/N] "
    );
    let look = engine.wharfie(["volume", "prune", "-a", "--dry-run"]).ok().to_owned();
    assert!(
        look.starts_with("Volumes that would be deleted:\n")
            && look.ends_with("Total reclaimable space: 2kB"),
        "{look}"
    );
    assert!(look.contains("named  2kB") && look.contains(&anonymous) && !look.contains("memory"), "{look}");
    assert_eq!(
        engine.wharfie(["volume", "prune", "-f"]).ok(),
        format!("Deleted Volumes:\n{anonymous}\n\nTotal reclaimed space: 0B")
    );
    assert_eq!(
        engine.wharfie(["volume", "prune", "-af", "--filter", "label!=keep"]).ok(),
        "Deleted Volumes:\nnamed\n\nTotal reclaimed space: 2kB"
    );
    assert_eq!(
        engine.wharfie(["volume", "prune", "-f", "--filter", "all=1"]).ok(),
        "Deleted Volumes:\nlabelled\n\nTotal reclaimed space: 0B"
    );
    let now = engine.sh("date +%s.%N");
    let events = engine.wharfie([
        "events",
        "--since",
        "1h",
        "--until",
        &now,
        "--filter",
        "type=volume",
        "--format",
        "{{.Action}} {{.Actor.ID}}",
    ]);
    let events = events.ok();
    for event in ["create named", "destroy named", "prune "] {
        assert_eq!(
            events.lines().filter(|line| *line == event.trim_end() || *line == event).count(),
            if event == "prune " { 3 } else { 1 },
            "{event}: {events}"
        );
    }
    engine.wharfie(["rm", "-v", "box"]).ok();
    remove_all(&engine);
}

#[test]
fn names_are_completed() {
    let engine = engine();
    engine.wharfie(["volume", "create", "alpha"]).ok();
    engine.wharfie(["volume", "create", "beta"]).ok();
    let complete = |words: &[&str]| {
        let index = (words.len() - 1).to_string();
        let line = [&["--"], words].concat();
        engine
            .call(line)
            .env("COMPLETE", "bash")
            .env("_CLAP_COMPLETE_INDEX", &index)
            .env("_CLAP_IFS", "\n")
            .run()
            .stdout
    };
    for verb in ["rm", "inspect", "export", "import", "update"] {
        let told = complete(&["wharfie", "volume", verb, "al"]);
        assert_eq!(told.trim(), "alpha", "{verb}");
    }
    remove_all(&engine);
}
