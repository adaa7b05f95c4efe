//! Where a registry is asked: certs.d, containerd's older mirrors, proxies; and what `--trace` and `registry check` tell of it.

use std::fs;

use super::{configure, server};
use crate::engine::TestEngine;
use crate::images::{Image, tar_of};
use crate::registry::{Guard, PASSWORD, Registry, USER, certificates_of};

fn image(text: &str) -> Image {
    Image::new([tar_of([("file", text.as_bytes())])])
}

/// Writes `hosts.toml` for a registry into containerd's own directory.
fn hosts(name: &str, text: &str) -> String {
    format!(
        "mkdir -p /etc/containerd/certs.d/{name}; cat > /etc/containerd/certs.d/{name}/hosts.toml <<'END'\n{text}\nEND"
    )
}

fn mirror(registry: &Registry) -> String {
    format!("[host.\"http://{}\"]\n  capabilities = [\"pull\", \"resolve\"]", registry.host)
}

#[test]
fn each_request_is_told_with_its_reasons() {
    let engine = TestEngine::new();
    let (broken, registry) = ("http://127.0.0.1:1", engine.registry(Guard::Password));
    registry.put("app", "1", &image("traced"));
    let text =
        format!("server = \"http://127.0.0.1:2\"\n[host.\"{broken}\"]\n[host.\"http://{}\"]", registry.host);
    engine.sh(&hosts("far.example", &text));
    let auth = engine.sh(&format!("printf %s {USER}:{PASSWORD} | base64"));
    configure(&engine, &format!(r#"{{"auths": {{"{}": {{"auth": "{}"}}}}}}"#, registry.host, auth.trim()));
    let pulled = engine.wharfie(["pull", "-q", "--trace", "far.example/app:1"]);
    assert_eq!(pulled.ok(), "far.example/app:1");
    let lines: Vec<&str> = pulled.stderr.lines().collect();
    let file = "/etc/containerd/certs.d/far.example/hosts.toml";
    let host = &registry.host;
    let begins = |at: usize, text: &str| assert!(lines[at].starts_with(text), "{at}: {pulled:?}");
    let ends = |at: usize, text: &str| assert!(lines[at].ends_with(text), "{at}: {pulled:?}");
    begins(0, &format!("HEAD {broken}/v2/app/manifests/1 connection refused "));
    ends(0, &format!(", credentials: none, host: {file}:2"));
    begins(1, &format!("HEAD http://{host}/v2/app/manifests/1 401 "));
    begins(2, &format!("HEAD http://{host}/v2/app/manifests/1 200 "));
    ends(2, &format!(", credentials: config.json, host: {file}:3"));
    let layer = |line: &&&str| {
        line.starts_with(&format!("GET http://{host}/v2/app/blobs/sha256:")) && line.contains(" 200 ")
    };
    let blobs: Vec<_> = lines.iter().filter(layer).collect();
    assert_eq!(blobs.len(), 2, "{pulled:?}");
    // A digest is cut, and the bytes are those that came.
    let digest = blobs[1].split("sha256:").nth(1).and_then(|rest| rest.split(' ').next()).unwrap();
    assert_eq!(digest.len(), 12);
    assert!(
        blobs
            .iter()
            .any(|line| line.contains(" 2.048kB ") || line.contains(" 1.536kB ") || line.contains("kB ")),
        "{pulled:?}"
    );
    assert!(!pulled.stderr.contains(PASSWORD) && !pulled.stderr.contains(auth.trim()), "{pulled:?}");
    engine.wharfie(["rmi", "far.example/app:1"]).ok();
    engine.assert_clean();
}

#[test]
fn mirrors_are_told_whom_they_stand_for() {
    let engine = TestEngine::new();
    let _server = server(&engine, 5700, &[]);
    let text = "[host.\"http://127.0.0.1:5700\"]\n[host.\"http://127.0.0.1:5700\".header]\nAuthorization = \"Bearer access-1\"\n[host.\"http://127.0.0.1:5700/other\"]\noverride_path = true";
    engine.sh(&hosts("_default", text));
    configure(&engine, r#"{"HttpHeaders": {"X-Meta-Site": "here", "X-Own": "secret"}}"#);
    let tags = engine.wharfie(["image", "tags", "--trace", "far.example/app"]);
    assert_eq!(tags.ok(), "REPOSITORY        TAG\nfar.example/app   a\nfar.example/app   b");
    assert!(
        tags.stderr.contains("credentials: header in /etc/containerd/certs.d/_default/hosts.toml:1"),
        "{tags:?}"
    );
    assert!(!tags.stderr.contains("access-1"), "{tags:?}");
    assert_eq!(engine.sh("cat asked"), "GET /v2/app/tags/list?n=1000&ns=far.example Bearer here");
    engine.wharfie(["image", "tags", "far.example/none"]).fails(1);
    assert!(engine.sh("cat asked").contains("GET /other/none/tags/list?n=1000&ns=far.example none here"));
    engine.assert_clean();
}

#[test]
fn containerd_s_older_mirrors_count_where_there_is_no_config_path() {
    let engine = TestEngine::new();
    let (mirrored, guarded) = (engine.registry(Guard::Plain), engine.registry(Guard::Password));
    let tls = engine.registry(Guard::Tls);
    mirrored.put("app", "1", &image("mirrored"));
    guarded.put("app", "2", &image("guarded"));
    tls.put("app", "3", &image("tls"));
    let section = "plugins.\"io.containerd.grpc.v1.cri\".registry";
    let config = format!(
        "version = 2\n[{section}.mirrors.\"far.example\"]\nendpoint = [\"http://{}\", \"http://{}\", \"https://{}\"]\n\
         [{section}.configs.\"{}\".auth]\nusername = \"{USER}\"\npassword = \"{PASSWORD}\"\n\
         [{section}.configs.\"{}\".tls]\nca_file = \"{}\"\n",
        mirrored.host,
        guarded.host,
        tls.host,
        guarded.host,
        tls.host,
        tls.authority.display()
    );
    let write = |text: &str| {
        engine
            .sh(&format!("mkdir -p /etc/containerd; cat > /etc/containerd/config.toml <<'END'\n{text}\nEND"))
    };
    write(&config);
    for tag in ["1", "2", "3"] {
        let name = format!("far.example/app:{tag}");
        let pulled = engine.wharfie(["pull", "-q", "--trace", &name]);
        assert_eq!(pulled.ok(), name);
        assert!(pulled.stderr.contains("host: /etc/containerd/config.toml:2"), "{pulled:?}");
        assert!(!pulled.stderr.contains(PASSWORD), "{pulled:?}");
        engine.wharfie(["rmi", &name]).ok();
    }
    // A directory for the registry comes first, one that config_path names before the usual ones.
    let elsewhere = engine.directory().join("elsewhere/far.example");
    fs::create_dir_all(&elsewhere).unwrap();
    fs::write(elsewhere.join("hosts.toml"), "[host.\"http://127.0.0.1:1\"]\ncapabilities = [\"resolve\"]\n")
        .unwrap();
    write(&config.replace(
        "[plugins.\"io.containerd.grpc.v1.cri\".registry.mirrors",
        &format!(
            "[{section}]\nconfig_path = \"{}\"\n[plugins.\"io.containerd.grpc.v1.cri\".registry.mirrors",
            elsewhere.parent().unwrap().display()
        ),
    ));
    let refused = engine.wharfie(["pull", "--trace", "far.example/app:1"]);
    assert!(refused.fails(1).contains(&format!("host: {}/hosts.toml:1", elsewhere.display())), "{refused:?}");
    assert!(!refused.stderr.contains(&mirrored.host), "{refused:?}");
    // Who names directories means those alone.
    let none = engine.directory().join("none").display().to_string();
    write(&config);
    let named = engine.wharfie(["pull", "--hosts-dir", &none, "far.example/app:1"]);
    assert!(named.fails(1).contains("no such host"), "{named:?}");
    engine.assert_clean();
}

#[test]
fn every_host_is_checked() {
    let engine = TestEngine::new();
    let (with, without) = (engine.registry(Guard::Plain), engine.registry(Guard::Password));
    let tls = engine.registry(Guard::Tls);
    let digest = with.put("app", "1", &image("checked"));
    tls.put("app", "1", &image("checked"));
    let text = format!(
        "server = \"http://{}\"\n{}\n[host.\"https://{}\"]\nca = \"{}\"\n[host.\"http://nowhere.invalid\"]\n",
        without.host,
        mirror(&with),
        tls.host,
        tls.authority.display()
    );
    engine.sh(&hosts("far.example", &text));
    let checked = engine.wharfie(["registry", "check", "--no-trunc", "far.example/app:1"]);
    let rows: Vec<Vec<&str>> = checked
        .ok()
        .lines()
        .map(|line| line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect())
        .collect();
    assert_eq!(rows[0], ["HOST", "SOURCE", "RESOLVED", "TLS", "AUTH", "MANIFEST", "LATENCY", "CRI"]);
    let file = "/etc/containerd/certs.d/far.example/hosts.toml";
    let base = |registry: &Registry, scheme: &str| format!("{scheme}://{}/v2", registry.host);
    assert_eq!(
        rows[1][..6],
        [&base(&with, "http"), &format!("{file}:2"), "127.0.0.1", "plain HTTP", "none", &digest]
    );
    assert_eq!(
        rows[2][..6],
        [&base(&tls, "https"), &format!("{file}:4"), "127.0.0.1", "verified", "none", &digest]
    );
    assert_eq!(
        rows[3][..5],
        ["http://nowhere.invalid/v2", &format!("{file}:6"), "no such host", "plain HTTP", "none"]
    );
    assert_eq!(
        rows[4][..5],
        [&base(&without, "http"), &format!("{file}:1"), "127.0.0.1", "plain HTTP", "none"]
    );
    let json = engine.wharfie(["registry", "check", "--format", "json", "far.example/app:1"]);
    let last: serde_json::Value = serde_json::from_str(json.ok().lines().nth(3).unwrap()).unwrap();
    assert_eq!(
        (&last["Serves"], &last["Error"]),
        (&false.into(), &"401 Unauthorized: no credentials".into()),
        "{last}"
    );
    let plain = engine.wharfie(["registry", "check", "--no-trunc", &format!("{}/app:1", with.host)]);
    assert!(plain.ok().contains("http: server gave HTTP response to HTTPS client"), "{plain:?}");
    // containerd is told nothing, so CRI asks the registry itself.
    assert_eq!(
        engine
            .wharfie(["registry", "check", "--format", "{{.Host}} {{.CRI}}", "far.example/app:1"])
            .ok()
            .lines()
            .last()
            .unwrap(),
        "https://far.example/v2 1"
    );
    engine.sh("printf '[plugins.cri.registry]\\nconfig_path = \"/etc/containerd/certs.d\"\\n' > /etc/containerd/config.toml");
    let order = engine.wharfie(["registry", "check", "--format", "{{.CRI}}", "far.example/app:1"]);
    assert_eq!(order.ok(), "1*\n2\n3\n4");
    let none = engine.wharfie(["registry", "check", "far.example/app:2"]);
    assert!(none.fails(1).contains("no host serves far.example/app:2"), "{none:?}");
    assert!(none.stdout.contains("404 Not Found"), "{none:?}");
    engine.assert_clean();
}

#[test]
fn proxies_of_the_environment_are_used_but_not_for_this_machine() {
    let engine = TestEngine::new();
    let registry = engine.registry(Guard::Plain);
    registry.put("app", "1", &image("proxied"));
    // A proxy that takes every host for the registry.
    let script = r"
import http.server, sys, urllib.request
class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *words): pass
    def do_GET(self):
        open('proxied', 'a').write(self.command + ' ' + self.path + '\n')
        rest = self.path.split('/', 3)[3]
        request = urllib.request.Request(f'http://127.0.0.1:{sys.argv[2]}/{rest}', method=self.command, headers=dict(self.headers))
        with urllib.request.urlopen(request) as answer:
            data = answer.read()
            self.send_response(answer.status)
            for key, value in answer.getheaders(): self.send_header(key, value)
            self.end_headers()
            self.wfile.write(data)
    do_HEAD = do_GET
http.server.ThreadingHTTPServer(('127.0.0.1', int(sys.argv[1])), Handler).serve_forever()
";
    fs::write(engine.directory().join("home/proxy.py"), script).unwrap();
    let port = registry.host.split(':').nth(1).unwrap();
    let _proxy = engine
        .program("python3", ["proxy.py", "5800", port])
        .timeout(std::time::Duration::from_secs(600))
        .spawn();
    engine.wait_for_port(5800);
    engine.accept();
    let pull = |name: &str| {
        engine
            .call(["pull", "-q", "--plain-http", name])
            .env("HTTP_PROXY", "http://127.0.0.1:5800")
            .env("http_proxy", "http://127.0.0.1:5800")
            .run()
    };
    assert_eq!(pull("far.example/app:1").ok(), "far.example/app:1");
    assert!(engine.sh("cat proxied").contains("HEAD http://far.example/v2/app/manifests/1"));
    engine.sh("rm proxied");
    let own = format!("{}/app:1", registry.host);
    assert_eq!(pull(&own).ok(), own);
    assert_eq!(
        engine.sh("ls proxied 2>&1 || true"),
        "ls: cannot access 'proxied': No such file or directory"
    );
    engine.wharfie(["rmi", "far.example/app:1", &own]).ok();
    engine.assert_clean();
}

#[test]
fn certificates_are_shown_and_demanded() {
    let engine = TestEngine::new();
    let registry = engine.registry(Guard::ClientCertificate);
    registry.put("app", "1", &image("guarded by certificates"));
    // Another authority of the same kind, which the registry has never heard of.
    let own = registry.authority.parent().unwrap().to_owned();
    let other = engine.directory().join("other");
    fs::create_dir(&other).unwrap();
    certificates_of(&other, "another-authority");
    let place = "/etc/containerd/certs.d/far.example";
    engine.sh(&format!(
        "mkdir -p {place}; cp {}/server.crt {place}/right.cert; cp {0}/server.key {place}/right.key; cp {0}/ca.crt {place}/right.crt
         cp {}/server.crt {place}/wrong.cert; cp {1}/server.key {place}/wrong.key; cp {1}/ca.crt {place}/wrong.crt
         cat {place}/wrong.cert {place}/wrong.key > {place}/both.pem",
        own.display(),
        other.display()
    ));
    let name = "far.example/app:1";
    let pull = |settings: &str| {
        let text = format!("[host.\"https://{}\"]\n{settings}\n", registry.host);
        engine.sh(&hosts("far.example", &format!("server = \"http://127.0.0.1:1\"\n{text}")));
        let pulled = engine.wharfie(["pull", "-q", name]);
        if pulled.code == 0 {
            engine.wharfie(["rmi", name]).ok();
        }
        pulled
    };
    let right = "[\"right.cert\", \"right.key\"]";
    for client in [
        format!("[{right}]"),
        // Of several the one that the registry takes, wherever it stands.
        format!("[\"both.pem\", {right}]"),
        format!("[[\"wrong.cert\", \"wrong.key\"], {right}, \"both.pem\"]"),
    ] {
        for trust in ["ca = [\"wrong.crt\", \"right.crt\"]", "ca = \"right.crt\"", "skip_verify = true"] {
            assert_eq!(pull(&format!("{trust}\nclient = {client}")).ok(), name, "{trust} {client}");
        }
    }
    // Nobody else gets in: with no certificate, or with somebody else's.
    for client in ["", "client = \"both.pem\""] {
        let refused = pull(&format!("ca = \"right.crt\"\n{client}"));
        assert!(refused.fails(1).contains("ertificate"), "{client}: {refused:?}");
    }
    // And a registry that nobody vouches for is not talked to.
    let refused = pull(&format!("ca = [\"wrong.crt\"]\nclient = [{right}]"));
    assert!(refused.fails(1).contains("invalid peer certificate: UnknownIssuer"), "{refused:?}");
    let checked = engine.wharfie(["registry", "check", "--format", "{{.TLS}}", name]);
    assert_eq!(checked.stdout.lines().next(), Some("invalid"), "{checked:?}");
    // A mistake is named with its file.
    for (client, file) in [("[[\"right.cert\", \"gone.key\"]]", "gone.key"), ("\"right.cert\"", "right.cert")]
    {
        let mistaken = pull(&format!("ca = \"right.crt\"\nclient = {client}"));
        assert!(mistaken.fails(1).contains(&format!("{place}/{file}")), "{mistaken:?}");
    }
    let mixed = pull(&format!("ca = \"right.key\"\nclient = [{right}]"));
    assert!(mixed.fails(1).contains("right.key"), "{mixed:?}");
    engine.assert_clean();
}
