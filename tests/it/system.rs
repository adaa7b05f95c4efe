//! `system df` and `system prune`.

use crate::container::{BUSYBOX, engine, sleeper};
use crate::images::{Image, tar_of};

#[test]
fn df_tells_what_takes_room() {
    let engine = engine();
    let base = Image::busybox();
    let top = tar_of([("more", &[7_u8; 100_000][..])]);
    let larger = Image { layers: [base.layers.clone(), vec![top]].concat(), ..Image::busybox() };
    engine.load_with_ctr("docker.io/library/larger:1", &larger);
    engine.load_with_ctr("docker.io/library/alone:1", &Image::new([tar_of([("file", &[1_u8; 5000][..])])]));
    sleeper(&engine, &["--name", "runs", "-v", "named:/data", "-v", "/anonymous"]);
    engine
        .wharfie([
            "exec",
            "runs",
            "sh",
            "-c",
            "head -c 3000 /dev/zero > /data/file; ln /data/file /data/twin",
        ])
        .ok();
    engine
        .wharfie(["run", "--name", "ended", BUSYBOX, "sh", "-c", "head -c 2000000 /dev/urandom > /file"])
        .ok();
    engine.wharfie(["create", "-v", "lonely:/x", "--name", "brief", BUSYBOX]).ok();
    engine.wharfie(["rm", "brief"]).ok();

    let summary = engine.wharfie(["system", "df"]).ok().to_owned();
    let rows: Vec<Vec<&str>> = summary
        .lines()
        .map(|line| line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect())
        .collect();
    assert_eq!(rows[0], ["TYPE", "TOTAL", "ACTIVE", "SIZE", "RECLAIMABLE"]);
    assert_eq!(rows[1][..3], ["Images", "3", "1"], "{summary}");
    assert!(
        rows[1][3].ends_with("MB") && rows[1][4].contains('%') && !rows[1][4].starts_with("0B"),
        "{summary}"
    );
    assert_eq!(rows[2][..3], ["Containers", "2", "1"], "{summary}");
    assert!(rows[2][3].starts_with('2') && rows[2][4].starts_with('2'), "{summary}");
    assert_eq!(rows[3], ["Local Volumes", "3", "2", "3kB", "0B (0%)"], "{summary}");
    assert_eq!(rows[4], ["Build Cache", "0", "0", "0B", "0B"], "{summary}");
    assert_eq!(
        engine.wharfie(["system", "df", "--format", "{{.Type}}={{.TotalCount}}/{{.Active}}"]).ok(),
        "Images=3/1\nContainers=2/1\nLocal Volumes=3/2\nBuild Cache=0/0"
    );

    let tables = engine.wharfie(["system", "df", "-v"]).ok().to_owned();
    for title in [
        "Images space usage:\n\nREPOSITORY",
        "\n\nContainers space usage:\n\nCONTAINER ID",
        "\n\nLocal Volumes space usage:\n\nVOLUME NAME",
        "\n\nBuild cache usage: 0B\n\nCACHE ID   CACHE TYPE   SIZE      CREATED   LAST USED   USAGE     SHARED",
    ] {
        assert!(tables.contains(title), "{title}: {tables}");
    }
    let all = engine.wharfie(["system", "df", "-v", "--format", "json"]).ok().to_owned();
    let all: serde_json::Value = serde_json::from_str(&all).unwrap();
    let image = |name: &str| {
        all["Images"].as_array().unwrap().iter().find(|image| image["Repository"] == name).unwrap()
    };
    // Two stand on the same layer; the third shares nothing.
    assert_eq!(image("alone")["SharedSize"], "0B");
    assert_eq!(image("larger")["SharedSize"], image("busybox")["SharedSize"]);
    assert_ne!(image("busybox")["SharedSize"], "0B");
    assert_eq!((&image("busybox")["Containers"], &image("larger")["Containers"]), (&"2".into(), &"0".into()));
    let volume =
        |name: &str| all["Volumes"].as_array().unwrap().iter().find(|volume| volume["Name"] == name).unwrap();
    assert_eq!((&volume("named")["Links"], &volume("named")["Size"]), (&"1".into(), &"3kB".into()));
    assert_eq!(volume("lonely")["Links"], "0");
    assert_eq!(
        engine
            .wharfie(["system", "df", "-v", "--format", "{{range .Containers}}{{.Names}} {{end}}"])
            .ok()
            .trim_end(),
        "ended runs"
    );
    assert!(engine.wharfie(["system", "df", "--format", "{{.Nope}}"]).code != 0);
    engine.wharfie(["rm", "-fv", "runs", "ended"]).ok();
    engine.sh("rm -r /var/lib/wharfie/*/default/volumes/*");
    engine.assert_clean();
}

#[test]
fn prune_removes_what_nobody_uses() {
    let engine = engine();
    let image = |text: &str| Image::new([tar_of([("file", text.as_bytes())])]);
    engine.load_with_ctr("docker.io/library/unused:1", &image("unused"));
    engine.load_with_ctr("registry.k8s.io/pause:3.10", &image("pause"));
    sleeper(&engine, &["--name", "runs", "-v", "/used"]);
    engine.wharfie(["run", "--name", "ended", "-v", "/gone", "-v", "named:/kept", BUSYBOX, "true"]).ok();
    // One that loses its name.
    engine.load_with_ctr("docker.io/library/moved:1", &image("before"));
    engine.wharfie(["tag", "unused:1", "moved:1"]).ok();
    let images = || {
        let mut names: Vec<String> = engine
            .wharfie(["images", "-a", "--format", "{{.Repository}}:{{.Tag}}"])
            .ok()
            .lines()
            .map(str::to_owned)
            .collect();
        names.sort();
        names.join(" ")
    };
    let volumes = || engine.sh("ls /var/lib/wharfie/*/default/volumes").lines().count();
    let everything = "<none>:<none> busybox:latest moved:1 registry.k8s.io/pause:3.10 unused:1";
    assert_eq!((images().as_str(), volumes()), (everything, 3));

    let asked =
        engine.call(["system", "prune", "-a", "--volumes", "--filter", "label!=x"]).stdin("n\n").run();
    assert_eq!(
        asked.ok(),
        "WARNING! This will remove:\n  - all stopped containers\n  \
         - all networks not used by at least one container\n  \
         - all anonymous volumes not used by at least one container\n  \
         - all images without at least one container associated to them\n\n  \
         Items to be pruned will be filtered with:\n  - label!=x\n\nAre you sure you want to continue? [y/N] "
    );
    let look = engine.wharfie(["system", "prune", "-a", "--volumes", "--dry-run"]).ok().to_owned();
    for words in [
        "Containers that would be deleted:\n",
        "Volumes that would be deleted:\n",
        "Images that would be deleted:\n",
        "unused:1",
        "\nTotal reclaimable space: ",
    ] {
        assert!(look.contains(words), "{words}: {look}");
    }
    assert!(!look.contains("busybox") && !look.contains("pause") && !look.contains("named"), "{look}");
    assert_eq!((images().as_str(), volumes()), (everything, 3));

    let first = engine.wharfie(["system", "prune", "-f"]).ok().to_owned();
    assert!(
        first.starts_with("Deleted Containers:\n") && first.contains("Deleted Images:\ndeleted: sha256:"),
        "{first}"
    );
    assert_eq!((images().as_str(), volumes()), (everything.split_once(' ').unwrap().1, 3));
    let second = engine.wharfie(["system", "prune", "-af", "--volumes"]).ok().to_owned();
    assert!(
        second.starts_with("Deleted Volumes:\n")
            && second.contains("untagged: unused:1\n")
            && second.contains("\nTotal reclaimed space: "),
        "{second}"
    );
    assert_eq!((images().as_str(), volumes()), ("busybox:latest registry.k8s.io/pause:3.10", 2));
    assert_eq!(engine.wharfie(["system", "prune", "-af", "--volumes"]).ok(), "Total reclaimed space: 0B");
    let now = engine.sh("date +%s.%N");
    let line =
        ["events", "--since", "1h", "--until", &now, "--filter", "event=prune", "--format", "{{.Type}}"];
    let events = engine.wharfie(line);
    let mut told: Vec<&str> = events.ok().lines().collect();
    told.sort_unstable();
    assert_eq!(
        told,
        [
            "container",
            "container",
            "container",
            "image",
            "image",
            "image",
            "network",
            "network",
            "network",
            "volume",
            "volume"
        ]
    );
    let both = engine.wharfie(["system", "prune", "-f", "--volumes", "--filter", "until=1h"]);
    assert!(both.fails(1).contains("The \"until\" filter is not supported with \"--volumes\""), "{both:?}");
    engine.wharfie(["exec", "runs", "true"]).ok();
    engine.wharfie(["rm", "-fv", "runs"]).ok();
    engine.sh("rm -r /var/lib/wharfie/*/default/volumes/*");
    engine.wharfie(["run", "--rm", BUSYBOX, "true"]).ok();
}
