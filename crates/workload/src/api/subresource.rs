//! What is asked of objects rather than written to them: evictions, reviews, connections.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use http::StatusCode;
use serde_json::json;
use tokio::sync::watch;

use crate::tunnel;

use super::Call;
use super::Refusal;
use super::body;
use super::present;
use super::read;
use super::selector::Selection;
use super::write;

/// Told to those whose connection outlives its request.
#[derive(Clone, Debug)]
pub(super) struct Life(pub watch::Receiver<()>);

impl Life {
    /// Ready when the server ends.
    async fn ended(life: Option<Self>) {
        match life {
            Some(Self(mut receiver)) => while receiver.changed().await.is_ok() {},
            None => std::future::pending().await,
        }
    }
}

/// Deletes a pod unless a disruption budget forbids it.
pub(super) async fn evict(call: &Call, body: Body) -> Result<Response, Refusal> {
    let eviction = body::object(call, body).await?;
    let pod = read::object(call)?;
    if let Some(budget) = exhausted(call, &pod) {
        let message = "Cannot evict pod as it would violate the pod's disruption budget.";
        let mut refusal = Refusal::new(StatusCode::TOO_MANY_REQUESTS, "TooManyRequests", message);
        let told = format!("The disruption budget {budget} does not allow evicting pods currently");
        refusal.details = json!({ "causes": [{ "reason": "DisruptionBudget", "message": told }] });
        return Err(refusal);
    }
    write::delete_with(call, &eviction["deleteOptions"])?;
    let status = json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201 });
    Ok(present::json(StatusCode::CREATED, status.to_string()))
}

/// The budget that has no disruption left for this pod.
fn exhausted(call: &Call, pod: &crate::store::Object) -> Option<String> {
    let phase = pod.value()["status"]["phase"].as_str().unwrap_or_default().to_owned();
    if pod.terminating() || matches!(phase.as_str(), "Pending" | "Succeeded" | "Failed") {
        return None;
    }
    let store = call.backend.store().lock();
    let mut budgets = store.list("poddisruptionbudgets.policy", Some(pod.namespace())).map(|budget| budget.value());
    let found = budgets.find(|budget| {
        let none = budget["status"]["disruptionsAllowed"].as_i64().unwrap_or(0) <= 0;
        none && Selection::of_labels(&budget["spec"]["selector"]).is_some_and(|selection| selection.matches(pod))
    });
    found.map(|budget| budget["metadata"]["name"].as_str().unwrap_or_default().to_owned())
}

/// Answers a review: who has a certificate may do all.
pub(super) async fn review(call: &Call, body: Body) -> Result<Response, Refusal> {
    let mut review = body::object(call, body).await?;
    let identity = call.attributes.identity.clone().unwrap_or_default();
    review["apiVersion"] = call.kind.api_version().into();
    review["kind"] = call.kind.kind.as_str().into();
    review["status"] = match call.kind.kind.as_str() {
        "SelfSubjectReview" => json!({ "userInfo": { "username": identity.user, "groups": identity.groups } }),
        "TokenReview" => json!({ "authenticated": false }),
        "SelfSubjectRulesReview" => json!({
            "resourceRules": [{ "verbs": ["*"], "apiGroups": ["*"], "resources": ["*"] }],
            "nonResourceRules": [{ "verbs": ["*"], "nonResourceURLs": ["*"] }],
            "incomplete": false,
        }),
        "Binding" => return Err(Refusal::method()),
        _ => json!({ "allowed": true }),
    };
    Ok(present::json(StatusCode::CREATED, review.to_string()))
}

/// Forwards connections to ports of a pod.
pub(super) async fn portforward(call: Call, body: Body) -> Result<Response, Refusal> {
    let pod = read::object(&call)?;
    if pod.value()["spec"]["nodeName"].as_str().is_none_or(str::is_empty) {
        return Err(Refusal::bad_request(format!("pod {} does not have a host assigned", pod.name())));
    }
    let backend = Arc::clone(&call.backend);
    let life = call.parts.extensions.get::<Life>().cloned();
    let connect = move |port: u16| {
        let (backend, pod) = (Arc::clone(&backend), Arc::clone(&pod));
        async move { backend.connect(pod.namespace(), pod.name(), port).await }
    };
    Ok(tunnel::portforward(Request::from_parts(call.parts, body), connect, Life::ended(life)).await)
}

/// The token of a service account, which nobody here checks.
pub(super) async fn token(call: &Call, body: Body) -> Result<Response, Refusal> {
    let mut request = body::object(call, body).await?;
    let account = read::object(call)?;
    let seconds = request["spec"]["expirationSeconds"].as_i64().unwrap_or(3600);
    let expires = call.backend.now() + jiff::SignedDuration::from_secs(seconds.clamp(0, 1 << 32));
    request["apiVersion"] = "authentication.k8s.io/v1".into();
    request["kind"] = "TokenRequest".into();
    request["status"] = json!({ "token": account.uid(), "expirationTimestamp": crate::store::time(expires) });
    Ok(present::json(StatusCode::CREATED, request.to_string()))
}
