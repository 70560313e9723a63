//! What the API server asks about the kinds.

use capstead_capi::crd::ContractKind;
use capstead_capi::meta::annotation::TOPOLOGY_DRY_RUN;
use capstead_capi::ownership::hold_from_birth;
use capstead_engine::webhook::{Operation, Request, Webhooks};

use crate::api::v1alpha2::{ExternalLoadBalancer, MicrovmCluster, MicrovmClusterTemplate, MicrovmMachine, MicrovmMachineTemplate};
use crate::convert::convert;
use crate::validate::{validate_cluster, validate_cluster_template, validate_load_balancer, validate_machine, validate_machine_template};
use crate::warnings::{warn_cluster, warn_machine, warn_machine_template};

/// What a manager of the objects of this namespace (all, when `None`) with this watch filter (empty for none) answers: defaults, validation and conversion,
/// at the paths that `components.yaml` names.
#[must_use]
pub fn webhooks(namespace: Option<&str>, watch_filter: &str) -> Webhooks {
    let path = |kind: &str| format!("/validate-infrastructure-cluster-x-k8s-io-v1alpha2-{kind}");
    let default = |kind: &str| format!("/mutate-infrastructure-cluster-x-k8s-io-v1alpha2-{kind}");
    Webhooks::new()
        .mutating(&default("microvmcluster"), holds::<MicrovmCluster>(namespace, watch_filter))
        .mutating(&default("microvmmachine"), holds::<MicrovmMachine>(namespace, watch_filter))
        .validating(&path("microvmcluster"), |new: &MicrovmCluster, old: Option<&MicrovmCluster>, _| {
            // What was stored before a rule existed must still be able to lose its finalizer.
            if old.is_some_and(|old| old.spec == new.spec) { Vec::new() } else { validate_cluster(new) }
        })
        .validating(&path("microvmmachine"), |new: &MicrovmMachine, old, _| validate_machine(new, old))
        .validating(&path("microvmmachinetemplate"), |new: &MicrovmMachineTemplate, old, request| {
            validate_machine_template(new, old, topology_dry_run(request))
        })
        .validating(&path("microvmclustertemplate"), |new: &MicrovmClusterTemplate, old, request| {
            validate_cluster_template(new, old, topology_dry_run(request))
        })
        .validating(&path("externalloadbalancer"), |new: &ExternalLoadBalancer, old: Option<&ExternalLoadBalancer>, _| {
            if old.is_some_and(|old| old.spec == new.spec) { Vec::new() } else { validate_load_balancer(new) }
        })
        .warning(&path("microvmcluster"), warn_cluster)
        .warning(&path("microvmmachine"), warn_machine)
        .warning(&path("microvmmachinetemplate"), warn_machine_template)
        .conversion(convert)
}

/// Holds from birth what this manager looks after: nobody would let go of the rest.
fn holds<K: ContractKind>(namespace: Option<&str>, watch_filter: &str) -> impl Fn(&mut K, &Request) + use<K> {
    let (namespace, filter) = (namespace.map(str::to_owned), watch_filter.to_owned());
    move |new, request| {
        let here = namespace.is_none() || request.namespace == namespace;
        if here && request.operation == Operation::Create {
            hold_from_birth(new, &filter);
        }
    }
}

fn topology_dry_run(request: &Request) -> bool {
    request.dry_run && request.annotation(TOPOLOGY_DRY_RUN).is_some()
}
