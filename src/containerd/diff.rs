//! containerd's own differ: unpack a layer into a snapshot, or make a layer from one.

use std::collections::HashMap;

use containerd_client::services::v1 as api;
use oci_spec::image::Descriptor;

use super::{Client, Error, Mount, Result, values};

impl Client {
    /// Unpack `layer` into `mounts`. Returns the descriptor of the uncompressed layer.
    pub async fn apply_layer(&self, layer: &Descriptor, mounts: &[Mount]) -> Result<Descriptor> {
        let request = self.request(api::ApplyRequest {
            diff: Some(values::to_descriptor(layer)),
            mounts: mounts.iter().map(Mount::to_api).collect(),
            payloads: HashMap::new(),
            sync_fs: false,
        });
        let reply =
            api::diff_client::DiffClient::new(self.channel.clone()).apply(request).await?.into_inner();
        let applied =
            reply.applied.ok_or_else(|| Error::other("containerd sent no descriptor of the layer"))?;
        values::descriptor(applied)
    }

    /// Make a layer of `media_type` with `labels` from what `upper` adds to `lower`.
    pub async fn diff_layer(
        &self,
        lower: &[Mount],
        upper: &[Mount],
        media_type: &str,
        reference: &str,
        labels: HashMap<String, String>,
    ) -> Result<Descriptor> {
        let request = self.request(api::DiffRequest {
            left: lower.iter().map(Mount::to_api).collect(),
            right: upper.iter().map(Mount::to_api).collect(),
            media_type: media_type.into(),
            r#ref: reference.into(),
            labels,
            ..api::DiffRequest::default()
        });
        let reply = api::diff_client::DiffClient::new(self.channel.clone()).diff(request).await?.into_inner();
        values::descriptor(
            reply.diff.ok_or_else(|| Error::other("containerd sent no descriptor of the layer"))?,
        )
    }
}
