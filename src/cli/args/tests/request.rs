//! What the flags mean together.

use super::{exec, in_world, parse, run, run_line};
use crate::cli::args::{ContainerArgs, RunArgs, Streams};
use crate::engine::image::PullPolicy;
use crate::oci::request::{
    ContainerRequest, EndpointRequest, ExecRequest, MountKind, NetworkMode, Protocol, RestartPolicy, Seccomp,
    Systemd,
};

#[test]
fn nothing_given_is_the_default() {
    assert_eq!(
        run(&[]).unwrap(),
        ContainerRequest { image: "busybox".into(), ..ContainerRequest::default() }
    );
    // A zero or an empty text is docker's "not given".
    let zero =
        run(&["--memory=0", "--cpus=0", "--cpu-shares=0", "--user=", "--hostname=", "--network=bridge"]);
    assert_eq!(zero.unwrap(), run(&[]).unwrap());
}

#[test]
fn words_after_the_image_are_the_command() {
    let request = run_line(&["run", "-it", "--rm", "busybox", "sh", "-c", "--rm", "--", "-d"]).unwrap();
    assert_eq!(request.command.unwrap(), ["sh", "-c", "--rm", "--", "-d"]);
    assert!(request.tty && request.open_stdin && request.auto_remove && !request.detach);
    let request = run_line(&["run", "--", "busybox", "-d"]).unwrap();
    assert_eq!(request.command.unwrap(), ["-d"]);
    assert!(!request.detach);
}

#[test]
fn dockers_ways_to_write_a_flag() {
    let request =
        run(&["-itd", "-p8080:80", "-e=X=1", "-eY=2", "--name=a1", "--name", "b1", "-u", "-1"]).unwrap();
    assert!(request.tty && request.open_stdin && request.detach);
    assert_eq!(request.network.ports[0].host_port, Some(8080));
    assert_eq!(request.env, ["X=1", "Y=2"]);
    assert_eq!(request.name, "b1");
    assert_eq!(request.user.as_deref(), Some("-1"));
    assert!(!run(&["--rm", "--rm=false"]).unwrap().auto_remove);
}

#[test]
fn process() {
    let request = run(&[
        "--env-file",
        "vars",
        "-e",
        "A=flag",
        "-e",
        "HOME",
        "-e",
        "UNSET",
        "-e",
        "B=",
        "--entrypoint",
        "/bin/x",
        "-w",
        "/a/../b/",
        "-h",
        "web",
        "--domainname",
        "example.org",
        "--group-add",
        "wheel",
        "--init",
        "--stop-signal",
        "SIGINT",
        "--stop-timeout",
        "-1",
    ])
    .unwrap();
    assert_eq!(request.env, ["A=file", "HOME=/root", "A=flag", "HOME=/root", "UNSET", "B="]);
    assert_eq!(request.entrypoint.unwrap(), ["/bin/x"]);
    assert_eq!(request.working_dir.as_deref(), Some("/b"));
    assert_eq!(request.hostname.as_deref(), Some("web"));
    assert_eq!(request.domainname.as_deref(), Some("example.org"));
    assert_eq!(request.group_add, ["wheel"]);
    assert!(request.init);
    assert_eq!(request.stop_signal.as_deref(), Some("SIGINT"));
    assert_eq!(request.stop_timeout, Some(-1));
    assert_eq!(run(&["--entrypoint", ""]).unwrap().entrypoint, Some(Vec::new()));
    assert_eq!(run(&["--stop-timeout", "0"]).unwrap().stop_timeout, Some(0));
}

#[test]
fn mounts_keep_their_order() {
    let request = run(&[
        "-v",
        "./x:/x:ro",
        "-v",
        "data:/data",
        "-v",
        "/anonymous",
        "-v",
        "/data",
        "--mount",
        "type=tmpfs,dst=/t",
        "--tmpfs",
        "/run:size=1m",
        "--shm-size",
        "1g",
        "--read-only",
        "--volumes-from",
        "c:ro",
    ])
    .unwrap();
    let shown: Vec<(MountKind, &str, &str)> = request
        .mounts
        .iter()
        .map(|mount| (mount.kind, mount.source.as_str(), mount.target.as_str()))
        .collect();
    assert_eq!(
        shown,
        [
            (MountKind::Bind, "/home/me/x", "/x"),
            (MountKind::Volume, "data", "/data"),
            (MountKind::Tmpfs, "", "/t"),
            (MountKind::Tmpfs, "", "/run"),
            (MountKind::Volume, "", "/anonymous"),
        ]
    );
    assert_eq!(request.resources.shm_size, Some(1 << 30));
    assert!(request.read_only);
    assert_eq!(request.volumes_from, ["c:ro"]);
}

#[test]
fn networks() {
    let mode = |flags: &[&str]| run(flags).unwrap().network.mode;
    assert_eq!(mode(&["--network", "host"]), NetworkMode::Host);
    assert_eq!(mode(&["--net=none"]), NetworkMode::None);
    assert_eq!(mode(&["--network", "container:db"]), NetworkMode::Container("db".into()));
    let network = run(&[
        "--network",
        "name=front,alias=a",
        "--net",
        "back",
        "--ip",
        "10.1.0.2",
        "--ip6",
        "fd00::2",
        "--mac-address",
        "02-00-00-00-00-01",
        "--dns",
        "1.1.1.1",
        "--dns-opt",
        "ndots:1",
        "--dns-option",
        "rotate",
        "--dns-search",
        "example.org",
        "--add-host",
        "h=host-gateway",
    ])
    .unwrap()
    .network;
    assert_eq!(network.mode, NetworkMode::Bridge);
    assert_eq!(
        network.endpoints,
        [
            EndpointRequest {
                network: "front".into(),
                ipv4: Some([10, 1, 0, 2].into()),
                ipv6: Some("fd00::2".parse().unwrap()),
                mac: Some("02:00:00:00:00:01".into()),
                aliases: vec!["a".into()],
                ..EndpointRequest::default()
            },
            EndpointRequest { network: "back".into(), ..EndpointRequest::default() },
        ]
    );
    assert_eq!(network.dns_options, ["ndots:1", "rotate"]);
    assert_eq!(network.extra_hosts, [("h".to_owned(), "host-gateway".to_owned())]);
    let fixed = run(&["--ip", "172.17.0.9"]).unwrap().network.endpoints;
    assert_eq!((fixed[0].network.as_str(), fixed[0].ipv4), ("bridge", Some([172, 17, 0, 9].into())));
}

#[test]
fn ports() {
    let network =
        run(&["-p", "8080-8081:80-81/udp", "-P", "--expose", "90-91", "--expose", "90"]).unwrap().network;
    let shown: Vec<_> =
        network.ports.iter().map(|port| (port.host_port, port.container_port, port.protocol)).collect();
    assert_eq!(shown, [(Some(8080), 80, Protocol::Udp), (Some(8081), 81, Protocol::Udp)]);
    assert!(network.publish_all);
    assert_eq!(network.expose, ["90/tcp", "91/tcp"]);
}

#[test]
fn resources() {
    let resources = run(&[
        "-m",
        "64m",
        "--memory-reservation",
        "32m",
        "--memory-swappiness",
        "0",
        "--cpus",
        "1.5",
        "-c",
        "512",
        "--cpuset-cpus",
        "0-2,4",
        "--pids-limit",
        "-1",
        "--blkio-weight",
        "300",
        "--device-read-bps",
        "/dev/sda:1mb",
        "--oom-score-adj",
        "-500",
        "--oom-kill-disable",
        "--ulimit",
        "nofile=1",
        "--ulimit",
        "nofile=1024:2048",
        "--device",
        "/dev/fuse",
        "--device-cgroup-rule",
        "c 13:* rwm",
    ])
    .unwrap()
    .resources;
    assert_eq!(resources.memory, Some(64 << 20));
    assert_eq!(resources.memory_swap, Some(128 << 20));
    assert_eq!(resources.memory_reservation, Some(32 << 20));
    assert_eq!(resources.memory_swappiness, Some(0));
    assert_eq!(resources.nano_cpus, Some(1_500_000_000));
    assert_eq!(resources.cpu_shares, Some(512));
    assert_eq!(resources.cpuset_cpus.as_deref(), Some("0-2,4"));
    assert_eq!(resources.pids_limit, Some(-1));
    assert_eq!(resources.blkio_weight, Some(300));
    assert_eq!(resources.device_read_bps, [("/dev/sda".to_owned(), 1 << 20)]);
    assert_eq!(resources.oom_score_adj, Some(-500));
    assert!(resources.oom_kill_disable);
    assert_eq!(resources.ulimits, [("nofile".to_owned(), 1024, 2048)]);
    assert_eq!(resources.devices[0].permissions, "rwm");
    assert_eq!(resources.device_cgroup_rules, ["c 13:* rwm"]);
    assert_eq!(run(&["-m", "1g", "--memory-swap", "-1"]).unwrap().resources.memory_swap, Some(-1));
}

#[test]
fn security_and_namespaces() {
    let request = run(&[
        "--privileged",
        "--cap-add",
        "NET_ADMIN",
        "--cap-drop",
        "all",
        "--security-opt",
        "seccomp=seccomp.json",
        "--security-opt",
        "no-new-privileges",
        "--security-opt",
        "apparmor=unconfined",
        "--security-opt",
        "systempaths=unconfined",
        "--security-opt",
        "label=disable",
        "--sysctl",
        "net.core.somaxconn=1",
        "--pid",
        "host",
        "--ipc",
        "container:c",
        "--cgroupns",
        "private",
        "--userns",
        "host",
        "--cgroup-parent",
        "/x",
        "--runtime",
        "crun",
    ])
    .unwrap();
    let security = request.security;
    assert!(security.privileged && security.no_new_privileges && security.system_paths_unconfined);
    assert_eq!(security.seccomp, Seccomp::Profile(serde_json::json!({"defaultAction": "SCMP_ACT_ALLOW"})));
    assert_eq!(security.apparmor.as_deref(), Some("unconfined"));
    assert_eq!(security.options.len(), 5);
    assert_eq!(request.sysctls.get("net.core.somaxconn").map(String::as_str), Some("1"));
    assert_eq!(request.namespaces.pid.as_deref(), Some("host"));
    assert_eq!(request.namespaces.ipc.as_deref(), Some("container:c"));
    assert_eq!(request.runtime.as_deref(), Some("crun"));
    let error = run(&["--security-opt", "seccomp=broken.json"]).unwrap_err();
    assert!(error.message.starts_with("compacting json for seccomp profile (broken.json) failed: "));
}

#[test]
fn devices_by_name_and_links() {
    let request = run(&[
        "--gpus",
        "all",
        "--device",
        "a.com/b=c",
        "--device",
        "/dev/null",
        "--link",
        "db:store",
        "--link",
        "/x",
    ])
    .unwrap();
    let requests = &request.resources.device_requests;
    assert_eq!((requests[0].count, requests[1].driver.as_str()), (-1, "cdi"));
    assert_eq!(requests[1].ids, ["a.com/b=c"]);
    assert_eq!(request.resources.devices.len(), 1);
    assert_eq!((request.links[0].container.as_str(), request.links[0].alias.as_str()), ("db", "store"));
    assert_eq!(request.links[1].alias, "x");
}

#[test]
fn what_nerdctl_has_beyond_docker() {
    let request = run(&[
        "--umask",
        "027",
        "--init-binary",
        "tini",
        "--rdt-class",
        "gold",
        "--cgroup-conf",
        "memory.high=1G",
        "--systemd",
        "always",
        "--pidfile",
        "p",
        "--cidfile",
        "c",
        "--security-opt",
        "writable-cgroups",
    ])
    .unwrap();
    let special = &request.special;
    assert_eq!((special.umask, special.systemd), (Some(0o27), Systemd::Always));
    assert!(request.init && request.security.writable_cgroups);
    assert_eq!(special.unified.get("memory.high").map(String::as_str), Some("1G"));
    assert_eq!(special.pidfile.as_deref(), Some(std::path::Path::new("/home/me/p")));
    assert_eq!(run(&["--umask", ""]).unwrap().special.umask, None);
}

#[test]
fn an_endpoint_has_settings_of_its_own() {
    let request = run(&[
        "--network", "name=a,gw-priority=1,link-local-ip=169.254.1.1", "--network",
        "name=b,driver-opt=com.docker.network.endpoint.ifname=lan,driver-opt=com.docker.network.endpoint.sysctls=net.ipv4.conf.IFNAME.log_martians=1",
    ])
    .unwrap();
    let [a, b] = request.network.endpoints.as_slice() else { panic!("{request:?}") };
    assert_eq!((a.gateway_priority, a.link_local.len(), b.interface.as_deref()), (1, 1, Some("lan")));
    assert_eq!(b.sysctls, ["net.ipv4.conf.IFNAME.log_martians=1"]);
    for flags in [
        &["--network", "host", "--link-local-ip", "169.254.1.1"][..],
        &["--network", "name=none,driver-opt=com.docker.network.endpoint.ifname=lan"],
    ] {
        assert!(run(flags).is_err(), "{flags:?}");
    }
}

#[test]
fn metadata_and_lifecycle() {
    let request = run(&[
        "--name",
        "/web",
        "--label-file",
        "labels",
        "-l",
        "x=flag",
        "-l",
        "bare",
        "--annotation",
        "a=b",
        "--restart",
        "on-failure:3",
        "--platform",
        "linux/arm64",
        "--log-driver",
        "local",
        "--log-opt",
        "max-size=10m",
        "--detach-keys",
        "ctrl-a,x",
    ])
    .unwrap();
    assert_eq!(request.name, "web");
    let labels: Vec<(&str, &str)> =
        request.labels.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    assert_eq!(labels, [("bare", ""), ("x", "flag"), ("y", "2")]);
    assert_eq!(request.annotations.get("a").map(String::as_str), Some("b"));
    assert_eq!(request.restart, RestartPolicy::OnFailure(3));
    assert_eq!(request.platform.as_deref(), Some("linux/arm64"));
    assert_eq!(request.log.driver, "local");
    assert_eq!(request.log.options.get("max-size").map(String::as_str), Some("10m"));
    assert_eq!(request.detach_keys.as_deref(), Some("ctrl-a,x"));
}

#[test]
fn what_the_verb_needs_beside_the_request() {
    let args: RunArgs = parse(&[
        "run",
        "-q",
        "--pull=always",
        "--cidfile",
        "c",
        "--sig-proxy=false",
        "-i",
        "-a",
        "STDOUT",
        "x",
    ])
    .unwrap();
    assert!(args.container.lifecycle.quiet && !args.sig_proxy);
    assert_eq!(args.container.lifecycle.pull_policy().unwrap(), PullPolicy::Always);
    assert_eq!(args.container.metadata.cidfile.as_deref(), Some("c"));
    assert_eq!(args.streams().unwrap(), Streams { stdin: true, stdout: true, stderr: false });
    assert_eq!(args.detach_bytes().unwrap(), [16, 17]);
    let args: RunArgs = parse(&["run", "-d", "--kernel-memory", "1g", "x"]).unwrap();
    assert!(args.sig_proxy);
    assert_eq!(args.streams().unwrap(), Streams::default());
    assert_eq!(args.container.warnings().len(), 1);
    let args: RunArgs = parse(&["run", "--network", "host", "-p", "80:80", "x"]).unwrap();
    assert_eq!(args.container.warnings(), ["Published ports are discarded when using host network mode"]);
}

#[test]
fn create_takes_the_same() {
    let args: ContainerArgs = parse(&["create", "-h", "web", "-v", "data:/data", "busybox", "-d"]).unwrap();
    let request = in_world(|environment| args.clone().into_request(environment)).unwrap();
    assert_eq!(request.hostname.as_deref(), Some("web"));
    assert_eq!(request.command.unwrap(), ["-d"]);
    assert!(parse::<ContainerArgs>(&["create", "-d", "busybox"]).is_err());
}

#[test]
fn exec_requests() {
    let (container, request) = exec(&[
        "-it",
        "--privileged",
        "-e",
        "A=1",
        "--env-file",
        "vars",
        "-u",
        "root:wheel",
        "-w",
        "/tmp/",
        "--detach-keys",
        "ctrl-a",
        "web",
        "ls",
        "-l",
        "--",
        "-d",
    ])
    .unwrap();
    assert_eq!(container, "web");
    assert_eq!(
        request,
        ExecRequest {
            args: ["ls", "-l", "--", "-d"].map(String::from).into(),
            env: ["A=file", "HOME=/root", "A=1"].map(String::from).into(),
            user: Some("root:wheel".into()),
            working_dir: Some("/tmp".into()),
            tty: true,
            interactive: true,
            detach: false,
            privileged: true,
            detach_keys: Some("ctrl-a".into()),
        }
    );
    assert!(exec(&["-d", "web", "true"]).unwrap().1.detach);
    assert!(exec(&["-w", "x", "web", "true"]).is_err() && exec(&["", "true"]).is_err());
}
