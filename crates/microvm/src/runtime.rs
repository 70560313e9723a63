//! The half of the provider that reaches outside.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use capstead_capi::lifecycle::Blocked;
use capstead_capi::machine::{MachineProvider, Subject};
use capstead_capi::meta::{externally_managed, is_control_plane, owner_cluster};
use capstead_capi::ownership::Claim;
use capstead_engine::{Name, News, error_chain};
use capstead_flintlock::CallError;
use capstead_provider::{Cluster, ClusterRuntime, Machine, MachineRuntime, Runtimes, Wake};
use capstead_reconcile::{Outcome, Timestamp};
use kube::Client;

use crate::access::Reach;
use crate::api::v1alpha2::{MicrovmCluster, MicrovmMachine};
use crate::balancer;
use crate::balancers::Balancers;
use crate::hosts::{At, HostError, Hosts, Own};
use crate::nodes::Nodes;
use crate::placed::{Placed, Who};
use crate::placement::choose;
use crate::secrets::Secrets;
use crate::watched::{Watched, What};
use crate::{cluster, machine, spec};

/// Machines, as microVMs on flintlock hosts.
#[derive(Debug)]
pub struct MicrovmMachines {
    hosts: Arc<Hosts>,
    nodes: Nodes,
    placed: Placed,
    wake: Wake,
}

/// Clusters: nothing outside is theirs, but whether it answers is looked at.
#[derive(Debug)]
pub struct MicrovmClusters {
    watched: Watched,
    balancers: Arc<Balancers>,
    wake: Wake,
}

/// Both halves. `client` reads the Secrets that hosts and workload clusters are reached with; `balancers` are what clusters without an endpoint may get one
/// from; `machines` and `clusters` are how one is asked for when there is news of it.
#[must_use]
pub fn runtimes(client: Client, balancers: Arc<Balancers>, machines: Wake, clusters: Wake) -> Runtimes<MicrovmMachines, MicrovmClusters> {
    let hosts = Arc::new(Hosts::new(Secrets::new(client.clone()), machines.clone()));
    let nodes = Nodes::new(client, machines.clone());
    let watched = Watched::new(Some(Arc::clone(&hosts)), clusters.clone());
    Runtimes {
        machines: Arc::new(MicrovmMachines { hosts, nodes, placed: Placed::default(), wake: machines }),
        clusters: Arc::new(MicrovmClusters { watched, balancers, wake: clusters }),
    }
}

impl MicrovmMachines {
    /// Books a host for a machine that has no claim yet, by what is known of all hosts now.
    fn book(&self, machine: &Machine<Self>, wish: &machine::Wish) -> Result<String, Blocked> {
        let reach = Reach::of(machine.cluster.as_deref());
        let who = who(machine);
        let subject = Subject {
            namespace: &machine.name.namespace,
            name: &machine.name.name,
            provider_id: None,
            failure_domain: None,
            control_plane: who.control_plane,
        };
        let is_down = |address: &str| self.hosts.down(At { address, reach: &reach }).is_some();
        self.placed.book(who, is_down, |load| choose(&subject, wish, load))
    }

    /// Another host, for a machine that may have nothing on its own yet while that is down. Whether it has is for the life cycle to say.
    fn instead(&self, machine: &Machine<Self>, wish: &machine::Wish, host: &str) -> Option<String> {
        let reach = Reach::of(machine.cluster.as_deref());
        let is_down = |address: &str| self.hosts.down(At { address, reach: &reach }).is_some();
        let is_new = machine.object.spec.provider_id.is_none() && machine.object.metadata.deletion_timestamp.is_none();
        if !is_new || !wish.violations.is_empty() || !is_down(host) {
            return None;
        }
        self.book(machine, wish).ok().filter(|other| !is_down(other))
    }

    /// The addresses of the machine's Node, where neither its spec nor its host says any.
    fn ask_node(&self, machine: &Machine<Self>, wish: &machine::Wish, uid: Option<&str>, seen: &mut machine::Observed) {
        let (Some(node), Some(cluster), machine::Observed::Seen(microvms)) = (&machine.node, &machine.cluster_name, seen) else { return };
        if !wish.addresses.is_empty() || machine.object.metadata.deletion_timestamp.is_some() {
            return;
        }
        let silent = |microvm: &&mut machine::Microvm| Some(microvm.uid.as_str()) == uid && microvm.addresses.is_empty();
        if let Some(microvm) = microvms.iter_mut().find(silent) {
            let cluster = Name::new(&machine.name.namespace, cluster);
            microvm.addresses = self.nodes.look(&cluster, &machine.name, node, !wish.told.is_empty());
        }
    }
}

fn who(machine: &Machine<MicrovmMachines>) -> Who<'_> {
    Who {
        name: &machine.name,
        cluster: machine.cluster_name.as_deref().unwrap_or_default(),
        control_plane: is_control_plane(&*machine.object),
    }
}

/// Over the deadline of a call, so that it is the call that says what happened.
const STEP: Duration = Duration::from_secs(11);

impl MachineRuntime for MicrovmMachines {
    type Provider = machine::Microvms;
    type Object = MicrovmMachine;
    type Cluster = MicrovmCluster;

    fn wish(&self, machine: &Machine<Self>) -> machine::Wish {
        let mut wish = machine::Wish::of(&machine.object, machine.cluster.as_deref());
        match Claim::read(&*machine.object) {
            Some(claim) => match self.instead(machine, &wish, &claim.placement) {
                Some(host) => wish.booked = Some(Ok(host)),
                None => {
                    self.placed.is_at(who(machine), &claim.placement);
                    wish.booked = Some(Ok(claim.placement));
                }
            },
            None if machine.object.metadata.deletion_timestamp.is_none() && wish.violations.is_empty() => {
                wish.booked = Some(self.book(machine, &wish));
            }
            None => (),
        }
        wish
    }

    async fn look(
        &self,
        machine: &Machine<Self>,
        subject: &Subject<'_>,
        wish: &machine::Wish,
        not_before: Option<Timestamp>,
    ) -> Option<(Option<Timestamp>, machine::Observed)> {
        let claim = Claim::read(&*machine.object);
        // Without a token nothing can be owned yet; the look tells whether the host answers.
        let token = claim.as_ref().map(|claim| spec::token(&claim.token)).unwrap_or_default();
        let is_claimed = claim.is_some();
        let host = match claim {
            Some(claim) => claim.placement,
            None => match machine::Microvms::place(subject, wish, &machine::Observed::default()) {
                Ok(host) => host,
                // Nowhere to look, which is all there is to know.
                Err(_) => return Some((Some(Timestamp::now()), machine::Observed::default())),
            },
        };
        let reach = Reach::of(machine.cluster.as_deref());
        let own =
            Own { token: &token, uid: subject.provider_id.and_then(machine::parts).filter(|(at, _)| *at == host).map(|(_, uid)| uid) };
        let (began, mut seen) = self.hosts.look(At { address: &host, reach: &reach }, &machine.name, own, not_before)?;
        // A machine that is nowhere yet need not wait for a host that is down.
        if !is_claimed
            && subject.failure_domain.is_none()
            && matches!(seen, machine::Observed::Unreachable { .. })
            && self.book(machine, wish).is_ok_and(|other| other != host)
        {
            self.wake.wake(machine.name.clone());
            return None;
        }
        self.ask_node(machine, wish, own.uid, &mut seen);
        Some((Some(began), seen))
    }

    async fn apply(&self, machine: &Machine<Self>, claim: &Claim, step: &machine::Step) -> Outcome {
        let reach = Reach::of(machine.cluster.as_deref());
        let at = |address| At { address, reach: &reach };
        match step {
            machine::Step::Create { host } => {
                let data = match machine.bootstrap_data().await {
                    Ok(data) => data,
                    Err(outcome) => return outcome,
                };
                let (Some(infrastructure), Some(cluster)) = (&machine.cluster, &machine.cluster_name) else {
                    return Outcome::Gone;
                };
                let inputs = spec::Inputs { machine: &machine.object, infrastructure, cluster, claim, bootstrap: &data.value };
                match spec::spec(&inputs) {
                    Ok(microvm) => outcome(self.hosts.create(at(host), &machine.name, microvm).await),
                    Err(error) => Outcome::terminal(error_chain(&error)),
                }
            }
            machine::Step::Delete { host, uid } => outcome(self.hosts.delete(at(host), &machine.name, uid).await),
        }
    }

    fn deadline(&self, _: &machine::Step) -> Duration {
        STEP
    }

    fn news(&self, _: &Claim, step: &machine::Step) -> Option<News> {
        let (reason, note) = match step {
            machine::Step::Create { host } => ("MicrovmCreated", format!("host {host} makes the microVM")),
            machine::Step::Delete { host, uid } => ("MicrovmDeleted", format!("host {host} takes microVM {uid} away")),
        };
        Some(News { warning: false, reason: reason.to_owned(), note })
    }

    fn tell(object: &mut MicrovmMachine, seen: &machine::Observed) {
        if let machine::Observed::Seen(seen) = seen
            && let Some(microvm) = machine::chosen("", None, seen)
        {
            object.status.get_or_insert_default().vm_state = Some(microvm.state.into());
        }
    }

    fn forget(&self, machine: &Name) {
        self.hosts.forget(machine);
        self.nodes.forget(machine);
        self.placed.forget(machine).into_iter().for_each(|waiting| self.wake.wake(waiting));
    }
}

fn outcome(answer: Result<(), HostError>) -> Outcome {
    match answer {
        Ok(()) => Outcome::Done,
        // The host is not there, or cannot be asked. The look that follows tells so, and what was never sent need not be waited for.
        Err(HostError::Unreachable | HostError::Call(CallError::Unsent { .. })) => Outcome::Gone,
        Err(HostError::Call(error @ CallError::Transient { .. })) => Outcome::transient(error_chain(&error)),
        Err(HostError::Call(error)) => Outcome::terminal(error_chain(&error)),
    }
}

impl ClusterRuntime for MicrovmClusters {
    type Provider = cluster::Pools;
    type Object = MicrovmCluster;

    fn wish(&self, cluster: &Cluster<Self>) -> cluster::Wish {
        cluster::Wish::of(&cluster.object)
    }

    /// Nothing is the cluster's own, so any look is good enough.
    async fn look(
        &self,
        cluster: &Cluster<Self>,
        wish: &cluster::Wish,
        _: Option<Timestamp>,
    ) -> Option<(Option<Timestamp>, cluster::Observed)> {
        // Nobody is asked for a cluster that nobody has yet, or that goes, or that is another system's.
        let is_ours = cluster.object.metadata.deletion_timestamp.is_none() && !externally_managed(&*cluster.object);
        let Some(owner) = owner_cluster(&*cluster.object).filter(|_| is_ours) else {
            self.watched.forget(&cluster.name);
            return Some((Some(Timestamp::now()), cluster::Observed::default()));
        };
        // Who names a host means that one, though its port be missing.
        let named = || cluster.object.spec.control_plane_endpoint.clone().filter(|endpoint| !endpoint.host.is_empty());
        let of_balancers = balancer::Cluster {
            name: cluster.name.name.clone(),
            endpoint: cluster.endpoint.clone().or_else(named),
            owner: owner.clone(),
            paused: cluster.paused,
        };
        let supplied = self.balancers.supply(&cluster.name.namespace, of_balancers, &self.wake).await;
        let hosts = wish.hosts.iter().map(|host| host.endpoint.clone()).collect();
        let endpoint = cluster.endpoint.clone().or_else(|| supplied.clone());
        let what = What { endpoint, hosts, reach: Reach::of(Some(&cluster.object)) };
        let seen = cluster::Observed { supplied, ..self.watched.look(&cluster.name, what) };
        Some((Some(Timestamp::now()), seen))
    }

    async fn apply(&self, _: &Cluster<Self>, _: &Claim, step: &Infallible) -> Outcome {
        match *step {}
    }

    fn deadline(&self, step: &Infallible) -> Duration {
        match *step {}
    }

    fn news(&self, _: &Claim, step: &Infallible) -> Option<News> {
        match *step {}
    }

    fn forget(&self, cluster: &Name) {
        self.watched.forget(cluster);
        self.balancers.forget(cluster);
    }
}
