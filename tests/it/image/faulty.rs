//! Pulls from a registry that breaks: what came stays, wrong bytes never become an image, and the next try ends well.

use std::fs;
use std::time::Duration;

use crate::call::Running;
use crate::engine::TestEngine;

/// A registry of one image with two layers in gzip. The repository's name, or one more argument, says what goes wrong
/// with the layers: `cut` ends each answer after 400,000 bytes, `short` the same in good order, `whole` does so twice
/// and knows no ranges, `refuse` cuts once and answers a range with 416, `wrong` flips a byte, `more` sends one too
/// many, `liar` does that to manifests, `busy` answers 429 and 500 first, `limited` and `broken` never anything else,
/// `stall` sends half and then nothing, `hold` sends as many bytes in all as the file `limit` says and then nothing,
/// `gone` ends the registry after 400,000 bytes, `once` sends half and then nothing in its first answer for each layer,
/// `mute` never answers at all. A file `healed` ends all that. Each request's port and range go to the file `ranges`.
const REGISTRY: &str = r#"
import gzip, hashlib, http.server, io, json, os, random, sys, tarfile, threading, time
random.seed(7)
def layer(name, size):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode='w') as tar:
        for n in range(8):
            info = tarfile.TarInfo(f'{name}/{n}')
            info.size = size // 8
            tar.addfile(info, io.BytesIO(random.randbytes(size // 8)))
    return out.getvalue()
def digest(data):
    return 'sha256:' + hashlib.sha256(data).hexdigest()
tars = [layer('low', 2_400_000), layer('high', 1_600_000)]
layers = [gzip.compress(tar, 1, mtime=0) for tar in tars]
config = json.dumps({'architecture': sys.argv[2], 'os': 'linux', 'config': {},
    'rootfs': {'type': 'layers', 'diff_ids': [digest(tar) for tar in tars]}}).encode()
kind = 'application/vnd.oci.image.manifest.v1+json'
manifest = json.dumps({'schemaVersion': 2, 'mediaType': kind,
    'config': {'mediaType': 'application/vnd.oci.image.config.v1+json', 'digest': digest(config), 'size': len(config)},
    'layers': [{'mediaType': 'application/vnd.oci.image.layer.v1.tar+gzip', 'digest': digest(l), 'size': len(l)}
        for l in layers]}).encode()
blobs = {digest(data): data for data in layers + [config]}
cuts, tries, held, lock = {}, {}, {}, threading.Lock()
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def log_message(self, *words): pass
    def answer(self, code, data, headers={}):
        self.send_response(code)
        for key, value in headers.items(): self.send_header(key, value)
        self.send_header('Content-Length', str(len(data)))
        self.end_headers()
        return data if self.command == 'GET' else b''
    def do_GET(self):
        words = self.path.partition('?')[0].split('/')
        if len(words) < 6: return self.answer(200, b'')
        fault = '' if os.path.exists('healed') else words[2] if len(sys.argv) < 4 else sys.argv[3]
        if fault == 'mute':
            with open('ranges', 'a') as log: print('mute', sys.argv[1], file=log)
            while not os.path.exists('healed'): time.sleep(0.05)
            self.close_connection = True
            return
        if words[4] == 'manifests':
            told = manifest + b' ' if fault == 'liar' and self.command == 'GET' else manifest
            data = self.answer(200, told, {'Content-Type': kind, 'Docker-Content-Digest': digest(manifest)})
            return self.wfile.write(data)
        data, begin = blobs[words[5]], 0
        if len(data) < 10_000: fault = ''
        asked = self.headers.get('Range', '')
        with open('ranges', 'a') as log: print(words[2], words[5][7:19], asked or 'all', sys.argv[1], file=log)
        if fault == 'busy' and tries.setdefault(words[5], 0) < 2:
            tries[words[5]] += 1
            return self.answer([429, 500][tries[words[5]] - 1], b'', {'Retry-After': '0'})
        if fault in ('limited', 'broken'):
            return self.answer(429 if fault == 'limited' else 503, b'', {'Retry-After': '0'})
        if fault == 'refuse' and asked: return self.wfile.write(self.answer(416, b''))
        if fault == 'more': data += b'x'
        code, headers = 200, {'Content-Type': 'application/octet-stream'}
        if asked and fault != 'whole':
            begin, code = int(asked[6:].split('-')[0]), 206
            headers['Content-Range'] = f'bytes {begin}-{len(data) - 1}/{len(data)}'
        if fault == 'wrong': data = data[:1000] + bytes([data[1000] ^ 1]) + data[1001:]
        body = self.answer(code, data[begin:begin + 400_000] if fault == 'short' else data[begin:], headers)
        if fault == 'refuse' and cuts.setdefault(words[5], 0): fault = ''
        if fault == 'whole' and cuts.setdefault(words[5], 0) >= 2: fault = ''
        if fault == 'once':
            cuts[words[5]] = cuts.get(words[5], 0) + 1
            fault = 'stall' if cuts[words[5]] == 1 else ''
        if fault in ('cut', 'whole', 'refuse'):
            cuts[words[5]] = cuts.get(words[5], 0) + 1
            self.wfile.write(body[:700_000 if fault == 'whole' else 400_000])
            self.close_connection = True
        elif fault == 'gone':
            self.wfile.write(body[:400_000])
            self.wfile.flush()
            os._exit(0)
        elif fault == 'hold':
            limit = open('limit').read()
            for at in range(0, len(body), 10_000):
                with lock: held[limit] = held.get(limit, 0) + len(body[at:at + 10_000])
                if held[limit] > int(limit):
                    open('stalled', 'a').write(words[5] + '\n')
                    while not os.path.exists('healed'): time.sleep(0.02)
                    self.close_connection = True
                    return
                self.wfile.write(body[at:at + 10_000])
        elif fault == 'stall':
            self.wfile.write(body[:len(body) // 2])
            self.wfile.flush()
            open('stalled', 'a').write(words[5] + '\n')
            while not os.path.exists('healed'): time.sleep(0.05)
            self.close_connection = True
        else:
            self.wfile.write(body)
    do_HEAD = do_GET
server = http.server.ThreadingHTTPServer(('127.0.0.1', int(sys.argv[1])), Handler)
server.serve_forever()
"#;

#[track_caller]
fn registry(engine: &TestEngine) -> Running {
    let process = registry_on(engine, 5900, None);
    engine.accept();
    process
}

/// One on another port, with the same fault in all its repositories.
#[track_caller]
fn registry_on(engine: &TestEngine, port: u16, fault: Option<&str>) -> Running {
    fs::write(engine.directory().join("home/faulty.py"), REGISTRY).expect("write a script");
    let architecture = engine.sh("case $(uname -m) in x86_64) echo amd64;; aarch64) echo arm64;; esac");
    let text = port.to_string();
    let process = engine
        .program("python3", ["faulty.py", &text, architecture.trim()].into_iter().chain(fault))
        .timeout(Duration::from_secs(3600))
        .spawn();
    engine.wait_for_port(port);
    process
}

/// The hosts of far.example, in order.
#[track_caller]
fn hosts(engine: &TestEngine, ports: &[u16]) {
    let (server, mirrors) = ports.split_last().expect("a port");
    let mirrors: String =
        mirrors.iter().map(|port| format!("[host.\"http://127.0.0.1:{port}\"]\n")).collect();
    engine.sh(&format!(
        "mkdir -p /etc/containerd/certs.d/far.example
         printf 'server = \"http://127.0.0.1:{server}\"\n{mirrors}' > /etc/containerd/certs.d/far.example/hosts.toml"
    ));
}

#[track_caller]
fn heal(engine: &TestEngine) {
    fs::write(engine.directory().join("home/healed"), "").expect("write a file");
}

#[track_caller]
fn ranges(engine: &TestEngine) -> String {
    fs::read_to_string(engine.directory().join("home/ranges")).unwrap_or_default()
}

/// The image is whole, and goes.
#[track_caller]
fn is_whole(engine: &TestEngine, name: &str) {
    assert!(engine.ctr(["images", "check"]).ok().contains("complete (3/3)"));
    engine.wharfie(["create", "--name", "look", name, "/low/0"]).ok();
    let total = "find out -type f | xargs cat | wc -c";
    assert_eq!(
        engine.sh(&format!("mkdir out; wharfie export look | tar -xC out low high; {total}; rm -r out")),
        "4000000"
    );
    engine.wharfie(["rm", "look"]).ok();
    engine.wharfie(["rmi", name]).ok();
    engine.assert_clean();
}

#[test]
fn what_came_before_a_connection_broke_is_not_fetched_again() {
    let engine = TestEngine::new();
    let _registry = registry(&engine);
    engine.wharfie(["pull", "127.0.0.1:5900/cut/image:1"]).ok();
    let asked = ranges(&engine);
    // Each answer goes on where the last one broke off.
    for begin in [400_000, 800_000, 1_200_000] {
        assert!(asked.contains(&format!("bytes={begin}-")), "{asked}");
    }
    is_whole(&engine, "127.0.0.1:5900/cut/image:1");
}

#[test]
fn a_registry_without_ranges_and_one_that_is_busy_serve_all_the_same() {
    let engine = TestEngine::new();
    let _registry = registry(&engine);
    for fault in ["whole", "busy", "short", "refuse"] {
        let name = format!("127.0.0.1:5900/{fault}/image:1");
        engine.wharfie(["pull", &name]).ok();
        is_whole(&engine, &name);
    }
}

#[test]
fn wrong_bytes_never_become_an_image() {
    let engine = TestEngine::new();
    let _registry = registry(&engine);
    let name = "127.0.0.1:5900/wrong/image:1";
    let output = engine.wharfie(["pull", name]);
    let told = output.fails(1);
    assert!(told.contains("verification failed for digest sha256:"), "{output:?}");
    assert!(told.contains("127.0.0.1:5900 sent other bytes"), "{output:?}");
    assert_eq!(engine.wharfie(["images", "-aq"]).ok(), "");
    engine.assert_clean();
    heal(&engine);
    engine.wharfie(["pull", name]).ok();
    is_whole(&engine, name);
}

#[test]
fn a_pull_that_was_killed_is_gone_on_with() {
    let engine = TestEngine::new();
    let _registry = registry(&engine);
    let name = "127.0.0.1:5900/stall/image:1";
    let pull = engine.call(["pull", name]).spawn();
    engine.sh("until [ \"$(wc -l 2>/dev/null < stalled)\" = 2 ]; do sleep 0.02; done");
    // Both halves have been written.
    engine.sh("until [ \"$(ctr content active | awk 'NR > 1 { n++ } END { print n + 0 }')\" = 2 ]; do sleep 0.02; done");
    drop(pull);
    engine.sh("pkill -9 -x wharfie || true; while pgrep -x wharfie >/dev/null; do sleep 0.02; done");
    fs::remove_file(engine.directory().join("home/ranges")).expect("remove the log");
    heal(&engine);
    engine.wharfie(["pull", name]).ok();
    let asked = ranges(&engine);
    let resumed = asked.lines().filter(|line| line.contains("bytes=")).count();
    assert_eq!(resumed, 2, "{asked}");
    is_whole(&engine, name);
}

#[test]
fn a_mirror_that_sends_wrong_bytes_is_named_and_the_next_one_asked() {
    let engine = TestEngine::new();
    let _right = registry_on(&engine, 5900, Some(""));
    for (port, fault) in [(5901, "wrong"), (5902, "more"), (5903, "liar")] {
        let _wrong = registry_on(&engine, port, Some(fault));
        engine.accept();
        hosts(&engine, &[port, 5900]);
        let output = engine.wharfie(["pull", "far.example/some/image:1"]);
        output.ok();
        let warning = format!("WARNING: 127.0.0.1:{port} sent wrong bytes for sha256:");
        assert_eq!(output.stderr.contains(&warning), fault != "liar", "{output:?}");
        is_whole(&engine, "far.example/some/image:1");
        hosts(&engine, &[port]);
        let output = engine.wharfie(["pull", "far.example/some/image:1"]);
        let told = output.fails(1);
        assert!(told.contains("verification failed for digest sha256:"), "{output:?}");
        assert!(told.contains(&format!("127.0.0.1:{port}")), "{output:?}");
        engine.assert_clean();
    }
}

#[test]
fn a_failure_names_host_status_and_digest() {
    let engine = TestEngine::new();
    let _registry = registry(&engine);
    for (fault, status) in [("limited", "429 Too Many Requests"), ("broken", "503 Service Unavailable")] {
        let name = format!("127.0.0.1:5900/{fault}/image:1");
        let output = engine.wharfie(["pull", &name]);
        let told = output.fails(1);
        for part in ["127.0.0.1:5900/v2/", status, "failed to fetch sha256:"] {
            assert!(told.contains(part), "{part}: {output:?}");
        }
        engine.assert_clean();
    }
}

#[test]
fn a_registry_that_goes_and_comes_back_is_waited_for() {
    let engine = TestEngine::new();
    let name = "127.0.0.1:5900/gone/image:1";
    let registry = registry(&engine);
    let pull = engine.call(["pull", name]).spawn();
    registry.wait();
    let _back = registry_on(&engine, 5900, Some(""));
    pull.wait().ok();
    assert!(ranges(&engine).contains("bytes="), "{}", ranges(&engine));
    engine.accept();
    is_whole(&engine, name);
}

/// How long a registry may be silent in these tests: shorter than the sixty seconds that nobody waits for here.
#[track_caller]
fn short_of_patience(engine: &TestEngine) {
    engine.sh("mkdir -p /etc/wharfie; echo 'registry_timeout = \"2s\"' > /etc/wharfie/wharfie.toml");
}

#[test]
fn a_registry_that_falls_silent_is_asked_again() {
    let engine = TestEngine::new();
    let _registry = registry(&engine);
    short_of_patience(&engine);
    let name = "127.0.0.1:5900/once/image:1";
    engine.wharfie(["pull", name]).ok();
    let asked = ranges(&engine);
    // Half of each layer came before.
    assert_eq!(asked.lines().filter(|line| line.contains("bytes=")).count(), 2, "{asked}");
    is_whole(&engine, name);
}

#[test]
fn the_next_mirror_goes_on_where_one_has_fallen_silent() {
    let engine = TestEngine::new();
    let _right = registry_on(&engine, 5900, Some(""));
    let _stalled = registry_on(&engine, 5901, Some("stall"));
    let _mute = registry_on(&engine, 5902, Some("mute"));
    engine.accept();
    short_of_patience(&engine);
    hosts(&engine, &[5901, 5900]);
    engine.wharfie(["pull", "far.example/some/image:1"]).ok();
    let asked = ranges(&engine);
    let on =
        |port: &str| asked.lines().filter(|line| line.contains("bytes=") && line.ends_with(port)).count();
    assert_eq!((on("5900"), on("5901")), (2, 0), "{asked}");
    is_whole(&engine, "far.example/some/image:1");
    // One that never says a word costs its time once, not for each layer.
    hosts(&engine, &[5902, 5900]);
    engine.wharfie(["pull", "far.example/some/image:1"]).ok();
    assert_eq!(ranges(&engine).matches("mute 5902").count(), 1, "{}", ranges(&engine));
    is_whole(&engine, "far.example/some/image:1");
    // What the file says has to make sense.
    engine.sh("echo 'registry_timeout = \"soon\"' > /etc/wharfie/wharfie.toml");
    let output = engine.wharfie(["pull", "far.example/some/image:1"]);
    assert!(output.stderr.contains("registry_timeout \"soon\""), "{output:?}");
    assert_ne!(output.code, 0, "{output:?}");
}

#[test]
fn a_pull_takes_over_what_another_one_has_begun() {
    let engine = TestEngine::new();
    let _registry = registry(&engine);
    let name = "127.0.0.1:5900/stall/image:1";
    let first = engine.call(["pull", name]).spawn();
    engine.sh("until [ \"$(wc -l 2>/dev/null < stalled)\" = 2 ]; do sleep 0.02; done");
    // It has its own lease, and waits for the layers that the first one is writing.
    let second = engine.call(["pull", name]).spawn();
    engine.sh("until [ \"$(ctr leases ls -q | wc -l)\" = 2 ]; do sleep 0.02; done");
    drop(first);
    heal(&engine);
    second.wait().ok();
    is_whole(&engine, name);
}

/// Nothing of any image is left, and nothing that one was made with.
#[track_caller]
fn nothing_is_left(engine: &TestEngine, after: &str) {
    let script = "ctr content ls -q; ctr content active | tail -n +2; ctr leases ls -q; ctr snapshots ls | tail -n +2; \
        ls /var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots 2>/dev/null || true; \
        ls /var/lib/containerd/io.containerd.content.v1.content/ingest 2>/dev/null || true; \
        find /var/lib/containerd/io.containerd.content.v1.content/blobs -type f 2>/dev/null || true";
    assert_eq!(engine.sh(script), "", "left {after}");
    engine.assert_clean();
}

#[test]
fn a_pull_that_is_killed_anywhere_leaves_nothing() {
    let engine = TestEngine::new();
    let _registry = registry(&engine);
    let name = "127.0.0.1:5900/hold/image:1";
    let home = engine.directory().join("home");
    for (round, limit) in (0..4_000_000).step_by(310_000).enumerate() {
        let after = format!("by a pull that was killed after {limit} bytes");
        fs::write(home.join("limit"), limit.to_string()).expect("write a file");
        let pull = engine.call(["pull", name]).spawn();
        engine.sh("until [ -e stalled ]; do sleep 0.02; done");
        drop(pull);
        if round % 2 == 0 {
            // There is no such image, and what was to become one goes.
            engine.wharfie(["rmi", name]).fails(1);
        } else {
            heal(&engine);
            engine.wharfie(["pull", name]).ok();
            engine.wharfie(["rmi", name]).ok();
            fs::remove_file(home.join("healed")).expect("remove a file");
        }
        nothing_is_left(&engine, &after);
        fs::remove_file(home.join("stalled")).expect("remove a file");
    }
    // Later, when all bytes have come: at a layer's first snapshot, at one that is finished, at the name.
    heal(&engine);
    for sign in [
        "snapshots ls | grep -qE 'extract|Committed'",
        "snapshots ls | grep -q Committed",
        "images ls -q | grep -q hold",
    ] {
        let pull = engine.call(["pull", name]).spawn();
        engine.sh(&format!("until ctr {sign}; do :; done"));
        drop(pull);
        engine.wharfie(["rmi", name]);
        nothing_is_left(&engine, &format!("by a pull that was killed at `{sign}`"));
    }
    // Of no name that anybody remembers: a prune takes it.
    fs::remove_file(home.join("healed")).expect("remove a file");
    fs::write(home.join("limit"), "1500000").expect("write a file");
    let pull = engine.call(["pull", name]).spawn();
    engine.sh("until [ -e stalled ]; do sleep 0.02; done");
    drop(pull);
    engine.wharfie(["image", "prune", "-f"]).ok();
    nothing_is_left(&engine, "by a prune");
}
