//! `debug` and `netns`: programs beside a container that has none.

mod netns;
mod origins;
mod session;
mod tools;

use std::path::Path;

use crate::engine::TestEngine;
use crate::images::Image;

/// An image of one program, which can only sleep.
const BARE: &str = "bare:latest";

/// An engine that has busybox, and an image without a shell.
#[track_caller]
fn engine() -> TestEngine {
    let engine = TestEngine::new();
    engine.load_with_ctr("docker.io/library/busybox:latest", &Image::busybox());
    engine.load_with_ctr("docker.io/library/bare:latest", &bare());
    engine
}

fn bare() -> Image {
    let program = std::fs::read("/bin/busybox").expect("read busybox");
    let mut tar = tar::Builder::new(Vec::new());
    for (path, bytes, mode) in [("sleep", program.as_slice(), 0o755), ("mark", b"of the target\n", 0o600)] {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(mode);
        tar.append_data(&mut header, Path::new(path), bytes).expect("write a tar entry");
    }
    let mut image = Image::new([tar.into_inner().expect("end the tar")]);
    image.config = serde_json::json!({"Entrypoint": ["/sleep", "1000"], "Env": ["PATH=/", "OWN=variable"]});
    image
}

/// A container of that image.
#[track_caller]
fn target(engine: &TestEngine, flags: &[&str]) {
    engine.wharfie([&["run", "-d", "--name", "web"], flags, &[BARE]].concat()).ok();
}

/// The end of it, and of all.
#[track_caller]
fn end(engine: &TestEngine) {
    engine.wharfie(["rm", "-f", "web"]).ok();
    engine.assert_clean();
}
