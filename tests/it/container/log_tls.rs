//! Logs over TLS, and fluentd's receipts: servers of the test's own, in Python.

use std::fs;
use std::path::Path;

use super::{BUSYBOX, engine};
use crate::call::Running;
use crate::engine::TestEngine;
use crate::registry::certificates;

/// Waits for words on a FIFO and says them.
const SCRIPT: &str = "mkfifo /go; exec 3<>/go; while read line <&3; do echo $line; done";

/// Prints what it gets; closes a connection in which somebody says `drop`.
const LINES: &str = r#"
import socket, ssl, sys, threading
port, certificate, key, client = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4:]
context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
context.load_cert_chain(certificate, key)
if client:
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(client[0])
listener = socket.create_server(("127.0.0.1", port))
def serve(connection):
    try:
        with context.wrap_socket(connection, server_side=True) as stream:
            for line in stream.makefile("rb"):
                print("got:", line.decode().strip(), flush=True)
                if b"drop" in line:
                    stream.close()
                    print("closed", flush=True)
                    return
            print("end", flush=True)
    except (ssl.SSLError, OSError) as error:
        print("failed:", error, flush=True)
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
"#;

/// A fluentd that confirms the messages of a connection as its line of the plan says: `all`, `none`, or none and
/// `close` after the first.
const RECEIPTS: &str = r#"
import re, socket, ssl, sys
port, plan = int(sys.argv[1]), sys.argv[2].split()
listener = socket.create_server(("127.0.0.1", port))
context = None
if sys.argv[3:]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(sys.argv[3], sys.argv[4])
print("listening", flush=True)
kept = []
while True:
    connection = listener.accept()[0]
    try:
        stream = context.wrap_socket(connection, server_side=True) if context else connection
        bytes, policy = b"", None
        while block := stream.recv(65536):
            bytes += block
            while found := re.match(rb"(?s)\x94.*?\xa3log.(.*?)\x81\xa5chunk\xb8(.{24})", bytes):
                # The attempt to see whether anybody is there is no connection of the plan.
                policy = policy or plan.pop(0)
                bytes = bytes[found.end():]
                line, chunk = found.groups()
                print(policy, line.decode(), chunk.decode(), flush=True)
                if policy == "all":
                    stream.sendall(b"\x81\xa3ack\xb8" + chunk)
            if policy == "none" or policy == "close":
                break
        if policy == "none":
            kept.append(stream)
        else:
            stream.close()
    except (ssl.SSLError, OSError) as error:
        print("failed:", error, flush=True)
"#;

fn python(engine: &TestEngine, script: &str, arguments: &[&str]) -> Running {
    let path = engine.directory().join("server.py");
    fs::write(&path, script).unwrap();
    let path = path.display().to_string();
    engine.program("python3", [&["-u", path.as_str()][..], arguments].concat()).spawn()
}

fn lines(engine: &TestEngine, port: &str, directory: &Path, more: &[&str]) -> Running {
    let file = |name: &str| directory.join(name).display().to_string();
    let (certificate, key) = (file("server.crt"), file("server.key"));
    let server = python(engine, LINES, &[&[port, &certificate, &key][..], more].concat());
    engine.wait_for_port(port.parse().unwrap());
    server
}

fn said(engine: &TestEngine, word: &str) {
    engine.sh(&format!("wharfie exec box sh -c 'echo {word} > /go'"));
}

#[test]
fn syslog_over_tls() {
    let engine = engine();
    let (right, wrong) = (engine.directory().join("right"), engine.directory().join("wrong"));
    for directory in [&right, &wrong] {
        fs::create_dir(directory).unwrap();
        certificates(directory);
    }
    let authority = |directory: &Path| format!("syslog-tls-ca-cert={}", directory.join("ca.crt").display());
    let (right_authority, wrong_authority) = (authority(&right), authority(&wrong));
    let flags = |address: &'static str, option: &'static str| {
        ["--log-driver", "syslog", "--log-opt", address, "--log-opt", option]
    };
    let run = |more: &[&str]| {
        let address = "syslog-address=tcp+tls://localhost:6514";
        let options: Vec<&str> = more.iter().flat_map(|option| ["--log-opt", option]).collect();
        let driver = ["run", "--rm", "--log-driver", "syslog", "--log-opt", address];
        engine.wharfie([&driver[..], &options, &[BUSYBOX, "echo", "hello"]].concat())
    };
    let server = lines(&engine, "6514", &right, &[]);

    // Who is not trusted gets nothing, and the container does not start.
    for (options, message) in [
        (&[][..], "tls: invalid peer certificate: unknownissuer"),
        (&[wrong_authority.as_str()], "tls: invalid peer certificate: badsignature"),
        (
            &["syslog-tls-ca-cert=/nowhere"],
            "could not read CA certificate /nowhere: no such file or directory",
        ),
        (
            &["syslog-tls-ca-cert=/etc/hostname"],
            "failed to append certificates from PEM file: \"/etc/hostname\"",
        ),
        (&["syslog-tls-cert=/nowhere", "syslog-tls-key=/nowhere"], "could not load X509 key pair: /nowhere"),
        (&["syslog-tls-cert=/nowhere"], "syslog-tls-cert and syslog-tls-key go together"),
    ] {
        let refused = run(options);
        let error = refused.fails(125).to_lowercase();
        let message = message.to_lowercase();
        assert!(
            error.contains(&message) && error.contains("failed to initialize logging driver"),
            "{refused:?}"
        );
    }
    assert_eq!(engine.wharfie(["ps", "-aq"]).ok(), "");
    assert_eq!(run(&[&right_authority, "tag=trusted"]).ok(), "hello");
    server.expect(" trusted[");
    assert_eq!(run(&["syslog-tls-skip-verify=true", "tag=anybody"]).ok(), "hello");
    server.expect(" anybody[");
    let refused = run(&["syslog-tls-skip-verify=false"]);
    assert!(refused.fails(125).contains("invalid peer certificate"), "{refused:?}");
    // The connection ends as TLS wants it.
    server.expect(": hello\nend\n");

    // A connection that the server drops is made again, and nothing comes twice.
    let driver = flags("syslog-address=tcp+tls://127.0.0.1:6514", "syslog-format=rfc5424");
    engine
        .wharfie(
            [
                &["run", "-d", "--name", "box"],
                &driver[..],
                &["--log-opt", &right_authority, BUSYBOX, "sh", "-c", SCRIPT],
            ]
            .concat(),
        )
        .ok();
    engine.sh("until wharfie exec box test -p /go; do sleep 0.02; done");
    said(&engine, "drop");
    server.expect(" - drop\nclosed\n");
    said(&engine, "second");
    server.expect(" - second\n");
    said(&engine, "third");
    server.expect(" - third\n");
    // TLS has its price, and only those who ask for it pay: see `monitor.rs` for the others.
    let memory = engine.sh("awk '/^RssAnon:/ { print $2 }' /proc/$(pgrep -f '_[_]monitor')/status");
    assert!(memory.trim().parse::<u32>().unwrap() < 4096, "{memory} kB");
    // The server goes away altogether; what waits comes when it is there again.
    server.signal(rustix::process::Signal::KILL);
    let got = server.wait().stdout;
    assert_eq!(got.matches("second").count(), 1, "{got}");
    said(&engine, "fourth");
    engine.sh("until wharfie logs box | grep -q fourth; do sleep 0.02; done");
    let server = lines(&engine, "6514", &right, &[]);
    server.expect(" - fourth\n");
    // Somebody else at its address gets nothing.
    server.signal(rustix::process::Signal::KILL);
    server.wait();
    let server = lines(&engine, "6514", &wrong, &[]);
    said(&engine, "fifth");
    server.expect("failed: ");
    server.signal(rustix::process::Signal::KILL);
    assert!(!server.wait().stdout.contains("fifth"));
    // A server that wants to know who we are.
    let ours = right.display().to_string();
    let server = lines(&engine, "6514", &right, &[&format!("{ours}/ca.crt")]);
    server.expect("failed: ");
    assert_eq!(
        run(&[
            &right_authority,
            "tag=known",
            &format!("syslog-tls-cert={ours}/server.crt"),
            &format!("syslog-tls-key={ours}/server.key"),
        ])
        .ok(),
        "hello"
    );
    server.expect(" known[");
    drop(server);
    // Without a server a container starts all the same, as over TCP without TLS.
    assert_eq!(run(&[&right_authority]).ok(), "hello");
    assert_eq!(engine.wharfie(["logs", "box"]).ok(), "drop\nsecond\nthird\nfourth\nfifth");
    engine.wharfie(["rm", "-f", "box"]).ok();
    engine.assert_clean();
}

#[test]
fn fluentd_over_tls_with_receipts() {
    let engine = engine();
    let directory = engine.directory().join("right");
    fs::create_dir(&directory).unwrap();
    certificates(&directory);
    let file = |name: &str| directory.join(name).display().to_string();
    let server =
        python(&engine, RECEIPTS, &["24224", "close all all", &file("server.crt"), &file("server.key")]);
    server.expect("listening");
    let run = |more: &[&str]| {
        let address = "fluentd-address=tls://localhost:24224";
        let driver = ["run", "--rm", "--log-driver", "fluentd", "--log-opt", address];
        let options = ["--log-opt", "fluentd-request-ack=true", "--log-opt", "fluentd-retry-wait=10ms"];
        engine.wharfie([&driver[..], &options, more, &[BUSYBOX, "echo", "hello"]].concat())
    };
    let refused = run(&[]);
    assert!(refused.fails(125).contains("invalid peer certificate"), "{refused:?}");
    engine.sh(&format!(
        "mkdir -p /etc/ssl/certs; cp /etc/ssl/certs/ca-certificates.crt all.crt 2>/dev/null; cat {} >> all.crt; \
         rm -f /etc/ssl/certs/ca-certificates.crt; mv all.crt /etc/ssl/certs/ca-certificates.crt",
        file("ca.crt")
    ));
    assert_eq!(run(&[]).ok(), "hello");
    server.expect("close hello ");
    server.expect("all hello ");
    server.signal(rustix::process::Signal::KILL);
    let got = server.wait().stdout;
    let chunks: Vec<&str> =
        got.lines().filter_map(|line| line.split_once(" hello ")).map(|(_, chunk)| chunk).collect();
    assert!(chunks.len() == 2 && chunks[0] == chunks[1], "the same message, once more: {got}");
    engine.assert_clean();
}

#[test]
fn a_receipt_that_is_withheld() {
    let engine = engine();
    let server = python(&engine, RECEIPTS, &["24224", "none all"]);
    server.expect("listening");
    let driver = [
        "--log-driver",
        "fluentd",
        "--log-opt",
        "fluentd-address=127.0.0.1",
        "--log-opt",
        "fluentd-request-ack=true",
    ];
    let limits = ["--log-opt", "fluentd-read-timeout=300ms", "--log-opt", "fluentd-retry-wait=10ms"];
    let container = ["--name", "box", BUSYBOX, "sh", "-c", SCRIPT];
    engine.wharfie([&["run", "-d"], &driver[..], &limits, &container].concat()).ok();
    engine.sh("until wharfie exec box test -p /go; do sleep 0.02; done");
    said(&engine, "one");
    server.expect("none one ");
    server.expect("all one ");
    said(&engine, "two");
    server.expect("all two ");
    engine.wharfie(["rm", "-f", "box"]).ok();
    server.signal(rustix::process::Signal::KILL);
    let got = server.wait().stdout;
    let of = |word: &str| got.lines().filter(|line| line.contains(word)).collect::<Vec<_>>();
    assert_eq!((of(" one ").len(), of(" two ").len()), (2, 1), "{got}");
    assert_eq!(of(" one ")[0].replace("none", "all"), of(" one ")[1], "the same chunk: {got}");
    engine.assert_clean();
}
