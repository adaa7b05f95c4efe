//! `ctr images pull`, `push`, `import`, `export` and `convert`.

use std::fs::File;
use std::time::Instant;

use super::registry::RegistryFlags;
use super::{connect, connect_for, shown};
use crate::cli::Context;
use crate::cli::whole_file::{WholeFile, check};
use crate::containerd::Image;
use crate::engine::Engine;
use crate::engine::image::{self, Archive, ConvertRequest, Lists, PullOptions, PullRequest, PushRequest};
use crate::error::{Error, Result};
use crate::image::platform::Platform;
use crate::image::progress::Silent;
use crate::image::recompress::Form;
use crate::registry::Reference;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ctr images pull docker.io/library/busybox:latest\n  \
                        ctr -n k8s.io images pull --platform linux/arm64 registry.k8s.io/pause:3.9")]
pub struct PullArgs {
    #[command(flatten)]
    registry: RegistryFlags,
    /// Snapshotter name. Empty value stands for the default value
    #[arg(long, value_name = "value")]
    snapshotter: Option<String>,
    /// Labels to attach to the image
    #[arg(long, value_name = "key=value")]
    label: Vec<String>,
    /// Pull content from a specific platform
    #[arg(long, value_name = "value")]
    platform: Vec<String>,
    /// Pull content and metadata from all platforms
    #[arg(long)]
    all_platforms: bool,
    /// (Deprecated: use skip-metadata) Pull metadata for all platforms
    #[arg(long, hide = true)]
    all_metadata: bool,
    /// Skips metadata for unused platforms; wharfie never brings it
    #[arg(long)]
    skip_metadata: bool,
    /// Print the resulting image's chain ID
    #[arg(long)]
    print_chainid: bool,
    /// Set the max concurrent downloads for each pull; wharfie takes three at a time
    #[arg(long, value_name = "value")]
    max_concurrent_downloads: Option<u32>,
    /// Print what ctr prints without containerd's transfer service, which wharfie never uses
    #[arg(long)]
    local: bool,
    /// Synchronize the underlying filesystem; containerd's own setting decides
    #[arg(long)]
    sync_fs: bool,
    /// The image
    #[arg(value_name = "ref")]
    name: Option<String>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ctr images push host:5000/app:1 docker.io/library/app:1")]
pub struct PushArgs {
    #[command(flatten)]
    registry: RegistryFlags,
    /// Digest of manifest
    #[arg(long, value_name = "value")]
    manifest: Option<String>,
    /// Media type of manifest digest
    #[arg(long, value_name = "value", default_value = "application/vnd.oci.image.manifest.v1+json")]
    manifest_type: String,
    /// Push content from a specific platform
    #[arg(long, value_name = "value")]
    platform: Vec<String>,
    /// Set the max concurrent uploaded layers for each push; wharfie sends five at a time
    #[arg(long, value_name = "value")]
    max_concurrent_uploaded_layers: Option<u32>,
    /// Allow pushing blobs that are marked as non-distributable
    #[arg(long)]
    allow_non_distributable_blobs: bool,
    /// Push without containerd's transfer service, as wharfie always does
    #[arg(long)]
    local: bool,
    /// The name in the registry, then the image here where its name is another
    #[arg(value_name = "remote local")]
    names: Vec<String>,
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ctr images import images.tar\n  ctr -n k8s.io images import --digests -"
)]
pub struct ImportArgs {
    /// Base image name for added images, when provided only images with this name prefix are imported
    #[arg(long, value_name = "value")]
    base_name: Option<String>,
    /// Whether to create digest images
    #[arg(long)]
    digests: bool,
    /// Skip applying --digests option to images named in the importing tar
    #[arg(long)]
    skip_digest_for_named: bool,
    /// Image name to keep index as, by default index is discarded
    #[arg(long, value_name = "value")]
    index_name: Option<String>,
    /// Imports content for all platforms; wharfie always does
    #[arg(long)]
    all_platforms: bool,
    /// Imports content for specific platform
    #[arg(long, value_name = "value")]
    platform: Option<String>,
    /// Skip unpacking the images
    #[arg(long)]
    no_unpack: bool,
    /// Print what ctr prints without containerd's transfer service, which wharfie never uses
    #[arg(long)]
    local: bool,
    /// Compress uncompressed blobs when creating manifest (Docker format only): not here
    #[arg(long)]
    compress_blobs: bool,
    /// Allow the garbage collector to clean layers up after unpacking
    #[arg(long)]
    discard_unpacked_layers: bool,
    /// Labels to attach to the images
    #[arg(long, value_name = "key=value")]
    label: Vec<String>,
    /// Synchronize the underlying filesystem; containerd's own setting decides
    #[arg(long)]
    sync_fs: bool,
    /// Snapshotter name. Empty value stands for the default value
    #[arg(long, value_name = "value")]
    snapshotter: Option<String>,
    /// The archive; - reads standard input
    #[arg(value_name = "in")]
    input: Option<String>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ctr images export images.tar docker.io/library/busybox:latest")]
pub struct ExportArgs {
    /// Do not add Docker compatible manifest.json to archive
    #[arg(long)]
    skip_manifest_json: bool,
    /// Do not add non-distributable blobs that are not here, which wharfie never does
    #[arg(long)]
    skip_non_distributable: bool,
    /// Export content from a specific platform
    #[arg(long, value_name = "value")]
    platform: Vec<String>,
    /// Exports content from all platforms that are here, as wharfie always does
    #[arg(long)]
    all_platforms: bool,
    /// Export without containerd's transfer service, as wharfie always does
    #[arg(long)]
    local: bool,
    /// The archive (- writes standard output), then the images
    #[arg(value_name = "out image")]
    words: Vec<String>,
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ctr images convert --oci docker.io/library/app:1 docker.io/library/app:1-oci"
)]
pub struct ConvertArgs {
    /// Convert tar.gzip layers to uncompressed tar layers
    #[arg(long)]
    uncompress: bool,
    /// Convert Docker media types to OCI media types
    #[arg(long)]
    oci: bool,
    /// Convert layers to EROFS
    #[arg(long, value_name = "value")]
    erofs: Option<String>,
    /// EROFS compressors
    #[arg(long, value_name = "value")]
    erofs_compressors: Option<String>,
    /// Options for mkfs.erofs
    #[arg(long, value_name = "value")]
    erofs_mkfs_options: Option<String>,
    /// Convert content for a specific platform
    #[arg(long, value_name = "value")]
    platform: Vec<String>,
    /// Exports content from all platforms
    #[arg(long)]
    all_platforms: bool,
    /// The image, then its new name
    #[arg(value_name = "source_ref target_ref")]
    names: Vec<String>,
}

/// One platform, or this machine's.
pub(super) fn platform(words: &[String]) -> Result<Option<Platform>> {
    match words {
        [] => Ok(None),
        [one] => Platform::parse(one).map(Some),
        _ => Err(Error::failed("one --platform at a time: name the command again for another")),
    }
}

/// A registry's reference, with ctr's complaint about one without a host.
pub(super) fn reference(name: &str) -> Result<Reference> {
    Ok(Reference::parse(name)
        .map_err(|error| error.context("failed to resolve reference"))?
        .with_default_tag())
}

/// The end of a transfer in ctr's words.
fn saved(
    cx: &mut Context<'_>,
    name: &str,
    what: &str,
    (kind, digest): (&str, &str),
    act: (&str, Instant),
) -> Result<()> {
    cx.ui.line(format_args!("{name:<40.40}\t{what}\t"))?;
    cx.ui.line(format_args!("{kind} {digest}"))?;
    let (act, begun) = act;
    cx.ui.line(format_args!(
        "{act}\telapsed: {:<4.1}s\ttotal:   0.0 B\t(0.0 B/s)\t",
        begun.elapsed().as_secs_f64()
    ))
}

pub(super) async fn pull(args: PullArgs, cx: &mut Context<'_>) -> Result<u8> {
    let name = args.name.filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| Error::failed("please provide an image reference to pull"))?;
    if !args.platform.is_empty() && args.all_platforms {
        return Err(Error::failed("cannot specify both --platform and --all-platforms"));
    }
    let wanted = platform(&args.platform)?;
    let reference = reference(&name)?;
    args.registry.apply(&reference, cx)?;
    let engine = connect_for(cx, args.snapshotter.as_deref()).await?;
    let options = PullOptions {
        all_platforms: args.all_platforms,
        labels: shown::flag_labels(&args.label),
        ..PullOptions::default()
    };
    let begun = Instant::now();
    let request = PullRequest { reference, platform: wanted.clone(), options };
    let pulled = image::pull(&engine, &request, &Silent).await?;
    let (kind, digest) = (pulled.target.media_type().to_string(), pulled.target.digest().to_string());
    let canonical = pulled.reference.canonical();
    if args.local {
        let shown = wanted.clone().unwrap_or_else(Platform::host);
        cx.ui.line(format_args!("unpacking {shown} {digest}..."))?;
    }
    if args.print_chainid {
        let named = engine.containerd.image(&canonical).await?;
        let found = image::read(&engine.containerd, &named, wanted.as_ref()).await?;
        cx.ui.line(format_args!("image chain ID: {}", found.chain_id))?;
    }
    if args.local {
        cx.ui.line(format_args!("done: {:?}\t", begun.elapsed()))?;
        return Ok(0);
    }
    let act = format!("Completed pull from OCI Registry ({canonical})");
    saved(cx, &canonical, "saved", (&kind, &digest), (&act, begun))?;
    Ok(0)
}

pub(super) async fn push(args: PushArgs, cx: &mut Context<'_>) -> Result<u8> {
    let Some(remote) = args.names.first().filter(|name| !name.is_empty()) else {
        return Err(Error::failed("please provide a remote image reference to push"));
    };
    let local = args.names.get(1).unwrap_or(remote);
    let reference = reference(remote)?;
    let wanted = platform(&args.platform)?;
    args.registry.apply(&reference, cx)?;
    let engine = connect(cx).await?;
    let target = match &args.manifest {
        Some(digest) => {
            let digest = shown::digest(digest)?;
            let blob = engine.containerd.blob(&digest).await?;
            let parsed = digest
                .parse::<oci_spec::image::Digest>()
                .map_err(|_| Error::failed("invalid checksum digest format"))?;
            oci_spec::image::Descriptor::new(args.manifest_type.as_str().into(), blob.size, parsed)
        }
        None => {
            let named = engine.containerd.image(local).await.map_err(Error::from);
            let named = named.map_err(|error| error.context("unable to resolve image to manifest"))?;
            match &wanted {
                Some(platform) => {
                    image::read(&engine.containerd, &named, Some(platform)).await?.manifest_descriptor
                }
                None => named.target,
            }
        }
    };
    let begun = Instant::now();
    let request = PushRequest {
        target,
        reference,
        nondistributable: args.allow_non_distributable_blobs,
        else_one: false,
    };
    let pushed = image::push(&engine, &request, &Silent).await?;
    let (kind, digest) = (pushed.target.media_type().to_string(), pushed.target.digest().to_string());
    let act = format!("Completed push to OCI Registry ({remote})");
    saved(cx, remote, "pushed", (&kind, &digest), (&act, begun))?;
    Ok(0)
}

pub(super) async fn import(args: ImportArgs, cx: &mut Context<'_>) -> Result<u8> {
    if args.compress_blobs {
        return Err(Error::failed("--compress-blobs is not here")
            .hint("leave it out, and compress the image with `wharfie image convert --zstd`"));
    }
    if args.discard_unpacked_layers && args.no_unpack {
        return Err(Error::failed("--discard-unpacked-layers and --no-unpack are incompatible options"));
    }
    let index_name = args.index_name.as_deref().filter(|name| !name.is_empty());
    let index_name = index_name.map(reference).transpose()?;
    let list = index_name.as_ref().map(Reference::canonical);
    if args.skip_digest_for_named && !args.digests {
        return Err(Error::failed("--skip-digest-for-named must be specified with --digests option"));
    }
    let wanted = args.platform.as_deref().map(Platform::parse).transpose()?;
    let name = args.input.unwrap_or_default();
    let archive = match name.as_str() {
        "-" => Archive::Stream(Box::new(std::io::stdin())),
        path => {
            let opened = File::open(cx.environment.directory.join(path));
            Archive::File(opened.map_err(|cause| Error::io("open", path, cause))?)
        }
    };
    let engine = connect_for(cx, args.snapshotter.as_deref()).await?;
    let begun = Instant::now();
    let request = image::LoadRequest {
        platforms: wanted.into_iter().collect(),
        no_unpack: args.no_unpack,
        discard_layers: args.discard_unpacked_layers,
        index_name,
    };
    let loaded = image::load(&engine, archive, &request, &Silent).await?;
    let base = args.base_name.clone().filter(|base| !base.is_empty());
    let labels = shown::flag_labels(&args.label);
    for image::Loaded { name, id } in loaded {
        let canonical = match &name {
            Some(name) => Some(Reference::parse(name)?.canonical()),
            None => None,
        };
        let prefix =
            base.clone().unwrap_or_else(|| format!("import-{}", jiff::Zoned::now().strftime("%Y-%m-%d")));
        let by_digest = format!("{prefix}@{id}");
        let mut names: Vec<String> = canonical.iter().cloned().collect();
        let is_list = canonical.is_some() && canonical == list;
        if canonical.is_none() || (args.digests && !args.skip_digest_for_named && !is_list) {
            let target = target_of(&engine, &id).await?;
            rename(&engine, &by_digest, &target).await?;
            names.push(by_digest);
        }
        for name in names {
            let mut named = engine.containerd.image(&name).await?;
            if !labels.is_empty() {
                named = engine.containerd.relabel_image(&name, labels.clone(), false).await?;
            }
            let (kind, digest) = (named.target.media_type().to_string(), named.target.digest().to_string());
            match args.local {
                true if args.no_unpack => {}
                true => cx.ui.line(format_args!("unpacking {name} ({digest})...done"))?,
                false => saved(cx, &name, "saved", (&kind, &digest), ("Importing", begun))?,
            }
        }
    }
    Ok(0)
}

async fn target_of(engine: &Engine, id: &str) -> Result<Image> {
    let found = engine.containerd.images(&[format!("target.digest=={id}")]).await?;
    found.into_iter().next().ok_or_else(|| Error::not_found(format!("image {id}: not found")))
}

/// One more name; the one for images without a name goes.
async fn rename(engine: &Engine, name: &str, image: &Image) -> Result<()> {
    let named = Image { name: name.to_owned(), ..image.clone() };
    engine.containerd.put_image(&named).await?;
    if image::is_dangling(&image.name) {
        engine.containerd.delete_image(&image.name, false).await?;
    }
    Ok(())
}

pub(super) async fn export(args: ExportArgs, cx: &mut Context<'_>) -> Result<u8> {
    let Some((out, images)) = args.words.split_first().filter(|(_, images)| !images.is_empty()) else {
        return Err(Error::failed("please provide both an output filename and an image reference to export"));
    };
    let lists = if args.skip_manifest_json { Lists::Oci } else { Lists::Both };
    let wanted: Vec<Platform> =
        args.platform.iter().map(|text| Platform::parse(text)).collect::<Result<_>>()?;
    let engine = connect(cx).await?;
    // ctr knows an image by its whole name only.
    for name in images {
        engine.containerd.image(name).await?;
    }
    let selected = image::select(&engine, images, &wanted).await?;
    if out == "-" {
        image::save(&engine, &selected, lists, cx.ui.out()).await?;
        return Ok(0);
    }
    let path = cx.environment.directory.join(out);
    check(&path).map_err(|why| Error::failed(format!("invalid output path: {why}")))?;
    let mut file = WholeFile::create(&path)?;
    image::save(&engine, &selected, lists, &mut file).await?;
    file.finish()?;
    Ok(0)
}

pub(super) async fn convert(args: ConvertArgs, cx: &mut Context<'_>) -> Result<u8> {
    let [source, target] = args.names.as_slice() else {
        return Err(Error::failed("src and target image need to be specified"));
    };
    if [&args.erofs, &args.erofs_compressors, &args.erofs_mkfs_options].iter().any(|given| given.is_some()) {
        return Err(
            Error::failed("--erofs is not here").hint("its layers are for the erofs snapshotter alone")
        );
    }
    if !args.platform.is_empty() && args.all_platforms {
        return Err(Error::failed("cannot specify both --platform and --all-platforms"));
    }
    let platforms = args.platform.iter().map(|text| Platform::parse(text)).collect::<Result<_>>()?;
    let layers = args.uncompress.then_some(Form::Plain);
    let request = ConvertRequest { layers, oci: args.oci, platforms, all_platforms: args.all_platforms };
    let engine = connect(cx).await?;
    // ctr knows an image by its whole name only.
    engine.containerd.image(source).await?;
    let made = image::convert(&engine, source, &reference(target)?, &request, &Silent).await?;
    cx.ui.line(made.digest())?;
    Ok(0)
}
