//! From what the user wrote to a pod or to one of its containers: `pod`, `pod/container`, `namespace/pod/container`,
//! `k8s://namespace/pod` with or without a container, for pods also an id or the start of one.

use super::list::{of_containers, records};
use super::model::{Member, Pod};
use crate::engine::Engine;
use crate::engine::container::{Container, with_states};
use crate::error::{Error, Result};

/// How lists show a pod's containers.
const SCHEME: &str = "k8s://";
/// The annotation by which kubectl knows which container of several is meant.
const DEFAULT_CONTAINER: &str = "kubectl.kubernetes.io/default-container";

/// Whether a reference can mean nothing but a pod or a container of one.
pub fn is_pod_form(reference: &str) -> bool {
    reference.contains('/')
}

/// The pod that `reference` names. Of several attempts of one pod it is the one that runs, or else the newest.
///
/// # Errors
/// None of that name; several of it, which the error lists.
pub async fn find(engine: &Engine, reference: &str) -> Result<Pod> {
    let found = choose(records(engine).await?, reference)?;
    let mut found = newest_running(engine, found).await;
    if found.is_empty() { Err(no_such(reference)) } else { Ok(found.swap_remove(0)) }
}

/// The container that `reference` names. A pod stands for its only container, or for the one that its annotation
/// names.
///
/// # Errors
/// None of that name; a pod with several containers, or pods in several namespaces, which the error lists.
pub async fn find_container(engine: &Engine, reference: &str) -> Result<Container> {
    let (pods, name) = choose_for_container(records(engine).await?, reference)?;
    let mut pods = newest_running(engine, pods).await;
    if pods.is_empty() {
        return Err(no_such_container(reference));
    }
    let pod = pods.swap_remove(0);
    let member = match &name {
        Some(name) => pod.member(name).ok_or_else(|| without(&pod, name))?,
        None => pod.only_member()?,
    };
    Ok(member.container.clone())
}

impl Pod {
    /// The container of this name, in its last attempt.
    pub fn member(&self, name: &str) -> Option<&Member> {
        self.current().into_iter().find(|member| member.name == name)
    }

    /// The container that the pod's name alone stands for.
    ///
    /// # Errors
    /// There is none, or there are several.
    pub fn only_member(&self) -> Result<&Member> {
        let main = self.main();
        let chosen = self.annotations.get(DEFAULT_CONTAINER);
        match main.as_slice() {
            [member] => Ok(member),
            [] => match self.current().as_slice() {
                [member] => Ok(member),
                [] => Err(Error::not_found(format!("pod {} has no container", self.full_name()))),
                _ => Err(self.several()),
            },
            several => {
                let named = several.iter().find(|member| Some(&member.name) == chosen);
                named.copied().ok_or_else(|| self.several())
            }
        }
    }

    fn several(&self) -> Error {
        Error::failed(format!("pod {} has several containers", self.full_name()))
            .hint(format!("name one of them: {}", self.references().join(", ")))
    }

    /// How each of its containers is named in full.
    pub fn references(&self) -> Vec<String> {
        self.current().iter().map(|member| format!("{}/{}", self.full_name(), member.name)).collect()
    }
}

/// Those that run before the others, then the newest ones first; with their states.
pub(super) async fn newest_running(engine: &Engine, pods: Vec<Pod>) -> Vec<Pod> {
    let containers = pods.into_iter().flat_map(Pod::into_containers).collect();
    let mut pods = of_containers(with_states(engine, containers).await);
    pods.sort_by_key(|pod| !pod.is_ready());
    pods
}

/// Every sandbox of the one pod that is meant.
fn choose(pods: Vec<Pod>, reference: &str) -> Result<Vec<Pod>> {
    let plain = reference.strip_prefix(SCHEME).unwrap_or(reference);
    let named = |pod: &Pod| match plain.split_once('/') {
        Some((namespace, name)) => pod.namespace == namespace && pod.name == name,
        None => pod.name == plain,
    };
    let found: Vec<Pod> = if let Some(exact) = pods.iter().position(|pod| pod.id == reference) {
        pods.into_iter().skip(exact).take(1).collect()
    } else if pods.iter().any(named) {
        pods.into_iter().filter(named).collect()
    } else {
        pods.into_iter().filter(|pod| !reference.is_empty() && pod.id.starts_with(reference)).collect()
    };
    let mut names: Vec<String> = found.iter().map(Pod::full_name).collect();
    names.sort_unstable();
    names.dedup();
    match names.len() {
        0 => Err(no_such(reference)),
        1 => Ok(found),
        _ => Err(ambiguous(reference, &names)),
    }
}

/// One way to read a reference.
pub(super) struct Reading<'a> {
    pub(super) namespace: Option<&'a str>,
    pub(super) pod: &'a str,
    pub(super) container: Option<&'a str>,
}

impl Reading<'_> {
    fn is_of(&self, pod: &Pod) -> bool {
        pod.name == self.pod && self.namespace.is_none_or(|namespace| pod.namespace == namespace)
    }

    fn is_in(&self, pod: &Pod) -> bool {
        self.container.is_none_or(|name| pod.containers.iter().any(|member| member.name == name))
    }
}

/// Every way to read a reference.
pub(super) fn readings(reference: &str) -> Vec<Reading<'_>> {
    let plain = reference.strip_prefix(SCHEME);
    let parts: Vec<&str> = plain.unwrap_or(reference).split('/').collect();
    match *parts.as_slice() {
        [pod] if !pod.is_empty() => vec![Reading { namespace: None, pod, container: None }],
        [namespace, pod] if plain.is_some() => {
            vec![Reading { namespace: Some(namespace), pod, container: None }]
        }
        [first, second] => vec![
            Reading { namespace: None, pod: first, container: Some(second) },
            Reading { namespace: Some(first), pod: second, container: None },
        ],
        [namespace, pod, container] => {
            vec![Reading { namespace: Some(namespace), pod, container: Some(container) }]
        }
        _ => Vec::new(),
    }
}

/// Every sandbox of the pod that is meant, and the container's name where one was written.
pub(super) fn choose_for_container(pods: Vec<Pod>, reference: &str) -> Result<(Vec<Pod>, Option<String>)> {
    let readings = readings(reference);
    let mut candidates = Vec::new();
    for reading in &readings {
        for pod in pods.iter().filter(|pod| reading.is_of(pod) && reading.is_in(pod)) {
            candidates.push((pod.full_name(), reading.container));
        }
    }
    candidates.sort_unstable();
    candidates.dedup();
    match *candidates.as_slice() {
        [(ref full, container)] => {
            let found = pods.into_iter().filter(|pod| pod.full_name() == *full).collect();
            Ok((found, container.map(str::to_owned)))
        }
        [] => {
            let near = readings
                .iter()
                .find_map(|reading| Some((pods.iter().find(|pod| reading.is_of(pod))?, reading.container?)));
            Err(match near {
                Some((pod, container)) => without(pod, container),
                None => no_such_container(reference),
            })
        }
        _ => {
            let names: Vec<String> = candidates
                .iter()
                .map(|(full, container)| match container {
                    Some(container) => format!("{full}/{container}"),
                    None => format!("{SCHEME}{full}"),
                })
                .collect();
            Err(ambiguous(reference, &names))
        }
    }
}

/// What is said where several are meant.
pub(super) fn ambiguous(reference: &str, names: &[String]) -> Error {
    Error::failed(format!("several pods are meant by {reference}"))
        .hint(format!("it is one of {}", names.join(", ")))
}

fn no_such(reference: &str) -> Error {
    Error::not_found(format!("No such pod: {reference}")).hint("`wharfie pod ls -a` lists every pod")
}

fn no_such_container(reference: &str) -> Error {
    Error::not_found(format!("No such container: {reference}"))
        .hint("`wharfie ps -a` lists every container, `wharfie pod ls` every pod")
}

fn without(pod: &Pod, container: &str) -> Error {
    let error = Error::not_found(format!("pod {} has no container {container}", pod.full_name()));
    let known = pod.references();
    if known.is_empty() { error } else { error.hint(format!("it has {}", known.join(", "))) }
}
