//! containerd's namespaces.

use std::collections::HashMap;

use containerd_client::services::v1 as api;

use super::{Client, Result};

impl Client {
    /// Every namespace with its labels.
    pub async fn namespaces(&self) -> Result<Vec<(String, HashMap<String, String>)>> {
        let request = self.request(api::ListNamespacesRequest { filter: String::new() });
        let reply = self.namespaces_api().list(request).await?.into_inner();
        Ok(reply.namespaces.into_iter().map(|namespace| (namespace.name, namespace.labels)).collect())
    }

    /// The labels of a namespace.
    pub async fn namespace_labels(&self, name: &str) -> Result<HashMap<String, String>> {
        let request = self.request(api::GetNamespaceRequest { name: name.into() });
        let reply = self.namespaces_api().get(request).await?.into_inner();
        Ok(reply.namespace.map(|namespace| namespace.labels).unwrap_or_default())
    }

    /// Make a namespace.
    pub async fn create_namespace(&self, name: &str, labels: HashMap<String, String>) -> Result<()> {
        let namespace = api::Namespace { name: name.into(), labels };
        let request = self.request(api::CreateNamespaceRequest { namespace: Some(namespace) });
        self.namespaces_api().create(request).await?;
        Ok(())
    }

    /// Set the labels of a namespace: those named are changed, an empty value removes one.
    pub async fn label_namespace(&self, name: &str, labels: HashMap<String, String>) -> Result<()> {
        let paths: Vec<String> = labels.keys().map(|key| format!("labels.{key}")).collect();
        let request = self.request(api::UpdateNamespaceRequest {
            namespace: Some(api::Namespace { name: name.into(), labels }),
            update_mask: super::values::mask(&paths.iter().map(String::as_str).collect::<Vec<_>>()),
        });
        self.namespaces_api().update(request).await?;
        Ok(())
    }

    /// Remove an empty namespace; `FailedPrecondition` when it is not empty.
    pub async fn delete_namespace(&self, name: &str) -> Result<()> {
        self.namespaces_api().delete(self.request(api::DeleteNamespaceRequest { name: name.into() })).await?;
        Ok(())
    }

    fn namespaces_api(&self) -> api::namespaces_client::NamespacesClient<tonic::transport::Channel> {
        api::namespaces_client::NamespacesClient::new(self.channel.clone())
    }
}
