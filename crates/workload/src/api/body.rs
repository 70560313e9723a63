//! What clients send.

use axum::body::Body;
use axum::body::Bytes;
use axum::body::to_bytes;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde_json::Value;

use super::Call;
use super::Refusal;
use super::protobuf;

/// As upstream limits it.
const LIMIT: usize = 3 * 1024 * 1024;

/// The whole body.
pub(super) async fn bytes(body: Body) -> Result<Bytes, Refusal> {
    to_bytes(body, LIMIT).await.map_err(|_| {
        Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", format!("limit is {LIMIT}, or the body ended early"))
    })
}

/// The media type of the body, without parameters; `application/json` if none is given.
pub(super) fn media_type(call: &Call) -> &str {
    match call.header(CONTENT_TYPE).split(';').next().unwrap_or_default().trim() {
        "" => "application/json",
        given => given,
    }
}

/// An object in the body; `null` if it is empty.
pub(super) async fn object(call: &Call, body: Body) -> Result<Value, Refusal> {
    let bytes = bytes(body).await?;
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    match media_type(call) {
        "application/json" => json(&bytes),
        "application/yaml" => yaml(&bytes),
        "application/vnd.kubernetes.protobuf" => {
            protobuf::decode(&bytes).map_err(|error| Refusal::bad_request(format!("error decoding the body as protobuf: {error}")))
        }
        other => Err(Refusal::media_type(other)),
    }
}

pub(super) fn json(bytes: &[u8]) -> Result<Value, Refusal> {
    serde_json::from_slice(bytes).map_err(|error| Refusal::bad_request(format!("error decoding the body as JSON: {error}")))
}

pub(super) fn yaml(bytes: &[u8]) -> Result<Value, Refusal> {
    yaml_serde::from_slice(bytes).map_err(|error| Refusal::bad_request(format!("error decoding the body as YAML: {error}")))
}
