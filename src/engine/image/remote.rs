//! What a registry has, without bringing it into the store.

use oci_spec::image::{Descriptor, Digest};

use crate::config::Config;
use crate::error::{Error, Result};
use crate::image::digest::sha256;
use crate::image::media::LARGEST_MANIFEST;
use crate::image::platform::Platform;
use crate::registry::{BlobStream, Reference, Registry};

use super::content::{Target, check, parse, parse_target};
use super::inspect::{InspectedImage, described};
use super::pull::{as_configuration, no_match};
use super::resolve::ResolvedImage;

const PART: usize = 1 << 20;

/// The manifest or index that `reference` names, verified where it names a digest.
pub async fn remote_manifest(config: &Config, reference: &Reference) -> Result<Vec<u8>> {
    let registry = Registry::open(config, reference)?;
    let resolved = registry.resolve().await?;
    match resolved.bytes {
        Some(bytes) => Ok(bytes),
        None => registry.manifest(&resolved.descriptor).await,
    }
}

/// Everything about the image that `reference` names in its registry, for `platform` or, without one, for this machine
/// or else the first that is there. Brings its manifest and its configuration, and keeps nothing.
///
/// # Errors
/// The registry does not have it, or has it for other platforms alone.
pub async fn inspect_remote(
    config: &Config,
    reference: &Reference,
    platform: Option<&Platform>,
) -> Result<InspectedImage> {
    let registry = Registry::open(config, reference)?;
    let resolved = registry.resolve().await?;
    let target = resolved.descriptor;
    let bytes = match resolved.bytes {
        Some(bytes) => bytes,
        None => registry.manifest(&target).await?,
    };
    let (manifest_descriptor, manifest) = match parse_target(&target, &bytes)? {
        Target::Manifest(manifest) => (target.clone(), *manifest),
        Target::Index(index) => {
            let host = Platform::host();
            let wanted = platform.unwrap_or(&host);
            let fitting = wanted.pick(index.manifests()).first().copied();
            let any = index
                .manifests()
                .iter()
                .find(|entry| platform.is_none() && !crate::image::media::is_attestation(entry));
            let chosen = fitting.or(any).ok_or_else(|| no_match(wanted))?;
            match parse_target(chosen, &registry.manifest(chosen).await?)? {
                Target::Manifest(manifest) => (chosen.clone(), *manifest),
                Target::Index(_) => {
                    return Err(Error::failed(format!("{reference}: an index inside of an index")));
                }
            }
        }
    };
    let of_config = manifest.config();
    if of_config.size() > LARGEST_MANIFEST {
        return Err(Error::failed(format!("{}: the configuration is too large", of_config.digest())));
    }
    let mut stream = registry.blob(of_config, 0).await?;
    let mut bytes = Vec::new();
    stream.read(&mut bytes, usize::try_from(of_config.size()).unwrap_or(usize::MAX)).await?;
    if sha256(&bytes) != *of_config.digest() {
        return Err(Error::failed(format!(
            "verification failed for digest {}: the registry sent other bytes",
            of_config.digest()
        )));
    }
    let config_json: serde_json::Value = parse(&bytes, of_config.digest().as_ref())?;
    let configuration = as_configuration(&config_json, &manifest)?;
    check(&manifest, &configuration)?;
    let name = reference.canonical();
    let image = ResolvedImage {
        name: name.clone(),
        target,
        manifest_descriptor,
        manifest,
        config: configuration,
        config_json,
        chain_id: String::new(),
    };
    Ok(described(&image, &[name], String::new(), platform.is_some()))
}

/// A blob on its way from a registry. What it gives is verified at its end.
#[derive(Debug)]
pub struct RemoteBlob {
    stream: BlobStream,
    hasher: Option<crate::image::digest::Hasher>,
    digest: String,
}

/// The blob `digest` of the repository of `reference`.
pub async fn remote_blob(config: &Config, reference: &Reference, digest: &str) -> Result<RemoteBlob> {
    let parsed = digest.parse::<Digest>().map_err(|_| Error::failed("invalid checksum digest format"))?;
    let blob = Descriptor::new("application/octet-stream".into(), 0, parsed);
    let stream = Registry::open(config, reference)?.blob(&blob, 0).await?;
    Ok(RemoteBlob { stream, hasher: Some(Default::default()), digest: digest.to_owned() })
}

impl RemoteBlob {
    /// Its next part; None at its end.
    ///
    /// # Errors
    /// The connection broke, or the whole does not have its digest.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>> {
        let mut part = Vec::new();
        self.stream.read(&mut part, PART).await?;
        if !part.is_empty() {
            if let Some(hasher) = &mut self.hasher {
                hasher.update(&part);
            }
            return Ok(Some(part));
        }
        match self.hasher.take().map(crate::image::digest::Hasher::finish) {
            Some(got) if got.as_ref() != self.digest && self.digest.starts_with("sha256:") => {
                Err(Error::failed(format!(
                    "verification failed for digest {}: the registry sent {got}",
                    self.digest
                )))
            }
            _ => Ok(None),
        }
    }
}
