//! Images for a kubelet: named and labelled as CRI does it, so that it sees them at once and after a restart, and keeps
//! them where that is wished; then looked for as a kubelet would. CRI need not run for it.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::containerd::{Client, Image};
use crate::cri::{self, api};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::registry::Reference;

use super::name::{dangling, is_dangling};
use super::resolve::{ResolvedImage, read};

/// The namespace of CRI's images.
pub const KUBERNETES: &str = "k8s.io";
/// CRI's mark on the names that are its own.
const MANAGED: (&str, &str) = ("io.cri-containerd.image", "managed");
/// CRI's mark on images that a kubelet does not collect.
const PINNED: (&str, &str) = ("io.cri-containerd.pinned", "pinned");
/// How long CRI may take to answer.
const ANSWER: Duration = Duration::from_secs(10);
/// How long CRI, which learns of images by events, may take to know one.
const NOTICE: Duration = Duration::from_secs(20);
/// How long it may take to know of the pin besides: an older one never does.
const PIN_NOTICE: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(20);

/// An image that a kubelet sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// The kubelet's image id: the configuration's digest.
    pub id: String,
    /// As users write them; none for an image known by its id alone.
    pub names: Vec<String>,
    /// Who says so.
    pub seen: Seen,
}

/// Who says that a kubelet sees an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// CRI, which was asked.
    Cri {
        /// Whether the image counts as pinned there. An old CRI knows no pins.
        is_pinned: bool,
    },
    /// containerd's records, because CRI did not answer, and why.
    Records(String),
}

/// Make the images of `target` (`sha256:…`), which are in Kubernetes' namespace as any other's, images of CRI. With `pin`
/// the kubelet never collects them.
///
/// # Errors
/// There is none, it is not whole, or CRI answers and does not know it.
pub async fn publish(engine: &Engine, target: &str, pin: bool) -> Result<Published> {
    let client = &engine.containerd;
    let records = client.images(&[format!("target.digest=={target}")]).await?;
    let first = records.first().ok_or_else(|| Error::not_found(format!("No such image: {target}")))?;
    let image = read(client, first, None).await?;
    let given: Vec<&str> = records
        .iter()
        .map(|record| record.name.as_str())
        .filter(|name| !is_dangling(name) && !name.starts_with("sha256:"))
        .collect();
    let names = register(client, &image, &given, pin).await?;
    match client.delete_image(&dangling(&image.target), false).await {
        Err(error) if !error.is_not_found() => return Err(error.into()),
        _ => {}
    }
    let id = image.manifest.config().digest().to_string();
    let seen = match by_cri(client, &names, &id, pin).await? {
        Ok(is_pinned) => Seen::Cri { is_pinned },
        Err(why) => {
            by_records(client, &image, &names, pin).await?;
            Seen::Records(why)
        }
    };
    let tags = given.iter().filter_map(|name| Reference::parse(name).ok());
    let names = tags.filter(|name| name.digest().is_none()).map(|name| name.familiar()).collect();
    Ok(Published { id, names, seen })
}

/// Give the image the names that CRI knows it by: its id first, then each of `given` by its digest and as it is, each with
/// CRI's labels. Returns all of them.
pub(super) async fn register(
    client: &Client,
    image: &ResolvedImage,
    given: &[&str],
    pin: bool,
) -> Result<Vec<String>> {
    let mut names = vec![image.manifest.config().digest().to_string()];
    for name in given {
        if let Ok(reference) = Reference::parse(name) {
            names.push(reference.with_digest(image.target.digest()).canonical());
        }
        names.push((*name).to_owned());
    }
    let mut done: Vec<String> = Vec::new();
    for name in names {
        if done.contains(&name) {
            continue;
        }
        let mut labels = match client.image(&name).await {
            Ok(known) => known.labels,
            Err(error) if error.is_not_found() => HashMap::new(),
            Err(error) => return Err(error.into()),
        };
        for (key, value) in std::iter::once(MANAGED).chain(pin.then_some(PINNED)) {
            labels.insert(key.to_owned(), value.to_owned());
        }
        let target = image.target.clone();
        let record = Image { name: name.clone(), target, labels, created_at: None, updated_at: None };
        client.put_image(&record).await?;
        done.push(name);
    }
    Ok(done)
}

/// Ask CRI for each name until it knows it; whether the image is pinned there. The inner error is why CRI cannot be asked.
async fn by_cri(client: &Client, names: &[String], id: &str, pin: bool) -> Result<Result<bool, String>> {
    let cri = cri::Client::new(client, Some(ANSWER));
    let begun = Instant::now();
    let mut is_pinned = pin;
    for name in names {
        let mut seen_at = None;
        loop {
            let spec = api::ImageSpec { image: name.clone(), ..Default::default() };
            let asked = api::ImageStatusRequest { image: Some(spec), verbose: false };
            let known = match cri.image_status(asked).await {
                Ok(status) => status.image.filter(|known| known.id == id),
                Err(cause) => return Ok(Err(cause.to_string())),
            };
            match known {
                Some(known) if known.pinned || !is_pinned => break,
                Some(_) => {
                    if seen_at.get_or_insert_with(Instant::now).elapsed() > PIN_NOTICE {
                        is_pinned = false;
                        break;
                    }
                }
                None if begun.elapsed() > NOTICE => {
                    return Err(Error::failed(format!("CRI does not know {name} as {id}"))
                        .hint("it is in containerd: restart containerd, then `crictl images` shows it"));
                }
                None => {}
            }
            tokio::time::sleep(LOOK).await;
        }
    }
    Ok(Ok(is_pinned))
}

/// What CRI reads when it starts: the names, their labels, and everything that the image is made of.
async fn by_records(client: &Client, image: &ResolvedImage, names: &[String], pin: bool) -> Result<()> {
    for name in names {
        let record = client.image(name).await?;
        let has = |(key, value): (&str, &str)| record.labels.get(key).is_some_and(|found| found == value);
        if record.target.digest() != image.target.digest() || !has(MANAGED) || (pin && !has(PINNED)) {
            return Err(Error::conflict(format!("{name}: somebody else changed it meanwhile"))
                .hint("do it again once nobody else works on the same image"));
        }
    }
    for part in image.manifest.layers() {
        client.blob(part.digest().as_ref()).await.map_err(|error| match error.is_not_found() {
            true => Error::failed(format!("{}: layer {} is not here", image.name, part.digest()))
                .hint("the image is incomplete: bring it again"),
            false => error.into(),
        })?;
    }
    Ok(())
}
