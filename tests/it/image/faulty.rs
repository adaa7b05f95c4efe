//! Pulls from a registry that breaks: what came stays, wrong bytes never become an image, and the next try ends well.

use std::fs;
use std::time::Duration;

use crate::call::Running;
use crate::engine::TestEngine;

/// A registry of one image with two layers in gzip. The repository's name says what goes wrong with the layers:
/// `cut` ends each answer after 400,000 bytes, `whole` does so twice and knows no ranges, `wrong` flips a byte,
/// `busy` answers 429 and 500 first, `stall` sends half and then nothing. A file `healed` ends all that.
/// Each request's range goes to the file `ranges`.
const REGISTRY: &str = r#"
import gzip, hashlib, http.server, io, json, os, random, sys, tarfile, time
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
cuts, tries = {}, {}
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
        words = self.path.split('/')
        if len(words) < 6: return self.answer(200, b'')
        fault = '' if os.path.exists('healed') else words[2]
        if words[4] == 'manifests':
            data = self.answer(200, manifest, {'Content-Type': kind, 'Docker-Content-Digest': digest(manifest)})
            return self.wfile.write(data)
        data, begin = blobs[words[5]], 0
        if len(data) < 10_000: fault = ''
        asked = self.headers.get('Range', '')
        with open('ranges', 'a') as log: print(words[2], words[5][7:19], asked or 'all', file=log)
        if fault == 'busy' and tries.setdefault(words[5], 0) < 2:
            tries[words[5]] += 1
            return self.answer([429, 500][tries[words[5]] - 1], b'', {'Retry-After': '0'})
        code, headers = 200, {'Content-Type': 'application/octet-stream'}
        if asked and fault != 'whole':
            begin, code = int(asked[6:].split('-')[0]), 206
            headers['Content-Range'] = f'bytes {begin}-{len(data) - 1}/{len(data)}'
        if fault == 'wrong': data = data[:1000] + bytes([data[1000] ^ 1]) + data[1001:]
        body = self.answer(code, data[begin:], headers)
        if fault == 'whole' and cuts.setdefault(words[5], 0) >= 2: fault = ''
        if fault in ('cut', 'whole'):
            cuts[words[5]] = cuts.get(words[5], 0) + 1
            self.wfile.write(body[:400_000 if fault == 'cut' else 700_000])
            self.close_connection = True
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
    fs::write(engine.directory().join("home/faulty.py"), REGISTRY).expect("write a script");
    let architecture = engine.sh("case $(uname -m) in x86_64) echo amd64;; aarch64) echo arm64;; esac");
    let process = engine
        .program("python3", ["faulty.py", "5900", architecture.trim()])
        .timeout(Duration::from_secs(3600))
        .spawn();
    engine.wait_for_port(5900);
    engine.accept();
    process
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
    for fault in ["whole", "busy"] {
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
    assert!(told.contains("sha256:"), "{output:?}");
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
