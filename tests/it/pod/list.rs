//! `pod ls`, `inspect`, `exec`, `stats` and `top`.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::cri::{self, SLEEPER, Spec, container, sandbox};
use crate::engine::TestEngine;

const SHOWN: &str = "{{.Namespace}}/{{.Name}} {{.Ready}} {{.Status}} {{.Restarts}} {{.Address}} {{.Attempt}}";

fn shown(engine: &TestEngine, flags: &[&str]) -> String {
    engine.wharfie([&["pod", "ls", "--format", SHOWN], flags].concat()).ok().to_owned()
}

#[test]
fn pods_are_listed_with_and_without_cri() {
    let engine = cri::engine();
    cri::network(&engine);
    let web = Spec { network: true, ..Spec::new("shop", "web", "uid-1") };
    let twin = Spec { network: true, ..Spec::new("bank", "web", "uid-2") };
    let (job, crash, bare) = (
        Spec::new("shop", "job", "uid-3"),
        Spec::new("shop", "crash", "uid-4"),
        Spec::new("shop", "bare", "uid-5"),
    );
    let webs = sandbox(&engine, &web);
    let init = container(&engine, (&web, &webs), ("init", 0), "exit 0");
    cri::wait_for_end(&engine, &init);
    let app = container(&engine, (&web, &webs), ("app", 0), SLEEPER);
    container(&engine, (&web, &webs), ("side", 0), SLEEPER);
    let twins = sandbox(&engine, &twin);
    container(&engine, (&twin, &twins), ("app", 0), SLEEPER);
    let jobs = sandbox(&engine, &job);
    let ended = container(&engine, (&job, &jobs), ("main", 0), "exit 0");
    let crashes = sandbox(&engine, &crash);
    let crashed = container(&engine, (&crash, &crashes), ("main", 0), "exit 3");
    let bares = sandbox(&engine, &bare);
    for id in [&ended, &crashed] {
        cri::wait_for_end(&engine, id);
    }
    let address =
        |name: &str| engine.wharfie(["pod", "inspect", "-f", "{{index .Addresses 0}}", name]).ok().to_owned();
    let (first, second) = (address("shop/web"), address("k8s://bank/web"));
    assert!(
        first.starts_with("10.88.0.") && second.starts_with("10.88.0.") && first != second,
        "{first} {second}"
    );
    let list = shown(&engine, &[]);
    let expected = [
        format!("bank/web 1/1 Running 0 {second} 0"),
        "shop/bare 0/0 Ready 0 <none> 0".into(),
        "shop/crash 0/1 Exited (3) 0 <none> 0".into(),
        "shop/job 0/1 Completed 0 <none> 0".into(),
        format!("shop/web 2/2 Running 0 {first} 0"),
    ];
    assert_eq!(list.lines().collect::<Vec<_>>(), expected);
    // The columns, the filters, the forms.
    let table = engine.wharfie(["pods", "ls", "-n", "bank"]);
    let titles: Vec<&str> = table.ok().lines().next().unwrap().split_whitespace().collect();
    assert_eq!(titles, ["NAMESPACE", "NAME", "READY", "STATUS", "RESTARTS", "AGE", "ADDRESS"]);
    for (flags, count) in [
        (&["-A"][..], 5),
        (&["--name", "eb"], 2),
        (&["--filter", "name=web", "--filter", "namespace=shop"], 1),
        (&["-l", "app=web"], 2),
        (&["-l", "app", "--state", "ready"], 5),
        (&["-l", "none"], 0),
        (&["--state", "notready"], 0),
    ] {
        let listed = engine.wharfie([&["pod", "ls", "-q"], flags].concat());
        assert_eq!(listed.ok().lines().count(), count, "{flags:?}");
    }
    assert_eq!(engine.wharfie(["pod", "ls", "-q", "--no-trunc", "-n", "bank"]).ok(), twins);
    let json = engine.wharfie(["pod", "ls", "-o", "json", "-n", "bank"]);
    let json: Value = serde_json::from_str(json.ok()).unwrap();
    assert_eq!((&json["UID"], &json["Containers"]), (&"uid-2".into(), &"app".into()));
    assert!(engine.wharfie(["pod", "ls", "--state", "odd"]).fails(125).contains("ready or notready"));
    // Made anew: the container, and the sandbox.
    cri::stop_container(&engine, &app);
    container(&engine, (&web, &webs), ("app", 1), SLEEPER);
    cri::stop_sandbox(&engine, &twins);
    let again = Spec { attempt: 1, ..twin };
    let agains = sandbox(&engine, &again);
    container(&engine, (&again, &agains), ("app", 1), SLEEPER);
    cri::stop_sandbox(&engine, &crashes);
    cri::stop_sandbox(&engine, &jobs);
    let list = shown(&engine, &["-a"]);
    // What CRI does not know is read from containerd's records, and says the same.
    let records = format!("{SHOWN} {{{{.Runtime}}}}");
    let records = engine.wharfie(["pod", "ls", "-a", "--format", &records]);
    assert_eq!(records.ok().replace(" io.containerd.runc.v2", ""), list);
    let third = address("bank/web");
    let expected = [
        format!("bank/web 1/1 Running 1 {third} 1"),
        "bank/web 0/1 NotReady 0 <none> 0".into(),
        "shop/bare 0/0 Ready 0 <none> 0".into(),
        "shop/crash 0/1 NotReady 0 <none> 0".into(),
        "shop/job 0/1 Completed 0 <none> 0".into(),
        format!("shop/web 2/2 Running 1 {first} 0"),
    ];
    assert_eq!(list.lines().collect::<Vec<_>>(), expected);
    assert_eq!(shown(&engine, &[]).lines().count(), 5);
    // The same without the CRI service.
    engine.restart_without_cri();
    assert_eq!(shown(&engine, &["-a"]), list);
    let inspected = engine.wharfie(["pod", "inspect", "shop/web"]);
    let inspected: Value = serde_json::from_str(inspected.ok()).unwrap();
    let pod = &inspected[0];
    assert_eq!(pod["Uid"], "uid-1");
    assert_eq!(pod["Addresses"][0], first);
    assert_eq!(pod["LogDirectory"], web.logs());
    let containers = pod["Containers"].as_array().unwrap();
    let states: Vec<(&str, &str, u64)> = containers
        .iter()
        .map(|one| {
            let text = |value: &'static str| one.pointer(value).and_then(Value::as_str).unwrap();
            (text("/Name"), text("/State/Status"), one["Attempt"].as_u64().unwrap())
        })
        .collect();
    assert_eq!(
        states,
        [("init", "exited", 0), ("app", "exited", 0), ("side", "running", 0), ("app", "running", 1)]
    );
    assert_eq!(engine.wharfie(["pod", "exec", "shop/web", "-c", "side", "--", "echo", "in"]).ok(), "in");
    assert_eq!(engine.wharfie(["pod", "exec", "-c", "app", "shop/web", "echo", "in"]).ok(), "in");
    assert_eq!(engine.call(["pod", "exec", "-i", "bank/web", "cat"]).stdin("x").run().ok(), "x");
    let several = engine.wharfie(["pod", "exec", "shop/web", "true"]);
    assert!(several.fails(1).contains("shop/web/app, shop/web/side"), "{several:?}");
    let top = engine.wharfie(["pod", "top", "shop/web"]);
    for words in ["CONTAINER", "app", "side", "sh -c"] {
        assert!(top.ok().contains(words), "{words}: {top:?}");
    }
    let stats = ["pod", "stats", "--no-stream", "--format", "{{.Container}} {{.MemUsage}}"];
    let used = engine.wharfie([&stats[..], &["shop/web"]].concat());
    let mut used: Vec<&str> = used.ok().lines().map(|line| line.split(' ').next().unwrap()).collect();
    used.sort_unstable();
    assert_eq!(used, ["shop/web/app", "shop/web/side"]);
    assert_eq!(engine.wharfie(stats).ok().lines().count(), 3);
    assert!(engine.wharfie(["pod", "inspect", "web"]).fails(1).contains("bank/web, shop/web"));
    assert!(engine.wharfie(["pod", "inspect", "none"]).fails(1).contains("No such pod: none"));
    // With CRI again, to take it all down.
    cri::restart(&engine);
    cri::remove_sandboxes(&engine, &[&webs, &twins, &agains, &jobs, &crashes, &bares]);
    engine.sh("ip link del cni0; rm -rf /var/lib/cni");
    engine.assert_clean();
}

#[test]
fn a_hung_shim_hides_no_other_pod() {
    let engine = cri::engine();
    let (hung, well) = (Spec::new("shop", "hung", "uid-1"), Spec::new("shop", "well", "uid-2"));
    let ids: Vec<String> = [&hung, &well]
        .map(|spec| {
            let id = sandbox(&engine, spec);
            container(&engine, (spec, &id), ("app", 0), SLEEPER);
            id
        })
        .into();
    let shim = format!("$(pgrep -f '[c]ontainerd-shim.* -id {}')", ids[0]);
    engine.sh(&format!("kill -STOP {shim}"));
    let began = Instant::now();
    let listed = engine.wharfie(["pod", "ls", "--format", "{{.Name}} {{.Ready}} {{.Status}}"]);
    // One second on a machine with nothing else to do.
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!(listed.ok(), "hung 0/1 Unknown\nwell 1/1 Running");
    assert!(listed.stderr.contains("the shims of shop/hung did not answer in time"), "{listed:?}");
    engine.sh(&format!("kill -CONT {shim}"));
    assert_eq!(
        engine.wharfie(["pod", "ls", "--format", "{{.Name}} {{.Status}}"]).ok(),
        "hung Running\nwell Running"
    );
    cri::remove_sandboxes(&engine, &[&ids[0], &ids[1]]);
    engine.assert_clean();
}
