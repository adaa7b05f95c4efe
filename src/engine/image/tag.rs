//! Tag: one more name for an image.

use crate::engine::{Engine, event};
use crate::error::{Error, Result};
use crate::registry::Reference;

use super::name;
use super::resolve::find;

/// Give the image that `source` means the name `target`. An image that loses its last name stays nameless.
pub async fn tag(engine: &Engine, source: &str, target: &str) -> Result<()> {
    let reference = Reference::parse(target)?;
    if reference.digest().is_some() {
        return Err(Error::usage("refusing to create a tag with a digest reference"));
    }
    let image = find(engine, source).await?;
    name::put(&engine.containerd, &reference.canonical(), &image.target).await?;
    engine.note(&[event::of_image("tag", image.target.digest().as_ref(), &reference.familiar())]);
    Ok(())
}
