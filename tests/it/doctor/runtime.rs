//! The container that shows that the runtime works.

use rustix::process::Signal;

use super::{OF_THE_MACHINE, diagnose};
use crate::engine::TestEngine;

#[test]
fn doctor_says_that_runc_is_missing() {
    let engine = TestEngine::new();
    engine.sh("mount --bind /dev/null $(command -v runc)");
    let found = diagnose(&engine);
    assert_eq!(found.code, 2);
    found.has("runtime", "error", "runc: the runtime runc needs runc, which is not on containerd's PATH");
    found.has("runtime", "error", "io.containerd.runc.v2: a container cannot be run: ");
    engine.sh("umount $(command -v runc)");
    engine.accept();
    diagnose(&engine).has("runtime", "ok", "ran a container");
    engine.assert_clean();
}

#[test]
fn doctor_says_that_the_runtime_fails_or_hangs() {
    let engine = TestEngine::new();
    engine.sh(
        "cp $(command -v runc) /var/lib/runc-real
         printf '#!/bin/sh\\ncase \"$*\" in *create*) while [ -e /run/hold ]; do sleep 0.02; done; [ -e /run/fail ] && { echo broken >&2; exit 1; };; esac\\nexec /var/lib/runc-real \"$@\"\\n' > /var/lib/runc
         chmod 755 /var/lib/runc; mount --bind /var/lib/runc $(command -v runc); touch /run/fail",
    );
    engine.accept();
    let found = diagnose(&engine);
    assert_eq!(found.code, 2);
    found.has("runtime", "error", "a container cannot be run: ");
    engine.sh("rm /run/fail; touch /run/hold");
    let found = super::diagnose_within(&engine, "3s");
    found.has("runtime", "error", "a container did not run within ");
    engine.sh("rm /run/hold");
    let found = diagnose(&engine);
    assert!(found.problems(&OF_THE_MACHINE).is_empty(), "{:#?}", found.findings);
    engine.assert_clean();
}

#[test]
fn a_killed_doctor_is_cleaned_up_after_by_the_next() {
    let engine = TestEngine::new();
    engine.sh(
        "cp $(command -v runc) /var/lib/runc-real
         printf '#!/bin/sh\\ncase \" $* \" in *\" $(cat /run/verb) \"*) touch /run/reached; while [ -e /run/hold ]; do sleep 0.02; done;; esac\\nexec /var/lib/runc-real \"$@\"\\n' > /var/lib/runc
         chmod 755 /var/lib/runc; mount --bind /var/lib/runc $(command -v runc); touch /run/verb",
    );
    engine.accept();
    // Killed while its container is made, and while it is started.
    for verb in ["create", "start"] {
        engine.sh(&format!("rm -f /run/reached; echo {verb} > /run/verb; touch /run/hold"));
        let doctor = engine.call(["doctor", "--timeout", "60s"]).spawn();
        engine.sh("until [ -e /run/reached ]; do sleep 0.01; done");
        doctor.signal(Signal::KILL);
        doctor.wait();
        assert!(!engine.ctr(["-n", "wharfie-doctor", "containers", "ls", "-q"]).ok().is_empty());
        engine.sh("rm /run/hold");
        let found = diagnose(&engine);
        found.has("runtime", "ok", "ran a container");
    }
    engine.assert_clean();
}
