//! HTTP servers beside the controllers: health and diagnostics.

mod access;
mod health;

use std::io;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::response::Response;
use axum::routing::get;
use axum_server::Handle;
use axum_server::tls_rustls::RustlsAcceptor;
use axum_server::tls_rustls::RustlsConfig;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use hyper_util::rt::TokioTimer;
use rustls::ServerConfig;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::metrics;
use crate::metrics::Metrics;

pub use access::Access;
pub use health::Health;

/// How long a client may take to send a request's header.
const HEADER: Duration = Duration::from_secs(30);

/// Why a server does not run.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address does not parse or is taken.
    #[error("cannot listen on {address:?}")]
    Listen {
        /// As given.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// The server ended by itself.
    #[error("the server on {address} ended")]
    Ended {
        /// Where it listened.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
}

/// A server that runs until it is stopped or dropped.
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    handle: Handle<SocketAddr>,
    task: JoinHandle<io::Result<()>>,
}

impl Running {
    /// Where it listens; with port 0 asked for, the port that was picked.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until the server ends by itself, which is a failure.
    ///
    /// # Errors
    /// Always; it names the cause.
    pub async fn ended(&mut self) -> Result<std::convert::Infallible, ServeError> {
        let source = match (&mut self.task).await {
            Ok(Ok(())) => io::Error::other("it was told to"),
            Ok(Err(error)) => error,
            Err(error) => io::Error::other(error),
        };
        Err(ServeError::Ended { address: self.address, source })
    }

    /// Takes no new connections, and gives those open up to `grace` to end.
    pub async fn stop(mut self, grace: Duration) {
        self.handle.graceful_shutdown(Some(grace));
        // It was asked to end; how it did so matters no more.
        let _ = (&mut self.task).await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.handle.shutdown();
        self.task.abort();
    }
}

/// Listens where `address` says, as Go programs understand it: `host:port`, `:port` for every address of this machine;
/// empty or `0` is nowhere.
///
/// # Errors
/// When it does not parse or is taken.
async fn listen(address: &str) -> Result<Option<TcpListener>, ServeError> {
    if address.is_empty() || address == "0" {
        return Ok(None);
    }
    let listener = match address.strip_prefix(':') {
        None => TcpListener::bind(address).await,
        Some(port) => match port.parse::<u16>() {
            Err(error) => Err(io::Error::new(io::ErrorKind::InvalidInput, error)),
            Ok(port) => match TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).await {
                // A machine without IPv6.
                Err(error) if error.kind() != io::ErrorKind::AddrInUse && error.kind() != io::ErrorKind::PermissionDenied => {
                    TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).await
                }
                done => done,
            },
        },
    };
    listener.map(Some).map_err(|source| ServeError::Listen { address: address.to_owned(), source })
}

/// Serves `app` at `address`, over TLS if there is a configuration for it. `None` when the address is nowhere.
pub(crate) async fn run(address: &str, app: Router, tls: Option<Arc<ServerConfig>>) -> Result<Option<Running>, ServeError> {
    let Some(listener) = listen(address).await? else { return Ok(None) };
    let local = listener.local_addr().map_err(|source| ServeError::Listen { address: address.to_owned(), source })?;
    let handle = Handle::new();
    let mut server = axum_server::Server::from_listener(listener).handle(handle.clone()).http1_only();
    server.http_builder().http1().timer(TokioTimer::new()).header_read_timeout(HEADER);
    let service = app.into_make_service();
    let task = match tls {
        None => tokio::spawn(server.serve(service)),
        Some(config) => {
            let acceptor = RustlsAcceptor::new(RustlsConfig::from_config(config));
            tokio::spawn(server.acceptor(acceptor).serve(service))
        }
    };
    Ok(Some(Running { address: local, handle, task }))
}

/// Serves `/healthz` and `/readyz` over plain HTTP.
///
/// # Errors
/// When the address does not parse or is taken.
pub async fn health(address: &str, health: &Health) -> Result<Option<Running>, ServeError> {
    run(address, health.router(), None).await
}

/// Serves `/metrics` over HTTPS, to clients whose bearer token the API server knows and lets `get` the path.
///
/// # Errors
/// When the address does not parse or is taken.
pub async fn diagnostics(address: &str, metrics: &Metrics, access: Access, tls: Arc<ServerConfig>) -> Result<Option<Running>, ServeError> {
    let guard = axum::middleware::from_fn_with_state(Arc::new(access), access::guard);
    run(address, metrics_router(metrics).layer(guard), Some(tls)).await
}

/// Serves `/metrics` over plain HTTP to anyone.
///
/// # Errors
/// When the address does not parse or is taken.
pub async fn insecure_diagnostics(address: &str, metrics: &Metrics) -> Result<Option<Running>, ServeError> {
    run(address, metrics_router(metrics), None).await
}

fn metrics_router(metrics: &Metrics) -> Router {
    async fn scrape(State(metrics): State<Metrics>) -> Response {
        match metrics.text() {
            Ok(text) => ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response(),
            Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
        }
    }
    Router::new().route("/metrics", get(scrape)).with_state(metrics.clone())
}

#[cfg(test)]
mod tests;
