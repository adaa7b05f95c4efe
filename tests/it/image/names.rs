//! images, tag, rmi and image inspect.

use crate::engine::{BUSYBOX, TestEngine};
use crate::filter::filter;

#[test]
fn the_list_is_dockers() {
    let engine = TestEngine::new();
    engine.busybox();
    engine.wharfie(["tag", "busybox", "host:5000/other:2"]).ok();
    let table = filter(&engine.wharfie(["images", "--format", "table"]).stdout, engine.directory());
    assert!(table.starts_with("REPOSITORY TAG IMAGE ID CREATED SIZE\nbusybox latest "), "{table}");
    let list = |arguments: &[&str]| {
        let format = ["images", "--format", "{{.Repository}}:{{.Tag}}"];
        engine.wharfie(format.iter().chain(arguments).copied()).ok().to_owned()
    };
    let both = "busybox:latest\nhost:5000/other:2";
    let cases: &[(&[&str], &str)] = &[
        (&[], both),
        (&["busybox"], "busybox:latest"),
        (&["busybox:nope"], ""),
        (&["host:5000/*"], "host:5000/other:2"),
        (&["-f", "reference=busy*"], "busybox:latest"),
        (&["-f", "dangling=true"], ""),
        (&["-f", "dangling=false"], both),
        (&["-f", "label=a"], ""),
        (&["-f", "before=busybox"], ""),
        (&["-f", "since=busybox"], ""),
        (&["-f", "until=24h"], ""),
    ];
    for (arguments, expected) in cases {
        assert_eq!(list(arguments), *expected, "{arguments:?}");
    }
    let wrong = engine.wharfie(["images", "-f", "color=red"]);
    assert!(wrong.fails(1).contains("invalid filter 'color'"), "{wrong:?}");
    let json: serde_json::Value =
        serde_json::from_str(engine.wharfie(["images", "--format", "json", "busybox"]).ok()).unwrap();
    assert_eq!((&json["Repository"], &json["Containers"]), (&"busybox".into(), &"N/A".into()));
}

#[test]
fn an_image_is_found_by_what_users_write() {
    let engine = TestEngine::new();
    engine.busybox();
    let show = |name: &str| engine.wharfie(["image", "inspect", "-f", "{{.Id}}", name]);
    let id = show("busybox").ok().to_owned();
    let config = engine
        .sh("ctr content get $(wharfie image inspect -f '{{.Id}}' busybox) | jq -r .config.digest")
        .trim()
        .to_owned();
    let by_digest = format!("busybox@{id}");
    for name in [
        "busybox:latest",
        "docker.io/library/busybox",
        &id,
        &id[7..],
        &id[7..19],
        &by_digest,
        &config,
        &config[7..20],
    ] {
        assert_eq!(show(name).ok(), id, "{name}");
    }
    for name in ["nope", "busybox:nope", "0123456789ab", &format!("other@{id}")] {
        let output = engine.wharfie(["image", "inspect", name]);
        assert!(output.fails(1).contains("No such image: "), "{output:?}");
        assert_eq!(output.stdout, "[]\n");
    }
}

#[test]
fn names_go_one_by_one_and_the_image_with_the_last() {
    let engine = TestEngine::new();
    engine.accept();
    let rootfs = crate::images::busybox_rootfs().to_str().unwrap();
    let id = engine.wharfie(["import", rootfs, "a:1"]).ok().to_owned();
    engine.wharfie(["tag", "a:1", "b:2"]).ok();
    let several = engine.wharfie(["rmi", &id[7..19]]);
    assert!(
        several.fails(1).contains(&format!(
            "conflict: unable to delete {} (must be forced) - image is referenced in multiple repositories",
            &id[7..19]
        )),
        "{several:?}"
    );
    let output = engine.wharfie(["rmi", "a:1", "nope"]);
    assert!(output.fails(1).contains("No such image: nope:latest"), "{output:?}");
    assert_eq!(output.stdout, "Untagged: a:1\n");
    assert_eq!(engine.wharfie(["rmi", "b:2"]).ok(), format!("Untagged: b:2\nDeleted: {id}"));
    assert_eq!(engine.wharfie(["rmi", "-f", "b:2"]).code, 0);
    assert_eq!(engine.ctr(["content", "ls", "-q"]).ok(), "");
    engine.assert_clean();
    let bad = engine.wharfie(["tag", "nope", "x:1"]);
    assert!(bad.fails(1).contains("No such image: nope:latest"), "{bad:?}");
}

#[test]
fn an_image_in_use_is_kept() {
    let engine = TestEngine::new();
    engine.busybox();
    engine.ctr(["run", "-d", "docker.io/library/busybox:latest", "user", "/bin/sleep", "1000"]).ok();
    let conflict = engine.wharfie(["rmi", BUSYBOX]);
    assert!(
        conflict.fails(1).contains(
            "conflict: unable to delete busybox:latest (must be forced) - image is being used by running container user"
        ),
        "{conflict:?}"
    );
    let id = engine.wharfie(["images", "-q"]).ok().to_owned();
    let hard = engine.wharfie(["rmi", "-f", &id]);
    assert!(hard.fails(1).contains("(cannot be forced)"), "{hard:?}");
    engine.ctr(["tasks", "kill", "-s", "KILL", "user"]).ok();
    engine.sh("until ctr tasks ls | grep -q STOPPED; do sleep 0.02; done");
    let conflict = engine.wharfie(["rmi", BUSYBOX]);
    assert!(conflict.fails(1).contains("image is being used by stopped container user"), "{conflict:?}");
    assert!(engine.wharfie(["rmi", "-f", BUSYBOX]).ok().starts_with("Untagged: busybox:latest\nDeleted: "));
    assert_eq!(engine.wharfie(["images", "-aq"]).ok(), "");
}

#[test]
fn an_image_that_lost_its_name_is_still_in_use() {
    let engine = TestEngine::new();
    engine.busybox();
    engine.wharfie(["run", "-d", "--name", "user", BUSYBOX, "sleep", "1000"]).ok();
    let old = engine.wharfie(["image", "inspect", "-f", "{{.Id}}", BUSYBOX]).ok().to_owned();
    let image = crate::images::Image::new([crate::images::tar_of([("f", b"x".as_slice())])]);
    engine.load_with_ctr("docker.io/library/other:1", &image);
    engine.wharfie(["tag", "other:1", BUSYBOX]).ok();
    let conflict = engine.wharfie(["rmi", &old]);
    assert!(conflict.fails(1).contains("image is being used by running container"), "{conflict:?}");
    // The name is another image's now, which nobody uses.
    engine.wharfie(["rmi", BUSYBOX, "other:1"]).ok();
    engine.wharfie(["rm", "-f", "user"]).ok();
    engine.wharfie(["rmi", &old]).ok();
    engine.assert_clean();
}
