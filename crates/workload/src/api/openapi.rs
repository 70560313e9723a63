//! As much of `OpenAPI` as kubectl needs to believe that the server validates fields itself.

use std::sync::Arc;

use axum::response::Response;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use super::IntoJson;
use super::kinds::Kind;

/// Answers a path below `/openapi`; `None` when there is nothing.
pub(super) fn answer(path: &str, kinds: &[Arc<Kind>]) -> Option<Response> {
    let rest = path.strip_prefix("/openapi/v3")?;
    if rest.is_empty() {
        let entry = |kind: &Arc<Kind>| {
            let path = root(kind);
            let url = format!("/openapi/v3/{path}");
            (path, json!({ "serverRelativeURL": url }))
        };
        return Some(json!({ "paths": kinds.iter().map(entry).collect::<Map<_, _>>() }).into_json());
    }
    let of: Vec<_> = kinds.iter().filter(|kind| root(kind) == rest.trim_start_matches('/')).collect();
    if of.is_empty() {
        return None;
    }
    let paths: Map<String, Value> = of.into_iter().map(|kind| operations(kind)).collect();
    let info = json!({ "title": "Kubernetes", "version": "unversioned" });
    Some(json!({ "openapi": "3.0.0", "info": info, "paths": paths, "components": { "schemas": {} } }).into_json())
}

/// `api/v1`, `apis/apps/v1`.
fn root(kind: &Kind) -> String {
    format!("{}/{}", if kind.group.is_empty() { "api" } else { "apis" }, kind.api_version())
}

fn operations(kind: &Kind) -> (String, Value) {
    let within = if kind.namespaced { "namespaces/{namespace}/" } else { "" };
    let path = format!("/{}/{within}{}/{{name}}", root(kind), kind.plural);
    let option = |name: &str| json!({ "name": name, "in": "query", "schema": { "type": "string" } });
    let operation = json!({
        "parameters": [option("dryRun"), option("fieldManager"), option("fieldValidation"), option("force")],
        "responses": {},
        "x-kubernetes-group-version-kind": { "group": kind.group, "version": kind.version, "kind": kind.kind },
    });
    (path, json!({ "patch": operation }))
}
