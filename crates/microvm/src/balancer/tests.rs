use capstead_capi::meta::annotation::PAUSED;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::Value;

use super::*;
use crate::api::v1alpha2::ExternalLoadBalancerStatus;
use crate::sample;

const NOW: Timestamp = Timestamp::constant(1_000, 0);

fn owner(uid: &str) -> OwnerReference {
    OwnerReference {
        api_version: "cluster.x-k8s.io/v1beta2".into(),
        kind: "Cluster".into(),
        name: "mvm".into(),
        uid: uid.into(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    }
}

fn cluster(endpoint: Option<(&str, u16)>) -> Cluster {
    let endpoint = endpoint.map(|(host, port)| ApiEndpoint::new(host, port).unwrap());
    Cluster { name: "mvm-infra".into(), endpoint, owner: owner("u1"), paused: false }
}

/// A load balancer that is its cluster's already.
fn joined() -> ExternalLoadBalancer {
    let mut balancer = sample::load_balancer();
    balancer.metadata.owner_references = Some(vec![owner("u1")]);
    balancer.labels_mut().insert(label::CLUSTER_NAME.into(), "mvm".into());
    balancer
}

fn seen(answers: Result<(), String>, cluster: Option<Cluster>) -> Observed {
    Observed { answers: Some(answers), cluster, older: None }
}

/// The status after the plan, which does nothing else.
fn told(balancer: &ExternalLoadBalancer, seen: &Observed) -> ExternalLoadBalancerStatus {
    let plan = Balancing::plan(balancer, seen, NOW);
    let [Write::Status(status)] = plan.steps.as_slice() else { panic!("only to be told: {plan:?}") };
    serde_json::from_value(status.clone()).unwrap()
}

fn condition(status: &ExternalLoadBalancerStatus, type_: &str) -> String {
    status.conditions.get(type_).map(|known| format!("{} {}: {}", known.status, known.reason, known.message)).unwrap_or_default()
}

#[test]
fn it_is_ready_when_its_cluster_is_reached_through_it_and_it_answers() {
    let own = Some(("10.0.0.100", 6443));
    let silent = || Err("nothing listens at 10.0.0.100:6443".to_owned());
    let not_available = "LoadBalancerNotAvailable: control plane load balancer isn't available: nothing listens at 10.0.0.100:6443";
    let not_available = format!("False {not_available}");
    let older = || Observed { older: Some("a".into()), ..seen(Ok(()), Some(cluster(Some(("10.0.0.99", 6443))))) };
    let twin = || Observed { older: Some("a".into()), ..seen(Ok(()), Some(cluster(own))) };
    let (waits, used, available) =
        ("False WaitingForCluster: Cluster mvm has no MicrovmCluster yet", "True InUse: ", "True LoadBalancerAvailable: ");
    let is_older = "False OlderLoadBalancer: ExternalLoadBalancer a is older, and for Cluster mvm, too";
    let other = "False OtherEndpoint: MicrovmCluster mvm-infra has endpoint 10.0.0.100:443 already, which stays";
    let none = "False WaitingForCluster: MicrovmCluster mvm-infra has no endpoint yet";
    let cases = [
        (seen(Ok(()), Some(cluster(own))), used, available, "True Ready: "),
        (seen(silent(), Some(cluster(own))), used, not_available.as_str(), not_available.as_str()),
        (seen(Ok(()), None), waits, available, waits),
        (seen(silent(), None), waits, &not_available, waits),
        (seen(Ok(()), Some(cluster(Some(("10.0.0.100", 443))))), other, available, other),
        (older(), is_older, available, is_older),
        (twin(), used, available, "True Ready: "),
        (seen(Ok(()), Some(cluster(None))), none, available, none),
    ];
    for (seen, in_use, available, ready) in cases {
        let mut balancer = joined();
        let status = told(&balancer, &seen);
        let found = [IN_USE, "LoadBalancerAvailable", "Ready", "Paused"].map(|type_| condition(&status, type_));
        assert_eq!(found, [in_use, available, ready, "False NotPaused: "], "{seen:?}");
        assert_eq!(status.ready, ready.starts_with("True"));
        balancer.status = Some(status);
        assert_eq!(Balancing::plan(&balancer, &seen, Timestamp::constant(2_000, 0)), Plan::settled(), "told once");
    }
}

#[test]
fn where_nobody_can_be_asked_no_cluster_is_reached() {
    let mut balancer = joined();
    balancer.spec.endpoint.host = "https://lb".into();
    let status = told(&balancer, &seen(Ok(()), Some(cluster(None))));
    assert!(condition(&status, IN_USE).starts_with("False InvalidSpec: spec.endpoint.host must be a host name"), "{status:?}");
    assert!(!status.ready);
}

#[test]
fn a_process_that_has_not_looked_tells_no_news() {
    let plan = Balancing::plan(&joined(), &Observed { cluster: Some(cluster(None)), ..Observed::default() }, NOW);
    assert_eq!((plan.steps.as_slice(), plan.waits.len()), ([].as_slice(), 1));

    // Its cluster is not looked at yet, either: what was told of it stays.
    let mut balancer = joined();
    let in_use = seen(Ok(()), Some(cluster(Some(("10.0.0.100", 6443)))));
    balancer.status = Some(told(&balancer, &in_use));
    assert_eq!(Balancing::plan(&balancer, &seen(Ok(()), None), NOW), Plan::settled());
    let silent = told(&balancer, &seen(Err("nobody".into()), None));
    assert_eq!((condition(&silent, IN_USE).as_str(), silent.ready), ("True InUse: ", false), "that nobody answers is told all the same");
}

#[test]
fn while_paused_only_that_is_told() {
    let mut by_itself = sample::load_balancer();
    by_itself.annotations_mut().insert(PAUSED.into(), String::new());
    let by_cluster = Cluster { paused: true, ..cluster(None) };
    for (balancer, cluster) in [(by_itself, cluster(None)), (sample::load_balancer(), by_cluster)] {
        let status = told(&balancer, &seen(Ok(()), Some(cluster)));
        let types: Vec<&str> = status.conditions.iter().map(|known| known.type_.as_str()).collect();
        assert_eq!((types.as_slice(), condition(&status, "Paused").as_str()), (["Paused"].as_slice(), "True Paused: "));
    }
}

#[test]
fn it_belongs_to_its_cluster_and_to_whom_it_belonged_before() {
    let foreign: OwnerReference =
        serde_json::from_value(json!({"apiVersion": "example.com/v1", "kind": "Cluster", "name": "mvm", "uid": "u7"})).unwrap();
    let joins = |balancer: &ExternalLoadBalancer, cluster: Cluster| {
        let plan = Balancing::plan(balancer, &Observed { cluster: Some(cluster), ..Observed::default() }, NOW);
        let patch = plan.steps.iter().find_map(|step| match step {
            Write::Metadata(patch) => Some(patch["metadata"].clone()),
            Write::Status(_) => None,
        });
        patch.unwrap_or_default()
    };
    let own = |uid: &str| json!({"apiVersion": "cluster.x-k8s.io/v1beta2", "kind": "Cluster", "name": "mvm", "uid": uid});
    let labels = json!({"cluster.x-k8s.io/cluster-name": "mvm"});
    let mut balancer = sample::load_balancer();
    assert_eq!(joins(&balancer, cluster(None)), json!({"ownerReferences": [own("u1")], "labels": labels}));
    balancer.metadata.owner_references = Some(vec![foreign.clone(), owner("u0")]);
    assert_eq!(
        joins(&balancer, cluster(None)),
        json!({"ownerReferences": [foreign, own("u1")], "labels": labels}),
        "made again, it is another"
    );
    assert_eq!(joins(&joined(), cluster(None)), Value::Null);
    assert_eq!(joins(&sample::load_balancer(), Cluster { paused: true, ..cluster(None) }), Value::Null);
}

#[test]
fn the_oldest_that_can_be_asked_supplies_the_endpoint() {
    let made = |name: &str, seconds: i64, change: fn(&mut ExternalLoadBalancer)| {
        let mut balancer = sample::load_balancer();
        balancer.metadata.name = Some(name.into());
        balancer.metadata.creation_timestamp = Some(Time(Timestamp::constant(seconds, 0)));
        change(&mut balancer);
        Arc::new(balancer)
    };
    let goes = |balancer: &mut ExternalLoadBalancer| balancer.metadata.deletion_timestamp = Some(Time(NOW));
    let wrong = |balancer: &mut ExternalLoadBalancer| balancer.spec.endpoint.host.clear();
    let all = [made("young", 9, |_| ()), made("b", 5, |_| ()), made("a", 5, |_| ()), made("gone", 1, goes), made("wrong", 2, wrong)];
    assert_eq!(first(all.into_iter()).unwrap().name_any(), "a");
    assert_eq!(first(std::iter::empty()), None);
}
