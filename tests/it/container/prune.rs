//! `container prune`.

use super::{BUSYBOX, engine, sleeper};

#[test]
fn what_does_not_run_goes() {
    let engine = engine();
    sleeper(&engine, &["--name", "runs"]);
    sleeper(&engine, &["--name", "frozen"]);
    engine.wharfie(["pause", "frozen"]).ok();
    let make = |name: &str, label: &str| {
        let line =
            ["run", "--name", name, "-l", label, BUSYBOX, "sh", "-c", "head -c 2000000 /dev/urandom > /f"];
        engine.wharfie(line).ok();
        engine.wharfie(["inspect", "-f", "{{.Id}}", name]).ok().to_owned()
    };
    let (ended, kept) = (make("ended", "a=1"), make("kept", "keep=yes"));
    let made = engine.wharfie(["create", "--name", "made", BUSYBOX]).ok().to_owned();
    // Somebody else's that do not run: a pod's, and one of ctr's.
    let image = "docker.io/library/busybox:latest";
    engine.ctr(["containers", "create", "--label", "io.cri-containerd.kind=container", image, "pod"]).ok();
    engine.ctr(["containers", "create", image, "theirs"]).ok();
    let names = || engine.wharfie(["ps", "-a", "--format", "{{.Names}}"]).ok().replace('\n', " ");
    let all = names();

    let question =
        "WARNING! This will remove all stopped containers.\nAre you sure you want to continue? [y/N] ";
    for answer in ["", "n\n", "no\n", "\n"] {
        let refused = engine.call(["container", "prune"]).stdin(answer).run();
        assert_eq!((refused.code, refused.stdout.as_str()), (0, question), "{refused:?}");
    }
    let look = engine.wharfie(["container", "prune", "--dry-run", "--filter", "label!=keep"]);
    let shown = look.ok();
    assert!(shown.starts_with("Containers that would be deleted:\n"), "{shown}");
    assert!(shown.contains(&format!("{ended}  ended  2")) && shown.contains(&made), "{shown}");
    assert!(!shown.contains(&kept) && shown.contains("\n\nTotal reclaimable space: 2"), "{shown}");
    assert_eq!(names(), all, "nothing has gone");
    assert_eq!(
        engine.wharfie(["container", "prune", "-f", "--filter", "until=24h"]).ok(),
        "Total reclaimed space: 0B"
    );
    let some = engine.call(["container", "prune", "--filter", "label!=keep=yes"]).stdin("y\n").run();
    let text = some.ok().strip_prefix(question).unwrap();
    assert!(
        text.starts_with(&format!("Deleted Containers:\n{made}\n{ended}\n\nTotal reclaimed space: 2"))
            && text.ends_with("MB"),
        "{text}"
    );
    let rest = engine.wharfie(["container", "prune", "--force", "--filter", "label=keep"]);
    assert!(rest.ok().starts_with(&format!("Deleted Containers:\n{kept}\n\n")), "{rest:?}");
    let mut left: Vec<String> = names().split(' ').map(str::to_owned).collect();
    left.sort();
    assert_eq!(left, ["frozen", "pod", "runs", "theirs"]);
    // What docker's config.json keeps from every prune.
    engine.sh("mkdir -p ~/.docker; echo '{\"pruneFilters\": [\"label!=keep\"]}' > ~/.docker/config.json");
    make("spared", "keep=yes");
    let spared = engine.wharfie(["container", "prune", "-f"]);
    assert_eq!(spared.ok(), "Total reclaimed space: 0B");
    let gone = engine.wharfie(["container", "prune", "-f", "--filter", "label=keep"]);
    assert!(gone.ok().starts_with("Deleted Containers:\n"), "{gone:?}");
    let wrong = engine.wharfie(["container", "prune", "-f", "--filter", "name=x"]);
    assert!(wrong.fails(1).contains("Error response from daemon: invalid filter 'name'"), "{wrong:?}");
    engine.wharfie(["rm", "-f", "frozen", "runs", "theirs", "pod"]).ok();
    engine.assert_clean();
}

#[test]
fn one_that_is_being_started_stays() {
    let engine = engine();
    let runs: Vec<_> =
        (0..6).map(|_| engine.call(["run", "--rm", BUSYBOX, "sleep", "0.3"]).spawn()).collect();
    for _ in 0..12 {
        engine.wharfie(["container", "prune", "-f"]).ok();
    }
    for run in runs {
        let output = run.wait();
        assert_eq!(output.code, 0, "{output:?}");
    }
    engine.assert_clean();
}
