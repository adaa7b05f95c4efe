//! `ps` and `images` on a Kubernetes node.

use crate::container::BUSYBOX;
use crate::cri::{self, SLEEPER, Spec, container, sandbox};

#[test]
fn ps_shows_pods_where_they_are_asked_for() {
    let engine = cri::engine();
    let web = Spec::new("shop", "web", "uid-1");
    let webs = sandbox(&engine, &web);
    container(&engine, (&web, &webs), ("app", 0), SLEEPER);
    let done = container(&engine, (&web, &webs), ("done", 0), "exit 3");
    cri::wait_for_end(&engine, &done);
    let names = |line: &[&str]| {
        let format = ["--format", "{{.Namespace}} {{.Names}} {{.State}}"];
        engine.wharfie([line, &format[..]].concat()).ok().to_owned()
    };
    // Nothing here, but there.
    let empty = engine.wharfie(["ps", "-q"]);
    assert_eq!(empty.ok(), "");
    assert!(empty.stderr.contains("`wharfie -n k8s.io ps`"), "{empty:?}");
    assert!(engine.wharfie(["images"]).stderr.contains("k8s.io"));
    assert_eq!(engine.wharfie(["-n", "default", "ps"]).stderr, "");
    // Sandboxes are seen only when they are asked for.
    let app = "k8s.io k8s://shop/web/app running";
    let ended = "k8s.io k8s://shop/web/done exited";
    let pod = "k8s.io k8s://shop/web running";
    assert_eq!(names(&["-n", "k8s.io", "ps"]), app);
    assert_eq!(names(&["-n", "k8s.io", "ps", "-a"]), format!("{ended}\n{app}"));
    assert_eq!(names(&["-n", "k8s.io", "ps", "-a", "--sandboxes"]), format!("{ended}\n{app}\n{pod}"));
    assert_eq!(names(&["-n", "k8s.io", "ps", "--sandboxes"]), format!("{app}\n{pod}"));
    assert_eq!(
        engine.wharfie(["-n", "k8s.io", "ps", "-aq", "--no-trunc", "--filter", "exited=3"]).ok(),
        done
    );
    // Of all namespaces.
    engine.sh("ctr -n k8s.io images export $HOME/pods.tar docker.io/library/busybox:latest; ctr images import $HOME/pods.tar; rm $HOME/pods.tar");
    engine.wharfie(["run", "-d", "--name", "mine", BUSYBOX, "sleep", "1000"]).ok();
    assert_eq!(names(&["ps", "-A"]), format!("default mine running\n{app}"));
    let table = engine.wharfie(["ps", "--all-namespaces"]);
    assert!(table.ok().starts_with("NAMESPACE   CONTAINER ID"), "{table:?}");
    let images = engine.wharfie(["images", "-A", "--format", "{{.Namespace}} {{.Repository}}:{{.Tag}}"]);
    let images: Vec<&str> = images.ok().lines().collect();
    assert!(images.contains(&"default busybox:latest"), "{images:?}");
    assert!(images.contains(&"k8s.io registry.local/pause:1"), "{images:?}");
    // The tree.
    let tree = engine.wharfie(["ps", "--pods"]);
    let lines: Vec<&str> = tree.ok().lines().collect();
    assert_eq!(lines.len(), 3, "{tree:?}");
    assert!(lines[0].starts_with("POD") && lines[0].contains("CONTAINER ID"), "{tree:?}");
    assert!(lines[1].starts_with("shop/web ") && lines[1].contains("Exited (3) (1/2 ready"), "{tree:?}");
    assert!(lines[2].starts_with("└─ app ") && lines[2].contains("Up "), "{tree:?}");
    let tree = engine.wharfie(["ps", "--pods", "-a"]);
    assert!(tree.ok().contains("├─ app ") && tree.ok().contains("└─ done "), "{tree:?}");
    assert!(engine.wharfie(["ps", "--pods", "-q"]).fails(125).contains("--pods draws a tree"));
    engine.wharfie(["rm", "-f", "mine"]).ok();
    cri::remove_sandboxes(&engine, &[&webs]);
    engine.assert_clean();
}
