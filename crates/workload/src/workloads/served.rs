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
use http::StatusCode;
use jiff::SignedDuration;
use jiff::Timestamp;
use rustls::ServerConfig;
use serde::Deserialize;
use serde::Serialize;
use serde_json::Value;
use tokio::io::DuplexStream;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tracing::warn;

use super::lock;
use crate::api;
use crate::authority::Authority;
use crate::authority::AuthorityError;
use crate::cluster::Cluster;
use crate::fault::Faults;
use crate::fault::Kind;
use crate::fault::Place;
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

/// How a cluster is, for somebody who looks at the simulation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct View {
    /// As kubeadm's configuration calls it.
    pub name: String,
    /// `HOST:PORT` of its control plane.
    pub endpoint: String,
    /// The version of its API server, while it runs.
    pub kubernetes: Option<String>,
    /// Those that joined, and are not gone.
    pub machines: usize,
    /// How many of these are heard.
    pub nodes_up: usize,
    /// Whether the API server works.
    pub answers: bool,
}

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
    place: Place,
    faults: watch::Receiver<Faults>,
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
    pub(super) fn start(cluster: Cluster, beyond_loopback: bool, faults: watch::Receiver<Faults>) -> Result<Arc<Self>, ServeError> {
        let endpoint = cluster.endpoint();
        let place = Place { name: cluster.name().to_owned(), endpoint: endpoint.to_string() };
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
            place,
            faults,
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

    /// How faults know it.
    pub(super) const fn place(&self) -> &Place {
        &self.place
    }

    /// Whether its API answers nobody, not even those who are in the cluster.
    pub(super) fn is_silent(&self) -> bool {
        self.faults.borrow().cluster(Kind::ApiSilent, &self.place).is_some()
    }

    /// How it is now.
    pub(super) fn view(&self) -> View {
        let cluster = lock(&self.cluster);
        View {
            name: self.place.name.clone(),
            endpoint: self.place.endpoint.clone(),
            kubernetes: cluster.kubernetes().map(|version| format!("v{version}")),
            machines: cluster.victims().count(),
            nodes_up: cluster.nodes_up().len(),
            answers: cluster.answers(),
        }
    }

    /// Lets time pass. Tells whether the API is to be reached, and when to come back.
    fn advance(&self) -> (bool, Option<Duration>) {
        let mut cluster = lock(&self.cluster);
        let now = Timestamp::now();
        let victims: Vec<_> = cluster.victims().collect();
        let (troubles, unreachable) = {
            let faults = self.faults.borrow();
            (faults.troubles(&self.place, &victims), faults.cluster(Kind::Unreachable, &self.place).is_some())
        };
        cluster.suffer(&troubles, now);
        cluster.advance(now);
        cluster.observe(now);
        *self.up.write().unwrap_or_else(PoisonError::into_inner) = cluster.nodes_up();
        let next = cluster.next().map(|at| Duration::try_from(at.duration_since(now)).unwrap_or_default());
        (cluster.answers() && !unreachable, next)
    }
}

/// Keeps a cluster's time, and serves its API while it answers.
async fn keep(served: Weak<Served>) {
    let begun = served.upgrade().map(|served| (served.store.lock().subscribe(), served.faults.clone()));
    let Some((mut written, mut faults)) = begun else { return };
    let mut serving: Option<api::Running> = None;
    loop {
        let Some(this) = served.upgrade() else { return };
        written.mark_unchanged();
        faults.mark_unchanged();
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
            ended = faults.changed() => if ended.is_err() { return },
            () = changed.notified() => (),
            () = tokio::time::sleep(next.unwrap_or(Duration::MAX)) => (),
        }
    }
}

impl Served {
    async fn listen(self: &Arc<Self>) -> io::Result<api::Running> {
        let listener = TcpListener::bind(self.address).await?;
        let (cluster, store) = (Arc::downgrade(self), self.store.clone());
        let backend = Arc::new(Api { cluster, store, place: self.place.clone(), faults: self.faults.clone() });
        api::serve(listener, Arc::clone(&self.api_tls), api::router(backend))
    }
}

/// What the API asks of its cluster. It does not keep the cluster alive.
struct Api {
    cluster: Weak<Served>,
    store: Shared,
    place: Place,
    faults: watch::Receiver<Faults>,
}

impl Api {
    /// How far the clocks are ahead.
    fn clock(&self) -> SignedDuration {
        self.faults.borrow().cluster(Kind::ClockSkew, &self.place).and_then(|skew| skew.fault.by).unwrap_or_default()
    }
}

impl api::Backend for Api {
    fn store(&self) -> &Shared {
        &self.store
    }

    fn version(&self) -> String {
        let version = self.cluster.upgrade().and_then(|served| lock(&served.cluster).kubernetes());
        version.map(|version| format!("v{version}")).unwrap_or_default()
    }

    fn now(&self) -> Timestamp {
        let now = Timestamp::now();
        now.saturating_add(self.clock()).unwrap_or(now)
    }

    fn admit<'a>(&'a self, request: &'a api::Attributes) -> BoxFuture<'a, Result<(), api::Refusal>> {
        Box::pin(async move {
            let mut faults = self.faults.clone();
            // An error only tells that all ends.
            let _ = faults.wait_for(|faults| faults.cluster(Kind::ApiSilent, &self.place).is_none()).await;
            let slow = faults.borrow().cluster(Kind::ApiSlow, &self.place).and_then(|slow| slow.fault.by);
            if let Some(late) = slow.and_then(|by| Duration::try_from(by).ok()) {
                let ended = faults.wait_for(|faults| faults.cluster(Kind::ApiSlow, &self.place).is_none());
                let _ = tokio::time::timeout(late, ended).await;
            }
            // TLS has looked at the certificate with this machine's own clock.
            if !self.clock().is_zero() && request.identity.as_ref().is_some_and(|client| !client.holds(self.now())) {
                return Err(api::Refusal::new(StatusCode::UNAUTHORIZED, "Unauthorized", "Unauthorized".to_owned()));
            }
            Ok(())
        })
    }

    fn render(&self, object: &Object) -> Option<Value> {
        if object.resource() != "leases.coordination.k8s.io" || object.namespace() != "kube-node-lease" {
            return None;
        }
        let served = self.cluster.upgrade()?;
        if !served.up.read().unwrap_or_else(PoisonError::into_inner).contains(object.name()) {
            return None;
        }
        let mut lease = object.value();
        lease["spec"]["renewTime"] = self.now().strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string().into();
        Some(lease)
    }

    fn connect<'a>(&'a self, namespace: &'a str, pod: &'a str, port: u16) -> BoxFuture<'a, io::Result<DuplexStream>> {
        Box::pin(async move {
            let refused =
                || io::Error::new(io::ErrorKind::ConnectionRefused, format!("nothing listens on port {port} of pod {namespace}/{pod}"));
            let served = self.cluster.upgrade().ok_or_else(refused)?;
            if namespace != "kube-system" {
                return Err(refused());
            }
            if let Some(node) = pod.strip_prefix("etcd-").filter(|_| port == 2379) {
                let cluster = lock(&served.cluster);
                // The kubelet connects.
                if !cluster.is_up(node) {
                    return Err(refused());
                }
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
