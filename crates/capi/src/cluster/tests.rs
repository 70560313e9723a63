mod explored;

use super::*;

const NOW: Timestamp = Timestamp::constant(1_000, 0);
const BEFORE: Timestamp = Timestamp::constant(900, 0);

/// A provider that answers as told. Steps below 10 make something.
struct Told;

#[derive(Clone, Debug)]
struct Answers {
    present: Present<Found, u8>,
    absent: Absent<u8>,
}

impl ClusterProvider for Told {
    type Wish = ();
    type Observed = Answers;
    type Step = u8;
    const LANDING: Duration = Duration::from_secs(10);

    fn makes(step: &u8) -> bool {
        *step < 10
    }

    fn present(_: &Subject<'_>, _: &Claim, (): &(), seen: &Answers) -> Present<Found, u8> {
        seen.present.clone()
    }

    fn absent(_: &Subject<'_>, _: &Claim, (): &(), seen: &Answers) -> Absent<u8> {
        seen.absent.clone()
    }
}

type Seen = Observed<Answers>;

fn endpoint(host: &str) -> ApiEndpoint {
    ApiEndpoint::new(host, 6443).expect("valid")
}

fn blocked() -> Blocked {
    Blocked::new("CloudDown", "the cloud", "does not answer")
}

fn found() -> Found {
    Found { endpoint: None, provisioned: true, failure_domains: vec![FailureDomain::new("a", true)] }
}

fn new() -> Seen {
    Observed {
        object: Object {
            namespace: "default".into(),
            name: "c".into(),
            uid: "u1".into(),
            deleting: false,
            finalizer: false,
            watched: true,
            externally_managed: false,
            paused: false,
            forced: false,
            claim: None,
        },
        endpoint: None,
        status: Status::default(),
        status_current: true,
        owner: Referred::Found(Owner::default()),
        machines: 0,
        grounds: Grounds::After(BEFORE),
        looked: Some(NOW),
        failure: None,
        outside: Answers { present: Present::Something(found(), Plan::settled()), absent: Absent::Nothing },
    }
}

fn claimed() -> Seen {
    let mut seen = new();
    seen.object.finalizer = true;
    seen.object.claim = Some(Claim { token: "u1".into(), placement: String::new() });
    seen
}

fn whole() -> Seen {
    let mut seen = claimed();
    let conditions = vec![Report::paused(false), ready(condition::Status::True, "Ready", "")];
    seen.status = Status { provisioned: true, failure_domains: found().failure_domains, conditions };
    seen
}

fn deleting(mut seen: Seen) -> Seen {
    seen.object.deleting = true;
    seen
}

fn with(mut seen: Seen, change: impl FnOnce(&mut Seen)) -> Seen {
    change(&mut seen);
    seen
}

fn plan(seen: &Seen) -> Plan<Step<u8>> {
    Lifecycle::<Told>::plan(&(), seen, NOW)
}

fn words(seen: &Seen) -> Vec<String> {
    let word = |step: &Step<u8>| match step {
        Step::Claim(claim) => format!("claim {}", claim.token),
        Step::Hold => "hold".into(),
        Step::Confirm => "confirm".into(),
        Step::Make(step) => format!("make {step}"),
        Step::Change(step) => format!("change {step}"),
        Step::Store(endpoint) => format!("endpoint {}", endpoint.host),
        Step::Tell(status) => {
            let paused = status.conditions.iter().find(|known| known.type_ == "Paused" && known.status == condition::Status::True);
            let told = paused.or(status.conditions.iter().find(|known| known.type_ == "Ready"));
            told.map(|told| format!("tell {} {} {}", told.type_, told.status, told.reason)).unwrap_or_default()
        }
        Step::Release { cost: None } => "release".into(),
        Step::Release { cost: Some(_) } => "release by force".into(),
    };
    plan(seen).steps.iter().map(word).collect()
}

#[test]
fn every_gate_and_what_is_made() {
    let making = || Present::Nothing(Plan::settled().then(1));
    let supplied = || Found { endpoint: Some(endpoint("vip")), ..found() };
    let cases: Vec<(&str, Seen, &[&str])> = vec![
        ("another manager's", with(new(), |s| s.object.watched = false), &[]),
        ("another system's", with(new(), |s| s.object.externally_managed = true), &[]),
        (
            "another system's, deleted",
            with(new(), |s| (s.object.externally_managed, s.object.deleting, s.object.finalizer) = (true, true, true)),
            &["release"],
        ),
        (
            "another system's, deleted, and claimed before it was",
            with(claimed(), |s| (s.object.externally_managed, s.object.deleting) = (true, true)),
            &[],
        ),
        ("no owner yet", with(new(), |s| s.owner = Referred::NotSet), &[]),
        ("owner gone", with(new(), |s| s.owner = Referred::Missing { name: "c".into() }), &["tell Ready False WaitingForCluster"]),
        ("its own pause", with(new(), |s| s.object.paused = true), &["tell Paused True Paused"]),
        (
            "paused by its cluster",
            with(new(), |s| s.owner = Referred::Found(Owner { paused: true, ..Owner::default() })),
            &["tell Paused True Paused"],
        ),
        ("new", new(), &["claim u1"]),
        ("new, and something to make", with(new(), |s| s.outside.present = making()), &["claim u1", "make 1"]),
        ("held", claimed(), &["tell Ready True Ready"]),
        ("to be made", with(claimed(), |s| s.outside.present = making()), &["confirm", "make 1"]),
        ("to be made, stale look", with(claimed(), |s| (s.outside.present, s.looked) = (making(), Some(BEFORE))), &[]),
        (
            "the last try failed",
            with(claimed(), |s| (s.outside.present, s.failure) = (making(), Some(Failure { cause: "refused".into() }))),
            &["tell Ready False ProvisioningFailed", "make 1"],
        ),
        ("finalizer lost", with(whole(), |s| s.object.finalizer = false), &["hold"]),
        (
            "it supplies the endpoint",
            with(claimed(), |s| s.outside.present = Present::Something(supplied(), Plan::settled())),
            &["endpoint vip", "tell Ready True Ready"],
        ),
        (
            "the endpoint is already the user's",
            with(whole(), |s| {
                s.outside.present = Present::Something(supplied(), Plan::settled());
                s.owner = Referred::Found(Owner { paused: false, endpoint: Some(endpoint("mine")) });
            }),
            &[],
        ),
        (
            "waits",
            with(claimed(), |s| s.outside.present = Present::Something(found(), Plan::settled().waiting("the endpoint", "is not set"))),
            &["tell Ready False Provisioning"],
        ),
        ("not to be told", with(claimed(), |s| s.outside.present = Present::Unknown(blocked())), &["tell Ready False CloudDown"]),
        ("not to be told later", with(whole(), |s| s.outside.present = Present::Unknown(blocked())), &["tell Ready Unknown CloudDown"]),
        ("whole and told", whole(), &[]),
        ("told for an older generation", with(whole(), |s| s.status_current = false), &["tell Ready True Ready"]),
        ("another failure domain", with(whole(), |s| s.status.failure_domains.clear()), &["tell Ready True Ready"]),
        ("owner gone later", with(whole(), |s| s.owner = Referred::Missing { name: "c".into() }), &[]),
    ];
    for (name, seen, expected) in cases {
        assert_eq!(words(&seen), expected, "{name}");
    }
}

#[test]
fn how_it_ends() {
    let there = || Absent::Something(Plan::settled().then(10));
    let cases: Vec<(&str, Seen, &[&str])> = vec![
        ("never held", deleting(new()), &[]),
        ("machines need it", deleting(with(whole(), |s| s.machines = 2)), &["tell Ready False WaitingForMachines"]),
        (
            "machines need it, whoever forces",
            deleting(with(whole(), |s| (s.machines, s.object.forced) = (1, true))),
            &["tell Ready False WaitingForMachines"],
        ),
        ("nothing left", deleting(whole()), &["release"]),
        ("nothing left, Cluster gone", deleting(with(whole(), |s| s.owner = Referred::NotSet)), &["release"]),
        ("nothing in a stale look", deleting(with(whole(), |s| s.looked = None)), &["tell Ready False Deleting"]),
        ("there", deleting(with(whole(), |s| s.outside.absent = there())), &["change 10"]),
        ("not to be told", deleting(with(whole(), |s| s.outside.absent = Absent::Unknown(blocked()))), &["tell Ready False CloudDown"]),
        (
            "not to be told, by force",
            deleting(with(whole(), |s| (s.outside.absent, s.object.forced) = (Absent::Unknown(blocked()), true))),
            &["release by force"],
        ),
        ("paused", deleting(with(whole(), |s| s.object.paused = true)), &["tell Paused True Paused"]),
    ];
    for (name, seen, expected) in cases {
        assert_eq!(words(&seen), expected, "{name}");
    }
}

#[test]
fn a_machine_less_is_no_write() {
    let two = deleting(with(whole(), |s| s.machines = 2));
    let Some(Step::Tell(status)) = plan(&two).steps.pop() else { panic!("it tells") };
    assert_eq!(words(&with(two, |s| (s.machines, s.status) = (1, status))), [""; 0]);
}

#[test]
fn what_is_told_comes_back() {
    let mut told = InfraClusterStatus::default();
    let status = whole().status;
    status.write(&mut told, Some(2), NOW);
    assert_eq!(Status::read(&told), status);
}
