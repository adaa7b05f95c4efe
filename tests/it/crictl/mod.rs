//! Called as `crictl`, against real pods.

mod containers;
mod errors;
mod images;
mod lists;
mod make;

use crate::engine::TestEngine;

use crate::call::{Call, Output};
use crate::cri;

/// crictl with these arguments.
#[track_caller]
fn crictl<'a>(engine: &TestEngine, arguments: impl IntoIterator<Item = &'a str>) -> Output {
    call(engine, arguments).run()
}

/// crictl with these arguments, to be given input, environment or a deadline first. Its own deadline is long: this
/// machine is busy.
fn call<'a>(engine: &TestEngine, arguments: impl IntoIterator<Item = &'a str>) -> Call {
    engine.program("crictl", ["--timeout", "60s"].into_iter().chain(arguments))
}

/// A containerd with CRI, and logs of its own: /var/log is the machine's.
#[track_caller]
fn engine() -> TestEngine {
    let engine = cri::engine();
    engine.sh("mount -t tmpfs logs /var/log");
    engine.accept();
    engine
}

/// What follows `msg=` in a line of logrus, unquoted.
fn message(line: &str) -> String {
    let (_, message) = line.split_once(" msg=").expect("a line of logrus");
    serde_json::from_str(message).unwrap_or_else(|_| message.to_owned())
}
