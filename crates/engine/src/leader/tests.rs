use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use http::Method;
use http::Request;
use http::Response;
use http_body_util::BodyExt;
use kube::Client;
use kube::client::Body;
use serde_json::Value;
use serde_json::json;
use tokio::time::Instant;

use super::Election;
use super::ElectionError;
use super::Leadership;
use crate::metrics::Metrics;

/// An API server that knows one Lease, with optimistic concurrency.
#[derive(Clone, Default)]
struct Server(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    lease: Option<Value>,
    version: u64,
    hangs: bool,
}

impl Server {
    fn client(&self) -> Client {
        let server = self.clone();
        let service = tower::service_fn(move |request| {
            let server = server.clone();
            async move { Ok::<_, std::io::Error>(server.answer(request).await) }
        });
        Client::new(service, "system")
    }

    async fn answer(&self, request: Request<Body>) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        if self.0.lock().unwrap().hangs {
            std::future::pending::<()>().await;
        }
        let mut state = self.0.lock().unwrap();
        let fault = |code: u16, reason: &str| {
            (code, json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": reason}))
        };
        let (code, reply) = match (parts.method, state.lease.clone()) {
            (Method::GET, Some(lease)) => (200, lease),
            (Method::GET, None) => fault(404, "NotFound"),
            (method, old) => {
                let mut lease: Value = serde_json::from_slice(&body).unwrap();
                let relied = lease["metadata"]["resourceVersion"].clone();
                let current = old.map(|old| old["metadata"]["resourceVersion"].clone()).unwrap_or_default();
                if relied != current || (method == Method::POST) != current.is_null() {
                    fault(409, "Conflict")
                } else {
                    state.version += 1;
                    lease["metadata"]["resourceVersion"] = json!(state.version.to_string());
                    state.lease = Some(lease.clone());
                    (200, lease)
                }
            }
        };
        Response::builder().status(code).body(Body::from(reply.to_string().into_bytes())).unwrap()
    }

    fn spec(&self) -> Value {
        self.0.lock().unwrap().lease.as_ref().map(|lease| lease["spec"].clone()).unwrap_or_default()
    }

    fn hang(&self, hangs: bool) {
        self.0.lock().unwrap().hangs = hangs;
    }
}

fn election(identity: &str) -> Election {
    Election { identity: identity.into(), ..Election::new("system", "lease") }
}

async fn lead(server: &Server, identity: &str) -> Leadership {
    Leadership::acquire(server.client(), election(identity), &Metrics::new()).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_second_leads_only_once_the_first_gives_up_and_then_soon() {
    let server = Server::default();
    let first = lead(&server, "a").await;
    assert_eq!(server.spec()["holderIdentity"], "a");
    assert_eq!(server.spec()["leaseTransitions"], 0);
    let waiting = tokio::time::timeout(Duration::from_secs(300), lead(&server, "b"));
    assert!(waiting.await.is_err(), "the first renews");
    assert!(tokio::time::timeout(Duration::from_secs(300), first.lost()).await.is_err(), "and keeps it");
    first.release().await;
    assert_eq!(server.spec()["holderIdentity"], "");
    let begun = Instant::now();
    let _second = lead(&server, "b").await;
    assert!(begun.elapsed() <= Duration::from_secs(2));
    assert_eq!(server.spec()["leaseTransitions"], 1);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_hangs_costs_the_lease_within_the_renew_deadline() {
    let server = Server::default();
    let first = lead(&server, "a").await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    server.hang(true);
    let begun = Instant::now();
    first.lost().await;
    assert!(begun.elapsed() <= Duration::from_secs(10), "{:?}", begun.elapsed());
    server.hang(false);
    let _second = lead(&server, "b").await;
    assert!(begun.elapsed() >= Duration::from_secs(10), "the first had ended before");
}

#[tokio::test(start_paused = true)]
async fn another_name_in_the_lease_is_noticed_at_the_next_try() {
    let server = Server::default();
    let first = lead(&server, "a").await;
    {
        let mut state = server.0.lock().unwrap();
        state.version += 1;
        let version = json!(state.version.to_string());
        let lease = state.lease.as_mut().unwrap();
        lease["spec"]["holderIdentity"] = json!("b");
        lease["metadata"]["resourceVersion"] = version;
    }
    let begun = Instant::now();
    first.lost().await;
    assert!(begun.elapsed() <= Duration::from_secs(2));
    first.release().await;
    assert_eq!(server.spec()["holderIdentity"], "b", "another's lease is not given up");
}

#[tokio::test]
async fn durations_out_of_order_are_refused() {
    let client = Server::default().client();
    let bad = Election { renew_deadline: Duration::from_secs(15), ..election("a") };
    assert!(matches!(Leadership::acquire(client, bad, &Metrics::new()).await, Err(ElectionError::Durations { .. })));
    assert_ne!(Election::new("system", "lease").identity, Election::new("system", "lease").identity);
}
