//! A simulated etcd cluster, as far as Cluster API's control plane provider and kubeadm look: members, leader, alarms, faults, and the calls about them.
//!
//! Keys and values are not here; the simulated Kubernetes API keeps its objects itself.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http2;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioIo;
use hyper_util::rt::TokioTimer;
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::io::DuplexStream;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tonic::service::Routes;

use api::cluster_server::ClusterServer;
use api::maintenance_server::MaintenanceServer;
use service::Service;

mod cluster;
mod service;
#[cfg(test)]
mod tests;

pub use cluster::Alarm;
pub use cluster::Cluster;
pub use cluster::EtcdError;
pub use cluster::Health;
pub use cluster::MOST_MEMBERS;
pub use cluster::Member;

#[allow(clippy::all, clippy::unwrap_used, clippy::panic, missing_docs, reason = "generated")]
mod api {
    tonic::include_proto!("etcdserverpb");
}

/// How long etcd itself lets a call wait for a majority.
pub const PATIENCE: Duration = Duration::from_secs(7);
/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// The most calls at a time on one connection.
const MOST_CALLS: u32 = 64;
/// The longest request, in bytes.
const MOST_REQUEST: usize = 64 * 1024;
/// The longest headers of a call, in bytes.
const MOST_HEADERS: u32 = 16 * 1024;
/// What is in flight between a client and a member, in bytes each way.
const FLIGHT: usize = 64 * 1024;

/// A running cluster. Clones are the same cluster.
#[derive(Clone, Debug)]
pub struct Etcd {
    cluster: watch::Sender<Cluster>,
    patience: Duration,
}

impl Etcd {
    /// Runs a cluster. `patience` is how long a call waits for a majority before it fails: [`PATIENCE`], or less when time is compressed.
    #[must_use]
    pub fn new(cluster: Cluster, patience: Duration) -> Self {
        Self { cluster: watch::Sender::new(cluster), patience }
    }

    /// Looks at the cluster. Keep it short: changes wait meanwhile.
    pub fn read<R>(&self, look: impl FnOnce(&Cluster) -> R) -> R {
        look(&self.cluster.borrow())
    }

    /// Changes the cluster; calls that wait and connections to what stopped see it at once.
    ///
    /// # Errors
    /// Those of the change.
    pub fn change<R>(&self, change: impl FnOnce(&mut Cluster) -> Result<R, EtcdError>) -> Result<R, EtcdError> {
        // Never seen: the watch runs the change.
        let mut result = Err(EtcdError::TimedOut);
        self.cluster.send_if_modified(|cluster| {
            let before = cluster.index();
            result = change(cluster);
            cluster.index() != before
        });
        result
    }

    /// Connects to a member in this process, and serves that connection.
    ///
    /// # Errors
    /// When it does not listen: it is stopped, has not started, or is no member.
    pub fn connect(&self, member: u64, tls: &Arc<ServerConfig>) -> io::Result<DuplexStream> {
        if !self.read(|cluster| cluster.listens(member)) {
            return Err(io::Error::new(io::ErrorKind::ConnectionRefused, "connect: connection refused"));
        }
        let (near, far) = tokio::io::duplex(FLIGHT);
        let (etcd, tls) = (self.clone(), Arc::clone(tls));
        tokio::spawn(async move {
            if let Err(error) = etcd.serve(far, tls, member).await {
                tracing::debug!(member, %error, "a connection to etcd ended");
            }
        });
        Ok(near)
    }

    /// Serves one connection to a member, until the client leaves or the member stops.
    ///
    /// `tls` has to offer `h2` (see [`offer_http2`]), and to ask for what certificates clients need.
    ///
    /// # Errors
    /// When the handshake or the connection fails.
    pub async fn serve<S>(&self, stream: S, tls: Arc<ServerConfig>, member: u64) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let mut cluster = self.cluster.subscribe();
        let served = async {
            // A process that hangs does not even shake hands.
            let _ = self.cluster.subscribe().wait_for(|cluster| cluster.answers(member)).await;
            let stream = timeout(HANDSHAKE, TlsAcceptor::from(tls).accept(stream)).await??;
            let service = Service { etcd: self.clone(), member };
            let routes = Routes::new(ClusterServer::new(service.clone()).max_decoding_message_size(MOST_REQUEST))
                .add_service(MaintenanceServer::new(service).max_decoding_message_size(MOST_REQUEST));
            http2::Builder::new(TokioExecutor::new())
                .timer(TokioTimer::new())
                .max_concurrent_streams(MOST_CALLS)
                .max_header_list_size(MOST_HEADERS)
                .serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes.prepare()))
                .await
                .map_err(io::Error::other)
        };
        tokio::select! {
            done = served => done,
            _ = cluster.wait_for(|cluster| !cluster.listens(member)) => Ok(()),
        }
    }
}

/// Lets a server's configuration offer HTTP/2, without which gRPC clients leave.
#[must_use]
pub fn offer_http2(mut tls: ServerConfig) -> Arc<ServerConfig> {
    tls.alpn_protocols = vec![b"h2".to_vec()];
    Arc::new(tls)
}
