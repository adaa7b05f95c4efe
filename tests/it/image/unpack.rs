//! Layers that wharfie unpacks by itself are what containerd would have made of them, whatever is in them.

use std::fs;

use crate::engine::TestEngine;
use crate::images::{Image, busybox_rootfs};
use crate::registry::Guard;

/// Three layers with everything that a tar can say; the middle one hides things of the lowest.
const LAYERS: &str = r#"
import io, os, sys, tarfile
def tar(path, entries, format=tarfile.PAX_FORMAT):
    with tarfile.open(path, 'w', format=format) as out:
        for name, kind, more in entries:
            info = tarfile.TarInfo(name)
            info.type = kind
            body = more.pop('body', b'')
            info.size = len(body)
            info.mtime = more.pop('mtime', 1000000000)
            info.mode = more.pop('mode', 0o755 if kind == tarfile.DIRTYPE else 0o644)
            for key, value in more.items():
                setattr(info, key, value)
            out.addfile(info, io.BytesIO(body))
D, F, S, L, C, B, P = (tarfile.DIRTYPE, tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE,
    tarfile.BLKTYPE, tarfile.FIFOTYPE)
capability = b'\1\0\0\2\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0'.decode('latin1')
where = sys.argv[1]
tar(where + '/0', [
    ('./', D, dict(mode=0o700)),
    ('etc/', D, dict(mode=0o1711, uid=7, gid=8, mtime=1111111111)),
    ('etc/kept', F, dict(body=b'kept', mode=0o4711, uid=3, gid=4)),
    ('etc/gone', F, dict(body=b'gone')),
    ('opaque/', D, {}),
    ('opaque/old', F, dict(body=b'old')),
    ('deep/er/est/', D, dict(mode=0o700, uid=9)),
    ('turns/', D, {}),
    ('turns/a', F, dict(body=b'a')),
    ('file', F, dict(body=b'was a file')),
    ('.wh.nothing', F, {}),
])
tar(where + '/1', [
    ('etc/.wh.gone', F, {}),
    ('opaque/', D, dict(mode=0o710)),
    ('opaque/.wh..wh..opq', F, {}),
    ('opaque/new', F, dict(body=b'new')),
    ('deep/er/est/file', F, dict(body=b'its directories have no entries')),
    ('turns', S, dict(linkname='etc')),
    ('file/', D, {}),
    ('file/in', F, dict(body=b'now a directory')),
    ('dev/', D, {}),
    ('dev/null', C, dict(devmajor=1, devminor=3, mode=0o666)),
    ('dev/disk', B, dict(devmajor=8, devminor=1, mode=0o660, gid=6)),
    ('dev/pipe', P, dict(mode=0o622)),
    ('n' * 180 + '/' + 'm' * 200, F, dict(body=b'long', mtime=1234567890.5)),
    ('big', F, dict(body=b'big' * 500000, uid=3000000, gid=4000000)),
    ('big2', L, dict(linkname='big')),
    ('absolute', L, dict(linkname='/big')),
    ('setgid/', D, dict(mode=0o2775, gid=50)),
    ('setgid/own', F, dict(body=b'x')),
    ('ping', F, dict(body=b'ping', pax_headers={
        'SCHILY.xattr.security.capability': capability, 'SCHILY.xattr.user.colour': 'blue',
        'SCHILY.xattr.trusted.overlay.redirect': '/etc'})),
    ('old', F, dict(body=b'before 1970', mtime=-100)),
    ('lnk', S, dict(linkname='/etc/kept', uid=1, gid=2)),
    ('twice', F, dict(body=b'one')),
    ('twice', F, dict(body=b'two')),
    ('caf\xe9', F, dict(body=b'x')),
])
tar(where + '/2', [
    ('opaque/new', F, dict(body=b'newer')),
    ('etc/kept', F, dict(body=b'changed', mode=0o600)),
    ('deep/er/.wh.est', F, {}),
], tarfile.GNU_FORMAT)
"#;

/// Everything that can be told of the files of an image, as its snapshot shows them.
const TELL: &str = r#"
import hashlib, os, stat, subprocess, sys
namespace = sys.argv[1]
root = os.getcwd() + '/look-' + namespace
os.mkdir(root)
def ctr(*words):
    return subprocess.run(['ctr', '-n', namespace, 'snapshots', *words], check=True, capture_output=True, text=True).stdout
rows = [line.split() for line in ctr('ls').splitlines()[1:]]
parents = {row[1] for row in rows if len(row) == 3}
[top] = [row[0] for row in rows if row[0] not in parents]
ctr('view', 'look', top)
subprocess.run(ctr('mounts', root, 'look'), shell=True, check=True)
for directory, names, files in sorted(os.walk(root)):
    for name in sorted(['.'] + names + files):
        if name == '.' and directory != root:
            continue
        path = os.path.join(directory, name)
        s = os.lstat(path)
        xattrs = {k: os.getxattr(path, k, follow_symlinks=False) for k in sorted(os.listxattr(path, follow_symlinks=False))}
        content = ''
        if stat.S_ISREG(s.st_mode):
            content = hashlib.sha256(open(path, 'rb').read()).hexdigest()[:12], s.st_size, s.st_nlink
        elif stat.S_ISLNK(s.st_mode):
            content = os.readlink(path)
        # containerd gives directories without an entry the time of unpacking.
        time = 0 if stat.S_ISDIR(s.st_mode) else s.st_mtime_ns
        print(os.path.relpath(path, root), oct(s.st_mode), s.st_uid, s.st_gid, s.st_rdev, time, xattrs, content)
subprocess.run(['umount', root], check=True)
"#;

#[track_caller]
fn archive(engine: &TestEngine, name: &str, layers: &[Vec<u8>]) {
    let image = Image::new(layers.iter().cloned());
    fs::write(engine.directory().join("home/image.tar"), image.oci_archive(name)).expect("write an archive");
}

#[track_caller]
fn odd_layers(engine: &TestEngine) -> Vec<Vec<u8>> {
    let place = engine.directory().join("home/layers");
    fs::create_dir(&place).expect("make a directory");
    fs::write(engine.directory().join("home/layers.py"), LAYERS).expect("write a script");
    engine.sh(&format!("python3 layers.py {}", place.display()));
    (0..3).map(|number| fs::read(place.join(number.to_string())).expect("read a layer")).collect()
}

/// What the image is in a namespace, as seen through its snapshot.
#[track_caller]
fn tree(engine: &TestEngine, namespace: &str) -> String {
    fs::write(engine.directory().join("home/tell.py"), TELL).expect("write a script");
    engine.sh(&format!("python3 tell.py {namespace}"))
}

#[test]
fn every_entry_is_unpacked_as_containerd_does() {
    let engine = TestEngine::new();
    archive(&engine, "docker.io/library/odd:latest", &odd_layers(&engine));
    engine.ctr(["-n", "theirs", "images", "import", "image.tar"]).ok();
    engine.wharfie(["-n", "ours", "load", "-i", "image.tar"]).ok();
    let (theirs, ours) = (tree(&engine, "theirs"), tree(&engine, "ours"));
    assert!(theirs.contains("opaque/new") && theirs.contains("user.colour"), "{theirs}");
    for (theirs, ours) in theirs.lines().zip(ours.lines()) {
        assert_eq!(ours, theirs);
    }
    assert_eq!(ours.lines().count(), theirs.lines().count());
}

#[test]
fn layers_are_unpacked_without_containerds_differ() {
    let engine = TestEngine::with_config("disabled_plugins = [\"io.containerd.differ.v1.walking\"]\n");
    let registry = engine.registry(Guard::Plain);
    let layers = [fs::read(busybox_rootfs()).expect("read a tar")].into_iter().chain(odd_layers(&engine));
    registry.put("odd", "1", &Image::new(layers));
    let name = format!("{}/odd:1", registry.host);
    engine.wharfie(["pull", &name]).ok();
    engine.wharfie(["rmi", &name]).ok();
    engine.assert_clean();
}
