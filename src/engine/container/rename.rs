//! Another name for a container: reserved as at creation, then moved in one write of containerd's record.

use super::create::{check_container_name, name_in_use, named};
use super::find::find;
use super::hold::hold;
use super::model::{Container, NAME_LABEL, Origin, RECORD_EXTENSION, record_extension};
use super::{files, resolver};
use crate::engine::{Engine, event};
use crate::error::{Error, Result};
use crate::store::Pending;

/// What the reservation's file says: it names nothing to take down, because the name moves in one step.
const RESERVATION: &[u8] = b"{\"renaming\":true}";

/// What docker puts before its reasons.
const LEAD: &str = "Error when allocating new name";

/// Give the container another name.
///
/// # Errors
/// In docker's words: a name that is taken, that is the old one, or that is no name. A container whose name is
/// another program's affair.
pub async fn rename(engine: &Engine, container: &mut Container, name: &str) -> Result<()> {
    let name = name.strip_prefix('/').unwrap_or(name);
    if name.is_empty() {
        return Err(Error::failed("Neither old nor new names may be empty"));
    }
    if name == container.name {
        return Err(Error::failed("Renaming a container with the same name as its current name"));
    }
    movable(container)?;
    check_container_name(name).map_err(|error| error.context(LEAD))?;
    let Some(reserved) = Pending::begin(&engine.paths.pending(), name, RESERVATION)? else {
        return Err(name_in_use(name, "another command is making it at this moment").context(LEAD));
    };
    let renamed = match named(engine, name).await {
        Ok(Some(holder)) => Err(name_in_use(name, &format!("by container {holder:?}")).context(LEAD)),
        Ok(None) => put(engine, container, name).await,
        Err(error) => Err(error),
    };
    // Also after a failure: the name is the next one's.
    let freed = reserved.finish();
    renamed.and(freed)
}

fn movable(container: &Container) -> Result<()> {
    let who = match container.origin {
        Origin::Wharfie => return Ok(()),
        Origin::Nerdctl => {
            return Err(Error::conflict(format!(
                "cannot rename container {}: nerdctl made it and keeps its name in files of its own",
                container.name
            ))
            .hint(format!("use `nerdctl rename {}`", container.name)));
        }
        Origin::Cri => "a kubelet",
        Origin::Other => "another client of containerd",
    };
    Err(Error::conflict(format!(
        "cannot rename container {}: {who} made it, and it has an id but no name",
        container.name
    )))
}

async fn put(engine: &Engine, container: &mut Container, name: &str) -> Result<()> {
    let _held = hold(&engine.paths.container(&container.id)).await?;
    *container = find(engine, &container.id).await?;
    let mut record = container.record()?.clone();
    record.request.name = name.to_owned();
    container.raw.labels.insert(NAME_LABEL.into(), name.to_owned());
    container.raw.extensions.insert(RECORD_EXTENSION.into(), record_extension(&record)?);
    let fields = [format!("labels.{NAME_LABEL}"), format!("extensions.{RECORD_EXTENSION}")];
    engine
        .containerd
        .update_container(&container.raw, &[&fields[0], &fields[1]])
        .await
        .map_err(|error| Error::from(error).context(format!("rename container {}", container.name)))?;
    let old = std::mem::replace(&mut container.name, name.to_owned());
    engine.note(&[event::of_container(container, "rename").with("oldName", format!("/{old}"))]);
    // The container looks itself up by the name. Who is killed before this leaves the old one until the next
    // start, which writes the file anyway.
    if let (true, Some(connection)) = (container.status.is_alive(), &container.state.connection) {
        files::write(engine, &container.id, &record, Some(connection))?;
        resolver::attend(engine, container, &record, connection).await?;
    }
    container.record = Some(record);
    Ok(())
}
