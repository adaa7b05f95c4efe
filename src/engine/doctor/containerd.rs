//! containerd: whether it answers, whether its plugins started, whether its configuration can be read.

use super::facts::{Facts, Outcome};
use super::finding::Finding;

const CHECK: &str = "containerd";
const PLUGINS: &str = "plugins";
const CONFIG: &str = "config";

/// Whether it answers, and which sockets were tried.
pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    let mut findings: Vec<Finding> = Vec::new();
    match &facts.containerd {
        Some(reached) => {
            let version = &reached.version.version;
            findings.push(
                Finding::ok(CHECK, format!("containerd {version} answers")).of(facts.daemon.socket.display()),
            );
        }
        None if facts.sockets.iter().all(|socket| socket.outcome == Outcome::Missing) => {
            let tried: Vec<String> =
                facts.sockets.iter().map(|socket| socket.path.display().to_string()).collect();
            let start = facts.daemon.restart.replacen("restart", "start", 1);
            let start = if facts.node.has_systemd() { start } else { "containerd &".to_owned() };
            findings.push(
                Finding::error(
                    CHECK,
                    format!("containerd is not running: no socket at {}", tried.join(", ")),
                )
                .next(start),
            );
        }
        None => {}
    }
    for socket in &facts.sockets {
        let finding = match &socket.outcome {
            Outcome::Answers | Outcome::Missing => continue,
            Outcome::Hangs => hung(facts, socket.path == facts.daemon.socket),
            Outcome::Refuses(why) if why.contains("permission denied") => {
                Finding::error(CHECK, "the socket may not be opened: permission denied")
                    .next("sudo wharfie doctor")
            }
            Outcome::Refuses(why) if facts.containerd.is_none() => {
                Finding::error(CHECK, format!("containerd is not running: {why}"))
                    .next(facts.daemon.restart.clone())
            }
            // Another containerd answers; this one may have been left by one that was removed.
            Outcome::Refuses(why) => Finding::note(CHECK, format!("nobody listens: {why}")),
        };
        findings.push(finding.of(socket.path.display()));
    }
    findings
}

fn hung(facts: &Facts, meant: bool) -> Finding {
    let state = if meant { facts.daemon.process_state() } else { None };
    match (state, facts.daemon.pid) {
        (Some('T' | 't'), Some(pid)) => {
            Finding::error(CHECK, format!("containerd does not answer: its process {pid} is stopped"))
                .next(format!("kill -CONT {pid}"))
        }
        (Some('D'), Some(pid)) => {
            Finding::error(CHECK, format!("containerd does not answer: its process {pid} waits for a disk"))
                .next(format!("cat /proc/{pid}/stack; dmesg | tail"))
        }
        _ => Finding::error(CHECK, "containerd takes connections and does not answer")
            .next(facts.daemon.restart.clone()),
    }
}

/// Whether all plugins started. Those that this machine has no use for say so themselves, and are left out.
pub(super) fn plugins(facts: &Facts) -> Vec<Finding> {
    let Some(plugins) = &facts.plugins else {
        return vec![unanswered(facts, PLUGINS, "its plugins")];
    };
    let mut findings = Vec::new();
    for plugin in plugins {
        let unwanted = |error: &&str| error.contains("skip plugin") || error.contains("not configured");
        let Some(error) = plugin.error.as_deref().filter(|error| !unwanted(error)) else { continue };
        let vital = plugin.id == facts.settings.cri.snapshotter
            || plugin.kind.starts_with("io.containerd.runtime.")
            || super::settings::CRI_PLUGINS.contains(&format!("{}.{}", plugin.kind, plugin.id).as_str())
            || plugin.kind.starts_with("io.containerd.cri.");
        let message = format!("the plugin did not start: {error}");
        let finding = match plugin.kind.as_str() {
            _ if vital => Finding::error(PLUGINS, message),
            // Nobody asks for that one.
            "io.containerd.snapshotter.v1" => Finding::note(PLUGINS, message),
            // Sandboxes are pods'; they cannot start where CRI is switched off.
            _ if plugin.id.contains("sandbox")
                && (!facts.is_kubernetes() || facts.settings.cri_is_disabled()) =>
            {
                Finding::note(PLUGINS, message)
            }
            _ => Finding::warning(PLUGINS, message),
        };
        findings
            .push(finding.of(format!("{}.{}", plugin.kind, plugin.id)).next(facts.daemon.log(&facts.node)));
    }
    for name in [&facts.settings.cri.snapshotter, &facts.config.snapshotter] {
        let is_it = |kind: &str, id: &str| kind == "io.containerd.snapshotter.v1" && id == name;
        let known = plugins.iter().any(|plugin| is_it(&plugin.kind, &plugin.id));
        let said = findings.iter().any(|finding| finding.subject.ends_with(name));
        if !known && !said {
            findings.push(
                Finding::error(PLUGINS, "there is no such snapshotter, and the configuration asks for it")
                    .of(format!("io.containerd.snapshotter.v1.{name}"))
                    .next("wharfie info --format '{{.Plugins.Storage}}'"),
            );
        }
    }
    if findings.iter().all(|finding| !finding.is_problem()) {
        let started = plugins.iter().filter(|plugin| plugin.error.is_none()).count();
        let message =
            format!("{started} plugins work, the snapshotter {} among them", facts.settings.cri.snapshotter);
        findings.push(Finding::ok(PLUGINS, message));
    }
    findings
}

/// What is said where containerd did not tell something.
pub(super) fn unanswered(facts: &Facts, check: &'static str, what: &str) -> Finding {
    match facts.containerd {
        None => Finding::note(check, "not checked: containerd does not answer"),
        Some(_) => Finding::error(check, format!("containerd answers, but does not tell {what} in time"))
            .next(facts.daemon.log(&facts.node)),
    }
}

/// Whether its configuration can be read, and does not switch off what a kubelet needs.
pub(super) fn configuration(facts: &Facts) -> Vec<Finding> {
    let settings = &facts.settings;
    let mut findings: Vec<Finding> = settings
        .broken
        .iter()
        .map(|(path, why)| {
            Finding::error(CONFIG, format!("containerd will not start with it again: {why}"))
                .of(path.display())
                .next(format!("containerd --config {} config dump > /dev/null", settings.path.display()))
        })
        .collect();
    if let (Some(version), Some((major, _))) = (settings.version, facts.version())
        && (version > 3 || (major >= 2 && version < 2) || (major < 2 && version > 2))
    {
        findings.push(
            Finding::error(
                CONFIG,
                format!("containerd {major} does not read version {version} of its configuration"),
            )
            .of(settings.path.display())
            .next(format!("containerd --config {} config migrate", settings.path.display())),
        );
    }
    if settings.cri_is_disabled() {
        let message = "disabled_plugins names CRI: no kubelet can work with this containerd";
        let finding = if facts.is_kubernetes() {
            Finding::error(CONFIG, message)
                .next(format!("take it out of disabled_plugins, then {}", facts.daemon.restart))
        } else {
            Finding::note(CONFIG, "disabled_plugins names CRI, which only Kubernetes needs")
        };
        findings.push(finding.of(settings.path.display()));
    }
    if findings.is_empty() {
        findings.push(match settings.version {
            Some(version) => {
                Finding::ok(CONFIG, format!("version {version}, {}", files(settings.files.len())))
                    .of(settings.path.display())
            }
            None => Finding::ok(CONFIG, "no file: containerd has its defaults").of(settings.path.display()),
        });
    }
    findings
}

fn files(number: usize) -> String {
    match number {
        1 => "no imports".to_owned(),
        more => format!("{} imported", super::finding::count(more - 1, "file")),
    }
}
