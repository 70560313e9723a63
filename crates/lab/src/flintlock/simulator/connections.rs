//! Accepting connections so that all of them end with the task that does.

use std::time::Duration;

use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::task::JoinSet;
use tonic::service::Routes;

/// After an accept that failed, most likely for want of file descriptors.
const PAUSE: Duration = Duration::from_millis(50);

/// Serves until the task is aborted; then nobody listens, and connections are broken. (tonic's own server lets them live on.)
pub(super) fn serve(listener: TcpListener, routes: Routes) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => {
                        connections.spawn(connection(stream, routes.clone()));
                    }
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept a connection");
                        tokio::time::sleep(PAUSE).await;
                    }
                },
                Some(_) = connections.join_next() => {}
            }
        }
    })
}

async fn connection(stream: TcpStream, routes: Routes) {
    // Small answers shall not wait for more to send.
    let _ = stream.set_nodelay(true);
    let builder = Builder::new(TokioExecutor::new()).http2_only();
    if let Err(error) = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes)).await {
        tracing::debug!(%error, "a connection ended");
    }
}
