//! Leases: what keeps new blobs and snapshots from being collected before something refers to them.

use std::collections::HashMap;

use containerd_client::services::v1 as api;
use jiff::{SignedDuration, Timestamp};

use super::{Client, Result, values};

/// containerd's label on when a lease ends by itself (RFC 3339).
pub const EXPIRY: &str = "containerd.io/gc.expire";

/// A lease.
#[derive(Debug, Clone)]
pub struct Lease {
    /// Its id.
    pub id: String,
    /// When it was made.
    pub created_at: Option<Timestamp>,
    /// Labels, among them its expiry.
    pub labels: HashMap<String, String>,
}

impl Client {
    /// Make the lease `id`. It ends by itself after `life`, so that a killed process leaks nothing for ever.
    pub async fn create_lease(&self, id: &str, life: SignedDuration) -> Result<()> {
        let expiry = Timestamp::now().saturating_add(life).unwrap_or(Timestamp::MAX);
        let labels = HashMap::from([(EXPIRY.to_owned(), expiry.to_string())]);
        self.create_labelled_lease(id, labels).await
    }

    /// Make the lease `id` with just these labels: without one for its expiry, it never ends by itself.
    pub async fn create_labelled_lease(&self, id: &str, labels: HashMap<String, String>) -> Result<()> {
        self.leases_api().create(self.request(api::CreateRequest { id: id.into(), labels })).await?;
        Ok(())
    }

    /// End the lease `id`; `sync` waits until what it alone kept is collected.
    pub async fn delete_lease(&self, id: &str, sync: bool) -> Result<()> {
        self.leases_api().delete(self.request(api::DeleteRequest { id: id.into(), sync })).await?;
        Ok(())
    }

    /// Every lease of the namespace.
    pub async fn leases(&self) -> Result<Vec<Lease>> {
        self.leases_like(vec![]).await
    }

    /// The leases that match one of `filters` (none: all).
    pub async fn leases_like(&self, filters: Vec<String>) -> Result<Vec<Lease>> {
        let reply = self.leases_api().list(self.request(api::ListRequest { filters })).await?.into_inner();
        Ok(reply
            .leases
            .into_iter()
            .map(|lease| Lease {
                id: lease.id,
                created_at: values::time(lease.created_at),
                labels: lease.labels,
            })
            .collect())
    }

    /// What the lease `id` keeps: the kind (`content`, `snapshots/overlayfs`, `ingests`) and the thing's own id.
    pub async fn lease_resources(&self, id: &str) -> Result<Vec<(String, String)>> {
        let request = self.request(api::ListResourcesRequest { id: id.into() });
        let reply = self.leases_api().list_resources(request).await?.into_inner();
        Ok(reply.resources.into_iter().map(|resource| (resource.r#type, resource.id)).collect())
    }

    /// Let the lease `id` keep the blob `digest` and what its labels refer to.
    pub async fn keep_blob(&self, id: &str, digest: &str) -> Result<()> {
        let resource = api::Resource { id: digest.into(), r#type: "content".into() };
        let request = api::AddResourceRequest { id: id.into(), resource: Some(resource) };
        self.leases_api().add_resource(self.request(request)).await?;
        Ok(())
    }

    fn leases_api(&self) -> api::leases_client::LeasesClient<tonic::transport::Channel> {
        api::leases_client::LeasesClient::new(self.channel.clone())
    }
}
