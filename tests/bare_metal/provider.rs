//! A whole provider: its kinds, its decisions, and the half that reaches outside.
//!
//! Its machines are hosts of a pool. A machine takes one that is free; then the host is given an image, joins the network and is switched on, one after
//! the other. The same way backwards it is given back, and another image means down and up again.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use capstead_capi::Contract;
use capstead_capi::cluster::{self, ClusterProvider};
use capstead_capi::crd::ContractKind;
use capstead_capi::lifecycle::{Absent, Blocked, Present};
use capstead_capi::machine::{self, MachineProvider};
use capstead_capi::ownership::Claim;
use capstead_capi::provider::{InfraCluster, InfraClusterStatus, InfraMachine, InfraMachineStatus, InfraObject};
use capstead_capi::types::{ApiEndpoint, ProviderId};
use capstead_engine::{Name, News};
use capstead_provider::{Cluster, ClusterRuntime, Machine, MachineRuntime, Runtimes, Wake};
use capstead_reconcile::{Outcome, Plan, Timestamp};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::pool::{Change, Host, Outside, Owner, Pool};

// ---- The kinds. -------------------------------------------------------------------------------------------------------------------------------------

/// Wants a cluster of hosts.
#[derive(CustomResource, Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[kube(group = "infrastructure.cluster.x-k8s.io", version = "v1alpha1", kind = "MetalCluster", namespaced, status = "InfraClusterStatus")]
#[serde(rename_all = "camelCase")]
pub struct MetalClusterSpec {
    /// Where the cluster's API server is reached.
    pub control_plane_endpoint: Option<ApiEndpoint>,
}

/// Wants a host.
#[derive(CustomResource, Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[kube(group = "infrastructure.cluster.x-k8s.io", version = "v1alpha1", kind = "MetalMachine", namespaced, status = "InfraMachineStatus")]
pub struct MetalMachineSpec {
    /// What the host runs.
    pub image: String,
    /// `metal://<host>/<token>`, as soon as there is a host.
    #[serde(rename = "providerID")]
    pub provider_id: Option<ProviderId>,
}

macro_rules! infra_object {
    ($($kind:ident, $status:ident, $finalizer:literal;)*) => {$(
        impl ContractKind for $kind {
            const CONTRACTS: &'static [Contract] = &[Contract::V1Beta2];
            const FINALIZER: &'static str = $finalizer;
        }

        impl InfraObject for $kind {
            type Status = $status;

            fn contract_status(&self) -> Option<&$status> {
                self.status.as_ref()
            }

            fn contract_status_mut(&mut self) -> &mut $status {
                self.status.get_or_insert_default()
            }
        }
    )*};
}

infra_object! {
    MetalCluster, InfraClusterStatus, "metalcluster.infrastructure.cluster.x-k8s.io";
    MetalMachine, InfraMachineStatus, "metalmachine.infrastructure.cluster.x-k8s.io";
}

impl InfraCluster for MetalCluster {
    fn control_plane_endpoint(&self) -> Option<&ApiEndpoint> {
        self.spec.control_plane_endpoint.as_ref()
    }

    fn set_control_plane_endpoint(&mut self, endpoint: ApiEndpoint) {
        self.spec.control_plane_endpoint = Some(endpoint);
    }
}

impl InfraMachine for MetalMachine {
    fn provider_id(&self) -> Option<&ProviderId> {
        self.spec.provider_id.as_ref()
    }

    fn set_provider_id(&mut self, id: ProviderId) {
        self.spec.provider_id = Some(id);
    }
}

// ---- The decisions: pure. ---------------------------------------------------------------------------------------------------------------------------

/// The provider of machines.
#[derive(Debug)]
pub struct Metal;

/// One request to one host, which holds only for the host as it was seen: done twice, or on an old look, it does nothing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Step {
    pub host: String,
    pub seen: Host,
    pub change: Change,
}

fn owner(subject: &machine::Subject<'_>, claim: &Claim) -> Owner {
    Owner { token: claim.token.clone(), namespace: subject.namespace.to_owned(), name: subject.name.to_owned() }
}

fn no_host(seen: &Pool) -> Blocked {
    Blocked::new("NoHost", "a free host", format!("is needed: all {} of the pool are taken", seen.0.len()))
}

/// The next change on the host's way to running this image, or none at all: image, network and power in this order, and backwards.
fn next(host: &Host, image: Option<&String>) -> Option<Change> {
    let right = host.image.as_ref() == image;
    let wanted = right && image.is_some();
    match (host.network, host.power) {
        (true, true) if wanted => None,
        (_, true) => Some(Change::Power(false)),
        (true, false) if wanted => Some(Change::Power(true)),
        (true, false) => Some(Change::Network(false)),
        (false, false) if wanted => Some(Change::Network(true)),
        (false, false) => (!right).then(|| Change::Image(image.cloned())),
    }
}

/// One change at a time: while the host is at something, that is waited for.
fn plan(name: &str, host: &Host, change: Option<Change>) -> Plan<Step> {
    match (&host.busy, change) {
        (Some(busy), _) => Plan::settled().waiting(format!("host {name}"), format!("is {busy}")),
        (None, Some(change)) => Plan::settled().then(Step { host: name.to_owned(), seen: host.clone(), change }),
        (None, None) => Plan::settled(),
    }
}

impl MachineProvider for Metal {
    /// The image.
    type Wish = String;
    type Observed = Pool;
    type Step = Step;

    /// A request is answered within 5 s, or has landed 5 s later.
    const LANDING: Duration = Duration::from_secs(10);

    /// What is changed on a host that is taken needs no such caution, for a change holds only for the host as it was seen.
    fn makes(step: &Step) -> bool {
        matches!(step.change, Change::Take(_))
    }

    /// There is one place only, the pool. Which of its hosts a machine gets is known when it has it: it is not promised here.
    fn place(_: &machine::Subject<'_>, _: &String, seen: &Pool) -> Result<String, Blocked> {
        seen.free().map(|_| String::new()).ok_or_else(|| no_host(seen))
    }

    fn present(subject: &machine::Subject<'_>, claim: &Claim, image: &String, seen: &Pool) -> Present<machine::Found, Step> {
        let owner = owner(subject, claim);
        if let Some((name, host)) = seen.owned(&owner) {
            let plan = plan(name, host, next(host, Some(image)));
            let provider_id = format!("metal://{name}/{}", owner.token).parse().ok();
            let found = machine::Found { provider_id, provisioned: plan.is_settled(), ..machine::Found::default() };
            return Present::Something(found, plan);
        }
        match seen.free() {
            Some((name, host)) => Present::Nothing(plan(name, host, Some(Change::Take(owner)))),
            None if subject.provider_id.is_some() => Present::Nothing(Plan::settled()),
            None => Present::Unknown(no_host(seen)),
        }
    }

    fn absent(subject: &machine::Subject<'_>, claim: &Claim, _: &String, seen: &Pool) -> Absent<Step> {
        match seen.owned(&owner(subject, claim)) {
            None => Absent::Nothing,
            Some((name, host)) => Absent::Something(plan(name, host, next(host, None).or(Some(Change::Free)))),
        }
    }
}

/// The provider of clusters, and its other half: nothing outside is theirs.
#[derive(Debug)]
pub struct MetalClusters;

impl ClusterProvider for MetalClusters {
    type Wish = ();
    type Observed = ();
    type Step = Infallible;
    const LANDING: Duration = Duration::ZERO;

    fn makes(step: &Infallible) -> bool {
        match *step {}
    }

    fn present(subject: &cluster::Subject<'_>, _: &Claim, (): &(), (): &()) -> Present<cluster::Found, Infallible> {
        let provisioned = subject.endpoint.is_some();
        let found = cluster::Found { provisioned, ..cluster::Found::default() };
        let plan = Plan::settled();
        Present::Something(found, if provisioned { plan } else { plan.waiting("spec.controlPlaneEndpoint", "is not set") })
    }

    fn absent(_: &cluster::Subject<'_>, _: &Claim, (): &(), (): &()) -> Absent<Infallible> {
        Absent::Nothing
    }
}

// ---- The half that reaches outside: it decides nothing. ---------------------------------------------------------------------------------------------

/// Machines, as hosts of the pool.
#[derive(Debug)]
pub struct MetalMachines {
    outside: Arc<Outside>,
    /// Whom news of the pool may concern.
    looking: Mutex<BTreeSet<Name>>,
}

/// Both halves. Any news of the pool makes every machine look again.
pub fn runtimes(outside: Arc<Outside>, wake: Wake) -> Runtimes<MetalMachines, MetalClusters> {
    let machines = Arc::new(MetalMachines { outside, looking: Mutex::default() });
    let listener = Arc::clone(&machines);
    tokio::spawn(async move {
        let mut news = listener.outside.news();
        while news.changed().await.is_ok() {
            listener.looking.lock().unwrap().iter().for_each(|name| wake.wake(name.clone()));
        }
    });
    Runtimes { machines, clusters: Arc::new(MetalClusters) }
}

impl MachineRuntime for MetalMachines {
    type Provider = Metal;
    type Object = MetalMachine;
    type Cluster = MetalCluster;

    fn wish(&self, machine: &Machine<Self>) -> String {
        machine.object.spec.image.clone()
    }

    /// Every look begins now, so it is never too old.
    async fn look(
        &self,
        machine: &Machine<Self>,
        _: &machine::Subject<'_>,
        _: &String,
        _: Option<Timestamp>,
    ) -> Option<(Option<Timestamp>, Pool)> {
        self.looking.lock().unwrap().insert(machine.name.clone());
        Some((Some(Timestamp::now()), self.outside.look()))
    }

    async fn apply(&self, machine: &Machine<Self>, _: &Claim, step: &Step) -> Outcome {
        let user_data = match &step.change {
            Change::Image(Some(_)) => match machine.bootstrap_data().await {
                Ok(data) => Some(data.value),
                Err(outcome) => return outcome,
            },
            _ => None,
        };
        match self.outside.request(&step.host, &step.seen, &step.change, user_data) {
            Ok(()) => Outcome::Done,
            // Another machine was first, or the host went on by itself: look again.
            Err(_) => Outcome::Gone,
        }
    }

    fn deadline(&self, _: &Step) -> Duration {
        Duration::from_secs(5)
    }

    fn news(&self, _: &Claim, step: &Step) -> Option<News> {
        let note = format!("host {}", step.host);
        matches!(step.change, Change::Take(_)).then(|| News { warning: false, reason: "HostTaken".to_owned(), note })
    }

    fn forget(&self, machine: &Name) {
        self.looking.lock().unwrap().remove(machine);
    }
}

impl ClusterRuntime for MetalClusters {
    type Provider = Self;
    type Object = MetalCluster;

    fn wish(&self, _: &Cluster<Self>) {}

    async fn look(&self, _: &Cluster<Self>, (): &(), _: Option<Timestamp>) -> Option<(Option<Timestamp>, ())> {
        Some((Some(Timestamp::now()), ()))
    }

    async fn apply(&self, _: &Cluster<Self>, _: &Claim, step: &Infallible) -> Outcome {
        match *step {}
    }

    fn deadline(&self, step: &Infallible) -> Duration {
        match *step {}
    }
}
