//! A pod made by the CRI service of containerd, as a kubelet makes it. There is no crictl on most machines: curl
//! speaks gRPC, and the few messages are written by hand.

use std::fs;

use crate::engine::TestEngine;
use crate::images::Image;

/// The image of sandboxes.
const PAUSE: &str = "registry.local/pause:1";

/// A pod with one container that sleeps.
pub(crate) struct Pod {
    /// The sandbox's id.
    pub(crate) sandbox: String,
    /// The container's id.
    pub(crate) container: String,
}

/// What [`pod_with`] makes of its container.
pub(crate) struct Wanted<'a> {
    /// What `sh -c` runs.
    pub(crate) script: &'a str,
    /// It has an input.
    pub(crate) stdin: bool,
    /// The input ends with its first user's.
    pub(crate) stdin_once: bool,
    /// It has a terminal.
    pub(crate) tty: bool,
}

impl Default for Wanted<'_> {
    fn default() -> Self {
        Self {
            script: "trap 'exit 0' TERM; echo hello; while :; do sleep 0.05; done",
            stdin: false,
            stdin_once: false,
            tty: false,
        }
    }
}

/// A containerd that has CRI, in whose pods `sleep` plays the sandbox.
#[track_caller]
pub(crate) fn engine() -> TestEngine {
    engine_with("")
}

/// The same with more `settings` of CRI's.
#[track_caller]
pub(crate) fn engine_with(settings: &str) -> TestEngine {
    let engine = TestEngine::with_config(&format!(
        "[plugins.\"io.containerd.grpc.v1.cri\"]\nsandbox_image = \"{PAUSE}\"\ndisable_apparmor = true\n\
         restrict_oom_score_adj = true\n{settings}\n\
          [plugins.\"io.containerd.grpc.v1.cri\".cni]\nbin_dir = \"/usr/lib/cni\"\n"
    ));
    let mut pause = Image::busybox();
    pause.config = serde_json::json!({"Entrypoint": ["/bin/sleep", "100000"]});
    for (name, image) in [(PAUSE, &pause), ("docker.io/library/busybox:latest", &Image::busybox())] {
        let archive = engine.directory().join("archive.tar");
        fs::write(&archive, image.oci_archive(name)).expect("write an archive");
        engine.ctr(["-n", "k8s.io", "images", "import", archive.to_str().expect("a path in UTF-8")]).ok();
        // CRI learns of it by an event.
        engine.sh(&format!(
            "until ctr -n k8s.io images ls -q name=={name} | grep -q . \
             && ctr -n k8s.io images ls name=={name} | grep -q io.cri-containerd.image=managed; do sleep 0.05; done"
        ));
    }
    engine.accept();
    engine
}

/// Makes the pod `web` in the namespace `shop`, on the host's network, and starts its container `app`.
#[track_caller]
pub(crate) fn pod(engine: &TestEngine) -> Pod {
    pod_with(engine, &Wanted::default())
}

/// The same with a container of another kind.
#[track_caller]
pub(crate) fn pod_with(engine: &TestEngine, wanted: &Wanted<'_>) -> Pod {
    let metadata = [text(1, "web"), text(2, "uid-1"), text(3, "shop")].concat();
    let pod_labels = label(6, "io.kubernetes.pod.name", "web")
        .into_iter()
        .chain(label(6, "io.kubernetes.pod.namespace", "shop"))
        .collect::<Vec<u8>>();
    // NamespaceOption.network = NODE, in the sandbox's security context, in its Linux part.
    let linux = message(8, &message(2, &message(1, &[1 << 3, 2])));
    let config = [message(1, &metadata), text(3, "/var/log/pods/web"), pod_labels, linux].concat();
    let sandbox = call(engine, "RunPodSandbox", &message(1, &config));
    let command = [text(3, "sh"), text(3, "-c"), text(3, wanted.script)].concat();
    let own_labels = [
        label(9, "io.kubernetes.pod.name", "web"),
        label(9, "io.kubernetes.pod.namespace", "shop"),
        label(9, "io.kubernetes.container.name", "app"),
    ]
    .concat();
    let container = [
        message(1, &text(1, "app")),
        message(2, &text(1, "docker.io/library/busybox:latest")),
        command,
        own_labels,
        text(11, "app.log"),
        flag(12, wanted.stdin),
        flag(13, wanted.stdin_once),
        flag(14, wanted.tty),
    ]
    .concat();
    let create = [text(1, &sandbox), message(2, &container), message(3, &config)].concat();
    let container = call(engine, "CreateContainer", &create);
    call(engine, "StartContainer", &text(1, &container));
    Pod { sandbox, container }
}

/// Networks for pods: containerd asks for them by CNI.
const NETWORK: &str = r#"{"cniVersion":"0.4.0","name":"pods","plugins":[{"type":"bridge","bridge":"cni0",
    "isGateway":true,"ipam":{"type":"host-local","ranges":[[{"subnet":"10.88.0.0/16"}]]}}]}"#;

/// Who a pod is, as a kubelet tells CRI.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spec<'a> {
    /// Kubernetes' namespace.
    pub(crate) namespace: &'a str,
    /// The pod's name.
    pub(crate) name: &'a str,
    /// Kubernetes' id.
    pub(crate) uid: &'a str,
    /// Sandboxes it has had before.
    pub(crate) attempt: u8,
    /// On the network of pods, which [`network`] sets up; otherwise on the host's.
    pub(crate) network: bool,
}

impl<'a> Spec<'a> {
    /// A pod on the host's network, in its first attempt.
    pub(crate) fn new(namespace: &'a str, name: &'a str, uid: &'a str) -> Self {
        Self { namespace, name, uid, attempt: 0, network: false }
    }

    /// Where a kubelet has its containers' logs.
    pub(crate) fn logs(&self) -> String {
        format!("/var/log/pods/{}_{}_{}", self.namespace, self.name, self.uid)
    }

    fn labels(&self, field: u8) -> Vec<u8> {
        [
            label(field, "io.kubernetes.pod.name", self.name),
            label(field, "io.kubernetes.pod.namespace", self.namespace),
            label(field, "io.kubernetes.pod.uid", self.uid),
        ]
        .concat()
    }

    fn config(&self) -> Vec<u8> {
        let attempt = [4 << 3, self.attempt];
        let metadata =
            [&text(1, self.name)[..], &text(2, self.uid), &text(3, self.namespace), &attempt].concat();
        let mode = if self.network { 0 } else { 2 };
        let linux = message(8, &message(2, &message(1, &[1 << 3, mode])));
        let own = label(6, "app", self.name);
        [message(1, &metadata), text(3, &self.logs()), self.labels(6), own, linux].concat()
    }
}

/// Gives pods a network.
pub(crate) fn network(engine: &TestEngine) {
    engine.sh(&format!(
        "mkdir -p /etc/cni/net.d; cat > /etc/cni/net.d/10-pods.conflist <<'END'\n{NETWORK}\nEND"
    ));
}

/// Makes a sandbox and starts it: its id.
#[track_caller]
pub(crate) fn sandbox(engine: &TestEngine, spec: &Spec<'_>) -> String {
    call(engine, "RunPodSandbox", &message(1, &spec.config()))
}

/// Makes a container that runs `script`, and starts it: its id. Its log is `NAME/ATTEMPT.log`.
#[track_caller]
pub(crate) fn container(
    engine: &TestEngine,
    (spec, sandbox): (&Spec<'_>, &str),
    (name, attempt): (&str, u8),
    script: &str,
) -> String {
    let config = [
        message(1, &[&text(1, name)[..], &[2 << 3, attempt]].concat()),
        message(2, &text(1, "docker.io/library/busybox:latest")),
        [text(3, "sh"), text(3, "-c"), text(3, script)].concat(),
        spec.labels(9),
        label(9, "io.kubernetes.container.name", name),
        text(11, &format!("{name}/{attempt}.log")),
    ]
    .concat();
    engine.sh(&format!("mkdir -p {}/{name}", spec.logs()));
    let create = [text(1, sandbox), message(2, &config), message(3, &spec.config())].concat();
    let container = call(engine, "CreateContainer", &create);
    call(engine, "StartContainer", &text(1, &container));
    container
}

/// What sleeps until it is told to end, and says so first.
pub(crate) const SLEEPER: &str = "trap 'exit 0' TERM; echo hello; while :; do sleep 0.05; done";

/// Waits until CRI has seen the container's end.
#[track_caller]
pub(crate) fn wait_for_end(engine: &TestEngine, container: &str) {
    engine.sh(&format!(
        "until grep -q '\"FinishedAt\":[1-9]' /var/lib/containerd/io.containerd.grpc.v1.cri/containers/{container}/status; do sleep 0.05; done"
    ));
}

/// Ends a container at once.
#[track_caller]
pub(crate) fn stop_container(engine: &TestEngine, container: &str) {
    call(engine, "StopContainer", &text(1, container));
}

/// Starts containerd with CRI again, after [`TestEngine::restart_without_cri`].
#[track_caller]
pub(crate) fn restart(engine: &TestEngine) {
    engine.restart_with_cri();
    // It answers once it has read what there is.
    engine.sh(
        "printf '\\0\\0\\0\\0\\0' > $HOME/none; until curl -sS --http2-prior-knowledge --unix-socket /run/containerd/containerd.sock \
         -H 'content-type: application/grpc' -H 'te: trailers' --data-binary @$HOME/none -o /dev/null -D - \
         http://localhost/runtime.v1.RuntimeService/Version | grep -q 'grpc-status: 0'; do sleep 0.05; done",
    );
}

/// Makes CRI write on in a new file, as a kubelet does after it has renamed the old one.
#[track_caller]
pub(crate) fn reopen_log(engine: &TestEngine, container: &str) {
    call(engine, "ReopenContainerLog", &text(1, container));
}

/// Removes the record of an ended container.
#[track_caller]
pub(crate) fn remove_container(engine: &TestEngine, container: &str) {
    call(engine, "RemoveContainer", &text(1, container));
}

/// Ends a sandbox with all its containers.
#[track_caller]
pub(crate) fn stop_sandbox(engine: &TestEngine, sandbox: &str) {
    call(engine, "StopPodSandbox", &text(1, sandbox));
}

/// Ends sandboxes and removes what there is of them.
#[track_caller]
pub(crate) fn remove_sandboxes(engine: &TestEngine, sandboxes: &[&str]) {
    for sandbox in sandboxes {
        stop_sandbox(engine, sandbox);
        call(engine, "RemovePodSandbox", &text(1, sandbox));
    }
}

/// Removes the pod as a kubelet does.
#[track_caller]
pub(crate) fn remove(engine: &TestEngine, pod: &Pod) {
    call(engine, "StopPodSandbox", &text(1, &pod.sandbox));
    call(engine, "RemovePodSandbox", &text(1, &pod.sandbox));
}

/// Calls the runtime service: the first text of its answer, which is an id where there is one.
#[track_caller]
fn call(engine: &TestEngine, method: &str, request: &[u8]) -> String {
    grpc(engine, &format!("runtime.v1.RuntimeService/{method}"), request)
}

/// Calls a method of containerd, in its namespace `default` where it has such: the first text of its answer.
#[track_caller]
pub(crate) fn grpc(engine: &TestEngine, method: &str, request: &[u8]) -> String {
    let (body, answer) = (engine.directory().join("request"), engine.directory().join("answer"));
    let length = u32::try_from(request.len()).expect("a small request");
    fs::write(&body, [&[0], &length.to_be_bytes()[..], request].concat()).expect("write a request");
    let told = engine.sh(&format!(
        "curl -sS --http2-prior-knowledge --unix-socket /run/containerd/containerd.sock \
         -H 'content-type: application/grpc' -H 'te: trailers' -H 'containerd-namespace: default' \
         --data-binary @{} -o {} -D - http://localhost/{method}",
        body.display(),
        answer.display()
    ));
    assert!(told.contains("grpc-status: 0"), "{method}: {told}");
    let bytes = fs::read(&answer).expect("read the answer");
    match bytes.get(5..) {
        Some([0x0a, length, rest @ ..]) => {
            String::from_utf8_lossy(rest.get(..usize::from(*length)).unwrap_or_default()).into_owned()
        }
        _ => String::new(),
    }
}

/// A field of protobuf that holds a text.
pub(crate) fn text(field: u8, text: &str) -> Vec<u8> {
    message(field, text.as_bytes())
}

fn flag(field: u8, on: bool) -> Vec<u8> {
    vec![field << 3, u8::from(on)]
}

fn label(field: u8, key: &str, value: &str) -> Vec<u8> {
    message(field, &[text(1, key), text(2, value)].concat())
}

fn message(field: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![field << 3 | 2];
    let mut length = content.len();
    while length >= 0x80 {
        bytes.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    bytes.push(length as u8);
    bytes.extend_from_slice(content);
    bytes
}

/// How many containers the service knows, in whatever state.
#[track_caller]
pub(crate) fn containers(engine: &TestEngine) -> usize {
    call(engine, "ListContainers", &[]);
    let bytes = fs::read(engine.directory().join("answer")).expect("read the answer");
    let mut rest = bytes.get(5..).unwrap_or_default();
    let mut count = 0;
    // ListContainersResponse.containers, each with its length before it.
    while let [0x0a, after @ ..] = rest {
        let (mut length, mut shift, mut used) = (0_usize, 0, 0);
        for byte in after {
            length |= usize::from(byte & 0x7f) << shift;
            (shift, used) = (shift + 7, used + 1);
            if byte & 0x80 == 0 {
                break;
            }
        }
        rest = after.get(used + length..).unwrap_or_default();
        count += 1;
    }
    count
}
