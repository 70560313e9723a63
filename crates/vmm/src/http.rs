//! HTTP over a Unix socket: one call, one connection, bounded in time and size.

use std::path::Path;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::UnixStream;

use crate::driver::ControlError;

/// Longest answer that is read.
const ANSWER_MAX: usize = 1 << 20;
/// How long a call may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// Calls and returns the answer's document; `Null` where it has none.
///
/// # Errors
/// Nobody listens, no answer in time, or a status other than 2xx, with the VMM's words for it.
pub(crate) async fn call(socket: &Path, method: Method, path: &str, body: Option<Value>) -> Result<Value, ControlError> {
    let during = format!("{method} {path}");
    match tokio::time::timeout(PATIENCE, converse(socket, method, path, body, &during)).await {
        Ok(result) => result,
        Err(_) => Err(ControlError::Timeout { during, limit: PATIENCE }),
    }
}

async fn converse(socket: &Path, method: Method, path: &str, body: Option<Value>, during: &str) -> Result<Value, ControlError> {
    let stream = UnixStream::connect(socket).await.map_err(|source| ControlError::Connect { path: socket.to_owned(), source })?;
    let broken = |error: hyper::Error| ControlError::Broken { during: during.to_owned(), source: Some(std::io::Error::other(error)) };
    let garbled = |what: String| ControlError::Garbled { during: during.to_owned(), what };
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    let mut request = Request::builder().method(method).uri(path).header("Host", "localhost").header("Accept", "application/json");
    let body = body.map(|body| body.to_string().into_bytes());
    if body.is_some() {
        request = request.header("Content-Type", "application/json");
    }
    let request = request.body(Full::new(Bytes::from(body.unwrap_or_default()))).map_err(|error| garbled(error.to_string()))?;
    let answer = async {
        let answer = sender.send_request(request).await.map_err(broken)?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), ANSWER_MAX).collect().await.map_err(|error| garbled(error.to_string()))?;
        Ok((status, body.to_bytes()))
    };
    tokio::pin!(answer);
    let (status, bytes) = tokio::select! {
        told = &mut answer => told?,
        // The connection ends with the answer, or before it, and then the answer says so.
        _ = connection => answer.await?,
    };
    read(status, &bytes, during)
}

fn read(status: StatusCode, bytes: &[u8], during: &str) -> Result<Value, ControlError> {
    if !status.is_success() {
        let said: String = String::from_utf8_lossy(bytes).chars().take(400).collect();
        return Err(ControlError::Refused { during: during.to_owned(), why: format!("{status} {}", said.trim()) });
    }
    if bytes.trim_ascii().is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(bytes).map_err(|error| ControlError::Garbled { during: during.to_owned(), what: error.to_string() })
}
