//! The part of the control server that shows clusters, and lets things go wrong in them.

use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::extract::Path;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::response::Response;
use axum::routing;
use capstead_workload::fault::Active;
use capstead_workload::fault::Fault;
use capstead_workload::fault::FaultError;
use capstead_workload::workloads::View;

use super::Nodes;

pub(super) fn router(nodes: Arc<Nodes>) -> Router {
    Router::new()
        .route("/clusters", routing::get(clusters))
        .route("/clusters/faults", routing::get(faults).post(add).delete(clear))
        .route("/clusters/faults/{id}", routing::delete(remove))
        .with_state(nodes)
}

async fn clusters(State(nodes): State<Arc<Nodes>>) -> Json<Vec<View>> {
    Json(nodes.workloads().clusters())
}

async fn faults(State(nodes): State<Arc<Nodes>>) -> Json<Vec<Active>> {
    Json(nodes.workloads().faults())
}

async fn add(State(nodes): State<Arc<Nodes>>, fault: Result<Json<Fault>, JsonRejection>) -> Response {
    let Json(fault) = match fault {
        Ok(fault) => fault,
        Err(rejected) => return (rejected.status(), format!("{}\n", rejected.body_text())).into_response(),
    };
    match nodes.workloads().add_fault(fault) {
        Ok(active) => (StatusCode::CREATED, Json(active)).into_response(),
        Err(error @ FaultError::TooMany) => (StatusCode::CONFLICT, format!("{error}\n")).into_response(),
        Err(error) => (StatusCode::UNPROCESSABLE_ENTITY, format!("{error}\n")).into_response(),
    }
}

async fn clear(State(nodes): State<Arc<Nodes>>) -> StatusCode {
    nodes.workloads().clear_faults();
    StatusCode::NO_CONTENT
}

async fn remove(State(nodes): State<Arc<Nodes>>, Path(id): Path<u64>) -> Response {
    if nodes.workloads().remove_fault(id) {
        return StatusCode::NO_CONTENT.into_response();
    }
    (StatusCode::NOT_FOUND, format!("there is no fault {id}\n")).into_response()
}
