//! How much an image may ask of the host.

/// What unpacking may take. Each limit has an error of its own that names the entry.
///
/// The defaults are far above what images need, and far below what hurts a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Entries in all layers together.
    pub entries: u64,
    /// Bytes of all layers together, decompressed.
    pub bytes: u64,
    /// Bytes of one file.
    pub file: u64,
    /// Bytes of one path, or of one link's target.
    pub path: usize,
    /// Folders above an entry.
    pub depth: usize,
    /// Bytes of one entry's further headers (long names, extended attributes).
    pub header: u64,
    /// Bytes of names, targets and extended attributes kept in memory, for all entries together.
    pub memory: u64,
    /// How many times larger a layer may become when decompressed, beyond the first 256 MiB.
    pub ratio: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { entries: 2_000_000, bytes: 64 << 30, file: 32 << 30, path: 4095, depth: 256, header: 1 << 20, memory: 256 << 20, ratio: 200 }
    }
}
