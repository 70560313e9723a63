//! Serving a host: gRPC with reflection and health, and the HTTP gateway, with the same TLS and the same token.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::middleware;
use axum::response::Response;
use axum_server::Handle;
use axum_server::Server;
use axum_server::tls_rustls::RustlsAcceptor;
use axum_server::tls_rustls::RustlsConfig;
use capstead_flintlock::FILE_DESCRIPTOR_SET;
use capstead_flintlock::api::micro_vm_server::MicroVmServer;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::task::JoinSet;
use tonic::Code;
use tonic::Status;
use tonic::service::Routes;
use tonic_reflection::pb::v1;
use tonic_reflection::pb::v1alpha;

use crate::accept::Drivers;
use crate::auth::Gate;
use crate::auth::Token;
use crate::auth::guard;
use crate::diagnostics;
use crate::effects::Effects;
use crate::gateway;
use crate::host::Host;
use crate::refusal::Refusal;
use crate::service::HostService;
use crate::tls::TlsError;
use crate::tls::TlsFiles;

/// How long calls under way may take when the service stops.
const GRACE: Duration = Duration::from_secs(5);

/// Where to serve, and to whom.
#[derive(Clone, Debug)]
pub struct Listen {
    /// The gRPC service.
    pub grpc: SocketAddr,
    /// The HTTP gateway; nowhere, when `None`.
    pub http: Option<SocketAddr>,
    /// Metrics and health; nowhere, when `None`.
    pub debug: Option<SocketAddr>,
    /// TLS; in the clear, when `None`.
    pub tls: Option<TlsFiles>,
    /// What callers must send; nothing, when `None`.
    pub token: Option<Token>,
    /// Everybody who reaches it may do anything, and that is wanted.
    pub insecure: bool,
}

/// Why a host is not served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// It would be open to everybody.
    #[error(
        "{0} is not a loopback address, and everyone who reaches it could do anything: give --tls-cert and --tls-key, or --basic-auth-token, or --insecure"
    )]
    Open(SocketAddr),
    /// flintlockd refuses this, too.
    #[error("--insecure and --tls-cert exclude each other")]
    Both,
    /// The files do not serve.
    #[error("cannot serve TLS")]
    Tls(#[from] TlsError),
    /// The address is taken, or not this machine's.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The protocol's own descriptors cannot be served.
    #[error("cannot serve gRPC reflection")]
    Reflection(#[from] tonic_reflection::server::Error),
}

/// A host that is served until this is dropped.
#[derive(Debug)]
pub struct Served {
    grpc: SocketAddr,
    http: Option<SocketAddr>,
    debug: Option<SocketAddr>,
    handles: Vec<Handle<SocketAddr>>,
    tasks: JoinSet<()>,
    /// Follows the files of TLS.
    follows: Option<JoinHandle<()>>,
}

impl Listen {
    /// Whether this may be served at all.
    ///
    /// # Errors
    ///
    /// It is open to everybody, or contradicts itself.
    pub fn check(&self) -> Result<(), ServeError> {
        if self.insecure && self.tls.is_some() {
            return Err(ServeError::Both);
        }
        let closed = self.insecure || self.tls.is_some() || self.token.is_some();
        let open = std::iter::once(self.grpc).chain(self.http).chain(self.debug).find(|address| !closed && !address.ip().is_loopback());
        open.map_or(Ok(()), |address| Err(ServeError::Open(address)))
    }

    /// Serves a host. It listens when this returns.
    ///
    /// # Errors
    ///
    /// It may not be served so, or cannot.
    pub async fn serve<E: Effects + Drivers>(&self, host: &Arc<Host<E>>) -> Result<Served, ServeError> {
        self.serve_on(host, Vec::new()).await
    }

    /// As [`Listen::serve`], on those of these sockets that have its addresses: somebody else listened before us.
    ///
    /// # Errors
    ///
    /// It may not be served so, or cannot.
    pub async fn serve_on<E: Effects + Drivers>(
        &self,
        host: &Arc<Host<E>>,
        sockets: Vec<std::net::TcpListener>,
    ) -> Result<Served, ServeError> {
        self.check()?;
        let mut sockets = sockets;
        let mut taken = |address| {
            let at = sockets.iter().position(|socket| socket.local_addr().is_ok_and(|own| own == address));
            at.map(|at| sockets.swap_remove(at))
        };
        let (tls, follows) = self.tls.as_ref().map(TlsFiles::follow).transpose()?.unzip();
        let mut served = Served { grpc: self.grpc, http: None, debug: None, handles: Vec::new(), tasks: JoinSet::new(), follows };
        let gate = |refuse| middleware::from_fn_with_state(Gate { token: self.token.clone(), refuse }, guard);
        let grpc = routes(host)?.into_axum_router().layer(gate(unauthenticated_grpc));
        served.grpc = served.listen(self.grpc, taken(self.grpc), grpc, tls.clone()).await?;
        if let Some(address) = self.http {
            let http = gateway::routes(Arc::clone(host)).layer(gate(unauthenticated_http));
            served.http = Some(served.listen(address, taken(address), http, tls.clone()).await?);
        }
        if let Some(address) = self.debug {
            let debug = diagnostics::routes(Arc::clone(host)).layer(gate(unauthenticated_http)).merge(diagnostics::health());
            served.debug = Some(served.listen(address, None, debug, tls).await?);
        }
        Ok(served)
    }
}

impl Served {
    async fn listen(
        &mut self,
        address: SocketAddr,
        socket: Option<std::net::TcpListener>,
        router: Router,
        tls: Option<RustlsConfig>,
    ) -> Result<SocketAddr, ServeError> {
        let listening = |source| ServeError::Listen { address, source };
        let listener = match socket {
            Some(socket) => socket.set_nonblocking(true).and_then(|()| TcpListener::from_std(socket)).map_err(listening)?,
            None => TcpListener::bind(address).await.map_err(listening)?,
        };
        let bound = listener.local_addr().map_err(listening)?;
        let handle = Handle::new();
        let server = Server::from_listener(listener).handle(handle.clone());
        let service = router.into_make_service();
        match tls {
            Some(tls) => self.tasks.spawn(async move { told(server.acceptor(RustlsAcceptor::new(tls)).serve(service).await) }),
            None => self.tasks.spawn(async move { told(server.serve(service).await) }),
        };
        self.handles.push(handle);
        Ok(bound)
    }

    /// Where gRPC is served.
    #[must_use]
    pub fn grpc(&self) -> SocketAddr {
        self.grpc
    }

    /// Where the gateway is.
    #[must_use]
    pub fn http(&self) -> Option<SocketAddr> {
        self.http
    }

    /// Where metrics are.
    #[must_use]
    pub fn debug(&self) -> Option<SocketAddr> {
        self.debug
    }

    /// Takes no more calls, lets those under way end, and stops.
    pub async fn stop(mut self) {
        self.handles.iter().for_each(|handle| handle.graceful_shutdown(Some(GRACE)));
        while self.tasks.join_next().await.is_some() {}
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.follows.iter().for_each(JoinHandle::abort);
    }
}

fn told(ended: io::Result<()>) {
    if let Err(error) = ended {
        tracing::error!(%error, "serves no more");
    }
}

fn routes<E: Effects + Drivers>(host: &Arc<Host<E>>) -> Result<Routes, ServeError> {
    // Each of the two tells of both, as grpc-go's do.
    let reflection = || {
        let sets = [FILE_DESCRIPTOR_SET, tonic_health::pb::FILE_DESCRIPTOR_SET, v1::FILE_DESCRIPTOR_SET, v1alpha::FILE_DESCRIPTOR_SET];
        let builder = tonic_reflection::server::Builder::configure().include_reflection_service(false);
        sets.into_iter().fold(builder, tonic_reflection::server::Builder::register_encoded_file_descriptor_set)
    };
    let (health, health_service) = tonic_health::server::health_reporter();
    let routes = Routes::new(health_service).add_service(reflection().build_v1()?).add_service(reflection().build_v1alpha()?);
    // Never waits: nobody else knows of it yet.
    tokio::spawn(async move { health.set_serving::<MicroVmServer<HostService<E>>>().await });
    Ok(routes.add_service(MicroVmServer::new(HostService::new(Arc::clone(host)))).prepare())
}

fn unauthenticated_grpc(why: &str) -> Response {
    Status::unauthenticated(why).into_http()
}

fn unauthenticated_http(why: &str) -> Response {
    gateway::refused(&Refusal { code: Code::Unauthenticated, message: why.to_owned() })
}

#[cfg(test)]
mod tests;
