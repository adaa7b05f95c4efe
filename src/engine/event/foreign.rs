//! Events about what other clients do, from containerd's own stream. What our commands do is in the journal
//! already, with more about it: but for the end of a process that nobody of ours waits for (`exec -d`).

use std::collections::{HashMap, HashSet};

use super::{of_container, of_image};
use crate::containerd::{Event as Told, Happening};
use crate::engine::Engine;
use crate::engine::container::{Container, Origin, find, list};
use crate::journal::{Event, Kind};
use crate::registry::Reference;

const EXEC_DIE: &str = "exec_die";

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

    /// docker's event for one of containerd's; None for what concerns our containers, but for the ends of processes
    /// in them.
    pub(super) async fn translate(&mut self, told: &Told) -> Option<Event> {
        let event = match told.happening()? {
            Happening::ContainerCreated(id) => of_container(&self.of(&id).await?, "create"),
            Happening::ContainerDeleted(id) => {
                let container = self.known.remove(&id)?;
                of_container(&container, "destroy")
            }
            Happening::TaskStarted(id) => of_container(&self.of(&id).await?, "start"),
            Happening::TaskExited { container, process, status } => {
                let about = if process != container && self.ours.contains(&container) {
                    find(&self.engine, &container).await.ok()?
                } else {
                    self.of(&container).await?
                };
                if process == container {
                    of_container(&about, "die").with("exitCode", status.to_string())
                } else {
                    let event = of_container(&about, EXEC_DIE).with("execID", process);
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

/// Whether the journal may tell of `event` too: our commands write image records, and wait for processes that they have
/// started. containerd does not say whose doing an event is.
pub(super) fn may_be_told(event: &Event) -> bool {
    event.kind == Kind::Image || event.action == EXEC_DIE
}

/// Whether the journal has told of `event`, from containerd.
pub(super) fn is_told(event: &Event, journal: &[Event]) -> bool {
    const NEAR: i64 = 2;
    let same = |own: &Event, key: &str| own.actor.attributes.get(key) == event.actor.attributes.get(key);
    journal.iter().any(|own| match event.kind {
        Kind::Image => own.kind == Kind::Image && (own.time - event.time).abs() <= NEAR && same(own, "name"),
        _ => own.action == event.action && same(own, "execID"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_journal_has_told_is_known() {
        let at = |event: Event, second| event.at(jiff::Timestamp::from_second(second).unwrap());
        let image = |action, name, second| at(of_image(action, name, name), second);
        let exec = |action: &str, id| Event::new(Kind::Container, action, "web").with("execID", id);
        let journal = [image("tag", "a:1", 100), exec("exec_start", "2"), exec(EXEC_DIE, "1")];
        for (event, expected) in [
            (image("pull", "a:1", 101), true),
            (image("pull", "a:1", 103), false),
            (image("pull", "b:1", 100), false),
            (exec(EXEC_DIE, "1"), true),
            (exec(EXEC_DIE, "2"), false),
        ] {
            assert!(may_be_told(&event));
            assert_eq!(is_told(&event, &journal), expected, "{event:?}");
        }
        assert!(!may_be_told(&Event::new(Kind::Container, "die", "web")));
    }
}
