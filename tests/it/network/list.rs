//! `network ls` and `network inspect`.

use serde_json::Value;

use super::{BUSYBOX, create, engine, field, sleeper};

#[test]
fn networks_are_listed_as_docker_lists_them() {
    let engine = engine();
    let id = create(&engine, &["--label", "a=b", "--internal"], "shop");
    let table = engine.wharfie(["network", "ls"]).ok().to_owned();
    let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0].join(" "), "NETWORK ID NAME DRIVER SCOPE");
    let named: Vec<String> = rows[1..].iter().map(|row| row[1..].join(" ")).collect();
    assert_eq!(named, ["bridge bridge local", "host host local", "none null local", "shop bridge local"]);
    assert_eq!(rows[4][0], &id[..12]);
    let list =
        |flags: &[&str]| engine.wharfie(["network", "list"].iter().chain(flags).copied()).ok().to_owned();
    assert_eq!(list(&["-q", "--no-trunc", "-f", "name=shop"]), id);
    assert_eq!(list(&["-q", "-f", "id="]).lines().count(), 4);
    assert_eq!(
        list(&[
            "-f",
            "driver=bridge",
            "--format",
            "{{.Name}} {{.Internal}} {{.IPv4}} {{.IPv6}} {{.Labels}} {{.Label \"a\"}}"
        ]),
        "bridge false true false  \nshop true true false a=b b"
    );
    for (filter, expected) in [
        ("type=custom", "shop"),
        ("type=builtin", "bridge\nhost\nnone"),
        ("label=a=b", "shop"),
        ("scope=local", "bridge\nhost\nnone\nshop"),
        ("scope=swarm", ""),
        ("dangling=true", "shop"),
        ("name=^h", "host"),
    ] {
        assert_eq!(list(&["-f", filter, "--format", "{{.Name}}"]), expected, "{filter}");
    }
    let row: Value = serde_json::from_str(&list(&["-f", "name=shop", "--format", "json"])).unwrap();
    assert_eq!((row["Name"].as_str(), row["Internal"].as_str()), (Some("shop"), Some("true")));
    assert!(row["CreatedAt"].as_str().unwrap().ends_with("UTC"), "{row}");
    assert!(
        list(&["-f", "name=shop", "--format", "raw"])
            .starts_with(&format!("network_id: {}\nname: shop\n", &id[..12]))
    );
    let wrong = engine.wharfie(["network", "ls", "-f", "colour=red"]);
    assert!(wrong.fails(1).contains("invalid filter 'colour'"), "{wrong:?}");
    // One that a container refers to is not dangling, also while it does not run.
    engine.wharfie(["create", "--name", "web", "--network", "shop", BUSYBOX]).ok();
    assert_eq!(list(&["-f", "dangling=true", "-q"]), "");
    engine.wharfie(["rm", "web"]).ok();
    engine.wharfie(["network", "rm", &id[..8]]).ok();
    engine.assert_clean();
}

#[test]
fn a_network_is_described_as_docker_describes_it() {
    let engine = engine();
    let id = create(&engine, &["--ipv6", "--aux-address", "a=10.3.0.9", "--subnet", "10.3.0.0/24"], "shop");
    let container = sleeper(&engine, &["--name", "web", "--network", "shop"]);
    engine.wharfie(["run", "-d", "--name", "open", "--network", "host", BUSYBOX, "sleep", "1000"]).ok();
    let json = |arguments: &[&str]| -> Value {
        serde_json::from_str(engine.wharfie(arguments.iter().copied()).ok()).expect("JSON")
    };
    let shop = json(&["network", "inspect", "--verbose", "shop"]);
    assert_eq!(crate::fields::compare("network inspect", &shop[0]), Vec::<String>::new());
    let inside = &shop[0]["Containers"][&container];
    assert_eq!(inside["Name"], "web");
    assert_eq!(inside["IPv4Address"], "10.3.0.2/24");
    assert!(inside["IPv6Address"].as_str().unwrap().ends_with("::2/64"), "{inside}");
    assert_eq!(inside["MacAddress"], "02:42:0a:03:00:02");
    for (name, driver) in [("bridge", "bridge"), ("host", "host"), ("none", "null")] {
        let one = json(&["network", "inspect", name]);
        assert_eq!(crate::fields::compare("network inspect", &one[0]), Vec::<String>::new(), "{name}");
        assert_eq!((one[0]["Name"].as_str(), one[0]["Driver"].as_str()), (Some(name), Some(driver)));
    }
    assert_eq!(field(&engine, "host", "{{range .Containers}}{{.Name}}{{end}}"), "open");
    // By a part of its id, several, through the verb for everything, and as it lies there.
    assert_eq!(field(&engine, &id[..6], "{{.Name}}"), "shop");
    let both = engine.wharfie(["network", "inspect", "-f", "{{.Name}}", "shop", "absent", "bridge"]);
    assert!(both.code == 1 && both.stdout == "shop\nbridge\n", "{both:?}");
    assert!(both.stderr.contains("Error response from daemon: network absent not found"), "{both:?}");
    assert_eq!(engine.wharfie(["inspect", "-f", "{{.Driver}}", "shop"]).ok(), "bridge");
    assert_eq!(engine.wharfie(["inspect", "--type", "network", "-f", "{{.Name}}", "bridge"]).ok(), "bridge");
    let native = json(&["network", "inspect", "--mode", "native", "shop"]);
    assert_eq!(native[0]["CNI"]["name"], "shop");
    assert_eq!(native[0]["NerdctlID"], id);
    engine.wharfie(["rm", "-f", "web", "open"]).ok();
    engine.wharfie(["network", "rm", "shop"]).ok();
    engine.assert_clean();
}
