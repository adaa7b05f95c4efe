//! Volumes: their verbs, what they are mounted from, and what of them survives.

mod content;
mod crash;
mod mounted;
mod nerdctl;
mod parts;
mod verbs;

use crate::container::engine;
use crate::engine::TestEngine;

/// The names that `volume ls` tells, in a line.
#[track_caller]
fn names(engine: &TestEngine) -> String {
    engine.wharfie(["volume", "ls", "-q"]).ok().replace('\n', " ")
}

/// Where our volumes lie, seen from inside.
#[track_caller]
fn store(engine: &TestEngine) -> String {
    engine.sh("echo /var/lib/wharfie/*/default/volumes")
}

/// Removes every volume, so that nothing is left of a test.
#[track_caller]
fn remove_all(engine: &TestEngine) {
    engine.sh("wharfie volume ls -q | xargs -r wharfie volume rm >/dev/null");
    engine.assert_clean();
}
