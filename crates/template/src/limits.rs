//! Bounds on what a template may cost, so that no input can exhaust memory, stack or time.

/// Longest template text, in bytes (8 MiB).
pub const MAX_TEXT: usize = 8 << 20;

/// How deep expressions may stand inside each other: `${A:=${B}}` has depth 2.
pub const MAX_DEPTH: usize = 64;

/// Longest result, in bytes (16 MiB); also the bound on what a single expression makes.
pub const MAX_OUTPUT: usize = 16 << 20;

/// Most work one rendering may do: bytes read, written or compared in total (64 Mi).
pub const MAX_WORK: usize = 64 << 20;
