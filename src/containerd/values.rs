//! Protobuf's small common values to and from plain ones.

use containerd_client::types;
use jiff::Timestamp;
use oci_spec::image::Descriptor;

use super::{Error, Result};

/// A time; containerd leaves out those that do not apply.
pub(super) fn time(value: Option<prost_types::Timestamp>) -> Option<Timestamp> {
    let value = value?;
    Timestamp::new(value.seconds, value.nanos).ok().filter(|time| time.as_second() > 0)
}

pub(super) fn descriptor(value: types::Descriptor) -> Result<Descriptor> {
    let digest = value.digest.parse::<oci_spec::image::Digest>().map_err(|cause| {
        Error::other(format!("invalid digest {:?} in containerd's records: {cause}", value.digest))
    })?;
    let size = u64::try_from(value.size).map_err(|_| Error::other(format!("negative size of {digest}")))?;
    let mut descriptor = Descriptor::new(value.media_type.as_str().into(), size, digest);
    if !value.annotations.is_empty() {
        descriptor.set_annotations(Some(value.annotations.into_iter().collect()));
    }
    Ok(descriptor)
}

pub(super) fn to_descriptor(value: &Descriptor) -> types::Descriptor {
    types::Descriptor {
        media_type: value.media_type().to_string(),
        digest: value.digest().to_string(),
        size: i64::try_from(value.size()).unwrap_or(i64::MAX),
        annotations: value.annotations().clone().unwrap_or_default().into_iter().collect(),
    }
}

/// The paths of a field mask.
pub(super) fn mask(paths: &[&str]) -> Option<prost_types::FieldMask> {
    Some(prost_types::FieldMask { paths: paths.iter().map(|path| (*path).to_owned()).collect() })
}
