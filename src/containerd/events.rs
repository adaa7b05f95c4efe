//! containerd's events as they come.

use containerd_client::services::v1 as api;
use jiff::Timestamp;

use super::{Client, Result, values};

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

/// A stream of events; it ends with containerd.
#[derive(Debug)]
pub struct EventStream {
    stream: tonic::Streaming<containerd_client::types::Envelope>,
}

impl Client {
    /// Listen to events that match one of `filters` (none: all).
    pub async fn subscribe(&self, filters: &[String]) -> Result<EventStream> {
        let mut client = api::events_client::EventsClient::new(self.channel.clone());
        let request = self.request(api::SubscribeRequest { filters: filters.to_vec() });
        Ok(EventStream { stream: client.subscribe(request).await?.into_inner() })
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
