//! Sandboxes as containerd 2 keeps them for runtimes that group containers. 1.7 has the service without CRI's
//! sandboxes in it, 1.6 does not have it.

use std::collections::HashMap;

use containerd_client::services::v1::sandbox as api;
use containerd_client::types;
use jiff::Timestamp;

use super::{Client, Error, Result, values};

/// A sandbox's record.
#[derive(Debug, Clone, Default)]
pub struct Sandbox {
    /// Its id.
    pub id: String,
    /// The runtime that keeps it.
    pub runtime: String,
    /// The OCI runtime specification as JSON, where it has one.
    pub spec: Vec<u8>,
    /// Labels.
    pub labels: HashMap<String, String>,
    /// The plugin that controls it; `shim` unless CRI made it.
    pub sandboxer: String,
    /// When it was made.
    pub created_at: Option<Timestamp>,
    /// When its record was last changed.
    pub updated_at: Option<Timestamp>,
}

type Store = api::store_client::StoreClient<tonic::transport::Channel>;
type Controller = api::controller_client::ControllerClient<tonic::transport::Channel>;

impl Client {
    /// Every sandbox that matches one of `filters` (none: all).
    pub async fn sandboxes(&self, filters: Vec<String>) -> Result<Vec<Sandbox>> {
        let request = self.request(api::StoreListRequest { filters });
        let reply = self.sandbox_store().list(request).await?.into_inner();
        Ok(reply.list.into_iter().map(from_api).collect())
    }

    /// The sandbox `id`.
    pub async fn sandbox(&self, id: &str) -> Result<Sandbox> {
        let request = self.request(api::StoreGetRequest { sandbox_id: id.into() });
        let reply = self.sandbox_store().get(request).await?.into_inner();
        let missing = || Error::other(format!("containerd sent no sandbox for {id}"));
        reply.sandbox.map(from_api).ok_or_else(missing)
    }

    /// Record a sandbox, then have its controller make and start it. When that fails, nothing of it is left.
    pub async fn run_sandbox(&self, sandbox: &Sandbox) -> Result<()> {
        let record = types::Sandbox {
            sandbox_id: sandbox.id.clone(),
            runtime: Some(types::sandbox::Runtime { name: sandbox.runtime.clone(), options: None }),
            spec: Some(prost_types::Any {
                type_url: "types.containerd.io/opencontainers/runtime-spec/1/Spec".into(),
                value: sandbox.spec.clone(),
            }),
            labels: sandbox.labels.clone(),
            sandboxer: sandbox.sandboxer.clone(),
            ..types::Sandbox::default()
        };
        let create = self.request(api::StoreCreateRequest { sandbox: Some(record.clone()) });
        self.sandbox_store().create(create).await?;
        let made = self.start_sandbox(record).await;
        if made.is_err() {
            let _ = self.forget_sandbox(&sandbox.id).await;
        }
        made
    }

    async fn start_sandbox(&self, record: types::Sandbox) -> Result<()> {
        let (sandbox_id, sandboxer) = (record.sandbox_id.clone(), record.sandboxer.clone());
        let create = api::ControllerCreateRequest {
            sandbox_id: sandbox_id.clone(),
            sandbox: Some(record),
            sandboxer: sandboxer.clone(),
            ..api::ControllerCreateRequest::default()
        };
        self.sandbox_controller().create(self.request(create)).await?;
        let start = api::ControllerStartRequest { sandbox_id, sandboxer };
        self.sandbox_controller().start(self.request(start)).await?;
        Ok(())
    }

    /// End what runs in a sandbox.
    pub async fn stop_sandbox(&self, sandbox: &Sandbox) -> Result<()> {
        let request = api::ControllerStopRequest {
            sandbox_id: sandbox.id.clone(),
            timeout_secs: 0,
            sandboxer: sandbox.sandboxer.clone(),
        };
        self.sandbox_controller().stop(self.request(request)).await?;
        Ok(())
    }

    /// Take a sandbox down and forget it.
    pub async fn remove_sandbox(&self, sandbox: &Sandbox) -> Result<()> {
        let request = api::ControllerShutdownRequest {
            sandbox_id: sandbox.id.clone(),
            sandboxer: sandbox.sandboxer.clone(),
        };
        match self.sandbox_controller().shutdown(self.request(request)).await {
            Err(status) if status.code() != tonic::Code::NotFound => return Err(status.into()),
            _ => {}
        }
        self.forget_sandbox(&sandbox.id).await
    }

    async fn forget_sandbox(&self, id: &str) -> Result<()> {
        let request = self.request(api::StoreDeleteRequest { sandbox_id: id.into() });
        self.sandbox_store().delete(request).await?;
        Ok(())
    }

    fn sandbox_store(&self) -> Store {
        Store::new(self.channel.clone())
    }

    fn sandbox_controller(&self) -> Controller {
        Controller::new(self.channel.clone())
    }
}

fn from_api(sandbox: types::Sandbox) -> Sandbox {
    Sandbox {
        id: sandbox.sandbox_id,
        runtime: sandbox.runtime.map(|runtime| runtime.name).unwrap_or_default(),
        spec: sandbox.spec.map(|spec| spec.value).unwrap_or_default(),
        labels: sandbox.labels,
        sandboxer: sandbox.sandboxer,
        created_at: values::time(sandbox.created_at),
        updated_at: values::time(sandbox.updated_at),
    }
}
