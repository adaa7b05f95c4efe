//! Events about what other clients do, from containerd's own stream. What our commands do is in the journal
//! already, with more about it.

use std::collections::{HashMap, HashSet};

use super::{of_container, of_image};
use crate::containerd::{Event as Told, Happening};
use crate::engine::Engine;
use crate::engine::container::{Container, Origin, find, list};
use crate::journal::{Event, Kind};
use crate::registry::Reference;

/// What is known of the containers, so that their events have names, and ours are told apart.
pub(super) struct Foreign {
    engine: Engine,
    known: HashMap<String, Container>,
    ours: HashSet<String>,
}

impl Foreign {
    /// With every container that is there at this moment.
    pub(super) async fn new(engine: &Engine) -> Self {
        let mut foreign = Self { engine: engine.clone(), known: HashMap::new(), ours: HashSet::new() };
        for container in list(engine).await.unwrap_or_default() {
            foreign.learn(container);
        }
        foreign
    }

    fn learn(&mut self, container: Container) {
        if container.origin == Origin::Wharfie {
            self.ours.insert(container.id);
        } else {
            self.known.insert(container.id.clone(), container);
        }
    }

    async fn of(&mut self, id: &str) -> Option<Container> {
        if self.ours.contains(id) {
            return None;
        }
        if !self.known.contains_key(id) {
            // One that has gone already is left out: nobody knows whose it was.
            self.learn(find(&self.engine, id).await.ok().filter(|found| found.id == id)?);
        }
        self.known.get(id).cloned()
    }

    /// docker's event for one of containerd's; None for what concerns our containers.
    pub(super) async fn translate(&mut self, told: &Told) -> Option<Event> {
        let event = match told.happening()? {
            Happening::ContainerCreated(id) => of_container(&self.of(&id).await?, "create"),
            Happening::ContainerDeleted(id) => {
                let container = self.known.remove(&id)?;
                of_container(&container, "destroy")
            }
            Happening::TaskStarted(id) => of_container(&self.of(&id).await?, "start"),
            Happening::TaskExited { container, process, status } => {
                let about = self.of(&container).await?;
                if process == container {
                    of_container(&about, "die").with("exitCode", status.to_string())
                } else {
                    let event = of_container(&about, "exec_die").with("execID", process);
                    event.with("exitCode", status.to_string())
                }
            }
            Happening::TaskOutOfMemory(id) => of_container(&self.of(&id).await?, "oom"),
            Happening::TaskPaused(id) => of_container(&self.of(&id).await?, "pause"),
            Happening::TaskResumed(id) => of_container(&self.of(&id).await?, "unpause"),
            Happening::ExecStarted(id, exec) => {
                of_container(&self.of(&id).await?, "exec_start").with("execID", exec)
            }
            Happening::ImageCreated(name) | Happening::ImageUpdated(name) => image("pull", &name),
            Happening::ImageDeleted(name) => image("untag", &name),
        };
        Some(match told.at {
            Some(at) => event.at(at),
            None => event,
        })
    }
}

fn image(action: &str, name: &str) -> Event {
    let familiar = Reference::parse(name).map_or_else(|_| name.to_owned(), |name| name.familiar());
    of_image(action, &familiar, &familiar)
}

/// Whether `event`, from containerd, tells of what the journal has told: our commands write image records too,
/// and containerd does not say whose doing an event is.
pub(super) fn is_told(event: &Event, journal: &[Event]) -> bool {
    const NEAR: i64 = 2;
    event.kind == Kind::Image
        && journal.iter().any(|own| {
            own.kind == Kind::Image
                && (own.time - event.time).abs() <= NEAR
                && own.actor.attributes.get("name") == event.actor.attributes.get("name")
        })
}
