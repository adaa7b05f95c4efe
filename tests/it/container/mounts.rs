//! `run`: what is mounted, and what becomes of volumes.

use std::fs;
use std::path::Path;

use serde_json::json;

use super::{BUSYBOX, engine, inside, run, sh, sleeper};
use crate::engine::TestEngine;
use crate::images::Image;

/// The directories of the volumes that there are.
fn volumes(engine: &TestEngine) -> Vec<String> {
    let script = "find /var/lib/wharfie/*/default/volumes -mindepth 1 -maxdepth 1 -type d -printf '%f\\n' 2>/dev/null | sort || :";
    engine.sh(script).lines().map(str::to_owned).collect()
}

#[test]
fn binds() {
    let engine = engine();
    let source = engine.directory().join("source");
    fs::create_dir(&source).unwrap();
    fs::write(source.join("file"), "from outside\n").unwrap();
    let path = source.display().to_string();
    let volume = |options: &str| format!("{path}:/data{options}");

    assert_eq!(
        sh(&engine, &["-v", &volume("")], "cat /data/file; echo inside > /data/new").ok(),
        "from outside"
    );
    assert_eq!(fs::read_to_string(source.join("new")).unwrap(), "inside\n");
    let denied = sh(&engine, &["-v", &volume(":ro")], "echo x > /data/new");
    assert!(denied.fails(1).contains("Read-only file system"), "{denied:?}");
    let mount = format!("type=bind,src={path},dst=/data,readonly");
    assert!(
        sh(&engine, &["--mount", &mount], "echo x > /data/new").fails(1).contains("Read-only file system")
    );
    // One file, and a target whose way is not in the image.
    let file = format!("{path}/file:/a/b/c");
    assert_eq!(run(&engine, &["-v", &file], &["cat", "/a/b/c"]).ok(), "from outside");
    // -v makes what is missing, --mount does not (see exit_codes_and_messages_are_dockers).
    let missing = source.join("made/below");
    run(&engine, &["-v", &format!("{}:/data", missing.display())], &["true"]).ok();
    assert!(missing.is_dir());
    // Relative to where the user is: the harness starts everything in its home.
    let home = engine.directory().join("home");
    fs::create_dir(home.join("here")).unwrap();
    fs::write(home.join("here/file"), "relative\n").unwrap();
    assert_eq!(run(&engine, &["-v", "./here:/data"], &["cat", "/data/file"]).ok(), "relative");
    // The same target twice.
    let twice = run(&engine, &["-v", &volume(""), "-v", &volume("")], &["true"]);
    assert!(twice.fails(125).contains("Duplicate mount point: /data"), "{twice:?}");
    // Links in the image do not lead out of it.
    engine.assert_clean();
}

#[test]
fn volumes_named_and_anonymous() {
    let engine = engine();
    // A new volume gets what the image has there, with owners and modes.
    assert_eq!(
        sh(
            &engine,
            &["-v", "kept:/var/spool"],
            "stat -c %a /var/spool; ls /var/spool; echo 1 > /var/spool/mine"
        )
        .ok(),
        "755\nmail"
    );
    assert_eq!(sh(&engine, &["-v", "kept:/data:ro"], "cat /data/mine; ls /data").ok(), "1\nmail\nmine");
    assert_eq!(
        sh(
            &engine,
            &["--mount", "type=volume,src=raw,dst=/etc,volume-nocopy"],
            "ls /etc | grep -v -e hosts -e hostname -e resolv.conf || :"
        )
        .ok(),
        ""
    );
    assert_eq!(volumes(&engine), ["kept", "raw"], "--rm keeps what has a name");
    // Anonymous ones go with --rm …
    run(&engine, &["-v", "/data"], &["touch", "/data/x"]).ok();
    run(&engine, &["--mount", "type=volume,dst=/data"], &["touch", "/data/x"]).ok();
    assert_eq!(volumes(&engine), ["kept", "raw"]);
    // … and with rm -v, and stay with rm.
    for (flags, left) in [("-fv", 2), ("-f", 3)] {
        sleeper(&engine, &["--name", "box", "-v", "/data", "-v", "kept:/kept"]);
        assert_eq!(volumes(&engine).len(), 3);
        engine.wharfie(["rm", flags, "box"]).ok();
        assert_eq!(volumes(&engine).len(), left, "rm {flags}");
    }
    // A container keeps its own through stop, start and restart; another one can have them too.
    sleeper(&engine, &["--name", "box", "-v", "/data"]);
    inside(&engine, "box", "echo mine > /data/file");
    engine.wharfie(["restart", "-t", "1", "box"]).ok();
    assert_eq!(inside(&engine, "box", "cat /data/file"), "mine");
    assert_eq!(sh(&engine, &["--volumes-from", "box"], "cat /data/file").ok(), "mine");
    assert_eq!(inside(&engine, "box", "cat /data/file"), "mine", "--rm of the other one leaves it");
    let denied = sh(&engine, &["--volumes-from", "box:ro"], "echo x > /data/file");
    assert!(denied.fails(1).contains("Read-only"), "{denied:?}");
    engine.wharfie(["rm", "-fv", "box"]).ok();
    engine.sh("rm -r /var/lib/wharfie/*/default/volumes/*");
    engine.assert_clean();
}

#[test]
fn memory() {
    let engine = engine();
    let script = "grep ' /t ' /proc/mounts; stat -c %a /t; df -k /t | tail -1 | awk '{print $2}'";
    let plain = sh(&engine, &["--tmpfs", "/t"], script);
    assert!(plain.ok().starts_with("tmpfs /t tmpfs rw,nosuid,nodev,noexec,relatime"), "{plain:?}");
    assert_eq!(plain.ok().lines().nth(1), Some("1777"));
    let sized = sh(&engine, &["--tmpfs", "/t:size=1m,mode=700,exec"], script);
    assert!(!sized.ok().contains("noexec"), "{sized:?}");
    assert_eq!(sized.ok().lines().skip(1).collect::<Vec<_>>(), ["700", "1024"]);
    let mount = sh(&engine, &["--mount", "type=tmpfs,dst=/t,tmpfs-size=2m,tmpfs-mode=1770"], script);
    assert_eq!(mount.ok().lines().skip(1).collect::<Vec<_>>(), ["1770", "2048"]);
    let shm = "df -k /dev/shm | tail -1 | awk '{print $2}'";
    assert_eq!(sh(&engine, &[], shm).ok(), "65536");
    assert_eq!(sh(&engine, &["--shm-size", "8m"], shm).ok(), "8192");
    // Only what is mounted can be written.
    let script = "echo x > /t/x && cat /t/x && echo x > /x";
    let read_only = sh(&engine, &["--read-only", "--tmpfs", "/t"], script);
    assert!(read_only.fails(1).contains("/x: Read-only file system"), "{read_only:?}");
    assert_eq!(read_only.stdout, "x\n");
    engine.assert_clean();
}

#[test]
fn volumes_working_directory_and_user_of_the_image() {
    let engine = engine();
    let mut image = Image::busybox();
    for (key, value) in [
        ("Volumes", json!({ "/var/spool": {} })),
        ("WorkingDir", json!("/made/for/it")),
        ("User", json!("www-data:users")),
        ("Env", json!(["PATH=/bin", "GIVEN=by image", "OTHER=kept"])),
        ("Entrypoint", json!(["sh", "-c", "echo entered with \"$0\" \"$@\""])),
        ("Cmd", json!(["by", "default"])),
        ("Labels", json!({ "of": "image", "both": "image" })),
        ("ExposedPorts", json!({ "7000/tcp": {} })),
        ("StopSignal", json!("SIGUSR1")),
    ] {
        image.config[key] = value;
    }
    engine.load_with_ctr("docker.io/library/full:latest", &image);
    let of_image = |flags: &[&str], command: &[&str]| {
        engine.wharfie([&["run", "--rm"], flags, &["full"], command].concat()).ok().to_owned()
    };
    assert_eq!(of_image(&[], &[]), "entered with by default");
    assert_eq!(of_image(&[], &["a", "b"]), "entered with a b");
    assert_eq!(of_image(&["--entrypoint", "id"], &["-un"]), "www-data");
    let script = "pwd; id -u; id -g; echo $GIVEN $OTHER; ls /var/spool; grep -c ' /var/spool ' /proc/mounts";
    let all = of_image(&["-e", "GIVEN=by user", "--entrypoint", "sh"], &["-c", script]);
    assert_eq!(all, "/made/for/it\n33\n100\nby user kept\nmail\n1");
    assert!(volumes(&engine).is_empty(), "--rm takes the image's volumes along");
    // The user's own mount is in their place.
    engine
        .wharfie([
            "run",
            "--rm",
            "--tmpfs",
            "/var/spool",
            "--entrypoint",
            "sh",
            "full",
            "-c",
            "grep -q 'tmpfs /var/spool' /proc/mounts",
        ])
        .ok();

    engine
        .wharfie([
            "run",
            "-d",
            "--name",
            "box",
            "-l",
            "both=user",
            "--entrypoint",
            "sh",
            "full",
            "-c",
            "trap 'exit 9' USR1; echo ready; while :; do sleep 0.05; done",
        ])
        .ok();
    let labels = engine.wharfie([
        "ps",
        "--format",
        "{{.Label \"of\"}} {{.Label \"both\"}} {{.Ports}} {{.LocalVolumes}}",
    ]);
    assert_eq!(labels.ok(), "image user 7000/tcp 1");
    assert_eq!(volumes(&engine).len(), 1);
    engine.sh("until wharfie logs box | grep -q ready; do sleep 0.02; done");
    engine.wharfie(["stop", "box"]).ok();
    assert_eq!(engine.wharfie(["wait", "box"]).ok(), "9", "the image's own stop signal");
    engine.wharfie(["rm", "-v", "box"]).ok();
    assert!(volumes(&engine).is_empty());
    engine.assert_clean();
}

#[test]
fn a_volume_is_filled_without_following_the_images_links_outside() {
    let engine = engine();
    let secret = engine.directory().join("secret");
    fs::create_dir(&secret).unwrap();
    fs::write(secret.join("key"), "secret\n").unwrap();
    let mut tar = tar::Builder::new(fs::read(crate::images::busybox_rootfs()).unwrap());
    let _ = tar.get_mut();
    let mut layer = tar::Builder::new(Vec::new());
    for (name, target) in [("trap", secret.as_path()), ("up", Path::new("../../../../../../../../../../"))] {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        layer.append_link(&mut header, name, target).unwrap();
    }
    let mut image = Image::busybox();
    image.layers.push(layer.into_inner().unwrap());
    engine.load_with_ctr("docker.io/library/linked:latest", &image);
    let target = format!("/up{}", secret.display());
    for target in ["/trap", target.as_str()] {
        let output = engine.wharfie(["run", "--rm", "-v", target, "linked", "ls", target]);
        assert!(!output.stdout.contains("key"), "{output:?}");
    }
    engine.assert_clean();
    let _ = BUSYBOX;
}
