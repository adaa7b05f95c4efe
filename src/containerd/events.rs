//! containerd's events as they come.

use std::time::Duration;

use containerd_client::events as told;
use containerd_client::services::v1 as api;
use jiff::Timestamp;
use prost::Message;

use super::{Client, Result, values};

/// How long a subscription is given to reach containerd.
const ACKNOWLEDGED: Duration = Duration::from_millis(20);

/// What a subscription publishes to know that it stands.
const LISTENING: &str = "/wharfie/listening";

/// One event.
#[derive(Debug, Clone)]
pub struct Event {
    /// When.
    pub at: Option<Timestamp>,
    /// In which namespace.
    pub namespace: String,
    /// `/tasks/exit` and so on.
    pub topic: String,
    /// The type of `payload`.
    pub type_url: String,
    /// Protobuf bytes.
    pub payload: Vec<u8>,
}

/// What an event tells, of those that concern a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happening {
    /// A record was made.
    ContainerCreated(String),
    /// A record was removed.
    ContainerDeleted(String),
    /// The init process runs.
    TaskStarted(String),
    /// A process has ended; the init process's id is the container's.
    TaskExited {
        /// The container.
        container: String,
        /// The process in it.
        process: String,
        /// Its exit status.
        status: u32,
    },
    /// A process was killed for want of memory.
    TaskOutOfMemory(String),
    /// All processes were frozen.
    TaskPaused(String),
    /// They run again.
    TaskResumed(String),
    /// Another process was started: the container, and the process's id.
    ExecStarted(String, String),
    /// A name was given.
    ImageCreated(String),
    /// A name means another image now.
    ImageUpdated(String),
    /// A name was removed.
    ImageDeleted(String),
}

impl Event {
    /// Whether it only tells that a wharfie listens.
    pub fn is_listening(&self) -> bool {
        self.topic == LISTENING
    }

    /// What it tells; None for what concerns containerd alone, or cannot be read.
    pub fn happening(&self) -> Option<Happening> {
        fn read<M: Message + Default>(event: &Event) -> Option<M> {
            M::decode(event.payload.as_slice()).ok()
        }
        Some(match self.topic.as_str() {
            "/containers/create" => Happening::ContainerCreated(read::<told::ContainerCreate>(self)?.id),
            "/containers/delete" => Happening::ContainerDeleted(read::<told::ContainerDelete>(self)?.id),
            "/tasks/start" => Happening::TaskStarted(read::<told::TaskStart>(self)?.container_id),
            "/tasks/exit" => {
                let exit: told::TaskExit = read(self)?;
                Happening::TaskExited {
                    container: exit.container_id,
                    process: exit.id,
                    status: exit.exit_status,
                }
            }
            "/tasks/oom" => Happening::TaskOutOfMemory(read::<told::TaskOom>(self)?.container_id),
            "/tasks/paused" => Happening::TaskPaused(read::<told::TaskPaused>(self)?.container_id),
            "/tasks/resumed" => Happening::TaskResumed(read::<told::TaskResumed>(self)?.container_id),
            "/tasks/exec-started" => {
                let exec: told::TaskExecStarted = read(self)?;
                Happening::ExecStarted(exec.container_id, exec.exec_id)
            }
            "/images/create" => Happening::ImageCreated(read::<api::ImageCreate>(self)?.name),
            "/images/update" => Happening::ImageUpdated(read::<api::ImageUpdate>(self)?.name),
            "/images/delete" => Happening::ImageDeleted(read::<api::ImageDelete>(self)?.name),
            _ => return None,
        })
    }
}

/// A stream of events; it ends with containerd.
#[derive(Debug)]
pub struct EventStream {
    stream: tonic::Streaming<containerd_client::types::Envelope>,
}

impl Client {
    /// Listen to the events of the namespace, until the receiver is dropped. Listening has begun when this
    /// returns: containerd does not acknowledge it before there is an event, so one is published.
    pub async fn subscribe(&self) -> Result<EventStream> {
        let mut client = api::events_client::EventsClient::new(self.channel.clone());
        let filters = vec![format!("namespace=={}", self.namespace())];
        let subscribing = self.request(api::SubscribeRequest { filters });
        let answer = async move { client.subscribe(subscribing).await };
        tokio::pin!(answer);
        loop {
            tokio::select! {
                answer = &mut answer => return Ok(EventStream { stream: answer?.into_inner() }),
                () = tokio::time::sleep(ACKNOWLEDGED) => self.publish_listening().await?,
            }
        }
    }

    /// Every event of every namespace that matches one of `filters` (none: all). It is back with the first one.
    pub async fn watch(&self, filters: Vec<String>) -> Result<EventStream> {
        let mut client = api::events_client::EventsClient::new(self.channel.clone());
        let answer = client.subscribe(self.request(api::SubscribeRequest { filters })).await?;
        Ok(EventStream { stream: answer.into_inner() })
    }

    /// An event that nobody acts on.
    async fn publish_listening(&self) -> Result<()> {
        let mut client = api::events_client::EventsClient::new(self.channel.clone());
        let event =
            prost_types::Any { type_url: "containerd.events.NamespaceUpdate".into(), value: Vec::new() };
        let request = api::PublishRequest { topic: LISTENING.into(), event: Some(event) };
        client.publish(self.request(request)).await?;
        Ok(())
    }
}

impl EventStream {
    /// The next event; None when containerd has ended the stream.
    pub async fn next(&mut self) -> Result<Option<Event>> {
        let Some(envelope) = self.stream.message().await? else { return Ok(None) };
        let (type_url, payload) = envelope.event.map(|any| (any.type_url, any.value)).unwrap_or_default();
        Ok(Some(Event {
            at: values::time(envelope.timestamp),
            namespace: envelope.namespace,
            topic: envelope.topic,
            type_url,
            payload,
        }))
    }
}
