//! The specification, believed by a real runtime: runc runs it on a root file system made of busybox.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};

use oci_spec::image::ConfigBuilder;
use wharfie::oci::mounts::{Files, ResolvedMount};
use wharfie::oci::namespaces::NamespacePaths;
use wharfie::oci::request::{ContainerRequest, MountKind, MountRequest, Seccomp};
use wharfie::oci::resources::BlockDevices;
use wharfie::oci::spec::{SpecInput, spec};
use wharfie::oci::user;
use wharfie::sys::host::{Host, all_devices};
use wharfie::sys::rootfs::Rootfs;

/// A bundle with busybox, and what a test changes before it runs.
struct Bundle {
    directory: tempfile::TempDir,
    id: String,
    request: ContainerRequest,
    mounts: Vec<ResolvedMount>,
    files: Files,
}

impl Bundle {
    fn new(name: &str, script: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let rootfs = directory.path().join("rootfs");
        for path in ["bin", "etc", "proc", "sys", "dev", "tmp"] {
            std::fs::create_dir_all(rootfs.join(path)).unwrap();
        }
        std::fs::copy("/bin/busybox", rootfs.join("bin/busybox")).unwrap();
        let applets =
            ["sh", "cat", "grep", "hostname", "id", "mount", "ls", "mkdir", "touch", "pwd", "unshare", "wc"];
        for applet in applets {
            std::os::unix::fs::symlink("busybox", rootfs.join("bin").join(applet)).unwrap();
        }
        std::fs::write(rootfs.join("etc/passwd"), "root:x:0:0::/root:\napp:x:1000:1001::/home/app:\n")
            .unwrap();
        std::fs::write(rootfs.join("etc/group"), "root:x:0:\nextra:x:77:app\n").unwrap();
        Self {
            id: format!("wharfie-test-{name}-{}", std::process::id()),
            directory,
            request: ContainerRequest {
                command: Some(vec!["sh".into(), "-c".into(), script.into()]),
                ..ContainerRequest::default()
            },
            mounts: Vec::new(),
            files: Files::default(),
        }
    }

    fn run(&self) -> Output {
        let host = Host::gather();
        let image = ConfigBuilder::default().env(vec!["FROM=image".to_owned()]).build().unwrap();
        let rootfs = Rootfs::at(&self.directory.path().join("rootfs")).unwrap();
        let file = |path| rootfs.read(path, user::MAX_FILE).unwrap();
        let wanted = self.request.user.as_deref().unwrap_or_default();
        let user = user::resolve(
            wanted,
            &self.request.group_add,
            file(user::PASSWD).as_deref(),
            file(user::GROUP).as_deref(),
        )
        .unwrap();
        let host_devices = if self.request.security.privileged { all_devices().unwrap() } else { Vec::new() };
        let cgroups_path = format!("/{}", self.id);
        let made = spec(&SpecInput {
            id: &self.id,
            request: &self.request,
            image: Some(&image),
            user: &user,
            host: &host,
            rootfs: Path::new("rootfs"),
            namespaces: &NamespacePaths::default(),
            files: &self.files,
            mounts: &self.mounts,
            devices: &[],
            host_devices: &host_devices,
            block_devices: &BlockDevices::new(),
            cgroups_path: &cgroups_path,
            init: None,
            shm: None,
            console_size: None,
            recursive_read_only: true,
        })
        .unwrap();
        std::fs::write(self.directory.path().join("config.json"), serde_json::to_vec(&made).unwrap())
            .unwrap();
        Command::new("runc")
            .arg("--root")
            .arg(self.directory.path().join("state"))
            .args(["run", &self.id])
            .current_dir(self.directory.path())
            .stdin(std::process::Stdio::null())
            .output()
            .unwrap()
    }

    /// What it printed; the test fails with what runc said where it failed.
    fn lines(&self) -> BTreeMap<String, String> {
        let output = self.run();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
        text.lines()
            .filter_map(|line| line.split_once(':'))
            .map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()))
            .collect()
    }
}

#[test]
fn the_defaults_hold_in_a_container() {
    let bundle = Bundle::new(
        "defaults",
        "grep -E 'Cap|Seccomp:|NoNewPrivs|Groups' /proc/self/status
        echo host: $(hostname)
        echo env: $HOSTNAME $FROM $HOME
        echo kcore: $(cat /proc/kcore | wc -c)
        echo interrupts: $(cat /proc/interrupts | wc -c)
        touch /proc/sys/kernel/domainname 2>/dev/null; echo x > /proc/sys/kernel/panic || echo sys: read-only
        mkdir /sys/x 2>/dev/null || echo sysfs: read-only
        unshare -n true 2>/dev/null || echo unshare: refused
        echo shm: $(grep ' /dev/shm ' /proc/mounts)
        echo ping: $(cat /proc/sys/net/ipv4/ping_group_range)
        echo oom: $(cat /proc/self/oom_score_adj)
        echo pwd: $(pwd)
        echo devices: $(ls /dev | grep -v core)",
    );
    let found = bundle.lines();
    let granted = 0xa804_25fb_u64 & Host::gather().capabilities;
    for set in ["CapPrm", "CapEff", "CapBnd"] {
        assert_eq!(found[set], format!("{granted:016x}"), "{set}");
    }
    for set in ["CapInh", "CapAmb"] {
        assert_eq!(found[set], "0000000000000000", "{set}");
    }
    for (key, expected) in [
        ("Seccomp", "2"),
        ("NoNewPrivs", "0"),
        ("Groups", "0"),
        ("host", "wharfie-test"),
        ("env", "wharfie-test image /root"),
        ("kcore", "0"),
        ("interrupts", "0"),
        ("sys", "read-only"),
        ("sysfs", "read-only"),
        ("unshare", "refused"),
        ("ping", "0 2147483647"),
        ("oom", "0"),
        ("pwd", "/"),
        ("devices", "fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero"),
    ] {
        assert_eq!(found.get(key).map(String::as_str), Some(expected), "{key} in {found:#?}");
    }
    assert!(found["shm"].contains("size=65536k"), "{}", found["shm"]);
}

#[test]
fn a_user_limits_and_mounts() {
    let mut bundle = Bundle::new(
        "user",
        "grep -E 'CapEff|CapBnd|NoNewPrivs' /proc/self/status
        echo id: $(id -u) $(id -g) $(id -G)
        echo home: $HOME
        echo hosts: $(cat /etc/hosts)
        echo pwd: $(pwd)
        echo bound: $(cat /a/b/file)
        touch /a/b/new 2>/dev/null || echo bind: read-only
        touch /new 2>/dev/null || echo root: read-only
        touch /scratch/new && echo tmpfs: writable
",
    );
    let source = bundle.directory.path().join("source");
    std::fs::create_dir(&source).unwrap();
    std::fs::write(source.join("file"), "outside").unwrap();
    let hosts = bundle.directory.path().join("hosts");
    std::fs::write(&hosts, "127.0.0.1 localhost").unwrap();
    bundle.files.hosts = Some(hosts);
    bundle.mounts = vec![
        ResolvedMount {
            request: MountRequest { target: "/a/b".into(), read_only: true, ..MountRequest::default() },
            source: Some(source),
        },
        ResolvedMount {
            request: MountRequest {
                kind: MountKind::Tmpfs,
                target: "/scratch".into(),
                tmpfs_mode: Some(0o1777),
                ..MountRequest::default()
            },
            source: None,
        },
    ];
    bundle.request.user = Some("app".into());
    bundle.request.group_add = vec!["5".into()];
    bundle.request.read_only = true;
    bundle.request.working_dir = Some("/work".into());
    bundle.request.security.no_new_privileges = true;
    bundle.request.security.cap_drop = vec!["ALL".into()];
    bundle.request.security.cap_add = vec!["KILL".into()];
    bundle.request.resources.memory = Some(64 << 20);
    bundle.request.resources.pids_limit = Some(64);
    bundle.request.resources.nano_cpus = Some(500_000_000);
    let found = bundle.lines();
    for (key, expected) in [
        ("CapEff", "0000000000000000"),
        ("CapBnd", "0000000000000020"),
        ("NoNewPrivs", "1"),
        ("id", "1000 1001 1001 5 77"),
        ("home", "/home/app"),
        ("hosts", "127.0.0.1 localhost"),
        ("pwd", "/work"),
        ("bound", "outside"),
        ("bind", "read-only"),
        ("root", "read-only"),
        ("tmpfs", "writable"),
    ] {
        assert_eq!(found.get(key).map(String::as_str), Some(expected), "{key} in {found:#?}");
    }
}

#[test]
fn privileged_and_unconfined() {
    let mut bundle = Bundle::new(
        "privileged",
        "grep -E 'CapEff|Seccomp:' /proc/self/status
        mount -t tmpfs none /tmp && echo mount: allowed
        echo kmsg: $(ls /dev/kmsg)",
    );
    bundle.request.security.privileged = true;
    let found = bundle.lines();
    let all = Host::gather().capabilities & wharfie::oci::capabilities::KNOWN;
    assert_eq!(found["CapEff"], format!("{all:016x}"));
    assert_eq!(found["Seccomp"], "0");
    assert_eq!(found["mount"], "allowed");
    assert_eq!(found["kmsg"], "/dev/kmsg");

    let mut bundle = Bundle::new("unconfined", "grep Seccomp: /proc/self/status");
    bundle.request.security.seccomp = Seccomp::Unconfined;
    assert_eq!(bundle.lines()["Seccomp"], "0");

    let mut bundle = Bundle::new("profile", "mkdir /x 2>/dev/null || echo mkdir: refused");
    bundle.request.security.seccomp = Seccomp::Profile(serde_json::json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "args": null}]
    }));
    assert_eq!(bundle.lines()["mkdir"], "refused");
}
