//! Mounts that appear nowhere: made detached, held by a file descriptor, gone with it. However this process
//! ends, nothing is left to unmount.

use std::ffi::CString;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MountPropagationFlags};

use crate::{Error, Result};

/// Longest text that fsconfig takes, without its end.
const MAX_VALUE: usize = 255;
/// Longest text that mount(2) takes, without its end.
const MAX_DATA: usize = 4095;

/// One mount as a snapshotter describes it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mount {
    /// `overlay`, `bind` or another file system.
    pub kind: String,
    /// A directory, a device, or a word.
    pub source: String,
    /// Options as for mount(8).
    pub options: Vec<String>,
}

/// Whether a view may be written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Looked at only. An overlay's upper directory becomes one more layer below, untouched.
    Read,
    /// As the container itself would.
    Write,
}

/// The directories of an overlay, the topmost first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overlay {
    /// The layers.
    pub lower: Vec<PathBuf>,
    /// Where changes are.
    pub upper: Option<PathBuf>,
    /// The kernel's place for work in progress, needed to write.
    pub work: Option<PathBuf>,
    /// Further options (`userxattr`, `index=off`).
    pub options: Vec<String>,
}

/// The root of what `mounts` describe: a snapshot has exactly one. Fails for forms that need a helper of
/// the host (loop devices, fuse).
pub fn detached(mounts: &[Mount], access: Access) -> Result<OwnedFd> {
    let [mount] = mounts else {
        return Err(Error::failed(format!(
            "cannot look into a root file system of {} mounts: only one is understood",
            mounts.len()
        )));
    };
    let named = |cause: Errno| {
        Error::io("mount", format!("{} ({})", mount.source, mount.kind), cause)
            .hint("reading an image's users needs root and a kernel from 5.6 on")
    };
    match mount.kind.as_str() {
        "overlay" => overlay(&Overlay::parse(&mount.options), access),
        "bind" | "rbind" => directory(Path::new(&mount.source)).map_err(named),
        kind if mount.options.iter().any(|option| option == "loop") => {
            Err(Error::failed(format!("cannot look into a {kind} image that needs a loop device")))
        }
        _ => new_filesystem(mount, access).map_err(named),
    }
}

/// Mount what a snapshotter describes at a directory, for everybody to see.
pub fn attach(mounts: &[Mount], target: &Path, read_only: bool) -> Result<()> {
    let failed = |cause: Errno| Error::io("mount at", target, cause).hint("mounting needs root");
    for one in mounts {
        let bind = matches!(one.kind.as_str(), "bind" | "rbind");
        let words = ["ro", "rw", "bind", "rbind"];
        let data: Vec<&str> =
            one.options.iter().map(String::as_str).filter(|option| !words.contains(option)).collect();
        let data = CString::new(data.join(",")).map_err(|_| failed(Errno::INVAL))?;
        if data.as_bytes().len() > MAX_DATA {
            return Err(Error::failed(format!(
                "mount at {}: too many layers for one mount",
                target.display()
            )));
        }
        let flag = if read_only { MountFlags::RDONLY } else { MountFlags::empty() };
        if bind {
            rustix::mount::mount_bind(&one.source, target).map_err(failed)?;
            if read_only {
                let flags = MountFlags::BIND | MountFlags::RDONLY;
                rustix::mount::mount_remount(target, flags, c"").map_err(failed)?;
            }
        } else {
            rustix::mount::mount(&one.source, target, one.kind.as_str(), flag, data.as_c_str())
                .map_err(failed)?;
        }
    }
    Ok(())
}

/// Take away the topmost mount at a directory; none is fine.
pub fn detach(target: &Path) -> Result<()> {
    match rustix::mount::unmount(target, rustix::mount::UnmountFlags::NOFOLLOW) {
        Ok(()) | Err(Errno::INVAL) => Ok(()),
        Err(cause) => Err(Error::io("unmount", target, cause)),
    }
}

/// The root of an overlay. One directory alone is opened as it is.
pub fn overlay(overlay: &Overlay, access: Access) -> Result<OwnedFd> {
    let shown = || match overlay.upper.as_ref().or(overlay.lower.first()) {
        Some(path) => path.display().to_string(),
        None => "an overlay without directories".into(),
    };
    let outcome = match access {
        Access::Read => read_only(overlay),
        Access::Write => writable(overlay),
    };
    outcome.map_err(|cause| {
        Error::io("mount overlay", shown(), cause)
            .hint("reading an image's users needs root and a kernel from 5.6 on")
    })
}

impl Overlay {
    /// From the options of an overlay mount.
    pub fn parse(options: &[String]) -> Self {
        let mut overlay = Self::default();
        for option in options {
            match option.split_once('=') {
                Some(("lowerdir", paths)) => overlay.lower = split_paths(paths),
                Some(("upperdir", path)) => overlay.upper = Some(path.into()),
                Some(("workdir", path)) => overlay.work = Some(path.into()),
                _ if matches!(option.as_str(), "ro" | "rw") => {}
                _ => overlay.options.push(option.clone()),
            }
        }
        overlay
    }
}

/// Paths between colons; a backslash takes the next letter as it is.
fn split_paths(text: &str) -> Vec<PathBuf> {
    let mut paths = vec![String::new()];
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        let current = paths.len() - 1;
        match letter {
            '\\' => paths[current].extend(letters.next()),
            ':' => paths.push(String::new()),
            letter => paths[current].push(letter),
        }
    }
    paths.into_iter().filter(|path| !path.is_empty()).map(PathBuf::from).collect()
}

fn directory(path: &Path) -> rustix::io::Result<OwnedFd> {
    rustix::fs::open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

fn read_only(overlay: &Overlay) -> rustix::io::Result<OwnedFd> {
    // A new container's upper directory is empty: one layer less to mount.
    let upper = overlay.upper.as_ref().filter(|upper| !is_empty(upper));
    let layers: Vec<&Path> = upper.into_iter().chain(&overlay.lower).map(PathBuf::as_path).collect();
    match layers[..] {
        [] => overlay.upper.as_deref().map_or(Err(Errno::INVAL), directory),
        [one] => directory(one),
        _ => match appended(&layers, overlay, Access::Read) {
            Err(Errno::INVAL) => joined(&layers, overlay),
            outcome => outcome,
        },
    }
}

fn writable(overlay: &Overlay) -> rustix::io::Result<OwnedFd> {
    let layers: Vec<&Path> = overlay.lower.iter().map(PathBuf::as_path).collect();
    match (&overlay.upper, &overlay.work, layers.is_empty()) {
        (Some(upper), _, true) => directory(upper),
        (Some(_), Some(_), false) => match appended(&layers, overlay, Access::Write) {
            Err(Errno::INVAL) => in_private_namespace(&layers, overlay, Access::Write),
            outcome => outcome,
        },
        _ => Err(Errno::INVAL),
    }
}

fn is_empty(directory: &Path) -> bool {
    std::fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_none())
}

/// Layers given one by one, which kernels know from 6.7 on; EINVAL before.
fn appended(layers: &[&Path], overlay: &Overlay, access: Access) -> rustix::io::Result<OwnedFd> {
    let context = context("overlay")?;
    for layer in layers {
        rustix::mount::fsconfig_set_string(&context, "lowerdir+", *layer)?;
    }
    if access == Access::Write {
        for (key, path) in [("upperdir", &overlay.upper), ("workdir", &overlay.work)] {
            if let Some(path) = path {
                rustix::mount::fsconfig_set_string(&context, key, path)?;
            }
        }
    }
    set_options(&context, passed_on(overlay, access))?;
    finish(&context, access)
}

/// Layers in one text, by the numbers of open descriptors, because their paths would soon be too long.
fn joined(layers: &[&Path], overlay: &Overlay) -> rustix::io::Result<OwnedFd> {
    let (_open, text) = by_descriptor(layers)?;
    if text.len() > MAX_VALUE {
        return in_private_namespace(layers, overlay, Access::Read);
    }
    let context = context("overlay")?;
    rustix::mount::fsconfig_set_string(&context, "lowerdir", text.as_str())?;
    set_options(&context, passed_on(overlay, Access::Read))?;
    finish(&context, Access::Read)
}

fn by_descriptor(layers: &[&Path]) -> rustix::io::Result<(Vec<OwnedFd>, String)> {
    let open = layers.iter().map(|layer| directory(layer)).collect::<rustix::io::Result<Vec<_>>>()?;
    let names: Vec<String> =
        open.iter().map(|layer| format!("/proc/self/fd/{}", layer.as_raw_fd())).collect();
    Ok((open, names.join(":")))
}

/// For old kernels and many layers: the old system call takes longer texts, but attaches. So it attaches in
/// the mount namespace of a thread that ends here, and only the descriptor remains.
fn in_private_namespace(layers: &[&Path], overlay: &Overlay, access: Access) -> rustix::io::Result<OwnedFd> {
    let Some(target) = layers.first() else { return Err(Errno::INVAL) };
    std::thread::scope(|scope| {
        scope
            .spawn(|| {
                let flags = rustix::thread::UnshareFlags::NEWNS;
                // SAFETY: a new mount namespace changes what paths mean for this thread alone (the kernel
                // gives it a root and working directory of its own); descriptors stay shared and valid.
                #[expect(unsafe_code, reason = "no safe form of unshare; see SAFETY")]
                unsafe { rustix::thread::unshare_unsafe(flags) }?;
                let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
                rustix::mount::mount_change("/", private)?;
                // Layers must be opened in the namespace that mounts them.
                let (_open, data) = data(layers, overlay, access)?;
                let mut mount_flags = MountFlags::NODEV | MountFlags::NOSUID;
                mount_flags.set(MountFlags::RDONLY, access == Access::Read);
                rustix::mount::mount("overlay", *target, "overlay", mount_flags, data.as_c_str())?;
                directory(target)
            })
            .join()
            .unwrap_or(Err(Errno::IO))
    })
}

/// An overlay's options as one text, and the open layers that it names.
fn data(layers: &[&Path], overlay: &Overlay, access: Access) -> rustix::io::Result<(Vec<OwnedFd>, CString)> {
    let (open, lower) = by_descriptor(layers)?;
    let mut data = format!("lowerdir={lower}");
    if let (Access::Write, Some(upper), Some(work)) = (access, &overlay.upper, &overlay.work) {
        data = format!("{data},upperdir={},workdir={}", escaped(upper), escaped(work));
    }
    for option in passed_on(overlay, access) {
        data = format!("{data},{option}");
    }
    if data.len() > MAX_DATA {
        return Err(Errno::NAMETOOLONG);
    }
    Ok((open, CString::new(data).map_err(|_| Errno::INVAL)?))
}

fn escaped(path: &Path) -> String {
    let text = path.to_string_lossy();
    text.chars().fold(String::with_capacity(text.len()), |mut out, letter| {
        if matches!(letter, ',' | ':' | '\\') {
            out.push('\\');
        }
        out.push(letter);
        out
    })
}

/// Options that a view of its own needs too. `index` and `volatile` belong to the upper directory.
fn passed_on(overlay: &Overlay, access: Access) -> impl Iterator<Item = &str> {
    overlay.options.iter().map(String::as_str).filter(move |option| {
        let key = option.split_once('=').map_or(*option, |(key, _)| key);
        match key {
            "userxattr" | "redirect_dir" | "metacopy" | "xino" => true,
            "index" | "volatile" | "nfs_export" | "uuid" => access == Access::Write,
            _ => false,
        }
    })
}

/// The root of a file system of its own kind, mounted nowhere.
pub(super) fn new_filesystem(mount: &Mount, access: Access) -> rustix::io::Result<OwnedFd> {
    let context = context(mount.kind.as_str())?;
    rustix::mount::fsconfig_set_string(&context, "source", mount.source.as_str())?;
    let generic = ["ro", "rw", "nodev", "nosuid", "noexec", "relatime", "noatime", "defaults"];
    let own = mount
        .options
        .iter()
        .map(String::as_str)
        .filter(|option| !generic.contains(option) && !option.starts_with("x-") && !option.is_empty());
    set_options(&context, own)?;
    if access == Access::Read {
        rustix::mount::fsconfig_set_flag(&context, "ro")?;
    }
    finish(&context, access)
}

fn context(kind: &str) -> rustix::io::Result<OwnedFd> {
    rustix::mount::fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)
}

fn set_options<'a>(context: &OwnedFd, options: impl Iterator<Item = &'a str>) -> rustix::io::Result<()> {
    for option in options {
        match option.split_once('=') {
            Some((key, value)) => rustix::mount::fsconfig_set_string(context, key, value)?,
            None => rustix::mount::fsconfig_set_flag(context, option)?,
        }
    }
    Ok(())
}

fn finish(context: &OwnedFd, access: Access) -> rustix::io::Result<OwnedFd> {
    rustix::mount::fsconfig_create(context)?;
    let mut attributes = MountAttrFlags::MOUNT_ATTR_NODEV | MountAttrFlags::MOUNT_ATTR_NOSUID;
    attributes.set(MountAttrFlags::MOUNT_ATTR_RDONLY, access == Access::Read);
    rustix::mount::fsmount(context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layers(count: usize) -> (tempfile::TempDir, Vec<PathBuf>) {
        let directory = tempfile::tempdir().unwrap();
        let layers = (0..count)
            .map(|number| {
                let layer = directory.path().join(format!("a-rather-long-name-of-a-layer-{number}/fs"));
                std::fs::create_dir_all(&layer).unwrap();
                std::fs::write(layer.join(number.to_string()), number.to_string()).unwrap();
                std::fs::write(layer.join("same"), number.to_string()).unwrap();
                layer
            })
            .collect();
        (directory, layers)
    }

    fn text(root: &OwnedFd, name: &str) -> Option<String> {
        let file = rustix::fs::openat(root, name, OFlags::RDONLY, Mode::empty()).ok()?;
        let mut text = String::new();
        std::io::Read::read_to_string(&mut std::fs::File::from(file), &mut text).unwrap();
        Some(text)
    }

    #[test]
    fn options_of_snapshotters() {
        let options = ["index=off", "ro", "workdir=/w", "upperdir=/u", "lowerdir=/a:/b\\:c:/d"];
        let overlay = Overlay::parse(&options.map(str::to_owned));
        assert_eq!(overlay.lower, [Path::new("/a"), Path::new("/b:c"), Path::new("/d")]);
        assert_eq!(overlay.upper.as_deref(), Some(Path::new("/u")));
        assert_eq!(overlay.work.as_deref(), Some(Path::new("/w")));
        assert_eq!(overlay.options, ["index=off"]);
        assert_eq!(passed_on(&overlay, Access::Read).count(), 0);
        assert_eq!(passed_on(&overlay, Access::Write).count(), 1);
    }

    #[test]
    fn every_way_gives_the_same_view() {
        let (_directory, paths) = layers(30);
        let five = Overlay { lower: paths[..5].to_vec(), ..Overlay::default() };
        let few: Vec<&Path> = five.lower.iter().map(PathBuf::as_path).collect();
        let many = Overlay { lower: paths.clone(), ..Overlay::default() };
        let all: Vec<&Path> = paths.iter().map(PathBuf::as_path).collect();
        for root in [
            appended(&few, &five, Access::Read).unwrap(),
            joined(&few, &five).unwrap(),
            in_private_namespace(&few, &five, Access::Read).unwrap(),
            appended(&all, &many, Access::Read).unwrap(),
            joined(&all, &many).unwrap(),
        ] {
            assert_eq!(text(&root, "same").as_deref(), Some("0"));
            assert_eq!(text(&root, "4").as_deref(), Some("4"));
            assert_eq!(text(&root, "none"), None);
        }
        let mounted = std::fs::read_to_string("/proc/self/mounts").unwrap();
        assert!(!mounted.contains("a-rather-long-name"), "something is left mounted");
    }

    #[test]
    fn an_upper_directory_is_seen_and_not_touched() {
        let (directory, paths) = layers(2);
        let upper = directory.path().join("upper");
        std::fs::create_dir(&upper).unwrap();
        let description = Overlay { lower: paths, upper: Some(upper.clone()), ..Overlay::default() };
        let before = overlay(&description, Access::Read).unwrap();
        assert_eq!(text(&before, "same").as_deref(), Some("0"));
        std::fs::write(upper.join("same"), "upper").unwrap();
        let after = overlay(&description, Access::Read).unwrap();
        assert_eq!(text(&after, "same").as_deref(), Some("upper"));
        assert!(rustix::fs::mkdirat(&after, "new", Mode::RWXU).is_err(), "it is read-only");
        assert_eq!(std::fs::read_dir(&upper).unwrap().count(), 1);
    }

    #[test]
    fn a_writable_view_writes_to_the_upper_directory() {
        let (directory, paths) = layers(2);
        let (upper, work) = (directory.path().join("upper"), directory.path().join("work"));
        std::fs::create_dir(&upper).unwrap();
        std::fs::create_dir(&work).unwrap();
        let description = Overlay {
            lower: paths,
            upper: Some(upper.clone()),
            work: Some(work),
            options: vec!["index=off".into()],
        };
        let root = overlay(&description, Access::Write).unwrap();
        rustix::fs::mkdirat(&root, "new", Mode::RWXU).unwrap();
        drop(root);
        assert!(upper.join("new").is_dir());
        // The same directories can be mounted again at once.
        let layers: Vec<&Path> = description.lower.iter().map(PathBuf::as_path).collect();
        let root = in_private_namespace(&layers, &description, Access::Write).unwrap();
        rustix::fs::mkdirat(&root, "newer", Mode::RWXU).unwrap();
        drop(root);
        assert!(upper.join("newer").is_dir());
    }

    #[test]
    fn other_forms() {
        let (_directory, paths) = layers(1);
        let bind = Mount { kind: "bind".into(), source: paths[0].display().to_string(), ..Mount::default() };
        let root = detached(std::slice::from_ref(&bind), Access::Read).unwrap();
        assert_eq!(text(&root, "same").as_deref(), Some("0"));
        let tmpfs = Mount { kind: "tmpfs".into(), source: "tmpfs".into(), options: vec!["size=64k".into()] };
        assert!(detached(&[tmpfs], Access::Write).is_ok());
        assert!(detached(&[], Access::Read).is_err());
        assert!(detached(&[bind.clone(), bind], Access::Read).is_err());
        let missing = Mount { kind: "bind".into(), source: "/no/such".into(), ..Mount::default() };
        assert_eq!(detached(&[missing], Access::Read).unwrap_err().kind, crate::Kind::NotFound);
    }
}
