//! SHA-256 digests of blobs, and the chain ids under which layers are snapshots.

use std::fmt::Write as _;

use oci_spec::image::Digest;
use sha2::{Digest as _, Sha256};

/// The digest of `bytes`.
pub fn sha256(bytes: &[u8]) -> Digest {
    let mut hasher = Hasher::default();
    hasher.update(bytes);
    hasher.finish()
}

/// A digest in the making.
#[derive(Debug, Clone, Default)]
pub struct Hasher(Sha256);

impl Hasher {
    /// Take in the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of all bytes.
    pub fn finish(self) -> Digest {
        let hash: [u8; 32] = self.0.finalize().into();
        let mut text = String::with_capacity(71);
        text.push_str("sha256:");
        for byte in hash {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        from_own_text(text)
    }
}

/// The chain id of each layer: what identifies it with all those below.
pub fn chain_ids(diff_ids: &[String]) -> Vec<String> {
    let mut chain: Vec<String> = Vec::with_capacity(diff_ids.len());
    for diff_id in diff_ids {
        let next = match chain.last() {
            None => diff_id.clone(),
            Some(below) => sha256(format!("{below} {diff_id}").as_bytes()).to_string(),
        };
        chain.push(next);
    }
    chain
}

fn from_own_text(text: String) -> Digest {
    match Digest::try_from(text) {
        Ok(digest) => digest,
        Err(_) => unreachable!("64 hexadecimal digits after sha256: are a digest"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_and_chains() {
        let empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(sha256(b"").to_string(), empty);
        let ids: Vec<String> = ["sha256:aa", "sha256:bb"].map(str::to_owned).to_vec();
        let chain = chain_ids(&ids);
        assert_eq!(chain[0], "sha256:aa");
        assert_eq!(chain[1], sha256(b"sha256:aa sha256:bb").to_string());
        assert!(chain_ids(&[]).is_empty());
    }
}
