//! Numbers that look random, and are always the same for the same words.

use sha2::Digest;
use sha2::Sha256;

/// A number that is never 0, which is etcd's «none».
pub(crate) fn number(words: &[&str]) -> u64 {
    let digest = Sha256::digest(words.join("\n"));
    digest.first_chunk().map_or(1, |bytes| u64::from_be_bytes(*bytes)).max(1)
}
