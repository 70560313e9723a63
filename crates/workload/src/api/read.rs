//! Getting and listing.

use std::sync::Arc;

use axum::response::Response;
use http::StatusCode;

use crate::store::Object;

use super::Call;
use super::Refusal;
use super::present;
use super::selector::Selection;

pub(super) fn get(call: &Call) -> Result<Response, Refusal> {
    if !matches!(&*call.target.subresource, "" | "status") {
        return Err(Refusal::no_such_path());
    }
    let found = object(call)?;
    Ok(present::one(call, StatusCode::OK, &found))
}

/// The object that the request names.
pub(super) fn object(call: &Call) -> Result<Arc<Object>, Refusal> {
    let store = call.backend.store().lock();
    let found = store.get(&call.kind.resource, &call.target.namespace, &call.target.name);
    found.cloned().ok_or_else(|| Refusal::not_found(&call.kind, &call.target.name))
}

pub(super) fn list(call: &Call) -> Result<Response, Refusal> {
    let selection = Selection::of(call)?;
    let (revision, found) = selected(call, &selection);
    let asked: u64 = call.query.get("resourceVersion").parse().unwrap_or(0);
    if asked > revision {
        return Err(too_large(asked, revision));
    }
    Ok(present::list(call, revision, found.iter().map(|object| &**object)))
}

/// What a request selects, and as of when.
pub(super) fn selected(call: &Call, selection: &Selection) -> (u64, Vec<Arc<Object>>) {
    let store = call.backend.store().lock();
    let found: Vec<_> = store.list(&call.kind.resource, call.namespace()).cloned().collect();
    let revision = store.revision();
    // Objects never change, so looking into them needs no lock.
    drop(store);
    (revision, found.into_iter().filter(|object| selection.matches(object)).collect())
}

pub(super) fn too_large(asked: u64, revision: u64) -> Refusal {
    let message = format!("Too large resource version: {asked}, current: {revision}");
    let mut refusal = Refusal::new(StatusCode::GATEWAY_TIMEOUT, "Timeout", message.clone());
    refusal.details =
        serde_json::json!({ "causes": [{ "reason": "ResourceVersionTooLarge", "message": message }], "retryAfterSeconds": 1 });
    refusal
}

impl Call {
    /// The namespace that a list is about; `None` for all, and for cluster-wide resources.
    pub(super) fn namespace(&self) -> Option<&str> {
        Some(self.target.namespace.as_str()).filter(|namespace| !namespace.is_empty())
    }
}
