//! `commit`: a container becomes an image that runs, and that others read.

use serde_json::Value;

use super::{engine, inside, sleeper};

#[test]
fn settings_and_history() {
    let engine = engine();
    let flags = ["-e", "A=1", "-w", "/w", "-u", "7", "-l", "k=v", "--stop-signal", "INT", "--expose", "81"];
    let line = [&["run", "--name", "cc"], &flags[..], &["busybox", "sh", "-c", "exit 0"]].concat();
    engine.wharfie(line).ok();
    let id = engine.wharfie(["commit", "cc"]);
    assert!(id.ok().starts_with("sha256:") && id.ok().len() == 71, "{id:?}");
    let config = |image: &str| -> Value {
        serde_json::from_str(engine.wharfie(["image", "inspect", "-f", "{{json .Config}}", image]).ok())
            .unwrap()
    };
    let plain = config(id.ok());
    assert_eq!(plain["Env"][0], "A=1");
    assert_eq!(
        (&plain["WorkingDir"], &plain["User"], &plain["Labels"]["k"]),
        (&"/w".into(), &"7".into(), &"v".into())
    );
    assert_eq!(plain["Cmd"], serde_json::json!(["sh", "-c", "exit 0"]));
    assert_eq!((&plain["StopSignal"], plain["ExposedPorts"]["81/tcp"].is_object()), (&"INT".into(), true));
    let changes = [
        "ENV B=2",
        "ENTRYPOINT [\"/bin/echo\"]",
        "LABEL q=r",
        "EXPOSE 80",
        "USER 0",
        "VOLUME /data",
        "WORKDIR /",
        "ONBUILD RUN x",
        "HEALTHCHECK NONE",
        "STOPSIGNAL KILL",
    ];
    let mut line = vec!["commit", "-a", "me <a@b>", "-m", "hello"];
    line.extend(changes.iter().flat_map(|change| ["-c", change]));
    line.extend(["cc", "mine:1"]);
    let id = engine.wharfie(line).ok().to_owned();
    let changed = config("mine:1");
    assert_eq!(changed["Entrypoint"], serde_json::json!(["/bin/echo"]));
    assert!(changed["Cmd"].is_null() && changed["Volumes"]["/data"].is_object(), "{changed}");
    let told = |format: &str| engine.wharfie(["image", "inspect", "-f", format, "mine:1"]).ok().to_owned();
    assert_eq!(
        told("{{.Id}} {{.Author}} {{.Comment}} {{len .RootFS.Layers}}"),
        format!("{id} me <a@b> hello 2")
    );
    // The second layer has the working directory; of a container without changes there is none.
    engine.wharfie(["create", "--name", "fresh", "busybox"]).ok();
    engine.wharfie(["commit", "fresh", "same:1"]).ok();
    assert_eq!(
        engine.sh("wharfie image inspect -f '{{len .RootFS.Layers}}' same:1; wharfie save same:1 | tar -xO --wildcards 'blobs/sha256/*' | grep -ac empty_layer"),
        "1\n1"
    );
    assert_eq!(engine.wharfie(["run", "--rm", "mine:1", "hi"]).ok(), "hi");
    for (line, said) in [
        (vec!["commit", "cc", "Bad:Name"], "invalid reference format"),
        (
            vec!["commit", "-c", "RUN x", "cc"],
            "Error response from daemon: run is not a valid change command",
        ),
        (vec!["commit", "-c", "EXPOSE x", "cc"], "Error response from daemon: invalid containerPort: x"),
        (vec!["commit", "nope"], "Error response from daemon: No such container: nope"),
    ] {
        let output = engine.wharfie(line);
        assert!(output.fails(1).starts_with(said), "{output:?}");
    }
    assert!(
        engine.wharfie(["commit", "--compression", "zstd", "cc"]).fails(125).contains("--compression zstd")
    );
    engine.wharfie(["rm", "cc", "fresh"]).ok();
    engine.assert_clean();
}

#[test]
fn files_are_in_the_image_and_others_read_it() {
    let engine = engine();
    sleeper(&engine, &["--name", "cc", "-v", "vol:/vol"]);
    inside(
        &engine,
        "cc",
        "echo new > /new; rm /bin/true; rm -r /tmp; mkdir /tmp; chown 5:6 /new; touch /vol/no",
    );
    // The container goes on, with --no-pause it never stops.
    let first = engine.wharfie(["commit", "cc", "mine:1"]).ok().to_owned();
    assert_eq!(engine.wharfie(["inspect", "-f", "{{.State.Status}}", "cc"]).ok(), "running");
    engine.wharfie(["commit", "--no-pause", "--format", "oci", "cc", "mine:oci"]).ok();
    engine.wharfie(["commit", "-p=false", "cc"]).ok();
    let script = "cat /new; stat -c %u:%g /new; test ! -e /bin/true; test ! -e /vol/no; ls /tmp";
    for image in ["mine:1", "mine:oci", &first] {
        assert_eq!(engine.wharfie(["run", "--rm", image, "sh", "-c", script]).ok(), "new\n5:6");
    }
    // One more layer on top of that.
    engine.wharfie(["run", "--name", "two", "mine:1", "sh", "-c", "echo 2 > /two"]).ok();
    engine.wharfie(["commit", "two", "mine:2"]).ok();
    assert_eq!(engine.wharfie(["run", "--rm", "mine:2", "cat", "/new", "/two"]).ok(), "new\n2");
    assert_eq!(engine.wharfie(["image", "inspect", "-f", "{{len .RootFS.Layers}}", "mine:2"]).ok(), "3");
    // The old name may go: the layers are known by themselves.
    engine.wharfie(["run", "--name", "three", "mine:2", "touch", "/three"]).ok();
    engine.wharfie(["tag", "busybox", "mine:2"]).ok();
    engine.wharfie(["commit", "three", "mine:3"]).ok();
    assert_eq!(engine.wharfie(["run", "--rm", "mine:3", "cat", "/two"]).ok(), "2");
    // skopeo reads both forms, and what it writes is loaded again.
    for (image, layers) in [("mine:3", "4"), ("mine:oci", "2")] {
        engine.sh(&format!("rm -rf a.tar o d; wharfie save -o a.tar {image}"));
        let told: Value = serde_json::from_str(&engine.sh("skopeo inspect docker-archive:a.tar")).unwrap();
        assert_eq!(told["Layers"].as_array().unwrap().len().to_string(), layers);
        engine.sh("skopeo copy --quiet --insecure-policy docker-archive:a.tar oci:o:x && skopeo inspect oci:o:x > /dev/null");
        engine.sh("mkdir d && tar -C d -xf a.tar && skopeo inspect oci:d > /dev/null");
        engine.sh("skopeo copy --quiet --insecure-policy oci:o:x docker-archive:back.tar:back/it:1 && wharfie load -i back.tar && rm back.tar");
        assert_eq!(engine.wharfie(["run", "--rm", "back/it:1", "cat", "/new"]).ok(), "new");
    }
    engine.wharfie(["rm", "-f", "cc", "two", "three"]).ok();
    engine.sh("rm -rf /var/lib/wharfie/*/*/volumes/*");
    engine.assert_clean();
}

#[test]
fn containers_of_others() {
    let engine = engine();
    let image = "docker.io/library/busybox:latest";
    engine
        .ctr([
            "run",
            "-d",
            "--null-io",
            "--env",
            "A=1",
            image,
            "theirs",
            "sh",
            "-c",
            "echo 1 > /one; sleep 1000",
        ])
        .ok();
    engine.sh("until wharfie diff theirs | grep -q one; do :; done");
    engine.wharfie(["commit", "-c", "CMD [\"sh\", \"-c\", \"cat /one; echo $A\"]", "theirs", "mine:1"]).ok();
    assert_eq!(engine.wharfie(["run", "--rm", "mine:1"]).ok(), "1\n1");
    engine.wharfie(["rm", "-f", "theirs"]).ok();
    engine.assert_clean();
}

#[test]
fn interrupted_it_leaves_a_running_container() {
    let engine = engine();
    sleeper(&engine, &["--name", "cc"]);
    inside(&engine, "cc", "dd if=/dev/urandom of=/big bs=1M count=100 2>/dev/null");
    let status = || engine.wharfie(["inspect", "-f", "{{.State.Status}}", "cc"]).ok().to_owned();
    let paused = "until test \"$(wharfie inspect -f '{{.State.Status}}' cc)\" = paused; do :; done";
    let committing = engine.call(["commit", "cc", "mine:1"]).spawn();
    engine.sh(paused);
    committing.signal(rustix::process::Signal::INT);
    assert_eq!(committing.wait().code, 130);
    assert_eq!(status(), "running");
    // Killed, it leaves the rest to the next command.
    let committing = engine.call(["commit", "cc", "mine:1"]).spawn();
    engine.sh(paused);
    committing.signal(rustix::process::Signal::KILL);
    assert_eq!(committing.wait().code, 137);
    engine.wharfie(["create", "--name", "next", "busybox"]).ok();
    assert_eq!(status(), "running");
    engine.wharfie(["commit", "next"]).ok();
    engine.wharfie(["rm", "-f", "cc", "next"]).ok();
    engine.assert_clean();
}
