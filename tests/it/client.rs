//! A client that others have written for the docker command: python-on-whales, whose typed models must be able to
//! read whatever wharfie answers. `scripts/python-client` installs it.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::container::engine;

#[test]
fn python_on_whales_reads_every_answer() {
    let engine = engine();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let told =
        Command::new(root.join("scripts/python-client")).output().expect("start scripts/python-client");
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    let python = String::from_utf8(told.stdout).expect("a path in UTF-8");
    let script = root.join("tests/data/client.py").display().to_string();
    let call = engine.program(python.trim(), [script.as_str(), "docker"]).timeout(Duration::from_secs(180));
    assert_eq!(call.run().ok(), "done");
    engine.assert_clean();
}
