//! Pods that this program makes, ends and leads ports into.

use std::fs;

use crate::cri;
use crate::engine::TestEngine;

/// A containerd with CRI whose pods have a network.
fn engine() -> TestEngine {
    let engine = cri::engine();
    engine.sh("mount -t tmpfs logs /var/log");
    engine.accept();
    engine.sh(
        "mkdir -p /etc/cni/net.d; cat > /etc/cni/net.d/10-own.conflist <<'END'\n\
         {\"cniVersion\":\"0.4.0\",\"name\":\"own\",\"plugins\":[{\"type\":\"bridge\",\"bridge\":\"own0\",\
         \"isGateway\":true,\"ipam\":{\"type\":\"host-local\",\"ranges\":[[{\"subnet\":\"10.87.0.0/16\"}]]}}]}\nEND",
    );
    // containerd watches the directory.
    engine.sh(
        "until crictl -t 60s info -o go-template --template '{{(index .status.conditions 1).status}}' | grep -q true; \
         do sleep 0.05; done",
    );
    engine
}

/// The bridge and the addresses' files stay after the last pod, as with any CNI.
fn end(engine: &TestEngine) {
    engine.sh("ip link del own0 2>/dev/null || true; rm -rf /var/lib/cni/networks/own /var/lib/cni/results");
    engine.assert_clean();
}

#[test]
fn a_pod_runs_stops_starts_and_goes() {
    let engine = engine();
    let ran = engine.wharfie([
        "pod",
        "run",
        "--name",
        "web",
        "--namespace",
        "shop",
        "-e",
        "A=b",
        "-l",
        "app=web",
        "busybox",
        "sh",
        "-c",
        "trap 'exit 0' TERM; echo $A $(hostname); while :; do sleep 0.05; done",
    ]);
    let id = ran.ok().to_owned();
    assert_eq!(engine.wharfie(["cri", "-t", "60s", "pods", "-q", "--label", "app=web"]).ok(), id);
    let container = engine.wharfie(["cri", "-t", "60s", "ps", "-q", "--name", "^busybox$"]).ok().to_owned();
    engine.sh(&format!("until crictl -t 60s logs {container} | grep -q '^b web$'; do sleep 0.05; done"));
    let again = engine.wharfie(["pod", "run", "--name", "web", "--namespace", "shop", "busybox"]);
    assert!(again.fails(1).contains("there is a pod shop/web already"), "{again:?}");
    let running = engine.wharfie(["pod", "rm", "web"]);
    assert!(running.fails(1).contains("cannot remove pod shop/web: it runs"), "{running:?}");
    assert_eq!(engine.wharfie(["pod", "stop", "-t", "20", "shop/web"]).ok(), "shop/web");
    let ended = engine.wharfie([
        "cri",
        "-t",
        "60s",
        "inspect",
        "-o",
        "go-template",
        "--template",
        "{{.status.exitCode}}",
        &container,
    ]);
    assert_eq!(ended.ok(), "0", "the container had its grace");
    assert_eq!(engine.wharfie(["pod", "start", "web"]).ok(), "web");
    let now = engine.wharfie(["cri", "-t", "60s", "pods", "-q"]).ok().to_owned();
    assert!(now != id && !now.contains('\n'), "a new sandbox in place of the old one: {now}");
    let containers = engine.wharfie(["cri", "-t", "60s", "ps", "-o", "json"]).ok().to_owned();
    assert!(containers.contains("\"attempt\": 1"), "{containers}");
    assert_eq!(engine.wharfie(["pod", "rm", "-f", "web"]).ok(), "web");
    assert_eq!(engine.sh("ls /var/log/pods"), "");
    assert_eq!(engine.wharfie(["pod", "rm", "-f", "web"]).ok(), "");
    assert!(engine.wharfie(["pod", "stop", "web"]).fails(1).contains("No such pod: web"));
    end(&engine);
}

#[test]
fn a_pod_is_made_from_a_manifest_and_started_later() {
    let engine = engine();
    let manifest = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: two\nspec:\n  restartPolicy: Never\n  volumes:\n  \
        - name: shared\n    emptyDir: {}\n  - name: etc\n    hostPath: {path: /etc}\n  containers:\n  - name: one\n    \
        image: busybox\n    command: [sh, -c]\n    args: ['echo from one > /shared/x; sleep 1000']\n    volumeMounts:\n    \
        - {name: shared, mountPath: /shared}\n  - name: other\n    image: busybox\n    command: [sleep, '1000']\n    \
        volumeMounts:\n    - {name: shared, mountPath: /data}\n    - {name: etc, mountPath: /host, readOnly: true}\n";
    let made = engine.call(["pod", "create", "-f", "-"]).stdin(manifest).run();
    let id = made.ok().to_owned();
    assert!(made.stderr.contains("spec.restartPolicy has no effect here"), "{made:?}");
    let created = engine.wharfie(["cri", "-t", "60s", "ps", "-q", "--state", "created", "--pod", &id]);
    assert_eq!(created.ok().lines().count(), 2);
    engine.wharfie(["pod", "start", "default/two"]).ok();
    let other = engine.wharfie(["cri", "-t", "60s", "ps", "-q", "--name", "other"]).ok().to_owned();
    engine.sh(&format!("until crictl exec {other} cat /data/x | grep -q 'from one'; do sleep 0.05; done"));
    let read_only = engine.wharfie(["cri", "exec", &other, "touch", "/host/x"]);
    assert!(read_only.fails(1).contains("command terminated with exit code 1"), "{read_only:?}");
    // A container that has ended is made anew.
    engine.wharfie(["cri", "-t", "60s", "stop", &other]).ok();
    engine.wharfie(["pod", "start", "two"]).ok();
    let anew = engine.wharfie(["cri", "-t", "60s", "ps", "-q", "--name", "other"]).ok().to_owned();
    assert!(!anew.is_empty() && anew != other, "{anew}");
    engine.wharfie(["pod", "rm", "-f", "two"]).ok();
    assert_eq!(engine.sh("find /var/lib/wharfie -path '*/pods/*'; ls /var/log/pods"), "");
    let wrong = engine.call(["pod", "run", "-f", "-"]).stdin("kind: Deployment\n").run();
    assert!(
        wrong.fails(1).contains("a manifest of a Pod is wanted, not of kind \"Deployment\""),
        "{wrong:?}"
    );
    end(&engine);
}

#[test]
fn a_pod_that_cannot_be_made_leaves_nothing() {
    let engine = engine();
    let missing = engine.wharfie(["pod", "run", "--pull", "never", "nope"]);
    assert!(missing.fails(1).contains("No such image: nope"), "{missing:?}");
    let failed = engine.wharfie(["pod", "run", "--name", "x", "busybox", "/no/such/program"]);
    assert!(failed.fails(1).contains("make pod default/x"), "{failed:?}");
    assert_eq!(engine.wharfie(["cri", "-t", "60s", "pods", "-q"]).ok(), "");
    assert_eq!(engine.sh("ls /var/log/pods"), "");
    for (arguments, why) in [
        (vec!["pod", "run", "--name", "Web", "busybox"], "is no name of a pod"),
        (vec!["pod", "run", "-p", "80", "busybox"], "invalid port"),
        (vec!["pod", "run", "-v", "data:/x", "busybox"], "invalid volume"),
    ] {
        assert!(engine.wharfie(arguments).fails(125).contains(why), "{why}");
    }
    end(&engine);
}

#[test]
fn a_kubelets_pod_is_guarded() {
    let engine = cri::engine();
    let pod = cri::pod(&engine);
    // Without the label or a kubelet nobody manages it.
    engine.wharfie(["pod", "stop", "-t", "1", "web"]).ok();
    cri::remove(&engine, &pod);
    let config = engine.directory().join("pod.json");
    fs::write(
        &config,
        "{\"metadata\":{\"name\":\"dns\",\"namespace\":\"kube-system\",\"uid\":\"u9\"},\
         \"labels\":{\"io.kubernetes.pod.uid\":\"u9\"},\"annotations\":{\"kubernetes.io/config.source\":\"api\"},\
         \"linux\":{\"security_context\":{\"namespace_options\":{\"network\":2}}}}",
    )
    .unwrap();
    engine.program("crictl", ["-t", "60s", "runp", config.to_str().unwrap()]).run().ok();
    for verb in ["stop", "start"] {
        let refused = engine.wharfie(["pod", verb, "dns"]);
        let expected = format!("cannot {verb} pod kube-system/dns: a kubelet manages it");
        assert!(refused.fails(1).contains(&expected), "{refused:?}");
        assert!(refused.stderr.contains("--force does it all the same"), "{refused:?}");
    }
    let refused = engine.wharfie(["pod", "rm", "dns"]);
    assert!(refused.fails(1).contains("`kubectl delete pod -n kube-system dns`"), "{refused:?}");
    engine.wharfie(["pod", "stop", "--force", "dns"]).ok();
    engine.wharfie(["pod", "rm", "--force", "dns"]).ok();
    engine.assert_clean();
}

#[test]
fn ports_lead_into_a_pod() {
    let engine = engine();
    // It listens on its loopback alone: only from inside can it be reached.
    engine
        .wharfie([
            "pod",
            "run",
            "--name",
            "web",
            "busybox",
            "sh",
            "-c",
            "mkdir /www; echo served > /www/index.html; exec httpd -f -p 127.0.0.1:80 -h /www",
        ])
        .ok();
    let forwarding = engine.call(["pod", "port-forward", "web", "8080:80", "8081:81"]).spawn();
    forwarding.expect("Forwarding from 127.0.0.1:8080 -> 80");
    forwarding.expect("Forwarding from 127.0.0.1:8081 -> 81");
    engine.sh("until curl -sf http://127.0.0.1:8080/ | grep -q served; do sleep 0.05; done; \
         for i in $(seq 20); do curl -sf http://127.0.0.1:8080/ & done; wait");
    forwarding.expect("Handling connection for 8080");
    // Nobody listens there.
    engine.sh("! curl -sf http://127.0.0.1:8081/");
    let taken = engine.wharfie(["pod", "port-forward", "--address", "127.0.0.1", "web", "8080:80"]);
    assert!(taken.fails(1).contains("listen on 127.0.0.1:8080: address already in use"), "{taken:?}");
    forwarding.signal(rustix::process::Signal::TERM);
    let told = forwarding.wait();
    assert!(told.stderr.contains("connect to port 81 in pod default/web: connection refused"), "{told:?}");
    let id = engine.wharfie(["cri", "-t", "60s", "pods", "-q"]).ok().to_owned();
    let other = engine.program("crictl", ["port-forward", &id[..13], ":80"]).spawn();
    other.expect("Forwarding from 127.0.0.1:");
    other.signal(rustix::process::Signal::TERM);
    other.wait();
    for (arguments, why) in [
        (["pod", "port-forward", "web", "x"], "invalid port"),
        (["pod", "port-forward", "nope", "80"], "No such pod: nope"),
    ] {
        let wrong = engine.wharfie(arguments);
        assert!(wrong.code != 0 && wrong.stderr.contains(why), "{wrong:?}");
    }
    engine.wharfie(["pod", "stop", "-t", "0", "web"]).ok();
    let stopped = engine.wharfie(["pod", "port-forward", "web", "80"]);
    assert!(stopped.fails(1).contains("it does not run"), "{stopped:?}");
    engine.wharfie(["pod", "rm", "web"]).ok();
    end(&engine);
}

#[test]
fn a_pod_whose_maker_is_killed_is_taken_down_by_the_next() {
    let engine = engine();
    let manifest = engine.directory().join("pod.yaml");
    fs::write(
        &manifest,
        "kind: Pod\nmetadata: {name: web}\nspec:\n  volumes: [{name: own, emptyDir: {}}]\n  containers:\n  \
         - {name: app, image: busybox, args: [sleep, '1000'], volumeMounts: [{name: own, mountPath: /own}]}\n",
    )
    .unwrap();
    let file = manifest.to_str().unwrap();
    // The volume's mode is set once the sandbox is there and before there is a container.
    let inject = ["-e", "trace=chmod,fchmodat", "-e", "inject=chmod,fchmodat:signal=SIGKILL:when=1"];
    let line = ["-f", "-qq", "-o", "/dev/null"]
        .into_iter()
        .chain(inject)
        .chain(["wharfie", "pod", "run", "-f", file]);
    assert_ne!(engine.program("strace", line).run().code, 0);
    let half = engine.wharfie(["cri", "-t", "60s", "pods", "-q"]).ok().to_owned();
    assert_eq!(half.len(), 64, "one sandbox without containers");
    engine.wharfie(["pod", "run", "-f", file]).ok();
    let whole = engine.wharfie(["cri", "-t", "60s", "pods", "-q"]).ok().to_owned();
    assert!(whole.len() == 64 && whole != half, "{whole}");
    assert_eq!(engine.wharfie(["cri", "-t", "60s", "ps", "-q"]).ok().lines().count(), 1);
    let app = engine.wharfie(["cri", "-t", "60s", "ps", "-q"]).ok().to_owned();
    assert_eq!(engine.wharfie(["cri", "exec", &app, "stat", "-c", "%a", "/own"]).ok(), "777");
    engine.wharfie(["pod", "rm", "-f", "web"]).ok();
    assert_eq!(engine.sh("ls /var/log/pods"), "");
    end(&engine);
}
