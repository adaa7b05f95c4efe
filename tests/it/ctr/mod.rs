//! `ctr` and `wharfie ctr` beside containerd's own ctr.

mod differences;
mod registry;
mod run;
mod same;

use std::path::PathBuf;

use crate::call::{Call, Output};
use crate::engine::TestEngine;
use crate::images::Image;

/// The image of these tests, as ctr wants it named.
const IMAGE: &str = "docker.io/library/busybox:latest";

/// wharfie under the name `ctr`, apart from containerd's own, which the tests find by that name.
fn named_ctr(engine: &TestEngine) -> PathBuf {
    let directory = engine.directory().join("named");
    std::fs::create_dir_all(&directory).expect("make a directory");
    let path = directory.join("ctr");
    if !path.exists() {
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_wharfie"), &path).expect("link the binary");
    }
    path
}

/// wharfie called as `ctr`, to be given input or environment first.
fn ours<'a>(engine: &TestEngine, arguments: impl IntoIterator<Item = &'a str>) -> Call {
    let program = named_ctr(engine);
    engine.program(program.to_str().expect("a path in UTF-8"), arguments)
}

/// wharfie called as `ctr` to its end.
#[track_caller]
fn run_ours<'a>(engine: &TestEngine, arguments: impl IntoIterator<Item = &'a str>) -> Output {
    ours(engine, arguments).run()
}

/// A containerd with the busybox image.
#[track_caller]
fn with_image() -> TestEngine {
    let engine = TestEngine::new();
    engine.load_with_ctr(IMAGE, &Image::busybox());
    engine
}

/// An id that no other test's control group has.
fn id(name: &str) -> String {
    format!("ctr-{name}-{}", std::process::id())
}

/// 1.6, 1.7 or 2.1.
fn version() -> String {
    std::env::var("WHARFIE_CONTAINERD").unwrap_or_else(|_| "1.6".into())
}
