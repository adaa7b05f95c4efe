//! The runtime: whether its programs are there, and whether it really runs a container.

use std::path::{Path, PathBuf};
use std::time::Instant;

use super::Budget;
use super::facts::Facts;
use super::finding::Finding;
use super::probe::{Probe, sweep};
use super::settings::Runtime;

const CHECK: &str = "runtime";
const RUNC: &str = "io.containerd.runc.v2";
/// Where programs are, beside where containerd looks for them.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Run one container, and look for the programs of the other runtimes.
pub(super) async fn check(facts: &Facts, budget: Budget) -> Vec<Finding> {
    let mut findings: Vec<Finding> = programs(facts);
    let Some(reached) = &facts.containerd else {
        findings.push(Finding::note(CHECK, "not tried: containerd does not answer"));
        return findings;
    };
    let runtime = facts.settings.runtime();
    let probe = match Probe::new(&reached.client, &facts.settings.cri.snapshotter) {
        Ok(probe) => probe,
        Err(error) => return vec![Finding::error(CHECK, error.message)],
    };
    let started = Instant::now();
    let run = async {
        // What a killed one left must not stop this one.
        let _ = sweep(&reached.client).await;
        probe.run(&runtime).await
    };
    let outcome = tokio::time::timeout_at(budget.until(85), run).await;
    let took = started.elapsed().as_millis();
    let name = if runtime.program.is_empty() { &runtime.kind } else { &runtime.program };
    let log = facts.daemon.log(&facts.node);
    findings.push(match outcome {
        Ok(Ok(0)) => Finding::ok(CHECK, format!("ran a container in {took} ms")),
        Ok(Ok(status)) => {
            Finding::error(CHECK, format!("a container started, and ended with status {status}")).next(log)
        }
        Ok(Err(error)) => {
            let next = match error.message.contains("executable file not found") {
                true => "install runc (apt-get install runc), where containerd's PATH finds it".to_owned(),
                false => log,
            };
            Finding::error(CHECK, format!("a container cannot be run: {}", error.message)).next(next)
        }
        Err(_) => Finding::error(CHECK, format!("a container did not run within {took} ms")).next(log),
    });
    if let Some(last) = findings.last_mut() {
        last.subject.clone_from(name);
    }
    // What does not go in time, the next doctor removes.
    let _ = tokio::time::timeout_at(budget.until(97), probe.remove()).await;
    findings
}

/// The runtimes whose programs are not there.
fn programs(facts: &Facts) -> Vec<Finding> {
    let settings = &facts.settings;
    let path = path(facts);
    let mut findings = Vec::new();
    for (name, runtime) in &settings.cri.runtimes {
        let missing = needed(runtime).into_iter().find(|program| !is_there(facts, program, &path));
        let Some(program) = missing else { continue };
        let message = format!("the runtime {name} needs {program}, which is not on containerd's PATH");
        let finding = if *name == settings.cri.default_runtime {
            Finding::error(CHECK, message)
        } else {
            Finding::warning(CHECK, message)
        };
        findings.push(
            finding
                .of(name)
                .next(format!("install {program}, or take {name} out of {}", settings.path.display())),
        );
    }
    findings
}

/// The programs of a runtime: its shim and, of runc's, what the shim starts.
fn needed(runtime: &Runtime) -> Vec<String> {
    let kind = if runtime.kind.is_empty() { RUNC } else { &runtime.kind };
    let mut programs = Vec::new();
    if kind.starts_with('/') {
        programs.push(kind.to_owned());
    } else if let [.., name, version] = kind.split('.').collect::<Vec<_>>()[..] {
        programs.push(format!("containerd-shim-{name}-{version}"));
    }
    if kind == RUNC {
        programs.push(if runtime.program.is_empty() { "runc".to_owned() } else { runtime.program.clone() });
    }
    programs
}

/// Where the running containerd looks for programs: beside itself, then its PATH.
fn path(facts: &Facts) -> Vec<PathBuf> {
    let mut directories = Vec::new();
    let mut told = None;
    if let Some(pid) = facts.daemon.pid {
        let program = std::fs::read_link(format!("/proc/{pid}/exe")).ok();
        directories.extend(program.and_then(|path| path.parent().map(Path::to_path_buf)));
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let mut variables = environment.split(|byte| *byte == 0);
        told = variables.find_map(|line| String::from_utf8(line.strip_prefix(b"PATH=")?.to_vec()).ok());
    }
    directories.extend(told.as_deref().unwrap_or(PATH).split(':').map(PathBuf::from));
    directories
}

fn is_there(facts: &Facts, program: &str, path: &[PathBuf]) -> bool {
    match program.starts_with('/') {
        true => facts.node.at(program).is_file(),
        false => path.iter().any(|directory| facts.node.at(directory.join(program)).is_file()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Severity;
    use super::super::facts::tests::facts;
    use super::*;

    #[test]
    fn programs_are_known_by_the_runtime_s_name() {
        let of = |kind: &str, program: &str| {
            needed(&Runtime { kind: kind.into(), program: program.into(), systemd: false }).join(" ")
        };
        assert_eq!(of("io.containerd.runc.v2", ""), "containerd-shim-runc-v2 runc");
        assert_eq!(of("io.containerd.runc.v2", "/opt/crun"), "containerd-shim-runc-v2 /opt/crun");
        assert_eq!(of("io.containerd.kata.v2", ""), "containerd-shim-kata-v2");
        assert_eq!(of("/opt/shim", ""), "/opt/shim");
        assert_eq!(of("", ""), "containerd-shim-runc-v2 runc");
    }

    #[tokio::test]
    async fn a_missing_program_is_worst_for_the_default_runtime() {
        let (_root, facts) = facts(&[
            ("/usr/bin/runc", ""),
            ("/usr/bin/containerd-shim-runc-v2", ""),
            (
                "/etc/containerd/config.toml",
                "version = 2\n[plugins.'io.containerd.grpc.v1.cri'.containerd.runtimes.crun]\nruntime_type = 'io.containerd.runc.v2'\n\
                 [plugins.'io.containerd.grpc.v1.cri'.containerd.runtimes.crun.options]\nBinaryName = 'crun'\n",
            ),
        ])
        .await;
        let found = programs(&facts);
        assert_eq!(
            (found.len(), found[0].severity, found[0].subject.as_str()),
            (1, Severity::Warning, "crun")
        );
        std::fs::remove_file(facts.node.at("/usr/bin/runc")).unwrap();
        assert_eq!(programs(&facts)[1].severity, Severity::Error);
    }
}
