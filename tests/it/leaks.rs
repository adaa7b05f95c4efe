//! What a test's machine holds that somebody made: two inventories compared tell what was left behind.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use containerd_client::services::v1::containers_client::ContainersClient;
use containerd_client::services::v1::content_client::ContentClient;
use containerd_client::services::v1::leases_client::LeasesClient;
use containerd_client::services::v1::namespaces_client::NamespacesClient;
use containerd_client::services::v1::snapshots::ListSnapshotsRequest;
use containerd_client::services::v1::snapshots::snapshots_client::SnapshotsClient;
use containerd_client::services::v1::tasks_client::TasksClient;
use containerd_client::services::v1::{
    ListContainersRequest, ListNamespacesRequest, ListRequest, ListStatusesRequest, ListTasksRequest,
};
use containerd_client::tonic::transport::Channel;
use containerd_client::tonic::{Request, Status};
use containerd_client::with_namespace;
use serde_json::Value;

use crate::engine::TestEngine;

/// One line a thing, its kind first. Images, their content and their committed snapshots are not counted:
/// they are what a test works with. What containerd holds is left out while it does not answer.
pub(crate) fn inventory(engine: &TestEngine) -> BTreeSet<String> {
    let mut things = in_containerd(engine).unwrap_or_default();
    things.extend(links_and_rules(engine));
    things.extend(mounts(engine));
    things.extend(files(engine));
    things.extend(processes(engine));
    things
}

fn in_containerd(engine: &TestEngine) -> Option<BTreeSet<String>> {
    let socket = engine.world().run().join("containerd/containerd.sock");
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("start a runtime");
    runtime.block_on(async {
        let channel = containerd_client::connect(socket).await.ok()?;
        let names =
            NamespacesClient::new(channel.clone()).list(ListNamespacesRequest::default()).await.ok()?;
        let mut things = BTreeSet::new();
        for namespace in names.into_inner().namespaces {
            things.extend(in_namespace(&channel, &namespace.name).await.expect("list what containerd holds"));
        }
        Some(things)
    })
}

async fn in_namespace(channel: &Channel, namespace: &str) -> Result<Vec<String>, Status> {
    let mut things = Vec::new();
    let containers = ContainersClient::new(channel.clone())
        .list(with_namespace!(ListContainersRequest::default(), namespace))
        .await?;
    things.extend(
        containers.into_inner().containers.iter().map(|one| format!("container {namespace}/{}", one.id)),
    );
    let tasks = TasksClient::new(channel.clone())
        .list(with_namespace!(ListTasksRequest::default(), namespace))
        .await?;
    things.extend(tasks.into_inner().tasks.iter().map(|one| format!("task {namespace}/{}", one.id)));
    let leases =
        LeasesClient::new(channel.clone()).list(with_namespace!(ListRequest::default(), namespace)).await?;
    things.extend(leases.into_inner().leases.iter().map(|one| format!("lease {namespace}/{}", one.id)));
    let ingests = ContentClient::new(channel.clone())
        .list_statuses(with_namespace!(ListStatusesRequest::default(), namespace))
        .await?;
    things.extend(
        ingests
            .into_inner()
            .statuses
            .iter()
            .map(|one| format!("unfinished content {namespace}/{}", one.r#ref)),
    );
    for snapshotter in ["overlayfs", "native"] {
        let request = ListSnapshotsRequest { snapshotter: snapshotter.into(), filters: Vec::new() };
        let mut stream = SnapshotsClient::new(channel.clone())
            .list(with_namespace!(request, namespace))
            .await?
            .into_inner();
        while let Some(message) = stream.message().await? {
            const COMMITTED: i32 = 3;
            let taken = message.info.iter().filter(|one| one.kind != COMMITTED);
            things.extend(taken.map(|one| format!("snapshot {snapshotter} {namespace}/{}", one.name)));
        }
    }
    Ok(things)
}

fn links_and_rules(engine: &TestEngine) -> Vec<String> {
    let told = engine.sh("ip -j -d link show; echo; nft -j list ruleset");
    let mut documents = told.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut things = Vec::new();
    for link in documents.next().iter().filter_map(Value::as_array).flatten() {
        let name = link["ifname"].as_str().unwrap_or("?");
        let kind = link["linkinfo"]["info_kind"].as_str().unwrap_or("");
        // The default network's bridge stays; so do those that a test made by hand.
        if is_of_network(name) || ["veth", "macvlan", "ipvlan", "vlan", "dummy"].contains(&kind) {
            things.push(format!("link {name}"));
        }
    }
    for object in documents.next().iter().filter_map(|all| all["nftables"].as_array()).flatten() {
        for kind in ["set", "map"] {
            let table = &object[kind];
            // The default network stays when its containers go; others are removed by name.
            let elements = table["elem"].as_array().into_iter().flatten();
            let made = elements.filter(|element| element.to_string().split('"').any(is_of_network));
            things.extend(made.map(|element| format!("nft {kind} {} element {element}", table["name"])));
            if ["bridges", "pairs", "isolated", "internal", "guarded", "subnets", "masqueraded", "loopback"]
                .iter()
                .any(|set| table["name"] == *set)
            {
                continue;
            }
            let elements = table["elem"].as_array().into_iter().flatten();
            things.extend(elements.map(|element| format!("nft {kind} {} element {element}", table["name"])));
        }
        // The rules of networks stay, those of containers name theirs in the comment.
        let rule = &object["rule"];
        if rule["comment"].as_str().is_some_and(names_a_container) {
            things.push(format!("nft rule in {}: {}", rule["chain"], rule["comment"]));
        }
    }
    things
}

/// Whether a link is one that `network create` names: a test's own have other names.
fn is_of_network(name: &str) -> bool {
    let id = name.strip_prefix("br-").or_else(|| name.strip_prefix("dm-"));
    id.is_some_and(|id| id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn names_a_container(comment: &str) -> bool {
    comment.split(|letter: char| !letter.is_ascii_hexdigit()).any(|word| word.len() >= 12)
}

fn mounts(engine: &TestEngine) -> Vec<String> {
    let table =
        fs::read_to_string(format!("/proc/{}/mountinfo", engine.world().first_process())).unwrap_or_default();
    table.lines().filter_map(|line| line.split(' ').nth(4)).map(|point| format!("mount {point}")).collect()
}

fn files(engine: &TestEngine) -> Vec<String> {
    let (run, lib) = (engine.world().run(), engine.world().lib());
    let mut things = Vec::new();
    // The directory of one containerd, then the one of one of its namespaces; files anywhere in between.
    for top in [run.join("wharfie"), lib.join("wharfie")] {
        for containerd in entries(&top) {
            for inner in entries(&containerd) {
                match name(&inner) {
                    // Copies of the program stay for the monitors of the next container.
                    "bin" => {}
                    "netns" => {
                        things.extend(entries(&inner).iter().map(|file| seen("network namespace", file)))
                    }
                    // The resolver's lock and socket stay for the next one.
                    "names" => things.extend(
                        entries(&inner)
                            .iter()
                            .filter(|file| !name(file).starts_with('.'))
                            .map(|file| seen("names", file)),
                    ),
                    _ => things.extend(of_namespace(&inner)),
                }
            }
        }
    }
    for network in entries(&lib.join("cni/networks")) {
        let addresses =
            entries(&network).into_iter().filter(|file| name(file).parse::<std::net::IpAddr>().is_ok());
        things.extend(addresses.map(|file| seen("address", &file)));
    }
    // What `network create` makes lies in a directory of its namespace.
    for namespace in entries(&engine.directory().join("etc/cni/net.d")) {
        things.extend(entries(&namespace).iter().map(|file| seen("network", file)));
    }
    for namespace in entries(&run.join("containerd/io.containerd.runtime.v2.task")) {
        things.extend(entries(&namespace).iter().map(|bundle| seen("bundle", bundle)));
    }
    things.extend(entries(&run.join("containerd/fifo")).iter().map(|fifo| seen("fifo directory", fifo)));
    things
}

fn of_namespace(directory: &Path) -> Vec<String> {
    let mut things = Vec::new();
    for entry in entries(directory) {
        match name(&entry) {
            // The journal of what has happened outlives what it tells of.
            "locks" | "events" => {}
            "containers" | "pending" | "volumes" => {
                things.extend(entries(&entry).iter().map(|inner| seen("directory", inner)));
            }
            // In /run a namespace's directory holds one directory a container.
            _ => things.push(seen("file", &entry)),
        }
    }
    things
}

fn processes(engine: &TestEngine) -> Vec<String> {
    let mut things = Vec::new();
    for pid in engine.world().processes() {
        // A process that has ended and waits for its parent has no command line.
        let Ok(line) = fs::read(format!("/proc/{pid}/cmdline")) else { continue };
        let line = String::from_utf8_lossy(&line).trim_end_matches('\0').replace('\0', " ");
        if !line.is_empty() && !line.starts_with("containerd --config") {
            things.push(format!("process {pid} {line}"));
        }
    }
    things
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    fs::read_dir(directory).map(|all| all.flatten().map(|entry| entry.path()).collect()).unwrap_or_default()
}

fn name(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}

fn seen(kind: &str, path: &Path) -> String {
    format!("{kind} {}", path.display())
}
