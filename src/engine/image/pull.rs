//! Pull: from a registry to a named, unpacked image.

use std::collections::HashMap;

use futures_util::TryStreamExt as _;
use oci_spec::image::{Descriptor, ImageConfiguration, ImageIndex, ImageManifest};

use crate::config::Config;
use crate::engine::{Engine, event};
use crate::error::{Error, Kind, Result};
use crate::image::media::{self, LARGEST_MANIFEST};
use crate::image::platform::Platform;
use crate::image::progress::{Event, LayerState, Progress};
use crate::registry::{Reference, Registry, Resolved};

use super::arrival::Arrival;
use super::content::{Target, check, parse, parse_target, read_json};
use super::download::Download;
use super::lease::Lease;
use super::local::Local;
use super::resolve::{ResolvedImage, resolve};
use super::unpack::{Job, unpack_arriving};
use super::{ensure_unpacked, name};

/// Layers fetched side by side, as docker does.
const SIDE_BY_SIDE: usize = 3;

/// What to pull.
#[derive(Debug, Clone)]
pub struct PullRequest {
    /// The image.
    pub reference: Reference,
    /// For which platform; None for this machine's.
    pub platform: Option<Platform>,
    /// What else, beyond docker's pull.
    pub options: PullOptions,
}

/// What `ctr` can ask for beyond docker's pull.
#[derive(Debug, Clone, Default)]
pub struct PullOptions {
    /// The content of every platform, not only of the one that is unpacked.
    pub all_platforms: bool,
    /// The content of these platforms, too.
    pub also: Vec<Platform>,
    /// Bring the content and do not unpack it.
    pub no_unpack: bool,
    /// Bring manifests and configurations alone.
    pub metadata_only: bool,
    /// Labels for the image's name.
    pub labels: HashMap<String, String>,
}

/// What was pulled.
#[derive(Debug, Clone)]
pub struct Pulled {
    /// The reference with its tag or digest.
    pub reference: Reference,
    /// What the name points at now.
    pub target: Descriptor,
    /// Whether the name or anything of the image is new here.
    pub is_new: bool,
}

/// When a command pulls the image it needs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PullPolicy {
    /// When it is not here.
    #[default]
    Missing,
    /// Each time.
    Always,
    /// Never.
    Never,
}

impl std::str::FromStr for PullPolicy {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "" | "missing" => Ok(Self::Missing),
            "always" => Ok(Self::Always),
            "never" => Ok(Self::Never),
            _ => Err(Error::usage(format!(
                "invalid pull option: '{text}': must be one of \"always\", \"missing\" or \"never\""
            ))),
        }
    }
}

/// Every tag that the registry has of the repository of `reference`.
pub async fn remote_tags(config: &Config, reference: &Reference) -> Result<Vec<Reference>> {
    let tags = Registry::open(config, reference)?.tags().await?;
    Ok(tags.iter().map(|tag| reference.with_tag(tag)).collect())
}

/// The image `name` for `run` and `create`: found here or pulled by `policy`, and unpacked. Tells
/// [`Event::Missing`] before it pulls what is not here.
pub async fn ensure(
    engine: &Engine,
    name: &str,
    platform: Option<&Platform>,
    policy: PullPolicy,
    progress: &dyn Progress,
) -> Result<ResolvedImage> {
    if policy != PullPolicy::Always {
        match resolve(engine, name, platform).await {
            Ok(image) => {
                ensure_unpacked(engine, &image, progress).await?;
                return Ok(image);
            }
            Err(error) if error.kind == Kind::NotFound && policy == PullPolicy::Missing => {}
            Err(error) => return Err(error),
        }
    }
    let reference = Reference::parse(name)?.with_default_tag();
    if policy == PullPolicy::Missing {
        progress.report(Event::Missing { name: &reference.familiar() });
    }
    let request = PullRequest {
        reference: reference.clone(),
        platform: platform.cloned(),
        options: PullOptions::default(),
    };
    pull(engine, &request, progress).await?;
    resolve(engine, &reference.canonical(), platform).await
}

/// Pull an image, name it and unpack it. What a broken connection leaves is taken up by the next pull.
pub async fn pull(engine: &Engine, request: &PullRequest, progress: &dyn Progress) -> Result<Pulled> {
    let reference = request.reference.clone().with_default_tag();
    let (identifier, repository) = (reference.identifier(), reference.path());
    progress.report(Event::Pulling { identifier: &identifier, repository });
    let registry = Registry::open(&engine.config, &reference)?;
    let resolved = registry.resolve().await?;
    let lease =
        Lease::begin(engine, &format!("pull {} {:?}", reference.canonical(), request.platform)).await?;
    let local = Local::of(&lease.client).await;
    let pull = Pull {
        engine,
        download: Download {
            client: &lease.client,
            registry: &registry,
            reference: &reference,
            progress,
            local: local.as_ref(),
        },
        wanted: request.platform.as_ref(),
        options: &request.options,
    };
    let result = pull.run(resolved).await;
    let unfinished = matches!(&result, Err(error) if error.kind == Kind::Unavailable)
        && lease.client.ingests().await.is_ok_and(|ingests| ingests.iter().any(|ingest| ingest.offset > 0));
    if !unfinished {
        // Otherwise the parts that are here stay until the lease expires, for the next try.
        lease.end(result.is_err()).await;
    }
    if let Ok(Pulled { target, is_new, .. }) = &result {
        let (name, digest) = (reference.familiar(), target.digest().as_ref());
        progress.report(Event::Pulled { name: &name, digest, is_new: *is_new });
        engine.note(&[event::of_image("pull", &name, &name)]);
    }
    result.map_err(|error| match error.kind {
        Kind::Unavailable if unfinished => error.hint("pull again: it goes on where it stopped"),
        _ => error,
    })
}

struct Pull<'a> {
    engine: &'a Engine,
    download: Download<'a>,
    wanted: Option<&'a Platform>,
    options: &'a PullOptions,
}

impl Pull<'_> {
    async fn run(&self, resolved: Resolved) -> Result<Pulled> {
        let reference = self.download.reference;
        let target = resolved.descriptor;
        let previous = match self.engine.containerd.image(&reference.canonical()).await {
            Ok(image) => Some(image.target),
            Err(error) if error.is_not_found() => None,
            Err(error) => return Err(error.into()),
        };
        let manifest = match self.target(&target, resolved.bytes).await? {
            Target::Manifest(manifest) => manifest,
            Target::Index(index) => {
                let host = Platform::host();
                let wanted = self.wanted.unwrap_or(&host);
                let chosen =
                    wanted.pick(index.manifests()).first().copied().ok_or_else(|| no_match(wanted))?;
                self.others(&index, chosen).await?;
                match self.target(chosen, None).await? {
                    Target::Manifest(manifest) => manifest,
                    Target::Index(_) => {
                        return Err(Error::failed(format!("{reference}: an index inside of an index")));
                    }
                }
            }
        };
        let fetched = self.image(&manifest).await?;
        name::put(self.download.client, &reference.canonical(), &target).await?;
        if !self.options.labels.is_empty() {
            let labels = self.options.labels.clone();
            self.download.client.relabel_image(&reference.canonical(), labels, false).await?;
        }
        let is_new = fetched || previous.is_none_or(|previous| previous.digest() != target.digest());
        Ok(Pulled { reference: reference.clone(), target, is_new })
    }

    /// An index or manifest: from the store when it is there, else from the registry; stored with the labels
    /// that keep what it refers to.
    async fn target(&self, descriptor: &Descriptor, bytes: Option<Vec<u8>>) -> Result<Target> {
        let digest = descriptor.digest().as_ref();
        let bytes = match bytes {
            Some(bytes) => bytes,
            None => match self.download.client.read_blob(digest, LARGEST_MANIFEST).await {
                Ok(bytes) => bytes,
                Err(error) if error.is_not_found() => self.download.registry.manifest(descriptor).await?,
                Err(error) => return Err(error.into()),
            },
        };
        let target = parse_target(descriptor, &bytes)?;
        let labels = match &target {
            Target::Index(index) => media::index_labels(index),
            Target::Manifest(manifest) => media::manifest_labels(manifest),
        };
        self.download.keep(descriptor, &bytes, labels).await?;
        Ok(target)
    }

    /// The content of an index's other manifests that are wanted: all of them, attestations among them, or those of
    /// some platforms.
    async fn others(&self, index: &ImageIndex, chosen: &Descriptor) -> Result<()> {
        let mut wanted: Vec<&Descriptor> = Vec::new();
        if self.options.all_platforms {
            wanted.extend(index.manifests());
        }
        for platform in &self.options.also {
            let fitting = platform.pick(index.manifests()).first().copied();
            wanted.push(fitting.ok_or_else(|| no_match(platform))?);
        }
        for entry in wanted.into_iter().filter(|entry| entry.digest() != chosen.digest()) {
            let Target::Manifest(manifest) = self.target(entry, None).await? else { continue };
            for part in std::iter::once(manifest.config()).chain(self.layers(&manifest)) {
                self.download.blob(part, HashMap::new(), &Arrival::pair().0).await?;
            }
        }
        Ok(())
    }

    fn layers<'m>(&self, manifest: &'m ImageManifest) -> &'m [Descriptor] {
        if self.options.metadata_only { &[] } else { manifest.layers() }
    }

    /// Configuration and layers; layers are unpacked in order while others still arrive. True when anything
    /// was fetched.
    async fn image(&self, manifest: &ImageManifest) -> Result<bool> {
        let Download { client, progress, .. } = self.download;
        if manifest.config().size() > LARGEST_MANIFEST {
            return Err(Error::failed(format!(
                "{}: the configuration is too large",
                manifest.config().digest()
            )));
        }
        self.download.blob(manifest.config(), HashMap::new(), &Arrival::pair().0).await?;
        let raw: serde_json::Value = read_json(client, manifest.config()).await?;
        let config: ImageConfiguration = as_configuration(&raw, manifest)?;
        check(manifest, &config)?;
        if let Some(wanted) = self.wanted {
            matches_platform(self.download.reference, wanted, &config)?;
        }
        for layer in manifest.layers() {
            progress.layer(layer.digest().as_ref(), LayerState::Waiting);
        }
        let layers = self.layers(manifest);
        let (senders, arrivals): (Vec<_>, Vec<_>) = layers.iter().map(|_| Arrival::pair()).unzip();
        let downloads = futures_util::stream::iter(layers.iter().zip(senders).map(Ok::<_, Error>))
            .map_ok(|(layer, arriving)| async move {
                let existed = self.download.blob(layer, HashMap::new(), &arriving).await?;
                Ok::<bool, Error>(!existed)
            })
            .try_buffer_unordered(SIDE_BY_SIDE)
            .try_fold(false, |any, fetched| async move { Ok(any | fetched) });
        if self.options.no_unpack || self.options.metadata_only {
            return downloads.await;
        }
        let job = Job::new(client, &self.engine.config.snapshotter, manifest, &config);
        let (fetched, _) =
            tokio::try_join!(downloads, unpack_arriving(&job, arrivals, self.download.local, progress))?;
        Ok(fetched)
    }
}

pub(super) fn as_configuration(
    raw: &serde_json::Value,
    manifest: &ImageManifest,
) -> Result<ImageConfiguration> {
    if raw.get("rootfs").is_none() {
        return Err(Error::failed(format!(
            "unsupported configuration {} of media type {}: this is no container image",
            manifest.config().digest(),
            manifest.config().media_type()
        )));
    }
    parse(raw.to_string().as_bytes(), manifest.config().digest().as_ref())
}

pub(super) fn no_match(wanted: &Platform) -> Error {
    Error::failed(format!("no matching manifest for {wanted} in the manifest list entries"))
        .hint("the image was not built for that platform: name another with --platform")
}

fn matches_platform(reference: &Reference, wanted: &Platform, config: &ImageConfiguration) -> Result<()> {
    let variant = config.variant().as_deref().unwrap_or_default();
    let offered = Platform::normalised(&config.os().to_string(), &config.architecture().to_string(), variant);
    if wanted.fit(&offered).is_some() {
        return Ok(());
    }
    Err(Error::failed(format!(
        "image with reference {} was found but its platform ({offered}) does not match the specified platform ({wanted})",
        reference.familiar()
    )))
}
