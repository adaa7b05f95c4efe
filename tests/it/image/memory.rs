//! What a pull and a load need of memory does not grow with the image.

use std::fs;
use std::time::Duration;

use crate::engine::TestEngine;

/// Bytes of the image's one layer. More would show nothing more, and hashing takes its time in a debug build.
const LAYER: u64 = 100 << 20;
/// Kilobytes that wharfie may need at the worst: less than the layer has, and twice what it does need.
const MOST: u64 = 100_000;

/// A registry of an image with one layer, a file of `LAYER` bytes, in gzip's form that saves nothing: what comes and
/// what is unpacked are large alike. With a third argument it is written as an archive instead. The file is made of
/// one block again and again, so that nobody has it in memory.
const REGISTRY: &str = r#"
import hashlib, http.server, json, random, sys, tarfile, zlib
SIZE = int(sys.argv[2])
block = random.Random(5).randbytes(4096) + bytes((1 << 20) - 4096)
file = tarfile.TarInfo('file')
file.size = SIZE
def tar():
    yield file.tobuf(tarfile.GNU_FORMAT)
    for _ in range(SIZE // len(block)): yield block
    yield bytes(1024)
def digest(parts):
    hasher = hashlib.sha256()
    for part in parts: hasher.update(part)
    return 'sha256:' + hasher.hexdigest()
def layer():
    squeeze = zlib.compressobj(0, zlib.DEFLATED, 31)
    for part in tar(): yield squeeze.compress(part)
    yield squeeze.flush()
name, size = digest(layer()), sum(len(part) for part in layer())
config = json.dumps({'architecture': sys.argv[1], 'os': 'linux', 'config': {},
    'rootfs': {'type': 'layers', 'diff_ids': [digest(tar())]}}).encode()
kind = 'application/vnd.oci.image.manifest.v1+json'
def described(kind, digest, size): return {'mediaType': kind, 'digest': digest, 'size': size}
manifest = json.dumps({'schemaVersion': 2, 'mediaType': kind,
    'config': described('application/vnd.oci.image.config.v1+json', digest([config]), len(config)),
    'layers': [described('application/vnd.oci.image.layer.v1.tar+gzip', name, size)]}).encode()
blobs = {digest([config]): (len(config), lambda: [config]), name: (size, layer)}
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def log_message(self, *words): pass
    def answer(self, size, parts, headers={}):
        self.send_response(200)
        for key, value in headers.items(): self.send_header(key, value)
        self.send_header('Content-Length', str(size))
        self.end_headers()
        if self.command == 'GET':
            for part in parts: self.wfile.write(part)
    def do_GET(self):
        words = self.path.split('/')
        if words[-2:-1] == ['blobs']:
            size, parts = blobs[words[-1]]
            return self.answer(size, parts())
        headers = {'Content-Type': kind, 'Docker-Content-Digest': digest([manifest])}
        self.answer(len(manifest), [manifest], headers)
    do_HEAD = do_GET
if len(sys.argv) > 3:
    entry = described(kind, digest([manifest]), len(manifest))
    entry['annotations'] = {'io.containerd.image.name': 'docker.io/library/large:1'}
    blobs[digest([manifest])] = len(manifest), lambda: [manifest]
    index = json.dumps({'schemaVersion': 2, 'manifests': [entry]}).encode()
    files = {'blobs/sha256/' + digest[7:]: blob for digest, blob in blobs.items()}
    files['oci-layout'] = 30, lambda: [b'{"imageLayoutVersion":"1.0.0"}']
    files['index.json'] = len(index), lambda: [index]
    with open(sys.argv[3], 'wb') as out:
        for name, (size, parts) in files.items():
            info = tarfile.TarInfo(name)
            info.size = size
            out.write(info.tobuf(tarfile.GNU_FORMAT))
            for part in parts(): out.write(part)
            out.write(bytes(-size % 512))
        out.write(bytes(1024))
    sys.exit()
http.server.ThreadingHTTPServer(('127.0.0.1', 5900), Handler).serve_forever()
"#;

/// Runs a command whose memory is told: at most how many kilobytes it had.
const MEASURE: &str = r#"
import os, resource, subprocess, sys
done = subprocess.run(sys.argv[2:], stdin=open(sys.argv[1]))
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(done.returncode)
"#;

/// The most memory that wharfie had at a time, in kilobytes, while it did `words` with this file as its input.
#[track_caller]
fn peak(engine: &TestEngine, input: &str, words: &[&str]) -> u64 {
    let words = ["measure.py", input, "wharfie"].into_iter().chain(words.iter().copied());
    let output = engine.program("python3", words).run();
    output.ok().lines().last().and_then(|line| line.parse().ok()).unwrap_or_else(|| panic!("{output:?}"))
}

#[test]
fn memory_does_not_grow_with_the_image() {
    let engine = TestEngine::new();
    let home = engine.directory().join("home");
    fs::write(home.join("registry.py"), REGISTRY).expect("write a script");
    fs::write(home.join("measure.py"), MEASURE).expect("write a script");
    let architecture = engine.sh("case $(uname -m) in x86_64) echo amd64;; aarch64) echo arm64;; esac");
    let size = LAYER.to_string();
    let begin = ["registry.py", architecture.trim(), &size];
    let _registry = engine.program("python3", begin).timeout(Duration::from_secs(3600)).spawn();
    engine.wait_for_port(5900);
    engine.accept();
    let name = "127.0.0.1:5900/large:1";
    let most = peak(&engine, "/dev/null", &["pull", "-q", name]);
    assert!(most <= MOST, "{most} kB for a pull");
    engine.wharfie(["rmi", name]).ok();
    engine.program("python3", begin.into_iter().chain(["large.tar"])).run().ok();
    let most = peak(&engine, "large.tar", &["load", "-q"]);
    assert!(most <= MOST, "{most} kB for a load");
    engine.wharfie(["rmi", "large:1"]).ok();
    engine.assert_clean();
}
