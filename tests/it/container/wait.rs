//! `wait`: exit codes in the order of the names.

use super::{BUSYBOX, engine, sleeper};

#[test]
fn codes_in_order() {
    let engine = engine();
    for (name, seconds, code) in [("slow", "0.6", "3"), ("fast", "0.1", "4")] {
        engine
            .wharfie([
                "run",
                "-d",
                "--name",
                name,
                BUSYBOX,
                "sh",
                "-c",
                &format!("sleep {seconds}; exit {code}"),
            ])
            .ok();
    }
    assert_eq!(engine.wharfie(["wait", "slow", "fast"]).ok(), "3\n4");
    assert_eq!(engine.wharfie(["wait", "fast"]).ok(), "4", "again");
    let some = engine.wharfie(["wait", "fast", "nobody"]);
    assert!(some.fails(1).contains("No such container: nobody"), "{some:?}");
    assert_eq!(some.stdout, "4\n");
    // One that is removed while somebody waits.
    sleeper(&engine, &["--rm", "--name", "once"]);
    let waiting = engine.call(["wait", "once"]).spawn();
    engine.sh("sleep 0.3");
    engine.wharfie(["rm", "-f", "once"]).ok();
    assert_eq!(waiting.wait().ok(), "137");
    engine.wharfie(["rm", "slow", "fast"]).ok();
    engine.assert_clean();
}
