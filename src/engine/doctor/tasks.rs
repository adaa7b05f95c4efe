//! Tasks and their shims: those that hang, those that nobody knows, those whose process has gone.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::Value;

use super::Budget;
use super::facts::{Facts, KUBERNETES, Namespace};
use super::finding::{Finding, count, some_of};
use super::shims::Shim;
use crate::containerd::{Client, Code, Container, Task, TaskStatus};
use crate::sys::process::Process;

const SHIMS: &str = "shims";
const TASKS: &str = "tasks";
/// A task younger than that may be in the middle of its start.
const SETTLED: u64 = 3;
/// Between two looks at a process that waits for a disk.
const BETWEEN: Duration = Duration::from_millis(150);

/// What containerd said of one container's task.
enum Answer {
    Task(Task),
    None,
    Hangs,
    Fails(String),
}

/// One container with its task.
struct Known<'a> {
    namespace: &'a str,
    container: &'a Container,
    answer: Answer,
}

/// Ask for every task, all at once: one after the other, a shim that hangs would hold up the rest.
pub(super) async fn check(facts: &Facts, budget: Budget) -> Vec<Finding> {
    let (Some(reached), Some(namespaces)) = (&facts.containerd, &facts.namespaces) else {
        let mut findings = vec![super::containerd::unanswered(facts, TASKS, "its containers")];
        findings.extend(stopped(&facts.shims));
        return findings;
    };
    let asked = namespaces.iter().flat_map(|namespace| {
        namespace.containers.iter().map(|container| ask(&reached.client, namespace, container, budget))
    });
    let known: Vec<Known<'_>> = join_all(asked).await;
    let strays = join_all(facts.shims.iter().map(|shim| stray(&reached.client, &known, shim, budget))).await;
    let mut findings = hung(&known, &facts.shims);
    findings.extend(strays.into_iter().flatten());
    if findings.is_empty() {
        findings.push(Finding::ok(
            SHIMS,
            format!("{}, all known and answering", count(facts.shims.len(), "shim")),
        ));
    }
    let mut of_tasks: Vec<Finding> = join_all(known.iter().map(ill)).await.into_iter().flatten().collect();
    of_tasks.extend(ended(&known));
    if of_tasks.is_empty() {
        let running = known.iter().filter(|one| matches!(&one.answer, Answer::Task(_))).count();
        of_tasks.push(Finding::ok(TASKS, format!("{}, {} run", count(known.len(), "container"), running)));
    }
    findings.extend(of_tasks);
    findings
}

async fn ask<'a>(
    client: &Client,
    namespace: &'a Namespace,
    container: &'a Container,
    budget: Budget,
) -> Known<'a> {
    let limit = budget.part(25);
    let answer = match client.with_namespace(&namespace.name) {
        Ok(client) => match tokio::time::timeout(limit, client.task(&container.id, Some(limit))).await {
            // containerd gives up on a shim after a while of its own, and does not say so.
            Ok(Ok(task)) if task.status == TaskStatus::Unknown => Answer::Hangs,
            Ok(Ok(task)) => Answer::Task(task),
            Ok(Err(error)) if error.code == Code::NotFound => Answer::None,
            Ok(Err(error)) if error.code == Code::DeadlineExceeded => Answer::Hangs,
            Ok(Err(error)) => Answer::Fails(error.message),
            Err(_) => Answer::Hangs,
        },
        Err(error) => Answer::Fails(error.message),
    };
    Known { namespace: &namespace.name, container, answer }
}

/// The id that the shim of a container has: its own, or its pod's.
fn shim_id(container: &Container) -> String {
    let spec: Value = serde_json::from_slice(&container.spec).unwrap_or_default();
    let of_pod = spec
        .get("annotations")
        .and_then(|all| all.get("io.kubernetes.cri.sandbox-id"))
        .and_then(Value::as_str);
    of_pod.unwrap_or(&container.id).to_owned()
}

/// Shims that do not answer, each with what it holds up.
fn hung(known: &[Known<'_>], shims: &[Shim]) -> Vec<Finding> {
    let mut held: BTreeMap<(&str, String), Vec<&str>> = BTreeMap::new();
    for one in known.iter().filter(|one| matches!(one.answer, Answer::Hangs)) {
        held.entry((one.namespace, shim_id(one.container))).or_default().push(&one.container.id);
    }
    let mut findings = Vec::new();
    for ((namespace, id), containers) in held {
        let shim = shims.iter().find(|shim| shim.namespace == namespace && shim.id == id);
        let names: Vec<String> = containers.iter().map(|id| short(id)).collect();
        let what = format!("holds up {} ({})", count(containers.len(), "container"), some_of(&names));
        let finding = match shim {
            Some(shim) if matches!(shim.state, 'T' | 't') => {
                Finding::error(SHIMS, format!("process {} is stopped: it {what}", shim.pid))
                    .next(format!("kill -CONT {}", shim.pid))
            }
            Some(shim) => Finding::error(SHIMS, format!("process {} does not answer: it {what}", shim.pid))
                .next(format!("cat /proc/{0}/stack; kill -9 {0} ends it and what it holds", shim.pid)),
            None => Finding::error(SHIMS, format!("no shim answers: that {what}"))
                .next(format!("wharfie -n {namespace} rm -f {}", names.join(" "))),
        };
        findings.push(finding.of(format!("{namespace}/{}", short(&id))));
    }
    for one in known {
        if let Answer::Fails(why) = &one.answer {
            findings.push(
                Finding::error(TASKS, format!("containerd cannot tell its state: {why}"))
                    .of(format!("{}/{}", one.namespace, short(&one.container.id)))
                    .next(format!("wharfie -n {} rm -f {}", one.namespace, short(&one.container.id))),
            );
        }
    }
    findings
}

/// Shims that are stopped, where containerd cannot be asked.
fn stopped(shims: &[Shim]) -> Vec<Finding> {
    let stopped = shims.iter().filter(|shim| matches!(shim.state, 'T' | 't'));
    let told = stopped.map(|shim| {
        Finding::error(SHIMS, format!("process {} is stopped", shim.pid))
            .of(format!("{}/{}", shim.namespace, short(&shim.id)))
            .next(format!("kill -CONT {}", shim.pid))
    });
    told.collect()
}

/// A shim that containerd does not know any more.
async fn stray(client: &Client, known: &[Known<'_>], shim: &Shim, budget: Budget) -> Option<Finding> {
    if shim.namespace == super::probe::NAMESPACE {
        return None;
    }
    let record = known.iter().find(|one| one.namespace == shim.namespace && one.container.id == shim.id);
    match record {
        Some(Known { answer: Answer::None, .. }) if shim.age < SETTLED => return None,
        Some(Known { answer: Answer::None, .. }) => {}
        Some(_) => return None,
        None => {
            // No record: a task may be there all the same, and another container of the pod may be served.
            let serves =
                |one: &&Known<'_>| one.namespace == shim.namespace && shim_id(one.container) == shim.id;
            if known.iter().find(serves).is_some_and(|one| !matches!(one.answer, Answer::None)) {
                return None;
            }
            let limit = budget.part(20);
            let client = client.with_namespace(&shim.namespace).ok()?;
            let asked = tokio::time::timeout(limit, client.task(&shim.id, Some(limit))).await;
            if !matches!(asked, Ok(Err(error)) if error.code == Code::NotFound) {
                return None;
            }
        }
    }
    shim.is_alive().then(|| {
        Finding::warning(
            SHIMS,
            format!("process {} is left over: containerd does not know its task", shim.pid),
        )
        .of(format!("{}/{}", shim.namespace, short(&shim.id)))
        .next(format!("pstree -p {0}; kill -9 {0}, and its children", shim.pid))
    })
}

/// A task whose process is not what containerd takes it for.
async fn ill(one: &Known<'_>) -> Option<Finding> {
    let Answer::Task(task) = &one.answer else { return None };
    if !matches!(task.status, TaskStatus::Running | TaskStatus::Paused) || task.pid == 0 {
        return None;
    }
    let first = Process::read(task.pid).map(|process| process.state);
    if !matches!(first, None | Some('Z' | 'X' | 'D')) {
        return None;
    }
    // It may have ended this moment, or wait for its disk for a moment.
    tokio::time::sleep(BETWEEN).await;
    let (id, namespace, pid) = (short(&one.container.id), one.namespace, task.pid);
    let finding = match Process::read(pid).map(|process| process.state) {
        None => {
            Finding::warning(TASKS, format!("containerd says that it runs, and its process {pid} has gone"))
                .next(format!("wharfie -n {namespace} rm -f {id}"))
        }
        Some('Z' | 'X') => {
            Finding::warning(TASKS, format!("its process {pid} has ended, and its shim does not notice"))
                .next(format!("wharfie -n {namespace} rm -f {id}"))
        }
        Some('D') if first == Some('D') => {
            Finding::warning(TASKS, format!("its process {pid} waits for a disk or a network file system"))
                .next(format!("cat /proc/{pid}/stack; dmesg | tail"))
        }
        _ => return None,
    };
    Some(finding.of(format!("{namespace}/{id}")))
}

/// Tasks that have ended and that nobody deletes: a shim stays for each. CRI deletes its own.
fn ended(known: &[Known<'_>]) -> Vec<Finding> {
    let mut by_namespace: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let now = jiff::Timestamp::now();
    for one in known {
        let Answer::Task(task) = &one.answer else { continue };
        let since = task.exited_at.map_or(0, |at| now.as_second() - at.as_second());
        if task.status == TaskStatus::Stopped && (one.namespace != KUBERNETES || since > 60) {
            by_namespace.entry(one.namespace).or_default().push(short(&one.container.id));
        }
    }
    let told = by_namespace.into_iter().map(|(namespace, ids)| {
        let message = format!("{} ended and never deleted: {}", count(ids.len(), "task"), some_of(&ids));
        let finding = match namespace {
            KUBERNETES => Finding::warning(TASKS, message),
            // nerdctl and ctr leave them on purpose.
            _ => Finding::note(TASKS, message),
        };
        finding.of(namespace).next(format!("wharfie -n {namespace} rm {}", ids.join(" ")))
    });
    told.collect()
}

fn short(id: &str) -> String {
    let is_long = id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_long { id[..12].to_owned() } else { id.to_owned() }
}
