//! Devices by name: vendors' specifications in the directories of the container device interface, looked up
//! for `--device vendor.com/class=name` and `--gpus`.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::oci::cdi::{Edits, Specification};
use crate::oci::request::NamedDevices;
use crate::store::read_bounded;
use crate::sys::host::device_nodes;

/// A specification of many devices is some hundred kilobytes.
const LARGEST: u64 = 16 << 20;
/// The kind of device that docker's `--gpus` stands for.
const GPU: &str = "nvidia.com/gpu";

/// What the container needs for all of `requests`, from the specifications in `directories`, of which a later
/// one wins.
///
/// # Errors
/// docker's words where no driver or no such device is there; a specification that cannot be read.
pub(super) fn edits(directories: &[PathBuf], requests: &[NamedDevices]) -> Result<Edits> {
    let mut edits = Edits::default();
    if requests.is_empty() {
        return Ok(edits);
    }
    let known = Known::read(directories)?;
    let mut vendors: Vec<usize> = Vec::new();
    for request in requests {
        for name in names(request, &known)? {
            let (at, device) = known.find(&name).ok_or_else(|| known.unresolvable(&name))?;
            // What all devices of a vendor need is done once.
            if !vendors.contains(&at) {
                vendors.push(at);
                edits.append(&known.all[at].1.container_edits);
            }
            edits.append(device);
        }
    }
    for node in &mut edits.device_nodes {
        if node.host_path.is_empty() {
            node.host_path.clone_from(&node.path);
        }
        if node.kind.is_empty() || (node.major == 0 && node.minor == 0 && node.kind != "p") {
            let found = device_nodes(Path::new(&node.host_path), Path::new(&node.path))?;
            let Some(device) = found.into_iter().next() else {
                return Err(Error::failed(format!("{} is not a device", node.host_path)));
            };
            node.kind = if device.block { "b".into() } else { "c".into() };
            (node.major, node.minor) = (i64::from(device.major), i64::from(device.minor));
            node.file_mode = node.file_mode.or(Some(device.mode));
        }
    }
    Ok(edits)
}

/// The devices' whole names.
fn names(request: &NamedDevices, known: &Known) -> Result<Vec<String>> {
    if request.driver == "cdi" {
        return Ok(request.ids.clone());
    }
    if request.count != 0 && !request.ids.is_empty() {
        return Err(Error::usage("cannot set both Count and DeviceIDs on device request"));
    }
    let is_gpu = request.capabilities.iter().any(|set| set.iter().any(|one| one == "gpu"));
    if !is_gpu || !matches!(request.driver.as_str(), "" | "nvidia") || !known.has(GPU) {
        let sets: Vec<String> =
            request.capabilities.iter().map(|set| format!("[{}]", set.join(" "))).collect();
        return Err(Error::failed(format!(
            "could not select device driver {:?} with capabilities: [{}]",
            request.driver,
            sets.join(" ")
        ))
        .hint(format!(
            "no specification in {} names {GPU}: `nvidia-ctk cdi generate --output /etc/cdi/nvidia.yaml` writes one",
            known.directories()
        )));
    }
    let name = |id: &str| format!("{GPU}={id}");
    Ok(match request.count {
        -1 => vec![name("all")],
        0 => request.ids.iter().map(|id| if id.contains('=') { id.clone() } else { name(id) }).collect(),
        count => (0..count).map(|number| name(&number.to_string())).collect(),
    })
}

/// Every specification of this machine.
struct Known {
    directories: Vec<PathBuf>,
    all: Vec<(PathBuf, Specification)>,
}

impl Known {
    fn read(directories: &[PathBuf]) -> Result<Self> {
        let mut known = Self { directories: directories.to_vec(), all: Vec::new() };
        for directory in directories {
            let mut files: Vec<PathBuf> = match std::fs::read_dir(directory) {
                Ok(entries) => entries.filter_map(|entry| Some(entry.ok()?.path())).collect(),
                Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => continue,
                Err(cause) => return Err(Error::io("read", directory, cause)),
            };
            files.sort();
            for path in files {
                let extension = path.extension().and_then(|extension| extension.to_str());
                if let Some("json" | "yaml" | "yml") = extension {
                    let content = String::from_utf8_lossy(&read_bounded(&path, LARGEST)?).into_owned();
                    // JSON is YAML.
                    let parsed = serde_saphyr::from_str(&content).map_err(|cause| {
                        Error::failed(format!("failed to parse CDI Spec {}: {cause}", path.display()))
                    })?;
                    known.all.push((path, parsed));
                }
            }
        }
        Ok(known)
    }

    fn has(&self, kind: &str) -> bool {
        self.all.iter().any(|(_, known)| known.kind == kind)
    }

    fn find(&self, name: &str) -> Option<(usize, &Edits)> {
        let (kind, device) = name.split_once('=')?;
        self.all.iter().enumerate().rev().filter(|(_, (_, known))| known.kind == kind).find_map(
            |(at, (_, known))| {
                let found = known.devices.iter().find(|known| known.name == device)?;
                Some((at, &found.container_edits))
            },
        )
    }

    fn unresolvable(&self, name: &str) -> Error {
        let error = Error::failed(format!(
            "could not select device driver \"cdi\" with capabilities: []: CDI device injection failed: \
             unresolvable CDI devices {name}"
        ));
        error.hint(format!("specifications are looked for in {}", self.directories()))
    }

    fn directories(&self) -> String {
        self.directories.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(" and ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn world() -> (tempfile::TempDir, Vec<PathBuf>) {
        let directory = tempfile::tempdir().unwrap();
        let paths = ["etc", "run", "missing"].map(|name| directory.path().join(name)).to_vec();
        for path in &paths[..2] {
            std::fs::create_dir(path).unwrap();
        }
        let write = |path: &Path, name: &str, text: &str| std::fs::write(path.join(name), text).unwrap();
        write(
            &paths[0],
            "gpu.json",
            r#"{"cdiVersion": "0.6.0", "kind": "nvidia.com/gpu", "containerEdits": {"env": ["ALL=1"]}, "devices": [
                {"name": "0", "containerEdits": {"env": ["GPU=0"], "deviceNodes": [{"path": "/dev/null"}]}},
                {"name": "1", "containerEdits": {"env": ["GPU=1"]}},
                {"name": "all", "containerEdits": {"env": ["GPU=all"]}}]}"#,
        );
        write(
            &paths[1],
            "gpu.json",
            r#"{"kind": "nvidia.com/gpu", "devices": [{"name": "1", "containerEdits": {"env": ["GPU=one"]}}]}"#,
        );
        (directory, paths)
    }

    fn gpu(count: i64, ids: &[&str]) -> NamedDevices {
        NamedDevices {
            count,
            ids: ids.iter().map(|id| (*id).to_owned()).collect(),
            capabilities: vec![vec!["gpu".into()]],
            ..NamedDevices::default()
        }
    }

    #[test]
    fn gpus_are_devices_by_name() {
        let (_keep, paths) = world();
        for (request, expected) in [
            (gpu(-1, &[]), &["ALL=1", "GPU=all"][..]),
            (gpu(1, &[]), &["ALL=1", "GPU=0"]),
            (gpu(0, &["0"]), &["ALL=1", "GPU=0"]),
            (gpu(0, &["1"]), &["GPU=one"]),
        ] {
            assert_eq!(edits(&paths, std::slice::from_ref(&request)).unwrap().env, expected, "{request:?}");
        }
        let found = edits(&paths, &[gpu(1, &[])]).unwrap();
        let node = &found.device_nodes[0];
        assert_eq!((node.kind.as_str(), node.major, node.minor), ("c", 1, 3));
        // The vendor's own part once, however many devices.
        let both = edits(&paths, &[gpu(1, &[]), gpu(0, &["0"])]).unwrap();
        assert_eq!(both.env, ["ALL=1", "GPU=0", "GPU=0"]);
    }

    #[test]
    fn what_is_not_there_is_told_in_dockers_words() {
        let (_keep, paths) = world();
        let empty = [paths[2].clone()];
        let error = edits(&empty, &[gpu(-1, &[])]).unwrap_err();
        assert_eq!(error.message, "could not select device driver \"\" with capabilities: [[gpu]]");
        let named =
            NamedDevices { driver: "cdi".into(), ids: vec!["a.com/b=c".into()], ..NamedDevices::default() };
        let error = edits(&paths, std::slice::from_ref(&named)).unwrap_err();
        assert!(error.message.ends_with("unresolvable CDI devices a.com/b=c"), "{}", error.message);
        let yaml = "cdiVersion: 0.6.0\nkind: a.com/b\ndevices:\n- name: c\n  containerEdits:\n    env:\n    - C=yes\n";
        std::fs::write(paths[0].join("b.yaml"), yaml).unwrap();
        assert_eq!(edits(&paths, &[named]).unwrap().env, ["C=yes"]);
        std::fs::write(paths[0].join("c.json"), "{").unwrap();
        assert!(edits(&paths, &[gpu(1, &[])]).unwrap_err().message.starts_with("failed to parse CDI Spec"));
        assert_eq!(edits(&paths, &[]).unwrap(), Edits::default());
        let both = NamedDevices { count: 1, ..gpu(0, &["0"]) };
        assert!(edits(&paths[..1], &[both]).is_err());
    }
}
