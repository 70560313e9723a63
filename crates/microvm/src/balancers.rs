//! The load balancers of a manager, and the clusters that may get their endpoints from them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use capstead_capi::types::ApiEndpoint;
use capstead_engine::Name;
use capstead_engine::metrics::Metrics;
use capstead_provider::{Objects, Teller, Wake, Write};
use capstead_reconcile::{Plan, Reconciler, Timestamp};
use kube::ResourceExt;

use crate::access::Reach;
use crate::api::v1alpha2::ExternalLoadBalancer;
use crate::balancer::{Balancing, Cluster, Observed, first};
use crate::watched::{Watched, What};

/// All ExternalLoadBalancers: told by [`capstead_provider::tell`], asked by clusters.
#[derive(Debug)]
pub struct Balancers {
    objects: Objects<ExternalLoadBalancer>,
    watched: Watched,
    /// By the Cluster's name: its MicrovmCluster as it was last looked at, and how to have that looked at again.
    clusters: Mutex<HashMap<Name, (Cluster, Wake)>>,
}

impl Balancers {
    /// None yet.
    #[must_use]
    pub fn new(metrics: &Metrics) -> Self {
        let objects = Objects::new(metrics);
        let watched = Watched::new(None, objects.wake.clone());
        Self { objects, watched, clusters: Mutex::default() }
    }

    /// The endpoint for a cluster that has none: the oldest load balancer's. From now on `wake` is asked for the cluster when there is news of one, and its load
    /// balancers are told what became of it.
    pub(crate) async fn supply(&self, namespace: &str, mut cluster: Cluster, wake: &Wake) -> Option<ApiEndpoint> {
        let name = Name::new(namespace, &cluster.owner.name);
        if cluster.endpoint.is_none() {
            // An endpoint stays for ever, so it is not taken from a younger one that was only heard of first.
            self.objects.store.synced().await;
        }
        let mut clusters = self.clusters();
        // Under the lock: what comes later finds the cluster here, and wakes it.
        let supplied = if cluster.endpoint.is_none() { self.oldest(&name).map(|oldest| oldest.endpoint()) } else { None };
        cluster.endpoint = cluster.endpoint.or_else(|| supplied.clone());
        if clusters.get(&name).is_none_or(|(known, _)| *known != cluster) {
            clusters.insert(name.clone(), (cluster, wake.clone()));
            self.of(&name).into_iter().for_each(|balancer| self.objects.wake.wake(balancer));
        }
        supplied
    }

    /// The MicrovmCluster is gone.
    pub(crate) fn forget(&self, gone: &Name) {
        self.clusters().retain(|name, (cluster, _)| name.namespace != gone.namespace || cluster.name != gone.name);
    }

    fn clusters(&self) -> MutexGuard<'_, HashMap<Name, (Cluster, Wake)>> {
        self.clusters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The load balancers of a Cluster.
    fn of(&self, cluster: &Name) -> Vec<Name> {
        self.objects.store.names(|balancer| cluster_of(balancer) == *cluster)
    }

    /// The one through which a Cluster is reached that has no endpoint yet.
    fn oldest(&self, cluster: &Name) -> Option<Arc<ExternalLoadBalancer>> {
        first(self.of(cluster).into_iter().filter_map(|name| self.objects.store.get(&name)))
    }
}

fn cluster_of(balancer: &ExternalLoadBalancer) -> Name {
    Name::new(balancer.namespace().unwrap_or_default(), &balancer.spec.cluster_name)
}

impl Teller for Balancers {
    type Object = ExternalLoadBalancer;

    fn objects(&self) -> &Objects<ExternalLoadBalancer> {
        &self.objects
    }

    fn plan(&self, name: &Name, balancer: &ExternalLoadBalancer) -> Plan<Write> {
        let what = What { endpoint: Some(balancer.endpoint()), hosts: Vec::new(), reach: Reach::default() };
        let of = cluster_of(balancer);
        let seen = Observed {
            answers: self.watched.look(name, what).answers,
            cluster: self.clusters().get(&of).map(|(cluster, _)| cluster.clone()),
            older: self.oldest(&of).map(|oldest| oldest.name_any()).filter(|oldest| *oldest != name.name),
        };
        Balancing::plan(balancer, &seen, Timestamp::now())
    }

    fn changed(&self, name: &Name, before: Option<&ExternalLoadBalancer>, now: Option<&ExternalLoadBalancer>) {
        if now.is_none() {
            self.watched.forget(name);
        }
        let Some(of) = now.or(before).map(cluster_of) else { return };
        // Which one is the oldest may have changed.
        self.of(&of).into_iter().for_each(|balancer| self.objects.wake.wake(balancer));
        if let Some((cluster, wake)) = self.clusters().get(&of) {
            wake.wake(Name::new(&of.namespace, &cluster.name));
        }
    }
}
