//! Pods' networks: the configuration that CRI takes, and the plugins that it names.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::facts::Facts;
use super::finding::{Finding, some_of};
use super::node::Node;

const CHECK: &str = "cni";
/// What CRI looks at, in the order of names.
const EXTENSIONS: [&str; 3] = ["conf", "conflist", "json"];

/// Whether the first configuration is valid and its plugins are there.
pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    if !facts.is_kubernetes() {
        return vec![Finding::note(CHECK, "not a Kubernetes node: wharfie's own networks need no plugin")];
    }
    let cri = &facts.settings.cri;
    let files = facts.node.files(&cri.cni_conf_dir, &EXTENSIONS);
    if files.is_empty() {
        return vec![
            Finding::error(CHECK, "no network configuration: pods without the host's network cannot start")
                .of(cri.cni_conf_dir.display())
                .next("kubectl get pods -A -o wide (the network add-on writes it), or copy it from another node"),
        ];
    }
    let mut findings = Vec::new();
    let mut taken = false;
    for path in &files {
        // CRI takes the first file that it can read.
        match types(&facts.node, path) {
            Ok(types) => {
                findings.extend(missing(&facts.node, path, &types, &cri.cni_bin_dirs, taken));
                if !taken && findings.is_empty() {
                    let message = format!("{} with the plugins {}", path.display(), types.join(", "));
                    findings.push(Finding::ok(CHECK, message));
                }
                taken = true;
            }
            Err(why) => {
                let message = format!("not a network configuration: {why}");
                let finding =
                    if taken { Finding::warning(CHECK, message) } else { Finding::error(CHECK, message) };
                findings.push(
                    finding.of(path.display()).next(format!("python3 -m json.tool {}", path.display())),
                );
            }
        }
    }
    findings
}

/// The plugins that a file names.
fn types(node: &Node, path: &Path) -> Result<Vec<String>, String> {
    let text = node.text(path).ok_or("cannot be read")?;
    let value: Value = serde_json::from_str(&text).map_err(|cause| cause.to_string())?;
    let text =
        |value: &Value, key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    if text(&value, "name").is_empty() {
        return Err("it has no name".into());
    }
    let plugins = match value.get("plugins") {
        Some(Value::Array(plugins)) if plugins.is_empty() => {
            return Err("its list of plugins is empty".into());
        }
        Some(Value::Array(plugins)) => plugins.clone(),
        Some(_) => return Err("\"plugins\" is no list".into()),
        None => vec![value],
    };
    let mut types = Vec::new();
    for plugin in &plugins {
        let kind = text(plugin, "type");
        if kind.is_empty() || kind.contains('/') {
            return Err("a plugin of it has no valid type".into());
        }
        let of_addresses = plugin.get("ipam").map(|ipam| text(ipam, "type")).unwrap_or_default();
        for kind in [kind, of_addresses] {
            if !kind.is_empty() && !kind.contains('/') && !types.contains(&kind) {
                types.push(kind);
            }
        }
    }
    Ok(types)
}

fn missing(node: &Node, path: &Path, types: &[String], bins: &[PathBuf], taken: bool) -> Option<Finding> {
    let is_there = |kind: &String| {
        let found = |directory: &PathBuf| {
            let file = std::fs::metadata(node.at(directory.join(kind)));
            file.is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
        };
        bins.iter().any(found)
    };
    let missing: Vec<&String> = types.iter().filter(|kind| !is_there(kind)).collect();
    if missing.is_empty() {
        return None;
    }
    let directories: Vec<String> = bins.iter().map(|directory| directory.display().to_string()).collect();
    let message = format!("no program {} in {}", some_of(&missing), directories.join(", "));
    let finding = if taken {
        Finding::note(CHECK, format!("{message}; another configuration comes first"))
    } else {
        Finding::error(CHECK, format!("{message}: no pod gets a network"))
    };
    Some(finding.of(path.display()).next(format!("ls -l {}", directories.join(" "))))
}

#[cfg(test)]
mod tests {
    use super::super::Severity;
    use super::super::facts::tests::facts;
    use super::*;

    const KUBELET: (&str, &str) = ("/var/lib/kubelet/config.yaml", "kind: KubeletConfiguration\n");
    const GOOD: &str = r#"{"cniVersion":"1.0.0","name":"pods","plugins":[{"type":"bridge","ipam":{"type":"host-local"}},{"type":"portmap"}]}"#;

    async fn found(files: &[(&str, &str)], programs: &[&str]) -> Vec<(Severity, String)> {
        let mut all = vec![KUBELET];
        all.extend(files);
        let (_root, facts) = facts(&all).await;
        for name in programs {
            let path = facts.node.at("/opt/cni/bin").join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, "").unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        check(&facts).into_iter().map(|finding| (finding.severity, finding.message)).collect()
    }

    #[tokio::test]
    async fn the_first_file_and_its_plugins_count() {
        let file = ("/etc/cni/net.d/10-pods.conflist", GOOD);
        assert_eq!(found(&[file], &["bridge", "host-local", "portmap"]).await[0].0, Severity::Ok);
        let less = found(&[file], &["bridge"]).await;
        assert_eq!(less[0].0, Severity::Error);
        assert!(less[0].1.starts_with("no program host-local, portmap in /opt/cni/bin"), "{less:?}");
        let none = found(&[], &[]).await;
        assert!(none[0].1.starts_with("no network configuration"), "{none:?}");
        let later = ("/etc/cni/net.d/99-x.conf", "{");
        let both = found(&[file, later], &["bridge", "host-local", "portmap"]).await;
        assert_eq!((both[0].0, both[1].0), (Severity::Ok, Severity::Warning));
        let other = ("/etc/cni/net.d/99-x.conf", r#"{"name":"x","type":"macvlan"}"#);
        let both = found(&[file, other], &["bridge", "host-local", "portmap"]).await;
        assert_eq!((both[0].0, both[1].0), (Severity::Ok, Severity::Note));
    }

    #[tokio::test]
    async fn damaged_files_say_why() {
        for (text, why) in [
            ("{", "EOF"),
            (r#"{"type":"bridge"}"#, "no name"),
            (r#"{"name":"x","plugins":[]}"#, "empty"),
            (r#"{"name":"x","plugins":[{"type":"../../bin/sh"}]}"#, "no valid type"),
            (r#"{"name":"x","plugins":3}"#, "no list"),
        ] {
            let found = found(&[("/etc/cni/net.d/a.conflist", text)], &[]).await;
            assert!(found[0].0 == Severity::Error && found[0].1.contains(why), "{text}: {found:?}");
        }
    }
}
