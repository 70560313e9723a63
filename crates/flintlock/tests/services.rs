//! Which services a host says it has, over real gRPC on loopback.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use capstead_flintlock::{CallError, Client, FILE_DESCRIPTOR_SET, Limits};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic_reflection::server::Builder;

/// Runs until the runtime ends.
async fn serve(routes: Routes) -> Client {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(Server::builder().add_routes(routes).serve_with_incoming(TcpListenerStream::new(listener)));
    Client::new(&address, Limits::default()).unwrap()
}

fn reflection() -> Builder<'static> {
    Builder::configure().include_reflection_service(false).register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
}

#[tokio::test]
async fn services_are_listed_under_either_name_of_reflection() {
    for routes in [Routes::new(reflection().build_v1().unwrap()), Routes::new(reflection().build_v1alpha().unwrap())] {
        assert_eq!(serve(routes).await.services().await.unwrap(), ["microvm.services.api.v1alpha1.MicroVM"]);
    }
}

#[tokio::test]
async fn a_host_without_reflection_says_so_and_one_that_is_gone_is_not_asked() {
    let error = serve(Routes::default()).await.services().await.unwrap_err();
    assert!(matches!(error, CallError::Terminal { .. }) && error.to_string().starts_with("listing services on 127.0.0.1:"), "{error:?}");
    let gone = Client::new("127.0.0.1:1", Limits::default()).unwrap();
    assert!(matches!(gone.services().await, Err(CallError::Unsent { .. })));
}
