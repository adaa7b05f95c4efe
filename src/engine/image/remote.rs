//! What a registry has, without bringing it into the store.

use oci_spec::image::{Descriptor, Digest};

use crate::config::Config;
use crate::error::{Error, Result};
use crate::registry::{BlobStream, Reference, Registry};

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
