//! A container described, from a record as it is kept.

use std::collections::HashMap;
use std::path::PathBuf;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::*;
use crate::engine::container::model::{Origin, ResolvedMount, State as Kept, Status};
use crate::net::{Endpoint, PublishedPort};
use crate::oci::request::{
    ContainerRequest, MountKind, MountRequest, NetworkMode, NetworkRequest, PortRequest, Protocol, Resources,
    RestartPolicy,
};

/// A container that nobody has described yet.
pub(in crate::engine::container) fn container() -> Container {
    Container {
        id: "0123456789abcdef".into(),
        name: "web".into(),
        namespace: "default".into(),
        origin: Origin::Other,
        image: "busybox".into(),
        command: vec!["sleep".into(), "9".into()],
        labels: [("a".to_owned(), "b".to_owned())].into(),
        created_at: Timestamp::new(1_700_000_000, 120_000_000).ok(),
        tty: false,
        status: Status::Created,
        pid: 0,
        state: Kept::default(),
        record: None,
        health: None,
        log: None,
        raw: crate::containerd::Container {
            id: "0123456789abcdef".into(),
            snapshotter: "overlayfs".into(),
            runtime: "io.containerd.runc.v2".into(),
            ..Default::default()
        },
    }
}

fn seen(container: &Container, record: Record, spec: Value) -> Value {
    let spec = serde_json::from_value(spec).unwrap();
    let connection = container.state.connection.clone();
    serde_json::to_value(describe(Facts {
        container,
        record,
        spec,
        connection,
        sizes: None,
        execs: Vec::new(),
    }))
    .unwrap()
}

fn spec(namespaces: &[&str]) -> Value {
    let namespaces: Vec<Value> = namespaces.iter().map(|kind| json!({ "type": kind })).collect();
    json!({
        "ociVersion": "1.0.2",
        "hostname": "h",
        "process": { "cwd": "/srv", "args": ["sleep", "9"], "user": { "uid": 33, "gid": 34 }, "env": ["A=1"],
            "rlimits": [{ "type": "RLIMIT_NOFILE", "soft": 1024, "hard": 2048 }], "apparmorProfile": "docker-default" },
        "root": { "path": "rootfs", "readonly": true },
        "mounts": [
            { "destination": "/etc/hosts", "type": "bind", "source": "/data/hosts", "options": ["rbind"] },
            { "destination": "/proc", "type": "proc", "source": "proc" },
            { "destination": "/srv", "type": "bind", "source": "/host", "options": ["rbind", "ro", "rslave"] },
        ],
        "linux": { "namespaces": namespaces, "maskedPaths": ["/proc/kcore"],
            "resources": { "memory": { "limit": 1048576 }, "cpu": { "shares": 512 }, "pids": { "limit": 7 } } },
    })
}

fn ours() -> (Container, Record) {
    let request = ContainerRequest {
        image: "busybox".into(),
        name: "web".into(),
        command: Some(vec!["sleep".into(), "9".into()]),
        env: vec!["A=2".into()],
        restart: RestartPolicy::OnFailure(3),
        mounts: vec![
            MountRequest {
                source: "/h".into(),
                target: "/c".into(),
                create_source: true,
                read_only: true,
                ..MountRequest::default()
            },
            MountRequest {
                source: "/h".into(),
                target: "/d".into(),
                by_mount: true,
                ..MountRequest::default()
            },
            MountRequest { kind: MountKind::Volume, target: "/v".into(), ..MountRequest::default() },
            MountRequest {
                kind: MountKind::Tmpfs,
                target: "/t".into(),
                tmpfs_size: Some(5),
                ..MountRequest::default()
            },
        ],
        network: NetworkRequest {
            ports: vec![PortRequest {
                host_ip: None,
                host_port: Some(8080),
                host_port_last: None,
                container_port: 80,
                protocol: Protocol::Tcp,
            }],
            expose: vec!["443/tcp".into()],
            ..NetworkRequest::default()
        },
        resources: Resources { memory: Some(5), nano_cpus: Some(1), ..Resources::default() },
        ..ContainerRequest::default()
    };
    let mut container = container();
    container.origin = Origin::Wharfie;
    container.status = Status::Running;
    container.pid = 4242;
    container.state.started_at = Timestamp::from_second(1_700_000_001).ok();
    container.state.exit_code = Some(3);
    container.state.connection = Some(Connection {
        owner: "default-0123456789abcdef".into(),
        namespace: PathBuf::from("/run/wharfie/netns/x"),
        endpoints: vec![Endpoint {
            network: "bridge".into(),
            network_id: "77".into(),
            mac: "aa:bb:cc:dd:ee:ff".into(),
            addresses: vec!["10.4.0.7/24".parse().unwrap(), "fd00::7/64".parse().unwrap()],
            gateways: vec!["10.4.0.1".parse().unwrap()],
            ..Endpoint::default()
        }],
        ports: vec![PublishedPort {
            host_ip: "0.0.0.0".parse().unwrap(),
            host_port: 8080,
            container_port: 80,
            protocol: Protocol::Tcp,
        }],
        ..Connection::default()
    });
    let record = Record {
        request,
        image_id: "sha256:11".into(),
        image_config: json!({ "config": { "Env": ["A=1", "PATH=/bin"], "Cmd": ["sh"], "Entrypoint": ["/e"], "Volumes": { "/w": {} },
            "WorkingDir": "/work", "User": "daemon", "StopSignal": "SIGQUIT" } }),
        mounts: vec![ResolvedMount {
            kind: MountKind::Volume,
            name: "vol".into(),
            source: "/var/vol/_data".into(),
            target: "/v".into(),
            ..ResolvedMount::default()
        }],
        ..Record::default()
    };
    (container, record)
}

/// Every path that docker's own inspect has is there, with a value of its type.
#[test]
fn every_field_of_docker_s_is_there() {
    let (container, record) = ours();
    let value = seen(&container, record, spec(&["network", "cgroup", "pid"]));
    // Of the paths that docker leaves out when they are empty only those that these facts fill are asked for.
    for path in include_str!("fields.txt").lines() {
        let mut found = vec![&value];
        for step in path.split('.') {
            let name = step.trim_end_matches("[]").trim_end_matches("{}");
            found = found
                .into_iter()
                .map(|value| value.get(name).unwrap_or_else(|| panic!("{path}: no {name} in {value}")))
                .collect();
            if step.ends_with("[]") {
                found = found.into_iter().filter_map(Value::as_array).flatten().collect();
            } else if step.ends_with("{}") {
                found = found.into_iter().filter_map(Value::as_object).flat_map(|map| map.values()).collect();
            }
        }
    }
}

#[test]
fn ours_as_docker_shows_it() {
    let (container, record) = ours();
    let value = seen(&container, record, spec(&["network", "cgroup", "pid"]));
    let cases = [
        ("/Name", json!("/web")),
        ("/Created", json!("2023-11-14T22:13:20.12Z")),
        ("/Path", json!("sleep")),
        ("/Args", json!(["9"])),
        ("/Image", json!("sha256:11")),
        ("/HostsPath", json!("/data/hosts")),
        ("/AppArmorProfile", json!("docker-default")),
        ("/State/Status", json!("running")),
        ("/State/Running", json!(true)),
        ("/State/ExitCode", json!(0)),
        ("/State/OOMKilled", json!(false)),
        ("/State/StartedAt", json!("2023-11-14T22:13:21Z")),
        ("/State/FinishedAt", json!("0001-01-01T00:00:00Z")),
        ("/HostConfig/Binds", json!(["/h:/c:ro"])),
        ("/HostConfig/Mounts", json!([{ "Type": "bind", "Source": "/h", "Target": "/d" }])),
        ("/HostConfig/Tmpfs", json!({ "/t": "size=5" })),
        ("/HostConfig/NetworkMode", json!("bridge")),
        ("/HostConfig/RestartPolicy", json!({ "Name": "on-failure", "MaximumRetryCount": 3 })),
        ("/HostConfig/PortBindings", json!({ "80/tcp": [{ "HostIp": "", "HostPort": "8080" }] })),
        ("/HostConfig/CgroupnsMode", json!("private")),
        ("/HostConfig/Runtime", json!("runc")),
        ("/HostConfig/Memory", json!(5)),
        ("/HostConfig/CapAdd", json!(null)),
        ("/HostConfig/Dns", json!([])),
        ("/HostConfig/MaskedPaths", json!(["/proc/kcore"])),
        ("/Config/Env", json!(["A=2", "PATH=/bin"])),
        ("/Config/Cmd", json!(["sleep", "9"])),
        ("/Config/Entrypoint", json!(["/e"])),
        ("/Config/User", json!("daemon")),
        ("/Config/WorkingDir", json!("/work")),
        ("/Config/StopSignal", json!("SIGQUIT")),
        ("/Config/Volumes", json!({ "/v": {}, "/w": {} })),
        ("/Config/Labels", json!({ "a": "b" })),
        ("/Config/ExposedPorts", json!({ "443/tcp": {}, "80/tcp": {} })),
        (
            "/NetworkSettings/Ports",
            json!({ "443/tcp": null, "80/tcp": [{ "HostIp": "0.0.0.0", "HostPort": "8080" }] }),
        ),
        ("/NetworkSettings/IPAddress", json!("10.4.0.7")),
        ("/NetworkSettings/Networks/bridge/IPPrefixLen", json!(24)),
        ("/NetworkSettings/Networks/bridge/GlobalIPv6Address", json!("fd00::7")),
        ("/NetworkSettings/Networks/bridge/Gateway", json!("10.4.0.1")),
        ("/NetworkSettings/Networks/bridge/NetworkID", json!("77")),
        (
            "/Mounts",
            json!([{ "Type": "volume", "Name": "vol", "Source": "/var/vol/_data", "Destination": "/v", "Driver": "local", "Mode": "",
                "RW": true, "Propagation": "" }]),
        ),
    ];
    for (path, expected) in cases {
        assert_eq!(value.pointer(path), Some(&expected), "{path}");
    }
    assert_eq!(value.get("SizeRw"), None);
}

#[test]
fn an_entrypoint_drops_the_image_s_command() {
    let (container, mut record) = ours();
    record.request.command = None;
    let value = seen(&container, record.clone(), spec(&[]));
    assert_eq!(value.pointer("/Config/Cmd"), Some(&json!(["sh"])));
    record.request.entrypoint = Some(vec!["/x".into()]);
    let value = seen(&container, record, spec(&[]));
    assert_eq!(
        (value.pointer("/Config/Cmd"), value.pointer("/Config/Entrypoint")),
        (Some(&json!(null)), Some(&json!(["/x"])))
    );
}

#[test]
fn networks_by_mode() {
    for (mode, name, shown) in [
        (NetworkMode::Host, "host", json!(["host"])),
        (NetworkMode::None, "none", json!(["none"])),
        (NetworkMode::Container("77".into()), "container:77", json!([])),
    ] {
        let (mut container, mut record) = ours();
        container.state.connection = None;
        record.request.network.mode = mode;
        let value = seen(&container, record, spec(&[]));
        assert_eq!(value.pointer("/HostConfig/NetworkMode"), Some(&json!(name)));
        let networks: Vec<&String> =
            value.pointer("/NetworkSettings/Networks").unwrap().as_object().unwrap().keys().collect();
        assert_eq!(json!(networks), shown);
        assert_eq!(value.pointer("/NetworkSettings/Ports"), Some(&json!({})));
        assert_eq!(value.pointer("/HostConfig/CgroupnsMode"), Some(&json!("host")));
    }
}

#[test]
fn what_others_wrote_is_read() {
    let mut container = container();
    container.origin = Origin::Nerdctl;
    container.raw.labels = HashMap::from([
        ("nerdctl/networks".to_owned(), r#"["front"]"#.to_owned()),
        ("containerd.io/restart.policy".to_owned(), "on-failure:2".to_owned()),
        ("nerdctl/log-config".to_owned(), r#"{"driver":"journald","opts":{"tag":"x"}}"#.to_owned()),
    ]);
    let spec_json = {
        let mut spec = spec(&["pid", "network"]);
        spec["hooks"] = json!({ "createRuntime": [{ "path": "/usr/bin/nerdctl" }] });
        spec
    };
    let record = foreign::record(&container, &serde_json::from_value(spec_json.clone()).unwrap());
    let value = seen(&container, record, spec_json);
    for (path, expected) in [
        ("/Config/Cmd", json!(["sleep", "9"])),
        ("/Config/User", json!("33:34")),
        ("/Config/WorkingDir", json!("/srv")),
        ("/Config/Hostname", json!("h")),
        ("/HostConfig/NetworkMode", json!("front")),
        ("/HostConfig/RestartPolicy/Name", json!("on-failure")),
        ("/HostConfig/LogConfig", json!({ "Type": "journald", "Config": { "tag": "x" } })),
        ("/HostConfig/ReadonlyRootfs", json!(true)),
        ("/HostConfig/Memory", json!(1048576)),
        ("/HostConfig/CpuShares", json!(512)),
        ("/HostConfig/PidsLimit", json!(7)),
        ("/HostConfig/IpcMode", json!("host")),
        ("/HostConfig/PidMode", json!("")),
        ("/HostConfig/Ulimits", json!([{ "Name": "nofile", "Hard": 2048, "Soft": 1024 }])),
        ("/Mounts/0/Source", json!("/host")),
        ("/Mounts/0/RW", json!(false)),
        ("/Mounts/0/Propagation", json!("rslave")),
        ("/Mounts/1", Value::Null),
    ] {
        assert_eq!(value.pointer(path).cloned().unwrap_or_default(), expected, "{path}");
    }
}

#[test]
fn a_damaged_specification_hides_nothing_else() {
    let mut container = container();
    for bytes in [&b""[..], b"{", b"[]", br#"{"windows":{}}"#, &[0xff; 8]] {
        container.raw.spec = bytes.to_vec();
        let spec = super::spec(&container);
        let record = foreign::record(&container, &spec);
        let value = serde_json::to_value(describe(Facts {
            container: &container,
            record,
            spec,
            connection: None,
            sizes: None,
            execs: vec!["e1".into()],
        }))
        .unwrap();
        assert_eq!(value.pointer("/Name"), Some(&json!("/web")));
        assert_eq!(native(&container)["ID"], json!("0123456789abcdef"));
    }
}
