//! Names and ids that are made up.

use crate::error::{Error, Result};

const QUALITIES: [&str; 48] = [
    "agile", "amber", "bold", "brave", "breezy", "bright", "brisk", "calm", "candid", "clever", "cosy",
    "crisp", "daring", "deft", "eager", "early", "fair", "fleet", "gentle", "golden", "happy", "hardy",
    "honest", "jolly", "keen", "kind", "lively", "lucid", "mellow", "merry", "mighty", "modest", "nimble",
    "patient", "plucky", "proud", "quick", "quiet", "sharp", "silver", "sleek", "snug", "steady", "sturdy",
    "sunny", "swift", "tidy", "warm",
];

const THINGS: [&str; 48] = [
    "anchor",
    "barge",
    "beacon",
    "berth",
    "bollard",
    "bosun",
    "bowline",
    "breeze",
    "buoy",
    "capstan",
    "clipper",
    "compass",
    "coracle",
    "cormorant",
    "crane",
    "cutter",
    "davit",
    "dinghy",
    "dock",
    "ferry",
    "galley",
    "gannet",
    "gull",
    "halyard",
    "harbour",
    "hawser",
    "heron",
    "jetty",
    "keel",
    "lagoon",
    "lantern",
    "lugger",
    "mooring",
    "oar",
    "osprey",
    "pelican",
    "pier",
    "pilot",
    "quay",
    "rudder",
    "schooner",
    "sextant",
    "sloop",
    "stevedore",
    "tern",
    "tide",
    "tiller",
    "yawl",
];

/// 64 hexadecimal digits, from the kernel.
pub fn random_id() -> Result<String> {
    Ok(random()?.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// A name nobody chose, in docker's form: `brisk_heron`; `attempt` adds a digit when names collide.
pub fn random_name(attempt: u32) -> Result<String> {
    let bytes = random()?;
    let quality = QUALITIES[usize::from(bytes[0]) % QUALITIES.len()];
    let thing = THINGS[usize::from(bytes[1]) % THINGS.len()];
    Ok(match attempt {
        0 => format!("{quality}_{thing}"),
        _ => format!("{quality}_{thing}{}", bytes[2]),
    })
}

fn random() -> Result<[u8; 32]> {
    let mut bytes = [0; 32];
    let filled = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())
        .map_err(|cause| Error::failed(format!("read random bytes: {cause}")))?;
    if filled == bytes.len() { Ok(bytes) } else { Err(Error::failed("read random bytes: too few")) }
}
