//! Wiring: watches, stores, queues and controllers of one provider.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use capstead_capi::meta;
use capstead_engine::metrics::Metrics;
use capstead_engine::{Events, Name, Queue, Store, controller, watch};
use capstead_reconcile::Timestamp;
use futures::future::select_all;
use kube::core::{DeserializeGuard, NamespaceResourceScope};
use kube::{Api, Client, Resource, ResourceExt};

use crate::cluster::{ClusterLife, ClusterRuntime};
use crate::facts::{ClusterFacts, LeanCluster, LeanMachine, MachineFacts};
use crate::keeper::Keeper;
use crate::machine::{MachineLife, MachineRuntime};

/// What a manager handles, and how eagerly.
#[derive(Clone, Debug)]
pub struct Options {
    /// Only objects of this namespace; all, when `None`.
    pub namespace: Option<String>,
    /// Only objects whose label `cluster.x-k8s.io/watch-filter` has this value; all, when empty.
    pub watch_filter: String,
    /// InfraMachines looked at at once.
    pub machine_workers: usize,
    /// InfraClusters looked at at once.
    pub cluster_workers: usize,
    /// How often to look at every object although nothing was heard of it.
    pub sync_period: Duration,
}

/// How a provider asks for another look at one of its objects.
#[derive(Clone, Debug)]
pub struct Wake(pub(crate) Arc<Queue<Name>>);

impl Wake {
    /// Asks for a look now.
    pub fn wake(&self, name: Name) {
        self.0.add(name);
    }
}

/// The two halves of a provider that reach outside.
#[derive(Debug)]
pub struct Runtimes<M, C> {
    /// For machines.
    pub machines: Arc<M>,
    /// For clusters.
    pub clusters: Arc<C>,
}

/// Why a manager ended.
#[derive(Debug, thiserror::Error)]
pub enum ManagerError {
    /// A worker panicked: a bug after which nothing is certain.
    #[error("a worker panicked")]
    Worker(#[source] tokio::task::JoinError),
}

/// The clients of a manager.
#[derive(Clone)]
pub struct Clients {
    /// For objects.
    pub objects: Client,
    /// For events: they have a rate of their own, so that news never holds up work.
    pub events: Client,
}

impl std::fmt::Debug for Clients {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Clients")
    }
}

type Task = Pin<Box<dyn Future<Output = Result<(), ManagerError>> + Send>>;

/// Runs the controllers of a provider until one fails. Must begin only when this process is the only one to act: what an earlier one sent may still land,
/// and is reckoned with from now on. `make` makes the runtimes; `name` is the manager's name: field manager, reporter of events.
///
/// # Errors
/// When a worker panicked.
pub async fn run<M, C>(
    clients: Clients,
    metrics: &Metrics,
    options: &Options,
    name: &'static str,
    make: impl FnOnce(Wake, Wake) -> Runtimes<M, C>,
) -> Result<(), ManagerError>
where
    M: MachineRuntime<Cluster = C::Object>,
    C: ClusterRuntime,
{
    let kind = |kind: &str| kind.to_ascii_lowercase();
    let (machine_kind, cluster_kind) = (kind(&M::Object::kind(&())), kind(&C::Object::kind(&())));
    let machine_queue = Arc::new(Queue::new(metrics.queue(&machine_kind)));
    let cluster_queue = Arc::new(Queue::new(metrics.queue(&cluster_kind)));
    let Runtimes { machines: machine_runtime, clusters: cluster_runtime } =
        make(Wake(Arc::clone(&machine_queue)), Wake(Arc::clone(&cluster_queue)));
    let stores = Stores::<M::Object, C::Object>::default();
    let (events, send_events) = Events::new(clients.events.clone(), name);
    let client = &clients.objects;
    let since = Timestamp::now();

    let mut tasks = watches::<M, C>(client, options, &stores, &machine_queue, &cluster_queue);
    tasks.push(Box::pin(async move {
        send_events.await;
        Ok(())
    }));
    tasks.push(Box::pin(resync(stores.clone(), Arc::clone(&machine_queue), Arc::clone(&cluster_queue), options.sync_period)));

    let life = MachineLife {
        runtime: machine_runtime,
        client: client.clone(),
        filter: options.watch_filter.clone(),
        machines: Arc::clone(&stores.machines),
        clusters: Arc::clone(&stores.clusters),
        infra_clusters: Arc::clone(&stores.infra_clusters),
        ready_data: Mutex::default(),
    };
    let keeper = Keeper::new(life, client.clone(), Arc::clone(&stores.infra_machines), events.clone(), name, since);
    tasks.push(work(stores.clone(), keeper, machine_queue, options.machine_workers, metrics.controller(&machine_kind)));
    let life = ClusterLife {
        runtime: cluster_runtime,
        client: client.clone(),
        filter: options.watch_filter.clone(),
        clusters: Arc::clone(&stores.clusters),
        infra_machines: Arc::clone(&stores.infra_machines),
    };
    let keeper = Keeper::new(life, client.clone(), Arc::clone(&stores.infra_clusters), events, name, since);
    tasks.push(work(stores, keeper, cluster_queue, options.cluster_workers, metrics.controller(&cluster_kind)));
    select_all(tasks).await.0
}

/// Begins when every watch has brought what is there.
fn work<C: controller::Controller, M: Send + Sync + 'static, I: Send + Sync + 'static>(
    stores: Stores<M, I>,
    keeper: C,
    queue: Arc<Queue<Name>>,
    workers: usize,
    metrics: capstead_engine::metrics::ControllerMetrics,
) -> Task {
    Box::pin(async move {
        stores.synced().await;
        controller::run(Arc::new(keeper), queue, workers, metrics).await.map_err(ManagerError::Worker)
    })
}

/// What the watches know.
struct Stores<M, C> {
    machines: Arc<Store<MachineFacts>>,
    clusters: Arc<Store<ClusterFacts>>,
    infra_machines: Arc<Store<M>>,
    infra_clusters: Arc<Store<C>>,
}

impl<M, C> Default for Stores<M, C> {
    fn default() -> Self {
        Self { machines: Arc::default(), clusters: Arc::default(), infra_machines: Arc::default(), infra_clusters: Arc::default() }
    }
}

impl<M, C> Clone for Stores<M, C> {
    fn clone(&self) -> Self {
        let Self { machines, clusters, infra_machines, infra_clusters } = self;
        Self {
            machines: Arc::clone(machines),
            clusters: Arc::clone(clusters),
            infra_machines: Arc::clone(infra_machines),
            infra_clusters: Arc::clone(infra_clusters),
        }
    }
}

impl<M, C> Stores<M, C> {
    async fn synced(&self) {
        self.machines.synced().await;
        self.clusters.synced().await;
        self.infra_machines.synced().await;
        self.infra_clusters.synced().await;
    }
}

/// One watch per kind, and whom each change concerns.
fn watches<M, C>(
    client: &Client,
    options: &Options,
    stores: &Stores<M::Object, C::Object>,
    machine_queue: &Arc<Queue<Name>>,
    cluster_queue: &Arc<Queue<Name>>,
) -> Vec<Task>
where
    M: MachineRuntime<Cluster = C::Object>,
    C: ClusterRuntime,
{
    let Stores { machines, clusters, infra_machines, infra_clusters } = stores.clone();
    let namespace = options.namespace.as_deref();
    // The InfraMachines of one cluster.
    let of_cluster = {
        let (machines, queue) = (Arc::clone(&machines), Arc::clone(machine_queue));
        move |cluster: &Name| {
            for name in
                machines.names(|machine| machine.cluster == cluster.name).into_iter().filter(|name| name.namespace == cluster.namespace)
            {
                if let Some(infra) = machines.get(&name).and_then(|machine| machine.infrastructure.to::<M::Object>().map(str::to_owned)) {
                    queue.add(Name::new(&name.namespace, infra));
                }
            }
        }
    };
    let machine_queue = Arc::clone(machine_queue);
    let concerned = Arc::clone(&machine_queue);
    let machine = watched(api(client, namespace), machines, LeanMachine::into, move |name, before: Option<&MachineFacts>, now| {
        if before != now
            && let Some(infra) = now.or(before).and_then(|machine| machine.infrastructure.to::<M::Object>())
        {
            concerned.add(Name::new(&name.namespace, infra));
        }
    });
    let (concerned, of_this) = (Arc::clone(cluster_queue), of_cluster.clone());
    let cluster = watched(api(client, namespace), clusters, LeanCluster::into, move |name, before: Option<&ClusterFacts>, now| {
        if before == now {
            return;
        }
        if let Some(infra) = now.or(before).and_then(|cluster| cluster.infrastructure.as_ref()).and_then(|infra| infra.to::<C::Object>()) {
            concerned.add(Name::new(&name.namespace, infra));
        }
        if before.map(|cluster| cluster.gate) != now.map(|cluster| cluster.gate) {
            of_this(name);
        }
    });
    let waiting = Arc::clone(cluster_queue);
    let clusters_of = Arc::clone(&infra_clusters);
    let infra_machine = watched(api(client, namespace), infra_machines, lean, move |name, before: Option<&M::Object>, now| {
        machine_queue.add(name.clone());
        // The last machine's going lets its cluster go.
        if now.is_none()
            && let Some(cluster) = before.and_then(|machine| meta::cluster_name(machine))
        {
            for infra in clusters_of.names(|infra| infra.meta().deletion_timestamp.is_some() && belongs(infra, cluster)) {
                waiting.add(infra);
            }
        }
    });
    let concerned = Arc::clone(cluster_queue);
    let infra_cluster = watched(api(client, namespace), infra_clusters, lean, move |name, before: Option<&C::Object>, now| {
        concerned.add(name.clone());
        let wish = |infra: Option<&C::Object>| infra.map(|infra| (infra.uid(), infra.meta().generation));
        if wish(before) != wish(now)
            && let Some(cluster) = now.or(before).and_then(|infra| meta::owner_cluster(infra))
        {
            of_cluster(&Name::new(&name.namespace, &cluster.name));
        }
    });
    vec![machine, cluster, infra_machine, infra_cluster]
}

fn belongs(infra: &impl ResourceExt, cluster: &str) -> bool {
    meta::cluster_name(infra) == Some(cluster) || meta::owner_cluster(infra).is_some_and(|owner| owner.name == cluster)
}

/// An object without what nobody reads.
pub(crate) fn lean<K: ResourceExt>(mut object: K) -> K {
    object.managed_fields_mut().clear();
    object
}

pub(crate) fn api<K: Resource<DynamicType = (), Scope = NamespaceResourceScope>>(
    client: &Client,
    namespace: Option<&str>,
) -> Api<DeserializeGuard<K>> {
    match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    }
}

fn watched<K, V>(
    api: Api<DeserializeGuard<K>>,
    store: Arc<Store<V>>,
    keep: impl Fn(K) -> V + Send + Sync + 'static,
    changed: impl Fn(&Name, Option<&V>, Option<&V>) + Send + Sync + 'static,
) -> Task
where
    K: Resource<DynamicType = ()> + Clone + serde::de::DeserializeOwned + std::fmt::Debug + Send + 'static,
    V: Send + Sync + 'static,
{
    Box::pin(async move {
        watch::keep(api, store, keep, changed).await;
        Ok(())
    })
}

/// Looks at everything now and then.
async fn resync<M: Send + Sync + 'static, C: Send + Sync + 'static>(
    stores: Stores<M, C>,
    machines: Arc<Queue<Name>>,
    clusters: Arc<Queue<Name>>,
    period: Duration,
) -> Result<(), ManagerError> {
    // Zero means never, and not all the time.
    if period.is_zero() {
        return std::future::pending().await;
    }
    loop {
        tokio::time::sleep(period).await;
        stores.infra_machines.names(|_| true).into_iter().for_each(|name| machines.add(name));
        stores.infra_clusters.names(|_| true).into_iter().for_each(|name| clusters.add(name));
    }
}
