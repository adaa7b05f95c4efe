//! Many commands at once, also on one container.

use std::collections::BTreeSet;

use super::{BUSYBOX, engine};

#[test]
fn twenty_at_once_have_an_address_each() {
    let engine = engine();
    let runs: Vec<_> =
        (0..20).map(|_| engine.call(["run", "-d", "-p", "80", BUSYBOX, "sleep", "1000"]).spawn()).collect();
    let ids: Vec<String> = runs.into_iter().map(|run| run.wait().ok().to_owned()).collect();
    let format =
        "{{.NetworkSettings.IPAddress}} {{(index (index .NetworkSettings.Ports \"80/tcp\") 0).HostPort}}";
    let inspect = engine.wharfie(["inspect", "-f", format].into_iter().chain(ids.iter().map(String::as_str)));
    let words = |index| {
        inspect.ok().lines().filter_map(move |line| line.split(' ').nth(index)).collect::<BTreeSet<_>>()
    };
    assert_eq!((words(0).len(), words(1).len()), (20, 20), "{inspect:?}");
    let removals: Vec<_> = ids.iter().map(|id| engine.call(["rm", "-f", id]).spawn()).collect();
    for removal in removals {
        removal.wait().ok();
    }
    engine.assert_clean();
}

#[test]
fn two_commands_on_one_container_end_in_one_of_the_two_orders() {
    let engine = engine();
    let sleep = ["--name", "web", "-p", "8080:80", "-v", "/anonymous", BUSYBOX, "sleep", "1000"];
    let pairs: [(&str, [&[&str]; 2]); 7] = [
        ("create", [&["start", "web"], &["start", "web"]]),
        ("create", [&["start", "web"], &["rm", "-fv", "web"]]),
        ("run -d", [&["stop", "-t", "1", "web"], &["stop", "-t", "1", "web"]]),
        ("run -d", [&["rm", "-fv", "web"], &["rm", "-fv", "web"]]),
        ("run -d", [&["stop", "-t", "1", "web"], &["rm", "-fv", "web"]]),
        ("run -d", [&["restart", "-t", "0", "web"], &["restart", "-t", "0", "web"]]),
        ("run -d --rm", [&["stop", "-t", "0", "web"], &["rm", "-fv", "web"]]),
    ];
    for (first, both) in pairs {
        for _ in 0..2 {
            engine.wharfie(first.split(' ').chain(sleep)).ok();
            let both = both.map(|arguments| engine.call(arguments.iter().copied()).spawn());
            let [one, other] = both.map(|command| command.wait());
            for output in [&one, &other] {
                let fine = output.code == 0
                    || output.stderr.contains("No such container")
                    || output.stderr.contains("is not running");
                assert!(fine, "{one:?}\n{other:?}");
            }
            if first == "create" && other.line.contains("start") {
                assert_eq!(
                    engine.wharfie(["ps", "--format", "{{.Names}}"]).ok(),
                    "web",
                    "{one:?}\n{other:?}"
                );
            }
            engine.wharfie(["rm", "-fv", "web"]).ok();
            engine.assert_clean();
        }
    }
}

#[test]
fn one_name_is_given_once() {
    let engine = engine();
    for _ in 0..3 {
        let runs: Vec<_> = (0..6)
            .map(|_| engine.call(["run", "-d", "--name", "web", BUSYBOX, "sleep", "1000"]).spawn())
            .collect();
        let outputs: Vec<_> = runs.into_iter().map(|run| run.wait()).collect();
        let winners = outputs.iter().filter(|output| output.code == 0).count();
        assert_eq!(winners, 1, "{outputs:?}");
        for output in outputs.iter().filter(|output| output.code != 0) {
            assert!(
                output.fails(125).contains("Conflict. The container name \"/web\" is already in use"),
                "{output:?}"
            );
        }
        engine.wharfie(["rm", "-f", "web"]).ok();
        engine.assert_clean();
    }
}
