//! The half of the provider that reaches outside.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use capstead_capi::machine::{MachineProvider, Subject};
use capstead_capi::ownership::Claim;
use capstead_engine::{Name, News, error_chain};
use capstead_flintlock::{AddressError, CallError, Limits, Pool};
use capstead_provider::{Cluster, ClusterRuntime, Machine, MachineRuntime, Runtimes, Wake};
use capstead_reconcile::{Outcome, Timestamp};

use crate::api::v1alpha2::{MicrovmCluster, MicrovmMachine};
use crate::hosts::Hosts;
use crate::{cluster, machine, spec};

/// Machines, as microVMs on flintlock hosts.
#[derive(Debug)]
pub struct MicrovmMachines {
    hosts: Hosts,
}

/// Clusters: nothing outside is theirs.
#[derive(Debug)]
pub struct MicrovmClusters;

/// Both halves. `machines` is how a machine is asked for when its host has news.
#[must_use]
pub fn runtimes(machines: Wake) -> Runtimes<MicrovmMachines, MicrovmClusters> {
    let hosts = Hosts::new(Pool::new(Limits::default()), machines);
    Runtimes { machines: Arc::new(MicrovmMachines { hosts }), clusters: Arc::new(MicrovmClusters) }
}

/// Over the deadline of a call, so that it is the call that says what happened.
const STEP: Duration = Duration::from_secs(11);

impl MachineRuntime for MicrovmMachines {
    type Provider = machine::Microvms;
    type Object = MicrovmMachine;
    type Cluster = MicrovmCluster;

    fn wish(&self, machine: &Machine<Self>) -> machine::Wish {
        machine::Wish::of(&machine.object, machine.cluster.as_deref())
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
        let host = match claim {
            Some(claim) => claim.placement,
            None => match machine::Microvms::place(subject, wish, &machine::Observed::default()) {
                Ok(host) => host,
                // Nowhere to look, which is all there is to know.
                Err(_) => return Some((Some(Timestamp::now()), machine::Observed::default())),
            },
        };
        let (began, seen) = self.hosts.look(&host, &machine.name, &token, not_before)?;
        Some((Some(began), seen))
    }

    async fn apply(&self, machine: &Machine<Self>, claim: &Claim, step: &machine::Step) -> Outcome {
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
                    Ok(microvm) => outcome(self.hosts.create(host, &machine.name, microvm).await),
                    Err(error) => Outcome::terminal(error_chain(&error)),
                }
            }
            machine::Step::Delete { host, uid } => outcome(self.hosts.delete(host, &machine.name, uid).await),
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
    }
}

fn outcome(answer: Result<Result<(), CallError>, AddressError>) -> Outcome {
    match answer {
        Ok(Ok(())) => Outcome::Done,
        // The host is not there. The look that follows tells so, and what was never sent need not be waited for.
        Ok(Err(CallError::Unsent { .. })) => Outcome::Gone,
        Ok(Err(error @ CallError::Transient { .. })) => Outcome::transient(error_chain(&error)),
        Ok(Err(error)) => Outcome::terminal(error_chain(&error)),
        Err(error) => Outcome::terminal(error_chain(&error)),
    }
}

impl ClusterRuntime for MicrovmClusters {
    type Provider = cluster::Pools;
    type Object = MicrovmCluster;

    fn wish(&self, cluster: &Cluster<Self>) -> cluster::Wish {
        cluster::Wish::of(&cluster.object)
    }

    async fn look(&self, _: &Cluster<Self>, _: &cluster::Wish, _: Option<Timestamp>) -> Option<(Option<Timestamp>, ())> {
        Some((Some(Timestamp::now()), ()))
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

    fn forget(&self, _: &Name) {}
}
