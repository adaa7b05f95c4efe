//! Layers that wharfie unpacks by itself are what containerd would have made of them, whatever is in them.

use std::fs;

use crate::engine::TestEngine;
use crate::images::{Entry, Image, Packing, busybox_rootfs, hostile_tar};
use crate::registry::Guard;

/// Layers with everything that a tar can say; each hides things of those below.
const LAYERS: &str = r#"
import io, os, subprocess, sys, tarfile
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
    ('link-to-a-directory', S, dict(linkname='etc')),
    ('becomes-a-file/', D, {}),
    ('becomes-a-file/in', F, dict(body=b'hidden')),
    ('becomes-a-fifo', F, dict(body=b'hidden')),
    ('first', F, dict(body=b'one file', uid=5)),
    ('second', L, dict(linkname='first', uid=5)),
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
    ('link-to-a-directory/', D, dict(mode=0o710)),
    ('link-to-a-directory/in', F, dict(body=b'of its own')),
    ('becomes-a-file', F, dict(body=b'a file')),
    ('becomes-a-fifo', P, dict(mode=0o600)),
    # One name of two is changed: the other one stays as it is below.
    ('second', F, dict(body=b'another', uid=6)),
    ('coloured/', D, dict(pax_headers={'SCHILY.xattr.user.colour': 'red', 'SCHILY.xattr.trusted.x': 'y'})),
    ('/rooted/name', F, dict(body=b'below the root all the same')),
    ('./here/./and/../there', F, dict(body=b'a winding name')),
    ('nanoseconds', F, dict(body=b'x', mtime=1234567890.123456789)),
    ('shortly before 1970', F, dict(body=b'x', mtime=-0.5)),
    ('far away', F, dict(body=b'x', mtime=10 ** 11)),
    ('was/a/directory', F, dict(body=b'x')),
    ('was/a', F, dict(body=b'now a file')),
    ('was/b', S, dict(linkname='nowhere')),
    ('was/b', F, dict(body=b'not through the link')),
    ('was/c', P, {}),
    ('was/c/', D, {}),
    ('was/c/d', F, dict(body=b'deeper')),
    ('was/d', L, dict(linkname='was/c/d')),
    ('was/c/d', F, dict(body=b'no longer the same')),
    ('suid', F, dict(body=b's', mode=0o6755, uid=70000, gid=80000)),
    ('sticky/', D, dict(mode=0o1777)),
    ('empty', F, {}),
    ('dangling', S, dict(linkname='../../../../nowhere')),
    ('link-of-a-link', L, dict(linkname='dangling')),
    ('attributed link', S, dict(linkname='ping', pax_headers={'SCHILY.xattr.security.colour': 'green'})),
    ('attributed pipe', P, dict(pax_headers={'SCHILY.xattr.security.colour': 'green'})),
    ('attributed device', C, dict(devmajor=1, devminor=3, pax_headers={'SCHILY.xattr.security.colour': 'green'})),
])
tar(where + '/2', [
    ('opaque/new', F, dict(body=b'newer')),
    ('etc/kept', F, dict(body=b'changed', mode=0o600)),
    ('deep/er/.wh.est', F, {}),
    ('g' * 150 + '/' + 'h' * 150, F, dict(body=b'long', uid=3000000, gid=4000000)),
    ('long link', S, dict(linkname='l' * 300)),
    ('long hard link', L, dict(linkname='g' * 150 + '/' + 'h' * 150, uid=3000000, gid=4000000)),
    ('caf\udcff', F, dict(body=b'no UTF-8')),
    ('before 1970', F, dict(body=b'x', mtime=-100)),
], tarfile.GNU_FORMAT)
# What follows the end of an archive is hashed and means nothing.
with open(where + '/2', 'ab') as out:
    out.write(b'junk' * 5000)
"#;

const LAYERS_IN_ALL: u32 = 3;

/// Sparse files in the forms of GNU tar that containerd reads.
const SPARSE: &str = r#"
mkdir sparse; cd sparse
printf begin > holes; truncate -s 300000 holes; printf middle >> holes; truncate -s 900000 holes
truncate -s 70000 nothing
chown 7:8 holes; chmod 640 holes; touch -d @1000000000 holes nothing
for version in 0.0 0.1 1.0; do
    tar --sparse --format=posix --sparse-version=$version --transform "s/^/$version-/" -cf ../$version holes nothing
done
"#;

/// Everything that can be told of the files of an image, as its snapshot shows them.
const TELL: &str = r#"
import hashlib, os, stat, subprocess, sys
namespace = sys.argv[1]
root = os.getcwd() + '/look-' + namespace
os.makedirs(root, exist_ok=True)
def ctr(*words):
    return subprocess.run(['ctr', '-n', namespace, 'snapshots', *words], check=True, capture_output=True, text=True).stdout
rows = [line.split() for line in ctr('ls').splitlines()[1:]]
parents = {row[1] for row in rows if len(row) == 3}
[top] = [row[0] for row in rows if row[0] not in parents]
def held():
    return subprocess.run(['ctr', '-n', namespace, 'snapshots', 'label', 'look', 'containerd.io/gc.root=test'],
                          capture_output=True).returncode == 0
# Between the two, containerd's collector takes a view that nobody holds, and it runs when it likes.
ctr('view', 'look', top)
while not held():
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
        print(repr(os.path.relpath(path, root)), oct(s.st_mode), s.st_uid, s.st_gid, s.st_rdev, time, xattrs, content)
subprocess.run(['umount', root], check=True)
ctr('rm', 'look')
"#;

#[track_caller]
fn odd_layers(engine: &TestEngine) -> Vec<Vec<u8>> {
    let place = engine.directory().join("home/layers");
    fs::create_dir(&place).expect("make a directory");
    fs::write(engine.directory().join("home/layers.py"), LAYERS).expect("write a script");
    engine.sh(&format!("python3 layers.py {}", place.display()));
    (0..LAYERS_IN_ALL).map(|number| fs::read(place.join(number.to_string())).expect("read a layer")).collect()
}

/// What the image is in a namespace, as seen through its snapshot.
#[track_caller]
fn tree(engine: &TestEngine, namespace: &str) -> String {
    fs::write(engine.directory().join("home/tell.py"), TELL).expect("write a script");
    engine.sh(&format!("python3 tell.py {namespace}"))
}

/// containerd and wharfie make the same files of an image: what they are.
#[track_caller]
fn is_the_same_for_both(engine: &TestEngine, image: &Image) -> String {
    let name = "docker.io/library/odd:latest";
    fs::write(engine.directory().join("home/image.tar"), image.oci_archive(name)).expect("write an archive");
    engine.ctr(["-n", "theirs", "images", "import", "image.tar"]).ok();
    engine.wharfie(["-n", "ours", "load", "-i", "image.tar"]).ok();
    let (theirs, ours) = (tree(engine, "theirs"), tree(engine, "ours"));
    for (theirs, ours) in theirs.lines().zip(ours.lines()) {
        assert_eq!(ours, theirs);
    }
    assert_eq!(ours.lines().count(), theirs.lines().count());
    ours
}

#[test]
fn every_entry_is_unpacked_as_containerd_does() {
    let engine = TestEngine::new();
    let ours = is_the_same_for_both(&engine, &Image::new(odd_layers(&engine)));
    assert!(ours.contains("opaque/new") && ours.contains("user.colour"), "{ours}");
    assert_eq!(ours.matches("'security.colour': b'green'").count(), 3, "{ours}");
}

/// Neither containerd nor wharfie makes anything of an image with this layer on busybox's: what wharfie says.
#[track_caller]
fn is_refused_by_both(engine: &TestEngine, layer: Vec<u8>) -> String {
    let image = Image::new([fs::read(busybox_rootfs()).expect("read a tar"), layer]);
    let name = "docker.io/library/odd:latest";
    fs::write(engine.directory().join("home/image.tar"), image.oci_archive(name)).expect("write an archive");
    let theirs = engine.ctr(["-n", "theirs", "images", "import", "image.tar"]);
    theirs.fails(1);
    engine.ctr(["-n", "theirs", "images", "rm", "--sync", name]);
    let ours = engine.wharfie(["-n", "ours", "load", "-i", "image.tar"]);
    ours.fails(1).to_owned()
}

#[test]
fn what_containerd_refuses_is_no_image_either() {
    let engine = TestEngine::new();
    engine.accept();
    // A file of the layer below, which is not in the directory that a layer is written into.
    let lower = hostile_tar(&[Entry::Hardlink("link", "bin/busybox")]);
    let told = is_refused_by_both(&engine, lower);
    assert!(told.contains("no such file or directory"), "{told}");
    // GNU tar's own form of sparse files; the others are above.
    engine.sh(SPARSE);
    engine.sh("cd sparse; tar --sparse --format=gnu -cf ../gnu holes nothing");
    let gnu = fs::read(engine.directory().join("home/gnu")).expect("read a layer");
    let told = is_refused_by_both(&engine, gnu);
    assert!(told.contains("unhandled tar header type 83"), "{told}");
    // xz is no compression of layers.
    engine.sh("cd sparse; tar -cJf ../xz nothing");
    let xz = fs::read(engine.directory().join("home/xz")).expect("read a layer");
    is_refused_by_both(&engine, xz);
    engine.assert_clean();
}

#[test]
fn sparse_files_are_unpacked_as_containerd_does() {
    let engine = TestEngine::new();
    engine.sh(SPARSE);
    let read = |name: &str| fs::read(engine.directory().join("home").join(name)).expect("read a layer");
    let ours = is_the_same_for_both(&engine, &Image::new(["0.0", "0.1", "1.0"].map(read)));
    assert!(ours.contains("0.1-holes") && ours.contains("900000, 1)"), "{ours}");
}

/// Two frames, with one to be skipped before, between and after them.
fn zstd(tar: &[u8]) -> Vec<u8> {
    const SKIPPED: &[u8] = b"\x53\x2a\x4d\x18\x05\0\0\0hello";
    let (first, second) = tar.split_at(tar.len() / 2);
    let frame = |bytes| zstd::encode_all(bytes, 3).expect("compress");
    [SKIPPED, &frame(first), SKIPPED, &frame(second), SKIPPED].concat()
}

/// One that wants to look back 128 MB.
fn wide_zstd(tar: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).expect("begin to compress");
    encoder.window_log(27).and_then(|()| encoder.long_distance_matching(true)).expect("set the window");
    std::io::Write::write_all(&mut encoder, tar).expect("compress");
    encoder.finish().expect("compress")
}

/// Two members.
fn gzip(tar: &[u8]) -> Vec<u8> {
    let (first, second) = tar.split_at(tar.len() / 3);
    let member = |bytes: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut encoder, bytes).expect("compress");
        encoder.finish().expect("compress")
    };
    [member(first), member(second)].concat()
}

#[test]
fn compressed_layers_are_unpacked_as_containerd_does() {
    let engine = TestEngine::new();
    let layers = odd_layers(&engine);
    engine.accept();
    let mut all = Vec::new();
    for packing in [("+zstd", zstd as fn(&[u8]) -> Vec<u8>), ("+gzip", gzip)] {
        let image = Image { packing: Some(packing), ..Image::new(layers.clone()) };
        all.push(is_the_same_for_both(&engine, &image));
        engine.ctr(["-n", "theirs", "images", "rm", "--sync", "docker.io/library/odd:latest"]).ok();
        engine.wharfie(["-n", "ours", "rmi", "odd"]).ok();
    }
    assert_eq!(all[0], all[1]);
    engine.assert_clean();
}

#[test]
fn layers_are_unpacked_without_containerds_differ() {
    let engine = TestEngine::with_config("disabled_plugins = [\"io.containerd.differ.v1.walking\"]\n");
    let registry = engine.registry(Guard::Plain);
    let layers: Vec<_> =
        [fs::read(busybox_rootfs()).expect("read a tar")].into_iter().chain(odd_layers(&engine)).collect();
    let packings: [Option<Packing>; 3] = [None, Some(("+gzip", gzip)), Some(("+zstd", zstd))];
    for (number, packing) in packings.into_iter().enumerate() {
        let tag = number.to_string();
        registry.put("odd", &tag, &Image { packing, ..Image::new(layers.clone()) });
        let name = format!("{}/odd:{tag}", registry.host);
        engine.wharfie(["pull", &name]).ok();
        engine.wharfie(["rmi", &name]).ok();
    }
    // One that takes much memory is left to it: without it there is none.
    registry.put("odd", "wide", &Image { packing: Some(("+zstd", wide_zstd)), ..Image::new(layers) });
    let name = format!("{}/odd:wide", registry.host);
    assert!(engine.wharfie(["pull", &name]).fails(1).contains("failed to extract layer"));
    engine.assert_clean();
}

#[test]
fn a_zstd_that_takes_much_memory_is_left_to_containerd() {
    let engine = TestEngine::new();
    let layers = [fs::read(busybox_rootfs()).expect("read a tar")];
    is_the_same_for_both(&engine, &Image { packing: Some(("+zstd", wide_zstd)), ..Image::new(layers) });
}
