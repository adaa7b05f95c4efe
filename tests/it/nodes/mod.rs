//! Other machines: each a network and mount namespace with a containerd and a real sshd in it, reached from the test's
//! machine through a cable of its own.

mod by_copy;
mod contexts;
mod forward;
mod push;
mod side_by_side;

use std::fmt::Write as _;
use std::path::PathBuf;

use crate::call::Output;
use crate::engine::TestEngine;
use crate::images::Image;

/// The image of these tests.
const BUSYBOX: &str = "busybox:latest";
/// Its full name.
const FULL: &str = "docker.io/library/busybox:latest";

/// Another machine.
struct Node {
    directory: PathBuf,
    address: String,
}

/// A machine that reaches others: with an ssh of its own, which no user's files disturb.
#[track_caller]
fn engine() -> TestEngine {
    let engine = TestEngine::new();
    engine.sh(&format!(
        "mkdir -m 700 {0}/ssh {0}/ssh/.ssh; ssh-keygen -q -t ed25519 -N '' -f {0}/ssh/.ssh/key; \
         touch {0}/ssh/.ssh/config {0}/ssh/.ssh/known_hosts; mount --bind {0}/ssh /root",
        engine.directory().display()
    ));
    engine.accept();
    engine
}

impl Node {
    /// The machine `name` (`n1` to `n9`), which has wharfie in its PATH and no image.
    #[track_caller]
    fn start(engine: &TestEngine, name: &'static str) -> Self {
        Self::with(engine, name, &format!("{}/bin:", engine.directory().display()))
    }

    /// One that has no wharfie.
    #[track_caller]
    fn bare(engine: &TestEngine, name: &'static str) -> Self {
        Self::with(engine, name, "")
    }

    #[track_caller]
    fn with(engine: &TestEngine, name: &'static str, path: &str) -> Self {
        let directory = engine.directory().join(name);
        let at = directory.display();
        let number = name.trim_start_matches('n');
        let mut config = String::new();
        for line in [
            "Port 22",
            "UsePAM no",
            "StrictModes no",
            "PidFile none",
            "PermitRootLogin yes",
            "PasswordAuthentication no",
            &format!("HostKey {at}/host_key"),
            &format!("AuthorizedKeysFile {at}/authorized_keys"),
            &format!("SetEnv PATH={path}/usr/sbin:/usr/bin:/sbin:/bin"),
        ] {
            let _ = writeln!(config, "{line}");
        }
        std::fs::create_dir(&directory).expect("make the node's directory");
        std::fs::write(directory.join("sshd_config"), config).expect("write sshd's configuration");
        // /run last: the script's own files lie elsewhere. The containerd is the test's, with its configuration.
        let inside = format!(
            "mount --make-rprivate /; for d in run lib root; do mkdir -m 755 {at}/$d; done; \
             mount --bind {at}/root /root; mount --bind {at}/lib /var/lib; mount --bind {at}/run /run; \
             mount --make-rshared /; ip link set lo up; mkdir -m 755 /run/sshd; \
             containerd --config {config} >{at}/containerd.log 2>&1 & echo $$ >{at}/pid.new; mv {at}/pid.new {at}/pid; \
             exec /usr/sbin/sshd -D -e -f {at}/sshd_config",
            config = engine.directory().join("containerd.toml").display(),
        );
        std::fs::write(directory.join("inside"), inside).expect("write the node's script");
        engine.sh(&format!(
            "ssh-keygen -q -t ed25519 -N '' -f {at}/host_key; cp {dir}/ssh/.ssh/key.pub {at}/authorized_keys; \
             setsid unshare --mount --net bash -euo pipefail {at}/inside </dev/null >{at}/sshd.log 2>&1 & \
             until [ -e {at}/pid ]; do sleep 0.01; done; pid=$(cat {at}/pid); \
             ip link add {name} type veth peer name eth0 netns $pid; ip addr add 10.99.{number}.1/24 dev {name}; \
             ip link set {name} up; nsenter -t $pid -n ip addr add 10.99.{number}.2/24 dev eth0; \
             nsenter -t $pid -n ip link set eth0 up; \
             echo \"10.99.{number}.2 $(cut -d' ' -f1,2 {at}/host_key.pub)\" >>/root/.ssh/known_hosts; \
             printf 'Host {name}\\n  HostName 10.99.{number}.2\\n  User root\\n  IdentityFile /root/.ssh/key\\n' >>/root/.ssh/config; \
             until ctr -a {at}/run/containerd/containerd.sock version >/dev/null 2>&1; do sleep 0.02; done; \
             until ssh -o BatchMode=yes {name} true 2>/dev/null; do sleep 0.02; done",
            dir = engine.directory().display(),
        ));
        engine.accept();
        Self { directory, address: format!("ssh://{name}") }
    }

    /// containerd's own client, on that machine's containerd: what it printed.
    #[track_caller]
    fn ctr(&self, engine: &TestEngine, line: &str) -> String {
        engine.sh(&format!("ctr -a {}/run/containerd/containerd.sock {line}", self.directory.display()))
    }

    /// Gives it the image.
    #[track_caller]
    fn load(&self, engine: &TestEngine) {
        let archive = self.directory.join("archive.tar");
        std::fs::write(&archive, Image::busybox().oci_archive(FULL)).expect("write an archive");
        self.ctr(engine, &format!("images import {}", archive.display()));
        engine.accept();
    }

    /// A script on that machine.
    #[track_caller]
    fn sh(&self, engine: &TestEngine, script: &str) -> String {
        let at = self.directory.display();
        engine.sh(&format!("nsenter -t $(cat {at}/pid) --mount --net bash -euo pipefail -c '{script}'"))
    }

    /// `wharfie -H ssh://NODE …`.
    #[track_caller]
    fn wharfie<'a>(&'a self, engine: &TestEngine, arguments: impl IntoIterator<Item = &'a str>) -> Output {
        engine.wharfie(["-H", self.address.as_str()].into_iter().chain(arguments))
    }
}

/// Fails when a socket of a forward is left, or an ssh.
#[track_caller]
fn nothing_forwarded(engine: &TestEngine) {
    assert_eq!(engine.sh("ls /run | grep wharfie-ssh || :"), "", "a forward's directory is left");
    engine.assert_clean();
}
