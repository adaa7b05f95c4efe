//! Layers into directories: by the rules, and whatever they try.

use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};

use super::*;

fn entry(name: &str, node: Node) -> Entry {
    let (mode, modified) = (0o644, 1_000_000_000);
    Entry {
        name: name.into(),
        node,
        mode,
        uid: 0,
        gid: 0,
        modified,
        modified_nanos: 7,
        capability: None,
        xattrs: Vec::new(),
    }
}

fn directory(name: &str) -> Entry {
    Entry { mode: 0o755, ..entry(name, Node::Directory) }
}

struct Place {
    outer: tempfile::TempDir,
    tree: LayerTree,
}

impl Place {
    fn new(lowest: bool) -> Self {
        let outer = tempfile::tempdir().unwrap();
        std::fs::create_dir(outer.path().join("root")).unwrap();
        let tree = LayerTree::new(&outer.path().join("root"), lowest).unwrap();
        Self { outer, tree }
    }

    fn put(&mut self, entry: Entry) -> Result<()> {
        let size = if let Node::File(size) = entry.node { size } else { 0 };
        let content = vec![b'x'; usize::try_from(size).unwrap()];
        match entry.node {
            Node::File(_) => self.tree.put(&entry, Body::Stream(&mut content.as_slice())),
            _ => self.tree.put(&entry, Body::None),
        }
    }

    fn puts(&mut self, entries: impl IntoIterator<Item = Entry>) {
        for entry in entries {
            let name = entry.name.clone();
            self.put(entry).unwrap_or_else(|error| panic!("{}: {error}", name.display()));
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.outer.path().join("root").join(name)
    }

    fn stat(&self, name: &str) -> std::fs::Metadata {
        std::fs::symlink_metadata(self.path(name)).unwrap()
    }

    fn is_opaque(&self, name: &str) -> bool {
        let mut value = [0; 8];
        rustix::fs::getxattr(self.path(name), OPAQUE_ATTRIBUTE, &mut value)
            .is_ok_and(|length| &value[..length] == b"y")
    }

    fn is_whiteout(&self, name: &str) -> bool {
        let stat = self.stat(name);
        stat.file_type().is_char_device() && stat.rdev() == 0
    }
}

#[test]
fn files_have_what_their_entries_say() {
    let mut place = Place::new(true);
    place.puts([
        Entry { mode: 0o2750, gid: 9, ..directory("d") },
        entry("d/inherits", Node::File(3)),
        Entry { mode: 0o4755, uid: 5, gid: 6, ..entry("d/suid", Node::File(300_000)) },
        Entry { mode: 0o666, modified: -5, ..entry("open", Node::File(0)) },
        Entry { uid: 3, gid: 4, ..entry("d/link", Node::Symlink("/nowhere".into())) },
        Entry { uid: 5, gid: 6, ..entry("d/again", Node::Hardlink("d/suid".into())) },
        Entry { mode: 0o622, ..entry("fifo", Node::Fifo) },
        Entry { mode: 0o666, ..entry("null", Node::Character(1, 3)) },
    ]);
    assert_eq!(place.tree.implied, Vec::<PathBuf>::new());
    let root = std::mem::replace(&mut place.tree, Place::new(true).tree);
    assert!(root.finish().is_empty());
    let told = |name: &str| {
        let stat = place.stat(name);
        (stat.permissions().mode() & 0o7777, stat.uid(), stat.gid(), stat.mtime(), stat.mtime_nsec())
    };
    assert_eq!(told("d"), (0o2750, 0, 9, 1_000_000_000, 7));
    assert_eq!(told("d/inherits"), (0o644, 0, 0, 1_000_000_000, 7));
    assert_eq!(told("d/suid"), (0o4755, 5, 6, 1_000_000_000, 7));
    assert_eq!(told("open"), (0o666, 0, 0, 0, 0));
    assert_eq!((place.stat("d/suid").len(), place.stat("d/suid").nlink()), (300_000, 2));
    assert_eq!((place.stat("d/link").uid(), place.stat("d/link").mtime()), (3, 1_000_000_000));
    assert_eq!(std::fs::read_link(place.path("d/link")).unwrap(), Path::new("/nowhere"));
    assert_eq!(told("fifo").0, 0o622);
    assert_eq!((told("null").0, place.stat("null").rdev()), (0o666, rustix::fs::makedev(1, 3)));
}

#[test]
fn attributes_of_files_are_kept_and_those_of_the_overlay_are_not_theirs() {
    let mut place = Place::new(true);
    let capability = vec![1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let xattrs = vec![
        (b"user.colour".to_vec(), b"blue".to_vec()),
        (b"trusted.overlay.redirect".to_vec(), b"/etc".to_vec()),
    ];
    place.puts([Entry { uid: 7, capability: Some(capability.clone()), xattrs, ..entry("f", Node::File(1)) }]);
    let mut value = [0; 64];
    let length = rustix::fs::getxattr(place.path("f"), c"security.capability", &mut value).unwrap();
    assert_eq!(value[..length], capability);
    let length = rustix::fs::getxattr(place.path("f"), c"user.colour", &mut value).unwrap();
    assert_eq!(&value[..length], b"blue");
    assert!(rustix::fs::getxattr(place.path("f"), c"trusted.overlay.redirect", &mut value).is_err());
}

#[test]
fn whiteouts_are_the_overlays() {
    let mut place = Place::new(false);
    place.puts([
        directory("opaque"),
        entry("opaque/.wh..wh..opq", Node::File(0)),
        entry("opaque/new", Node::File(1)),
        entry("etc/.wh.gone", Node::File(0)),
        entry("own", Node::File(1)),
        entry(".wh.own", Node::File(0)),
        entry(".wh.back", Node::File(0)),
        directory("back"),
    ]);
    assert!(place.is_opaque("opaque") && !place.is_opaque("etc"));
    assert!(place.is_whiteout("etc/gone"));
    assert_eq!(place.stat("own").len(), 1);
    // Removed and made again in one layer: what lies below must not show through.
    assert!(place.is_opaque("back"));
    assert_eq!(place.tree.implied, [PathBuf::from("etc")]);
    for name in [".wh.", ".wh..", ".wh..."] {
        assert!(place.put(entry(name, Node::File(0))).is_err(), "{name}");
    }
    let mut lowest = Place::new(true);
    lowest.puts([entry(".wh.x", Node::File(0)), entry("a/.wh..wh..opq", Node::File(0))]);
    assert_eq!(std::fs::read_dir(lowest.path("")).unwrap().count(), 0);
}

#[test]
fn later_entries_replace_earlier_ones() {
    let mut place = Place::new(false);
    place.puts([
        entry("a", Node::File(1)),
        entry("a", Node::File(2)),
        directory("d"),
        entry("d/x", Node::File(1)),
        entry("d", Node::Symlink("a".into())),
        entry("l", Node::Symlink("a".into())),
        directory("l"),
        entry("l/in", Node::File(1)),
        entry("a", Node::Hardlink("l/in".into())),
        entry("a", Node::Hardlink("a".into())),
        entry("w/.wh.sub", Node::File(0)),
        entry("w/sub/file", Node::File(1)),
    ]);
    assert_eq!(place.stat("a").ino(), place.stat("l/in").ino());
    assert!(place.stat("d").is_symlink() && place.stat("l").is_dir());
    assert_eq!(place.stat("w/sub/file").len(), 1);
}

#[test]
fn nothing_leaves_the_directory() {
    let mut place = Place::new(false);
    let outside = place.outer.path().join("outside");
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("secret"), "s").unwrap();
    let target = outside.to_str().unwrap().to_owned();
    place.puts([
        entry("absolute", Node::Symlink(target.clone().into())),
        entry("up", Node::Symlink("../../outside".into())),
        entry("absolute/file", Node::File(1)),
        entry("up/file", Node::File(1)),
    ]);
    for bad in ["../escape", "a/../../escape"] {
        assert!(place.put(entry(bad, Node::File(1))).is_err(), "{bad}");
    }
    assert!(place.put(entry("hard", Node::Hardlink(format!("{target}/secret").into()))).is_err());
    assert!(place.put(entry("hard", Node::Hardlink("../outside/secret".into()))).is_err());
    place.puts([entry("up/.wh.secret", Node::File(0)), entry("absolute/.wh..wh..opq", Node::File(0))]);
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 1);
    // They went where the links lead in there.
    assert!(place.path(&target[1..]).join("file").exists() && place.path("outside/file").exists());
}

#[test]
fn directories_without_an_entry_are_as_below() {
    let mut place = Place::new(false);
    let lower = place.outer.path().join("lower");
    std::fs::create_dir_all(lower.join("var/lib")).unwrap();
    std::fs::set_permissions(lower.join("var/lib"), std::fs::Permissions::from_mode(0o1700)).unwrap();
    rustix::fs::chown(lower.join("var/lib"), Some(Uid::from_raw(7)), None).unwrap();
    place.puts([entry("var/lib/new/file", Node::File(1))]);
    let tree = std::mem::replace(&mut place.tree, Place::new(true).tree);
    let implied = tree.finish();
    assert_eq!(implied, ["var", "var/lib", "var/lib/new"].map(PathBuf::from));
    adopt(&place.path(""), std::slice::from_ref(&lower), &implied).unwrap();
    let stat = place.stat("var/lib");
    assert_eq!((stat.permissions().mode() & 0o7777, stat.uid()), (0o1700, 7));
    // A later entry has put a link in a directory's place: what it leads to is left alone.
    std::fs::remove_dir_all(place.path("var")).unwrap();
    std::os::unix::fs::symlink(&lower, place.path("var")).unwrap();
    adopt(&place.path(""), &[lower], &implied).unwrap();
}

#[test]
fn a_staged_layer_takes_the_place_of_an_empty_one() {
    let outer = tempfile::tempdir().unwrap();
    let (staged, upper) = (outer.path().join("staged"), outer.path().join("upper"));
    std::fs::create_dir(&staged).unwrap();
    std::fs::create_dir(&upper).unwrap();
    std::fs::write(staged.join("f"), "").unwrap();
    std::fs::set_permissions(&upper, std::fs::Permissions::from_mode(0o711)).unwrap();
    settle(&staged, &upper).unwrap();
    assert!(upper.join("f").exists() && !staged.exists());
    assert_eq!(std::fs::metadata(&upper).unwrap().permissions().mode() & 0o7777, 0o711);
}
