//! Where containerd's files are this process's files too. Writing a layer there costs a tenth of handing it over, and
//! a layer is unpacked while it is fetched. Each directory is compared with what containerd sees under its name: a
//! containerd in another mount namespace (kind, a snap, another machine behind a forwarded socket) may mean another one.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use crate::containerd::{Client, Mount};
use crate::sys::mount::Overlay;
use crate::sys::process::{open_files, sees_the_same};

/// More unfinished blobs than this are not looked through.
const MOST_INGESTS: usize = 10_000;

/// The directories of a containerd on this machine.
#[derive(Debug, Clone)]
pub(super) struct Local {
    content: PathBuf,
    containerd: u32,
}

impl Local {
    /// None where containerd's files are not to be had.
    pub(super) async fn of(client: &Client) -> Option<Self> {
        let containerd = client.server_process()?;
        let filter = "type==io.containerd.content.v1".to_owned();
        let plugins = client.plugins(&[filter]).await.ok()?;
        let content = plugins.iter().find_map(|plugin| plugin.exports.get("root"))?;
        let content = PathBuf::from(content);
        // Behind a socket that somebody forwards, the peer is whoever forwards it.
        let holds = |file: &Path| content.parent().is_some_and(|root| file.starts_with(root));
        open_files(containerd).iter().any(|file| holds(file)).then_some(Self { content, containerd })
    }

    /// The content store's directory; containerd makes it with the first blob.
    fn content(&self) -> Option<&Path> {
        self.sees(&self.content).then_some(self.content.as_path())
    }

    /// Whether containerd means by `path` what this process does.
    fn sees(&self, path: &Path) -> bool {
        sees_the_same(self.containerd, path)
    }

    /// A blob of the store, to be read.
    pub(super) fn blob(&self, digest: &str) -> Option<File> {
        let hash = digest.strip_prefix("sha256:")?;
        if hash.len() != 64 || !hash.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        File::open(self.content()?.join("blobs/sha256").join(hash)).ok()
    }

    /// The data of the unfinished blob `reference`, which `client` holds open, to be written and read.
    pub(super) fn ingest(&self, client: &Client, reference: &str) -> Option<File> {
        // containerd puts the namespace and a number before the reference, and calls the directory by their digest.
        let (begin, end) = (format!("{}/", client.namespace()), format!("/{reference}"));
        let directories = std::fs::read_dir(self.content()?.join("ingest")).ok()?;
        let own = directories.take(MOST_INGESTS).flatten().map(|entry| entry.path()).find(|directory| {
            let name = std::fs::read_to_string(directory.join("ref")).unwrap_or_default();
            name.starts_with(&begin)
                && name.ends_with(&end)
                && name.len() > begin.len() + end.len() - 1
                && name.get(begin.len()..name.len() - end.len()).is_some_and(|number| !number.contains('/'))
        })?;
        let flags = OFlags::NOFOLLOW.bits().cast_signed();
        OpenOptions::new().read(true).write(true).custom_flags(flags).open(own.join("data")).ok()
    }

    /// The directory that a prepared snapshot's files go into, and those of the layers below, the topmost first.
    /// None where this process cannot write there as an overlay wants it.
    pub(super) fn upper(&self, mounts: &[Mount]) -> Option<(PathBuf, Vec<PathBuf>)> {
        let [mount] = mounts else { return None };
        let (upper, lower) = match mount.kind.as_str() {
            "bind" => (PathBuf::from(&mount.source), Vec::new()),
            "overlay" => {
                let overlay = Overlay::parse(&mount.options);
                if overlay.options.iter().any(|option| option == "userxattr") {
                    return None;
                }
                (overlay.upper?, overlay.lower)
            }
            _ => return None,
        };
        self.sees(&upper).then_some((upper, lower))
    }
}
