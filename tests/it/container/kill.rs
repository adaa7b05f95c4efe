//! `kill`: any signal.

use super::{BUSYBOX, engine};

#[test]
fn signals_by_name_and_number() {
    let engine = engine();
    let script = "trap 'echo HUP' HUP; trap 'echo USR1' USR1; echo ready; while :; do sleep 0.05; done";
    engine.wharfie(["run", "-d", "--name", "box", BUSYBOX, "sh", "-c", script]).ok();
    let wait_for =
        |text: &str| engine.sh(&format!("until wharfie logs box | grep -q {text}; do sleep 0.02; done"));
    wait_for("ready");
    for (signal, shown) in [("HUP", "HUP"), ("SIGUSR1", "USR1")] {
        assert_eq!(engine.wharfie(["kill", "-s", signal, "box"]).ok(), "box");
        wait_for(shown);
    }
    assert_eq!(engine.wharfie(["kill", "--signal=1", "box"]).ok(), "box");
    engine.sh("until test $(wharfie logs box | grep -c HUP) = 2; do sleep 0.02; done");
    let unknown = engine.wharfie(["kill", "-s", "NOSUCH", "box"]);
    assert!(unknown.fails(1).contains("NOSUCH"), "{unknown:?}");
    assert_eq!(engine.wharfie(["kill", "box"]).ok(), "box");
    assert_eq!(engine.wharfie(["wait", "box"]).ok(), "137");
    let dead = engine.wharfie(["kill", "box", "nobody"]);
    assert!(
        dead.fails(1).contains("cannot kill container: box") && dead.stderr.contains("is not running"),
        "{dead:?}"
    );
    assert!(dead.stderr.contains("No such container: nobody"), "{dead:?}");
    engine.wharfie(["rm", "box"]).ok();
    engine.assert_clean();
}
