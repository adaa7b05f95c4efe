//! `ctr content`: blobs by digest.

use std::io::Read as _;
use std::process::Command;
use std::time::Duration;

use jiff::Timestamp;

use super::registry::RegistryFlags;
use super::{connect, flags, shown, transfer};
use crate::cli::Context;
use crate::containerd::Client;
use crate::engine::Engine;
use crate::engine::image::{self, PullOptions, PullRequest};
use crate::error::{Error, Result};
use crate::image::digest::sha256;
use crate::image::progress::Silent;
use crate::output::units::{human_duration, human_size};

/// Bytes written to containerd at a time.
const PART: usize = 1 << 20;

#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// Display active transfers
    Active(ActiveArgs),
    /// Permanently delete one or more blobs
    #[command(visible_aliases = ["del", "remove", "rm"])]
    Delete(DigestArgs),
    /// Edit a blob and return a new digest
    Edit(EditArgs),
    /// Fetch all content for an image into containerd
    Fetch(FetchArgs),
    /// Retrieve objects from a remote
    FetchObject(RemoteArgs),
    /// Retrieve blobs from a remote
    FetchBlob(BlobArgs),
    /// Get the data for an object
    Get(GetArgs),
    /// Accept content into the store
    Ingest(IngestArgs),
    /// List all blobs in the store
    #[command(visible_alias = "ls")]
    List(ListArgs),
    /// Push an object to a remote
    PushObject(PushArgs),
    /// Add labels to content
    Label(LabelArgs),
    /// Prunes content from the content store
    #[command(subcommand)]
    Prune(PruneVerb),
}

#[derive(Debug, clap::Subcommand)]
pub enum PruneVerb {
    /// Prunes preference labels from the content store (layers only by default)
    References(ReferencesArgs),
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ctr content active")]
pub struct ActiveArgs {
    /// Total timeout for fetch; taken for ctr's sake
    #[arg(short, long, value_name = "duration", value_parser = flags::duration)]
    timeout: Option<Duration>,
    /// Path to content store root; taken for ctr's sake
    #[arg(long, value_name = "value")]
    root: Option<String>,
    /// An expression that the references match
    #[arg(value_name = "regexp")]
    expression: Option<String>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ctr content rm sha256:…")]
pub struct DigestArgs {
    /// The blobs
    #[arg(value_name = "digest")]
    digests: Vec<String>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ctr content get sha256:… > manifest.json")]
pub struct GetArgs {
    /// The blob
    #[arg(value_name = "digest")]
    digest: Option<String>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ctr content edit --editor vi sha256:…")]
pub struct EditArgs {
    /// Validate the result against a format (json, mediatype, etc.)
    #[arg(long, value_name = "value")]
    validate: Option<String>,
    /// Select editor (vim, emacs, etc.) [default: EDITOR]
    #[arg(long, value_name = "value")]
    editor: Option<String>,
    /// The blob
    #[arg(value_name = "digest")]
    digest: Option<String>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ctr content fetch docker.io/library/busybox:latest")]
pub struct FetchArgs {
    #[command(flatten)]
    registry: RegistryFlags,
    /// Labels to attach to the image
    #[arg(long, value_name = "key=value")]
    label: Vec<String>,
    /// Pull content from a specific platform
    #[arg(long, value_name = "value")]
    platform: Vec<String>,
    /// Pull content from all platforms
    #[arg(long)]
    all_platforms: bool,
    /// (Deprecated: use skip-metadata) Pull metadata for all platforms
    #[arg(long, hide = true)]
    all_metadata: bool,
    /// Skips metadata for unused platforms; wharfie never brings it
    #[arg(long)]
    skip_metadata: bool,
    /// Pull all metadata including manifests and configs
    #[arg(long)]
    metadata_only: bool,
    /// The image
    #[arg(value_name = "remote object")]
    words: Vec<String>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ctr content fetch-object docker.io/library/busybox:latest")]
pub struct RemoteArgs {
    #[command(flatten)]
    registry: RegistryFlags,
    /// The image whose manifest or index is written to standard output
    #[arg(value_name = "remote object hint")]
    words: Vec<String>,
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ctr content fetch-blob docker.io/library/busybox:latest sha256:… > layer.tar.gz"
)]
pub struct BlobArgs {
    #[command(flatten)]
    registry: RegistryFlags,
    /// Specify target mediatype for request header
    #[arg(long, value_name = "value")]
    media_type: Option<String>,
    /// A name in the registry, then blobs of its repository
    #[arg(value_name = "remote digest")]
    words: Vec<String>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ctr content ingest --expected-digest sha256:… key < file")]
pub struct IngestArgs {
    /// Validate against provided size
    #[arg(long, value_name = "value", default_value_t = 0)]
    expected_size: u64,
    /// Verify content against expected digest
    #[arg(long, value_name = "value")]
    expected_digest: Option<String>,
    /// A name for the upload
    #[arg(value_name = "key")]
    key: Option<String>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ctr content ls\n  ctr content ls -q 'labels.team==ci'")]
pub struct ListArgs {
    /// Print only the blob digest
    #[arg(short, long)]
    quiet: bool,
    /// containerd's filters, one of which must match
    #[arg(value_name = "filter")]
    filters: Vec<String>,
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ctr content push-object host:5000/app:1 sha256:… application/vnd.oci.image.layer.v1.tar+gzip"
)]
pub struct PushArgs {
    #[command(flatten)]
    registry: RegistryFlags,
    /// A name in the registry, the blob, its media type
    #[arg(value_name = "remote object type")]
    words: Vec<String>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ctr content label sha256:… team=ci old=")]
pub struct LabelArgs {
    /// The blob, then labels; an empty value clears one
    #[arg(value_name = "digest label=value")]
    words: Vec<String>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ctr content prune references --dry")]
pub struct ReferencesArgs {
    /// Allow garbage collection to cleanup asynchronously
    #[arg(long)]
    r#async: bool,
    /// Just show updates without applying (enables debug logging)
    #[arg(long)]
    dry: bool,
}

pub(super) async fn run(verb: Verb, cx: &mut Context<'_>) -> Result<u8> {
    match verb {
        Verb::Active(args) => active(args, cx).await,
        Verb::Delete(args) => delete(args, cx).await,
        Verb::Edit(args) => edit(args, cx).await,
        Verb::Fetch(args) => fetch(args, cx).await,
        Verb::FetchObject(args) => fetch_object(args, cx).await,
        Verb::FetchBlob(args) => fetch_blob(args, cx).await,
        Verb::Get(args) => get(args, cx).await,
        Verb::Ingest(args) => ingest(args, cx).await,
        Verb::List(args) => list(args, cx).await,
        Verb::PushObject(args) => push_object(args, cx).await,
        Verb::Label(args) => label(args, cx).await,
        Verb::Prune(PruneVerb::References(args)) => prune(args, cx).await,
    }
}

fn age(since: Option<Timestamp>) -> String {
    let passed = Timestamp::now().duration_since(since.unwrap_or_default());
    human_duration(Duration::try_from(passed).unwrap_or_default())
}

async fn active(args: ActiveArgs, cx: &mut Context<'_>) -> Result<u8> {
    let filters = args.expression.into_iter().filter(|text| !text.is_empty()).collect();
    let mut table = String::from("REF\tSIZE\tAGE\t\n");
    for ingest in connect(cx).await?.containerd.ingests_like(filters).await? {
        let (size, age) = (human_size(ingest.offset as f64), age(ingest.started_at));
        table += &format!("{}\t{size}\t{age}\t\n", ingest.reference);
    }
    cx.ui.print(shown::tabbed(&table))?;
    Ok(0)
}

async fn list(args: ListArgs, cx: &mut Context<'_>) -> Result<u8> {
    let mut table = String::from("DIGEST\tSIZE\tAGE\tLABELS\n");
    for blob in connect(cx).await?.containerd.blobs(&args.filters).await? {
        if args.quiet {
            cx.ui.line(blob.digest)?;
            continue;
        }
        let (size, age) = (human_size(blob.size as f64), age(blob.created_at));
        table += &format!("{}\t{size}\t{age}\t{}\n", blob.digest, shown::pairs_or_dash(&blob.labels));
    }
    if !args.quiet {
        cx.ui.print(shown::tabbed(&table))?;
    }
    Ok(0)
}

async fn get(args: GetArgs, cx: &mut Context<'_>) -> Result<u8> {
    let digest = shown::digest(args.digest.as_deref().unwrap_or_default())?;
    let engine = connect(cx).await?;
    write_blob(&engine.containerd, &digest, cx).await?;
    Ok(0)
}

/// A blob to standard output.
pub(super) async fn write_blob(client: &Client, digest: &str, cx: &mut Context<'_>) -> Result<()> {
    // Asked first: a blob of no bytes and one that is not there look alike to a reader.
    client.blob(digest).await?;
    let mut reader = client.blob_reader(digest, 0).await?;
    while let Some(part) = reader.part().await? {
        cx.ui.write(&part)?;
    }
    Ok(())
}

async fn label(args: LabelArgs, cx: &mut Context<'_>) -> Result<u8> {
    let (object, labels) = shown::object(&args.words);
    let digest = shown::digest(&object)?;
    let engine = connect(cx).await?;
    let blob = match labels.is_empty() {
        true => engine.containerd.blob(&digest).await?,
        false => engine.containerd.relabel_blob(&digest, labels).await?,
    };
    cx.ui.line(shown::pairs(&blob.labels))?;
    Ok(0)
}

async fn delete(args: DigestArgs, cx: &mut Context<'_>) -> Result<u8> {
    let engine = connect(cx).await?;
    let mut first = None;
    for word in &args.digests {
        let removed = match shown::digest(word) {
            Ok(digest) => engine.containerd.delete_blob(&digest).await.map_err(Error::from),
            Err(error) => Err(error),
        };
        match removed {
            Ok(()) => cx.ui.line(word)?,
            Err(error) if error.kind == crate::Kind::NotFound => {}
            Err(error) => {
                shown::log(cx.ui, "error", &format!("could not delete {word}"), Some(&error))?;
                first.get_or_insert(error);
            }
        }
    }
    first.map_or(Ok(0), Err)
}

async fn ingest(args: IngestArgs, cx: &mut Context<'_>) -> Result<u8> {
    let expected = args.expected_digest.as_deref().map(shown::digest).transpose()?.unwrap_or_default();
    let key = args.key.filter(|key| !key.is_empty());
    let key = key.ok_or_else(|| Error::failed("must specify a transaction reference"))?;
    let engine = connect(cx).await?;
    let mut hasher = crate::image::digest::Hasher::default();
    let mut writer = match engine.containerd.open_writer(&key, args.expected_size, &expected).await {
        Err(error) if error.code == crate::containerd::Code::AlreadyExists => return Ok(0),
        writer => writer?,
    };
    if writer.offset() > 0 {
        writer.truncate().await?;
    }
    let mut input = std::io::stdin();
    loop {
        let mut part = vec![0; PART];
        let count = input.read(&mut part).map_err(|cause| Error::io("read", "standard input", cause))?;
        if count == 0 {
            break;
        }
        part.truncate(count);
        hasher.update(&part);
        writer.write(part).await?;
    }
    let size = writer.offset();
    if args.expected_size > 0 && args.expected_size != size {
        drop(writer);
        let _ = engine.containerd.abort_ingest(&key).await;
        return Err(Error::failed(format!(
            "unexpected commit size {size}, expected {}: failed precondition",
            args.expected_size
        )));
    }
    let digest = match expected.is_empty() {
        true => hasher.finish().to_string(),
        false => expected,
    };
    match writer.commit(&digest, Default::default()).await {
        Err(error) if error.code != crate::containerd::Code::AlreadyExists => Err(error.into()),
        _ => Ok(0),
    }
}

async fn edit(args: EditArgs, cx: &mut Context<'_>) -> Result<u8> {
    if args.validate.is_some_and(|format| !format.is_empty()) {
        return Err(Error::failed("validating the edit result not supported"));
    }
    let digest = shown::digest(args.digest.as_deref().unwrap_or_default())?;
    let engine = connect(cx).await?;
    let bytes = engine.containerd.read_blob(&digest, 64 << 20).await?;
    let editor = args.editor.or_else(|| cx.environment.set("EDITOR").map(str::to_owned));
    let editor = editor.filter(|editor| !editor.is_empty());
    let editor = editor.ok_or_else(|| Error::failed("editor is required"))?;
    let edited = crate::store::edited(&bytes, |path| {
        // The editor is a shell's words, as for every program that reads EDITOR.
        let status =
            Command::new("sh").arg("-c").arg(format!("{editor} \"$1\"")).arg("sh").arg(path).status();
        match status {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(Error::failed(format!("{editor}: {status}"))),
            Err(cause) => Err(Error::io("run", &editor, cause)),
        }
    })?;
    let digest = sha256(&edited).to_string();
    engine.containerd.write_blob(&digest, &edited, Default::default()).await?;
    cx.ui.line(digest)?;
    Ok(0)
}

async fn fetch(args: FetchArgs, cx: &mut Context<'_>) -> Result<u8> {
    let name = args.words.first().map(String::as_str).unwrap_or_default();
    if name.is_empty() {
        return Err(Error::failed("failed to resolve reference \"\": hostname required"));
    }
    let platform = transfer::platform(&args.platform)?;
    let reference = transfer::reference(name)?;
    args.registry.apply(&reference, cx)?;
    let engine = connect(cx).await?;
    let options = PullOptions {
        all_platforms: args.all_platforms,
        no_unpack: true,
        metadata_only: args.metadata_only,
        labels: shown::flag_labels(&args.label),
        also: Vec::new(),
    };
    let pulled = image::pull(&engine, &PullRequest { reference, platform, options }, &Silent).await?;
    cx.ui.line(format_args!("{}: resolved", pulled.reference.canonical()))?;
    cx.ui.line(format_args!("{} {}: done", pulled.target.media_type(), pulled.target.digest()))?;
    Ok(0)
}

async fn fetch_object(args: RemoteArgs, cx: &mut Context<'_>) -> Result<u8> {
    let name = args.words.first().filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| Error::failed("hostname required"))?;
    let reference = transfer::reference(name)?;
    args.registry.apply(&reference, cx)?;
    let manifest = image::remote_manifest(&cx.config, &reference).await?;
    cx.ui.write(&manifest)?;
    Ok(0)
}

async fn fetch_blob(args: BlobArgs, cx: &mut Context<'_>) -> Result<u8> {
    let Some((name, digests)) = args.words.split_first().filter(|(_, digests)| !digests.is_empty()) else {
        return Err(Error::failed("must specify digests"));
    };
    let reference = transfer::reference(name)?;
    args.registry.apply(&reference, cx)?;
    for digest in digests {
        let digest = shown::digest(digest)?;
        let mut blob = image::remote_blob(&cx.config, &reference, &digest).await?;
        while let Some(part) = blob.next().await? {
            cx.ui.write(&part)?;
        }
    }
    Ok(0)
}

async fn push_object(args: PushArgs, cx: &mut Context<'_>) -> Result<u8> {
    let word = |number: usize| args.words.get(number).map(String::as_str).unwrap_or_default();
    let (name, digest, kind) = (word(0), shown::digest(word(1))?, word(2));
    let reference = transfer::reference(name)?;
    args.registry.apply(&reference, cx)?;
    let engine: Engine = connect(cx).await?;
    image::push_object(&engine, &reference, &digest, kind).await?;
    cx.ui.line(format_args!("Pushed {digest} {kind}"))?;
    Ok(0)
}

/// Layers whose snapshots are there need no content: forget that manifests refer to them.
async fn prune(args: ReferencesArgs, cx: &mut Context<'_>) -> Result<u8> {
    let engine = connect(cx).await?;
    if args.dry {
        shown::log(cx.ui, "debug", "dry run, no changes will be applied", None)?;
    }
    for blob in engine.containerd.blobs(&[]).await? {
        let layers = blob.labels.keys().filter(|key| key.starts_with("containerd.io/gc.ref.content.l."));
        let mut gone = std::collections::HashMap::new();
        for key in layers {
            if args.dry || cx.config.debug {
                shown::log(cx.ui, "debug", &format!("Removing label {key} of {}", blob.digest), None)?;
            }
            gone.insert(key.clone(), String::new());
        }
        if !args.dry && !gone.is_empty() {
            engine.containerd.label_blob(&blob.digest, gone).await?;
        }
    }
    if !args.dry && !args.r#async {
        // A lease's end is what makes containerd collect at once.
        let id = format!("wharfie-collect-{}", std::process::id());
        engine.containerd.create_lease(&id, jiff::SignedDuration::from_mins(1)).await?;
        engine.containerd.delete_lease(&id, true).await?;
    }
    Ok(0)
}
