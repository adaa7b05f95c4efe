//! After a kill, a crash or a reboot: what was half made is taken down, what is owned by nobody is freed, and
//! what the restart policies ask for runs again.

use std::collections::HashSet;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::Duration;

use super::commit::Thaw;
use super::create::Journal;
use super::end::{finish, finish_held, read_state};
use super::hold::hold;
use super::list::list;
use super::model::{Container, Origin, Status};
use super::network;
use super::remove::{RemoveOptions, remove, remove_directory};
use super::start::{StartOptions, start};
use super::{hung, image_mounts, image_view, joining, publish};
use crate::engine::{Engine, volume};
use crate::error::{Error, Kind, Result};
use crate::oci::request::RestartPolicy;
use crate::store::{Lock, Pending, make_directory, write_atomic};

/// What a recovery did.
#[derive(Debug, Default)]
pub struct Recovered {
    /// Containers that run again.
    pub started: Vec<String>,
    /// Containers whose start failed, and why.
    pub failed: Vec<(String, Error)>,
    /// Owners whose addresses and rules were freed.
    pub freed: Vec<String>,
}

/// Take down what killed commands have left. Run at the beginning of every command that changes something;
/// it costs the reading of one directory when there is nothing to do.
pub async fn settle(engine: &Engine) -> Result<()> {
    for (pending, content) in Pending::abandoned(&engine.paths.pending())? {
        if let Ok(Thaw { thaw }) = serde_json::from_slice(&content) {
            // One that is gone, or was thawed by somebody, is fine.
            let _ = engine.containerd.resume(&thaw).await;
            pending.finish()?;
            continue;
        }
        let journal = serde_json::from_slice::<Journal>(&content).ok().filter(Journal::is_sound);
        let settled = match journal {
            Some(journal) if journal.removing => complete_removal(engine, &journal).await,
            Some(journal) => match roll_back(engine, &journal.id, &journal.snapshotter).await {
                Ok(()) => {
                    hung::end_stray(engine, &journal.id).await;
                    Ok(())
                }
                failed => failed,
            },
            None => match serde_json::from_slice::<joining::Journal>(&content) {
                Ok(journal) => joining::settle(engine, &journal).await,
                Err(_) => match serde_json::from_slice::<publish::Journal>(&content) {
                    Ok(journal) => publish::settle(engine, &journal).await,
                    // It names nothing that could be taken down.
                    Err(_) => Ok(()),
                },
            },
        };
        match settled {
            Ok(()) => pending.finish()?,
            Err(error) if error.kind == Kind::Unavailable => return Err(error),
            // What hangs there must not stop what is asked for here: the journal stays for a later command.
            Err(_) => {}
        }
    }
    Ok(())
}

/// Remove a half-made container. One that was started is whole: it stays.
pub(super) async fn roll_back(engine: &Engine, id: &str, snapshotter: &str) -> Result<()> {
    match super::find(engine, id).await {
        Ok(container) if container.id == id => {
            let started = container.status.is_alive() || container.state.finished_at.is_some();
            let failed = !container.state.error.is_empty();
            // One that stands beside another was somebody's session: it goes with the command that made it.
            let session = container.record.as_ref().is_some_and(|record| record.request.beside.is_some());
            if started && !failed && !session {
                return Ok(());
            }
            remove(engine, &container, RemoveOptions { force: true, volumes: true }).await
        }
        Ok(_) => remove_traces(engine, id, snapshotter, true).await,
        Err(error) if error.kind == Kind::NotFound => remove_traces(engine, id, snapshotter, true).await,
        Err(error) => Err(error),
    }
}

/// Go on where a removal was killed. Its task had ended before it began.
async fn complete_removal(engine: &Engine, journal: &Journal) -> Result<()> {
    match super::find(engine, &journal.id).await {
        Ok(container) if container.id == journal.id => {
            if container.status.is_alive() {
                return Ok(());
            }
            remove(engine, &container, RemoveOptions { force: true, volumes: journal.volumes }).await?;
        }
        Err(error) if error.kind != Kind::NotFound => return Err(error),
        _ => {}
    }
    remove_traces(engine, &journal.id, &journal.snapshotter, journal.volumes).await
}

/// What can be there before the record is, or after it.
pub(super) async fn remove_traces(engine: &Engine, id: &str, snapshotter: &str, volumes: bool) -> Result<()> {
    match engine.containerd.remove_snapshot(snapshotter, id).await {
        Err(error) if !error.is_not_found() => return Err(error.into()),
        _ => {}
    }
    image_view::remove_lease(engine, id).await?;
    image_mounts::release(engine, id, snapshotter).await?;
    let owner = network::owner(engine.containerd.namespace(), id);
    let networks = engine.networks.clone();
    let freed = tokio::task::spawn_blocking(move || networks.forget(&owner));
    freed.await.map_err(|cause| Error::failed(format!("free the network: {cause}")))??;
    remove_directory(&engine.paths.container(id))?;
    remove_directory(&engine.paths.container_run(id))?;
    volume::release(engine, id).await;
    if volumes { volume::remove_made_for(engine, id).await } else { Ok(()) }
}

/// Whether the machine or containerd has been started since the last recovery. Two calls of the kernel.
pub fn is_due(engine: &Engine) -> bool {
    std::fs::read(mark(engine)).ok().is_none_or(|kept| kept != incarnation(engine))
}

/// Lies where a reboot removes it, and tells which start of containerd it was written for.
fn mark(engine: &Engine) -> PathBuf {
    engine.paths.run().join(format!("recovered-{}", engine.containerd.namespace()))
}

/// containerd makes its socket anew at each start.
fn incarnation(engine: &Engine) -> Vec<u8> {
    let socket = std::fs::metadata(engine.containerd.socket());
    socket
        .map(|data| format!("{} {} {}", data.ino(), data.ctime(), data.ctime_nsec()).into_bytes())
        .unwrap_or_default()
}

/// Recover when it is due and nobody else does so at this moment. Called before every command: whatever fails
/// here fails again, and is told, when somebody asks for it.
pub async fn recover_if_due(engine: &Engine) {
    super::resolver::revive(engine);
    if is_due(engine)
        && let Ok(Some(_recovering)) = lock(engine, false)
    {
        let _ = recover_locked(engine).await;
    }
}

/// Bring back what the policies ask for, and free what nobody owns.
pub async fn recover(engine: &Engine) -> Result<Recovered> {
    let _recovering = lock(engine, true)?;
    recover_locked(engine).await
}

fn lock(engine: &Engine, wait: bool) -> Result<Option<Lock>> {
    make_directory(engine.paths.run(), 0o700)?;
    let path = engine.paths.run().join(format!("recovering-{}", engine.containerd.namespace()));
    if wait { Lock::file(&path).map(Some) } else { Lock::try_file(&path) }
}

async fn recover_locked(engine: &Engine) -> Result<Recovered> {
    let (rebooted, incarnation) = (!mark(engine).exists(), incarnation(engine));
    settle(engine).await?;
    let mut recovered = Recovered::default();
    let containers = list(engine).await?;
    let known: HashSet<String> = containers.iter().map(|container| container.id.clone()).collect();
    for mut container in containers {
        if container.origin != Origin::Wharfie
            || container.status.is_alive()
            || container.status == Status::Unknown
        {
            continue;
        }
        match bring_back(engine, &mut container, rebooted).await {
            Ok(true) => recovered.started.push(container.name),
            Ok(false) => {}
            Err(error) => recovered.failed.push((container.name, error)),
        }
    }
    remove_lost(engine, &known).await?;
    // On a disk that is read-only nothing can be taken away, and everything else goes on.
    let _ = volume::sweep(engine);
    recovered.freed = reap(engine).await?;
    write_atomic(&mark(engine), &incarnation, 0o600)?;
    Ok(recovered)
}

/// Record the end of a container that does not run; start or remove it when that is due.
async fn bring_back(engine: &Engine, container: &mut Container, rebooted: bool) -> Result<bool> {
    let held = hold(&engine.paths.container(&container.id)).await?;
    // What is kept, not what its task says: an end that nobody has recorded is one that nobody acted upon.
    let state = match read_state(engine, &container.id).await {
        Err(error) if error.kind == Kind::NotFound => return Ok(false),
        other => other?,
    };
    // A restart that nobody is waiting for any more counts like an end that nobody saw.
    let was_running = state.started_at.is_some() && (state.finished_at.is_none() || state.restarting);
    if finish_held(engine, container).await?.is_none() {
        return Ok(false);
    }
    drop(held);
    if wanted(container, was_running, rebooted) {
        let options = StartOptions { by_policy: true, ..StartOptions::default() };
        return start(engine, container, options).await.map(|started| !started.was_running);
    }
    if state.started_at.is_some()
        && container.record.as_ref().is_some_and(|record| record.request.auto_remove)
    {
        remove(engine, container, RemoveOptions { force: true, volumes: true }).await?;
    }
    Ok(false)
}

/// Remove the directories of containers that containerd does not know any more.
async fn remove_lost(engine: &Engine, known: &HashSet<String>) -> Result<()> {
    for entry in std::fs::read_dir(engine.paths.containers()).into_iter().flatten().flatten() {
        let Some(id) =
            entry.file_name().to_str().filter(|id| is_id(id) && !known.contains(*id)).map(str::to_owned)
        else {
            continue;
        };
        // One that is being made has a journal until it has a record: in this order nothing is missed.
        if is_being_made(engine, &id) {
            continue;
        }
        if engine.containerd.container(&id).await.is_err_and(|error| error.is_not_found()) {
            remove_directory(&engine.paths.container(&id))?;
            remove_directory(&engine.paths.container_run(&id))?;
        }
    }
    Ok(())
}

pub(in crate::engine) fn is_being_made(engine: &Engine, id: &str) -> bool {
    Pending::any(&engine.paths.pending(), |content| {
        serde_json::from_slice::<Journal>(content).is_ok_and(|journal| journal.id == id)
    })
}

/// Free what containers of ours have that ended, or went, while nobody could tell. Says whether there was any.
pub(super) async fn free_ended(engine: &Engine) -> bool {
    let mut freed = false;
    for mut container in list(engine).await.unwrap_or_default() {
        let ended = container.origin == Origin::Wharfie
            && container.state.connection.is_some()
            && matches!(container.status, Status::Exited | Status::Created | Status::Restarting);
        if ended {
            freed |= finish(engine, &mut container).await.is_ok_and(|status| status.is_some());
        }
    }
    // Also of those that containerd does not know any more.
    freed | reap(engine).await.is_ok_and(|owners| !owners.is_empty())
}

/// docker's rules after a restart of the machine or the engine: `always` and `unless-stopped` come back unless
/// the user stopped them (`always` after a reboot even then), `on-failure` only what was running.
fn wanted(container: &Container, was_running: bool, rebooted: bool) -> bool {
    let Some(record) = &container.record else { return false };
    let stopped = container.state.stopped_by_user;
    match record.request.restart {
        RestartPolicy::No => false,
        RestartPolicy::OnFailure(_) => was_running && !stopped,
        RestartPolicy::UnlessStopped => !stopped && container.state.started_at.is_some(),
        RestartPolicy::Always => container.state.started_at.is_some() && (rebooted || !stopped),
    }
}

/// Free addresses, rules and namespaces whose container is gone or does not run, in every namespace of this
/// containerd.
pub async fn reap(engine: &Engine) -> Result<Vec<String>> {
    let mut alive = HashSet::new();
    let mut namespaces = Vec::new();
    // Those that do not run stay so until we are done.
    let mut held = Vec::new();
    for (namespace, _) in engine.containerd.namespaces().await? {
        let engine = engine.in_namespace(&namespace)?;
        for container in list(&engine).await? {
            let runs = container.status.is_alive() || container.status == Status::Unknown;
            match if runs {
                None
            } else {
                Lock::try_directory(&engine.paths.container(&container.id)).ok().flatten()
            } {
                Some(lock) if !runs_by_now(&engine, &container.id).await => held.push(lock),
                _ => drop(alive.insert(network::owner(&namespace, &container.id))),
            }
        }
        namespaces.push(engine);
    }
    let networks = engine.networks.clone();
    let freed = tokio::task::spawn_blocking(move || {
        networks.reap(&|owner| {
            // Unknown so far: it is being made, or has been since we looked.
            let is_new = |engine: &Engine| {
                let id =
                    owner.strip_prefix(engine.containerd.namespace()).and_then(|rest| rest.strip_prefix('-'));
                id.is_some_and(|id| {
                    is_being_made(engine, id)
                        || (!held_has(&held, engine, id) && engine.paths.container(id).exists())
                })
            };
            alive.contains(owner) || namespaces.iter().any(is_new)
        })
    });
    freed.await.map_err(|cause| Error::failed(format!("free the network: {cause}")))?
}

/// What containers that are gone have left of their networks, by owner: [`reap`] frees it. Nothing is changed.
///
/// # Errors
/// What cannot be read, or is not told by containerd.
pub async fn leftovers(engine: &Engine) -> Result<Vec<(String, Vec<&'static str>)>> {
    let networks = engine.networks.clone();
    let owned = tokio::task::spawn_blocking(move || networks.owned());
    let mut owned = owned.await.map_err(|cause| Error::failed(format!("look for leftovers: {cause}")))??;
    if owned.is_empty() {
        return Ok(Vec::new());
    }
    // Asked for after what they have: one that is made in between has its journal, or its record.
    for (namespace, _) in engine.containerd.namespaces().await? {
        let engine = engine.in_namespace(&namespace)?;
        owned.retain(|owner, _| {
            let id = owner.strip_prefix(&namespace).and_then(|rest| rest.strip_prefix('-'));
            !id.is_some_and(|id| is_being_made(&engine, id))
        });
        for container in engine.containerd.containers(&[]).await? {
            owned.remove(&network::owner(&namespace, &container.id));
        }
    }
    Ok(owned.into_iter().map(|(owner, what)| (owner, what.into_iter().collect())).collect())
}

fn held_has(held: &[Lock], engine: &Engine, id: &str) -> bool {
    held.iter().any(|lock| lock.is_of(&engine.paths.container(id)))
}

async fn runs_by_now(engine: &Engine, id: &str) -> bool {
    let task = engine.containerd.task(id, Some(Duration::from_secs(1))).await;
    !task.is_err_and(|error| error.is_not_found())
}

pub(super) fn is_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

impl Journal {
    /// Written by us: nothing else may become a path.
    fn is_sound(&self) -> bool {
        is_id(&self.id)
    }
}
