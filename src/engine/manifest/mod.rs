//! Manifest lists, docker's `manifest`: put together of what registries have, without any image being here.

mod entry;
mod store;

use futures_util::StreamExt as _;
use oci_spec::image::{Descriptor, ImageManifest};

use crate::config::Config;
use crate::error::{Error, Kind, Result};
use crate::image::digest::sha256;
use crate::image::media;
use crate::registry::{Delivery, Failure, Parcel, Receiver, Reference, Registry};

pub use entry::{Entry, ListPlatform, verbose_list};
use store::Lists;

const LARGEST_CONFIG: u64 = media::LARGEST_MANIFEST;
/// More manifests than any list has.
const MOST: usize = 1000;
/// What docker lets a manifest be for, the architectures of each system.
const PLATFORMS: &[(&str, &[&str])] = &[
    ("darwin", &["386", "amd64", "arm", "arm64"]),
    ("dragonfly", &["amd64"]),
    ("freebsd", &["386", "amd64", "arm"]),
    (
        "linux",
        &["386", "amd64", "arm", "arm64", "ppc64le", "mips64", "mips64le", "riscv64", "s390x", "loong64"],
    ),
    ("netbsd", &["386", "amd64", "arm"]),
    ("openbsd", &["386", "amd64", "arm"]),
    ("plan9", &["386", "amd64"]),
    ("solaris", &["amd64"]),
    ("windows", &["386", "amd64", "arm64"]),
];

/// What is found under a name.
#[derive(Debug)]
pub enum Found {
    /// One image's manifest.
    One(Box<Entry>),
    /// A list: its text, and where that was asked for, its manifests with all that is known of them.
    List(String, Vec<Entry>),
}

/// What an annotation says; what is empty stays as it was.
#[derive(Debug, Clone, Default)]
pub struct Annotation {
    /// The operating system.
    pub os: String,
    /// The architecture.
    pub architecture: String,
    /// Its variant.
    pub variant: String,
    /// The operating system's version.
    pub os_version: String,
    /// More of its features.
    pub os_features: Vec<String>,
}

/// A list that was pushed.
#[derive(Debug)]
pub struct PushedList {
    /// The manifests that came from other repositories, by their new names.
    pub manifests: Vec<Reference>,
    /// The list's digest.
    pub digest: String,
}

/// What `manifest` of the list in the making `list` is, or without a list, what is known by that name: a list in the
/// making, or what the registry has. `verbose` asks for everything about a list's manifests.
///
/// # Errors
/// [`Kind::NotFound`] with docker's words; what the registry says.
pub async fn inspect(
    config: &Config,
    list: Option<&Reference>,
    manifest: &Reference,
    verbose: bool,
) -> Result<Found> {
    let lists = Lists::of(&config.docker_config);
    if let Some(list) = list {
        return Ok(Found::One(Box::new(lists.entry(list, manifest)?)));
    }
    match lists.get(manifest) {
        Ok(entries) => {
            let text = list_text(&entries, manifest);
            let text = text.map_err(|error| error.context("failed to assemble ManifestDescriptor"))?.1;
            return Ok(Found::List(text, entries));
        }
        Err(error) if error.kind == Kind::NotFound => {}
        Err(error) => return Err(error),
    }
    let registry = Registry::open(config, manifest)?;
    let (descriptor, bytes) = fetch(&registry, manifest).await?;
    if media::is_manifest(descriptor.media_type()) {
        return Ok(Found::One(Box::new(of_registry(&registry, manifest, descriptor, bytes).await?)));
    }
    let described = entry::described(&bytes, manifest)?;
    if described.len() > MOST {
        return Err(Error::failed(format!("{manifest}: a list of more than {MOST} manifests")));
    }
    let mut entries = Vec::new();
    for (entry, platform) in described.iter().filter(|_| verbose) {
        let bytes = registry.manifest(entry).await?;
        let reference = format!("{manifest}@{}", entry.digest());
        entries.push(Entry::new(reference, entry.clone(), Some(platform.clone()), bytes));
    }
    Ok(Found::List(entry::list_of(&described)?.1, entries))
}

/// Begin the list `list` of manifests that registries have; with `amend` it may have been begun before.
///
/// # Errors
/// A list that is there; a manifest that is not, or is a list itself. Nothing is changed then.
pub async fn create(config: &Config, list: &Reference, manifests: &[Reference], amend: bool) -> Result<()> {
    let lists = Lists::of(&config.docker_config);
    match lists.get(list) {
        Ok(_) if !amend => {
            return Err(Error::conflict("refusing to amend an existing manifest list with no --amend flag")
                .hint("give --amend, or forget the list first: `wharfie manifest rm`"));
        }
        Err(error) if error.kind != Kind::NotFound => return Err(error),
        _ => {}
    }
    let mut entries = Vec::new();
    for manifest in manifests {
        let known = lists.entry(list, manifest).ok().filter(|entry| !entry.raw.is_empty());
        let entry = match known {
            Some(entry) => entry,
            None => {
                let registry = Registry::open(config, manifest)?;
                let (descriptor, bytes) = fetch(&registry, manifest).await?;
                if !media::is_manifest(descriptor.media_type()) {
                    return Err(Error::failed(format!("{manifest} is a manifest list"))
                        .hint("name one of its manifests by digest: `wharfie manifest inspect` shows them"));
                }
                of_registry(&registry, manifest, descriptor, bytes).await?
            }
        };
        entries.push(entry);
    }
    for (manifest, entry) in manifests.iter().zip(&entries) {
        lists.put(list, manifest, entry)?;
    }
    Ok(())
}

/// Say more of a manifest in a list that is in the making. `names` are both as the user wrote them.
///
/// # Errors
/// A manifest that is not in the list; a platform that docker does not know.
pub fn annotate(
    config: &Config,
    (list, manifest): (&Reference, &Reference),
    names: (&str, &str),
    annotation: &Annotation,
) -> Result<()> {
    let lists = Lists::of(&config.docker_config);
    let mut entry = lists.entry(list, manifest).map_err(|error| match error.kind {
        Kind::NotFound => {
            Error::not_found(format!("manifest for image {} does not exist in {}", names.1, names.0))
        }
        _ => error,
    })?;
    let platform = entry.platform.get_or_insert_default();
    for (value, place) in [
        (&annotation.os, &mut platform.os),
        (&annotation.architecture, &mut platform.architecture),
        (&annotation.variant, &mut platform.variant),
        (&annotation.os_version, &mut platform.os_version),
    ] {
        if !value.is_empty() {
            place.clone_from(value);
        }
    }
    for feature in &annotation.os_features {
        if !platform.os_features.contains(feature) {
            platform.os_features.push(feature.clone());
        }
    }
    let known = PLATFORMS.iter().find(|(os, _)| *os == platform.os);
    if !known.is_some_and(|(_, all)| all.contains(&platform.architecture.as_str())) {
        return Err(Error::failed(format!(
            "manifest entry for image has unsupported os/arch combination: {}/{}",
            annotation.os, annotation.architecture
        )));
    }
    lists.put(list, manifest, &entry)
}

/// The lists in the making whose names can be told, as a user writes them.
pub fn names(config: &Config) -> Vec<String> {
    Lists::of(&config.docker_config).names().iter().map(Reference::familiar).collect()
}

/// Forget a list in the making.
///
/// # Errors
/// [`Kind::NotFound`] when there is none.
pub fn remove(config: &Config, list: &Reference) -> Result<()> {
    Lists::of(&config.docker_config).remove(list)
}

/// Push a list. Manifests of other repositories of the registry are taken from there; with `purge` the list is
/// forgotten then.
///
/// # Errors
/// [`Kind::NotFound`] when there is no such list; manifests of another registry, or without a platform; what the
/// registry says.
pub async fn push(config: &Config, list: &Reference, purge: bool) -> Result<PushedList> {
    let lists = Lists::of(&config.docker_config);
    let entries = lists.get(list)?;
    if entries.is_empty() {
        return Err(Error::not_found(format!("{list} not found")));
    }
    let homeless = |entry: &&Entry| {
        entry
            .platform
            .as_ref()
            .is_none_or(|platform| platform.os.is_empty() || platform.architecture.is_empty())
    };
    if let Some(entry) = entries.iter().find(homeless) {
        return Err(Error::failed(format!(
            "manifest {} must have an OS and Architecture to be pushed to a registry",
            entry.reference
        ))
        .hint("say them: `wharfie manifest annotate --os linux --arch amd64 LIST MANIFEST`"));
    }
    let (kind, text) = list_text(&entries, list)?;
    let target = Descriptor::new(kind.into(), text.len() as u64, sha256(text.as_bytes()));
    let registry = Registry::open(config, list)?;
    let receiver = registry.receiver(&target).await?;
    let mut manifests = Vec::new();
    for entry in &entries {
        let source = Reference::parse(&entry.reference)?;
        if source.name() != list.name() {
            manifests.push(bring(config, (&receiver, list), entry, &source).await?);
        }
    }
    let put = receiver.put_manifest(&target, text.as_bytes(), &list.identifier()).await;
    put.map_err(|failure| receiver.refused(failure))?;
    if purge {
        lists.remove(list)?;
    }
    Ok(PushedList { manifests, digest: target.digest().to_string() })
}

/// Have the repository of `list` take a manifest and its blobs from `source`.
async fn bring(
    config: &Config,
    (receiver, list): (&Receiver<'_>, &Reference),
    entry: &Entry,
    source: &Reference,
) -> Result<Reference> {
    for blob in entry.parts()? {
        let refusal = format!("error mounting {}@{} to {list}", source.name(), blob.digest());
        let parcel = Parcel {
            blob: &blob,
            known_in: Some(source.path()),
            open: &|_, _| {
                let error = Error::failed(refusal.clone()).hint(
                    "the registry does not mount blobs: pull the image and push it into that repository",
                );
                futures_util::stream::iter([Err(error)]).boxed()
            },
            gone: &|_| {},
            waits: &|_| {},
        };
        match receiver.put_blob(&parcel).await {
            Ok(Delivery::Existed | Delivery::Mounted(_) | Delivery::Sent) => {}
            Err(failure) => return Err(receiver.refused(failure)),
        }
    }
    let digest = entry.descriptor.digest();
    let fetched;
    let bytes = match entry.raw.is_empty() {
        false => &entry.raw,
        true => {
            fetched =
                Registry::open(config, &source.with_digest(digest))?.manifest(&entry.descriptor).await?;
            &fetched
        }
    };
    let put = receiver.put_manifest(&entry.descriptor, bytes, digest.as_ref()).await;
    put.map_err(|failure: Failure| receiver.refused(failure))?;
    Ok(list.with_digest(digest))
}

/// The list that `entries` make, with its media type.
fn list_text(entries: &[Entry], list: &Reference) -> Result<(&'static str, String)> {
    let mut described = Vec::new();
    for entry in entries {
        let source = Reference::parse(&entry.reference)?;
        if source.domain() != list.domain() {
            return Err(Error::failed(format!(
                "cannot use source images from a different registry than the target image: {} != {}",
                source.domain(),
                list.domain()
            )));
        }
        described.push((entry.descriptor.clone(), entry.platform.clone().unwrap_or_default()));
    }
    entry::list_of(&described)
}

async fn fetch(registry: &Registry, reference: &Reference) -> Result<(Descriptor, Vec<u8>)> {
    let missing = |error: Error| match error.kind {
        Kind::NotFound => Error::not_found(format!("no such manifest: {reference}")),
        _ => error,
    };
    let resolved = registry.resolve().await.map_err(missing)?;
    let bytes = match resolved.bytes {
        Some(bytes) => bytes,
        None => registry.manifest(&resolved.descriptor).await.map_err(missing)?,
    };
    Ok((resolved.descriptor, bytes))
}

/// A manifest of the registry's, with the platform that its configuration says.
async fn of_registry(
    registry: &Registry,
    reference: &Reference,
    descriptor: Descriptor,
    bytes: Vec<u8>,
) -> Result<Entry> {
    let manifest: ImageManifest = parse(&bytes, reference)?;
    let config = manifest.config();
    let mut stream = registry.blob(config, 0).await?;
    let mut content = Vec::new();
    let limit = usize::try_from(LARGEST_CONFIG.min(config.size())).unwrap_or(usize::MAX);
    stream.read(&mut content, limit.saturating_add(1)).await?;
    if sha256(&content) != *config.digest() {
        return Err(Error::failed(format!(
            "image config verification failed for digest {}",
            config.digest()
        )));
    }
    let platform: ListPlatform = parse(&content, reference)?;
    Ok(Entry::new(reference.to_string(), descriptor, Some(platform), bytes))
}

fn parse<T: serde::de::DeserializeOwned>(bytes: &[u8], reference: &Reference) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|cause| Error::failed(format!("{reference} is damaged: {cause}")))
}
