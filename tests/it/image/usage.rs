//! `image usage`, `system df -v`, and what nobody needs any more.

use std::collections::HashMap;

use containerd_client::services::v1::leases_client::LeasesClient;
use containerd_client::services::v1::{AddResourceRequest, CreateRequest, Resource};
use containerd_client::tonic::Request;
use containerd_client::with_namespace;

use crate::call::Output;
use crate::engine::TestEngine;
use crate::images::{Image, tar_of};

/// containerd without CRI, that collects nothing by itself unless something is removed.
fn calm() -> TestEngine {
    let engine = TestEngine::with_config(
        r#"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime"]
[plugins."io.containerd.gc.v1.scheduler"]
startup_delay = "10h"
mutation_threshold = 1000000
"#,
    );
    engine.accept();
    engine
}

/// Bytes of every blob by digest.
fn blobs(engine: &TestEngine) -> HashMap<String, u64> {
    let listed = engine.sh("for d in $(ctr content ls -q); do echo $d $(ctr content get $d | wc -c); done");
    listed
        .lines()
        .map(|line| {
            let (digest, bytes) = line.split_once(' ').unwrap();
            (digest.to_owned(), bytes.parse().unwrap())
        })
        .collect()
}

/// Bytes of the committed snapshots, all together.
fn unpacked(engine: &TestEngine) -> u64 {
    engine.sh("ctr snapshots usage -b | awk 'NR > 1 {sum += $2} END {print sum + 0}'").trim().parse().unwrap()
}

/// Size, content, unpacked, shared, unique of an image.
fn usage(engine: &TestEngine, name: &str) -> [u64; 5] {
    let format = "{{.Name}} {{.Size}} {{.ContentSize}} {{.UnpackedSize}} {{.SharedSize}} {{.UniqueSize}}";
    let output = engine.wharfie(["image", "usage", "--bytes", "--format", format]);
    let line =
        output.ok().lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{output:?}"));
    let cells: Vec<u64> = line.split(' ').skip(1).map(|cell| cell.parse().unwrap()).collect();
    cells.try_into().unwrap()
}

#[test]
fn bytes_are_right() {
    let engine = calm();
    let base = Image::new([tar_of([("base", &[1_u8; 100_000][..])])]);
    engine.load_with_ctr("docker.io/library/base:1", &base);
    let content = |engine: &TestEngine| blobs(engine).values().sum::<u64>();
    let (bytes, snapshots) = (content(&engine), unpacked(&engine));
    assert_eq!(usage(&engine, "base:1"), [bytes + snapshots, bytes, snapshots, 0, bytes + snapshots]);
    // One that stands on the same layer.
    let top = tar_of([("top", &[2_u8; 30_000][..])]);
    let larger = Image { layers: vec![base.layers[0].clone(), top], ..base.clone() };
    engine.load_with_ctr("docker.io/library/larger:1", &larger);
    let common = base.layers[0].len() as u64 + snapshots;
    let [size, _, _, shared, unique] = usage(&engine, "larger:1");
    assert_eq!((shared, unique), (common, size - common));
    assert_eq!(usage(&engine, "base:1")[3], common);
    let all = content(&engine) + unpacked(&engine);
    assert_eq!(all, size + usage(&engine, "base:1")[4]);
    // system df tells the same.
    let df = engine.wharfie([
        "system",
        "df",
        "-v",
        "--format",
        "{{range .Images}}{{.Repository}} {{.SharedSize}}\n{{end}}",
    ]);
    let human = engine
        .wharfie(["image", "usage", "--format", "{{.SharedSize}}"])
        .ok()
        .lines()
        .next()
        .unwrap()
        .to_owned();
    assert!(df.ok().lines().any(|line| line == format!("base {human}")), "{df:?} {human}");
    // What a prune says is what goes.
    let look = engine.wharfie(["image", "prune", "-a", "--dry-run", "--filter", "label!=x"]).ok().to_owned();
    assert!(look.ends_with(&format!("Total reclaimable space: {}", decimal(all))), "{look} {all}");
    // A blob that is not there takes no room: CRI may discard layers once they are unpacked.
    let layer = larger.blobs()[3].digest.clone();
    engine.ctr(["content", "rm", &layer]).ok();
    assert_eq!(usage(&engine, "larger:1")[0], size - larger.layers[1].len() as u64);
    let size_in_list = engine.wharfie(["images", "--format", "{{.Size}}", "larger"]).ok().to_owned();
    assert_eq!(size_in_list, three_digits(size - larger.layers[1].len() as u64));
    engine.wharfie(["image", "prune", "-af"]).ok();
    assert_eq!((content(&engine), unpacked(&engine)), (0, 0));
    engine.assert_clean();
}

/// Bytes as docker rounds them, to four digits.
fn decimal(bytes: u64) -> String {
    human(bytes, 4)
}

fn three_digits(bytes: u64) -> String {
    human(bytes, 3)
}

fn human(bytes: u64, digits: usize) -> String {
    let kilo = bytes as f64 / 1000.0;
    assert!((1.0..1000.0).contains(&kilo), "{bytes}");
    let whole = (kilo.log10().floor() as usize) + 1;
    let text = format!("{kilo:.*}", digits.saturating_sub(whole));
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text}kB")
}

/// `KIND ID KEPT BY` of each orphan.
fn orphans(engine: &TestEngine) -> Vec<String> {
    let output = engine.wharfie([
        "image",
        "usage",
        "--orphans",
        "--no-trunc",
        "--format",
        "{{.Kind}} {{.ID}} {{.KeptBy}}",
    ]);
    output.ok().lines().map(|line| line.trim_end().to_owned()).collect()
}

fn prune(engine: &TestEngine, more: &[&str]) -> Output {
    engine.wharfie(["image", "prune", "--orphans", "-f"].iter().chain(more).copied())
}

#[test]
fn what_nothing_keeps_is_found_and_goes() {
    let engine = calm();
    engine.load_with_ctr("docker.io/library/kept:1", &Image::new([tar_of([("f", b"kept".as_slice())])]));
    engine.wharfie(["create", "--name", "user", "kept:1", "true"]).ok();
    engine.accept();
    assert_eq!(orphans(&engine), Vec::<String>::new());
    let before = (blobs(&engine), unpacked(&engine));
    // A blob and a snapshot that nothing but their own labels keep.
    engine.sh("printf lonely | ctr content ingest lonely; ctr snapshots prepare left > /dev/null");
    let blob = crate::images::digest(b"lonely");
    let root = "containerd.io/gc.root";
    engine.ctr(["content", "label", &blob, &format!("{root}=now")]).ok();
    engine.ctr(["snapshots", "label", "left", &format!("{root}=now")]).ok();
    let labelled = [format!("blob {blob} label"), "snapshot overlayfs/left label".into()];
    assert_eq!(orphans(&engine), labelled);
    assert_eq!(prune(&engine, &[]).ok(), "Total reclaimed space: 0B");
    assert_eq!(orphans(&engine), labelled);
    // And that a lease keeps.
    lease(&engine, "somebody", &[("content", &blob), ("snapshots/overlayfs", "left")]);
    engine.sh(&format!("ctr content label {blob} {root}= && ctr snapshots label left {root}="));
    let leased = [format!("blob {blob} lease somebody"), "snapshot overlayfs/left lease somebody".into()];
    assert_eq!(orphans(&engine), leased);
    assert_eq!(prune(&engine, &[]).ok(), "Total reclaimed space: 0B");
    assert_eq!(orphans(&engine), leased);
    // Labelled again while the lease goes, which has the collector run.
    engine.ctr(["content", "label", &blob, &format!("{root}=now")]).ok();
    engine.ctr(["snapshots", "label", "left", &format!("{root}=now")]).ok();
    engine.ctr(["leases", "rm", "--sync", "somebody"]).ok();
    engine.sh(&format!("ctr content label {blob} {root}= && ctr snapshots label left {root}="));
    let look = prune(&engine, &["--dry-run"]).ok().to_owned();
    let gone = prune(&engine, &[]).ok().to_owned();
    let rest = look.strip_prefix("Orphans that would be deleted:\n").unwrap_or_else(|| panic!("{look}"));
    assert!(rest.starts_with(&format!("blob {blob}  6B\nsnapshot overlayfs/left  ")), "{look}");
    let rest = rest.replace("reclaimable", "reclaimed");
    assert_eq!(gone.strip_prefix("Deleted Orphans:\n"), Some(rest.as_str()));
    assert_eq!(orphans(&engine), Vec::<String>::new());
    assert_eq!((blobs(&engine), unpacked(&engine)), before);
    engine.wharfie(["rm", "user"]).ok();
    engine.accept();
    let asked = engine.call(["image", "prune", "--orphans"]).stdin("n\n").run();
    assert!(asked.ok().starts_with("WARNING! This will remove all unfinished downloads"), "{asked:?}");
    engine.assert_clean();
}

#[test]
fn an_unfinished_download_stays_while_it_is_written() {
    let engine = calm();
    let mut writer = engine.program("ctr", ["content", "ingest", "slow"]).open_stdin().spawn();
    writer.send(vec![b'x'; 3_000_000]);
    engine.sh("until ctr content active | grep -q slow; do sleep 0.02; done");
    let listed = orphans(&engine);
    assert!(
        listed.len() == 1 && listed[0].starts_with("ingest ") && listed[0].ends_with(" its writer"),
        "{listed:?}"
    );
    assert_eq!(prune(&engine, &[]).ok(), "Total reclaimed space: 0B");
    // As old as anybody likes: its writer is there.
    let later = engine.sh("echo until=$(($(date +%s) + 3600))");
    let filter = ["--filter", later.trim()];
    assert_eq!(prune(&engine, &filter).ok(), "Total reclaimed space: 0B");
    assert_eq!(orphans(&engine).len(), 1);
    drop(writer);
    // containerd learns of it by the end of a connection.
    engine.sh(&format!(
        "until wharfie image prune --orphans -f {} | grep -q '^ingest '; do sleep 0.05; done",
        filter.join(" ")
    ));
    assert_eq!(orphans(&engine), Vec::<String>::new());
    engine.assert_clean();
}

/// Makes a lease that keeps these things and never ends.
fn lease(engine: &TestEngine, id: &str, things: &[(&str, &str)]) {
    let socket = engine.world().run().join("containerd/containerd.sock");
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("start a runtime");
    runtime.block_on(async {
        let channel = containerd_client::connect(socket).await.expect("connect to containerd");
        let mut leases = LeasesClient::new(channel);
        let create = CreateRequest { id: id.into(), labels: HashMap::new() };
        leases.create(with_namespace!(create, "default")).await.expect("make a lease");
        for (kind, thing) in things {
            let resource = Some(Resource { r#type: (*kind).into(), id: (*thing).into() });
            let add = AddResourceRequest { id: id.into(), resource };
            leases.add_resource(with_namespace!(add, "default")).await.expect("add to a lease");
        }
    });
}
