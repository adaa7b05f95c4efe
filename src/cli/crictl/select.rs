//! Which pods and containers a command means: filters for CRI, and those that crictl applies itself.

use std::collections::HashMap;

use regex_lite::Regex;

use super::session::{Answer, Session};
use crate::cri::{Client, api};
use crate::error::{Error, Result};
use crate::output::notation::quote;

/// What a list may be narrowed to.
#[derive(Debug, Clone, Default)]
pub(super) struct Select {
    pub(super) id: Option<String>,
    pub(super) pod: Option<String>,
    pub(super) name: Option<String>,
    pub(super) namespace: Option<String>,
    pub(super) state: Option<String>,
    pub(super) labels: Vec<String>,
    pub(super) image: Option<String>,
    /// Those that do not run, too.
    pub(super) all: bool,
    pub(super) latest: bool,
    pub(super) last: i64,
}

impl Select {
    /// Whether a pattern for the name and for the namespace fits.
    fn patterns(&self) -> Result<(Option<Regex>, Option<Regex>)> {
        Ok((pattern(self.name.as_deref())?, pattern(self.namespace.as_deref())?))
    }

    fn count(&self, found: usize) -> usize {
        let wanted = if self.latest { 1 } else { found };
        usize::try_from(self.last).ok().filter(|last| *last > 0).unwrap_or(wanted).min(found)
    }
}

fn pattern(text: Option<&str>) -> Result<Option<Regex>> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    Regex::new(text)
        .map(Some)
        .map_err(|cause| Error::failed(format!("invalid regular expression {}: {cause}", quote(text))))
}

fn fits(pattern: Option<&Regex>, text: &str) -> bool {
    pattern.is_none_or(|pattern| pattern.is_match(text))
}

/// `key=value` words as labels.
pub(super) fn labels(words: &[String]) -> Result<HashMap<String, String>> {
    words
        .iter()
        .map(|word| match word.split('=').collect::<Vec<_>>().as_slice() {
            [key, value] => Ok(((*key).to_owned(), (*value).to_owned())),
            _ => Err(Error::failed(format!("incorrectly specified label: {word}"))),
        })
        .collect()
}

/// The pods that `select` means, newest first.
pub(super) async fn pods(runtime: &Client, select: &Select) -> Result<Vec<api::PodSandbox>> {
    let state = match select.state.as_deref().map(str::to_lowercase).as_deref() {
        None | Some("") => None,
        Some("ready") => Some(api::PodSandboxState::SandboxReady),
        Some("notready") => Some(api::PodSandboxState::SandboxNotready),
        Some(_) => return Err(Error::failed("--state should be ready or notready")),
    };
    let (name, namespace) = select.patterns()?;
    let filter = api::PodSandboxFilter {
        id: select.id.clone().unwrap_or_default(),
        state: state.map(|state| api::PodSandboxStateValue { state: state.into() }),
        label_selector: labels(&select.labels)?,
    };
    let request = api::ListPodSandboxRequest { filter: Some(filter) };
    let mut found = runtime.list_pod_sandbox(request).await.during("call list sandboxes RPC")?.items;
    found.retain(|pod| {
        pod.metadata.as_ref().is_some_and(|metadata| {
            fits(name.as_ref(), &metadata.name) && fits(namespace.as_ref(), &metadata.namespace)
        })
    });
    found.sort_by_key(|pod| std::cmp::Reverse(pod.created_at));
    found.truncate(select.count(found.len()));
    Ok(found)
}

/// The containers that `select` means, newest first.
pub(super) async fn containers(
    session: &mut Session<'_, '_>,
    runtime: &Client,
    select: &Select,
) -> Result<Vec<api::Container>> {
    let state = match select.state.as_deref().map(str::to_lowercase).as_deref() {
        None | Some("") => (!select.all).then_some(api::ContainerState::ContainerRunning),
        Some("created") => Some(api::ContainerState::ContainerCreated),
        Some("running") => Some(api::ContainerState::ContainerRunning),
        Some("exited") => Some(api::ContainerState::ContainerExited),
        Some("unknown") => Some(api::ContainerState::ContainerUnknown),
        Some(_) => return Err(Error::failed("--state should be one of created, running, exited or unknown")),
    };
    // The newest ones are meant whatever their state.
    let state = state.filter(|_| !select.latest && select.last <= 0);
    let (name, namespace) = select.patterns()?;
    let filter = api::ContainerFilter {
        id: select.id.clone().unwrap_or_default(),
        pod_sandbox_id: select.pod.clone().unwrap_or_default(),
        state: state.map(|state| api::ContainerStateValue { state: state.into() }),
        label_selector: labels(&select.labels)?,
    };
    let request = api::ListContainersRequest { filter: Some(filter) };
    let mut found = runtime.list_containers(request).await.during("call list containers RPC")?.containers;
    if let Some(image) = select.image.as_deref().filter(|image| !image.is_empty()) {
        let images = session.images().await?;
        let wanted = image_id(&images, image).await?;
        let mut kept = Vec::new();
        for container in found {
            let own = container.image.as_ref().map(|spec| spec.image.clone()).unwrap_or_default();
            if wanted.is_some() && image_id(&images, &own).await? == wanted {
                kept.push(container);
            }
        }
        found = kept;
    }
    found.retain(|container| {
        container.metadata.as_ref().is_some_and(|metadata| fits(name.as_ref(), &metadata.name))
            && fits(namespace.as_ref(), pod_label(container, "io.kubernetes.pod.namespace"))
    });
    found.sort_by_key(|container| std::cmp::Reverse(container.created_at));
    found.truncate(select.count(found.len()));
    Ok(found)
}

async fn image_id(images: &Client, name: &str) -> Result<Option<String>> {
    let status = image(images, name, false).await.map_err(|error| error.context("check image match"))?;
    Ok(status.image.map(|image| image.id))
}

/// All that CRI knows of an image.
pub(super) async fn image(images: &Client, name: &str, verbose: bool) -> Result<api::ImageStatusResponse> {
    let spec = api::ImageSpec { image: name.to_owned(), ..Default::default() };
    images.image_status(api::ImageStatusRequest { image: Some(spec), verbose }).await.during("")
}

/// What a kubelet has labelled the container with.
pub(super) fn pod_label<'a>(container: &'a api::Container, name: &str) -> &'a str {
    container.labels.get(name).map_or("unknown", String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_pairs() {
        let words = ["a=b".to_owned(), "c=".to_owned()];
        assert_eq!(labels(&words).unwrap(), [("a".into(), "b".into()), ("c".into(), String::new())].into());
        for wrong in ["a", "a=b=c"] {
            let error = labels(&[wrong.to_owned()]).unwrap_err();
            assert_eq!(error.message, format!("incorrectly specified label: {wrong}"));
        }
    }

    #[test]
    fn the_newest_ones() {
        let select = |latest, last| Select { latest, last, ..Select::default() };
        for (select, found, count) in [
            (select(false, 0), 5, 5),
            (select(true, 0), 5, 1),
            (select(true, 3), 5, 3),
            (select(false, 9), 5, 5),
            (select(true, 0), 0, 0),
        ] {
            assert_eq!(select.count(found), count);
        }
        assert!(pattern(Some("(")).unwrap_err().message.starts_with("invalid regular expression \"(\""));
        assert!(fits(pattern(Some("^we")).unwrap().as_ref(), "web"));
        assert!(!fits(pattern(Some("^eb")).unwrap().as_ref(), "web"));
    }
}
