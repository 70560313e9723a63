use std::time::Duration;
use std::time::Instant;

use proptest::prelude::*;

use super::Candidate;
use super::Record;
use super::Step;
use crate::leader::Election;

fn candidate(identity: &str) -> Candidate {
    Candidate::new(&Election { identity: identity.into(), ..Election::new("system", "lease") })
}

fn held(version: u64, holder: &str) -> Record {
    Record { version: version.to_string(), holder: holder.into(), duration: Duration::from_secs(15) }
}

#[test]
fn what_follows_from_each_record() {
    let start = Instant::now();
    let after = |seconds| start + Duration::from_secs(seconds);
    for (name, record, now, step) in [
        ("no lease", None, 0, Step::Take),
        ("given up", Some(held(1, "")), 0, Step::Take),
        ("another's, just seen", Some(held(1, "b")), 0, Step::Wait),
        ("another's, seen for its duration", Some(held(1, "b")), 15, Step::Wait),
        ("another's, silent for longer", Some(held(1, "b")), 16, Step::Take),
        ("mine from a lost reply", Some(held(1, "a")), 1, Step::Take),
        ("another's with a long duration", Some(Record { duration: Duration::from_secs(60), ..held(1, "b") }), 59, Step::Wait),
        ("another's with a short duration", Some(Record { duration: Duration::from_secs(1), ..held(1, "b") }), 14, Step::Wait),
    ] {
        let mut me = candidate("a");
        me.observe(record.clone(), after(0));
        me.observe(record, after(now));
        assert_eq!(me.decide(after(now)), step, "{name}");
        assert!(!me.leads(after(now)), "{name}");
    }
}

#[test]
fn a_leader_leads_until_the_deadline_after_its_last_answered_write_was_begun() {
    let start = Instant::now();
    let after = |seconds| start + Duration::from_secs(seconds);
    let mut me = candidate("a");
    me.written(held(1, "a"), after(0));
    assert!(me.leads(after(9)) && !me.leads(after(10)));
    assert_eq!(me.decide(after(2)), Step::Renew);
    me.observe(Some(held(2, "b")), after(3));
    assert!(!me.leads(after(3)), "another's name ends it at once");
}

/// One thing that happens in the world.
#[derive(Clone, Debug)]
enum Event {
    Pass(u64),
    Read(usize),
    /// The write relies on the last read; the reply may be lost.
    Write(usize, bool),
    /// The write was on its way since its begin and lands only now.
    Begin(usize),
    GiveUp(usize),
    Restart(usize),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        8 => (0u64..6).prop_map(Event::Pass),
        1 => Just(Event::Pass(20)),
        12 => (0usize..3).prop_map(Event::Read),
        10 => (0usize..3).prop_map(Event::Begin),
        14 => (0usize..3, prop::bool::weighted(0.2)).prop_map(|(who, lost)| Event::Write(who, lost)),
        1 => (0usize..3).prop_map(Event::GiveUp),
        1 => (0usize..3).prop_map(Event::Restart),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    /// Reads, writes that hang, are refused or lose their reply, and restarts, in every order: never two leaders.
    #[test]
    fn never_two_leaders(events in prop::collection::vec(event(), 1..200)) {
        let start = Instant::now();
        let mut now = start;
        let mut stored: Option<Record> = None;
        let mut version = 0;
        let names = ["a", "b", "c"];
        let mut candidates: Vec<Candidate> = names.iter().map(|name| candidate(name)).collect();
        let mut begun: [Option<(Instant, Option<String>)>; 3] = [None, None, None];
        for event in events {
            match event {
                Event::Pass(seconds) => now += Duration::from_secs(seconds),
                Event::Read(who) => candidates[who].observe(stored.clone(), now),
                Event::Begin(who) => if begun[who].is_none() && candidates[who].decide(now) != Step::Wait {
                    begun[who] = Some((now, candidates[who].seen.as_ref().map(|(record, _)| record.version.clone())));
                },
                Event::Write(who, lost) => if let Some((since, relied)) = begun[who].take()
                    && relied == stored.as_ref().map(|record| record.version.clone())
                {
                    version += 1;
                    let record = held(version, names[who]);
                    stored = Some(record.clone());
                    // A caller gives a write up at its deadline; a reply after that is not heard.
                    if !lost {
                        candidates[who].written(record, since);
                    }
                },
                Event::GiveUp(who) => {
                    if candidates[who].leads(now) && stored.as_ref().is_some_and(|record| record.holder == names[who]) {
                        version += 1;
                        stored = Some(held(version, ""));
                    }
                    candidates[who].stop();
                    begun[who] = None;
                }
                Event::Restart(who) => {
                    candidates[who] = candidate(names[who]);
                    begun[who] = None;
                }
            }
            let leaders: Vec<_> = (0..3).filter(|who| candidates[*who].leads(now)).collect();
            prop_assert!(leaders.len() <= 1, "{leaders:?} lead at {:?}", now - start);
        }
    }
}
