//! The HTTP gateway: the service as JSON over HTTP, as grpc-gateway maps it.
//!
//! Upstream's sends every `GET /v1alpha1/microvm/{x}` to a listing of namespace `x`, so that no microVM can be got by its uid. Here one whose uid is `x` comes first.

use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::body::Bytes;
use axum::extract::Path;
use axum::extract::Query;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::response::Response;
use axum::routing::get;
use axum::routing::post;
use capstead_flintlock::api::CreateMicroVmResponse;
use capstead_flintlock::api::GetMicroVmResponse;
use capstead_flintlock::api::ListMessage;
use capstead_flintlock::api::ListMicroVMsRequest;
use capstead_flintlock::api::ListMicroVMsResponse;
use capstead_flintlock::json;
use capstead_flintlock::json::Form;
use capstead_flintlock::json::Named;
use capstead_flintlock::types::MicroVmSpec;
use serde::Deserialize;
use serde_json::Value;
use tonic::Code;

use crate::accept::Drivers;
use crate::effects::Effects;
use crate::host::Host;
use crate::refusal::Refusal;

/// The routes.
pub fn routes<E: Effects + Drivers>(host: Arc<Host<E>>) -> Router {
    Router::new()
        .route("/v1alpha1/microvm", post(create::<E>))
        .route("/v1alpha1/microvm/{name}", get(find::<E>).delete(delete::<E>))
        .route("/microvm.services.api.v1alpha1.MicroVM/ListMicroVMsStream", post(stream::<E>))
        .with_state(host)
}

/// A refusal as grpc-gateway words it.
pub(crate) fn refused(refusal: &Refusal) -> Response {
    let status = match refusal.code {
        Code::InvalidArgument | Code::FailedPrecondition | Code::OutOfRange => StatusCode::BAD_REQUEST,
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::AlreadyExists => StatusCode::CONFLICT,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    let body = serde_json::json!({"code": refusal.code as i32, "message": refusal.message, "details": []});
    (status, Json(body)).into_response()
}

fn answer<M: Named>(message: Result<M, Refusal>) -> Response {
    let written = message.and_then(|message| written(&message));
    written.map_or_else(|refusal| refused(&refusal), |value| Json(value).into_response())
}

fn written<M: Named>(message: &M) -> Result<Value, Refusal> {
    json::write(message, Form::Gateway).map_err(|error| Refusal::internal(error.to_string()))
}

/// grpc-gateway passes over fields it does not know; a person who mistyped one wants to hear of it.
fn read<M: Named>(body: &[u8]) -> Result<M, Refusal> {
    json::read(&mut serde_json::Deserializer::from_slice(body), true).map_err(|error| Refusal::invalid(error.to_string()))
}

async fn create<E: Effects + Drivers>(State(host): State<Arc<Host<E>>>, body: Bytes) -> Response {
    let made = read::<MicroVmSpec>(&body).and_then(|spec| host.create(Some(spec)));
    answer(made.map(|microvm| CreateMicroVmResponse { microvm: Some(microvm) }))
}

#[derive(Deserialize)]
struct Filter {
    #[serde(default)]
    name: String,
}

async fn find<E: Effects + Drivers>(State(host): State<Arc<Host<E>>>, Path(name): Path<String>, Query(filter): Query<Filter>) -> Response {
    match host.get(&name) {
        Ok(microvm) => answer(Ok(GetMicroVmResponse { microvm: Some(microvm) })),
        Err(_) => answer(Ok(ListMicroVMsResponse { microvm: host.list(&name, &filter.name) })),
    }
}

async fn delete<E: Effects + Drivers>(State(host): State<Arc<Host<E>>>, Path(uid): Path<String>) -> Response {
    match host.delete(&uid) {
        Ok(()) => Json(serde_json::json!({})).into_response(),
        Err(refusal) => refused(&refusal),
    }
}

/// A line for each microVM.
async fn stream<E: Effects + Drivers>(State(host): State<Arc<Host<E>>>, body: Bytes) -> Response {
    let lines = read::<ListMicroVMsRequest>(&body).and_then(|request| {
        if request.namespace.is_empty() {
            return Err(Refusal::nameless());
        }
        let listed = host.list(&request.namespace, "").into_iter().map(|microvm| ListMessage { microvm: Some(microvm) });
        listed.map(|message| Ok(format!("{}\n", serde_json::json!({"result": written(&message)?})))).collect::<Result<String, Refusal>>()
    });
    match lines {
        Ok(lines) => ([("content-type", "application/json")], lines).into_response(),
        Err(refusal) => refused(&refusal),
    }
}
