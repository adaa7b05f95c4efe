//! `volume export` and `volume import`.

use std::fs;

use super::{engine, remove_all, store};
use crate::container::{BUSYBOX, inside, sleeper};
use crate::images::{Entry, hostile_tar};

#[test]
fn a_volume_comes_back_as_it_was() {
    let engine = engine();
    engine.wharfie(["volume", "create", "from"]).ok();
    let at = format!("{}/from/_data", store(&engine));
    engine.sh(&format!(
        "cd {at}; mkdir -p d/e; echo x > f; ln f d/twin; ln -s /nowhere l; mkfifo pipe; chown 5:6 f d .; chmod 4711 f; chmod 1700 .
         python3 -c \"import os; os.setxattr('f', 'user.note', b'kept'); os.setxattr('d', 'user.dir', b'too')\"
         truncate -s 30M holes; printf end >> holes; touch -d '2001-02-03 04:05:06.123456789' f d"
    ));
    let look = |volume: &str| {
        engine.sh(&format!(
            "cd {}/{volume}/_data; find . -printf '%P %y %m %U:%G %s %n %l\\n' | sort; stat -c '%y' f d
             python3 -c \"import os; print(os.getxattr('f', 'user.note'), os.getxattr('d', 'user.dir'))\"
             test $(du -k holes | cut -f1) -lt 1000; sha256sum holes | cut -c1-8",
            store(&engine)
        ))
    };
    engine.wharfie(["volume", "export", "-o", "plain.tar", "from"]).ok();
    engine.sh("wharfie volume export from | gzip > packed.tar.gz; wharfie volume export -o - from | cmp - plain.tar");
    for (volume, line) in [
        ("plain", "wharfie volume import plain plain.tar"),
        ("packed", "wharfie volume import packed packed.tar.gz"),
        ("piped", "cat plain.tar | wharfie volume import piped -"),
        ("input", "wharfie volume import input < packed.tar.gz"),
    ] {
        engine.wharfie(["volume", "create", volume]).ok();
        engine.sh(line);
        assert_eq!(look(volume), look("from"), "{volume}");
    }
    // tar reads what was written.
    assert!(engine.sh("tar -tvf plain.tar").contains("link to d/twin"));
    // A file that is there already, and the terminal, are as with export.
    let nowhere = engine.wharfie(["volume", "export", "-o", "/no/such/x.tar", "from"]);
    assert!(nowhere.fails(1).contains("failed to export volume: invalid output path"), "{nowhere:?}");
    remove_all(&engine);
}

#[test]
fn an_import_is_merged_while_containers_look() {
    let engine = engine();
    sleeper(&engine, &["--name", "box", "-v", "data:/d"]);
    inside(
        &engine,
        "box",
        "mkdir /d/both; echo old > /d/both/f; echo kept > /d/both/k; chown 7:8 /d; chmod 711 /d",
    );
    engine
        .sh("mkdir -p t/both t/new; echo new > t/both/f; echo n > t/new/n; tar -C t -cf files.tar both new");
    engine.wharfie(["volume", "import", "data", "files.tar"]).ok();
    assert_eq!(
        inside(&engine, "box", "cat /d/both/f /d/both/k /d/new/n; stat -c '%a %u:%g' /d; ls -A /d"),
        "new\nkept\nn\n711 7:8\nboth\nnew"
    );
    // A directory where a file is changes nothing at all.
    engine.sh("mkdir -p u/both/f; echo z > u/a; tar -C u -cf odd.tar a both");
    let refused = engine.wharfie(["volume", "import", "data", "odd.tar"]);
    assert!(
        refused.fails(1).contains("import data: both/f is a directory on one side and none on the other"),
        "{refused:?}"
    );
    assert_eq!(inside(&engine, "box", "ls -A /d"), "both\nnew");
    engine.wharfie(["rm", "-f", "box"]).ok();
    // Into what is mounted from elsewhere, likewise; memory holds nothing without a container.
    let source = engine.directory().join("source");
    fs::create_dir(&source).unwrap();
    let device = format!("device={}", source.display());
    engine.wharfie(["volume", "create", "-o", "type=none", "-o", &device, "-o", "o=bind", "here"]).ok();
    engine.wharfie(["volume", "import", "here", "files.tar"]).ok();
    assert_eq!(fs::read_to_string(source.join("both/f")).unwrap(), "new\n");
    assert_eq!(fs::read_dir(&source).unwrap().count(), 2);
    let listed = engine.sh("wharfie volume export here | tar -tf - | sort");
    assert_eq!(listed, "./\nboth/\nboth/f\nnew/\nnew/n");
    engine.wharfie(["volume", "create", "-o", "type=tmpfs", "-o", "device=tmpfs", "memory"]).ok();
    assert!(
        engine
            .wharfie(["volume", "import", "memory", "files.tar"])
            .fails(1)
            .contains("volume memory is in memory")
    );
    remove_all(&engine);
}

#[test]
fn hostile_archives_change_nothing_in_or_out_of_the_volume() {
    let engine = engine();
    let outside = engine.directory().join("outside");
    fs::create_dir(&outside).unwrap();
    engine.wharfie(["volume", "create", "data"]).ok();
    engine.sh(&format!("echo mine > {}/data/_data/mine", store(&engine)));
    let target = outside.display().to_string();
    let through = format!("{target}/x");
    for (name, entries) in [
        ("above", vec![Entry::File("mine", b"no"), Entry::File("../../../../x", b"no")]),
        ("link", vec![Entry::File("mine", b"no"), Entry::Symlink("l", &target), Entry::File("l/x", b"no")]),
        ("hard", vec![Entry::File("mine", b"no"), Entry::Hardlink("h", "/etc/passwd")]),
        ("up", vec![Entry::File("mine", b"no"), Entry::Hardlink("h", "../../volume.json")]),
        (
            "by link",
            vec![Entry::File("mine", b"no"), Entry::Symlink("l", &through), Entry::Hardlink("h", "l/y")],
        ),
    ] {
        let output = engine.call(["volume", "import", "data"]).stdin(hostile_tar(&entries)).run();
        assert!(output.code == 1, "{name}: {output:?}");
        let left = engine.sh(&format!("cd {}/data; cat _data/mine; ls -A . _data", store(&engine)));
        assert_eq!(left, "mine\n.:\n_data\nvolume.json\n\n_data:\nmine", "{name}");
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 0, "{name}");
    }
    // One that is cut, or no archive at all.
    let whole = hostile_tar(&[Entry::File("mine", b"no"), Entry::File("big", &[7; 5000])]);
    for bytes in [&whole[..3000], &[9; 2000][..]] {
        assert_eq!(engine.call(["volume", "import", "data"]).stdin(bytes).run().code, 1);
        assert_eq!(
            engine.sh(&format!("cd {}/data; cat _data/mine; ls -A", store(&engine))),
            "mine\n_data\nvolume.json"
        );
    }
    // Devices are left out, and told.
    engine.sh("mknod null c 1 3; echo f > f; tar -cf device.tar null f");
    let output = engine.wharfie(["volume", "import", "data", "device.tar"]);
    assert!(output.ok().is_empty() && output.stderr.contains("left out: /null"), "{output:?}");
    assert_eq!(engine.sh(&format!("ls {}/data/_data", store(&engine))), "f\nmine");
    remove_all(&engine);
}

#[test]
fn a_full_disk_leaves_what_was_there() {
    let engine = engine();
    engine.wharfie(["volume", "create", "data"]).ok();
    engine.sh(&format!("cp -a {0} copy; mount -t tmpfs -o size=4m tmpfs {0}; cp -a copy/. {0}; echo mine > {0}/data/_data/mine", store(&engine)));
    engine
        .sh("mkdir t; echo no > t/mine; head -c 8000000 /dev/urandom > t/big; tar -C t -cf big.tar mine big");
    let output = engine.wharfie(["volume", "import", "data", "big.tar"]);
    assert!(output.fails(1).contains("no space left on device"), "{output:?}");
    assert_eq!(
        engine.sh(&format!("cd {}/data; cat _data/mine; ls -A . _data", store(&engine))),
        "mine\n.:\n_data\nvolume.json\n\n_data:\nmine"
    );
    // A new one that cannot be filled from its image is not there.
    engine
        .wharfie([
            "run",
            "--name",
            "maker",
            BUSYBOX,
            "sh",
            "-c",
            "mkdir /big; head -c 8000000 /dev/zero > /big/f",
        ])
        .ok();
    engine.wharfie(["commit", "maker", "big"]).ok();
    engine.wharfie(["rm", "maker"]).ok();
    let output = engine.wharfie(["run", "--rm", "-v", "new:/big", "big", "true"]);
    assert!(output.fails(125).contains("no space left on device"), "{output:?}");
    assert_eq!(super::names(&engine), "data");
    assert_eq!(engine.sh(&format!("ls -A {}", store(&engine))), "data");
    engine.sh(&format!("umount {}", store(&engine)));
    remove_all(&engine);
}
