use jiff::Timestamp;
use serde_json::json;

use super::*;
use crate::condition::{Status, kind};
use crate::sample::{FINALIZER, FooCluster, FooMachine, FooMachineTemplate};
use crate::types::{FailureDomain, MachineAddressType};

fn now() -> Timestamp {
    "2026-11-20T00:00:00Z".parse().unwrap()
}

#[test]
fn a_machine_reports_in_the_shape_of_the_contract() {
    let mut machine = FooMachine::new("m", crate::sample::FooMachineSpec::default());
    machine.metadata.generation = Some(4);
    assert!(!machine.provisioned());
    machine.set_provider_id("foo://m".parse().unwrap());
    machine.set_provisioned();
    let report = Report::new(kind::READY, Status::True, "Ready");
    assert!(machine.set_condition(report.clone(), now()));
    assert!(!machine.set_condition(report, now()));
    let status = machine.contract_status_mut();
    status.failure_domain = Some("a".into());
    status.addresses = vec![MachineAddress::new(MachineAddressType::InternalIp, "10.0.0.9")];
    assert!(machine.provisioned());
    assert_eq!(machine.provider_id().unwrap().as_str(), "foo://m");
    assert_eq!(
        serde_json::to_value(&machine.status).unwrap(),
        json!({
            "initialization": {"provisioned": true},
            "failureDomain": "a",
            "addresses": [{"type": "InternalIP", "address": "10.0.0.9"}],
            "conditions": [{
                "type": "Ready", "status": "True", "reason": "Ready", "message": "",
                "observedGeneration": 4, "lastTransitionTime": "2026-11-20T00:00:00Z",
            }],
        })
    );
}

#[test]
fn a_cluster_reports_in_the_shape_of_the_contract() {
    let mut cluster = FooCluster::new("c", crate::sample::FooClusterSpec::default());
    assert!(cluster.control_plane_endpoint().is_none());
    cluster.set_control_plane_endpoint(ApiEndpoint::new("h", 6443).unwrap());
    cluster.contract_status_mut().failure_domains = vec![FailureDomain::new("b", false), FailureDomain::new("a", true)].into();
    let written = serde_json::to_value(&cluster).unwrap();
    assert_eq!(written["spec"], json!({"controlPlaneEndpoint": {"host": "h", "port": 6443}}));
    assert_eq!(written["status"], json!({"failureDomains": [{"name": "a", "controlPlane": true}, {"name": "b", "controlPlane": false}]}));
    assert!(!cluster.provisioned());
}

#[test]
fn the_finalizer_is_the_kinds_own() {
    let mut machine = FooMachine::new("m", crate::sample::FooMachineSpec::default());
    machine.metadata.finalizers = Some(vec!["other".into()]);
    assert!(!machine.has_finalizer());
    machine.metadata.finalizers = Some(vec!["other".into(), FINALIZER.into()]);
    assert!(machine.has_finalizer());
}

#[test]
fn a_template_holds_the_clones_spec() {
    let template: FooMachineTemplate = serde_json::from_value(json!({
        "metadata": {"name": "t"},
        "spec": {"template": {"metadata": {"labels": {"a": "b"}}, "spec": {"vcpu": 2}}},
    }))
    .unwrap();
    assert_eq!(template.template().spec.vcpu, 2);
    assert_eq!(template.template().metadata.as_ref().unwrap().labels["a"], "b");
}
