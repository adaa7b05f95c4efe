//! Container records: what was made, whether or not it runs.

use std::collections::{BTreeMap, HashMap};

use containerd_client::services::v1 as api;
use jiff::Timestamp;

use super::client::LARGEST_MESSAGE;
use super::{Client, Error, Result, values};

/// A container's record.
#[derive(Debug, Clone, Default)]
pub struct Container {
    /// Unique in its namespace.
    pub id: String,
    /// What lists filter on.
    pub labels: HashMap<String, String>,
    /// The name of the image it was made from.
    pub image: String,
    /// `io.containerd.runc.v2`.
    pub runtime: String,
    /// Options for the runtime.
    pub runtime_options: Option<Extension>,
    /// The OCI runtime specification as JSON.
    pub spec: Vec<u8>,
    /// The snapshotter of `snapshot_key`.
    pub snapshotter: String,
    /// The snapshot of the container's own layer.
    pub snapshot_key: String,
    /// When the record was made.
    pub created_at: Option<Timestamp>,
    /// When it was last changed.
    pub updated_at: Option<Timestamp>,
    /// The sandbox it belongs to, where its client said so.
    pub sandbox: String,
    /// Typed values that clients keep with a container.
    pub extensions: BTreeMap<String, Extension>,
}

/// A typed value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Extension {
    /// Names the type.
    pub type_url: String,
    /// Its bytes: JSON or protobuf.
    pub value: Vec<u8>,
}

/// The type of a specification in Go's typeurl registry, which every containerd client writes.
const SPEC_TYPE: &str = "types.containerd.io/opencontainers/runtime-spec/1/Spec";

impl Client {
    /// Every record that matches one of `filters` (containerd's filter language; none: all).
    pub async fn containers(&self, filters: &[String]) -> Result<Vec<Container>> {
        let request = self.request(api::ListContainersRequest { filters: filters.to_vec() });
        let reply = self.containers_api().list(request).await?;
        Ok(reply.into_inner().containers.into_iter().map(from_api).collect())
    }

    /// The record of `id`.
    pub async fn container(&self, id: &str) -> Result<Container> {
        let request = self.request(api::GetContainerRequest { id: id.into() });
        let reply = self.containers_api().get(request).await?.into_inner();
        reply
            .container
            .map(from_api)
            .ok_or_else(|| Error::other(format!("containerd sent no container for {id}")))
    }

    /// Make a record; `AlreadyExists` when the id is taken.
    pub async fn create_container(&self, container: &Container) -> Result<()> {
        let request = self.request(api::CreateContainerRequest { container: Some(to_api(container)) });
        self.containers_api().create(request).await?;
        Ok(())
    }

    /// Replace the record's `fields` ("labels", "spec", "extensions", "labels.NAME", …).
    pub async fn update_container(&self, container: &Container, fields: &[&str]) -> Result<()> {
        let request = self.request(api::UpdateContainerRequest {
            container: Some(to_api(container)),
            update_mask: values::mask(fields),
        });
        self.containers_api().update(request).await?;
        Ok(())
    }

    /// Forget the record. Its task and snapshot are the caller's affair.
    pub async fn delete_container(&self, id: &str) -> Result<()> {
        self.containers_api().delete(self.request(api::DeleteContainerRequest { id: id.into() })).await?;
        Ok(())
    }

    fn containers_api(&self) -> api::containers_client::ContainersClient<tonic::transport::Channel> {
        api::containers_client::ContainersClient::new(self.channel.clone())
            .max_decoding_message_size(LARGEST_MESSAGE)
    }
}

fn from_any(any: prost_types::Any) -> Extension {
    Extension { type_url: any.type_url, value: any.value }
}

fn to_any(extension: &Extension) -> prost_types::Any {
    prost_types::Any { type_url: extension.type_url.clone(), value: extension.value.clone() }
}

fn from_api(container: api::Container) -> Container {
    let (runtime, runtime_options) =
        container.runtime.map(|runtime| (runtime.name, runtime.options.map(from_any))).unwrap_or_default();
    Container {
        id: container.id,
        labels: container.labels,
        image: container.image,
        runtime,
        runtime_options,
        spec: container.spec.map(|spec| spec.value).unwrap_or_default(),
        snapshotter: container.snapshotter,
        snapshot_key: container.snapshot_key,
        created_at: values::time(container.created_at),
        updated_at: values::time(container.updated_at),
        sandbox: container.sandbox,
        extensions: container.extensions.into_iter().map(|(name, any)| (name, from_any(any))).collect(),
    }
}

fn to_api(container: &Container) -> api::Container {
    api::Container {
        id: container.id.clone(),
        labels: container.labels.clone(),
        image: container.image.clone(),
        runtime: Some(api::container::Runtime {
            name: container.runtime.clone(),
            options: container.runtime_options.as_ref().map(to_any),
        }),
        spec: Some(prost_types::Any { type_url: SPEC_TYPE.into(), value: container.spec.clone() }),
        snapshotter: container.snapshotter.clone(),
        snapshot_key: container.snapshot_key.clone(),
        sandbox: container.sandbox.clone(),
        extensions: container.extensions.iter().map(|(name, value)| (name.clone(), to_any(value))).collect(),
        ..api::Container::default()
    }
}
