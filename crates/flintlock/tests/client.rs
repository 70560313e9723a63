//! The client against a real server on loopback.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use capstead_flintlock::api::micro_vm_server::{MicroVm as Service, MicroVmServer};
use capstead_flintlock::api::*;
use capstead_flintlock::types::{MicroVm, MicroVmSpec};
use capstead_flintlock::{Call, CallError, Cause, Client, Limits};
use tokio::net::TcpListener;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

/// Holds microVMs in two namespaces, with user-data; answers about uid "stuck" never, and about no other.
#[derive(Clone, Default)]
struct Host {
    microvms: Vec<MicroVm>,
    streams: Arc<AtomicUsize>,
}

fn microvm(namespace: &str, n: usize, user_data: usize) -> MicroVm {
    let spec = MicroVmSpec {
        id: format!("m{n}"),
        namespace: namespace.to_owned(),
        uid: Some(format!("{namespace}-{n}")),
        metadata: [("token".to_owned(), "dA==".to_owned()), ("user-data".to_owned(), "A".repeat(user_data))].into(),
        ..MicroVmSpec::default()
    };
    MicroVm { version: 1, spec: Some(spec), status: None }
}

#[tonic::async_trait]
impl Service for Host {
    async fn create_micro_vm(&self, request: Request<CreateMicroVmRequest>) -> Result<Response<CreateMicroVmResponse>, Status> {
        let spec = request.into_inner().microvm.ok_or_else(|| Status::invalid_argument("MicroVMSpec required"))?;
        let spec = MicroVmSpec { uid: Some("new".to_owned()), ..spec };
        Ok(Response::new(CreateMicroVmResponse { microvm: Some(MicroVm { version: 1, spec: Some(spec), status: None }) }))
    }

    async fn delete_micro_vm(&self, request: Request<DeleteMicroVmRequest>) -> Result<Response<()>, Status> {
        match request.into_inner().uid.as_str() {
            "here" => Ok(Response::new(())),
            uid => Err(Status::unknown(format!("deleting microvm: checking to see if spec exists: microvm spec //{uid} not found"))),
        }
    }

    async fn get_micro_vm(&self, request: Request<GetMicroVmRequest>) -> Result<Response<GetMicroVmResponse>, Status> {
        match request.into_inner().uid.as_str() {
            "stuck" => std::future::pending().await,
            "" => Err(Status::invalid_argument("invalid request")),
            uid => Err(Status::unknown(format!(
                "getting microvm: error attempting to locate microvm with uid: {uid}: microvm spec //{uid} not found"
            ))),
        }
    }

    async fn list_micro_v_ms(&self, request: Request<ListMicroVMsRequest>) -> Result<Response<ListMicroVMsResponse>, Status> {
        Ok(Response::new(ListMicroVMsResponse { microvm: self.of(&request.into_inner().namespace) }))
    }

    type ListMicroVMsStreamStream = tokio_stream::Iter<std::vec::IntoIter<Result<ListMessage, Status>>>;

    async fn list_micro_v_ms_stream(
        &self,
        request: Request<ListMicroVMsRequest>,
    ) -> Result<Response<Self::ListMicroVMsStreamStream>, Status> {
        let namespace = request.into_inner().namespace;
        if namespace.is_empty() {
            return Err(Status::invalid_argument("invalid request"));
        }
        self.streams.fetch_add(1, Ordering::SeqCst);
        let messages: Vec<_> = self.of(&namespace).into_iter().map(|microvm| Ok(ListMessage { microvm: Some(microvm) })).collect();
        Ok(Response::new(tokio_stream::iter(messages)))
    }
}

impl Host {
    fn of(&self, namespace: &str) -> Vec<MicroVm> {
        let wanted = |microvm: &&MicroVm| namespace.is_empty() || microvm.spec.as_ref().is_some_and(|spec| spec.namespace == namespace);
        self.microvms.iter().filter(wanted).cloned().collect()
    }

    /// Serves until the runtime ends; returns the address and the number of connections accepted.
    async fn serve(self) -> (SocketAddr, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let accepted = Arc::new(AtomicUsize::new(0));
        let count = accepted.clone();
        let incoming = TcpListenerStream::new(listener).map(move |stream| {
            count.fetch_add(1, Ordering::SeqCst);
            stream
        });
        tokio::spawn(tonic::transport::Server::builder().add_service(MicroVmServer::new(self)).serve_with_incoming(incoming));
        (address, accepted)
    }
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn a_thousand_microvms_with_user_data_are_one_answer() {
    let host = Host { microvms: (0..1000).map(|n| microvm("team", n, 50 << 10)).collect(), ..Host::default() };
    let streams = host.streams.clone();
    let client = Client::new(&host.serve().await.0.to_string(), Limits::default()).unwrap();
    let listed = client.list(&names(&["team"])).await.unwrap();
    assert_eq!(listed.len(), 1000);
    assert!(listed.iter().all(|microvm| microvm.metadata.keys().eq(["token"])));
    assert_eq!(streams.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_listing_over_the_limit_comes_by_streams_and_is_the_same() {
    let microvms = ["a", "b", "foreign"].iter().flat_map(|namespace| (0..20).map(|n| microvm(namespace, n, 4096))).collect();
    let host = Host { microvms, ..Host::default() };
    let streams = host.streams.clone();
    let address = host.serve().await.0.to_string();
    let sorted = async |answer| {
        let client = Client::new(&address, Limits { answer, ..Limits::default() }).unwrap();
        let mut listed = client.list(&names(&["a", "b"])).await.unwrap();
        listed.sort_by(|one, other| one.uid.cmp(&other.uid));
        listed
    };
    let at_once = sorted(1 << 20).await;
    assert_eq!((at_once.len(), streams.load(Ordering::SeqCst)), (40, 0));
    let streamed = sorted(64 << 10).await;
    assert_eq!(streams.load(Ordering::SeqCst), 2);
    assert_eq!(streamed, at_once);

    // One microVM alone over the limit: the listing fails, rather than leave it out.
    let client = Client::new(&address, Limits { answer: 1024, ..Limits::default() }).unwrap();
    let error = client.list(&names(&["a"])).await.unwrap_err();
    assert!(matches!(error, CallError::Terminal { call: Call::List, .. }), "{error:?}");
}

#[tokio::test]
async fn a_microvm_is_found_by_its_name_even_by_a_host_that_tells_of_all() {
    let host =
        Host { microvms: ["a", "b"].iter().flat_map(|namespace| (0..3).map(|n| microvm(namespace, n, 16))).collect(), ..Host::default() };
    let client = Client::new(&host.serve().await.0.to_string(), Limits::default()).unwrap();
    let all = client.list(&names(&["a"])).await.unwrap();
    assert_eq!(client.find("a", &all[1].name).await.unwrap(), all[1..2]);
    assert_eq!(client.find("a", "nobody").await.unwrap(), []);
}

#[tokio::test]
async fn a_call_ends_at_its_deadline() {
    let (address, _) = Host::default().serve().await;
    let deadline = Duration::from_millis(100);
    let client = Client::new(&address.to_string(), Limits { call: deadline, ..Limits::default() }).unwrap();
    let begun = Instant::now();
    let error = client.get("stuck").await.unwrap_err();
    assert!(matches!(error, CallError::Transient { cause: Cause::Deadline(after), .. } if after == deadline), "{error:?}");
    assert!(begun.elapsed() >= deadline && begun.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_host_that_accepts_and_says_nothing_meets_the_deadline_too() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let limits = Limits { list: Duration::from_millis(100), ..Limits::default() };
    let client = Client::new(&listener.local_addr().unwrap().to_string(), limits).unwrap();
    let error = client.list(&names(&["a"])).await.unwrap_err();
    assert!(matches!(error, CallError::Transient { cause: Cause::Deadline(_), .. }), "{error:?}");
}

#[tokio::test]
async fn errors_of_a_real_answer_are_sorted() {
    let (address, _) = Host::default().serve().await;
    let client = Client::new(&address.to_string(), Limits::default()).unwrap();
    assert!(matches!(client.get("gone").await.unwrap_err(), CallError::NotFound { call: Call::Get, .. }));
    assert!(matches!(client.delete("gone").await.unwrap_err(), CallError::NotFound { call: Call::Delete, .. }));
    assert!(matches!(client.get("").await.unwrap_err(), CallError::Terminal { .. }));
    client.delete("here").await.unwrap();
    let made = client.create(MicroVmSpec { id: "m".into(), ..MicroVmSpec::default() }).await.unwrap();
    assert_eq!(made.spec.unwrap().uid.as_deref(), Some("new"));

    // Nobody listens where a listener was bound and dropped.
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let error = Client::new(&closed.to_string(), Limits::default()).unwrap().get("x").await.unwrap_err();
    assert!(matches!(error, CallError::Unsent { cause: Cause::Status { .. }, .. }), "{error:?}");
}

#[tokio::test]
async fn all_calls_of_a_client_share_one_connection() {
    let (address, accepted) = Host::default().serve().await;
    let client = Client::new(&address.to_string(), Limits::default()).unwrap();
    let calls: Vec<_> = (0..50)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.delete("here").await })
        })
        .collect();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert_eq!(accepted.load(Ordering::SeqCst), 1);
}
