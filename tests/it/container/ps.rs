//! `ps`: columns, filters, formats.

use super::{BUSYBOX, engine, sleeper};

#[test]
fn columns_filters_and_formats() {
    let engine = engine();
    let image = "busybox:latest";
    let first = engine
        .wharfie([
            "create",
            "--name",
            "first",
            "-l",
            "kind=a",
            "-l",
            "zone",
            BUSYBOX,
            "sh",
            "-c",
            "echo a rather long line",
        ])
        .ok()
        .to_owned();
    engine.wharfie([
        "run",
        "--name",
        "second",
        "-l",
        "kind=b",
        "--network",
        "none",
        BUSYBOX,
        "sh",
        "-c",
        "echo x > /file; exit 3",
    ]);
    let third = sleeper(
        &engine,
        &["--name", "third", "-p", "127.0.0.1:8080:80", "-v", "volume:/data", "--tmpfs", "/t"],
    );
    let fourth = sleeper(&engine, &["--name", "fourth", "--network", "host"]);
    let ps = |flags: &[&str]| engine.wharfie([&["ps"], flags].concat()).ok().to_owned();
    let names = |flags: &[&str]| ps(&[flags, &["--format", "{{.Names}}"]].concat()).replace('\n', " ");

    assert_eq!(names(&[]), "fourth third", "the newest first");
    assert_eq!(names(&["-a"]), "fourth third second first");
    assert_eq!(names(&["-n", "3"]), "fourth third second");
    assert_eq!(names(&["-l"]), "fourth");
    assert_eq!(ps(&["-q"]), format!("{}\n{}", &fourth[..12], &third[..12]));
    assert_eq!(ps(&["-q", "--no-trunc"]), format!("{fourth}\n{third}"));
    for (filter, expected) in [
        ("name=ir", "third first"),
        ("name=^first$", "first"),
        ("id=", "fourth third second first"),
        ("label=kind", "second first"),
        ("label=kind=b", "second"),
        ("label=zone", "first"),
        ("status=running", "fourth third"),
        ("status=exited", "second"),
        ("status=created", "first"),
        ("exited=3", "second"),
        ("exited=0", ""),
        ("ancestor=busybox", "fourth third second first"),
        ("ancestor=busybox:latest", "fourth third second first"),
        ("ancestor=other", ""),
        ("before=third", "second first"),
        ("since=second", "fourth third"),
        ("network=host", "fourth"),
        ("network=none", "second"),
        ("network=bridge", "third first"),
        ("volume=volume", "third"),
        ("volume=/data", "third"),
        // The host's side, as docker has it: a free one was chosen.
        ("publish=80", ""),
        ("publish=1024-65535/tcp", "third"),
        ("publish=1024-65535/udp", ""),
        ("expose=80/tcp", "third"),
        ("health=none", "fourth third second first"),
    ] {
        assert_eq!(names(&["-a", "--filter", filter]), expected, "{filter}");
    }
    assert_eq!(names(&["-a", "-f", "name=first", "-f", "name=second"]), "second first", "one of them");
    assert_eq!(names(&["-a", "-f", "label=kind", "-f", "status=created"]), "first", "both");
    assert_eq!(names(&["-f", "status=exited"]), "second", "a state asks for all");
    let id = format!("id={}", &first[..8]);
    assert_eq!(names(&["-a", "-f", &id]), "first");
    for (flags, words) in [
        (["--filter", "nonsense"], "invalid argument \"nonsense\" for \"-f, --filter\" flag"),
        (["--filter", "colour=red"], "invalid filter 'colour'"),
        (["--filter", "status=asleep"], "asleep"),
        (["--format", "{{.Nothing}}"], "Nothing"),
        (["--format", "{{.Names"], "template"),
    ] {
        let output = engine.wharfie(["ps"].into_iter().chain(flags));
        assert!(output.code != 0 && output.stderr.contains(words), "{words}: {output:?}");
    }

    // Whole tables.
    let table = ps(&["-a"]);
    let header: Vec<&str> =
        table.lines().next().unwrap().split("  ").map(str::trim).filter(|word| !word.is_empty()).collect();
    assert_eq!(header, ["CONTAINER ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "PORTS", "NAMES"]);
    let column = |line: &str, at: usize| {
        line.split("  ").map(str::trim).filter(|word| !word.is_empty()).nth(at).unwrap_or_default().to_owned()
    };
    let last = table.lines().last().unwrap();
    assert_eq!(column(last, 1), image);
    assert_eq!(column(last, 2), "\"sh -c 'echo a rathe…\"");
    assert_eq!(column(last, 4), "Created");
    let line = table.lines().find(|line| line.ends_with("third")).unwrap();
    assert!(column(line, 3).ends_with(" ago") && column(line, 4).starts_with("Up "), "{line}");
    assert_eq!(column(line, 5), "127.0.0.1:8080->80/tcp");
    let long = ps(&["-a", "--no-trunc"]);
    assert!(long.contains(&first) && long.contains("\"sh -c 'echo a rather long line'\""), "{long}");
    assert!(ps(&["-s"]).lines().next().unwrap().ends_with("SIZE"));
    let size = ps(&["-as", "--filter", "name=second", "--format", "{{.Size}}"]);
    assert!(size.contains("(virtual ") && !size.starts_with("0B (virtual 0B"), "{size}");

    let template =
        |text: &str, name: &str| ps(&["-a", "--filter", &format!("name=^{name}$"), "--format", text]);
    assert_eq!(
        template("{{.ID}}|{{.Image}}|{{.Command}}|{{.State}}|{{.Names}}", "first"),
        format!("{}|{image}|\"sh -c 'echo a rathe…\"|created|first", &first[..12])
    );
    assert_eq!(template("{{.Labels}}|{{.Label \"kind\"}}|{{.Label \"none\"}}", "first"), "kind=a,zone=|a|");
    assert_eq!(template("{{.Mounts}}|{{.LocalVolumes}}|{{.Networks}}", "third"), "volume|1|bridge");
    assert_eq!(template("{{.Status}}", "second").split(' ').take(2).collect::<Vec<_>>(), ["Exited", "(3)"]);
    assert!(
        template("{{.CreatedAt}}", "first").ends_with(" +0000 UTC"),
        "{}",
        template("{{.CreatedAt}}", "first")
    );
    assert_eq!(
        ps(&["--format", "table {{.Names}}\t{{.State}}"]),
        "NAMES     STATE\nfourth    running\nthird     running"
    );
    for line in ps(&["-a", "--format", "json"]).lines() {
        let object: serde_json::Value = serde_json::from_str(line).unwrap();
        for key in [
            "Command",
            "CreatedAt",
            "ID",
            "Image",
            "Labels",
            "LocalVolumes",
            "Mounts",
            "Names",
            "Networks",
            "Ports",
            "RunningFor",
            "Size",
            "State",
            "Status",
        ] {
            assert!(object[key].is_string(), "{key} in {line}");
        }
    }
    assert_eq!(engine.wharfie(["container", "ls", "-q"]).ok(), ps(&["-q"]));
    engine.wharfie(["rm", "-f", "first", "second", "third", "fourth"]).ok();
    engine.sh("rm -r /var/lib/wharfie/*/default/volumes/*");
    engine.assert_clean();
}
