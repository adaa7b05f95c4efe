//! Where things lie on disk, from the settled configuration and the socket that answered.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::Config;

/// Where the journal takes messages.
pub const JOURNALD: &str = "/run/systemd/journal/socket";

/// The directories of one containerd (known by its socket) and one namespace.
#[derive(Debug, Clone)]
pub struct Paths {
    data: PathBuf,
    run: PathBuf,
    namespace: String,
}

impl Paths {
    /// For the containerd behind `socket`. Two sockets never share a file: as with nerdctl, the first eight
    /// hexadecimal digits of the path's SHA-256 lead every path.
    pub fn new(config: &Config, socket: &Path) -> Self {
        let real = std::fs::canonicalize(socket).unwrap_or_else(|_| socket.to_path_buf());
        let digest = Sha256::digest(real.as_os_str().as_encoded_bytes());
        let hash: String = digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        Self {
            data: config.data_root.join(&hash),
            run: config.run_root.join(&hash),
            namespace: config.namespace.clone(),
        }
    }

    /// The same directories for another namespace.
    pub fn with_namespace(&self, namespace: &str) -> Self {
        Self { namespace: namespace.into(), ..self.clone() }
    }

    /// Everything that outlives a reboot.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Everything that does not.
    pub fn run(&self) -> &Path {
        &self.run
    }

    /// The namespace's own directory.
    pub fn namespace(&self) -> PathBuf {
        self.data.join(&self.namespace)
    }

    /// hosts, hostname, resolv.conf, monitor.json and the log of a container. The last two components match
    /// docker's `/containers/<id>/`, which tools look for in mountinfo.
    pub fn container(&self, id: &str) -> PathBuf {
        self.namespace().join("containers").join(id)
    }

    /// All containers' directories.
    pub fn containers(&self) -> PathBuf {
        self.namespace().join("containers")
    }

    /// All named and anonymous volumes.
    pub fn volumes(&self) -> PathBuf {
        self.namespace().join("volumes")
    }

    /// nerdctl's volumes of the same containerd and namespace.
    pub fn nerdctl_volumes(&self) -> PathBuf {
        let hash = self.data.file_name().unwrap_or_default();
        Path::new("/var/lib/nerdctl").join(hash).join("volumes").join(&self.namespace)
    }

    /// What is mounted of volumes for containers that run, a directory a volume.
    pub fn volume_mounts(&self) -> PathBuf {
        self.run.join(&self.namespace).join("volumes")
    }

    /// Journals of what is being made, see `store::pending`.
    pub fn pending(&self) -> PathBuf {
        self.namespace().join("pending")
    }

    /// The journal of what has happened, see `journal`.
    pub fn events(&self) -> PathBuf {
        self.namespace().join("events")
    }

    /// Lock files.
    pub fn locks(&self) -> PathBuf {
        self.namespace().join("locks")
    }

    /// A container's sockets and FIFOs.
    pub fn container_run(&self, id: &str) -> PathBuf {
        self.run.join(&self.namespace).join(id)
    }

    /// The bind-mounted network namespaces of all containers.
    pub fn network_namespaces(&self) -> PathBuf {
        self.run.join("netns")
    }

    /// Copies of this program, one a version, that monitors run from.
    pub fn programs(&self) -> PathBuf {
        self.data.join("bin")
    }
}
