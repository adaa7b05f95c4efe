//! Layers of any entries: what is made of them stays in its directory, and is what another reader finds in the tar.

use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::*;

fn settings() -> ProptestConfig {
    // The same cases every time: a failure must not depend on the day.
    ProptestConfig {
        cases: 250,
        rng_seed: RngSeed::Fixed(1),
        failure_persistence: None,
        ..Default::default()
    }
}

/// An entry as it is written, whatever its name and link say.
#[derive(Debug, Clone)]
struct Raw {
    kind: u8,
    name: String,
    link: String,
    body: Vec<u8>,
}

/// A header with the sum of its bytes; long names have an entry before it, as GNU tar writes them.
fn write(tar: &mut Vec<u8>, Raw { kind, name, link, body }: &Raw) {
    for (kind, text) in [(b'L', name), (b'K', link)] {
        if text.len() > 100 {
            let body = [text.as_bytes(), b"\0"].concat();
            write(tar, &Raw { kind, name: "././@LongLink".into(), link: String::new(), body });
        }
    }
    let mut header = tar::Header::new_gnu();
    let fields = header.as_gnu_mut().unwrap();
    for (field, text) in [(&mut fields.name, name), (&mut fields.linkname, link)] {
        let length = text.len().min(field.len());
        field[..length].copy_from_slice(&text.as_bytes()[..length]);
    }
    header.set_entry_type(tar::EntryType::new(*kind));
    header.set_mode(0o755);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(1_000_000_000);
    header.set_size(body.len() as u64);
    header.set_cksum();
    tar.extend_from_slice(header.as_bytes());
    tar.extend_from_slice(body);
    tar.resize(tar.len().next_multiple_of(512), 0);
}

fn tar_of(entries: &[Raw]) -> Vec<u8> {
    let mut tar = Vec::new();
    entries.iter().for_each(|entry| write(&mut tar, entry));
    tar.resize(tar.len() + 1024, 0);
    tar
}

/// Few names, so that they meet; `@` stands for a directory outside.
fn name() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        8 => "[abc]".boxed(),
        2 => Just("secret".to_owned()).boxed(),
        2 => Just("..".to_owned()).boxed(),
        1 => Just(".".to_owned()).boxed(),
        1 => Just(String::new()).boxed(),
        1 => Just(".wh.a".to_owned()).boxed(),
        1 => Just(".wh..wh..opq".to_owned()).boxed(),
        1 => Just("n".repeat(130)).boxed(),
    ];
    let path = proptest::collection::vec(part, 0..5).prop_map(|parts| parts.join("/"));
    prop_oneof![6 => path, 1 => "@(/[abc])?", 1 => Just("../outside/secret".to_owned())]
}

fn entry() -> impl Strategy<Value = Raw> {
    let kind =
        prop_oneof![4 => Just(b'0'), 3 => Just(b'5'), 4 => Just(b'2'), 3 => Just(b'1'), 1 => Just(b'6')];
    let link = prop_oneof![3 => name(), 1 => "@(/secret)?"];
    (kind, name(), link, proptest::collection::vec(any::<u8>(), 0..700)).prop_map(
        |(kind, name, link, body)| {
            let body = if kind == b'0' { body } else { Vec::new() };
            let link = if matches!(kind, b'1' | b'2') { link } else { String::new() };
            Raw { kind, name, link, body }
        },
    )
}

/// Files with their contents, directories with None, by their names.
fn found(root: &Path) -> BTreeMap<String, Option<Vec<u8>>> {
    let mut found = BTreeMap::new();
    let mut pending = vec![root.to_path_buf()];
    while let Some(directory) = pending.pop() {
        for entry in std::fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            let kind = std::fs::symlink_metadata(&path).unwrap().file_type();
            if kind.is_dir() {
                pending.push(path.clone());
            }
            found.insert(name, kind.is_file().then(|| std::fs::read(&path).unwrap()));
        }
    }
    found
}

proptest! {
    #![proptest_config(settings())]

    #[test]
    fn nothing_lands_outside(entries in proptest::collection::vec(entry(), 1..12), lowest in any::<bool>()) {
        let place = tempfile::tempdir().unwrap();
        let outside = place.path().join("outside");
        for directory in ["root", "outside"] {
            std::fs::create_dir(place.path().join(directory)).unwrap();
        }
        std::fs::write(outside.join("secret"), "kept").unwrap();
        let here = |text: &str| text.replace('@', &outside.display().to_string());
        let entries: Vec<Raw> =
            entries.into_iter().map(|raw| Raw { name: here(&raw.name), link: here(&raw.link), ..raw }).collect();
        let tree = LayerTree::new(&place.path().join("root"), lowest).unwrap();
        // Whether it is taken or refused.
        let _ = apply_layer(tar_of(&entries).as_slice(), tree);
        let names = |path: &Path| {
            let mut names: Vec<_> = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            names.sort();
            names
        };
        prop_assert_eq!(names(place.path()), ["outside", "root"]);
        prop_assert_eq!(names(&outside), ["secret"]);
        prop_assert_eq!(std::fs::read(outside.join("secret")).unwrap(), b"kept");
        let links = std::os::unix::fs::MetadataExt::nlink(&outside.join("secret").metadata().unwrap());
        prop_assert_eq!(links, 1);
    }

    #[test]
    fn entries_are_what_another_reader_finds(entries in proptest::collection::vec(entry(), 0..12)) {
        let tar = tar_of(&entries);
        let mut theirs = Vec::new();
        for entry in tar::Archive::new(tar.as_slice()).entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut body = Vec::new();
            io::Read::read_to_end(&mut entry, &mut body).unwrap();
            let link = entry.link_name_bytes().unwrap_or_default().into_owned();
            theirs.push((entry.path_bytes().into_owned(), entry.header().entry_type(), link, body));
        }
        let mut ours = Vec::new();
        let mut reader = Entries::new(tar.as_slice());
        while let Some(entry) = reader.next().unwrap() {
            let mut body = vec![0; usize::try_from(entry.size).unwrap()];
            let mut filled = 0;
            while filled < body.len() {
                filled += reader.read(&mut body[filled..]).unwrap();
            }
            ours.push((entry.attributes.name, entry.kind, entry.attributes.link, body));
        }
        prop_assert_eq!(ours, theirs);
    }

    #[test]
    fn files_are_what_another_reader_finds(
        entries in proptest::collection::vec(("[abc](/[abc]){0,3}", any::<Option<[u8; 3]>>()), 0..12),
    ) {
        let raw: Vec<Raw> = entries
            .into_iter()
            .map(|(name, body)| Raw {
                kind: if body.is_some() { b'0' } else { b'5' },
                name,
                link: String::new(),
                body: body.map_or_else(Vec::new, |body| body.to_vec()),
            })
            .collect();
        let tar = tar_of(&raw);
        let place = tempfile::tempdir().unwrap();
        let tree = LayerTree::new(place.path(), true).unwrap();
        let applied = apply_layer(tar.as_slice(), tree).unwrap().unwrap();
        prop_assert_eq!(applied.diff_id, crate::image::digest::sha256(&tar));
        let mut expected: BTreeMap<String, Option<Vec<u8>>> = BTreeMap::new();
        for entry in tar::Archive::new(tar.as_slice()).entries().unwrap() {
            let mut entry = entry.unwrap();
            let name = entry.path().unwrap().to_str().unwrap().to_owned();
            // What is above an entry is a directory, whatever it was.
            for (at, _) in name.match_indices('/') {
                expected.insert(name[..at].to_owned(), None);
            }
            let is_directory = entry.header().entry_type().is_dir();
            let mut body = Vec::new();
            io::Read::read_to_end(&mut entry, &mut body).unwrap();
            if !is_directory {
                expected.retain(|known, _| !known.starts_with(&format!("{name}/")));
            }
            expected.insert(name, (!is_directory).then_some(body));
        }
        prop_assert_eq!(found(place.path()), expected);
    }

    #[test]
    fn damage_is_no_panic(
        entries in proptest::collection::vec(entry(), 1..6),
        hits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut tar = tar_of(&entries);
        for (at, byte) in hits {
            let at = at.index(tar.len());
            tar[at] = byte;
        }
        tar.truncate(cut.index(tar.len()) + 1);
        let place = tempfile::tempdir().unwrap();
        std::fs::create_dir(place.path().join("root")).unwrap();
        let tree = LayerTree::new(&place.path().join("root"), false).unwrap();
        let _ = apply_layer(tar.as_slice(), tree);
        prop_assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 1);
    }
}
