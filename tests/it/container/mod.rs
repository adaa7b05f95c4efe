//! The verbs of containers, one file a verb, and one for each concern that many verbs share.

mod any;
mod attach;
mod attach_pod;
mod commit;
mod cp;
mod cp_hostile;
mod create;
mod diff;
mod events;
mod exec;
mod export;
mod flags;
mod guard;
mod health;
mod image_mounts;
mod kill;
mod log_drivers;
mod logs;
mod monitor;
mod mounts;
mod network;
mod origins;
mod pause;
mod prune;
mod ps;
mod rename;
mod restart;
mod rm;
mod rootfs;
mod run;
mod security;
mod start;
mod stats;
mod stop;
mod terminal;
mod update;
mod wait;

use crate::call::Output;
use crate::engine::TestEngine;
use crate::images::Image;

/// The image of these tests.
pub(crate) const BUSYBOX: &str = "busybox:latest";

/// An engine that has the image.
#[track_caller]
pub(crate) fn engine() -> TestEngine {
    let engine = TestEngine::new();
    engine.load_with_ctr("docker.io/library/busybox:latest", &Image::busybox());
    engine
}

/// `wharfie run --rm FLAGS busybox sh -c SCRIPT`.
#[track_caller]
pub(crate) fn sh(engine: &TestEngine, flags: &[&str], script: &str) -> Output {
    run(engine, flags, &["sh", "-c", script])
}

/// `wharfie run --rm FLAGS busybox COMMAND`.
#[track_caller]
pub(crate) fn run(engine: &TestEngine, flags: &[&str], command: &[&str]) -> Output {
    let line = [&["run", "--rm"], flags, &[BUSYBOX], command].concat();
    engine.wharfie(line)
}

/// What a script in a container says, by `wharfie exec`.
#[track_caller]
pub(crate) fn inside(engine: &TestEngine, container: &str, script: &str) -> String {
    engine.wharfie(["exec", container, "sh", "-c", script]).ok().to_owned()
}

/// A container that sleeps until it is told to end, and then does so at once.
#[track_caller]
pub(crate) fn sleeper(engine: &TestEngine, flags: &[&str]) -> String {
    let script = "trap 'exit 0' TERM; while :; do sleep 0.05; done";
    let line = [&["run", "-d"], flags, &[BUSYBOX, "sh", "-c", script]].concat();
    engine.wharfie(line).ok().to_owned()
}
