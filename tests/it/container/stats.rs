//! `stats`: what is used, once and as it goes on.

use std::time::{Duration, Instant};

use super::{BUSYBOX, engine, inside, sleeper};

#[test]
fn one_sample_of_all() {
    let engine = engine();
    let id = sleeper(&engine, &["--name", "calm", "--memory", "64m", "--network", "bridge"]);
    engine
        .wharfie(["run", "-d", "--name", "busy", "--cpus", "0.5", BUSYBOX, "sh", "-c", "while :; do :; done"])
        .ok();
    engine.wharfie(["create", "--name", "made", BUSYBOX]).ok();
    engine
        .ctr(["run", "-d", "--null-io", "docker.io/library/busybox:latest", "theirs", "sleep", "1000"])
        .ok();
    // Something is sent and received: to the bridge's own address, where nobody listens.
    inside(
        &engine,
        "calm",
        "gateway=$(ip route | sed -n 's/default via \\([^ ]*\\).*/\\1/p'); ping -c 3 -i 0.1 $gateway >/dev/null || nc -w 1 $gateway 9 || true",
    );
    let table = engine.wharfie(["stats", "--no-stream"]).ok().to_owned();
    let cells = |line: &str| -> Vec<String> {
        line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).map(str::to_owned).collect()
    };
    let lines: Vec<Vec<String>> = table.lines().map(cells).collect();
    assert_eq!(
        lines[0],
        ["CONTAINER ID", "NAME", "CPU %", "MEM USAGE / LIMIT", "MEM %", "NET I/O", "BLOCK I/O", "PIDS"]
    );
    let names: Vec<&str> = lines[1..].iter().map(|line| line[1].as_str()).collect();
    assert_eq!(names, ["theirs", "busy", "calm"], "the newest first, those that run");
    let row = |name: &str| lines.iter().find(|line| line[1] == name).unwrap();
    let share = |name: &str| row(name)[2].strip_suffix('%').unwrap().parse::<f64>().unwrap();
    assert!(share("busy") > 10.0 && share("busy") < 75.0, "it may use half of a CPU: {table}");
    assert!(share("theirs") < 5.0, "{table}");
    let calm = row("calm");
    assert_eq!(calm[0], id[..12]);
    assert!(calm[3].ends_with(" / 64MiB") && !calm[3].starts_with("0B"), "{table}");
    assert!(calm[4].ends_with('%') && calm[4] != "0.00%", "{table}");
    assert!(calm[5] != "0B / 0B" && calm[5].contains(" / "), "{table}");
    assert!(calm[7].parse::<u32>().unwrap() >= 1, "{table}");

    let all = engine.wharfie([
        "stats",
        "-a",
        "--no-stream",
        "--format",
        "{{.Name}} {{.CPUPerc}} {{.MemUsage}} {{.PIDs}}",
    ]);
    assert!(all.ok().lines().any(|line| line == "made 0.00% 0B / 0B 0"), "{all:?}");
    let one =
        engine.wharfie(["container", "stats", "--no-stream", "--no-trunc", "--format", "json", &id[..8]]);
    let object: serde_json::Value = serde_json::from_str(one.ok()).unwrap();
    assert_eq!((object["ID"].as_str(), object["Container"].as_str()), (Some(id.as_str()), Some(&id[..8])));
    for key in ["BlockIO", "CPUPerc", "MemPerc", "MemUsage", "Name", "NetIO", "PIDs"] {
        assert!(object[key].is_string(), "{key} in {object}");
    }
    let missing = engine.wharfie(["stats", "--no-stream", "calm", "nobody"]);
    assert!(
        missing.fails(1).contains("Error response from daemon: No such container: nobody"),
        "{missing:?}"
    );
    assert_eq!(missing.stdout, "");
    assert!(engine.wharfie(["stats", "--format", "{{.Nope}}"]).code != 0);
    engine.sh("mkdir -p ~/.docker; echo '{\"statsFormat\": \"{{.Name}}!\"}' > ~/.docker/config.json");
    assert_eq!(engine.wharfie(["stats", "--no-stream", "calm"]).ok(), "calm!");
    engine.wharfie(["rm", "-f", "calm", "busy", "made", "theirs"]).ok();
    engine.assert_clean();
}

#[test]
fn live_on_a_terminal_and_into_a_pipe() {
    let engine = engine();
    sleeper(&engine, &["--name", "first"]);
    let mut terminal = engine.terminal(["stats"]);
    terminal.expect("\x1b[2J\x1b[H");
    terminal.expect("first");
    // One that comes later appears, one that goes disappears.
    sleeper(&engine, &["--name", "second"]);
    terminal.expect("second");
    engine.wharfie(["rm", "-f", "first"]).ok();
    terminal.expect("\x1b[H");
    terminal.expect("\x1b[H");
    terminal.expect("second");
    let screen = terminal.screen();
    let last = screen.rsplit("\x1b[H").next().unwrap();
    assert!(!last.contains("first"), "{last:?}");
    terminal.signal(rustix::process::Signal::INT);
    terminal.wait();
    // Those that were named: over with the last of them.
    let call = engine.call(["stats", "--format", "{{.Name}} {{.PIDs}}", "second"]).spawn();
    call.expect("second ");
    engine.wharfie(["rm", "-f", "second"]).ok();
    let output = call.wait();
    assert_eq!(output.code, 0, "{output:?}");
    assert!(!output.stdout.contains('\x1b'), "{output:?}");
    engine.assert_clean();
}

#[test]
fn a_hung_shim_delays_nobody() {
    let engine = engine();
    let id = sleeper(&engine, &["--name", "hung"]);
    sleeper(&engine, &["--name", "fine"]);
    engine.sh(&format!("pkill -STOP -f 'containerd-shim.*{id}'"));
    let timed = |line: &[&str]| {
        let begun = Instant::now();
        let output = engine.wharfie(line.to_vec());
        (output.ok().to_owned(), begun.elapsed())
    };
    let (free, without) = {
        let (text, took) = timed(&["stats", "--no-stream", "--format", "{{.Name}}", "fine"]);
        (text, took)
    };
    assert_eq!(free, "fine");
    let (text, took) =
        timed(&["stats", "--no-stream", "--format", "{{.Name}} {{.CPUPerc}} {{.MemUsage}} {{.PIDs}}"]);
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    assert!(lines[0].starts_with("fine ") && !lines[0].contains("--"), "{text}");
    assert_eq!(lines[1], "hung -- -- / -- --");
    assert!(took < without + Duration::from_secs(1), "{took:?}, {without:?} without the hung one");
    for line in [&["ps", "-a"][..], &["inspect", "hung"], &["system", "df"]] {
        let (_, took) = timed(line);
        assert!(took < Duration::from_millis(1500), "{line:?} took {took:?}");
    }
    engine.wharfie(["rm", "-f", "hung", "fine"]).ok();
    engine.assert_clean();
}
