//! Pushes to a registry that breaks: what it has confirmed is not sent again, and nothing is sent twice.

use std::fs;
use std::time::Duration;

use super::{here, image};
use crate::call::Running;
use crate::engine::TestEngine;

/// A registry that takes uploads and writes down each request before it answers: the method, what is asked for, and
/// the bytes that came. The repository's first word says what goes wrong with blobs of more than 100,000 bytes:
/// `cut` reads a third of the first PUT, keeps it and hangs up; `lost` forgets it as well, and cuts the second chunk;
/// `whole` cuts the first PUT and takes no chunks; `busy` answers 429 to the first POST until a second has passed, and
/// 500 to the first PUT; `stall` reads a third and then nothing until a file `healed` is there; `expire` wants a
/// token, each of which is good for four requests; `denied` lets nobody push; `wrong` finds every digest wrong; `slow`
/// reads 1.6 MB a second.
const REGISTRY: &str = r#"
import hashlib, http.server, json, os, sys, threading, time, urllib.parse, uuid
blobs, manifests, uploads, tokens, seen, lock = {}, {}, {}, {}, {}, threading.Lock()
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def log_message(self, *words): pass
    def note(self, *words):
        with lock, open('requests', 'a') as log: print(self.command, *words, file=log)
    def answer(self, code, headers={}, data=b''):
        self.send_response(code)
        for key, value in headers.items(): self.send_header(key, value)
        self.send_header('Content-Length', str(len(data)))
        self.end_headers()
        if self.command != 'HEAD': self.wfile.write(data)
    def error(self, code, kind, message, headers={}):
        if self.unread: self.body()
        self.answer(code, headers, json.dumps({'errors': [{'code': kind, 'message': message}]}).encode())
    def body(self, limit=None, slowly=False):
        self.unread = False
        length = int(self.headers.get('Content-Length') or 0)
        data = bytearray()
        while len(data) < min(length, limit or length):
            if slowly: time.sleep(0.04)
            part = self.rfile.read(min(65536, min(length, limit or length) - len(data)))
            if not part: break
            data += part
        return bytes(data)
    def hang_up(self):
        self.close_connection = True
        self.connection.shutdown(2)
    def first(self, *key):
        with lock:
            seen[key] = seen.get(key, 0) + 1
            return seen[key] == 1
    def serve(self):
        self.unread = True
        url = urllib.parse.urlparse(self.path)
        query = {key: values for key, values in urllib.parse.parse_qs(url.query).items()}
        if url.path == '/token':
            token = uuid.uuid4().hex
            with lock: tokens[token] = 4
            self.note('token', *sorted(query['scope']))
            return self.answer(200, {}, json.dumps({'token': token}).encode())
        words = url.path.split('/')[2:]
        at = max(n for n, word in enumerate(words) if word in ('blobs', 'manifests'))
        name, rest = '/'.join(words[:at]), words[at:]
        fault = '' if os.path.exists('healed') else words[0]
        if fault == 'expire':
            token = self.headers.get('Authorization', '').removeprefix('Bearer ')
            with lock:
                good = tokens.get(token, 0) > 0
                if good: tokens[token] -= 1
            if not good:
                self.note(name, '401')
                return self.error(401, 'UNAUTHORIZED', 'authentication required', {'WWW-Authenticate':
                    f'Bearer realm="http://127.0.0.1:{sys.argv[1]}/token",service="x",scope="repository:{name}:pull,push"'})
        if fault == 'denied' and self.command in ('POST', 'PUT'):
            return self.error(403, 'DENIED', 'requested access to the resource is denied')
        if rest[0] == 'manifests': return self.manifest(name, rest[1])
        if rest[1] != 'uploads':
            self.note(name, rest[1][7:19])
            return self.answer(200 if (name, rest[1]) in blobs else 404)
        if self.command == 'POST': return self.begin(name, fault, query)
        return self.upload(name, fault, rest[2], query)
    def manifest(self, name, tag):
        key, data = (name, tag), self.body()
        self.note(name, 'manifest', tag[:19])
        if self.command == 'PUT':
            digest = 'sha256:' + hashlib.sha256(data).hexdigest()
            manifests[key] = manifests[(name, digest)] = digest
            return self.answer(201, {'Docker-Content-Digest': digest})
        if key not in manifests: return self.answer(404)
        self.answer(200, {'Docker-Content-Digest': manifests[key]})
    def begin(self, name, fault, query):
        mount = query.get('mount', [''])[0]
        self.note(name, 'upload', mount[7:19], *query.get('from', []))
        if fault == 'busy' and self.first('busy') | (time.monotonic() < seen.setdefault('until', time.monotonic() + 1)):
            with lock: seen['told'] = seen.get('told', 0) + 1
            if seen['told'] > 3: self.note('early')
            return self.error(429, 'TOOMANYREQUESTS', 'slow down', {'Retry-After': '1'})
        if mount and (query['from'][0], mount) in blobs:
            blobs[(name, mount)] = True
            return self.answer(201, {'Location': f'/v2/{name}/blobs/{mount}'})
        key = uuid.uuid4().hex
        uploads[key] = bytearray()
        self.answer(202, {'Location': f'/v2/{name}/blobs/uploads/{key}?step=0'})
    def upload(self, name, fault, key, query):
        length = int(self.headers.get('Content-Length') or 0)
        if key not in uploads:
            self.note(name, 'unknown')
            return self.error(404, 'BLOB_UPLOAD_UNKNOWN', 'blob upload unknown to registry')
        data, large = uploads[key], length > 100_000
        place = lambda: {'Location': f'/v2/{name}/blobs/uploads/{key}?step={len(data)}', 'Range': f'0-{max(len(data) - 1, 0)}'}
        if self.command == 'GET':
            self.note(name, 'status', len(data))
            return self.answer(204, place())
        if self.command == 'PATCH' and fault == 'whole':
            self.note(name, 'refused')
            return self.error(405, 'UNSUPPORTED', 'the operation is unsupported')
        if self.command == 'PATCH':
            begin = int(self.headers['Content-Range'].split('-')[0])
            if begin != len(data) or query['step'][0] != str(len(data)):
                self.note(name, 'out of step')
                return self.error(416, 'RANGE_INVALID', 'invalid content range')
        cut = large and self.command == 'PUT' and fault in ('cut', 'lost', 'whole', 'stall') and self.first(name)
        cut = cut or (fault == 'lost' and self.command == 'PATCH' and len(data) > 0 and self.first(name, 'chunk'))
        if large and fault == 'busy' and self.command == 'PUT' and self.first('put'):
            return self.error(500, 'UNKNOWN', 'try again', {'Retry-After': '0'})
        came = self.body(length // 3 if cut else None, fault == 'slow')
        data += came
        self.note(name, 'bytes', len(came), self.headers.get('Content-Range', 'all' if length else 'end'))
        if cut:
            if fault == 'stall':
                open('stalled', 'w').close()
                while not os.path.exists('healed'): time.sleep(0.05)
            if fault in ('whole', 'stall') or (fault == 'lost' and self.command == 'PUT'): del uploads[key]
            return self.hang_up()
        if self.command == 'PATCH': return self.answer(202, place())
        digest = query['digest'][0]
        if fault == 'wrong' or digest != 'sha256:' + hashlib.sha256(data).hexdigest():
            return self.error(400, 'DIGEST_INVALID', 'provided digest did not match uploaded content')
        blobs[(name, digest)] = True
        del uploads[key]
        self.answer(201, {'Location': f'/v2/{name}/blobs/{digest}'})
    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = serve
http.server.ThreadingHTTPServer(('127.0.0.1', int(sys.argv[1])), Handler).serve_forever()
"#;

#[track_caller]
fn registry(engine: &TestEngine) -> Running {
    fs::write(engine.directory().join("home/faulty.py"), REGISTRY).expect("write a script");
    let process = engine.program("python3", ["faulty.py", "5900"]).timeout(Duration::from_secs(3600)).spawn();
    engine.wait_for_port(5900);
    engine.accept();
    process
}

/// The registry's notes so far.
#[track_caller]
fn requests(engine: &TestEngine) -> String {
    fs::read_to_string(engine.directory().join("home/requests")).unwrap_or_default()
}

/// How many bytes of blobs came, all in all.
fn bytes(requests: &str) -> usize {
    let counts = requests
        .lines()
        .filter_map(|line| line.split_once(" bytes ")?.1.split(' ').next()?.parse::<usize>().ok());
    counts.sum()
}

/// Loads an image of three blobs, the first of which has so many bytes and some of tar: its name, and the bytes of all.
#[track_caller]
fn loaded(engine: &TestEngine, fault: &str, size: usize) -> (String, usize) {
    let name = format!("127.0.0.1:5900/{fault}/app:1");
    let image = image(size as u64, size);
    engine.load_with_ctr(&name, &image);
    (name, image.blobs()[1..].iter().map(|blob| blob.bytes.len()).sum())
}

#[test]
fn what_a_registry_has_confirmed_is_not_sent_again() {
    let engine = TestEngine::new();
    let _registry = registry(&engine);
    let (name, total) = loaded(&engine, "cut", 3_000_000);
    let pushed = engine.wharfie(["push", &name]);
    assert!(pushed.ok().contains(&format!("1: digest: {} size: ", here(&engine, &name))), "{pushed:?}");
    assert!(pushed.ok().contains(": Retrying in "), "{pushed:?}");
    let asked = requests(&engine);
    // A third came by PUT; the rest is one chunk, and the end says no byte more.
    assert_eq!(bytes(&asked), total, "{asked}");
    assert_eq!(asked.matches("POST cut/app upload").count(), 3, "{asked}");
    assert_eq!(asked.matches("GET cut/app status").count(), 1, "{asked}");
    assert_eq!(asked.lines().filter(|line| line.starts_with("PATCH")).count(), 1, "{asked}");
    // Again: three blobs and the manifest are asked for, nothing is sent.
    fs::remove_file(engine.directory().join("home/requests")).expect("remove the notes");
    engine.wharfie(["push", &name]).ok();
    let again = requests(&engine);
    assert!(again.lines().all(|line| line.starts_with("HEAD ")) && again.lines().count() == 5, "{again}");
    engine.wharfie(["rmi", &name]).ok();
    engine.assert_clean();
}

#[test]
fn an_upload_that_is_lost_begins_anew_in_chunks() {
    let engine = TestEngine::new();
    let _registry = registry(&engine);
    let (name, total) = loaded(&engine, "lost", 40_000_000);
    engine.call(["push", &name]).timeout(Duration::from_secs(180)).run().ok();
    let asked = requests(&engine);
    // The first try is lost; of the second one each byte goes once, though its second chunk was cut.
    let first: usize = asked
        .lines()
        .find_map(|line| {
            line.strip_prefix("PUT lost/app bytes ")?
                .strip_suffix(" all")?
                .parse()
                .ok()
                .filter(|n| *n > 100_000)
        })
        .unwrap_or_else(|| panic!("{asked}"));
    assert_eq!(bytes(&asked), total + first, "{asked}");
    assert!(asked.contains("bytes 16777216 0-16777215"), "{asked}");
    assert!(!asked.contains("out of step"), "{asked}");
    assert_eq!(asked.matches("GET lost/app status").count(), 1, "{asked}");
    engine.wharfie(["rmi", &name]).ok();
    engine.assert_clean();
}

#[test]
fn registries_that_take_no_chunks_or_are_busy() {
    let engine = TestEngine::new();
    let _registry = registry(&engine);
    for fault in ["whole", "busy"] {
        let (name, _) = loaded(&engine, fault, 900_000);
        engine.wharfie(["push", &name]).ok();
    }
    let asked = requests(&engine);
    assert!(!asked.contains("early"), "it waits as long as it is told: {asked}");
    assert!(asked.contains("POST whole/app upload"), "{asked}");
}

#[test]
fn a_token_that_ends_on_the_way_is_renewed_and_mounts_ask_for_both_repositories() {
    let engine = TestEngine::new();
    let _registry = registry(&engine);
    let (name, _) = loaded(&engine, "expire", 900_000);
    engine.wharfie(["push", &name]).ok();
    let asked = requests(&engine);
    assert!(asked.contains("GET token repository:expire/app:pull,push\n"), "{asked}");
    assert!(asked.matches("expire/app 401").count() > 2, "{asked}");
    let other = "127.0.0.1:5900/expire/other:1";
    engine.wharfie(["tag", &name, other]).ok();
    let mounted = engine.wharfie(["push", other]);
    assert_eq!(mounted.ok().matches(": Mounted from expire/app").count(), 2, "{mounted:?}");
    let asked = requests(&engine);
    let both = "GET token repository:expire/app:pull repository:expire/other:pull,push\n";
    assert!(asked.contains(both), "{asked}");
    engine.wharfie(["rmi", &name, other]).ok();
    engine.assert_clean();
}

#[test]
fn refusals_name_the_host_the_status_and_the_digest() {
    let engine = TestEngine::new();
    let _registry = registry(&engine);
    let (denied, _) = loaded(&engine, "denied", 1000);
    let output = engine.wharfie(["push", &denied]);
    let told = output.fails(1);
    assert!(told.contains("403 Forbidden: denied: requested access to the resource is denied"), "{output:?}");
    assert!(told.contains("127.0.0.1:5900") && told.contains("failed to push sha256:"), "{output:?}");
    let (wrong, _) = loaded(&engine, "wrong", 1000);
    let output = engine.wharfie(["push", &wrong]);
    let told = output.fails(1);
    assert!(told.contains("400 Bad Request: digest invalid: provided digest did not match"), "{output:?}");
    assert!(told.contains("failed to push sha256:"), "{output:?}");
    engine.wharfie(["rmi", &denied, &wrong]).ok();
    engine.assert_clean();
}

#[test]
fn a_killed_push_leaves_nothing_and_can_be_made_again() {
    let engine = TestEngine::new();
    let _registry = registry(&engine);
    let (name, _) = loaded(&engine, "stall", 3_000_000);
    let push = engine.call(["push", &name]).spawn();
    engine.sh("until [ -e stalled ]; do sleep 0.02; done");
    drop(push);
    engine.sh("pkill -9 -x wharfie || true; while pgrep -x wharfie >/dev/null; do sleep 0.02; done");
    fs::write(engine.directory().join("home/healed"), "").expect("write a file");
    engine.wharfie(["push", &name]).ok();
    engine.wharfie(["rmi", &name]).ok();
    engine.assert_clean();
}

#[track_caller]
fn short_of_patience(engine: &TestEngine) {
    engine.sh("mkdir -p /etc/wharfie; echo 'registry_timeout = \"3s\"' > /etc/wharfie/wharfie.toml");
}

#[test]
fn what_takes_long_to_send_is_sent_once() {
    let engine = TestEngine::new();
    let _registry = registry(&engine);
    short_of_patience(&engine);
    let (name, total) = loaded(&engine, "slow", 12_000_000);
    engine.wharfie(["push", &name]).ok();
    let asked = requests(&engine);
    assert_eq!(bytes(&asked), total, "{asked}");
    assert!(!asked.contains("PATCH") && !asked.contains(" status "), "{asked}");
    engine.wharfie(["rmi", &name]).ok();
    engine.assert_clean();
}

#[test]
fn a_push_goes_on_where_a_registry_has_fallen_silent() {
    let engine = TestEngine::new();
    let _registry = registry(&engine);
    short_of_patience(&engine);
    let (name, total) = loaded(&engine, "stall", 30_000_000);
    engine.wharfie(["push", &name]).ok();
    let asked = requests(&engine);
    assert_eq!(bytes(&asked), total, "{asked}");
    assert_eq!(asked.matches("GET stall/app status").count(), 1, "{asked}");
    engine.wharfie(["rmi", &name]).ok();
    engine.assert_clean();
}

#[test]
fn an_image_may_be_removed_while_it_is_pushed() {
    let engine = TestEngine::new();
    let _registry = registry(&engine);
    let (name, total) = loaded(&engine, "stall", 3_000_000);
    let push = engine.call(["push", &name]).spawn();
    engine.sh("until [ -e stalled ]; do sleep 0.02; done");
    engine.wharfie(["rmi", &name]).ok();
    fs::write(engine.directory().join("home/healed"), "").expect("write a file");
    push.wait().ok();
    assert!(bytes(&requests(&engine)) >= total);
    engine.assert_clean();
}
