//! What an image was made of, step by step.

use futures_util::future::join_all;
use jiff::Timestamp;
use oci_spec::image::History;

use crate::engine::Engine;
use crate::error::Result;
use crate::image::digest::chain_ids;
use crate::image::platform::Platform;

use super::resolve::resolve;

/// One step.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Step {
    /// The image's id, for its last step alone: the others are no images.
    pub id: Option<String>,
    /// When it was taken.
    pub created: Option<Timestamp>,
    /// The command.
    pub created_by: String,
    /// What its maker says of it.
    pub comment: String,
    /// Bytes that its layer adds once unpacked; 0 for a step without a layer, and where it is not unpacked.
    pub size: u64,
    /// The snapshot of its layer; empty for a step without one.
    pub snapshot: String,
}

/// The steps of the image that `text` means, the last one first.
pub async fn history(engine: &Engine, text: &str, platform: Option<&Platform>) -> Result<Vec<Step>> {
    let image = resolve(engine, text, platform).await?;
    let id = if platform.is_some() { image.manifest_descriptor.digest() } else { image.target.digest() };
    let told = image.config.history().as_deref().unwrap_or_default();
    let mut steps = steps(told, &chain_ids(image.config.rootfs().diff_ids()), id.as_ref());
    let snapshotter = &engine.config.snapshotter;
    let sizes = steps.iter().map(async |step| match step.snapshot.as_str() {
        "" => 0,
        key => engine.containerd.snapshot_usage(snapshotter, key).await.unwrap_or_default(),
    });
    let sizes = join_all(sizes).await;
    for (step, bytes) in steps.iter_mut().zip(sizes) {
        step.size = bytes;
    }
    Ok(steps)
}

/// The steps that are told, each with its layer; layers that nobody tells of are steps without words.
fn steps(told: &[History], chain: &[String], id: &str) -> Vec<Step> {
    let mut layers = chain.iter();
    let mut steps: Vec<Step> = told
        .iter()
        .map(|one| {
            let text = |value: &Option<String>| value.clone().unwrap_or_default();
            let layer = if one.empty_layer() == Some(true) { None } else { layers.next() };
            Step {
                id: None,
                created: one.created().as_ref().and_then(|time| time.parse().ok()),
                created_by: text(one.created_by()),
                comment: text(one.comment()),
                size: 0,
                snapshot: layer.cloned().unwrap_or_default(),
            }
        })
        .collect();
    steps.extend(layers.map(|layer| Step { snapshot: layer.clone(), ..Step::default() }));
    steps.reverse();
    if let Some(last) = steps.first_mut() {
        last.id = Some(id.to_owned());
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(created_by: &str, empty: Option<bool>) -> History {
        let value = serde_json::json!({ "created_by": created_by, "empty_layer": empty });
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn steps_have_their_layers() {
        let chain = ["sha256:a".to_owned(), "sha256:b".to_owned()];
        let shown = |told: &[History], chain: &[String]| -> Vec<String> {
            steps(told, chain, "sha256:id")
                .iter()
                .map(|step| {
                    format!("{} {} {}", step.id.as_deref().unwrap_or("-"), step.created_by, step.snapshot)
                })
                .collect()
        };
        let all = [told("ADD", None), told("ENV", Some(true)), told("RUN", Some(false))];
        assert_eq!(shown(&all, &chain), ["sha256:id RUN sha256:b", "- ENV ", "- ADD sha256:a"]);
        assert_eq!(shown(&all[..1], &chain), ["sha256:id  sha256:b", "- ADD sha256:a"]);
        assert_eq!(shown(&all, &chain[..1]), ["sha256:id RUN ", "- ENV ", "- ADD sha256:a"]);
        assert_eq!(shown(&[], &[]), Vec::<String>::new());
    }
}
