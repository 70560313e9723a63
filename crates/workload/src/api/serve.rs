//! Serving over TLS.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto::Builder;
use rustls::ServerConfig;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tower::Service;
use tracing::debug;

use crate::authority::identity;

use super::subresource::Life;

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Between attempts when the process has no file left to accept with.
const PAUSE: Duration = Duration::from_millis(100);

/// A server that runs until it is stopped or dropped; its connections end with it.
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    task: tokio::task::JoinHandle<()>,
}

impl Running {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends it, and waits until its port is free.
    pub async fn stop(mut self) {
        self.task.abort();
        // It was told to end.
        let _ = (&mut self.task).await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Serves `router` over TLS: HTTP/1.1 with upgrades, and HTTP/2, as the configuration offers.
///
/// A request carries its client's [`Identity`](crate::authority::Identity) among its extensions.
///
/// # Errors
/// When the listener has no address.
pub fn serve(listener: TcpListener, tls: Arc<ServerConfig>, router: Router) -> io::Result<Running> {
    let address = listener.local_addr()?;
    Ok(Running { address, task: tokio::spawn(accept(listener, TlsAcceptor::from(tls), router)) })
}

async fn accept(listener: TcpListener, tls: TlsAcceptor, router: Router) {
    let mut connections = JoinSet::new();
    // Dropped when the server ends, with all that listens for it.
    let (_alive, life) = watch::channel(());
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                while connections.try_join_next().is_some() {}
                connections.spawn(connection(stream, tls.clone(), router.clone(), Life(life.clone())));
            }
            Err(error) => {
                debug!(%error, "cannot accept");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, tls: TlsAcceptor, router: Router, life: Life) {
    // Without it, small answers wait for the client's acknowledgement.
    let _ = stream.set_nodelay(true);
    let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE, tls.accept(stream)).await else { return };
    let client = stream.get_ref().1.peer_certificates().and_then(<[_]>::first).and_then(identity);
    let service = hyper::service::service_fn(move |request: http::Request<hyper::body::Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(life.clone());
        if let Some(client) = &client {
            request.extensions_mut().insert(client.clone());
        }
        router.clone().call(request)
    });
    if let Err(error) = Builder::new(TokioExecutor::new()).serve_connection_with_upgrades(TokioIo::new(stream), service).await {
        debug!(%error, "a connection ended");
    }
}
