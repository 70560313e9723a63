//! What the API says when it does not do what it was asked: `Status` objects.

use axum::response::IntoResponse;
use axum::response::Response;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde_json::Value;
use serde_json::json;

use crate::store::Expired;
use crate::store::WriteError;

use super::kinds::Kind;

/// A refusal, as Kubernetes words it.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// HTTP status.
    pub code: StatusCode,
    /// For programs: `NotFound`, `Conflict`.
    pub reason: &'static str,
    /// For people.
    pub message: String,
    /// What it is about: `name`, `group`, `kind`, `uid`, `causes`, `retryAfterSeconds`.
    pub details: Value,
}

impl Refusal {
    /// A refusal about nothing in particular.
    pub fn new(code: StatusCode, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), details: Value::Null }
    }

    /// The request makes no sense.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BadRequest", message)
    }

    /// There is nothing at this path.
    pub fn no_such_path() -> Self {
        Self::new(StatusCode::NOT_FOUND, "NotFound", "the server could not find the requested resource")
    }

    /// There is no object of that name.
    pub fn not_found(kind: &Kind, name: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "NotFound", format!("{} \"{name}\" not found", kind.resource)).about(kind, name)
    }

    /// The object breaks a rule.
    pub fn invalid(kind: &Kind, name: &str, field: &str, reason: &'static str, message: &str) -> Self {
        let qualified = if kind.group.is_empty() { kind.kind.clone() } else { format!("{}.{}", kind.kind, kind.group) };
        let mut refusal =
            Self::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", format!("{qualified} \"{name}\" is invalid: {field}: {message}"));
        refusal.details = json!({
            "name": name, "group": kind.group, "kind": kind.kind,
            "causes": [{ "reason": reason, "message": message, "field": field }],
        });
        refusal
    }

    /// The method is not for this resource.
    pub fn method() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", "the server does not allow this method on the requested resource")
    }

    /// The body's type is not understood.
    pub fn media_type(given: &str) -> Self {
        let message = format!("the body of the request was in an unknown format: {given:?} is not accepted here");
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType", message)
    }

    /// As the store says it.
    pub fn store(kind: &Kind, error: &WriteError) -> Self {
        let (code, reason, name) = match error {
            WriteError::NotFound { name, .. } => (StatusCode::NOT_FOUND, "NotFound", name.as_str()),
            WriteError::AlreadyExists { name, .. } => (StatusCode::CONFLICT, "AlreadyExists", name.as_str()),
            WriteError::Conflict { name, .. } => (StatusCode::CONFLICT, "Conflict", name.as_str()),
            WriteError::Terminating { name, .. } => (StatusCode::FORBIDDEN, "Forbidden", name.as_str()),
            WriteError::Invalid(_) => (StatusCode::UNPROCESSABLE_ENTITY, "Invalid", ""),
        };
        let mut refusal = Self::new(code, reason, error.to_string()).about(kind, name);
        if let WriteError::Terminating { namespace, .. } = error {
            refusal.details["causes"] = json!([{
                "reason": "NamespaceTerminating",
                "message": format!("namespace {namespace} is being terminated"),
                "field": "metadata.namespace",
            }]);
        }
        refusal
    }

    /// Names what it is about.
    #[must_use]
    pub fn about(mut self, kind: &Kind, name: &str) -> Self {
        // Upstream's "kind" of an error is the resource.
        self.details = json!({ "name": name, "group": kind.group, "kind": kind.plural });
        self
    }

    /// The `Status` object.
    #[must_use]
    pub fn value(&self) -> Value {
        let mut status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "reason": self.reason, "code": self.code.as_u16(),
        });
        if self.details.is_object() {
            status["details"] = self.details.clone();
        }
        status
    }
}

impl From<Expired> for Refusal {
    fn from(expired: Expired) -> Self {
        Self::new(StatusCode::GONE, "Expired", expired.to_string())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.code, [(CONTENT_TYPE, "application/json")], self.value().to_string()).into_response()
    }
}
