mod explored;
mod properties;

use super::*;

const NOW: Timestamp = Timestamp::constant(1_000, 0);
const BEFORE: Timestamp = Timestamp::constant(900, 0);
const SINCE: Timestamp = Timestamp::constant(950, 0);

/// A provider that answers as told. Steps below 10 make something.
struct Told;

#[derive(Clone, Debug)]
struct Answers {
    place: Result<String, Blocked>,
    present: Present<Found, u8>,
    absent: Absent<u8>,
}

impl MachineProvider for Told {
    type Wish = ();
    type Observed = Answers;
    type Step = u8;
    const LANDING: Duration = Duration::from_secs(10);

    fn makes(step: &u8) -> bool {
        *step < 10
    }

    fn place(_: &Subject<'_>, (): &(), seen: &Answers) -> Result<String, Blocked> {
        seen.place.clone()
    }

    fn present(_: &Subject<'_>, _: &Claim, (): &(), seen: &Answers) -> Present<Found, u8> {
        seen.present.clone()
    }

    fn absent(_: &Subject<'_>, _: &Claim, (): &(), seen: &Answers) -> Absent<u8> {
        seen.absent.clone()
    }
}

type Seen = Observed<Answers>;

fn id(text: &str) -> ProviderId {
    text.parse().expect("valid")
}

fn blocked() -> Blocked {
    Blocked::new("HostDown", "host a", "does not answer")
}

fn owner(bootstrap: Bootstrap) -> Referred<Owner> {
    Referred::Found(Owner { failure_domain: None, control_plane: false, bootstrap })
}

/// Every gate open, nothing made.
fn new() -> Seen {
    Observed {
        object: Object {
            namespace: "default".into(),
            name: "m".into(),
            uid: "u1".into(),
            deleting: false,
            finalizer: false,
            watched: true,
            externally_managed: false,
            paused: false,
            forced: false,
            claim: None,
        },
        provider_id: None,
        status: Status::default(),
        status_current: true,
        owner: owner(Bootstrap::Ready),
        cluster: Referred::Found(Cluster { paused: false, infrastructure_provisioned: true }),
        grounds: Grounds::After(BEFORE),
        looked: Some(SINCE),
        failure: None,
        outside: Answers { place: Ok("a".into()), present: Present::Nothing(Plan::settled().then(1)), absent: Absent::Nothing },
    }
}

fn claimed() -> Seen {
    let mut seen = new();
    seen.object.finalizer = true;
    seen.object.claim = Some(Claim { token: "u1".into(), placement: "a".into() });
    seen
}

fn found() -> Found {
    Found { provider_id: Some(id("x://1")), provisioned: true, ..Found::default() }
}

/// Made and told.
fn whole() -> Seen {
    let mut seen = claimed();
    seen.outside.present = Present::Something(found(), Plan::settled());
    seen.provider_id = Some(id("x://1"));
    let ready = ready(condition::Status::True, "Ready", "");
    seen.status = Status { provisioned: true, conditions: vec![Report::paused(false), ready], ..Status::default() };
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

/// A step in a word or two; of what is told, Paused when True, else Ready.
fn word(step: &Step<u8>) -> String {
    match step {
        Step::Claim(claim) => format!("claim {} at {}", claim.token, claim.placement),
        Step::Hold => "hold".into(),
        Step::Confirm => "confirm".into(),
        Step::Make(step) => format!("make {step}"),
        Step::Change(step) => format!("change {step}"),
        Step::Store(id) => format!("id {id}"),
        Step::Tell(status) => {
            let paused = status.conditions.iter().find(|known| known.type_ == "Paused" && known.status == condition::Status::True);
            let told = paused.or(status.conditions.iter().find(|known| known.type_ == "Ready"));
            told.map(|told| format!("tell {} {} {}", told.type_, told.status, told.reason)).unwrap_or_default()
        }
        Step::Release { cost: None } => "release".into(),
        Step::Release { cost: Some(_) } => "release by force".into(),
    }
}

fn words(seen: &Seen) -> Vec<String> {
    plan(seen).steps.iter().map(word).collect()
}

fn something(steps: &[u8]) -> Absent<u8> {
    Absent::Something(steps.iter().fold(Plan::settled(), |plan, step| plan.then(*step)))
}

#[test]
fn every_gate() {
    let cases: Vec<(&str, Seen, &[&str])> = vec![
        ("another manager's", with(new(), |s| s.object.watched = false), &[]),
        ("another manager's, deleted", deleting(with(claimed(), |s| s.object.watched = false)), &[]),
        ("another system's", with(claimed(), |s| s.object.externally_managed = true), &[]),
        ("no owner yet: not even a condition", with(new(), |s| s.owner = Referred::NotSet), &[]),
        (
            "an owner that will not come is told",
            with(new(), |s| s.owner = Referred::Astray { why: "is nowhere".into() }),
            &["tell Ready False WaitingForMachine"],
        ),
        ("its own pause", with(new(), |s| s.object.paused = true), &["tell Paused True Paused"]),
        (
            "paused by its cluster",
            with(new(), |s| s.cluster = Referred::Found(Cluster { paused: true, ..Cluster::default() })),
            &["tell Paused True Paused"],
        ),
        ("paused while deleted", deleting(with(claimed(), |s| s.object.paused = true)), &["tell Paused True Paused"]),
        ("paused and told so", with(new(), |s| (s.object.paused, s.status.conditions) = (true, vec![Report::paused(true)])), &[]),
        ("owner gone", with(new(), |s| s.owner = Referred::Missing { name: "m".into() }), &["tell Ready False ObjectDoesNotExist"]),
        ("no cluster named", with(new(), |s| s.cluster = Referred::NotSet), &["tell Ready False WaitingForCluster"]),
        ("cluster gone", with(new(), |s| s.cluster = Referred::Missing { name: "c".into() }), &["tell Ready False WaitingForCluster"]),
        (
            "infrastructure not ready",
            with(new(), |s| s.cluster = Referred::Found(Cluster::default())),
            &["tell Ready False WaitingForClusterInfrastructureReady"],
        ),
        ("no bootstrap data", with(new(), |s| s.owner = owner(Bootstrap::NotSet)), &["tell Ready False WaitingForBootstrapData"]),
        (
            "no Secret",
            with(new(), |s| s.owner = owner(Bootstrap::Missing { secret: "b".into() })),
            &["tell Ready False WaitingForBootstrapData"],
        ),
        (
            "Secret without value",
            with(new(), |s| s.owner = owner(Bootstrap::WithoutValue { secret: "b".into() })),
            &["tell Ready False InvalidBootstrapData"],
        ),
        ("no place", with(new(), |s| s.outside.place = Err(blocked())), &["tell Ready False HostDown"]),
        ("every gate open", new(), &["claim u1 at a", "make 1"]),
        ("a providerID without a token", with(new(), |s| s.provider_id = Some(id("x://9"))), &["tell Ready Unknown ProviderIDMismatch"]),
        (
            "Secret gone between claim and make",
            with(claimed(), |s| s.owner = owner(Bootstrap::Missing { secret: "b".into() })),
            &["tell Ready False WaitingForBootstrapData"],
        ),
        (
            "Secret, owner and cluster gone when whole",
            with(whole(), |s| {
                s.owner = Referred::Missing { name: "m".into() };
                s.cluster = Referred::Missing { name: "c".into() };
            }),
            &[],
        ),
    ];
    for (name, seen, expected) in cases {
        assert_eq!(words(&seen), expected, "{name}");
    }
}

#[test]
fn what_is_made() {
    let pending = |plan| Present::Something(Found { provider_id: Some(id("x://1")), ..Found::default() }, plan);
    let cases: Vec<(&str, Seen, &[&str])> = vec![
        ("claimed, nothing there", claimed(), &["confirm", "make 1"]),
        ("the look may have missed it", with(claimed(), |s| s.looked = Some(BEFORE)), &[]),
        ("no look yet", with(claimed(), |s| s.looked = None), &[]),
        (
            "just claimed by this process: no look needed",
            with(claimed(), |s| (s.grounds, s.looked) = (Grounds::NothingMade, None)),
            &["confirm", "make 1"],
        ),
        (
            "the last try failed: say so first",
            with(claimed(), |s| s.failure = Some(Failure { cause: "refused".into() })),
            &["tell Ready False ProvisioningFailed", "make 1"],
        ),
        ("finalizer lost", with(claimed(), |s| s.object.finalizer = false), &["hold", "make 1"]),
        ("host down", with(claimed(), |s| s.outside.present = Present::Unknown(blocked())), &["tell Ready False HostDown"]),
        (
            "host down and nothing ever made: elsewhere",
            with(claimed(), |s| {
                (s.grounds, s.outside.present) = (Grounds::NothingMade, Present::Unknown(blocked()));
                s.outside.place = Ok("b".into());
            }),
            &["claim u1 at b"],
        ),
        (
            "host down and no other",
            with(claimed(), |s| (s.grounds, s.outside.present) = (Grounds::NothingMade, Present::Unknown(blocked()))),
            &["tell Ready False HostDown"],
        ),
        ("not looked yet: no news", with(whole(), |s| (s.outside.present, s.looked) = (Present::Unknown(blocked()), None)), &[]),
        ("host down later", with(whole(), |s| s.outside.present = Present::Unknown(blocked())), &["tell Ready Unknown HostDown"]),
        ("made", with(whole(), |s| (s.provider_id, s.status) = (None, Status::default())), &["id x://1", "tell Ready True Ready"]),
        (
            "booting",
            with(whole(), |s| {
                (s.provider_id, s.status) = (None, Status::default());
                s.outside.present = pending(Plan::settled().waiting("the microVM", "boots"));
            }),
            &["id x://1", "tell Ready False Provisioning"],
        ),
        ("half made: the next resource", with(whole(), |s| s.outside.present = pending(Plan::settled().then(2))), &["confirm", "make 2"]),
        ("half made, stale look", with(whole(), |s| (s.outside.present, s.looked) = (pending(Plan::settled().then(2)), None)), &[]),
        (
            "provisioned without a name",
            with(claimed(), |s| {
                s.outside.present = Present::Something(Found { provisioned: true, ..Found::default() }, Plan::settled());
            }),
            &["tell Ready False Provisioning"],
        ),
        ("whole and told", whole(), &[]),
        ("told for an older generation", with(whole(), |s| s.status_current = false), &["tell Ready True Ready"]),
        ("no longer paused", with(whole(), |s| s.status.conditions[0] = Report::paused(true)), &["tell Ready True Ready"]),
        ("status lost in a move", with(whole(), |s| s.status = Status::default()), &["tell Ready True Ready"]),
        (
            "vanished",
            with(whole(), |s| s.outside.present = Present::Nothing(Plan::settled().then(1))),
            &["tell Ready False MachineVanished"],
        ),
        (
            "vanished, says a stale look",
            with(whole(), |s| {
                (s.outside.present, s.looked) = (Present::Nothing(Plan::settled().then(1)), Some(BEFORE));
            }),
            &[],
        ),
        (
            "failed",
            with(whole(), |s| {
                s.outside.present = Present::Something(Found { failed: Some("no kernel".into()), ..found() }, Plan::settled());
            }),
            &["tell Ready False MachineFailed"],
        ),
        ("another name", with(whole(), |s| s.provider_id = Some(id("x://2"))), &["tell Ready False ProviderIDMismatch"]),
    ];
    for (name, seen, expected) in cases {
        assert_eq!(words(&seen), expected, "{name}");
    }
}

#[test]
fn how_it_ends() {
    let gone = |s: &mut Seen| {
        s.owner = Referred::Missing { name: "m".into() };
        s.cluster = Referred::NotSet;
    };
    let force = |s: &mut Seen| s.object.forced = true;
    let cases: Vec<(&str, Seen, &[&str])> = vec![
        ("never held", deleting(new()), &[]),
        ("held but never claimed", deleting(with(new(), |s| s.object.finalizer = true)), &["release"]),
        (
            "claimed, nothing made: no look needed",
            deleting(with(claimed(), |s| {
                (s.grounds, s.looked, s.outside.absent) = (Grounds::NothingMade, None, Absent::Unknown(blocked()));
            })),
            &["release"],
        ),
        ("nothing left", deleting(whole()), &["release"]),
        ("nothing left, owner and cluster gone", deleting(with(whole(), gone)), &["release"]),
        ("nothing in a stale look", deleting(with(whole(), |s| s.looked = Some(BEFORE))), &["tell Ready False Deleting"]),
        (
            "nothing in a stale look, by force: it only takes a while",
            deleting(with(whole(), |s| {
                force(s);
                s.looked = Some(BEFORE)
            })),
            &["tell Ready False Deleting"],
        ),
        ("there", deleting(with(whole(), |s| s.outside.absent = something(&[10]))), &["change 10"]),
        (
            "there, though the look is old",
            deleting(with(whole(), |s| (s.outside.absent, s.looked) = (something(&[10]), None))),
            &["change 10"],
        ),
        (
            "going",
            deleting(with(whole(), |s| s.outside.absent = Absent::Something(Plan::settled().waiting("it", "is going")))),
            &["tell Ready False Deleting"],
        ),
        (
            "taking away failed",
            deleting(with(whole(), |s| {
                (s.outside.absent, s.failure) = (something(&[10]), Some(Failure { cause: "refused".into() }));
            })),
            &["tell Ready False DeletionFailed", "change 10"],
        ),
        ("host down", deleting(with(whole(), |s| s.outside.absent = Absent::Unknown(blocked()))), &["tell Ready False HostDown"]),
        ("not looked yet: no news", deleting(with(whole(), |s| (s.outside.absent, s.looked) = (Absent::Unknown(blocked()), None))), &[]),
        (
            "by force, but not looked yet",
            deleting(with(whole(), |s| (s.outside.absent, s.looked, s.object.forced) = (Absent::Unknown(blocked()), None, true))),
            &[],
        ),
        (
            "host down, by force",
            deleting(with(whole(), |s| {
                force(s);
                s.outside.absent = Absent::Unknown(blocked())
            })),
            &["release by force"],
        ),
        (
            "by force: one honest try first",
            deleting(with(whole(), |s| {
                force(s);
                s.outside.absent = something(&[10])
            })),
            &["change 10"],
        ),
        (
            "by force after it failed",
            deleting(with(whole(), |s| {
                force(s);
                (s.outside.absent, s.failure) = (something(&[10]), Some(Failure { cause: "refused".into() }));
            })),
            &["release by force"],
        ),
        (
            "finalizer taken by hand: tidy up while there is time",
            deleting(with(whole(), |s| {
                (s.outside.absent, s.object.finalizer) = (something(&[10]), false);
            })),
            &["change 10"],
        ),
        ("finalizer taken by hand, nothing left", deleting(with(whole(), |s| s.object.finalizer = false)), &[]),
        ("force without deletion does nothing", with(whole(), force), &[]),
    ];
    for (name, seen, expected) in cases {
        assert_eq!(words(&seen), expected, "{name}");
    }
}

#[test]
fn a_wait_for_a_better_look_says_when() {
    for seen in [
        with(claimed(), |s| s.grounds = Grounds::unknown(NOW, Told::LANDING)),
        deleting(with(whole(), |s| s.grounds = Grounds::unknown(NOW, Told::LANDING))),
    ] {
        let again = plan(&seen).again.expect("it looks again by itself");
        assert!(seen.grounds.cover(Some(again)), "a look then is good enough: {again}");
    }
}

#[test]
fn force_spells_out_what_it_costs() {
    let down = deleting(with(whole(), |s| s.outside.absent = Absent::Unknown(blocked())));
    let Some(Step::Tell(status)) = plan(&down).steps.pop() else { panic!("it tells") };
    let message = &status.conditions.last().expect("Ready").message;
    assert!(
        message.contains("capstead.io/force-release") && message.contains("token u1 at a") && message.contains("left behind"),
        "{message}"
    );
    let Some(Step::Release { cost: Some(cost) }) = plan(&with(down, |s| s.object.forced = true)).steps.pop() else { panic!("it lets go") };
    assert!(cost.contains("token u1 at a") && cost.contains("remove it by hand"), "{cost}");
}

#[test]
fn a_message_names_field_and_object() {
    let cases = [
        (Bootstrap::NotSet, "its Machine's spec.bootstrap.dataSecretName is not set yet"),
        (Bootstrap::WithoutValue { secret: "b".into() }, "Secret b has nothing under key value"),
    ];
    for (bootstrap, expected) in cases {
        let Some(Step::Tell(status)) = plan(&with(new(), |s| s.owner = owner(bootstrap))).steps.pop() else { panic!("it tells") };
        assert_eq!(status.conditions.last().map(|ready| ready.message.as_str()), Some(expected));
    }
}

#[test]
fn what_is_told_comes_back() {
    let mut told = InfraMachineStatus::default();
    let status = whole().status;
    status.write(&mut told, Some(2), NOW);
    assert_eq!(Status::read(&told), status);
    assert!(lifecycle::current(&told.conditions, Some(2)) && !lifecycle::current(&told.conditions, Some(3)));
    let fewer = Status { conditions: vec![Report::paused(false)], ..status };
    fewer.write(&mut told, Some(2), NOW);
    assert_eq!(Status::read(&told), fewer, "a condition that is no longer reported goes");
}
