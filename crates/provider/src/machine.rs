//! InfraMachines on the engine.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use capstead_capi::condition::Report;
use capstead_capi::lifecycle::{self, Object, Referred};
use capstead_capi::machine::{Bootstrap, Cluster as ClusterGate, Lifecycle, MachineProvider, Observed, Owner, Status, Subject};
use capstead_capi::meta;
use capstead_capi::ownership::Claim;
use capstead_capi::provider::{InfraCluster, InfraMachine, InfraObject};
use capstead_capi::types::ProviderId;
use capstead_capi::views::{Cluster, Machine as CoreMachine};
use capstead_engine::{Kind, Name, News, Store};
use capstead_reconcile::{Outcome, Timestamp, later};
use kube::{Client, Resource, ResourceExt};
use serde_json::{Value, json};

use crate::bootstrap::{self, BootstrapData};
use crate::core::{self, Sought};
use crate::facts::{ClusterFacts, MachineFacts};
use crate::keeper::{Known, Life, Scene, Sight};

/// The half of a provider of machines that reaches outside: it looks, and carries out the steps that its [`MachineProvider`] decides on.
pub trait MachineRuntime: Send + Sync + Sized + 'static {
    /// The decisions.
    type Provider: MachineProvider<Wish: Send + Sync, Observed: Clone + Default + Send + Sync, Step: Send + Sync> + 'static;
    /// The InfraMachine kind, in its storage version.
    type Object: InfraMachine + Kind;
    /// The InfraCluster kind, in its storage version.
    type Cluster: InfraCluster + Kind;

    /// What the machine should be.
    fn wish(&self, machine: &Machine<Self>) -> WishOf<Self>;

    /// What is outside of the machine, where its claim says or where it would be made; and when that look began. A look that began before `not_before` is
    /// not good enough. `None` when a look is under way, after which the machine is asked for again.
    fn look(
        &self,
        machine: &Machine<Self>,
        subject: &Subject<'_>,
        wish: &WishOf<Self>,
        not_before: Option<Timestamp>,
    ) -> impl Future<Output = Option<(Option<Timestamp>, ObservedOf<Self>)>> + Send;

    /// Performs a step.
    fn apply(&self, machine: &Machine<Self>, claim: &Claim, step: &EffectOf<Self>) -> impl Future<Output = Outcome> + Send;

    /// How long a step may take before its reply counts as lost.
    fn deadline(&self, step: &EffectOf<Self>) -> Duration;

    /// What to tell people of a step that was done; nothing, if nothing else is said.
    fn news(&self, _claim: &Claim, _step: &EffectOf<Self>) -> Option<News> {
        None
    }

    /// What the provider's own kind tells beside the contract's status.
    fn tell(_object: &mut Self::Object, _seen: &ObservedOf<Self>) {}

    /// The machine is gone, and nothing is to be remembered of it. A provider that remembers nothing leaves it as it is.
    fn forget(&self, _machine: &Name) {}
}

/// A provider's wish for a machine.
pub type WishOf<R> = <<R as MachineRuntime>::Provider as MachineProvider>::Wish;
/// What a provider sees of a machine.
pub type ObservedOf<R> = <<R as MachineRuntime>::Provider as MachineProvider>::Observed;
/// A provider's step.
pub type EffectOf<R> = <<R as MachineRuntime>::Provider as MachineProvider>::Step;

/// One machine, as a provider is asked about it.
pub struct Machine<R: MachineRuntime> {
    /// Its name.
    pub name: Name,
    /// The InfraMachine.
    pub object: Arc<R::Object>,
    /// The InfraCluster, when there is one.
    pub cluster: Option<Arc<R::Cluster>>,
    /// The Cluster's name, when known.
    pub cluster_name: Option<String>,
    /// The name of its Machine's Node, when there is one.
    pub node: Option<String>,
    client: Client,
    secret: Option<String>,
    data: Option<BootstrapData>,
    outside: ObservedOf<R>,
}

impl<R: MachineRuntime> fmt::Debug for Machine<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Machine").field("name", &self.name).field("cluster", &self.cluster_name).finish_non_exhaustive()
    }
}

impl<R: MachineRuntime> Machine<R> {
    /// The bootstrap data, read now if it was not read for this pass.
    ///
    /// # Errors
    /// The outcome of a step that cannot do without.
    pub async fn bootstrap_data(&self) -> Result<BootstrapData, Outcome> {
        if let Some(data) = &self.data {
            return Ok(data.clone());
        }
        let Some(secret) = &self.secret else {
            return Err(Outcome::Gone);
        };
        match bootstrap::read(&self.client, &self.name.namespace, secret).await {
            Ok((_, Some(data))) => Ok(data),
            Ok((_, None)) => Err(Outcome::transient(format!("Secret {secret} holds no bootstrap data any more"))),
            Err(error) => Err(capstead_engine::outcome(&error)),
        }
    }
}

/// The life of a provider's InfraMachines.
pub(crate) struct MachineLife<R: MachineRuntime> {
    pub(crate) runtime: Arc<R>,
    pub(crate) client: Client,
    pub(crate) filter: String,
    pub(crate) machines: Arc<Store<MachineFacts>>,
    pub(crate) clusters: Arc<Store<ClusterFacts>>,
    pub(crate) infra_clusters: Arc<Store<R::Cluster>>,
    /// The Secrets seen to hold data: they need not be read again before a machine is made.
    pub(crate) ready_data: Mutex<HashMap<Name, String>>,
}

/// How often to look for a Secret that is missing or empty: nobody watches Secrets, which are many and large.
const SECRET: Duration = Duration::from_secs(5);

/// How long core may take to make a Machine the owner of its InfraMachine before it is worth asking why.
const ADOPTION: Duration = Duration::from_secs(10);

/// Everything core says of an InfraMachine.
struct Core {
    owner: Referred<Arc<MachineFacts>>,
    cluster_name: Option<String>,
    cluster: Referred<Arc<ClusterFacts>>,
}

impl<R: MachineRuntime> MachineLife<R> {
    async fn core(&self, object: &R::Object, name: &Name) -> Result<Core, Sight<Self>> {
        let deleting = object.meta().deletion_timestamp.is_some();
        let owner = match meta::owner_machine(object) {
            None => self.unowned(object, name),
            Some(owner) => {
                let name = Name::new(&name.namespace, &owner.name);
                match core::find::<CoreMachine, _>(&self.client, &self.machines, &name, Some(&owner.uid), |facts| &facts.uid, !deleting)
                    .await
                {
                    Sought::Known(owner) => owner,
                    Sought::Soon => return Err(Sight::Soon),
                    Sought::Failed(cause) => return Err(Sight::Failed(cause)),
                }
            }
        };
        // A Machine that is gone cannot say it, the label on its InfraMachine can.
        let cluster_name = match &owner {
            Referred::Found(owner) => Some(owner.cluster.clone()).filter(|name| !name.is_empty()),
            _ => meta::cluster_name(object).map(str::to_owned),
        };
        let cluster = match &cluster_name {
            None => Referred::NotSet,
            Some(cluster) => {
                let name = Name::new(&name.namespace, cluster);
                match core::find::<Cluster, _>(&self.client, &self.clusters, &name, None, |facts| &facts.uid, !deleting).await {
                    Sought::Known(cluster) => cluster,
                    Sought::Soon => return Err(Sight::Soon),
                    Sought::Failed(cause) => return Err(Sight::Failed(cause)),
                }
            }
        };
        Ok(Core { owner, cluster_name, cluster })
    }

    /// Why an object has no owner, when core has had time to set one.
    fn unowned(&self, object: &R::Object, name: &Name) -> Referred<Arc<MachineFacts>> {
        let old = object.creation_timestamp().is_none_or(|created| later(created.0, ADOPTION) < Timestamp::now());
        if !old {
            return Referred::NotSet;
        }
        let refers = |machine: &MachineFacts| machine.infrastructure.to::<R::Object>() == Some(name.name.as_str());
        let machine = self.machines.names(refers).into_iter().find(|machine| machine.namespace == name.namespace);
        let Some(machine) = machine else {
            return Referred::Astray { why: "is not there: no Machine's spec.infrastructureRef names this object".into() };
        };
        let cluster = self.machines.get(&machine).map(|facts| facts.cluster.clone()).unwrap_or_default();
        if self.clusters.get(&Name::new(&name.namespace, &cluster)).is_some() {
            return Referred::NotSet;
        }
        Referred::Astray { why: format!("{} has spec.clusterName {cluster:?}, and no such Cluster exists", machine.name) }
    }

    /// What is there of the bootstrap data. It is read only when a machine is about to be made.
    async fn data(&self, name: &Name, secret: Option<&str>, wanted: bool) -> Result<(Bootstrap, Option<BootstrapData>), kube::Error> {
        let Some(secret) = secret else {
            return Ok((Bootstrap::NotSet, None));
        };
        let known = || self.ready_data.lock().unwrap_or_else(PoisonError::into_inner);
        if !wanted || known().get(name).is_some_and(|known| known == secret) {
            return Ok((Bootstrap::Ready, None));
        }
        let read = bootstrap::read(&self.client, &name.namespace, secret).await?;
        if read.1.is_some() {
            known().insert(name.clone(), secret.to_owned());
        }
        Ok(read)
    }
}

impl<R: MachineRuntime> Life for MachineLife<R> {
    type Object = R::Object;
    type Effect = EffectOf<R>;
    type Stored = ProviderId;
    type Told = Status;
    type Wish = WishOf<R>;
    type Observed = Observed<ObservedOf<R>>;
    type Cycle = Lifecycle<R::Provider>;
    type Scope = Machine<R>;

    const LANDING: Duration = R::Provider::LANDING;

    async fn observe(&self, object: &Arc<R::Object>, known: &Known) -> Sight<Self> {
        let name = Name::of(&**object);
        let facts = Object::of(&**object, &self.filter);
        let core = match self.core(object, &name).await {
            Ok(core) => core,
            Err(sight) => return sight,
        };
        let gate = match &core.cluster {
            Referred::Found(cluster) => Referred::Found(cluster.gate),
            Referred::Missing { name } => Referred::Missing { name: name.clone() },
            Referred::NotSet | Referred::Astray { .. } => Referred::NotSet,
        };
        let open = matches!(gate, Referred::Found(ClusterGate { infrastructure_provisioned: true, paused: false }));
        let provider_id = object.provider_id().cloned();
        let secret = match &core.owner {
            Referred::Found(owner) => owner.data_secret.clone(),
            _ => None,
        };
        let wanted = open && !facts.deleting && provider_id.is_none();
        let (bootstrap, data) = match self.data(&name, secret.as_deref(), wanted).await {
            Ok(read) => read,
            Err(error) => return Sight::Failed(capstead_engine::error_chain(&error)),
        };
        let waits_for_data = matches!(bootstrap, Bootstrap::Missing { .. } | Bootstrap::WithoutValue { .. });
        let ready = bootstrap == Bootstrap::Ready && open;
        let node = match &core.owner {
            Referred::Found(owner) => owner.node.clone(),
            _ => None,
        };
        let owner = match core.owner {
            Referred::NotSet => Referred::NotSet,
            Referred::Astray { why } => Referred::Astray { why },
            Referred::Missing { name } => Referred::Missing { name },
            Referred::Found(owner) => {
                Referred::Found(Owner { failure_domain: owner.failure_domain.clone(), control_plane: owner.control_plane, bootstrap })
            }
        };
        let cluster = match &core.cluster {
            Referred::Found(facts) => facts.infrastructure.as_ref().and_then(|reference| reference.to::<R::Cluster>()),
            _ => None,
        };
        let cluster = cluster.and_then(|cluster| self.infra_clusters.get(&Name::new(&name.namespace, cluster)));
        let mut scope = Machine {
            name,
            object: Arc::clone(object),
            cluster,
            cluster_name: core.cluster_name,
            node,
            client: self.client.clone(),
            secret,
            data,
            outside: ObservedOf::<R>::default(),
        };
        let wish = self.runtime.wish(&scope);
        let mut looked = None;
        // Before the gates are open nothing outside is of interest.
        if facts.claim.is_some() || (ready && !facts.deleting && matches!(owner, Referred::Found(_))) {
            let subject = subject(&facts, provider_id.as_ref(), &owner);
            let Some((began, outside)) = self.runtime.look(&scope, &subject, &wish, known.not_before(Timestamp::now())).await else {
                return Sight::UnderWay;
            };
            looked = began;
            scope.outside = outside;
        }
        let poll = match &owner {
            Referred::NotSet | Referred::Astray { .. } => Some(ADOPTION),
            _ => waits_for_data.then_some(SECRET),
        };
        let told = object.contract_status().cloned().unwrap_or_default();
        let seen = Observed {
            provider_id,
            status_current: lifecycle::current(&told.conditions, object.meta().generation),
            status: Status::read(&told),
            owner,
            cluster: gate,
            grounds: known.grounds,
            looked,
            failure: known.failure.clone(),
            outside: scope.outside.clone(),
            object: facts,
        };
        Sight::Scene(Box::new(Scene { wish, seen, scope, looked, poll }))
    }

    async fn effect(&self, scope: &Machine<R>, claim: &Claim, step: &EffectOf<R>) -> Outcome {
        self.runtime.apply(scope, claim, step).await
    }

    fn deadline(&self, step: &EffectOf<R>) -> Duration {
        self.runtime.deadline(step)
    }

    fn news(&self, claim: &Claim, step: &EffectOf<R>) -> Option<News> {
        self.runtime.news(claim, step)
    }

    fn is_new(object: &R::Object) -> bool {
        object.provider_id().is_none()
    }

    fn stored(id: &ProviderId) -> Value {
        json!({"spec": {"providerID": id}})
    }

    fn write(scope: &Machine<R>, told: &Status, object: &mut R::Object, now: Timestamp) {
        let generation = object.meta().generation;
        told.write(object.contract_status_mut(), generation, now);
        R::tell(object, &scope.outside);
    }

    fn conditions(told: &Status) -> &[Report] {
        &told.conditions
    }

    fn forget(&self, name: &Name) {
        self.ready_data.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
        self.runtime.forget(name);
    }
}

fn subject<'a>(facts: &'a Object, provider_id: Option<&'a ProviderId>, owner: &'a Referred<Owner>) -> Subject<'a> {
    let owner = match owner {
        Referred::Found(owner) => Some(owner),
        _ => None,
    };
    Subject {
        namespace: &facts.namespace,
        name: &facts.name,
        provider_id,
        failure_domain: owner.and_then(|owner| owner.failure_domain.as_deref()),
        control_plane: owner.is_some_and(|owner| owner.control_plane),
    }
}
