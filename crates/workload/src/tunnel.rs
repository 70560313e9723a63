//! Port-forward as clients of Kubernetes speak it: SPDY/3.1 in a WebSocket (since Kubernetes 1.31), or plain, which they fall back to.
//!
//! No maintained SPDY library is to be had, so the framing is here; of SPDY, only what port-forward uses.

use std::io;

use axum::body::Bytes;
use axum::extract::FromRequestParts;
use axum::extract::Request;
use axum::extract::ws::Message;
use axum::extract::ws::WebSocket;
use axum::extract::ws::WebSocketUpgrade;
use axum::response::IntoResponse;
use axum::response::Response;
use futures::SinkExt;
use futures::StreamExt;
use futures::future::Either;
use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use http::StatusCode;
use http::header::CONNECTION;
use http::header::UPGRADE;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::DuplexStream;
use tokio_util::codec::BytesCodec;
use tokio_util::codec::FramedWrite;
use tokio_util::io::ReaderStream;

mod forward;
mod frame;
mod header;
mod session;

pub use frame::Decoder;
pub use frame::Encoder;
pub use frame::Frame;
pub use frame::FrameError;
pub use header::HeaderError;

/// What is spoken on the streams.
const PORTFORWARD: &str = "portforward.k8s.io";
/// The WebSocket's subprotocol.
const TUNNELLED: &str = "SPDY/3.1+portforward.k8s.io";
/// The name of plain SPDY in `Upgrade`.
const SPDY: &str = "SPDY/3.1";
/// Which of what is spoken the client can, and which it gets.
const PROTOCOL: HeaderName = HeaderName::from_static("x-stream-protocol-version");
/// The longest message of a WebSocket. Clients send a SPDY frame in several, up to 32 KiB each.
const MOST_MESSAGE: usize = 1024 * 1024;

/// Answers a request for `…/pods/{name}/portforward`, and then forwards until the client leaves or `stopped` is ready.
///
/// `connect` is asked for each connection to a port; its error is told to the client, as the kubelet's is.
/// A connection ends when the target closes it.
pub async fn portforward<C, F>(request: Request, connect: C, stopped: impl Future<Output = ()> + Send + 'static) -> Response
where
    C: Fn(u16) -> F + Send + 'static,
    F: Future<Output = io::Result<DuplexStream>> + Send + 'static,
{
    let upgrade = request.headers().get(UPGRADE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if upgrade.eq_ignore_ascii_case("websocket") {
        websocket(request, connect, stopped).await
    } else if upgrade.eq_ignore_ascii_case(SPDY) {
        spdy(request, connect, stopped)
    } else {
        refuse(StatusCode::BAD_REQUEST, "Upgrade request required")
    }
}

async fn websocket<C, F>(request: Request, connect: C, stopped: impl Future<Output = ()> + Send + 'static) -> Response
where
    C: Fn(u16) -> F + Send + 'static,
    F: Future<Output = io::Result<DuplexStream>> + Send + 'static,
{
    let (mut parts, _) = request.into_parts();
    let upgrade = match WebSocketUpgrade::from_request_parts(&mut parts, &()).await {
        Ok(upgrade) => upgrade.protocols([TUNNELLED]).max_message_size(MOST_MESSAGE).max_frame_size(MOST_MESSAGE),
        Err(rejection) => return rejection.into_response(),
    };
    if upgrade.selected_protocol().is_none() {
        return refuse(StatusCode::BAD_REQUEST, &format!("unable to upgrade: the WebSocket subprotocol must be {TUNNELLED}"));
    }
    upgrade.on_upgrade(move |socket: WebSocket| async move {
        let (sink, stream) = socket.split();
        let outgoing = sink.sink_map_err(io::Error::other).with(|bytes| std::future::ready(Ok::<_, io::Error>(Message::Binary(bytes))));
        let incoming = stream
            .take_while(|message| std::future::ready(!matches!(message, Ok(Message::Close(_)))))
            .filter_map(|message| std::future::ready(binary(message).transpose()));
        until(stopped, forward::run(incoming, outgoing, connect)).await;
    })
}

fn binary(message: Result<Message, axum::Error>) -> io::Result<Option<Bytes>> {
    match message.map_err(io::Error::other)? {
        Message::Binary(bytes) => Ok(Some(bytes)),
        Message::Text(_) => Err(io::Error::from(io::ErrorKind::InvalidData)),
        Message::Ping(_) | Message::Pong(_) | Message::Close(_) => Ok(None),
    }
}

fn spdy<C, F>(mut request: Request, connect: C, stopped: impl Future<Output = ()> + Send + 'static) -> Response
where
    C: Fn(u16) -> F + Send + 'static,
    F: Future<Output = io::Result<DuplexStream>> + Send + 'static,
{
    if !asks_for_portforward(request.headers()) {
        return refuse(StatusCode::FORBIDDEN, &format!("unable to upgrade: the server accepts {PORTFORWARD}"));
    }
    let Some(upgrade) = request.extensions_mut().remove::<OnUpgrade>() else {
        return refuse(StatusCode::BAD_REQUEST, "unable to upgrade: the connection cannot be");
    };
    tokio::spawn(async move {
        // A client that goes away meanwhile is no event.
        let Ok(upgraded) = upgrade.await else { return };
        let (read, write) = tokio::io::split(TokioIo::new(upgraded));
        let outgoing = FramedWrite::new(write, BytesCodec::new());
        until(stopped, forward::run(ReaderStream::new(read), outgoing, connect)).await;
    });
    let headers = [
        (CONNECTION, HeaderValue::from_static("Upgrade")),
        (UPGRADE, HeaderValue::from_static(SPDY)),
        (PROTOCOL, HeaderValue::from_static(PORTFORWARD)),
    ];
    (StatusCode::SWITCHING_PROTOCOLS, headers).into_response()
}

fn asks_for_portforward(headers: &HeaderMap) -> bool {
    let values = headers.get_all(PROTOCOL).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|value| value.trim() == PORTFORWARD)
}

async fn until(stopped: impl Future<Output = ()>, work: impl Future<Output = ()>) {
    let (stopped, work) = (std::pin::pin!(stopped), std::pin::pin!(work));
    match futures::future::select(stopped, work).await {
        Either::Left(_) | Either::Right(_) => {}
    }
}

/// A `Status`, so that clients tell its message.
fn refuse(code: StatusCode, message: &str) -> Response {
    let reason = if code == StatusCode::FORBIDDEN { "Forbidden" } else { "BadRequest" };
    let status = serde_json::json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message, "reason": reason, "code": code.as_u16(),
    });
    (code, axum::Json(status)).into_response()
}
