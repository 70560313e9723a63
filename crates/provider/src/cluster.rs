//! InfraClusters on the engine.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use capstead_capi::cluster::{ClusterProvider, Lifecycle, Observed, Owner, Status};
use capstead_capi::condition::Report;
use capstead_capi::lifecycle::{self, Object, Referred};
use capstead_capi::meta;
use capstead_capi::ownership::Claim;
use capstead_capi::provider::{InfraCluster, InfraMachine, InfraObject};
use capstead_capi::types::ApiEndpoint;
use capstead_capi::views;
use capstead_engine::{Kind, Name, News, Store};
use capstead_reconcile::{Outcome, Timestamp};
use kube::api::ListParams;
use kube::{Api, Client, Resource};
use serde_json::{Value, json};

use crate::core::{self, Sought};
use crate::facts::ClusterFacts;
use crate::keeper::{Known, Life, Scene, Sight};

/// The half of a provider of clusters that reaches outside; see [`crate::MachineRuntime`].
pub trait ClusterRuntime: Send + Sync + Sized + 'static {
    /// The decisions.
    type Provider: ClusterProvider<Wish: Send + Sync, Observed: Clone + Default + Send + Sync, Step: Send + Sync> + 'static;
    /// The InfraCluster kind, in its storage version.
    type Object: InfraCluster + Kind;

    /// What the cluster should be.
    fn wish(&self, cluster: &Cluster<Self>) -> WishOf<Self>;

    /// What is outside of the cluster, and when that look began; as [`crate::MachineRuntime::look`]. A provider with nothing outside looked just now.
    fn look(
        &self,
        cluster: &Cluster<Self>,
        wish: &WishOf<Self>,
        not_before: Option<Timestamp>,
    ) -> impl Future<Output = Option<(Option<Timestamp>, ObservedOf<Self>)>> + Send;

    /// Performs a step.
    fn apply(&self, cluster: &Cluster<Self>, claim: &Claim, step: &EffectOf<Self>) -> impl Future<Output = Outcome> + Send;

    /// How long a step may take before its reply counts as lost.
    fn deadline(&self, step: &EffectOf<Self>) -> Duration;

    /// What to tell people of a step that was done; nothing, if nothing else is said.
    fn news(&self, _claim: &Claim, _step: &EffectOf<Self>) -> Option<News> {
        None
    }

    /// The cluster is gone, and nothing is to be remembered of it. A provider that remembers nothing leaves it as it is.
    fn forget(&self, _cluster: &Name) {}
}

/// A provider's wish for a cluster.
pub type WishOf<R> = <<R as ClusterRuntime>::Provider as ClusterProvider>::Wish;
/// What a provider sees of a cluster.
pub type ObservedOf<R> = <<R as ClusterRuntime>::Provider as ClusterProvider>::Observed;
/// A provider's step.
pub type EffectOf<R> = <<R as ClusterRuntime>::Provider as ClusterProvider>::Step;

/// One cluster, as a provider is asked about it.
pub struct Cluster<R: ClusterRuntime> {
    /// Its name.
    pub name: Name,
    /// The InfraCluster.
    pub object: Arc<R::Object>,
    /// Where its control plane is reached, from the InfraCluster or else from the Cluster, when known.
    pub endpoint: Option<ApiEndpoint>,
    /// Whether its Cluster is paused.
    pub paused: bool,
}

impl<R: ClusterRuntime> fmt::Debug for Cluster<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The life of a provider's InfraClusters, whose machines are of kind `M`.
pub(crate) struct ClusterLife<R: ClusterRuntime, M> {
    pub(crate) runtime: Arc<R>,
    pub(crate) client: Client,
    pub(crate) filter: String,
    pub(crate) clusters: Arc<Store<ClusterFacts>>,
    pub(crate) infra_machines: Arc<Store<M>>,
}

/// While machines are waited for: their watch says sooner that the last one went.
const MACHINES: Duration = Duration::from_secs(5);

impl<R: ClusterRuntime, M: InfraMachine + Kind> ClusterLife<R, M> {
    /// How many InfraMachines the cluster has. That there are none is the API server's own word: the watch may not have brought the newest yet.
    async fn machines(&self, namespace: &str, cluster: &str) -> Result<usize, kube::Error> {
        let of_cluster = |machine: &M| meta::cluster_name(machine) == Some(cluster) && machine.namespace().as_deref() == Some(namespace);
        let known = self.infra_machines.count(of_cluster);
        if known > 0 {
            return Ok(known);
        }
        let params = ListParams::default().labels(&format!("{}={cluster}", meta::label::CLUSTER_NAME));
        Ok(Api::<M>::namespaced(self.client.clone(), namespace).list_metadata(&params).await?.items.len())
    }
}

impl<R: ClusterRuntime, M: InfraMachine + Kind> Life for ClusterLife<R, M> {
    type Object = R::Object;
    type Effect = EffectOf<R>;
    type Stored = ApiEndpoint;
    type Told = Status;
    type Wish = WishOf<R>;
    type Observed = Observed<ObservedOf<R>>;
    type Cycle = Lifecycle<R::Provider>;
    type Scope = Cluster<R>;

    const LANDING: Duration = R::Provider::LANDING;

    async fn observe(&self, object: &Arc<R::Object>, known: &Known) -> Sight<Self> {
        let name = Name::of(&**object);
        let facts = Object::of(&**object, &self.filter);
        let owner_name = meta::owner_cluster(&**object).map(|owner| owner.name.clone());
        let owner = match meta::owner_cluster(&**object) {
            None => Referred::NotSet,
            Some(owner) => {
                let name = Name::new(&name.namespace, &owner.name);
                let uid = Some(owner.uid.as_str());
                match core::find::<views::Cluster, _>(&self.client, &self.clusters, &name, uid, |facts| &facts.uid, !facts.deleting).await {
                    Sought::Known(Referred::Found(owner)) => {
                        Referred::Found(Owner { paused: owner.gate.paused, endpoint: owner.endpoint.clone() })
                    }
                    Sought::Known(Referred::Missing { name }) => Referred::Missing { name },
                    Sought::Known(Referred::NotSet | Referred::Astray { .. }) => Referred::NotSet,
                    Sought::Soon => return Sight::Soon,
                    Sought::Failed(cause) => return Sight::Failed(cause),
                }
            }
        };
        let cluster_name = owner_name.as_deref().or_else(|| meta::cluster_name(&**object));
        let machines = match cluster_name.filter(|_| facts.deleting) {
            None => 0,
            Some(cluster) => match self.machines(&name.namespace, cluster).await {
                Ok(machines) => machines,
                Err(error) => return Sight::Failed(capstead_engine::error_chain(&error)),
            },
        };
        let endpoint = object.control_plane_endpoint().filter(|endpoint| endpoint.is_whole()).cloned();
        let (paused, of_owner) = match &owner {
            Referred::Found(owner) => (owner.paused, owner.endpoint.clone()),
            _ => (false, None),
        };
        let scope = Cluster { name, object: Arc::clone(object), endpoint: endpoint.clone().or(of_owner), paused };
        let wish = self.runtime.wish(&scope);
        let Some((looked, outside)) = self.runtime.look(&scope, &wish, known.not_before(Timestamp::now())).await else {
            return Sight::UnderWay;
        };
        let told = object.contract_status().cloned().unwrap_or_default();
        let seen = Observed {
            endpoint,
            status_current: lifecycle::current(&told.conditions, object.meta().generation),
            status: Status::read(&told),
            owner,
            machines,
            grounds: known.grounds,
            looked,
            failure: known.failure.clone(),
            outside,
            object: facts,
        };
        Sight::Scene(Box::new(Scene { wish, seen, scope, looked, poll: (machines > 0).then_some(MACHINES) }))
    }

    async fn effect(&self, scope: &Cluster<R>, claim: &Claim, step: &EffectOf<R>) -> Outcome {
        self.runtime.apply(scope, claim, step).await
    }

    fn deadline(&self, step: &EffectOf<R>) -> Duration {
        self.runtime.deadline(step)
    }

    fn news(&self, claim: &Claim, step: &EffectOf<R>) -> Option<News> {
        self.runtime.news(claim, step)
    }

    fn stored(endpoint: &ApiEndpoint) -> Value {
        json!({"spec": {"controlPlaneEndpoint": endpoint}})
    }

    fn write(_: &Cluster<R>, told: &Status, object: &mut R::Object, now: Timestamp) {
        let generation = object.meta().generation;
        told.write(object.contract_status_mut(), generation, now);
    }

    fn conditions(told: &Status) -> &[Report] {
        &told.conditions
    }

    fn forget(&self, name: &Name) {
        self.runtime.forget(name);
    }
}
