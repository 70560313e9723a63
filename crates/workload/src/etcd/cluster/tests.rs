use proptest::prelude::*;

use super::*;

fn urls(host: &str, port: u16) -> Vec<String> {
    vec![format!("https://{host}:{port}")]
}

fn one() -> Cluster {
    Cluster::new("token", "a", urls("a", 2380), urls("a", 2379))
}

/// As kubeadm joins: a learner that starts and is promoted.
fn join(cluster: &mut Cluster, name: &str) -> u64 {
    let id = cluster.add(urls(name, 2380), true).expect("added");
    cluster.start(id, name, urls(name, 2379)).expect("started");
    cluster.promote(id).expect("promoted");
    id
}

fn three() -> (Cluster, [u64; 3]) {
    let mut cluster = one();
    let a = cluster.named("a").expect("a");
    let (b, c) = (join(&mut cluster, "b"), join(&mut cluster, "c"));
    (cluster, [a, b, c])
}

#[test]
fn the_first_member_leads() {
    let cluster = one();
    let a = cluster.named("a").expect("a");
    assert_eq!((cluster.leader(), cluster.leader_seen_by(a), cluster.term()), (Some(a), Some(a), 2));
    assert!(cluster.listens(a) && cluster.answers(a));
    assert_eq!(one(), cluster);
    assert_ne!(Cluster::new("other", "a", urls("a", 2380), urls("a", 2379)).id(), cluster.id());
}

#[test]
fn a_member_that_joins_again_is_another_one() {
    let (mut cluster, [a, b, _]) = three();
    assert_eq!(cluster.remove(b, a), Ok(()));
    assert!(!cluster.listens(b));
    assert_ne!(join(&mut cluster, "b"), b);
}

#[test]
fn joining_goes_by_etcd_s_rules() {
    let mut cluster = one();
    assert_eq!(cluster.add(Vec::new(), true), Err(EtcdError::BadUrls));
    assert_eq!(cluster.add(vec!["a:2380".to_owned()], true), Err(EtcdError::BadUrls));
    assert_eq!(cluster.add(urls("a", 2380), true), Err(EtcdError::PeerUrlExists));
    let b = cluster.add(urls("b", 2380), true).expect("added");
    assert!(!cluster.listens(b));
    assert_eq!(cluster.add(urls("c", 2380), true), Err(EtcdError::TooManyLearners));
    assert_eq!(cluster.promote(b), Err(EtcdError::LearnerNotReady));
    assert_eq!(cluster.start(b, "b", urls("b", 2379)), Ok(()));
    assert_eq!(cluster.promote(b), Ok(()));
    assert_eq!(cluster.promote(b), Err(EtcdError::NotLearner));
    assert_eq!(cluster.promote(7), Err(EtcdError::NotFound));
    // A voter that has not started counts against the majority.
    let c = cluster.add(urls("c", 2380), false).expect("added");
    assert_eq!(cluster.add(urls("d", 2380), false), Err(EtcdError::NotEnoughStarted));
    assert_eq!(cluster.start(c, "c", Vec::new()), Ok(()));
    cluster.set_health(b, Health::Stopped).expect("stopped");
    cluster.set_health(c, Health::Hung).expect("hangs");
    assert_eq!(cluster.add(urls("d", 2380), true), Err(EtcdError::Unhealthy));
}

#[test]
fn a_majority_leads() {
    let (mut cluster, [a, b, c]) = three();
    assert_eq!(cluster.leader(), Some(a));
    for health in [Health::Stopped, Health::Hung, Health::Isolated] {
        cluster.set_health(a, health).expect("a");
        let leader = cluster.leader().expect("the others lead");
        assert!([b, c].contains(&leader));
        assert_eq!(cluster.leader_seen_by(a), None);
        cluster.set_health(leader, health).expect("a leader");
        assert_eq!((cluster.leader(), cluster.leader_seen_by(b), cluster.leader_seen_by(c)), (None, None, None));
        cluster.set_health(leader, Health::Running).expect("a leader");
        assert!(cluster.leader().is_some());
        cluster.set_health(a, Health::Running).expect("a");
    }
    cluster.set_health(a, Health::Hung).expect("a");
    assert!(cluster.listens(a) && !cluster.answers(a));
    cluster.set_health(a, Health::Stopped).expect("a");
    assert!(!cluster.listens(a));
    // One member needs no peers.
    let mut cluster = one();
    cluster.set_health(a, Health::Isolated).expect("a");
    assert_eq!(cluster.leader_seen_by(a), Some(a));
}

#[test]
fn the_leader_hands_over() {
    let (mut cluster, [a, b, c]) = three();
    let term = cluster.term();
    assert_eq!(cluster.move_leader(c, b), Err(EtcdError::NotLeader));
    assert_eq!(cluster.move_leader(7, a), Err(EtcdError::BadTransferee));
    assert_eq!(cluster.move_leader(a, a), Ok(()));
    assert_eq!((cluster.leader(), cluster.term()), (Some(a), term));
    assert_eq!(cluster.move_leader(c, a), Ok(()));
    assert_eq!((cluster.leader(), cluster.term()), (Some(c), term + 1));
    cluster.set_health(b, Health::Hung).expect("b");
    assert_eq!(cluster.move_leader(b, c), Err(EtcdError::TransferTimedOut));
    let d = cluster.add(urls("d", 2380), true).expect("added");
    assert_eq!(cluster.move_leader(d, c), Err(EtcdError::BadTransferee));
}

#[test]
fn removing_keeps_a_majority() {
    let (mut cluster, [a, b, c]) = three();
    assert_eq!(cluster.remove(7, a), Err(EtcdError::NotFound));
    cluster.set_health(c, Health::Stopped).expect("c");
    assert_eq!(cluster.remove(b, a), Err(EtcdError::Unhealthy));
    assert_eq!(cluster.remove(c, a), Ok(()));
    // The leader goes; the other takes over.
    assert_eq!(cluster.remove(a, b), Ok(()));
    assert_eq!(cluster.leader(), Some(b));
    assert_eq!(cluster.remove(b, b), Err(EtcdError::NotEnoughStarted));
    // A learner has no vote, and can always go.
    let d = cluster.add(urls("d", 2380), true).expect("added");
    assert_eq!(cluster.remove(d, b), Ok(()));
}

#[test]
fn alarms_go_with_their_member() {
    let (mut cluster, [a, b, _]) = three();
    assert_eq!(cluster.raise(7, Alarm::NoSpace), Err(EtcdError::NotFound));
    assert_eq!(cluster.raise(b, Alarm::NoSpace), Ok(()));
    assert_eq!(cluster.raise(a, Alarm::Corrupt), Ok(()));
    assert_eq!(cluster.alarms().count(), 2);
    assert!(cluster.disarm(a, Alarm::Corrupt) && !cluster.disarm(a, Alarm::Corrupt));
    assert_eq!(cluster.alarms().collect::<Vec<_>>(), [(b, Alarm::NoSpace)]);
    assert_eq!(cluster.remove(b, a), Ok(()));
    assert_eq!(cluster.alarms().count(), 0);
}

#[derive(Clone, Debug)]
enum Step {
    Add(u8, bool),
    Start(usize),
    Promote(usize),
    Remove(usize, usize),
    Move(usize, usize),
    Health(usize, Health),
}

fn steps() -> impl Strategy<Value = Step> {
    let health = prop_oneof![Just(Health::Running), Just(Health::Isolated), Just(Health::Hung), Just(Health::Stopped)];
    let at = || 0..8_usize;
    prop_oneof![
        (0..9_u8, any::<bool>()).prop_map(|(name, learner)| Step::Add(name, learner)),
        at().prop_map(Step::Start),
        at().prop_map(Step::Promote),
        (at(), at()).prop_map(|(id, by)| Step::Remove(id, by)),
        (at(), at()).prop_map(|(id, by)| Step::Move(id, by)),
        (at(), health).prop_map(|(id, health)| Step::Health(id, health)),
    ]
}

proptest! {
    /// Whatever happens: there is a leader exactly while a majority of voters runs, it is one of them, terms and indices only grow.
    #[test]
    fn it_is_led_by_a_majority(steps in prop::collection::vec(steps(), 0..60)) {
        let mut cluster = one();
        for step in steps {
            let ids: Vec<u64> = cluster.members().keys().copied().collect();
            let at = |index: usize| ids[index % ids.len()];
            let before = (cluster.term(), cluster.index(), cluster.leader());
            match step {
                Step::Add(name, learner) => drop(cluster.add(urls(&format!("m{name}"), 2380), learner)),
                Step::Start(id) => drop(cluster.start(at(id), &format!("n{id}"), Vec::new())),
                Step::Promote(id) => drop(cluster.promote(at(id))),
                Step::Remove(id, by) => drop(cluster.remove(at(id), at(by))),
                Step::Move(to, by) => drop(cluster.move_leader(at(to), at(by))),
                Step::Health(id, health) => drop(cluster.set_health(at(id), health)),
            }
            let voters: Vec<_> = cluster.members().values().filter(|member| !member.learner).collect();
            let heard = voters.iter().filter(|member| member.heard()).count();
            prop_assert_eq!(cluster.leader().is_some(), heard * 2 > voters.len());
            if let Some(leader) = cluster.leader() {
                let leader = &cluster.members()[&leader];
                prop_assert!(leader.heard() && !leader.learner);
            }
            prop_assert!(cluster.term() >= before.0 && cluster.index() >= before.1);
            let changed = cluster.leader().is_some() && cluster.leader() != before.2;
            prop_assert!(!changed || cluster.term() > before.0);
        }
    }
}
