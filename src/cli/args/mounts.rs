//! Flags about what is mounted where.

use clap::Args;

use super::Environment;
use super::errors::{invalid, parse_one, refused, unsupported};
use super::parse::{mount, number, path, size, tmpfs, volume};
use crate::oci::request::{ContainerRequest, MountKind, MountRequest};
use crate::{Error, Result};

/// `-v`, `--mount`, `--tmpfs` and their kin.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Mounts")]
pub struct MountArgs {
    /// Bind mount a volume
    #[arg(short, long, value_name = "list", add = crate::cli::names::volumes())]
    pub volume: Vec<String>,
    /// Attach a filesystem mount to the container
    #[arg(long, value_name = "mount")]
    pub mount: Vec<String>,
    /// Mount a tmpfs directory
    #[arg(long, value_name = "list")]
    pub tmpfs: Vec<String>,
    /// Mount volumes from the specified container(s)
    #[arg(long, value_name = "list", add = crate::cli::names::containers())]
    pub volumes_from: Vec<String>,
    /// Optional volume driver for the container
    #[arg(long, value_name = "string")]
    pub volume_driver: Option<String>,
    /// Storage driver options for the container
    #[arg(long, value_name = "list")]
    pub storage_opt: Vec<String>,
    /// Mount the container's root filesystem as read only
    #[arg(long)]
    pub read_only: bool,
    /// The first argument is not an image but the path of a directory, used as the root file system
    #[arg(long)]
    pub rootfs: bool,
    /// Size of /dev/shm
    #[arg(long, value_name = "bytes")]
    pub shm_size: Option<String>,
    /// Bind mount the Docker API socket and required auth
    #[arg(long)]
    pub use_api_socket: bool,
    /// Maximum IO bandwidth limit for the system drive (Windows only)
    #[arg(long, value_name = "bytes")]
    pub io_maxbandwidth: Option<String>,
    /// Maximum IOps limit for the system drive (Windows only)
    #[arg(long, value_name = "uint")]
    pub io_maxiops: Option<String>,
}

impl MountArgs {
    /// Fills the request's part: the mounts of `-v`, then of `--mount`, then of `--tmpfs`.
    ///
    /// # Errors
    /// A value that does not parse, two mounts on one target, what cannot be done here.
    pub fn apply(self, request: &mut ContainerRequest, environment: &Environment<'_>) -> Result<()> {
        self.reject()?;
        let directory = environment.current_dir;
        let mut anonymous = Vec::new();
        for text in &self.volume {
            let mount = volume::volume(text, directory).map_err(refused)?;
            if mount.source.is_empty() { anonymous.push(mount) } else { request.mounts.push(mount) }
        }
        for text in &self.mount {
            let mount = mount::mount(text, directory).map_err(|cause| of_mount(text, cause))?;
            if let Some(driver) =
                mount.volume_driver.as_deref().filter(|driver| !matches!(*driver, "" | "local"))
            {
                return Err(unsupported(&format!("--mount volume-driver={driver}"), NO_DRIVERS));
            }
            request.mounts.push(MountRequest { by_mount: true, ..mount });
        }
        for text in &self.tmpfs {
            request.mounts.push(tmpfs::tmpfs(text).map_err(refused)?);
        }
        if let Some(twice) = duplicate(&request.mounts) {
            return Err(refused(format!("Duplicate mount point: {twice}")));
        }
        // As with docker, an anonymous volume gives way to whatever else is mounted there.
        for mount in anonymous {
            if request.mounts.iter().all(|other| other.target != mount.target) {
                request.mounts.push(mount);
            }
        }
        for text in &self.volumes_from {
            volume::check_volumes_from(text).map_err(refused)?;
        }
        if self.rootfs {
            request.rootfs = true;
            request.image = path::absolute(&request.image, directory);
        }
        request.volumes_from = self.volumes_from;
        request.read_only = self.read_only;
        let size = parse_one(self.shm_size.as_deref(), "--shm-size", size::ram_bytes)?;
        request.resources.shm_size = size.and_then(|size| u64::try_from(size).ok()).filter(|size| *size > 0);
        Ok(())
    }

    fn reject(&self) -> Result<()> {
        if let Some(driver) = self.volume_driver.as_deref().filter(|driver| !matches!(*driver, "" | "local"))
        {
            return Err(unsupported(&format!("--volume-driver {driver}"), NO_DRIVERS));
        }
        if !self.storage_opt.is_empty() {
            // docker's own words on most machines.
            return Err(refused(
                "--storage-opt is supported only for overlay over xfs with 'pquota' mount option",
            )
            .hint("containerd's snapshotters take no options of a container"));
        }
        if self.use_api_socket {
            return Err(unsupported(
                "--use-api-socket",
                "there is no Docker API socket without a docker daemon",
            ));
        }
        let bandwidth = parse_one(self.io_maxbandwidth.as_deref(), "--io-maxbandwidth", size::ram_bytes)?;
        if bandwidth.is_some_and(|bandwidth| bandwidth != 0) {
            return Err(super::errors::windows_only("--io-maxbandwidth"));
        }
        let operations = parse_one(self.io_maxiops.as_deref(), "--io-maxiops", number::unsigned)?;
        if operations.is_some_and(|operations| operations != 0) {
            return Err(super::errors::windows_only("--io-maxiops"));
        }
        Ok(())
    }
}

/// The flag's form is the command's affair, what it says the daemon's.
fn of_mount(text: &str, cause: String) -> Error {
    if cause.starts_with("invalid mount config") { refused(cause) } else { invalid(text, "--mount", cause) }
}

const NO_DRIVERS: &str = "only the local volume driver exists without a docker daemon and its plugins";

/// A target that two mounts claim; a named volume or bind may not hide another.
fn duplicate(mounts: &[MountRequest]) -> Option<&str> {
    mounts.iter().enumerate().find_map(|(index, mount)| {
        let twice = mounts[..index].iter().any(|earlier| earlier.target == mount.target);
        let anonymous = mount.kind == MountKind::Volume && mount.source.is_empty();
        (twice && !anonymous).then_some(mount.target.as_str())
    })
}
