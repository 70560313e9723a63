//! A collector of traces, as OpenTelemetry's.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;

use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::TraceService;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::TraceServiceServer;
use opentelemetry_proto::tonic::trace::v1::Span;
use tokio::net::TcpListener;
use tonic::Request;
use tonic::Response;
use tonic::Status;
use tonic::service::Routes;

/// Spans heard of, each as the attributes of its service, its name, and its own attributes.
#[derive(Clone, Debug, Default)]
pub struct Collector(Arc<Mutex<BTreeSet<(String, String, String)>>>);

impl Collector {
    /// Listens as long as the runtime lives. Must be called within it.
    pub fn listen(&self) -> SocketAddr {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let listener = TcpListener::from_std(listener).unwrap();
        let address = listener.local_addr().unwrap();
        let routes = Routes::new(TraceServiceServer::new(self.clone()));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let service = TowerToHyperService::new(routes.clone());
                tokio::spawn(async move {
                    Builder::new(TokioExecutor::new()).http2_only().serve_connection(TokioIo::new(stream), service).await
                });
            }
        });
        address
    }

    /// Whether there was such a span, one of whose attributes has this in its value.
    pub fn heard(&self, service: &str, name: &str, value: &str) -> bool {
        self.0.lock().unwrap().iter().any(|heard| heard.0.contains(&format!("{service:?}")) && heard.1 == name && heard.2.contains(value))
    }
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(&self, request: Request<ExportTraceServiceRequest>) -> Result<Response<ExportTraceServiceResponse>, Status> {
        for resource in request.into_inner().resource_spans {
            let service = format!("{:?}", resource.resource.unwrap_or_default().attributes);
            let values = |span: &Span| format!("{:?}", span.attributes);
            let spans = resource.scope_spans.iter().flat_map(|scope| &scope.spans);
            self.0.lock().unwrap().extend(spans.map(|span| (service.clone(), span.name.clone(), values(span))));
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}
