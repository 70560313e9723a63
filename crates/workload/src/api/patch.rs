//! Patches: JSON Patch, JSON Merge Patch, strategic merge patch, and what is applied.

use http::StatusCode;
use serde_json::Value;

use super::Call;
use super::Refusal;
use super::apply;
use super::apply::Manager;
use super::body;
use super::strategic;
use super::types;

/// A change of an object, as a client describes it.
#[derive(Debug)]
pub(super) enum Patch {
    /// RFC 6902.
    Json(json_patch::Patch),
    /// RFC 7386.
    Merge(Value),
    /// A merge that finds entries of lists by their keys.
    Strategic(Value),
    /// The fields that a manager wants.
    Apply(Value),
}

impl Patch {
    pub(super) fn parse(media_type: &str, bytes: &[u8]) -> Result<Self, Refusal> {
        match media_type {
            "application/json-patch+json" => serde_json::from_slice(bytes)
                .map(Self::Json)
                .map_err(|error| Refusal::bad_request(format!("error decoding patch: {error}"))),
            "application/merge-patch+json" => Ok(Self::Merge(body::json(bytes)?)),
            "application/strategic-merge-patch+json" => Ok(Self::Strategic(body::json(bytes)?)),
            "application/apply-patch+yaml" => Ok(Self::Apply(body::yaml(bytes)?)),
            other => Err(Refusal::media_type(other)),
        }
    }

    /// The object as it is after the change.
    pub(super) fn changed(&self, call: &Call, current: Option<Value>) -> Result<Value, Refusal> {
        let (kind, name) = (&call.kind, &call.target.name);
        let mut object = match (self, current) {
            (Self::Apply(applied), current) => return applied_to(call, current.as_ref(), applied),
            (_, Some(current)) => current,
            (_, None) => return Err(Refusal::not_found(kind, name)),
        };
        match self {
            Self::Json(patch) => {
                json_patch::patch(&mut object, patch).map_err(|error| {
                    let message = format!("the server rejected our request due to an error in our request: {error}");
                    Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message)
                })?;
            }
            Self::Merge(patch) => json_patch::merge(&mut object, patch),
            Self::Strategic(patch) => {
                if kind.custom {
                    return Err(Refusal::media_type("application/strategic-merge-patch+json"));
                }
                let of = types::of_kind(&kind.api_version(), &kind.kind).unwrap_or_default();
                if let (Some(object), Some(patch)) = (object.as_object_mut(), patch.as_object()) {
                    strategic::merge(of, object, patch);
                }
            }
            Self::Apply(_) => {}
        }
        Ok(object)
    }
}

fn applied_to(call: &Call, current: Option<&Value>, applied: &Value) -> Result<Value, Refusal> {
    let name = call.query.get("fieldManager");
    if name.is_empty() {
        return Err(Refusal::bad_request(
            "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch",
        ));
    }
    let manager = Manager { name, force: call.query.flag("force"), subresource: &call.target.subresource };
    apply::apply(&call.kind, current, applied.clone(), &manager, call.backend.now())
}
