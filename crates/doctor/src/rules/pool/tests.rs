use serde_json::json;

use crate::Picture;
use crate::Severity;
use crate::sample::HOST;
use crate::sample::ago;
use crate::sample::cluster;
use crate::sample::condition;
use crate::sample::evidence;
use crate::sample::found;
use crate::sample::log;
use crate::sample::metadata;
use crate::sample::microvm_cluster;
use crate::sample::microvm_machine;
use crate::sample::now;
use crate::sample::picture;
use crate::sample::the_one;

#[test]
fn a_pool_without_hosts_is_told() {
    let finding = the_one(&picture(vec![microvm_cluster(&[])]), "host-pool");
    assert_eq!((finding.severity, finding.about.as_str()), (Severity::Error, "MicrovmCluster team/one"));
    let nothing = json!({"metadata": metadata("one"), "spec": {"placement": {}}});
    assert_eq!(
        the_one(&picture(vec![("MicrovmCluster", nothing)]), "host-pool").evidence[0].said,
        "spec.placement.staticPool.hosts is empty"
    );
    assert_eq!(found(&picture(vec![microvm_cluster(&[HOST])]), "host-pool"), []);

    let mut refused = Picture::new(now());
    let line = "admission webhook denied the request: spec.placement: you must supply configuration for a placement option";
    refused.logs.push(log("apply.log", line));
    assert_eq!(evidence(&the_one(&refused, "host-pool")), [("apply.log, line 1", line)]);
}

#[test]
fn a_machine_that_no_host_can_take_is_told() {
    let message = "its Machine's spec.failureDomain 10.9.9.9:9090 is a host that does not exist: it is not in spec.placement.staticPool.hosts of the MicrovmCluster";
    let finding = the_one(&picture(vec![microvm_machine("a", "False", "NoHost", message)]), "host-pool");
    assert_eq!(evidence(&finding), [("MicrovmMachine team/a", message)]);
    let message = "spec.vcpu of the MicrovmMachine must be 1 to 64";
    assert_eq!(the_one(&picture(vec![microvm_machine("a", "False", "InvalidSpec", message)]), "host-pool").cause, "a field breaks a rule");
}

#[test]
fn an_endpoint_that_nobody_names_is_told() {
    let pool = json!({"staticPool": {"hosts": [{"endpoint": HOST}]}});
    let message = "the control plane's endpoint is not known: set spec.controlPlaneEndpoint here or on the Cluster";
    let conditions = json!([condition("Ready", "False", "Provisioning", message)]);
    let infrastructure = json!({"metadata": metadata("one"), "spec": {"placement": pool}, "status": {"conditions": conditions}});
    let owner = |endpoint| json!({"metadata": metadata("one"), "spec": {"controlPlaneEndpoint": endpoint}});
    let without = picture(vec![("MicrovmCluster", infrastructure.clone()), ("Cluster", owner(json!(null)))]);
    assert_eq!(evidence(&the_one(&without, "control-plane-endpoint")), [("MicrovmCluster team/one", message)]);
    let by_owner = picture(vec![("MicrovmCluster", infrastructure), ("Cluster", owner(json!({"host": "10.0.0.100", "port": 6443})))]);
    assert_eq!(found(&by_owner, "control-plane-endpoint"), []);
}

#[test]
fn a_field_that_keeps_the_cluster_from_being_provisioned_is_told() {
    let (kind, mut cluster) = microvm_cluster(&["no address"]);
    let message = "spec.placement.staticPool.hosts[0].endpoint must be HOST:PORT";
    cluster["status"]["conditions"] = json!([condition("Ready", "False", "Provisioning", message)]);
    assert_eq!(evidence(&the_one(&picture(vec![(kind, cluster)]), "host-pool")), [("MicrovmCluster team/one", message)]);
}

#[test]
fn a_paused_cluster_is_told() {
    let (kind, mut cluster) = cluster(("True", ""), "True");
    cluster["spec"]["paused"] = true.into();
    let finding = the_one(&picture(vec![(kind, cluster)]), "reference");
    assert_eq!((finding.severity, finding.evidence[0].said.as_str()), (Severity::Warning, "spec.paused is true"));
}

#[test]
fn references_that_lead_nowhere_are_told() {
    let told = condition("InfrastructureReady", "False", "ObjectDoesNotExist", "MicrovmCluster does not exist");
    let cluster = json!({"metadata": metadata("one"), "spec": {}, "status": {"conditions": [told]}});
    let finding = the_one(&picture(vec![("Cluster", cluster)]), "reference");
    assert_eq!(evidence(&finding), [("Cluster team/one", "MicrovmCluster does not exist")]);

    let message = "Cluster oen has no MicrovmCluster yet";
    let waits = json!({"conditions": [condition("Ready", "False", "WaitingForCluster", message)]});
    let balancer = json!({"metadata": metadata("front"), "spec": {}, "status": waits});
    let finding = the_one(&picture(vec![("ExternalLoadBalancer", balancer)]), "reference");
    assert_eq!(evidence(&finding), [("ExternalLoadBalancer team/front", message)]);

    let message = "its Machine no Machine's spec.infrastructureRef names this object";
    let (kind, mut alone) = microvm_machine("a", "False", "WaitingForMachine", message);
    assert_eq!(the_one(&picture(vec![(kind, alone.clone())]), "reference").severity, Severity::Error);
    // What was applied a moment ago may still come together.
    alone["status"]["conditions"][0]["lastTransitionTime"] = ago(5).into();
    assert_eq!(the_one(&picture(vec![(kind, alone)]), "reference").severity, Severity::Note);
}
