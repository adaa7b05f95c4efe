//! Containers of pods by the names that they are shown with, in every verb, without their namespace being named.

use crate::container::BUSYBOX;
use crate::cri::{self, SLEEPER, Spec, container, sandbox};

#[test]
fn every_verb_takes_a_pods_name() {
    let engine = cri::engine();
    let (web, twin) = (Spec::new("shop", "web", "uid-1"), Spec::new("bank", "web", "uid-2"));
    let single = Spec::new("shop", "single", "uid-3");
    let webs = sandbox(&engine, &web);
    let app = container(&engine, (&web, &webs), ("app", 0), SLEEPER);
    container(&engine, (&web, &webs), ("side", 0), SLEEPER);
    let twins = sandbox(&engine, &twin);
    let other = container(&engine, (&twin, &twins), ("app", 0), SLEEPER);
    let singles = sandbox(&engine, &single);
    let only = container(&engine, (&single, &singles), ("main", 0), SLEEPER);
    let id = |reference: &str| engine.wharfie(["inspect", "-f", "{{.Id}}", reference]);
    for (reference, expected) in [
        ("shop/web/app", &app),
        ("k8s://shop/web/app", &app),
        ("k8s://bank/web", &other),
        ("bank/web", &other),
        ("single", &only),
        ("single/main", &only),
        ("shop/single", &only),
        (&only[..12], &only),
    ] {
        assert_eq!(id(reference).ok(), expected, "{reference}");
    }
    for (reference, words) in [
        ("web", "bank/web"),
        ("web/app", "it is one of bank/web/app, shop/web/app"),
        ("shop/web", "name one of them: shop/web/app, shop/web/side"),
        ("k8s://shop/web", "shop/web/app, shop/web/side"),
        ("shop/web/none", "it has shop/web/app, shop/web/side"),
        ("single/none", "it has shop/single/main"),
        ("nobody", "no such object: nobody"),
        ("shop/none", "shop/none"),
    ] {
        let refused = engine.wharfie(["inspect", reference]);
        assert!(
            refused.fails(1).contains(words) || refused.stderr.contains(words),
            "{reference}: {refused:?}"
        );
    }
    let name = "shop/web/app";
    for (line, words) in [
        (&["exec", name, "echo", "inside"][..], "inside"),
        (&["top", name], "sh -c"),
        (&["logs", name], "hello"),
        (&["port", name], ""),
        (&["stats", "--no-stream", name, "single"], name),
        (&["diff", name], ""),
        (&["cp", "k8s://shop/web/app:/etc/passwd", "-"], "root"),
        (&["cp", "shop/web/app:/etc/passwd", "-"], "root"),
        (&["export", name], "etc/passwd"),
        (&["pause", "--force", name], name),
        (&["unpause", name], name),
        (&["update", "--force", "--pids-limit", "50", name], name),
        (&["kill", "--force", "-s", "WINCH", name], name),
    ] {
        let output = engine.wharfie(line.iter().copied());
        assert!(output.ok().contains(words), "{line:?}: {output:?}");
    }
    for line in
        [&["stop", name][..], &["rm", name], &["kill", name], &["restart", name], &["rename", name, "x"]]
    {
        let refused = engine.wharfie(line.iter().copied());
        assert!(refused.fails(1).contains("that a kubelet manages"), "{line:?}: {refused:?}");
    }
    // A script that makes sure of a name does not mean a pod.
    assert_eq!(engine.wharfie(["rm", "-f", "single"]).ok(), "");
    assert_eq!(id("single").ok(), only);
    // A container's own name goes before, and a namespace that was chosen is the only one.
    engine.sh("ctr -n k8s.io images export $HOME/pods.tar docker.io/library/busybox:latest; ctr images import $HOME/pods.tar; rm $HOME/pods.tar");
    engine.wharfie(["run", "-d", "--name", "single", BUSYBOX, "sleep", "1000"]).ok();
    assert_ne!(id("single").ok(), only);
    assert_eq!(id("shop/single").ok(), only);
    assert!(engine.wharfie(["-n", "default", "inspect", "shop/single"]).fails(1).contains("shop/single"));
    assert_eq!(engine.wharfie(["-n", "k8s.io", "inspect", "-f", "{{.Id}}", "single"]).ok(), only);
    engine.wharfie(["rm", "-f", "single"]).ok();
    // Of several attempts the last one; one that ends can be waited for.
    let wait = engine.call(["wait", "single"]).spawn();
    engine.sh("until ls -l /proc/$(pgrep -fx 'wharfie wait single')/fd 2>/dev/null | grep -q socket; do sleep 0.02; done");
    engine.wharfie(["stop", "--force", "single"]).ok();
    assert_eq!(wait.wait().ok(), "0");
    cri::wait_for_end(&engine, &only);
    let next = container(&engine, (&single, &singles), ("main", 1), SLEEPER);
    assert_eq!(id("single").ok(), next);
    // Completions.
    let completed = engine
        .call(["--", "wharfie", "logs", "shop/"])
        .env("COMPLETE", "bash")
        .env("_CLAP_COMPLETE_INDEX", "2")
        .run();
    assert!(completed.ok().contains("shop/web/app"), "{completed:?}");
    cri::remove_sandboxes(&engine, &[&webs, &twins, &singles]);
    engine.assert_clean();
}
