//! The resolver as containers use it, and its own life.

use super::answers::ask;
use super::{BUSYBOX, address, engine, inside, network, sleeper};

#[test]
fn containers_find_one_another_by_name() {
    let engine = engine();
    network(&engine, "front", &["10.91.0.0/24"], "");
    sleeper(&engine, "web", &["--network", "front"]);
    let resolv = inside(&engine, "web", "cat /etc/resolv.conf");
    assert!(resolv.ok().starts_with("nameserver 127.0.0.11\n"), "{resolv:?}");
    assert_eq!(resolv.ok().matches("nameserver").count(), 1, "{resolv:?}");
    assert!(resolv.ok().lines().any(|line| line.starts_with("options ") && line.contains("ndots:0")));
    // The later one is known to the earlier one, at once and by its new address after each start.
    for _ in 0..3 {
        sleeper(&engine, "db", &["--network", "front", "--network-alias", "store"]);
        let db = address(&engine, "db", "eth0");
        for name in ["db", "store", "db.front"] {
            let pinged = inside(&engine, "web", &format!("ping -c1 -W5 {name}"));
            assert!(pinged.ok().contains(&format!("({db})")), "{pinged:?}");
        }
        let looked = inside(&engine, "web", "nslookup db");
        assert!(looked.ok().contains("127.0.0.11") && looked.stdout.contains(&db), "{looked:?}");
        inside(&engine, "db", "ping -c1 -W5 web").ok();
        engine.wharfie(["rm", "-f", "db"]).ok();
    }
    // One's own name is in the hosts file, resolver or not.
    assert!(inside(&engine, "web", "cat /etc/hosts").ok().contains("web"));
    engine.wharfie(["rename", "web", "shop"]).ok();
    sleeper(&engine, "db", &["--network", "front"]);
    inside(&engine, "db", "ping -c1 -W5 shop").ok();
    assert!(!ask(&engine, "db", &["A", "web"]).contains(&address(&engine, "shop", "eth0")));
    // The default network has no names, as docker's.
    sleeper(&engine, "plain", &[]);
    assert!(!inside(&engine, "plain", "cat /etc/resolv.conf").ok().contains("127.0.0.11"));
    assert_eq!(engine.sh("pgrep -fc '[_]_names /'").trim(), "1", "one for all");
    engine.wharfie(["rm", "-f", "shop", "db"]).ok();
    // It has gone with the last one that it was there for.
    engine.sh("while pgrep -f '[_]_names /' > /dev/null; do sleep 0.02; done");
    engine.wharfie(["rm", "-f", "plain"]).ok();
    engine.assert_clean();
}

#[test]
fn settings_of_the_resolver() {
    let engine = engine();
    network(&engine, "front", &["10.91.0.0/24"], "");
    let flags =
        ["--network", "front", "--dns", "9.9.9.9", "--dns-search", "example.org", "--dns-option", "ndots:2"];
    let line = [&["run", "--rm"], &flags[..], &[BUSYBOX, "cat", "/etc/resolv.conf"]].concat();
    assert_eq!(engine.wharfie(line).ok(), "nameserver 127.0.0.11\nsearch example.org\noptions ndots:2");
    engine.assert_clean();
}

#[test]
fn files_of_names_are_nobody_elses() {
    let engine = engine();
    network(&engine, "front", &["10.91.0.0/24"], "");
    sleeper(&engine, "web", &["--network", "front"]);
    let modes =
        engine.sh("stat -c '%a %F' /run/wharfie/*/names /run/wharfie/*/names/* /run/wharfie/*/names/.*[a-z]");
    for line in modes.lines() {
        let expected = if line.ends_with("directory") { "700 " } else { "600 " };
        assert!(line.starts_with(expected), "{modes}");
    }
    assert_eq!(modes.lines().count(), 4, "{modes}");
    engine.wharfie(["rm", "-f", "web"]).ok();
    engine.assert_clean();
}

#[test]
fn killed_it_comes_again() {
    let engine = engine();
    network(&engine, "front", &["10.91.0.0/24"], "");
    sleeper(&engine, "web", &["--network", "front"]);
    let web = address(&engine, "web", "eth0");
    // By any command, and by the start of another container.
    for next in [&["ps"][..], &["run", "--rm", "--network", "front", BUSYBOX, "true"]] {
        engine.sh("pkill -KILL -f '[_]_names /'");
        engine.wharfie(next.iter().copied()).ok();
        assert_eq!(ask(&engine, "web", &["A", "web"]), format!("NOERROR {web}"), "{next:?}");
    }
    // Killed with nobody left to name, it leaves nothing that hinders.
    engine.sh("pkill -KILL -f '[_]_names /'");
    engine.wharfie(["rm", "-f", "web"]).ok();
    engine.sh("while pgrep -f '[_]_names /' > /dev/null; do sleep 0.02; done");
    sleeper(&engine, "web", &["--network", "front"]);
    inside(&engine, "web", "ping -c1 -W5 web.front").ok();
    engine.wharfie(["rm", "-f", "web"]).ok();
    engine.assert_clean();
}

#[test]
fn many_at_once_find_one_another() {
    let engine = engine();
    network(&engine, "front", &["10.91.0.0/24"], "");
    let calls: Vec<_> = (0..12)
        .map(|number| {
            let name = format!("c{number}");
            engine
                .call(["run", "-d", "--name", &name, "--network", "front", BUSYBOX, "sleep", "10000"])
                .spawn()
        })
        .collect();
    for call in calls {
        call.wait().ok();
    }
    let names: Vec<String> = (0..12).map(|number| format!("c{number}")).collect();
    let question: Vec<&str> = ["A"].into_iter().chain(names.iter().map(String::as_str)).collect();
    let answers = ask(&engine, "c7", &question);
    let mut addresses: Vec<&str> = answers.lines().filter_map(|line| line.strip_prefix("NOERROR ")).collect();
    addresses.sort_unstable();
    addresses.dedup();
    assert_eq!(addresses.len(), 12, "{answers}");
    engine.wharfie(["rm", "-f"].into_iter().chain(names.iter().map(String::as_str))).ok();
    engine.assert_clean();
}
