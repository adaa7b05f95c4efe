//! [`TestEngine`]: a machine with a containerd of its own, for one test.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use crate::call::{Call, Output, PATIENCE};
use crate::images::{Image, busybox_rootfs};
use crate::leaks;
use crate::registry::{Guard, Registry};
use crate::terminal::Terminal;
use crate::world::World;

/// The name that [`TestEngine::busybox`] gives its image.
pub(crate) const BUSYBOX: &str = "busybox:latest";

/// One containerd with its own network, processes, mounts, /etc, /run and /var/lib. Everything that a test
/// starts runs in there, with default paths. Dropped, all of it is gone.
pub(crate) struct TestEngine {
    containerd: RefCell<Option<Child>>,
    config: RefCell<String>,
    config_before: RefCell<String>,
    path: String,
    home: String,
    next_port: Cell<u16>,
    baseline: RefCell<BTreeSet<String>>,
    world: World,
}

impl TestEngine {
    /// containerd without its Kubernetes half, which most tests do not need and which starts slowly.
    #[track_caller]
    pub(crate) fn new() -> Self {
        Self::with_config(WITHOUT_CRI)
    }

    /// containerd with the CRI service.
    #[track_caller]
    pub(crate) fn with_cri() -> Self {
        Self::with_config("")
    }

    /// containerd with this configuration, version 2 of its format.
    #[track_caller]
    pub(crate) fn with_config(config: &str) -> Self {
        let engine = Self::without_containerd(config);
        engine.start_containerd();
        engine
    }

    /// The same machine before containerd has started.
    #[track_caller]
    pub(crate) fn without_containerd(config: &str) -> Self {
        let world = World::new();
        let bin = world.directory().join("bin");
        for name in ["wharfie", "docker", "nerdctl", "crictl"] {
            std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_wharfie"), bin.join(name))
                .expect("link the binary");
        }
        Self {
            containerd: RefCell::new(None),
            config: RefCell::new(format!("version = 2\n{config}")),
            config_before: RefCell::default(),
            path: format!(
                "{}:{}:/usr/sbin:/usr/bin:/sbin:/bin",
                bin.display(),
                containerd_directory().display()
            ),
            home: world.directory().join("home").display().to_string(),
            next_port: Cell::new(5000),
            baseline: RefCell::default(),
            world,
        }
    }

    /// Starts containerd; back when its socket answers.
    #[track_caller]
    pub(crate) fn start_containerd(&self) {
        let config = self.directory().join("containerd.toml");
        fs::write(&config, &*self.config.borrow()).expect("write containerd's configuration");
        let log = File::options().create(true).append(true).open(self.log()).expect("open containerd's log");
        let mut child = self
            .inside("containerd", &[])
            .arg("--config")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("start containerd");
        let deadline = Instant::now() + PATIENCE;
        while UnixStream::connect(self.world.run().join("containerd/containerd.sock")).is_err() {
            let ended = child.try_wait().expect("ask for containerd's state");
            assert!(
                ended.is_none() && Instant::now() < deadline,
                "containerd does not start:\n{}",
                self.log_tail()
            );
            thread::sleep(Duration::from_millis(2));
        }
        self.containerd.replace(Some(child));
    }

    /// Kills containerd and starts it without its Kubernetes half. Containers go on.
    #[track_caller]
    pub(crate) fn restart_without_cri(&self) {
        self.kill_containerd();
        let before = self.config.replace(format!("version = 2\n{WITHOUT_CRI}"));
        self.config_before.replace(before);
        self.start_containerd();
    }

    /// Undoes [`TestEngine::restart_without_cri`].
    #[track_caller]
    pub(crate) fn restart_with_cri(&self) {
        self.kill_containerd();
        self.config.replace(self.config_before.take());
        self.start_containerd();
    }

    /// Kills containerd as a crash would: its socket's file stays, shims and containers go on.
    pub(crate) fn kill_containerd(&self) {
        if let Some(mut nsenter) = self.containerd.take() {
            crate::call::kill(&mut nsenter);
        }
    }

    /// Runs wharfie with these arguments to its end.
    #[track_caller]
    pub(crate) fn wharfie<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Output {
        self.call(arguments).run()
    }

    /// wharfie with these arguments, to be given input, environment or a deadline first.
    pub(crate) fn call<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Call {
        self.program("wharfie", arguments)
    }

    /// Any program inside, found as a shell would find it: also the names `docker`, `nerdctl` and `crictl`
    /// for wharfie.
    pub(crate) fn program<'a>(&self, program: &str, arguments: impl IntoIterator<Item = &'a str>) -> Call {
        let arguments: Vec<&str> = arguments.into_iter().collect();
        let mut command = self.inside(program, &[]);
        command.args(&arguments);
        Call::new(command, line(program, &arguments))
    }

    /// wharfie with these arguments at a terminal of 24 rows and 80 columns.
    #[track_caller]
    pub(crate) fn terminal<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Terminal {
        self.terminal_of("wharfie", arguments)
    }

    /// Any program at such a terminal.
    #[track_caller]
    pub(crate) fn terminal_of<'a>(
        &self,
        program: &str,
        arguments: impl IntoIterator<Item = &'a str>,
    ) -> Terminal {
        let arguments: Vec<&str> = arguments.into_iter().collect();
        let mut command = self.inside(program, &["setsid", "--ctty", "--wait"]);
        command.args(&arguments);
        Terminal::start(command, line(program, &arguments))
    }

    /// containerd's own client.
    #[track_caller]
    pub(crate) fn ctr<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Output {
        self.program("ctr", arguments).run()
    }

    /// A shell script inside, which stops at its first failing command: what it printed. Its processes are
    /// seen as containerd and wharfie see them.
    #[track_caller]
    pub(crate) fn sh(&self, script: &str) -> String {
        self.program("bash", ["-euo", "pipefail", "-c", script]).run().ok().to_owned()
    }

    /// Imports the busybox image through wharfie: its name.
    #[track_caller]
    pub(crate) fn busybox(&self) -> &'static str {
        let rootfs = busybox_rootfs().to_str().expect("a path in UTF-8");
        self.wharfie(["import", "--change", "CMD [\"sh\"]", rootfs, BUSYBOX]).ok();
        self.accept();
        BUSYBOX
    }

    /// Loads an image through containerd's own client, unpacked: its name.
    #[track_caller]
    pub(crate) fn load_with_ctr<'a>(&self, name: &'a str, image: &Image) -> &'a str {
        let archive = self.directory().join("archive.tar");
        fs::write(&archive, image.oci_archive(name)).expect("write an archive");
        self.ctr(["images", "import", archive.to_str().expect("a path in UTF-8")]).ok();
        fs::remove_file(&archive).expect("remove the archive");
        self.accept();
        name
    }

    /// A registry on this machine's loopback.
    #[track_caller]
    pub(crate) fn registry(&self, guard: Guard) -> Registry {
        let port = self.next_port.replace(self.next_port.get() + 1);
        let registry = Registry::start(self, guard, port);
        self.accept();
        registry
    }

    /// Waits until something listens on a TCP port of 127.0.0.1.
    #[track_caller]
    pub(crate) fn wait_for_port(&self, port: u16) {
        // The kernel's table, so that no connection disturbs a server that counts them. 0A is "listens".
        self.sh(&format!(
            "until grep -qE ': [0-9A-F]+:{port:04X} [0-9A-F]+:0000 0A' /proc/net/tcp /proc/net/tcp6; do sleep 0.01; done"
        ));
    }

    /// From now on, what is there belongs there: [`TestEngine::assert_clean`] looks for what came later.
    pub(crate) fn accept(&self) {
        self.baseline.replace(leaks::inventory(self));
    }

    /// Fails the test when something is left of what it made: containers, tasks, snapshots, leases, network
    /// namespaces, links, rules, addresses, mounts, directories, journals, processes. What ends in the
    /// background is given ten seconds.
    #[track_caller]
    pub(crate) fn assert_clean(&self) {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let left: Vec<String> =
                leaks::inventory(self).difference(&self.baseline.borrow()).map(String::clone).collect();
            if left.is_empty() {
                return;
            }
            assert!(Instant::now() < deadline, "left behind:\n  {}", left.join("\n  "));
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// A directory of this test, at the same path inside and outside.
    pub(crate) fn directory(&self) -> &Path {
        self.world.directory()
    }

    /// The namespaces and their directories.
    pub(crate) fn world(&self) -> &World {
        &self.world
    }

    fn inside(&self, program: &str, before: &[&str]) -> Command {
        let environment = [
            ("PATH", self.path.as_str()),
            ("HOME", &self.home),
            ("LANG", "C.UTF-8"),
            ("TZ", "UTC"),
            ("TERM", "xterm"),
            ("RUST_BACKTRACE", "1"),
        ];
        let mut command = self.world.command(environment, before);
        command.arg(program);
        command
    }

    fn log(&self) -> PathBuf {
        self.directory().join("containerd.log")
    }

    fn log_tail(&self) -> String {
        let Ok(log) = File::open(self.log()) else { return "no log".into() };
        let told = |line: &String| !line.contains("level=info");
        let lines: Vec<String> = BufReader::new(log).lines().map_while(Result::ok).filter(told).collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

impl Drop for TestEngine {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("containerd's log without its informations:\n{}", self.log_tail());
        }
        self.kill_containerd();
    }
}

const WITHOUT_CRI: &str = r#"
disabled_plugins = [
    "io.containerd.grpc.v1.cri",
    "io.containerd.cri.v1.images",
    "io.containerd.cri.v1.runtime",
    "io.containerd.nri.v1.nri",
    "io.containerd.snapshotter.v1.aufs",
    "io.containerd.snapshotter.v1.blockfile",
    "io.containerd.snapshotter.v1.btrfs",
    "io.containerd.snapshotter.v1.devmapper",
    "io.containerd.snapshotter.v1.zfs",
]
"#;

/// The directory with the containerd that `WHARFIE_CONTAINERD` asks for: 1.6 when it does not say.
fn containerd_directory() -> &'static Path {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    DIRECTORY.get_or_init(|| {
        let version = std::env::var("WHARFIE_CONTAINERD").unwrap_or_else(|_| "1.6".into());
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/containerd-version");
        let told = Command::new(script).arg(version).output().expect("start scripts/containerd-version");
        assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
        String::from_utf8(told.stdout).expect("a path in UTF-8").trim().into()
    })
}

fn line(program: &str, arguments: &[&str]) -> String {
    std::iter::once(program).chain(arguments.iter().copied()).collect::<Vec<_>>().join(" ")
}
