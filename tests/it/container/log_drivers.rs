//! Log drivers that send messages away, to receivers of the test's own, and the copy that `logs` reads.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::time::Duration;

use super::{BUSYBOX, engine};

const SCRIPT: &str =
    "echo out; echo err >&2; mkfifo /go; exec 3<>/go; while read line <&3; do echo got $line; done";

/// A receiver of datagrams that does not wait for ever.
fn receiver(path: &std::path::Path) -> UnixDatagram {
    let socket = UnixDatagram::bind(path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    socket
}

fn next(socket: &UnixDatagram) -> Vec<u8> {
    let mut block = vec![0; 1 << 20];
    let length = socket.recv(&mut block).expect("a message arrives");
    block.truncate(length);
    block
}

fn line(socket: &UnixDatagram) -> String {
    String::from_utf8(next(socket)).unwrap()
}

#[test]
fn syslog_that_comes_and_goes() {
    let engine = engine();
    let path = engine.directory().join("log.sock");
    let address = format!("syslog-address=unixgram://{}", path.display());
    let server = receiver(&path);
    let flags = [
        "-d",
        "--name",
        "box",
        "--log-driver",
        "syslog",
        "--log-opt",
        &address,
        "--log-opt",
        "syslog-format=rfc3164",
        "--log-opt",
        "syslog-facility=local1",
        "--log-opt",
        "tag={{.DaemonName}}/{{.Name}}",
    ];
    engine.wharfie([&["run"], &flags[..], &[BUSYBOX, "sh", "-c", SCRIPT]].concat()).ok();
    let mut first = [line(&server), line(&server)];
    first.sort_unstable();
    // local1 is 17: 17 * 8 + 3 for standard error, + 6 for standard output.
    assert!(first[0].starts_with("<139>") && first[0].ends_with(": err\n"), "{first:?}");
    assert!(first[1].starts_with("<142>") && first[1].contains(" docker/box["), "{first:?}");
    assert_eq!(engine.wharfie(["logs", "box"]).stdout, "out\n");
    assert_eq!(engine.wharfie(["inspect", "--format", "{{.LogPath}}", "box"]).ok(), "");
    // The server dies: the container and its copy go on. It comes back: what waited arrives.
    drop(server);
    fs::remove_file(&path).unwrap();
    engine.sh("wharfie exec box sh -c 'echo one > /go; echo two > /go'; until wharfie logs box | grep -q 'got two'; do sleep 0.02; done");
    let server = receiver(&path);
    assert!(line(&server).ends_with(": got one\n"));
    assert!(line(&server).ends_with(": got two\n"));
    engine.wharfie(["rm", "-f", "box"]).ok();
    // The last words of a container arrive, also without a newline.
    engine
        .wharfie(["run", "--rm", "--log-driver", "syslog", "--log-opt", &address, BUSYBOX, "printf", "bye"])
        .ok();
    assert!(line(&server).ends_with(": bye\n"));
    // Without a copy there is nothing to read.
    let flags = [
        "--name",
        "box",
        "--log-driver",
        "syslog",
        "--log-opt",
        &address,
        "--log-opt",
        "cache-disabled=true",
    ];
    engine.wharfie([&["run"], &flags[..], &[BUSYBOX, "true"]].concat()).ok();
    let unread = engine.wharfie(["logs", "box"]);
    assert!(unread.fails(1).contains("configured logging driver does not support reading"), "{unread:?}");
    engine.wharfie(["rm", "box"]).ok();

    for (options, message) in [
        (&["syslog", "x=1"][..], "unknown log opt 'x' for syslog log driver"),
        (&["syslog", "syslog-facility=none"], "invalid syslog facility"),
        (&["journald", "max-file=1"], "unknown log opt 'max-file' for journald log driver"),
        (&["fluentd", "fluentd-address=ftp://x"], "unsupported scheme: 'ftp'"),
        (&["splunk", "a=b"], "no log driver named 'splunk' is registered"),
        (&["syslog", "tag={{.Nobody}}"], "failed to initialize logging driver"),
    ] {
        let refused = engine.wharfie([
            "run",
            "--rm",
            "--log-driver",
            options[0],
            "--log-opt",
            options[1],
            BUSYBOX,
            "true",
        ]);
        assert!(refused.fails(125).contains(message), "{refused:?}");
    }
    engine.assert_clean();
}

#[test]
fn syslog_over_tcp() {
    let engine = engine();
    let server = engine.program("busybox", ["nc", "-l", "-p", "5514"]).open_stdin().spawn();
    engine.wait_for_port(5514);
    let flags = [
        "--log-driver",
        "syslog",
        "--log-opt",
        "syslog-address=tcp://127.0.0.1:5514",
        "--log-opt",
        "syslog-format=rfc5424micro",
    ];
    engine
        .wharfie([&["run", "--rm"], &flags[..], &[BUSYBOX, "sh", "-c", "echo one; echo two"]].concat())
        .ok();
    server.expect("two\n");
    let got = server.wait();
    let lines: Vec<&str> = got.stdout.lines().collect();
    assert!(lines[0].starts_with("<30>1 20") && lines[0].ends_with(" - one"), "{got:?}");
    assert!(lines[1].ends_with(" - two"), "{got:?}");
    // Nobody listens: nothing is lost that a container does.
    let flags = ["--log-driver", "syslog", "--log-opt", "syslog-address=tcp://127.0.0.1:5515"];
    let output =
        engine.wharfie([&["run", "--name", "box"], &flags[..], &[BUSYBOX, "seq", "100000"]].concat());
    assert_eq!(output.ok().lines().count(), 100_000);
    assert_eq!(engine.wharfie(["logs", "box"]).ok().lines().count(), 100_000);
    engine.wharfie(["rm", "box"]).ok();
    engine.assert_clean();
}

#[test]
fn the_journal_gets_fields() {
    let engine = engine();
    let refused = engine.wharfie(["run", "--rm", "--log-driver", "journald", BUSYBOX, "true"]);
    assert!(refused.fails(125).contains("journald is not enabled on this host"), "{refused:?}");
    let directory = engine.world().run().join("systemd/journal");
    fs::create_dir_all(&directory).unwrap();
    let journal = receiver(&directory.join("socket"));
    let script = "echo out; head -c 20000 /dev/zero | tr '\\0' x; echo; echo err >&2";
    let flags = [
        "--name",
        "box",
        "--log-driver",
        "journald",
        "--log-opt",
        "labels=com.example/app",
        "--log-opt",
        "env=A",
        "-l",
        "com.example/app=web",
        "-e",
        "A=1",
    ];
    engine.wharfie([&["run", "-d"], &flags[..], &[BUSYBOX, "sh", "-c", script]].concat()).ok();
    let id = engine.wharfie(["ps", "-aq", "--no-trunc"]).ok().to_owned();
    let messages: Vec<BTreeMap<String, String>> = (0..4)
        .map(|_| {
            let text = line(&journal);
            text.lines()
                .filter_map(|field| field.split_once('='))
                .map(|(k, v)| (k.into(), v.into()))
                .collect()
        })
        .collect();
    let of = |message: &BTreeMap<String, String>, name: &str| message.get(name).cloned().unwrap_or_default();
    let find = |text: &str| messages.iter().find(|message| of(message, "MESSAGE") == text).unwrap();
    let out = find("out");
    for (name, expected) in [
        ("PRIORITY", "6"),
        ("CONTAINER_ID", &id[..12]),
        ("CONTAINER_ID_FULL", &id),
        ("CONTAINER_NAME", "box"),
        ("CONTAINER_TAG", &id[..12]),
        ("SYSLOG_IDENTIFIER", &id[..12]),
        ("IMAGE_NAME", BUSYBOX),
        ("COM_EXAMPLE_APP", "web"),
        ("A", "1"),
        ("CONTAINER_PARTIAL_MESSAGE", ""),
    ] {
        assert_eq!(of(out, name), expected, "{name}: {out:?}");
    }
    assert_eq!(of(find("err"), "PRIORITY"), "3");
    let partial = messages.iter().find(|message| message.contains_key("CONTAINER_PARTIAL_MESSAGE")).unwrap();
    assert_eq!(
        (of(partial, "MESSAGE").len(), of(partial, "CONTAINER_PARTIAL_LAST").as_str()),
        (16384, "false")
    );
    let details = engine.wharfie(["logs", "--details", "-n", "1", "box"]);
    assert_eq!(details.stderr, "A=1,com.example%2Fapp=web err\n");
    engine.wharfie(["rm", "-f", "box"]).ok();
    fs::remove_dir_all(engine.world().run().join("systemd")).unwrap();
    engine.assert_clean();
}

#[test]
fn fluentd_gets_records() {
    let engine = engine();
    let path = engine.directory().join("fluent.sock");
    let address = format!("fluentd-address=unix://{}", path.display());
    let flags = ["--log-driver", "fluentd", "--log-opt", &address];
    let run = |more: &[&str]| {
        engine.wharfie(
            [&["run", "--rm", "--name", "box"], &flags[..], more, &[BUSYBOX, "echo", "hello"]].concat(),
        )
    };
    let refused = run(&[]);
    assert!(refused.fails(125).contains("failed to initialize logging driver: dial unix"), "{refused:?}");
    assert_eq!(run(&["--log-opt", "fluentd-async=true"]).ok(), "hello", "it may be away");
    let server = UnixListener::bind(&path).unwrap();
    run(&["--log-opt", "tag=t.{{.Name}}", "--log-opt", "env=A", "-e", "A=1"]).ok();
    let mut bytes = Vec::new();
    // The first connection only asked whether anybody listens.
    for _ in 0..2 {
        server.accept().unwrap().0.read_to_end(&mut bytes).unwrap();
    }
    let (message, rest) = value(&bytes);
    assert!(rest.is_empty(), "one message: {rest:?}");
    let Packed::Array(parts) = message else { panic!("{message:?}") };
    assert_eq!(parts[0], Packed::Text("t.box".into()));
    assert!(matches!(parts[1], Packed::Number(seconds) if seconds > 1_700_000_000), "{parts:?}");
    let Packed::Map(record) = &parts[2] else { panic!("{parts:?}") };
    let of = |name: &str| record.get(name).map(String::as_str).unwrap_or_default();
    assert_eq!((of("log"), of("source"), of("container_name"), of("A")), ("hello", "stdout", "/box", "1"));
    assert_eq!(of("container_id").len(), 64);
    engine.assert_clean();
}

/// What this test understands of MessagePack.
#[derive(Debug, PartialEq)]
enum Packed {
    Number(u64),
    Text(String),
    Array(Vec<Packed>),
    Map(BTreeMap<String, String>),
}

fn value(bytes: &[u8]) -> (Packed, &[u8]) {
    let number = |count: usize| bytes[1..=count].iter().fold(0, |all, byte| all << 8 | usize::from(*byte));
    let text = |skip: usize, length: usize| {
        let text = String::from_utf8(bytes[skip..skip + length].to_vec()).unwrap();
        (Packed::Text(text), &bytes[skip + length..])
    };
    match bytes[0] {
        short @ 0xa0..=0xbf => text(1, usize::from(short & 0x1f)),
        0xd9 => text(2, number(1)),
        0xda => text(3, number(2)),
        0xce => (Packed::Number(number(4) as u64), &bytes[5..]),
        short @ 0x90..=0x9f => {
            let mut rest = &bytes[1..];
            let items = (0..short & 0xf).map(|_| {
                let (item, after) = value(rest);
                rest = after;
                item
            });
            let items = items.collect();
            (Packed::Array(items), rest)
        }
        0xde => {
            let mut rest = &bytes[3..];
            let mut map = BTreeMap::new();
            for _ in 0..number(2) {
                let (key, after) = value(rest);
                let (item, after) = value(after);
                rest = after;
                let (Packed::Text(key), Packed::Text(item)) = (key, item) else { panic!("texts only") };
                map.insert(key, item);
            }
            (Packed::Map(map), rest)
        }
        other => panic!("{other:#x} is not expected"),
    }
}
