//! CRI, the interface between a kubelet and containerd, version 1: one method a call. Its messages are plain data and
//! leave this room as they are ([`api`]); what speaks gRPC stays here. Reading needs it only where containerd's own
//! records do not serve: see `engine::pod`.

pub mod json;
pub mod log;
pub mod streaming;

use std::time::Duration;

use k8s_cri::v1::{image_service_client::ImageServiceClient, runtime_service_client::RuntimeServiceClient};
use tonic::transport::Channel;

use crate::containerd::{self, Result};

/// CRI's messages: <https://github.com/kubernetes/cri-api/blob/master/pkg/apis/runtime/v1/api.proto>.
pub use k8s_cri::v1 as api;

/// Lists of a large node pass tonic's default of 4 MiB.
const LARGEST_MESSAGE: usize = 64 << 20;

/// The CRI services of one containerd, each call with a deadline. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct Client {
    channel: Channel,
    deadline: Option<Duration>,
}

/// A stream of what happens to containers.
#[derive(Debug)]
pub struct Events(tonic::Streaming<api::ContainerEventResponse>);

impl Events {
    /// The next one; None at the end.
    pub async fn next(&mut self) -> Result<Option<api::ContainerEventResponse>> {
        Ok(self.0.message().await?)
    }
}

/// A method of [`Client`] for each call of a service.
macro_rules! calls {
    ($($(#[$doc:meta])* $service:ident $name:ident($request:ident) -> $response:ident;)*) => {
        impl Client {
            $(
                $(#[$doc])*
                ///
                /// # Errors
                /// What containerd answered; `Unimplemented` where it has no CRI or not this call;
                /// `DeadlineExceeded` when it is late.
                pub async fn $name(&self, request: api::$request) -> Result<api::$response> {
                    let mut service = self.$service();
                    Ok(service.$name(self.request(request)).await?.into_inner())
                }
            )*
        }
    };
}

calls! {
    /// The runtime's name and versions.
    runtime version(VersionRequest) -> VersionResponse;
    /// Make and start a sandbox.
    runtime run_pod_sandbox(RunPodSandboxRequest) -> RunPodSandboxResponse;
    /// End all processes of a pod and give back its network.
    runtime stop_pod_sandbox(StopPodSandboxRequest) -> StopPodSandboxResponse;
    /// Remove a pod and all its containers.
    runtime remove_pod_sandbox(RemovePodSandboxRequest) -> RemovePodSandboxResponse;
    /// All of one pod.
    runtime pod_sandbox_status(PodSandboxStatusRequest) -> PodSandboxStatusResponse;
    /// The pods.
    runtime list_pod_sandbox(ListPodSandboxRequest) -> ListPodSandboxResponse;
    /// Make a container in a pod.
    runtime create_container(CreateContainerRequest) -> CreateContainerResponse;
    /// Start a container.
    runtime start_container(StartContainerRequest) -> StartContainerResponse;
    /// End a container's processes, gently for `timeout` seconds.
    runtime stop_container(StopContainerRequest) -> StopContainerResponse;
    /// Remove a container, by force where it runs.
    runtime remove_container(RemoveContainerRequest) -> RemoveContainerResponse;
    /// The containers.
    runtime list_containers(ListContainersRequest) -> ListContainersResponse;
    /// All of one container.
    runtime container_status(ContainerStatusRequest) -> ContainerStatusResponse;
    /// Change a container's limits.
    runtime update_container_resources(UpdateContainerResourcesRequest) -> UpdateContainerResourcesResponse;
    /// Begin a container's log anew, after it was rotated.
    runtime reopen_container_log(ReopenContainerLogRequest) -> ReopenContainerLogResponse;
    /// Run a command in a container and wait for all of its output.
    runtime exec_sync(ExecSyncRequest) -> ExecSyncResponse;
    /// Where a command's streams can be had.
    runtime exec(ExecRequest) -> ExecResponse;
    /// Where a container's streams can be had.
    runtime attach(AttachRequest) -> AttachResponse;
    /// Where a pod's ports can be reached.
    runtime port_forward(PortForwardRequest) -> PortForwardResponse;
    /// What one container uses.
    runtime container_stats(ContainerStatsRequest) -> ContainerStatsResponse;
    /// What the containers use.
    runtime list_container_stats(ListContainerStatsRequest) -> ListContainerStatsResponse;
    /// What one pod uses.
    runtime pod_sandbox_stats(PodSandboxStatsRequest) -> PodSandboxStatsResponse;
    /// What the pods use.
    runtime list_pod_sandbox_stats(ListPodSandboxStatsRequest) -> ListPodSandboxStatsResponse;
    /// Tell the runtime the cluster's settings.
    runtime update_runtime_config(UpdateRuntimeConfigRequest) -> UpdateRuntimeConfigResponse;
    /// Whether the runtime and its network are ready; its configuration when `verbose`.
    runtime status(StatusRequest) -> StatusResponse;
    /// Write a container's state into an archive.
    runtime checkpoint_container(CheckpointContainerRequest) -> CheckpointContainerResponse;
    /// Which metrics there are.
    runtime list_metric_descriptors(ListMetricDescriptorsRequest) -> ListMetricDescriptorsResponse;
    /// The metrics of the pods.
    runtime list_pod_sandbox_metrics(ListPodSandboxMetricsRequest) -> ListPodSandboxMetricsResponse;
    /// What a kubelet must know of the runtime, such as its cgroup driver.
    runtime runtime_config(RuntimeConfigRequest) -> RuntimeConfigResponse;
    /// The images.
    images list_images(ListImagesRequest) -> ListImagesResponse;
    /// All of one image; no image in it when there is none.
    images image_status(ImageStatusRequest) -> ImageStatusResponse;
    /// Fetch an image.
    images pull_image(PullImageRequest) -> PullImageResponse;
    /// Remove an image.
    images remove_image(RemoveImageRequest) -> RemoveImageResponse;
    /// What the image store uses.
    images image_fs_info(ImageFsInfoRequest) -> ImageFsInfoResponse;
}

impl Client {
    /// CRI over a connection to containerd. A call may take `deadline`; None waits for ever.
    pub fn new(containerd: &containerd::Client, deadline: Option<Duration>) -> Self {
        Self { channel: containerd.channel(), deadline }
    }

    /// The same with another deadline a call.
    #[must_use]
    pub fn within(&self, deadline: Option<Duration>) -> Self {
        Self { deadline, ..self.clone() }
    }

    /// How long a call may take.
    pub fn deadline(&self) -> Option<Duration> {
        self.deadline
    }

    /// What happens to containers from now on. `Unimplemented` where containerd does not tell.
    pub async fn events(&self) -> Result<Events> {
        let request = tonic::Request::new(api::GetEventsRequest {});
        Ok(Events(self.runtime().get_container_events(request).await?.into_inner()))
    }

    fn request<T>(&self, message: T) -> tonic::Request<T> {
        let mut request = tonic::Request::new(message);
        if let Some(deadline) = self.deadline {
            request.set_timeout(deadline);
        }
        request
    }

    fn runtime(&self) -> RuntimeServiceClient<Channel> {
        RuntimeServiceClient::new(self.channel.clone()).max_decoding_message_size(LARGEST_MESSAGE)
    }

    fn images(&self) -> ImageServiceClient<Channel> {
        ImageServiceClient::new(self.channel.clone()).max_decoding_message_size(LARGEST_MESSAGE)
    }
}
