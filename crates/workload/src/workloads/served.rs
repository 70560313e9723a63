//! One cluster with what serves it: its API while it answers, etcd behind port-forwards, and the time that passes.

use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::RwLock;
use std::sync::Weak;
use std::time::Duration;

use futures::future::BoxFuture;
use jiff::Timestamp;
use rustls::ServerConfig;
use serde_json::Value;
use tokio::io::DuplexStream;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tracing::warn;

use super::lock;
use crate::api;
use crate::authority::Authority;
use crate::authority::AuthorityError;
use crate::cluster::Cluster;
use crate::guest::kubeadm;
use crate::guest::kubeadm::Endpoint;
use crate::guest::kubeadm::Pair;
use crate::store::Object;
use crate::store::Shared;

/// Names of an API server that its clients inside a cluster use.
const NAMES: [&str; 5] = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "localhost", "127.0.0.1"];
/// Between attempts to listen where somebody else does.
const TAKEN: Duration = Duration::from_secs(1);
/// In flight in a connection to the API server through itself, in bytes.
const FLIGHT: usize = 16 * 1024;

/// Why a cluster is not served.
#[derive(Debug, thiserror::Error)]
pub(super) enum ServeError {
    #[error("the control plane endpoint {0} is not on a loopback address of this machine")]
    NotLoopback(Endpoint),
    #[error("an authority in the bootstrap data cannot issue certificates")]
    Authority(#[from] AuthorityError),
}

/// A cluster that is served until this is dropped.
#[derive(Debug)]
pub(super) struct Served {
    address: SocketAddr,
    store: Shared,
    cluster: Mutex<Cluster>,
    /// Nodes whose kubelet runs, for who holds the store and may not ask the cluster.
    up: RwLock<BTreeSet<String>>,
    changed: Arc<Notify>,
    api_tls: Arc<ServerConfig>,
    etcd_tls: Option<Arc<ServerConfig>>,
    keeper: Mutex<Option<AbortHandle>>,
}

impl Drop for Served {
    fn drop(&mut self) {
        if let Some(keeper) = lock(&self.keeper).take() {
            keeper.abort();
        }
    }
}

impl Served {
    pub(super) fn start(cluster: Cluster, beyond_loopback: bool) -> Result<Arc<Self>, ServeError> {
        let endpoint = cluster.endpoint();
        let address = address(endpoint).filter(|address| beyond_loopback || address.ip().is_loopback());
        let address = address.ok_or_else(|| ServeError::NotLoopback(endpoint.clone()))?;
        let names: Vec<&str> = std::iter::once(endpoint.host.as_str()).chain(NAMES).collect();
        let certificates = cluster.certificates();
        let api_tls = tls(&certificates.authority, &names, true, &["h2", "http/1.1"])?;
        let etcd_tls = match &certificates.etcd {
            kubeadm::Etcd::Local(pair) => Some(tls(pair, &NAMES, false, &["h2"])?),
            kubeadm::Etcd::External => None,
        };
        let served = Arc::new(Self {
            address,
            store: cluster.store().clone(),
            cluster: Mutex::new(cluster),
            up: RwLock::default(),
            changed: Arc::default(),
            api_tls,
            etcd_tls,
            keeper: Mutex::default(),
        });
        let keeper = tokio::spawn(keep(Arc::downgrade(&served)));
        *lock(&served.keeper) = Some(keeper.abort_handle());
        Ok(served)
    }

    /// Does something with the cluster, and lets follow what follows from it.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut Cluster) -> T) -> T {
        let changed = change(&mut lock(&self.cluster));
        self.changed.notify_one();
        changed
    }

    /// Lets time pass. Tells whether the API answers, and when to come back.
    fn advance(&self) -> (bool, Option<Duration>) {
        let mut cluster = lock(&self.cluster);
        let now = Timestamp::now();
        cluster.advance(now);
        cluster.observe(now);
        *self.up.write().unwrap_or_else(PoisonError::into_inner) = cluster.nodes_up();
        let next = cluster.next().map(|at| Duration::try_from(at.duration_since(now)).unwrap_or_default());
        (cluster.answers(), next)
    }
}

/// Keeps a cluster's time, and serves its API while it answers.
async fn keep(served: Weak<Served>) {
    let Some(mut written) = served.upgrade().map(|served| served.store.lock().subscribe()) else { return };
    let mut serving: Option<api::Running> = None;
    loop {
        let Some(this) = served.upgrade() else { return };
        written.mark_unchanged();
        let (answers, mut next) = this.advance();
        if !answers && let Some(running) = serving.take() {
            running.stop().await;
        }
        if answers && serving.is_none() {
            match this.listen().await {
                Ok(running) => serving = Some(running),
                Err(error) => {
                    warn!(endpoint = %this.address, %error, "cannot listen on the control plane endpoint");
                    next = Some(next.map_or(TAKEN, |next| next.min(TAKEN)));
                }
            }
        }
        // Held while waiting, it would never be dropped.
        let changed = Arc::clone(&this.changed);
        drop(this);
        tokio::select! {
            ended = written.changed() => if ended.is_err() { return },
            () = changed.notified() => (),
            () = tokio::time::sleep(next.unwrap_or(Duration::MAX)) => (),
        }
    }
}

impl Served {
    async fn listen(self: &Arc<Self>) -> io::Result<api::Running> {
        let listener = TcpListener::bind(self.address).await?;
        let backend = Arc::new(Api(Arc::downgrade(self), self.store.clone()));
        api::serve(listener, Arc::clone(&self.api_tls), api::router(backend))
    }
}

/// What the API asks of its cluster. It does not keep the cluster alive.
struct Api(Weak<Served>, Shared);

impl api::Backend for Api {
    fn store(&self) -> &Shared {
        &self.1
    }

    fn version(&self) -> String {
        let version = self.0.upgrade().and_then(|served| lock(&served.cluster).kubernetes());
        version.map(|version| format!("v{version}")).unwrap_or_default()
    }

    fn render(&self, object: &Object) -> Option<Value> {
        if object.resource() != "leases.coordination.k8s.io" || object.namespace() != "kube-node-lease" {
            return None;
        }
        let served = self.0.upgrade()?;
        if !served.up.read().unwrap_or_else(PoisonError::into_inner).contains(object.name()) {
            return None;
        }
        let mut lease = object.value();
        lease["spec"]["renewTime"] = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string().into();
        Some(lease)
    }

    fn connect<'a>(&'a self, namespace: &'a str, pod: &'a str, port: u16) -> BoxFuture<'a, io::Result<DuplexStream>> {
        Box::pin(async move {
            let refused =
                || io::Error::new(io::ErrorKind::ConnectionRefused, format!("nothing listens on port {port} of pod {namespace}/{pod}"));
            let served = self.0.upgrade().ok_or_else(refused)?;
            if namespace != "kube-system" {
                return Err(refused());
            }
            if let Some(node) = pod.strip_prefix("etcd-").filter(|_| port == 2379) {
                let cluster = lock(&served.cluster);
                let (etcd, member) = cluster.etcd().zip(cluster.member(node)).ok_or_else(refused)?;
                return etcd.connect(member, served.etcd_tls.as_ref().ok_or_else(refused)?);
            }
            let own = pod.strip_prefix("kube-apiserver-").is_some_and(|node| lock(&served.cluster).is_up(node));
            if !own {
                return Err(refused());
            }
            let mut through = TcpStream::connect(served.address).await?;
            let (ours, mut theirs) = tokio::io::duplex(FLIGHT);
            tokio::spawn(async move { tokio::io::copy_bidirectional(&mut theirs, &mut through).await });
            Ok(ours)
        })
    }
}

fn tls(pair: &Pair, names: &[&str], anonymous: bool, protocols: &[&str]) -> Result<Arc<ServerConfig>, AuthorityError> {
    let authority = Authority::from_pem(&pair.certificate, pair.key.reveal())?;
    let leaf = authority.server(names)?;
    authority.server_config(&leaf, anonymous, protocols)
}

/// Where to listen; `None` if the endpoint is a name other than this machine's own.
fn address(endpoint: &Endpoint) -> Option<SocketAddr> {
    let ip = if endpoint.host == "localhost" { Some(IpAddr::from([127, 0, 0, 1])) } else { endpoint.host.parse().ok() };
    ip.map(|ip| SocketAddr::new(ip, endpoint.port))
}
