//! The README's first command, on a machine where nothing runs yet.

use crate::engine::TestEngine;

const SETUP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/setup");
const BINARY: &str = env!("CARGO_BIN_EXE_wharfie");

#[test]
fn setup_shows_the_main_job_twice_and_is_undone() {
    let engine = TestEngine::without_containerd("");
    let setup = |flag: &[&str]| engine.program(SETUP, ["--binary", BINARY].iter().chain(flag).copied()).run();
    let first = setup(&[]).ok().to_owned();
    for part in
        ["no systemd here: started", "$ wharfie run -d", "$ wharfie ps", "\nhello from wharfie\n", "it works"]
    {
        assert!(first.contains(part), "no {part:?} in {first}");
    }
    let second = setup(&[]).ok().to_owned();
    assert!(second.contains("is left as it is") && second.contains("it works"), "{second}");
    setup(&["--undo"]).ok();
    let left: Vec<u32> = engine.world().processes();
    assert!(left.is_empty(), "processes {left:?} live");
}

#[test]
fn setup_leaves_a_running_containerd_alone() {
    let engine = TestEngine::new();
    let setup = |flag: &[&str]| engine.program(SETUP, ["--binary", BINARY].iter().chain(flag).copied()).run();
    assert!(setup(&[]).ok().contains("is left as it is"));
    setup(&["--undo"]).ok();
    engine.ctr(["version"]).ok();
}
