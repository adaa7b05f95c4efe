//! Trees of friends and of enemies.

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags};

use super::*;

fn place(path: &Path) -> OwnedFd {
    rustix::fs::open(path, OFlags::PATH | OFlags::NOFOLLOW, Mode::empty()).unwrap()
}

fn entry(name: &str, node: Node) -> Entry {
    Entry {
        name: name.into(),
        node,
        mode: 0o644,
        uid: 0,
        gid: 0,
        modified: 1000,
        modified_nanos: 5,
        capability: None,
        xattrs: Vec::new(),
    }
}

fn put(target: &Path, links: Links, owner: Owner) -> Put {
    Put::new(place(target), Path::new(""), target, (links, owner))
}

fn copied(from: &Path, to: &Path) -> Vec<PathBuf> {
    let mut put = put(to, Links::Refuse, Owner::Kept);
    walk(place(from), &Start { name: "t".into(), shown: from.into() }, &mut put).unwrap();
    put.finish().unwrap()
}

#[test]
fn a_tree_arrives_as_it_was() {
    let outer = tempfile::tempdir().unwrap();
    let (from, to) = (outer.path().join("from"), outer.path().join("to"));
    fs::create_dir_all(from.join("d/empty")).unwrap();
    fs::create_dir(&to).unwrap();
    fs::write(from.join("d/f"), "content").unwrap();
    fs::hard_link(from.join("d/f"), from.join("twin")).unwrap();
    symlink("/nowhere", from.join("link")).unwrap();
    rustix::fs::mknodat(CWD, from.join("fifo"), FileType::Fifo, Mode::RWXU, 0).unwrap();
    rustix::fs::mknodat(
        CWD,
        from.join("null"),
        FileType::CharacterDevice,
        Mode::RWXU,
        rustix::fs::makedev(1, 3),
    )
    .unwrap();
    let socket = std::os::unix::net::UnixListener::bind(from.join("socket")).unwrap();
    std::os::unix::fs::chown(from.join("d/f"), Some(5), Some(6)).unwrap();
    fs::set_permissions(from.join("d/f"), fs::Permissions::from_mode(0o4750)).unwrap();
    let skipped = copied(&from, &to);
    drop(socket);
    let there = to.join("t");
    assert_eq!(skipped, [there.join("null")]);
    assert_eq!(fs::read(there.join("twin")).unwrap(), b"content");
    let (file, twin) = (fs::metadata(there.join("d/f")).unwrap(), fs::metadata(there.join("twin")).unwrap());
    assert_eq!((file.ino(), file.uid(), file.gid(), file.mode() & 0o7777), (twin.ino(), 5, 6, 0o4750));
    assert_eq!(fs::read_link(there.join("link")).unwrap(), Path::new("/nowhere"));
    assert!(there.join("d/empty").is_dir() && !there.join("socket").exists() && !there.join("null").exists());
    let (before, after) = (fs::metadata(from.join("d")).unwrap(), fs::metadata(there.join("d")).unwrap());
    assert_eq!((before.mtime(), before.mtime_nsec()), (after.mtime(), after.mtime_nsec()));
}

#[test]
fn holes_stay_holes() {
    let outer = tempfile::tempdir().unwrap();
    let (from, to) = (outer.path().join("from"), outer.path().join("to"));
    fs::create_dir(&to).unwrap();
    fs::create_dir(&from).unwrap();
    let file = std::fs::File::create(from.join("big")).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, b"middle", 1 << 30).unwrap();
    file.set_len(1 << 40).unwrap();
    std::fs::File::create(from.join("hole")).unwrap().set_len(1 << 40).unwrap();
    copied(&from, &to);
    let big = fs::metadata(to.join("t/big")).unwrap();
    assert_eq!(big.len(), 1 << 40);
    assert!(big.blocks() < 1000, "{}", big.blocks());
    let mut middle = [0; 6];
    let copy = std::fs::File::open(to.join("t/big")).unwrap();
    std::os::unix::fs::FileExt::read_exact_at(&copy, &mut middle, 1 << 30).unwrap();
    assert_eq!(&middle, b"middle");
    assert_eq!(fs::metadata(to.join("t/hole")).unwrap().len(), 1 << 40);
}

#[test]
fn set_user_id_goes_where_the_owner_goes() {
    let outer = tempfile::tempdir().unwrap();
    let mut put = put(outer.path(), Links::Refuse, Owner::Given(0, 0));
    for (name, uid, mode) in [("theirs", 7, 0o6755), ("ours", 0, 0o6755)] {
        let file = Entry { mode, uid, gid: uid, ..entry(name, Node::File(0)) };
        put.put(&file, Body::None).unwrap();
    }
    put.finish().unwrap();
    let mode = |name: &str| fs::metadata(outer.path().join(name)).unwrap().mode() & 0o7777;
    assert_eq!((mode("theirs"), mode("ours")), (0o755, 0o6755));
}

#[test]
fn nothing_is_put_outside() {
    let outer = tempfile::tempdir().unwrap();
    let (root, base) = (outer.path().join("root"), outer.path().join("root/base"));
    fs::create_dir_all(&base).unwrap();
    fs::write(outer.path().join("victim"), "safe").unwrap();
    symlink(outer.path(), base.join("out")).unwrap();
    symlink("../../victim", base.join("file")).unwrap();
    let file = |name: &str| entry(name, Node::File(0));
    for (links, start, below) in [(Links::Refuse, &base, ""), (Links::Follow, &root, "/base")] {
        let mut put = Put::new(place(start), Path::new(below), &base, (links, Owner::Kept));
        for name in ["../x", "a/../../x", "/../x"] {
            let refused = put.put(&file(name), Body::None).unwrap_err();
            assert!(refused.message.contains("is outside of"), "{refused}");
        }
        let refused = put.put(&entry("twin", Node::Hardlink("../../victim".into())), Body::None).unwrap_err();
        assert!(refused.message.contains("is outside of"), "{refused}");
        // In a container the link means what it means there: nothing.
        assert!(put.put(&file("out/x"), Body::None).is_err());
        let refused = put.put(&entry("out", Node::Directory), Body::None).unwrap_err();
        assert!(refused.message.starts_with("cannot overwrite non-directory"), "{refused}");
        // What stands at the name itself is replaced.
        put.put(&file("file"), Body::None).unwrap();
        assert!(!fs::symlink_metadata(base.join("file")).unwrap().is_symlink());
        put.put(&file("/absolute/new"), Body::None).unwrap();
        assert!(base.join("absolute/new").exists());
        let refused = put.put(&file("absolute"), Body::None).unwrap_err();
        assert!(refused.message.starts_with("cannot overwrite directory"), "{refused}");
        put.finish().unwrap();
    }
    assert_eq!(fs::read(outer.path().join("victim")).unwrap(), b"safe");
    let mut names: Vec<_> =
        fs::read_dir(outer.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["root", "victim"]);
}

#[test]
fn deep_trees_are_refused() {
    let outer = tempfile::tempdir().unwrap();
    let mut deep = outer.path().join("from");
    for _ in 0..300 {
        deep.push("d");
    }
    fs::create_dir_all(&deep).unwrap();
    let to = outer.path().join("to");
    fs::create_dir(&to).unwrap();
    let mut put = put(&to, Links::Refuse, Owner::Kept);
    let start = Start { name: "t".into(), shown: "from".into() };
    let refused = walk(place(&outer.path().join("from")), &start, &mut put).unwrap_err();
    assert!(refused.message.contains("nested too deeply"), "{refused}");
}

#[test]
fn names_below() {
    for (name, expected) in [
        ("a/b", Some("a/b")),
        ("./a//b/", Some("a/b")),
        ("a/../b", Some("b")),
        ("/a", Some("a")),
        (".", Some("")),
        ("..", None),
        ("a/../..", None),
    ] {
        assert_eq!(below(Path::new(name)), expected.map(PathBuf::from), "{name}");
    }
}

#[test]
fn changes_of_an_upper_directory() {
    let outer = tempfile::tempdir().unwrap();
    let (old, new) = (outer.path().join("old"), outer.path().join("new"));
    for directory in ["same", "gone", "changed", "hidden"] {
        fs::create_dir_all(old.join(directory)).unwrap();
        fs::write(old.join(directory).join("f"), "1").unwrap();
    }
    for directory in ["same", "changed", "hidden", "added"] {
        fs::create_dir_all(new.join(directory)).unwrap();
    }
    rustix::fs::mknodat(CWD, new.join("gone"), FileType::CharacterDevice, Mode::empty(), 0).unwrap();
    rustix::fs::mknodat(CWD, new.join("never"), FileType::CharacterDevice, Mode::empty(), 0).unwrap();
    fs::write(new.join("changed/f"), "22").unwrap();
    fs::write(new.join("added/f"), "").unwrap();
    let opaque = rustix::fs::XattrFlags::empty();
    rustix::fs::setxattr(new.join("hidden"), c"user.overlay.opaque", b"y", opaque).unwrap();
    fs::write(new.join("hidden/g"), "").unwrap();
    let told = |compared: Compared| -> Vec<String> {
        let changes = compare(&place(&old), &place(&new), compared).unwrap();
        changes.iter().map(|change| format!("{:?} {}", change.kind, change.path.display())).collect()
    };
    assert_eq!(
        told(Compared::Upper),
        [
            "Added /added",
            "Added /added/f",
            "Changed /changed",
            "Changed /changed/f",
            "Deleted /gone",
            "Changed /hidden",
            "Deleted /hidden/f",
            "Added /hidden/g"
        ]
    );
    // Whole trees: what is missing is gone, and a whiteout is a device like others.
    assert!(told(Compared::Whole).contains(&"Deleted /same/f".to_owned()));
}
