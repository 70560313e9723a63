//! Patches: JSON Patch, JSON Merge Patch.

use http::StatusCode;
use serde_json::Value;

use super::Refusal;
use super::body;
use super::kinds::Kind;

/// A change of an object, as a client describes it.
#[derive(Debug)]
pub(super) enum Patch {
    /// RFC 6902.
    Json(json_patch::Patch),
    /// RFC 7386.
    Merge(Value),
}

impl Patch {
    pub(super) fn parse(media_type: &str, bytes: &[u8]) -> Result<Self, Refusal> {
        match media_type {
            "application/json-patch+json" => serde_json::from_slice(bytes)
                .map(Self::Json)
                .map_err(|error| Refusal::bad_request(format!("error decoding patch: {error}"))),
            "application/merge-patch+json" | "application/strategic-merge-patch+json" => Ok(Self::Merge(body::json(bytes)?)),
            other => Err(Refusal::media_type(other)),
        }
    }

    /// The object as it is after the change.
    pub(super) fn apply(&self, kind: &Kind, mut object: Value) -> Result<Value, Refusal> {
        match self {
            Self::Json(patch) => {
                json_patch::patch(&mut object, patch).map_err(|error| {
                    let message = format!("the server rejected our request due to an error in our request: {error}");
                    Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message)
                })?;
            }
            Self::Merge(patch) => json_patch::merge(&mut object, patch),
        }
        let _ = kind;
        Ok(object)
    }
}
