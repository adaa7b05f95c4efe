//! The verbs of registries, and what pulls heed of configuration: against docker-registry, and against a server that
//! has what docker-registry lacks: tokens, an index, faults.

mod hosts;
mod login;
mod pull;
mod search;

use std::fs;
use std::time::Duration;

use crate::call::Running;
use crate::engine::TestEngine;

/// A registry with a token server and docker's index. `argv`: port, then a certificate and its key, if any. Tokens are for
/// `tester` with `s3cret-pass`, and refresh tokens for `offline` with the same; the index is there for all. Each request is
/// a line of the file `asked`: method, path, the kind of its log-in, docker's header.
const SERVER: &str = r#"
import base64, http.server, json, ssl, sys, urllib.parse
port = int(sys.argv[1])
scheme = 'https' if len(sys.argv) > 2 else 'http'
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def log_message(self, *words): pass
    def answer(self, code, value, headers={}):
        data = json.dumps(value).encode()
        self.send_response(code)
        for key, text in headers.items(): self.send_header(key, text)
        self.send_header('Content-Length', str(len(data)))
        self.end_headers()
        if self.command != 'HEAD': self.wfile.write(data)
    def token(self, query):
        auth = self.headers.get('Authorization', '')
        user = base64.b64decode(auth[6:]).decode() if auth.startswith('Basic ') else ''
        if query.get('refresh_token') == ['refresh-1']: return self.answer(200, {'access_token': 'access-1'})
        if user not in ('tester:s3cret-pass', 'offline:s3cret-pass'):
            return self.answer(401, {'errors': [{'code': 'UNAUTHORIZED', 'message': 'incorrect username or password'}]})
        reply = {'token': 'access-1'}
        if user.startswith('offline') and query.get('offline_token') == ['true']: reply['refresh_token'] = 'refresh-1'
        self.answer(200, reply)
    def do_GET(self):
        length = int(self.headers.get('Content-Length') or 0)
        body = self.rfile.read(length).decode()
        path, _, query = self.path.partition('?')
        query = urllib.parse.parse_qs(query or body)
        auth = self.headers.get('Authorization', 'none')
        with open('asked', 'a') as log: print(self.command, self.path, auth.split(' ')[0], *self.headers.get_all('X-Meta-Site', []), file=log)
        if path == '/token': return self.token(query)
        if path == '/v1/search':
            found = [{'name': 'redis', 'description': 'Redis is the world\u2019s fastest data platform\nfor caching, vector search', 'star_count': 13000, 'is_official': True, 'is_automated': False},
                {'name': 'who/' + query['q'][0], 'description': None, 'star_count': 3, 'is_official': False, 'is_automated': False}]
            return self.answer(200, {'num_results': 2, 'query': query['q'][0], 'results': found[:int(query['n'][0])]})
        if auth != 'Bearer access-1':
            return self.answer(401, {}, {'WWW-Authenticate': f'Bearer realm="{scheme}://127.0.0.1:{port}/token",service="test"'})
        if path == '/v2/': return self.answer(200, {})
        if path == '/v2/app/tags/list': return self.answer(200, {'name': 'app', 'tags': ['b', 'a']})
        self.answer(404, {'errors': [{'code': 'NAME_UNKNOWN', 'message': 'no such thing'}]})
    do_HEAD = do_POST = do_GET
server = http.server.ThreadingHTTPServer(('127.0.0.1', port), Handler)
if len(sys.argv) > 2:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[2], sys.argv[3])
    server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"#;

/// Starts [`SERVER`]; back when it answers.
#[track_caller]
fn server(engine: &TestEngine, port: u16, more: &[&str]) -> Running {
    fs::write(engine.directory().join("home/server.py"), SERVER).expect("write a script");
    let port_text = port.to_string();
    let arguments = ["server.py", port_text.as_str()].into_iter().chain(more.iter().copied());
    let process = engine.program("python3", arguments).timeout(Duration::from_secs(3600)).spawn();
    engine.wait_for_port(port);
    engine.accept();
    process
}

/// A credential helper that keeps each entry in a file of `kept/`, and each call as a line of `calls`.
const HELPER: &str = r#"#!/bin/sh
cd "$HOME"; mkdir -p kept
echo "$1" >> calls
case $1 in
store) cat > entry; mv entry "kept/$(sed 's/.*"ServerURL":"\([^"]*\)".*/\1/; s,/,_,g' entry)" ;;
get|erase)
    name=$(sed s,/,_,g)
    if ! [ -e "kept/$name" ]; then echo 'credentials not found in native keychain'; exit 1; fi
    if [ "$1" = get ]; then cat "kept/$name"; else rm "kept/$name"; fi ;;
esac
"#;

/// Puts `docker-credential-NAME` into the path.
fn helper(engine: &TestEngine, name: &str) {
    let path = engine.directory().join("bin").join(format!("docker-credential-{name}"));
    fs::write(&path, HELPER).expect("write a helper");
    engine.sh(&format!("chmod +x {}", path.display()));
}

/// docker's config.json of the test's home.
fn config(engine: &TestEngine) -> String {
    fs::read_to_string(engine.directory().join("home/.docker/config.json")).expect("there is a config.json")
}

/// Writes it.
fn configure(engine: &TestEngine, text: &str) {
    let directory = engine.directory().join("home/.docker");
    fs::create_dir_all(&directory).expect("make the directory");
    fs::write(directory.join("config.json"), text).expect("write config.json");
}
