//! Debian's docker-registry on the loopback of a test's world.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::call::Running;
use crate::engine::TestEngine;
use crate::images::Image;

/// How a registry lets itself be talked to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Guard {
    /// HTTP, for everybody.
    Plain,
    /// HTTPS with a certificate of a test authority, for everybody.
    Tls,
    /// The same for those alone who show a certificate of that authority.
    ClientCertificate,
    /// HTTP, for [`USER`] with [`PASSWORD`].
    Password,
}

pub(crate) const USER: &str = "tester";
pub(crate) const PASSWORD: &str = "s3cret-pass";

/// A registry that runs as long as this value.
pub(crate) struct Registry {
    /// Host and port, to lead an image's reference.
    pub(crate) host: String,
    /// The certificate authority's file, for [`Guard::Tls`] and [`Guard::ClientCertificate`].
    pub(crate) authority: PathBuf,
    storage: PathBuf,
    process: Running,
}

impl Registry {
    /// Starts one on `port`; back when it answers.
    #[track_caller]
    pub(crate) fn start(engine: &TestEngine, guard: Guard, port: u16) -> Self {
        let directory = engine.directory().join(format!("registry-{port}"));
        let storage = directory.join("storage");
        fs::create_dir_all(&storage).expect("make the registry's directory");
        let authority = directory.join("ca.crt");
        let mut config = format!(
            "version: 0.1\nlog: {{level: warn, accesslog: {{disabled: false}}}}\nstorage:\n  filesystem: {{rootdirectory: {}}}\n  \
             delete: {{enabled: true}}\nhttp:\n  addr: 127.0.0.1:{port}\n  secret: test\n",
            storage.display()
        );
        if matches!(guard, Guard::Tls | Guard::ClientCertificate) {
            certificates(&directory);
            let file = |name| directory.join(name).display().to_string();
            let clients = match guard {
                Guard::ClientCertificate => format!(", clientcas: [{}]", file("ca.crt")),
                _ => String::new(),
            };
            let _ = writeln!(
                config,
                "  tls: {{certificate: {}, key: {}{clients}}}",
                file("server.crt"),
                file("server.key")
            );
        }
        if guard == Guard::Password {
            let file = directory.join("htpasswd");
            let made = Command::new("htpasswd")
                .args(["-Bbn", "-C", "4", USER, PASSWORD])
                .output()
                .expect("start htpasswd (Debian: apache2-utils)");
            fs::write(&file, made.stdout).expect("write the registry's passwords");
            let _ = writeln!(config, "auth: {{htpasswd: {{realm: test, path: {}}}}}", file.display());
        }
        let config_file = directory.join("config.yml");
        fs::write(&config_file, config).expect("write the registry's configuration");
        let process = engine
            .program("docker-registry", ["serve", config_file.to_str().expect("a path in UTF-8")])
            .timeout(std::time::Duration::from_secs(3600))
            .spawn();
        engine.wait_for_port(port);
        Self { host: format!("127.0.0.1:{port}"), authority, storage, process }
    }

    /// Puts an image into the registry's storage, as a push would: its manifest's digest.
    pub(crate) fn put(&self, repository: &str, tag: &str, image: &Image) -> String {
        let root = self.storage.join("docker/registry/v2");
        let home = root.join("repositories").join(repository);
        let blobs = image.blobs();
        for (number, blob) in blobs.iter().enumerate() {
            let hash = &blob.digest["sha256:".len()..];
            write_file(&root.join("blobs/sha256").join(&hash[..2]).join(hash).join("data"), &blob.bytes);
            let link = if number == 0 { "_manifests/revisions/sha256" } else { "_layers/sha256" };
            write_file(&home.join(link).join(hash).join("link"), blob.digest.as_bytes());
        }
        let manifest = &blobs[0].digest;
        let tags = home.join("_manifests/tags").join(tag);
        write_file(&tags.join("current/link"), manifest.as_bytes());
        write_file(
            &tags.join("index/sha256").join(&manifest["sha256:".len()..]).join("link"),
            manifest.as_bytes(),
        );
        manifest.clone()
    }

    /// Waits until a request was logged whose line contains `text`.
    #[track_caller]
    pub(crate) fn expect(&self, text: &str) {
        self.process.expect(text);
    }

    /// The file that holds a blob, to spoil it.
    pub(crate) fn blob(&self, digest: &str) -> PathBuf {
        let hash = digest.strip_prefix("sha256:").unwrap_or(digest);
        self.storage.join("docker/registry/v2/blobs/sha256").join(&hash[..2]).join(hash).join("data")
    }
}

fn write_file(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().expect("a file in a directory"))
        .expect("make the registry's directories");
    fs::write(path, bytes).expect("write into the registry's storage");
}

/// A certificate authority (`ca.crt`) and a certificate of it for 127.0.0.1 and localhost (`server.crt`, `server.key`).
pub(crate) fn certificates(directory: &Path) {
    certificates_of(directory, "wharfie-test-authority");
}

/// The same of an authority of another name.
pub(crate) fn certificates_of(directory: &Path, authority: &str) {
    let script = r#"
        key="-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
        openssl req -x509 $key -keyout ca.key -out ca.crt -subj "/CN=$1" \
            -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign
        openssl req $key -keyout server.key -out server.csr -subj /CN=localhost
        printf 'subjectAltName=IP:127.0.0.1,DNS:localhost\n' > server.ext
        openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile server.ext -out server.crt
    "#;
    let made = Command::new("sh")
        .args(["-ec", script, "sh", authority])
        .current_dir(directory)
        .output()
        .expect("start openssl (Debian: openssl)");
    assert!(made.status.success(), "openssl: {}", String::from_utf8_lossy(&made.stderr));
}
