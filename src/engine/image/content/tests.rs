//! Manifests, indexes and configurations of any form: read as what they are, refused, and never a panic.

use oci_spec::image::Digest;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use serde_json::{Value, json};

use super::*;
use crate::image::digest::sha256;
use crate::image::platform::Platform;

const KINDS: [&str; 4] = [media::OCI_MANIFEST, media::DOCKER_MANIFEST, media::OCI_INDEX, media::DOCKER_INDEX];

fn settings() -> ProptestConfig {
    // The same cases every time: a failure must not depend on the day.
    ProptestConfig {
        cases: 300,
        rng_seed: RngSeed::Fixed(1),
        failure_persistence: None,
        ..Default::default()
    }
}

fn digest_of(number: u64) -> Digest {
    sha256(&number.to_le_bytes())
}

fn entry(kind: &str, number: u64, size: u64) -> Value {
    json!({ "mediaType": kind, "digest": digest_of(number).to_string(), "size": size })
}

fn manifest(layers: &[(u64, u64)]) -> Value {
    let layers: Vec<Value> =
        layers.iter().map(|(number, size)| entry(media::OCI_LAYER_GZIP, *number, *size)).collect();
    json!({
        "schemaVersion": 2, "mediaType": media::OCI_MANIFEST,
        "config": entry(media::OCI_CONFIG, 1, 2), "layers": layers,
    })
}

fn index(manifests: &[(u64, u64)]) -> Value {
    let manifests = manifests.iter().map(|(number, size)| {
        let mut entry = entry(media::OCI_MANIFEST, *number, *size);
        entry["platform"] = json!({ "os": "linux", "architecture": "amd64" });
        entry
    });
    let manifests: Vec<Value> = manifests.collect();
    json!({ "schemaVersion": 2, "mediaType": media::OCI_INDEX, "manifests": manifests })
}

fn described(kind: &str) -> Descriptor {
    Descriptor::new(kind.into(), 1, digest_of(0))
}

/// Whatever a pull does with what it has read.
fn used(bytes: &[u8]) {
    for kind in KINDS {
        match parse_target(&described(kind), bytes) {
            Ok(Target::Index(index)) => {
                assert_eq!(media::index_labels(&index).len(), index.manifests().len());
                let _ = Platform::host().pick(index.manifests());
                for entry in index.manifests() {
                    let _ = (media::is_attestation(entry), media::attested(entry), Platform::of(entry));
                }
            }
            Ok(Target::Manifest(manifest)) => {
                assert_eq!(media::manifest_labels(&manifest).len(), manifest.layers().len() + 1);
            }
            Err(error) => assert!(error.message.contains("damaged"), "{error:?}"),
        }
    }
    let _ = media::sniff(bytes);
    if let Ok(config) = parse::<ImageConfiguration>(bytes, "x") {
        let manifest: ImageManifest = serde_json::from_value(manifest(&[(1, 1)])).expect("a manifest");
        let _ = check(&manifest, &config);
    }
}

/// Any JSON that is not too deep.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[ -~]{0,12}".prop_map(Value::from),
        Just(json!("sha256:")),
        Just(json!("sha512:00")),
        Just(json!(digest_of(3).to_string())),
    ];
    leaf.prop_recursive(3, 20, 5, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::hash_map("[a-z]{1,8}", inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Every place in a document.
fn places(value: &Value, at: &str, into: &mut Vec<String>) {
    into.push(at.to_owned());
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| {
            places(value, &format!("{at}/{}", key.replace('/', "~1")), into);
        }),
        Value::Array(list) => {
            list.iter().enumerate().for_each(|(n, value)| places(value, &format!("{at}/{n}"), into));
        }
        _ => {}
    }
}

fn configuration() -> Value {
    json!({
        "created": "2020-01-02T03:04:05Z", "architecture": "amd64", "os": "linux",
        "config": { "Env": ["A=b"], "Cmd": ["sh"], "Labels": { "a": "b" }, "ExposedPorts": { "80/tcp": {} } },
        "rootfs": { "type": "layers", "diff_ids": [digest_of(1).to_string()] },
        "history": [{ "created_by": "x", "empty_layer": true }],
    })
}

proptest! {
    #![proptest_config(settings())]

    #[test]
    fn no_bytes_make_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), value in any_json()) {
        used(&bytes);
        used(value.to_string().as_bytes());
    }

    #[test]
    fn no_change_of_a_member_makes_a_panic(
        which in 0..3_usize, at in any::<prop::sample::Index>(), other in any_json(), is_removed in any::<bool>(),
    ) {
        let mut value = [manifest(&[(1, 10), (2, 20)]), index(&[(3, 30), (4, 40)]), configuration()][which].clone();
        let mut all = Vec::new();
        places(&value, "", &mut all);
        let place = at.get(&all);
        match (place.rsplit_once('/'), is_removed) {
            (Some((above, last)), true) => match value.pointer_mut(above) {
                Some(Value::Object(map)) => drop(map.remove(last)),
                Some(Value::Array(list)) => drop(list.pop()),
                _ => {}
            },
            _ => *value.pointer_mut(place).expect("a place that is there") = other,
        }
        used(value.to_string().as_bytes());
    }

    #[test]
    fn no_damage_makes_a_panic(
        which in 0..3_usize, hits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let value = [manifest(&[(1, 10)]), index(&[(3, 30)]), configuration()][which].clone();
        let mut bytes = value.to_string().into_bytes();
        for (at, byte) in hits {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        used(&bytes);
        bytes.truncate(cut.index(bytes.len()));
        used(&bytes);
    }

    #[test]
    fn what_is_written_is_read(
        parts in proptest::collection::vec((any::<u64>(), 0..i64::MAX.cast_unsigned()), 0..50),
    ) {
        let text = manifest(&parts).to_string();
        let Target::Manifest(read) = parse_target(&described(media::OCI_MANIFEST), text.as_bytes()).expect("a manifest")
        else { panic!("a manifest is no index") };
        let sizes: Vec<(Digest, u64)> = read.layers().iter().map(|one| (one.digest().clone(), one.size())).collect();
        let expected: Vec<(Digest, u64)> = parts.iter().map(|(number, size)| (digest_of(*number), *size)).collect();
        prop_assert_eq!(&sizes, &expected);
        prop_assert_eq!(serde_json::to_value(&read).expect("JSON"), manifest(&parts));
        let text = index(&parts).to_string();
        let Target::Index(read) = parse_target(&described(media::OCI_INDEX), text.as_bytes()).expect("an index")
        else { panic!("an index is no manifest") };
        prop_assert_eq!(serde_json::to_value(&read).expect("JSON"), index(&parts));
        let kind = media::sniff(text.as_bytes());
        prop_assert_eq!(kind.as_deref(), Some(media::OCI_INDEX));
        // As many layers as the configuration says, or none at all.
        let config: ImageConfiguration = serde_json::from_value(configuration()).expect("a configuration");
        let manifest: ImageManifest = serde_json::from_value(manifest(&parts)).expect("a manifest");
        prop_assert_eq!(check(&manifest, &config).is_ok(), parts.len() == 1);
    }

    #[test]
    fn sizes_that_are_none_are_refused(size in prop_oneof![Just(json!(-1)), Just(json!(1.5)), Just(json!("1")), Just(json!(1e30))]) {
        let mut value = manifest(&[(1, 10)]);
        value["layers"][0]["size"] = size;
        prop_assert!(parse_target(&described(media::OCI_MANIFEST), value.to_string().as_bytes()).is_err());
    }
}
