//! `rename`.

use super::{BUSYBOX, engine, inside, sleeper};

#[test]
fn the_name_moves() {
    let engine = engine();
    let id = sleeper(&engine, &["--name", "old", "--network", "bridge"]);
    engine.wharfie(["create", "--name", "other", BUSYBOX]).ok();
    assert!(inside(&engine, "old", "cat /etc/hosts").contains("old"));
    let renamed = engine.wharfie(["rename", "old", "new"]);
    assert_eq!(renamed.ok(), "");
    assert_eq!(engine.wharfie(["ps", "--format", "{{.Names}}"]).ok(), "new");
    assert_eq!(engine.wharfie(["inspect", "-f", "{{.Id}} {{.Name}}", "new"]).ok(), format!("{id} /new"));
    assert!(engine.wharfie(["inspect", "old"]).fails(1).contains("old"));
    let hosts = inside(&engine, "new", "cat /etc/hosts");
    assert!(hosts.contains("new") && !hosts.contains("old"), "{hosts}");
    // The old one is free.
    engine.wharfie(["create", "--name", "old", BUSYBOX]).ok();
    for (line, words) in [
        (
            ["new", "other"],
            "Error response from daemon: Error when allocating new name: Conflict. The container name \"/other\" is already in use by container",
        ),
        (
            ["new", "new"],
            "Error response from daemon: Renaming a container with the same name as its current name",
        ),
        (["new", "/new"], "Renaming a container with the same name as its current name"),
        (["new", ""], "Neither old nor new names may be empty"),
        (
            ["new", "a b"],
            "Error when allocating new name: Invalid container name (a b), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed",
        ),
        (["nobody", "x"], "Error response from daemon: No such container: nobody"),
    ] {
        let output = engine.wharfie(["rename", line[0], line[1]]);
        assert!(output.fails(1).contains(words), "{output:?}");
    }
    // By id, below `container`, with a slash; a restart keeps it.
    engine.wharfie(["container", "rename", &id[..12], "/third"]).ok();
    engine.wharfie(["restart", "-t", "0", "third"]).ok();
    assert!(inside(&engine, "third", "cat /etc/hosts").contains("third"));
    // Two at once: one of them gets the name, the other is told so.
    let calls = [
        engine.call(["rename", "other", "wanted"]).spawn(),
        engine.call(["rename", "old", "wanted"]).spawn(),
        engine.call(["create", "--name", "wanted", BUSYBOX]).spawn(),
    ];
    let outputs: Vec<_> = calls.into_iter().map(|call| call.wait()).collect();
    assert_eq!(outputs.iter().filter(|output| output.code == 0).count(), 1, "{outputs:?}");
    assert_eq!(engine.wharfie(["ps", "-aq", "--filter", "name=^wanted$"]).ok().lines().count(), 1);
    let all = engine.wharfie(["ps", "-aq"]).ok().to_owned();
    engine.wharfie(["rm", "-f"].into_iter().chain(all.lines())).ok();
    engine.assert_clean();
}
