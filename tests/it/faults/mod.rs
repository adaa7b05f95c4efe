//! What goes wrong, and what must be left of it: nothing. Each test breaks one thing (a flag, a process, the
//! machine), then the next command works and the inventory is as before.

mod change;
mod containerd;
mod disk;
mod input;
mod kill;
mod pipe;
mod process;
mod together;

use crate::engine::{BUSYBOX, TestEngine};
use crate::images::Image;

/// A machine with busybox as an image.
#[track_caller]
fn engine() -> TestEngine {
    let engine = TestEngine::new();
    load(&engine);
    engine
}

#[track_caller]
fn load(engine: &TestEngine) {
    engine.load_with_ctr("docker.io/library/busybox:latest", &Image::busybox());
}
