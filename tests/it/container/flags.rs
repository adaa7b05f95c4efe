//! `run` and `create`: what containers have of one another, devices by name, nerdctl's own settings, and flags
//! that are refused.

use std::fs;

use super::{BUSYBOX, engine, inside, run, sh, sleeper};

#[test]
fn shared_memory_is_shared_when_both_want_it() {
    let engine = engine();
    let id = sleeper(&engine, &["--name", "giver", "--ipc", "shareable", "--shm-size", "8m"]);
    inside(&engine, "giver", "echo hello > /dev/shm/word");
    let size = inside(&engine, "giver", "df -k /dev/shm | awk 'NR == 2 { print $2 }'");
    assert_eq!(size, "8192");
    let script = "cat /dev/shm/word; echo back > /dev/shm/answer; readlink /proc/self/ns/ipc";
    let ipc = inside(&engine, "giver", "readlink /proc/self/ns/ipc");
    assert_eq!(sh(&engine, &["--ipc", "container:giver"], script).ok(), format!("hello\n{ipc}"));
    assert_eq!(inside(&engine, "giver", "cat /dev/shm/answer"), "back");
    // By id in the record: names may move, and a restart has another process.
    engine
        .wharfie(["create", "--name", "taker", "--ipc", "container:giver", BUSYBOX, "sh", "-c", script])
        .ok();
    let mode = engine.wharfie(["inspect", "-f", "{{.HostConfig.IpcMode}}", "taker"]);
    assert_eq!(mode.ok(), format!("container:{id}"));
    engine.wharfie(["restart", "-t", "2", "giver"]).ok();
    inside(&engine, "giver", "echo again > /dev/shm/word");
    let ipc = inside(&engine, "giver", "readlink /proc/self/ns/ipc");
    assert_eq!(engine.wharfie(["start", "-a", "taker"]).ok(), format!("again\n{ipc}"));
    engine.wharfie(["stop", "giver"]).ok();
    assert!(!engine.sh("cat /proc/mounts").contains(&format!("{id}/shm")), "unmounted with the container");
    let gone = run(&engine, &["--ipc", "container:giver"], &["true"]);
    assert!(gone.fails(125).contains(&format!("container {id} is not running")), "{gone:?}");
    // docker's default is private.
    sleeper(&engine, &["--name", "alone"]);
    let refused = run(&engine, &["--ipc", "container:alone"], &["true"]);
    assert!(
        refused
            .fails(125)
            .contains("non-shareable IPC (hint: use IpcMode:shareable for the donor container)"),
        "{refused:?}"
    );
    // The host's, through one that shares it.
    sleeper(&engine, &["--name", "open", "--ipc", "host"]);
    let host = engine.sh("readlink /proc/self/ns/ipc");
    let script = "readlink /proc/self/ns/ipc";
    assert_eq!(sh(&engine, &["--ipc", "host"], script).ok(), host.trim());
    assert!(!sh(&engine, &["--ipc", "none"], "grep -c /dev/shm /proc/mounts; true").ok().contains('1'));
    engine.wharfie(["rm", "-f", "giver", "taker", "alone", "open"]).ok();
    engine.assert_clean();
}

#[test]
fn processes_are_shared_across_restarts() {
    let engine = engine();
    sleeper(&engine, &["--name", "first"]);
    engine
        .wharfie([
            "create",
            "--name",
            "second",
            "--pid",
            "container:first",
            BUSYBOX,
            "readlink",
            "/proc/1/ns/pid",
        ])
        .ok();
    let own = |engine: &crate::engine::TestEngine| inside(engine, "first", "readlink /proc/self/ns/pid");
    assert_eq!(engine.wharfie(["start", "-a", "second"]).ok(), own(&engine));
    engine.wharfie(["restart", "-t", "2", "first"]).ok();
    assert_eq!(engine.wharfie(["start", "-a", "second"]).ok(), own(&engine));
    // One that is made before the other runs.
    engine.wharfie(["stop", "-t", "2", "first"]).ok();
    engine.wharfie(["create", "--name", "third", "--pid", "container:first", BUSYBOX, "true"]).ok();
    let early = engine.wharfie(["start", "third"]);
    assert!(early.fails(1).contains("is not running"), "{early:?}");
    engine.wharfie(["start", "first"]).ok();
    engine.wharfie(["start", "-a", "third"]).ok();
    engine.wharfie(["rm", "-f", "first", "second", "third"]).ok();
    engine.assert_clean();
}

#[test]
fn links_are_names_and_variables() {
    let engine = engine();
    let flags = ["--name", "db", "-e", "PASSWORD=x y", "-e", "HOME=/h", "--expose", "5432"];
    sleeper(&engine, &flags);
    let address = |engine: &crate::engine::TestEngine| {
        engine.wharfie(["inspect", "-f", "{{.NetworkSettings.IPAddress}}", "db"]).ok().to_owned()
    };
    let first = address(&engine);
    let own = inside(&engine, "db", "hostname");
    let script =
        "grep store /etc/hosts; env | grep STORE | sort; ping -c1 -W2 store > /dev/null && echo reached";
    let told = sh(&engine, &["--name", "web", "--link", "db:store"], script);
    let expected = format!(
        "{first}\tstore {own} db\nSTORE_ENV_PASSWORD=x y\nSTORE_NAME=/web/store\n\
         STORE_PORT=tcp://{first}:5432\nSTORE_PORT_5432_TCP=tcp://{first}:5432\nSTORE_PORT_5432_TCP_ADDR={first}\n\
         STORE_PORT_5432_TCP_PORT=5432\nSTORE_PORT_5432_TCP_PROTO=tcp\nreached"
    );
    assert_eq!(told.ok(), expected);
    let shown = sleeper(&engine, &["--name", "web", "--link", "db"]);
    let links = engine.wharfie(["inspect", "-f", "{{json .HostConfig.Links}}", "web"]);
    assert_eq!(links.ok(), "[\"/db:/web/db\"]");
    // A new address of the other reaches the running one.
    engine.wharfie(["stop", "-t", "2", "db"]).ok();
    sleeper(&engine, &["--name", "squatter", "--ip", &first]);
    engine.wharfie(["start", "db"]).ok();
    let second = address(&engine);
    assert_ne!(first, second);
    assert_eq!(inside(&engine, "web", "grep -w db /etc/hosts"), format!("{second}\tdb {own}"));
    // And the next start's environment.
    engine.wharfie(["restart", "-t", "2", "web"]).ok();
    assert_eq!(inside(&engine, "web", "echo $DB_PORT_5432_TCP_ADDR"), second);
    engine.wharfie(["stop", "-t", "2", "db", "web"]).ok();
    let early = engine.wharfie(["start", "web"]);
    assert!(early.fails(1).contains("Cannot link to a non running container: /db AS /web/db"), "{early:?}");
    let missing = run(&engine, &["--link", "nobody"], &["true"]);
    assert!(missing.fails(125).contains("could not get container for nobody"), "{missing:?}");
    engine.wharfie(["start", "db"]).ok();
    engine.wharfie(["start", "web"]).ok();
    assert_eq!(engine.wharfie(["rm", "--link", "/web/db"]).ok(), "/web/db");
    assert_eq!(inside(&engine, "web", "grep -cw db /etc/hosts; true"), "0");
    assert_eq!(engine.wharfie(["inspect", "-f", "{{json .HostConfig.Links}}", "web"]).ok(), "null");
    engine.wharfie(["stop", "-t", "2", "web", "db"]).ok();
    engine.wharfie(["start", "web"]).ok();
    assert_eq!(inside(&engine, "web", "env | grep -c ^DB_; true"), "0");
    for wrong in ["web/db", "web", "nobody/db"] {
        let removed = engine.wharfie(["rm", "--link", wrong]);
        assert!(removed.fails(1).contains("No such container: "), "{removed:?}");
    }
    engine.wharfie(["rm", "-f", "db", "squatter", &shown]).ok();
    engine.assert_clean();
}

#[test]
fn devices_by_name() {
    let engine = engine();
    let directory = engine.directory().join("cdi");
    fs::create_dir(&directory).unwrap();
    fs::create_dir(engine.directory().join("vendor")).unwrap();
    fs::write(engine.directory().join("vendor/lib"), "library\n").unwrap();
    let specification = serde_json::json!({
        "cdiVersion": "0.6.0", "kind": "nvidia.com/gpu",
        "containerEdits": {
            "env": ["VENDOR=yes"],
            "mounts": [{"hostPath": engine.directory().join("vendor"), "containerPath": "/vendor", "options": ["ro", "rbind"]}]
        },
        "devices": [
            {"name": "0", "containerEdits": {"deviceNodes": [{"path": "/dev/gpu0", "hostPath": "/dev/zero"}]}},
            {"name": "all", "containerEdits": {"env": ["ALL=1"]}}
        ]
    });
    let flag = format!("--cdi-spec-dirs={}", directory.display());
    let call = |flags: &[&str], script: &str| {
        engine.wharfie([&[flag.as_str(), "run", "--rm"], flags, &[BUSYBOX, "sh", "-c", script]].concat())
    };
    let none = call(&["--gpus", "all"], "true");
    assert!(
        none.fails(125).contains(
            "Error response from daemon: could not select device driver \"\" with capabilities: [[gpu]]"
        ),
        "{none:?}"
    );
    fs::write(directory.join("gpu.json"), specification.to_string()).unwrap();
    let script = "echo $VENDOR$ALL; cat /vendor/lib; head -c 2 /dev/gpu0 2>&1 | od -An -tx1";
    assert_eq!(call(&["--device", "nvidia.com/gpu=0"], script).ok(), "yes\nlibrary\n 00 00");
    assert_eq!(call(&["--gpus", "1"], script).ok(), "yes\nlibrary\n 00 00");
    assert!(call(&["--gpus", "all"], script).ok().starts_with("yes1\nlibrary\n"));
    let missing = call(&["--device", "nvidia.com/gpu=7"], "true");
    assert!(missing.fails(125).contains("unresolvable CDI devices nvidia.com/gpu=7"), "{missing:?}");
    engine.wharfie([&flag, "create", "--name", "kept", "--gpus", "device=0", BUSYBOX]).ok();
    let requests = engine.wharfie(["inspect", "-f", "{{json .HostConfig.DeviceRequests}}", "kept"]);
    assert_eq!(
        requests.ok(),
        "[{\"Driver\":\"\",\"Count\":0,\"DeviceIDs\":[\"0\"],\"Capabilities\":[[\"gpu\"]],\"Options\":{}}]"
    );
    engine.wharfie(["rm", "kept"]).ok();
    engine.assert_clean();
}

#[test]
fn nerdctl_s_own_settings() {
    let engine = engine();
    assert_eq!(sh(&engine, &["--umask", "077"], "umask").ok(), "0077");
    assert_eq!(sh(&engine, &[], "umask").ok(), "0022");
    let pid_file = engine.directory().join("pid");
    let path = pid_file.display().to_string();
    engine.wharfie(["create", "--name", "kept", "--pidfile", &path, BUSYBOX, "sleep", "1000"]).ok();
    assert!(!pid_file.exists());
    engine.wharfie(["start", "kept"]).ok();
    let pid = engine.wharfie(["inspect", "-f", "{{.State.Pid}}", "kept"]);
    assert_eq!(fs::read_to_string(&pid_file).unwrap(), pid.ok());
    engine.wharfie(["rm", "-f", "kept"]).ok();
    let mounts =
        sh(&engine, &["--systemd", "always"], "grep -E ' /(run|tmp|run/lock) ' /proc/mounts | wc -l");
    assert_eq!(mounts.ok(), "3");
    let signal = |flag: &str| {
        let id = engine.wharfie(["create", "--systemd", flag, BUSYBOX, "/sbin/init"]).ok().to_owned();
        let signal = engine.wharfie(["inspect", "-f", "{{.Config.StopSignal}}", &id]).ok().to_owned();
        engine.wharfie(["rm", &id]).ok();
        signal
    };
    assert_eq!(signal("true"), "SIGRTMIN+3");
    assert_ne!(signal("false"), "SIGRTMIN+3");
    let writable = |flags: &[&str]| {
        sh(&engine, flags, "grep -c '/sys/fs/cgroup.* rw' /proc/mounts; true").ok().to_owned()
    };
    assert_ne!(writable(&["--security-opt", "writable-cgroups=true"]), writable(&[]));
    let missing = run(&engine, &["--init-binary", "no-such-init"], &["true"]);
    assert!(missing.fails(125).contains("init binary \"no-such-init\" not found"), "{missing:?}");
    let program = engine.directory().join("init");
    fs::write(&program, "#!/bin/sh\nshift\necho I am init\nexec \"$@\"\n").unwrap();
    engine.sh(&format!("chmod 755 {}", program.display()));
    let init = run(&engine, &["--init-binary", &program.display().to_string()], &["echo", "done"]);
    assert_eq!(init.ok(), "I am init\ndone");
    engine.assert_clean();
}

#[test]
fn volumes_from_containers_of_any_origin() {
    let engine = engine();
    let host = engine.directory().join("bound");
    fs::create_dir(&host).unwrap();
    fs::write(host.join("file"), "bound").unwrap();
    let bind = format!("{}:/bound", host.display());
    sleeper(&engine, &["--name", "one", "-v", "/data", "-v", &bind, "--tmpfs", "/scratch"]);
    inside(&engine, "one", "echo kept > /data/file; echo gone > /scratch/file");
    let script = "cat /data/file /bound/file; ls /scratch 2>&1; touch /data/x && echo written";
    let told = sh(&engine, &["--volumes-from", "one"], script);
    assert_eq!(told.ok(), "kept\nboundls: /scratch: No such file or directory\nwritten");
    let read_only = sh(&engine, &["--volumes-from", "one:ro"], "touch /data/y");
    assert!(read_only.fails(1).contains("Read-only file system"), "{read_only:?}");
    // What it mounts itself hides what it would inherit; several are taken in order.
    sleeper(&engine, &["--name", "two", "-v", "/more"]);
    let script = "ls /data /more; test -e /data/file || echo empty";
    let told = sh(&engine, &["--volumes-from", "one", "--volumes-from", "two:rw", "-v", "/data"], script);
    assert!(told.ok().ends_with("empty"), "{told:?}");
    // ctr's containers have binds that can be inherited.
    let mount = format!("type=bind,src={},dst=/bound,options=rbind:ro", host.display());
    let image = "docker.io/library/busybox:latest";
    engine.ctr(["run", "-d", "--null-io", "--mount", &mount, image, "foreign", "sleep", "1000"]).ok();
    assert_eq!(sh(&engine, &["--volumes-from", "foreign"], "cat /bound/file").ok(), "bound");
    let touched = sh(&engine, &["--volumes-from", "foreign"], "touch /bound/new");
    assert!(touched.fails(1).contains("Read-only file system"), "{touched:?}");
    let missing = run(&engine, &["--volumes-from", "nobody"], &["true"]);
    assert!(missing.fails(125).contains("No such container: nobody"), "{missing:?}");
    engine.wharfie(["rm", "-fv", "one", "two", "foreign"]).ok();
    engine.assert_clean();
}

#[test]
fn endpoints_have_settings_of_their_own() {
    let engine = engine();
    let driver = "com.docker.network.endpoint";
    let flag = format!(
        "\"name=bridge\",\"driver-opt={driver}.ifname=lan\",\"driver-opt={driver}.sysctls=net.ipv4.conf.IFNAME.log_martians=1\",link-local-ip=169.254.8.8"
    );
    let script = "ls /sys/class/net | tr '\\n' ' '; cat /proc/sys/net/ipv4/conf/lan/log_martians; \
                  ip -4 -o addr show lan | grep -c 169.254.8.8/16";
    assert_eq!(sh(&engine, &["--network", &flag], script).ok(), "lan lo 1\n1");
    let bad = format!("name=bridge,driver-opt={driver}.sysctls=net.ipv4.conf.IFNAME.no_such=1");
    assert!(run(&engine, &["--network", &bad], &["true"]).fails(125).contains("no_such"));
    engine.assert_clean();
}

#[test]
fn what_cannot_be_done_is_refused_before_anything_is_made() {
    let engine = engine();
    for (line, words) in [
        (
            &["run", "--storage-opt", "size=1G", BUSYBOX][..],
            "--storage-opt is supported only for overlay over xfs",
        ),
        (&["run", "--isolation", "hyperv", BUSYBOX], "Invalid isolation"),
        (&["run", "--userns", "remap", BUSYBOX], "--userns: invalid USER mode"),
        (&["run", "--use-api-socket", BUSYBOX], "--use-api-socket is not supported"),
        (&["start", "--checkpoint", "c", "x"], "--checkpoint is not supported"),
        (&["info", "--mode", "native"], "--mode native is not supported"),
        (&["--tlsverify", "ps"], "--tlsverify is not supported"),
        (&["--cgroup-manager", "systemd", "ps"], "--cgroup-manager is not supported"),
    ] {
        let output = engine.wharfie(line.iter().copied());
        assert!(output.fails(125).contains(words), "{output:?}");
    }
    assert_eq!(engine.wharfie(["ps", "-aq"]).ok(), "");
    let gateway = [
        "--host-gateway-ip",
        "192.0.2.9",
        "run",
        "--rm",
        "--add-host",
        "up:host-gateway",
        BUSYBOX,
        "grep",
        "up",
        "/etc/hosts",
    ];
    assert!(engine.wharfie(gateway).ok().contains("192.0.2.9\tup"));
    engine.assert_clean();
}

#[test]
fn who_is_killed_for_want_of_memory_is_known() {
    let engine = engine();
    let greedy = "x=$(head -c 200000000 /dev/zero | tr '\\0' x); echo unreached";
    engine.wharfie(["run", "--name", "greedy", "--memory", "16m", BUSYBOX, "sh", "-c", greedy]);
    let state = |name: &str| {
        let format = "{{.State.OOMKilled}} {{.State.ExitCode}}";
        engine.wharfie(["inspect", "-f", format, name]).ok().to_owned()
    };
    assert_eq!(state("greedy"), "true 137");
    engine.wharfie(["run", "-d", "--name", "later", "--memory", "16m", BUSYBOX, "sh", "-c", greedy]).ok();
    engine.wharfie(["wait", "later"]).ok();
    engine
        .sh("until test \"$(wharfie inspect -f '{{.State.OOMKilled}}' later)\" = true; do sleep 0.05; done");
    engine.wharfie(["run", "--name", "modest", "--memory", "16m", BUSYBOX, "true"]).ok();
    assert_eq!(state("modest"), "false 0");
    engine.wharfie(["rm", "greedy", "later", "modest"]).ok();
    engine.assert_clean();
}

#[test]
fn dockers_configuration_says_how_lists_look_and_what_keys_and_proxies_there_are() {
    let engine = engine();
    let directory = engine.directory().join("docker-config");
    fs::create_dir(&directory).unwrap();
    let config = serde_json::json!({
        "psFormat": "{{.Names}}|", "imagesFormat": "table {{.Repository}}", "detachKeys": "ctrl-x",
        "proxies": {"default": {"httpProxy": "http://proxy:3128", "noProxy": "localhost"}}
    });
    fs::write(directory.join("config.json"), config.to_string()).unwrap();
    let path = directory.display().to_string();
    let call = |arguments: &[&str]| engine.wharfie([&["--config", path.as_str()], arguments].concat());
    sleeper(&engine, &["--name", "web"]);
    assert_eq!(call(&["ps"]).ok(), "web|");
    assert_eq!(call(&["ps", "--format", "{{.State}}"]).ok(), "running");
    assert_eq!(call(&["ps", "-q"]).ok().len(), 12);
    assert_eq!(call(&["images"]).ok(), "REPOSITORY\nbusybox");
    let proxies =
        call(&["run", "--rm", "-e", "no_proxy=mine", BUSYBOX, "sh", "-c", "env | grep -i proxy | sort"]);
    assert_eq!(
        proxies.ok(),
        "HTTP_PROXY=http://proxy:3128\nNO_PROXY=localhost\nhttp_proxy=http://proxy:3128\nno_proxy=mine"
    );
    fs::write(directory.join("config.json"), "{").unwrap();
    let broken = call(&["ps", "-q"]);
    assert!(broken.ok().len() == 12 && broken.stderr.is_empty(), "nobody asked for it: {broken:?}");
    let broken = call(&["ps"]);
    assert!(broken.ok().contains("web") && broken.stderr.contains("Error parsing config file"), "{broken:?}");
    fs::write(directory.join("config.json"), "{\"detachKeys\": \"no-key\"}").unwrap();
    assert!(call(&["exec", "web", "true"]).fails(125).contains("invalid detach keys (no-key)"));
    engine.wharfie(["rm", "-f", "web"]).ok();
    engine.assert_clean();
}

#[test]
fn a_range_of_host_ports_gives_a_free_one() {
    let engine = engine();
    let port = |name: &str| engine.wharfie(["port", name, "80"]).ok().rsplit(':').next().unwrap().to_owned();
    let flag = "127.0.0.1:18080-18081:80";
    sleeper(&engine, &["--name", "aa", "-p", flag]);
    sleeper(&engine, &["--name", "bb", "-p", flag]);
    assert_eq!((port("aa"), port("bb")), ("18080".into(), "18081".into()));
    let third = run(&engine, &["-p", flag], &["true"]);
    assert!(third.fails(125).contains("port is already allocated"), "{third:?}");
    engine.wharfie(["rm", "-f", "aa", "bb"]).ok();
    engine.assert_clean();
}

#[test]
fn a_shell_is_told_names_of_networks_volumes_and_containers() {
    let engine = engine();
    sleeper(&engine, &["--name", "web", "-v", "store:/data"]);
    let ask = |words: &[&str]| {
        let line = [&["--", "wharfie"], words].concat();
        let told = engine.call(line).env("COMPLETE", "fish").run();
        let names = told.ok().lines().map(|line| line.split('\t').next().unwrap_or_default().to_owned());
        names.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(ask(&["run", "--network", "b"]), "bridge");
    assert_eq!(ask(&["run", "--network", "container:w"]), "container:web");
    assert_eq!(ask(&["run", "--pid", "con"]), "container:web");
    assert_eq!(ask(&["run", "-v", "st"]), "store:");
    assert_eq!(ask(&["run", "-v", "/etc/hostna"]), "/etc/hostname");
    assert_eq!(ask(&["run", "--volumes-from", "w"]), "web");
    assert_eq!(ask(&["run", "--link", "w"]), "web");
    assert_eq!(ask(&["stop", "w"]), "web");
    assert_eq!(ask(&["run", "busy"]), "busybox:latest");
    assert_eq!(ask(&["network", "rm", "n"]), "none");
    assert_eq!(ask(&["network", "connect", "bridge", "w"]), "web");
    engine.wharfie(["rm", "-f", "web"]).ok();
    engine.sh("rm -r /var/lib/wharfie/*/default/volumes/store");
    engine.assert_clean();
}

#[test]
fn wide_is_nerdctls_table() {
    let engine = engine();
    sleeper(&engine, &["--name", "web"]);
    let wide = engine.wharfie(["ps", "--format", "wide"]);
    let title = wide.ok().lines().next().unwrap_or_default();
    let titles: Vec<&str> = title.split("  ").map(str::trim).filter(|title| !title.is_empty()).collect();
    assert_eq!(
        titles,
        [
            "CONTAINER ID",
            "IMAGE",
            "COMMAND",
            "CREATED",
            "STATUS",
            "PORTS",
            "NAMES",
            "RUNTIME",
            "PLATFORM",
            "SIZE"
        ]
    );
    assert!(wide.ok().contains("io.containerd.runc.v2") && wide.ok().contains("virtual"), "{wide:?}");
    assert!(engine.wharfie(["images", "--format", "wide"]).ok().starts_with("REPOSITORY"));
    engine.wharfie(["rm", "-f", "web"]).ok();
    engine.assert_clean();
}
