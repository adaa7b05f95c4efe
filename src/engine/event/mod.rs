//! What has happened, for `events`: our own doings from the journal, those of other clients from containerd.

mod filter;
mod foreign;
mod stream;

use super::Engine;
use super::container::{Container, Origin};
use crate::journal::{Event, Journal, Kind};
use crate::net::Connection;
use crate::oci::request::MountKind;

pub use filter::Filters;
pub use stream::{Events, Query, events};

impl Engine {
    /// The namespace's journal.
    pub fn journal(&self) -> Journal {
        Journal::new(&self.paths.events())
    }

    /// Keep what has happened. A journal that cannot be written, on a full disk say, stops nobody.
    pub fn note(&self, events: &[Event]) {
        // Another machine's journal is its own.
        if self.config.node.is_none() {
            let _ = self.journal().append(events);
        }
    }

    /// Keep what containerd tells of other clients' containers by itself.
    pub(super) fn note_of_ours(&self, container: &Container, action: &str) {
        if container.origin == Origin::Wharfie {
            self.note(&[of_container(container, action)]);
        }
    }
}

/// An event about `container`, with the attributes that docker gives all of them.
pub fn of_container(container: &Container, action: impl Into<String>) -> Event {
    let mut event = Event::new(Kind::Container, action, &container.id);
    event.actor.attributes.clone_from(&container.labels);
    event.with("image", &container.image).with("name", &container.name)
}

/// An event about the image `name` (as a user writes it), known by `id`.
pub fn of_image(action: &str, id: &str, name: &str) -> Event {
    Event::new(Kind::Image, action, id).with("name", name)
}

/// An event about the volume `name`.
pub fn of_volume(action: &str, name: &str) -> Event {
    Event::new(Kind::Volume, action, name).with("driver", "local")
}

/// `connect` or `disconnect` of `container`, one a network.
pub(super) fn of_networks<'a>(
    container: &'a str,
    connection: &'a Connection,
    action: &'static str,
) -> impl Iterator<Item = Event> + 'a {
    connection.endpoints.iter().map(move |endpoint| {
        let driver = match (endpoint.driver.as_str(), endpoint.bridge.is_empty()) {
            ("", true) => "cni",
            ("", false) => "bridge",
            (driver, _) => driver,
        };
        of_network(action, (&endpoint.network_id, &endpoint.network), driver).with("container", container)
    })
}

/// An event about the network of this id and name.
pub fn of_network(action: &str, (id, name): (&str, &str), driver: &str) -> Event {
    Event::new(Kind::Network, action, id).with("name", name).with("type", driver)
}

/// The mounts of a container's volumes.
pub(super) fn of_mounts(container: &Container, mount: bool) -> Vec<Event> {
    let mounts = container.record.iter().flat_map(|record| &record.mounts);
    mounts
        .filter(|volume| volume.kind == MountKind::Volume && !volume.name.is_empty())
        .map(|volume| {
            let event = of_volume(if mount { "mount" } else { "unmount" }, &volume.name)
                .with("container", &container.id);
            if !mount {
                return event;
            }
            event
                .with("destination", &volume.target)
                .with("propagation", &volume.propagation)
                .with("read/write", if volume.read_only { "false" } else { "true" })
        })
        .collect()
}
