//! Images as CRI sees them.

use serde_json::Value;

use super::{call, crictl, engine, message};
use crate::cri;
use crate::images::Image;
use crate::registry::Guard;

#[test]
fn crictl_lists_images() {
    let engine = engine();
    let listed = crictl(&engine, ["images"]);
    let lines: Vec<Vec<&str>> = listed.ok().lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["IMAGE", "TAG", "IMAGE", "ID", "SIZE"]);
    assert_eq!(lines[1][..2], ["docker.io/library/busybox", "latest"]);
    assert_eq!(lines[1][2].len(), 13, "{listed:?}");
    let wide = crictl(&engine, ["image", "--digests", "--pinned", "--no-trunc"]);
    let lines: Vec<Vec<&str>> = wide.ok().lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["IMAGE", "TAG", "DIGEST", "IMAGE", "ID", "SIZE", "PINNED"]);
    assert!(lines[1][3].starts_with("sha256:"), "{wide:?}");
    // containerd 1.6 heeds no name.
    assert!(crictl(&engine, ["img", "-q", "busybox"]).ok().starts_with("sha256:"));
    let json: Value =
        serde_json::from_str(crictl(&engine, ["images", "-o", "json", "busybox"]).ok()).unwrap();
    assert_eq!(json["images"][0]["repoTags"][0], "docker.io/library/busybox:latest");
    assert!(json["images"][0]["size"].is_string(), "{json}");
    assert_eq!(crictl(&engine, ["images", "-q", "-f", "dangling=true"]).ok(), "");
    let inspected: Value = serde_json::from_str(crictl(&engine, ["inspecti", "busybox"]).ok()).unwrap();
    assert_eq!(inspected["status"]["repoTags"][0], "docker.io/library/busybox:latest");
    assert!(inspected["info"]["imageSpec"].is_object(), "{inspected}");
    let missing = crictl(&engine, ["inspecti", "nope"]);
    assert_eq!(message(missing.fails(1)), "no such image \"nope\" present");
    let verbose = crictl(&engine, ["images", "-v", "busybox"]);
    assert!(verbose.ok().contains("\nRepoTags: docker.io/library/busybox:latest\n"), "{verbose:?}");
    engine.assert_clean();
}

#[test]
fn crictl_pulls_and_removes_images() {
    let engine = engine();
    let registry = engine.registry(Guard::Plain);
    let name = format!("{}/app:1", registry.host);
    let mut image = Image::busybox();
    image.config = serde_json::json!({"Cmd": ["true"]});
    registry.put("app", "1", &image);
    let pulled = crictl(&engine, ["pull", &name]);
    assert!(pulled.ok().starts_with("Image is up to date for sha256:"), "{pulled:?}");
    let removed = crictl(&engine, ["rmi", &name]);
    assert_eq!(removed.ok(), format!("Deleted: {name}"));
    let missing = crictl(&engine, ["rmi", &name]);
    assert_eq!(message(missing.fails(1)), format!("no such image {name}"));
    let missing = crictl(&engine, ["pull", &format!("{}/nope:1", registry.host)]);
    assert!(message(missing.fails(1)).starts_with("pulling image: rpc error: code = "), "{missing:?}");
    let both = call(&engine, ["pull", "--creds", "a:b", &name]).env("CRICTL_AUTH", "x").run();
    assert_eq!(message(both.fails(1)), "both `--creds` and `--auth` are specified");
    drop(registry);
    engine.assert_clean();
}

#[test]
fn crictl_prunes_what_no_container_uses() {
    let engine = engine();
    let pod = cri::pod(&engine);
    let before = crictl(&engine, ["images", "-q"]).ok().lines().count();
    crictl(&engine, ["rmi", "--prune"]).ok();
    let after = crictl(&engine, ["images"]);
    // The container's image stays; the sandbox's too where it is pinned, which containerd 1.6 does not know.
    assert!(after.ok().contains("docker.io/library/busybox"), "{after:?}");
    assert!(before >= after.ok().lines().count() - 1);
    cri::remove(&engine, &pod);
}
