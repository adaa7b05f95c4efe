//! `export`: a container's root file system as a tar, without its volumes.

use std::io::Write;
use std::path::Path;

use super::model::Container;
use super::view::{self, Wanted};
use crate::engine::{Engine, event};
use crate::error::{Error, Result};
use crate::image::archive::TreeWriter;
use crate::sys::tree::{Start, walk};

/// Write everything in the root file system of `container` into `output`. One that runs goes on meanwhile.
pub async fn export(
    engine: &Engine,
    container: &mut Container,
    output: &mut (dyn Write + Send),
) -> Result<()> {
    let opened = view::open(engine, container, Wanted::Root).await?;
    let place = opened.view.place(Path::new("/"), true).map_err(|cause| Error::io("open", "/", cause))?;
    let place = place.ok_or_else(|| Error::not_found("the root file system is gone"))?;
    let mut writer = TreeWriter::new(output);
    walk(place, &Start { name: "".into(), shown: "/".into() }, &mut writer)?;
    writer.finish()?;
    engine.note(&[event::of_container(container, "export")]);
    Ok(())
}
