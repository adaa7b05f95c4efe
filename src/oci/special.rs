//! What a specification gets beyond docker's own form: nerdctl's extra settings, and devices of the container
//! device interface. Done on its JSON, which is what the runtime reads.

use serde_json::{Map, Value, json};

use super::cdi::Edits;
use super::request::{ContainerRequest, Systemd};
use crate::{Error, Result};

/// File systems in memory that systemd wants to be there.
const SYSTEMD_MOUNTS: [&str; 4] = ["/run", "/run/lock", "/tmp", "/var/lib/journal"];
/// The signal at which systemd ends.
pub const SYSTEMD_STOP_SIGNAL: &str = "SIGRTMIN+3";

/// Whether anything is to be done for `request`, whose command line is `command`.
pub fn wanted(request: &ContainerRequest, command: &[String]) -> bool {
    request.special.umask.is_some()
        || request.special.rdt_class.is_some()
        || !request.special.unified.is_empty()
        || request.security.writable_cgroups
        || for_systemd(request, command)
}

/// Whether the container is made for systemd: asked for, and where `true` alone was said by its command.
pub fn for_systemd(request: &ContainerRequest, command: &[String]) -> bool {
    const INITS: [&str; 5] =
        ["/sbin/init", "/usr/sbin/init", "/usr/local/sbin/init", "systemd", "/lib/systemd/systemd"];
    match request.special.systemd {
        Systemd::Never => false,
        Systemd::Always => true,
        Systemd::Detect => {
            let first = command.first().map(String::as_str).unwrap_or_default();
            INITS.contains(&first) || first.ends_with("/systemd")
        }
    }
}

/// Writes nerdctl's extra settings into the specification `spec`.
///
/// # Errors
/// A specification that has lost the parts which every one has.
pub fn apply(spec: &mut Value, request: &ContainerRequest, command: &[String]) -> Result<()> {
    let special = &request.special;
    if let Some(mask) = special.umask {
        object(spec, &["process", "user"])?.insert("umask".into(), mask.into());
    }
    if let Some(class) = &special.rdt_class {
        object(spec, &["linux"])?.insert("intelRdt".into(), json!({ "closID": class }));
    }
    if !special.unified.is_empty() {
        object(spec, &["linux", "resources"])?.insert("unified".into(), json!(special.unified));
    }
    let systemd = for_systemd(request, command);
    let mounts = list(spec, &[], "mounts")?;
    if systemd || request.security.writable_cgroups {
        for mount in mounts.iter_mut().filter(|mount| mount["destination"] == "/sys/fs/cgroup") {
            if let Some(options) = mount["options"].as_array_mut() {
                options.retain(|option| option != "ro");
            }
        }
    }
    if systemd {
        for target in SYSTEMD_MOUNTS {
            if !mounts.iter().any(|mount| mount["destination"] == target) {
                mounts.push(json!({
                    "destination": target, "type": "tmpfs", "source": "tmpfs",
                    "options": ["nosuid", "nodev", "mode=755"],
                }));
            }
        }
    }
    Ok(())
}

/// Writes the devices' `edits` into the specification `spec`.
///
/// # Errors
/// As [`apply`].
pub fn apply_edits(spec: &mut Value, edits: &Edits) -> Result<()> {
    let environment = list(spec, &["process"], "env")?;
    for entry in &edits.env {
        let key = entry.split('=').next().unwrap_or_default();
        environment.retain(|known| known.as_str().and_then(|known| known.split('=').next()) != Some(key));
        environment.push(entry.as_str().into());
    }
    for node in &edits.device_nodes {
        let kind = if node.kind.is_empty() { "c" } else { &node.kind };
        let devices = list(spec, &["linux"], "devices")?;
        devices.retain(|known| known["path"] != node.path.as_str());
        let mut device = json!({ "path": node.path, "type": kind, "major": node.major, "minor": node.minor });
        for (name, value) in [("fileMode", node.file_mode), ("uid", node.uid), ("gid", node.gid)] {
            if let Some(value) = value {
                device[name] = value.into();
            }
        }
        devices.push(device);
        let access = if node.permissions.is_empty() { "rwm" } else { &node.permissions };
        if matches!(kind, "b" | "c") {
            list(spec, &["linux", "resources"], "devices")?.push(json!({
                "allow": true, "type": kind, "major": node.major, "minor": node.minor, "access": access,
            }));
        }
    }
    let mounts = list(spec, &[], "mounts")?;
    for mount in &edits.mounts {
        mounts.retain(|known| known["destination"] != mount.container_path.as_str());
        let kind = if mount.kind.is_empty() { "bind" } else { &mount.kind };
        mounts.push(json!({
            "destination": mount.container_path, "source": mount.host_path, "type": kind, "options": mount.options,
        }));
    }
    for hook in &edits.hooks {
        let mut entry = json!({ "path": hook.path, "args": hook.args, "env": hook.env });
        if let Some(seconds) = hook.timeout {
            entry["timeout"] = seconds.into();
        }
        if !spec["hooks"].is_object() {
            spec["hooks"] = json!({});
        }
        list(spec, &["hooks"], &hook.name)?.push(entry);
    }
    if !edits.additional_gids.is_empty() {
        let groups = list(spec, &["process", "user"], "additionalGids")?;
        for gid in &edits.additional_gids {
            let gid = Value::from(*gid);
            if gid != 0 && !groups.contains(&gid) {
                groups.push(gid);
            }
        }
    }
    if let Some(rdt) = &edits.intel_rdt {
        object(spec, &["linux"])?.insert("intelRdt".into(), rdt.clone());
    }
    Ok(())
}

fn object<'a>(spec: &'a mut Value, path: &[&str]) -> Result<&'a mut Map<String, Value>> {
    let mut place = spec;
    for step in path {
        place = place.as_object_mut().and_then(|object| object.get_mut(*step)).ok_or_else(|| lost(step))?;
    }
    place.as_object_mut().ok_or_else(|| lost(path.last().unwrap_or(&"")))
}

/// The list `name` of the object at `path`, made where there is none.
fn list<'a>(spec: &'a mut Value, path: &[&str], name: &str) -> Result<&'a mut Vec<Value>> {
    let entry = object(spec, path)?.entry(name).or_insert_with(|| json!([]));
    if entry.is_null() {
        *entry = json!([]);
    }
    entry.as_array_mut().ok_or_else(|| lost(name))
}

fn lost(what: &str) -> Error {
    Error::failed(format!("the runtime specification has no {what}"))
}

#[cfg(test)]
mod tests {
    use super::super::spec::{spec, tests::Case};
    use super::*;

    fn built(case: &Case, command: &[&str]) -> Value {
        let mut json = serde_json::to_value(spec(&case.input()).unwrap()).unwrap();
        let command: Vec<String> = command.iter().map(|word| (*word).to_owned()).collect();
        apply(&mut json, &case.request, &command).unwrap();
        // The runtime's own types must take it.
        serde_json::from_value::<oci_spec::runtime::Spec>(json.clone()).unwrap();
        json
    }

    #[test]
    fn nothing_is_changed_without_a_wish() {
        let case = Case::new();
        assert!(!wanted(&case.request, &["sh".into()]));
        let before = serde_json::to_value(spec(&case.input()).unwrap()).unwrap();
        let after = built(&case, &["sh"]);
        assert_eq!((&after["mounts"], &after["linux"]), (&before["mounts"], &before["linux"]));
    }

    #[test]
    fn each_setting_has_its_place() {
        let mut case = Case::new();
        case.request.special.umask = Some(0o27);
        case.request.special.rdt_class = Some("gold".into());
        case.request.special.unified.insert("memory.high".into(), "1G".into());
        case.request.security.writable_cgroups = true;
        assert!(wanted(&case.request, &[]));
        let found = built(&case, &["sh"]);
        assert_eq!(found["process"]["user"]["umask"], 0o27);
        assert_eq!(found["linux"]["intelRdt"]["closID"], "gold");
        assert_eq!(found["linux"]["resources"]["unified"]["memory.high"], "1G");
        let mounts = found["mounts"].as_array().unwrap();
        let groups = mounts.iter().find(|mount| mount["destination"] == "/sys/fs/cgroup").unwrap();
        assert_eq!(groups["options"], json!(["nosuid", "noexec", "nodev"]));
    }

    #[test]
    fn systemd_has_its_places_in_memory() {
        let mut case = Case::new();
        case.request.special.systemd = Systemd::Detect;
        for (command, expected) in [("/sbin/init", true), ("/usr/lib/systemd/systemd", true), ("sh", false)] {
            assert_eq!(for_systemd(&case.request, &[command.into()]), expected, "{command}");
            let found = built(&case, &[command]);
            let run = found["mounts"].as_array().unwrap().iter().any(|mount| mount["destination"] == "/run");
            assert_eq!(run, expected, "{command}");
        }
        case.request.special.systemd = Systemd::Always;
        assert!(for_systemd(&case.request, &["sh".into()]));
    }

    #[test]
    fn devices_edit_everything() {
        let edits: Edits = serde_json::from_value(json!({
            "env": ["A=1", "PATH=/x"],
            "deviceNodes": [{"path": "/dev/x", "type": "c", "major": 5, "minor": 6, "permissions": "rw", "gid": 7}],
            "mounts": [{"hostPath": "/h", "containerPath": "/c", "options": ["ro", "bind"]}],
            "hooks": [{"hookName": "createContainer", "path": "/hook", "args": ["hook", "a"]}],
            "additionalGids": [44, 0]
        }))
        .unwrap();
        let case = Case::new();
        let mut found = built(&case, &["sh"]);
        apply_edits(&mut found, &edits).unwrap();
        serde_json::from_value::<oci_spec::runtime::Spec>(found.clone()).unwrap();
        let has = |list: &Value, entry: Value| list.as_array().unwrap().contains(&entry);
        assert!(
            has(&found["process"]["env"], json!("A=1")) && has(&found["process"]["env"], json!("PATH=/x"))
        );
        assert!(!found["process"]["env"].to_string().contains("/usr/local/sbin"), "{found}");
        assert!(has(
            &found["linux"]["devices"],
            json!({"path": "/dev/x", "type": "c", "major": 5, "minor": 6, "gid": 7})
        ));
        assert!(has(
            &found["linux"]["resources"]["devices"],
            json!({"allow": true, "type": "c", "major": 5, "minor": 6, "access": "rw"})
        ));
        assert!(has(
            &found["mounts"],
            json!({"destination": "/c", "source": "/h", "type": "bind", "options": ["ro", "bind"]})
        ));
        assert_eq!(found["hooks"]["createContainer"][0]["path"], "/hook");
        assert!(has(&found["process"]["user"]["additionalGids"], json!(44)));
    }
}
