//! What was there before, one JSON object in a line.

use serde::Deserialize;
use serde::Serialize;

use super::state::Key;
use super::state::State;

/// Where it is kept, on the host itself.
pub const JOURNAL: &str = "/var/lib/capstead-prepare.journal";

/// One thing as it was before it was changed for the first time.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Entry {
    /// What.
    pub key: Key,
    /// How it was.
    pub before: State,
    /// For a unit: what it rests on, so that it is stopped before that changes back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rests: Vec<Key>,
}

/// The journal cannot be read. Nothing is changed then.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of {JOURNAL} is no record: {why}")]
pub struct JournalError {
    /// From 1.
    pub line: usize,
    /// What is wrong.
    pub why: String,
}

/// Reads a journal.
///
/// # Errors
/// A line is not what this program writes.
pub(super) fn parse(text: &str) -> Result<Vec<Entry>, JournalError> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.is_empty());
    lines.map(|(n, line)| serde_json::from_str(line).map_err(|error| JournalError { line: n + 1, why: error.to_string() })).collect()
}
