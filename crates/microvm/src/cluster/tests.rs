use capstead_capi::cluster::{Lifecycle, Observed as Whole, Owner, Status};
use capstead_capi::lifecycle::{Object, Referred, Step};
use capstead_capi::ownership::Grounds;
use capstead_capi::types::ApiEndpoint;
use capstead_reconcile::{Reconciler, Timestamp};

use super::Observed as Outside;
use super::*;
use crate::sample;

const NOW: Timestamp = Timestamp::constant(1_000, 0);

fn object(endpoint: Option<ApiEndpoint>, on_the_cluster: Option<ApiEndpoint>) -> Whole<Outside> {
    Whole {
        object: Object {
            namespace: "team-a".into(),
            name: "mvm".into(),
            uid: "u".into(),
            deleting: false,
            finalizer: true,
            watched: true,
            externally_managed: false,
            paused: false,
            forced: false,
            claim: Some(Claim { token: "u".into(), placement: String::new() }),
        },
        endpoint,
        status: Status::default(),
        status_current: true,
        owner: Referred::Found(Owner { paused: false, endpoint: on_the_cluster }),
        machines: 0,
        grounds: Grounds::After(Timestamp::constant(900, 0)),
        looked: Some(NOW),
        failure: None,
        outside: Outside::default(),
    }
}

fn endpoint() -> Option<ApiEndpoint> {
    Some(ApiEndpoint::new("10.0.0.100", 6443).unwrap())
}

/// What is told, and Ready in words.
fn told(wish: &Wish, seen: &Whole<Outside>) -> (Status, String) {
    let plan = Lifecycle::<Pools>::plan(wish, seen, NOW);
    let [Step::Tell(status)] = plan.steps.as_slice() else { panic!("only to be told: {plan:?}") };
    let ready = status.conditions.iter().find(|known| known.type_ == "Ready").unwrap();
    (status.clone(), format!("{} {}: {}", ready.status, ready.reason, ready.message))
}

#[test]
fn with_hosts_and_endpoint_it_is_provisioned_and_its_hosts_are_failure_domains() {
    let wish = Wish::of(&sample::cluster());
    for seen in [object(endpoint(), None), object(None, endpoint())] {
        let (status, ready) = told(&wish, &seen);
        assert!(status.provisioned);
        assert_eq!(ready, "True Ready: ");
        assert_eq!(status.failure_domains, [FailureDomain::new("10.0.0.1:9090", true), FailureDomain::new("10.0.0.2:9090", false)]);
    }
}

#[test]
fn without_endpoint_it_waits_and_says_where_to_set_it() {
    let (status, ready) = told(&Wish::of(&sample::cluster()), &object(None, None));
    assert!(!status.provisioned);
    assert_eq!(
        ready,
        "False Provisioning: the control plane's endpoint is not known: set spec.controlPlaneEndpoint here or on the Cluster, or make an \
         ExternalLoadBalancer for the Cluster"
    );
}

#[test]
fn a_load_balancers_endpoint_is_published_before_anybody_answers_there() {
    let wish = Wish::of(&sample::cluster());
    for answers in [None, Some(Err("nothing listens at 10.0.0.100:6443".to_owned())), Some(Ok(()))] {
        let mut seen = object(None, None);
        seen.outside = Outside { answers, supplied: endpoint(), ..Outside::default() };
        let plan = Lifecycle::<Pools>::plan(&wish, &seen, NOW);
        let [Step::Store(stored), Step::Tell(status)] = plan.steps.as_slice() else { panic!("stored and told: {plan:?}") };
        assert_eq!((Some(stored), status.provisioned), (endpoint().as_ref(), true));
    }
    // Whoever said one before is not overruled.
    let other = ApiEndpoint::new("10.0.0.101", 6443).ok();
    for mut seen in [object(other.clone(), None), object(None, other)] {
        seen.outside.supplied = endpoint();
        assert!(told(&wish, &seen).0.provisioned, "and nothing is stored");
    }
}

#[test]
fn a_pool_that_breaks_a_rule_keeps_the_domains_it_had() {
    let wish =
        Wish { hosts: Vec::new(), violations: vec![Violation::new("spec.placement.staticPool.hosts", "must have at least one host")] };
    let mut seen = object(endpoint(), None);
    seen.status = Status { provisioned: true, failure_domains: vec![FailureDomain::new("a:1", true)], conditions: Vec::new() };
    let (status, ready) = told(&wish, &seen);
    assert_eq!(ready, "False Provisioning: spec.placement.staticPool.hosts must have at least one host");
    assert_eq!((status.provisioned, status.failure_domains), (true, vec![FailureDomain::new("a:1", true)]));
}

#[test]
fn of_many_hosts_those_for_control_planes_are_told_first_and_no_more_than_the_contract_takes() {
    let hosts: Vec<Host> =
        (0..150).map(|at| Host { endpoint: format!("{at:03}:1"), control_plane_allowed: at >= 140, most: None }).collect();
    let domains = failure_domains(&hosts);
    assert_eq!(domains.len(), 100);
    assert_eq!(domains.iter().filter(|domain| domain.allows_control_plane()).count(), 10);
    assert!(domains.is_sorted_by_key(|domain| &domain.name));
}

#[test]
fn nothing_keeps_it_when_its_machines_are_gone() {
    let mut seen = object(endpoint(), None);
    seen.object.deleting = true;
    let plan = Lifecycle::<Pools>::plan(&Wish::default(), &seen, NOW);
    assert_eq!(plan.steps, [Step::Release { cost: None }]);
}

/// Status, reason and message of a condition that is told.
fn condition(status: &Status, type_: &str) -> Option<String> {
    let known = status.conditions.iter().find(|known| known.type_ == type_)?;
    Some(format!("{} {}: {}", known.status, known.reason, known.message))
}

#[test]
fn whether_the_control_plane_answers_is_told_and_nothing_waits_for_it() {
    let wish = Wish::of(&sample::cluster());
    let mut seen = object(endpoint(), None);
    assert_eq!(condition(&told(&wish, &seen).0, LOAD_BALANCER_AVAILABLE), None, "nobody looked yet");
    for (answers, expected) in [
        (Ok(()), "True LoadBalancerAvailable: "),
        (
            Err("nothing listens at 10.0.0.100:6443".to_owned()),
            "False LoadBalancerNotAvailable: control plane load balancer isn't available: nothing listens at 10.0.0.100:6443",
        ),
    ] {
        seen.outside.answers = Some(answers);
        let (status, ready) = told(&wish, &seen);
        assert_eq!(condition(&status, LOAD_BALANCER_AVAILABLE).as_deref(), Some(expected));
        assert_eq!((status.provisioned, ready.as_str()), (true, "True Ready: "), "the endpoint is published at once");
    }
}

#[test]
fn a_host_that_is_down_is_told_and_the_cluster_stays_ready() {
    let wish = Wish::of(&sample::cluster());
    let mut seen = object(endpoint(), None);
    assert_eq!(condition(&told(&wish, &seen).0, HOSTS_AVAILABLE).as_deref(), Some("True NoneIsDown: "));
    seen.outside.down.insert("10.0.0.2:9090".into(), "no route".into());
    let (status, ready) = told(&wish, &seen);
    let expected = "False HostUnreachable: host 10.0.0.2:9090 does not answer: no route";
    assert_eq!(condition(&status, HOSTS_AVAILABLE).as_deref(), Some(expected));
    assert_eq!(ready, "True Ready: ");
}
