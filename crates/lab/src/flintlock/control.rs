//! The HTTP server through which a running simulator is watched and told what to do.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::extract::Path;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::response::Response;
use axum::routing;
use capstead_flintlock::types::MicroVm;
use capstead_flintlock::types::micro_vm_status::MicroVmState;
use serde::Serialize;
use sha2::Digest;
use sha2::Sha256;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::Faults;
use super::documents;
use super::simulator::World;

pub(super) const STATES: [MicroVmState; 4] = [MicroVmState::Pending, MicroVmState::Created, MicroVmState::Failed, MicroVmState::Deleting];

/// A microVM as the control server tells of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MicroVmView {
    host: usize,
    uid: String,
    namespace: String,
    name: String,
    state: &'static str,
    metadata: BTreeMap<String, MetadataView>,
}

/// Metadata, decoded; user-data holds secrets, and what is no text cannot be shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
enum MetadataView {
    Text(String),
    Digest { length: usize, sha256: String },
}

impl MicroVmView {
    pub(super) fn new(host: usize, microvm: MicroVm) -> Self {
        let state = state(&microvm).as_str_name();
        let spec = microvm.spec.unwrap_or_default();
        let metadata = spec.metadata.into_iter().map(|(key, value)| {
            let view = metadata_view(&key, documents::decoded(&value));
            (key, view)
        });
        Self { host, state, metadata: metadata.collect(), uid: spec.uid.unwrap_or_default(), namespace: spec.namespace, name: spec.id }
    }
}

fn metadata_view(key: &str, value: Vec<u8>) -> MetadataView {
    let digest = |value: &[u8]| {
        let sha256 = Sha256::digest(value).iter().map(|byte| format!("{byte:02x}")).collect();
        MetadataView::Digest { length: value.len(), sha256 }
    };
    if key == "user-data" {
        return digest(&value);
    }
    String::from_utf8(value).map_or_else(|error| digest(error.as_bytes()), MetadataView::Text)
}

pub(super) fn state(microvm: &MicroVm) -> MicroVmState {
    microvm.status.as_ref().map_or(MicroVmState::Pending, |status| status.state())
}

pub(super) fn serve(listener: TcpListener, world: Arc<World>, more: Router) -> JoinHandle<()> {
    let router = Router::new()
        .route("/metrics", routing::get(metrics))
        .route("/microvms", routing::get(microvms))
        .route("/microvms/{uid}", routing::delete(vanish))
        .route("/faults", routing::get(faults).put(set_faults))
        .route("/hosts/{number}/down", routing::put(down))
        .route("/hosts/{number}/up", routing::put(up))
        .with_state(world)
        .merge(more);
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::warn!(%error, "the control server ended");
        }
    })
}

async fn metrics(State(world): State<Arc<World>>) -> Response {
    match world.metrics() {
        Ok(text) => ([(CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn microvms(State(world): State<Arc<World>>) -> Json<Vec<MicroVmView>> {
    Json(world.views())
}

async fn vanish(State(world): State<Arc<World>>, Path(uid): Path<String>) -> Response {
    if world.vanish(&uid) {
        return StatusCode::NO_CONTENT.into_response();
    }
    (StatusCode::NOT_FOUND, format!("there is no microVM {uid}\n")).into_response()
}

async fn faults(State(world): State<Arc<World>>) -> Json<Faults> {
    Json(world.faults())
}

async fn set_faults(State(world): State<Arc<World>>, Json(faults): Json<Faults>) -> Json<Faults> {
    world.set_faults(faults);
    Json(world.faults())
}

async fn down(State(world): State<Arc<World>>, Path(number): Path<usize>) -> Response {
    let Some(host) = world.host(number) else { return no_host(number) };
    host.down().await;
    StatusCode::NO_CONTENT.into_response()
}

async fn up(State(world): State<Arc<World>>, Path(number): Path<usize>) -> Response {
    let Some(host) = world.host(number) else { return no_host(number) };
    match host.up() {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => (StatusCode::CONFLICT, format!("{error}\n")).into_response(),
    }
}

fn no_host(number: usize) -> Response {
    (StatusCode::NOT_FOUND, format!("there is no host {number}\n")).into_response()
}
