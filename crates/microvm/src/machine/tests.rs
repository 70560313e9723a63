use capstead_capi::condition::Report;
use capstead_capi::lifecycle::{Object, Referred, Step as Life};
use capstead_capi::machine::{Bootstrap, Cluster, Lifecycle, Observed as Whole, Owner, Status};
use capstead_capi::ownership::Grounds;
use capstead_reconcile::{Reconciler, Timestamp};

use super::*;
use crate::sample;

const BEFORE: Timestamp = Timestamp::constant(900, 0);
const SINCE: Timestamp = Timestamp::constant(950, 0);
const NOW: Timestamp = Timestamp::constant(1_000, 0);
const HOST: &str = "10.0.0.1:9090";

fn host(endpoint: &str, control_plane_allowed: bool) -> Host {
    Host { endpoint: endpoint.into(), control_plane_allowed, most: None }
}

fn wish() -> Wish {
    let address = MachineAddress::new(MachineAddressType::InternalIp, "10.1.0.5");
    Wish { hosts: vec![host("b:1", true), host(HOST, false), host("c:1", true)], addresses: vec![address], ..Wish::default() }
}

fn claim() -> Claim {
    Claim { token: "u1".into(), placement: HOST.into() }
}

fn subject<'a>() -> Subject<'a> {
    Subject { namespace: "default", name: "m", provider_id: None, failure_domain: None, control_plane: false }
}

fn microvm(uid: &str, state: State) -> Microvm {
    Microvm { uid: uid.into(), state, addresses: Vec::new(), cause: String::new() }
}

fn seen(states: &[(&str, State)]) -> Observed {
    Observed::Seen(states.iter().map(|(uid, state)| microvm(uid, *state)).collect())
}

/// A host of ours tells why.
fn troubled(state: State) -> Observed {
    Observed::Seen(vec![Microvm { cause: "cannot pull a/b:v1".into(), ..microvm("1", state) }])
}

fn unreachable() -> Observed {
    Observed::Unreachable { cause: "connection refused".into() }
}

/// Name and host.
const PLACED: [(&str, &str); 5] =
    [("m", "c:1"), ("mvm-md-0-abcde-x2x4q", "c:1"), ("worker-1", "b:1"), ("worker-2", "10.0.0.1:9090"), ("worker-3", "b:1")];

fn create() -> Step {
    Step::Create { host: HOST.into() }
}

fn remove(uid: &str) -> Step {
    Step::Delete { host: HOST.into(), uid: uid.into() }
}

fn id(uid: &str) -> ProviderId {
    provider_id(HOST, uid).unwrap()
}

/// All gates open, claimed, and this seen.
fn object(outside: Observed) -> Whole<Observed> {
    Whole {
        object: Object {
            namespace: "default".into(),
            name: "m".into(),
            uid: "u1".into(),
            deleting: false,
            finalizer: true,
            watched: true,
            externally_managed: false,
            paused: false,
            forced: false,
            claim: Some(claim()),
        },
        provider_id: None,
        status: Status::default(),
        status_current: true,
        owner: Referred::Found(Owner { failure_domain: None, control_plane: false, bootstrap: Bootstrap::Ready }),
        cluster: Referred::Found(Cluster { paused: false, infrastructure_provisioned: true }),
        grounds: Grounds::After(BEFORE),
        looked: Some(SINCE),
        failure: None,
        outside,
    }
}

/// Steps in words, and the text of Ready when it is told.
fn plan(seen: &Whole<Observed>) -> (Vec<String>, String) {
    let plan = Lifecycle::<Microvms>::plan(&wish(), seen, NOW);
    let mut told = String::new();
    let mut word = |step: &Life<Step, ProviderId, Status>| match step {
        Life::Claim(claim) => format!("claim {}", claim.placement),
        Life::Hold => "hold".into(),
        Life::Confirm => "confirm".into(),
        Life::Make(Step::Create { host }) => format!("create on {host}"),
        Life::Change(Step::Delete { uid, .. }) => format!("delete {uid}"),
        Life::Make(step) | Life::Change(step) => format!("wrong: {step:?}"),
        Life::Store(id) => format!("store {id}"),
        Life::Tell(status) => {
            let ready: Option<&Report> = status.conditions.iter().find(|known| known.type_ == "Ready");
            let ready = ready.map(|ready| (format!("{} {}", ready.status, ready.reason), ready.message.clone()));
            let (word, message) = ready.unwrap_or_default();
            told = message;
            format!("tell {word}{}", if status.provisioned { ", provisioned" } else { "" })
        }
        Life::Release { cost } => format!("release{}", if cost.is_some() { " by force" } else { "" }),
    };
    (plan.steps.iter().map(&mut word).collect(), told)
}

#[test]
fn the_machines_own_failure_domain_comes_first_and_must_exist() {
    let place = |domain: &'static str| {
        Microvms::place(&Subject { failure_domain: Some(domain), control_plane: true, ..subject() }, &wish(), &Observed::Unseen)
    };
    assert_eq!(place(HOST).as_deref(), Ok(HOST), "even where control planes are not allowed: the Machine says so");
    let blocked = place("gone:1").unwrap_err();
    assert_eq!((blocked.reason.as_str(), blocked.on.as_str()), (NO_HOST, "its Machine's spec.failureDomain gone:1"));
    assert!(blocked.why.contains("a host that does not exist") && blocked.why.contains("spec.placement.staticPool.hosts"), "{blocked:?}");
}

#[test]
fn machines_are_placed_where_upstream_places_them() {
    // Python: sorted(hosts)[zlib.crc32(name) % 3].
    for (name, expected) in PLACED {
        let place = Microvms::place(&Subject { name, ..subject() }, &wish(), &Observed::Unseen);
        assert_eq!(place.as_deref(), Ok(expected), "{name}");
    }
}

#[test]
fn control_plane_machines_are_placed_where_they_are_allowed_if_that_is_anywhere() {
    let place =
        |name: &str, wish: &Wish| Microvms::place(&Subject { name, control_plane: true, ..subject() }, wish, &Observed::Unseen).unwrap();
    let nowhere = Wish { hosts: vec![host("a:1", false), host("b:1", false)], ..Wish::default() };
    let names: Vec<String> = (0..32).map(|number| format!("cp-{number}")).collect();
    let used: std::collections::BTreeSet<_> = names.iter().map(|name| place(name, &wish())).collect();
    assert_eq!(used.into_iter().collect::<Vec<_>>(), ["b:1", "c:1"]);
    let used: std::collections::BTreeSet<_> = names.iter().map(|name| place(name, &nowhere)).collect();
    assert_eq!(used.into_iter().collect::<Vec<_>>(), ["a:1", "b:1"]);
}

#[test]
fn a_wish_that_breaks_a_rule_places_and_makes_nothing() {
    let broken = Wish { violations: vec![Violation::new("spec.vcpu of the MicrovmMachine", "must be 1 to 64")], ..wish() };
    let blocked = Blocked::new(INVALID_SPEC, "spec.vcpu of the MicrovmMachine", "must be 1 to 64");
    assert_eq!(Microvms::place(&subject(), &broken, &Observed::Unseen), Err(blocked.clone()));
    assert_eq!(Microvms::present(&subject(), &claim(), &broken, &seen(&[])), Present::Unknown(blocked));
    let Present::Something(found, plan) = Microvms::present(&subject(), &claim(), &broken, &seen(&[("1", State::Created)])) else {
        panic!("what is there stays");
    };
    assert!(found.provisioned && plan.is_settled());
    let empty = Microvms::place(&subject(), &Wish::default(), &Observed::Unseen).unwrap_err();
    assert_eq!(empty.reason, NO_HOST);
}

#[test]
fn what_is_wrong_is_said_of_its_object() {
    let (mut machine, mut cluster) = (sample::machine(), sample::cluster());
    let wish = Wish::of(&machine, Some(&cluster));
    assert_eq!(wish.violations, []);
    assert_eq!(wish.addresses, [MachineAddress::new(MachineAddressType::InternalIp, "10.1.0.5")]);
    assert_eq!(wish.hosts, [host("10.0.0.1:9090", true), host("10.0.0.2:9090", false)]);
    let [lone] = Wish::of(&machine, None).violations.try_into().unwrap();
    assert_eq!(lone.field, "spec.infrastructureRef of the Cluster");
    machine.spec.vm.vcpu = 65;
    cluster.spec.placement.static_pool = None;
    let fields: Vec<_> = Wish::of(&machine, Some(&cluster)).violations.into_iter().map(|known| known.field).collect();
    assert_eq!(fields, ["spec.placement of the MicrovmCluster", "spec.vcpu of the MicrovmMachine"]);
}

#[test]
fn a_host_that_left_the_pool_gets_no_new_microvm_but_loses_its_old_ones() {
    let gone = Wish { hosts: vec![host("b:1", true)], ..Wish::default() };
    let Present::Unknown(blocked) = Microvms::present(&subject(), &claim(), &gone, &seen(&[])) else { panic!("nothing is made") };
    assert_eq!(blocked.reason, NO_HOST);
    assert_eq!(Microvms::absent(&subject(), &claim(), &gone, &seen(&[])), Absent::Nothing);
    let Absent::Something(plan) = Microvms::absent(&subject(), &claim(), &gone, &seen(&[("1", State::Created)])) else { panic!() };
    assert_eq!(plan.steps, [remove("1")]);
}

#[test]
fn present_by_state() {
    use State::*;
    let present = |seen: &Observed| Microvms::present(&subject(), &claim(), &wish(), seen);
    assert_eq!(present(&seen(&[])), Present::Nothing(Plan::settled().then(create())));
    for (state, provisioned, failed, waits) in [
        (Pending, false, false, 1),
        (Created, true, false, 0),
        (Failed, false, true, 0),
        (Deleting, false, false, 1),
        (Unknown, false, false, 1),
    ] {
        let Present::Something(found, plan) = present(&seen(&[("1", state)])) else { panic!("{state:?} is there") };
        assert_eq!((found.provisioned, found.failed.is_some(), plan.waits.len()), (provisioned, failed, waits), "{state:?}");
        assert_eq!((found.provider_id, found.failure_domain.as_deref()), (Some(id("1")), Some(HOST)), "{state:?}");
        assert_eq!(found.addresses.is_empty(), !provisioned, "{state:?}");
        assert_eq!(plan.steps, [], "{state:?}");
    }
    for (outside, why) in [(Observed::Unseen, "was not asked yet"), (unreachable(), "does not answer: connection refused")] {
        let blocked = Blocked::new(HOST_UNREACHABLE, format!("host {HOST}"), why);
        assert_eq!(present(&outside), Present::Unknown(blocked.clone()));
        assert_eq!(Microvms::absent(&subject(), &claim(), &wish(), &outside), Absent::Unknown(blocked));
    }
}

#[test]
fn addresses_are_the_specs_or_else_the_hosts_or_its_nodes_or_else_those_told_before() {
    let address = |address: &&str| MachineAddress::new(MachineAddressType::InternalIp, *address);
    let all = |known: &[&str]| -> Vec<MachineAddress> { known.iter().map(address).collect() };
    type Case = ([&'static [&'static str]; 3], &'static [&'static str]);
    let cases: [Case; 5] = [
        ([&["spec"], &["host"], &["told"]], &["spec"]),
        ([&[], &["host", "other"], &["told"]], &["host", "other"]),
        ([&[], &[], &["told"]], &["told"]),
        ([&["spec"], &[], &[]], &["spec"]),
        ([&[], &[], &[]], &[]),
    ];
    for ([spec, host, told], expected) in cases {
        let wish = Wish { addresses: all(spec), told: all(told), ..wish() };
        let seen = Observed::Seen(vec![Microvm { addresses: all(host), ..microvm("1", State::Created) }]);
        let Present::Something(found, _) = Microvms::present(&subject(), &claim(), &wish, &seen) else { panic!("it is there") };
        assert_eq!(found.addresses, all(expected), "{spec:?} {host:?} {told:?}");
    }
}

#[test]
fn of_twins_the_one_the_machine_is_known_by_stays_or_else_the_best() {
    use State::*;
    type Case = (Option<&'static str>, &'static [(&'static str, State)], &'static str, &'static [&'static str]);
    let cases: [Case; 6] = [
        (Some("2"), &[("1", Created), ("2", Pending)], "2", &["1"]),
        (None, &[("1", Pending), ("2", Created)], "2", &["1"]),
        (None, &[("2", Created), ("1", Created)], "1", &["2"]),
        (None, &[("1", Failed), ("2", Pending)], "2", &["1"]),
        (Some("1"), &[("1", Created), ("2", Deleting)], "1", &[]),
        // Known by one that is gone: nothing is deleted on a doubt.
        (Some("3"), &[("1", Created), ("2", Created)], "1", &[]),
    ];
    for (known_by, states, chosen, deleted) in cases {
        let known_by = known_by.map(id);
        let subject = Subject { provider_id: known_by.as_ref(), ..subject() };
        let Present::Something(found, plan) = Microvms::present(&subject, &claim(), &wish(), &seen(states)) else { panic!("{states:?}") };
        assert_eq!(found.provider_id, Some(id(chosen)), "{states:?}");
        assert_eq!(plan.steps, deleted.iter().map(|uid| remove(uid)).collect::<Vec<_>>(), "{states:?}");
    }
}

#[test]
fn the_whole_life() {
    use State::*;
    let with = |mut seen: Whole<Observed>, change: fn(&mut Whole<Observed>)| {
        change(&mut seen);
        seen
    };
    let stored = |seen| with(seen, |seen| seen.provider_id = Some(id("1")));
    let deleting = |seen| with(seen, |seen| seen.object.deleting = true);
    let fresh = |seen| {
        with(seen, |seen| {
            seen.object.claim = None;
            seen.object.finalizer = false;
        })
    };
    let cases: Vec<(&str, Whole<Observed>, &[&str], &str)> = vec![
        ("new", fresh(object(seen(&[]))), &["claim c:1", "create on c:1"], ""),
        ("new, host not asked", fresh(object(Observed::Unseen)), &["claim c:1"], ""),
        ("claimed", object(seen(&[])), &["confirm", "create on 10.0.0.1:9090"], ""),
        ("claimed, an old look", with(object(seen(&[])), |seen| seen.looked = Some(BEFORE)), &[], ""),
        ("host down", object(unreachable()), &["tell False HostUnreachable"], "host 10.0.0.1:9090 does not answer: connection refused"),
        (
            "pending",
            object(seen(&[("1", Pending)])),
            &["store microvm://10.0.0.1:9090/1", "tell False Provisioning"],
            "microVM 1 on host 10.0.0.1:9090 is being made by the host",
        ),
        ("created", object(seen(&[("1", Created)])), &["store microvm://10.0.0.1:9090/1", "tell True Ready, provisioned"], ""),
        ("created and stored", stored(object(seen(&[("1", Created)]))), &["tell True Ready, provisioned"], ""),
        (
            "failed",
            stored(object(seen(&[("1", Failed)]))),
            &["tell False MachineFailed"],
            "microVM 1 on host 10.0.0.1:9090 failed; its host tells no cause, that host's log may",
        ),
        (
            "pending, with trouble",
            object(troubled(Pending)),
            &["store microvm://10.0.0.1:9090/1", "tell False Provisioning"],
            "microVM 1 on host 10.0.0.1:9090 is being made by the host: cannot pull a/b:v1",
        ),
        (
            "failed, and told why",
            stored(object(troubled(Failed))),
            &["tell False MachineFailed"],
            "microVM 1 on host 10.0.0.1:9090 failed: cannot pull a/b:v1",
        ),
        (
            "gone",
            stored(object(seen(&[]))),
            &["tell False MachineVanished"],
            "microvm://10.0.0.1:9090/1 is no longer there at 10.0.0.1:9090; it is not made again: delete its Machine, or let a MachineHealthCheck do so",
        ),
        ("a twin", stored(object(seen(&[("1", Created), ("2", Created)]))), &["delete 2"], ""),
        (
            "only the twin",
            stored(object(seen(&[("2", Created)]))),
            &["tell False ProviderIDMismatch"],
            "spec.providerID is microvm://10.0.0.1:9090/1, but the machine that carries the object's token is microvm://10.0.0.1:9090/2",
        ),
        (
            "deleted",
            deleting(stored(object(seen(&[("1", Created)])))),
            &["tell False Deleting", "delete 1"],
            "microVM 1 on host 10.0.0.1:9090 is being deleted by the host",
        ),
        (
            "deleted with a twin, one on its way",
            deleting(object(seen(&[("1", Deleting), ("2", Failed)]))),
            &["tell False Deleting", "delete 2"],
            "microVM 1 on host 10.0.0.1:9090 is being deleted by the host; microVM 2 on host 10.0.0.1:9090 is being deleted by the host",
        ),
        ("deleted, nothing left", deleting(stored(object(seen(&[])))), &["release"], ""),
        (
            "deleted, an old look",
            deleting(with(object(seen(&[])), |seen| seen.looked = Some(BEFORE))),
            &["tell False Deleting"],
            "a look at the outside must begin after the last thing made for this object could have landed",
        ),
        ("deleted, forced, host down", deleting(with(object(unreachable()), |seen| seen.object.forced = true)), &["release by force"], ""),
    ];
    for (case, seen, steps, message) in cases {
        assert_eq!(plan(&seen), (steps.iter().map(|step| (*step).to_owned()).collect(), message.to_owned()), "{case}");
    }
    let (steps, message) = plan(&deleting(object(unreachable())));
    assert_eq!(steps, ["tell False HostUnreachable"]);
    assert!(message.contains("capstead.io/force-release"), "{message}");
}

#[test]
fn states_are_told_in_upstreams_words() {
    let word = |number| serde_json::to_value(VmState::from(State::of(number))).unwrap();
    assert_eq!([0, 1, 2, 3, 9].map(word), ["pending", "running", "failed", "deleted", "unknown"]);
}

#[test]
fn a_create_may_land_for_as_long_as_the_client_waits_and_longer() {
    assert!(Microvms::LANDING > capstead_flintlock::Limits::default().call);
    assert!(Microvms::makes(&create()) && !Microvms::makes(&remove("1")));
}

#[test]
fn a_machine_that_upstream_made_is_taken_over_by_its_provider_id() {
    let mut upstreams = object(Observed::Unseen);
    upstreams.object.claim = None;
    upstreams.provider_id = Some(id("01HZX"));
    assert_eq!(plan(&upstreams).0, ["claim 10.0.0.1:9090"]);
    upstreams.object.deleting = true;
    assert_eq!(plan(&upstreams).0, ["claim 10.0.0.1:9090"], "or else its microVM would be left behind");
    upstreams.object.forced = true;
    assert_eq!(plan(&upstreams).0, ["release"], "a person knows better");

    // Claimed, it lives and goes as any other.
    let claimed = Whole { provider_id: Some(id("01HZX")), ..object(seen(&[("01HZX", State::Created)])) };
    assert_eq!(plan(&claimed).0, ["tell True Ready, provisioned"]);
    let mut going = claimed;
    going.object.deleting = true;
    assert_eq!(plan(&going).0.last().map(String::as_str), Some("delete 01HZX"));

    let mut strange = object(Observed::Unseen);
    strange.object.claim = None;
    strange.provider_id = Some("other://10.0.0.1:9090/1".parse().unwrap());
    assert_eq!(plan(&strange).0, ["tell Unknown ProviderIDMismatch"], "another provider's is left alone");
}
