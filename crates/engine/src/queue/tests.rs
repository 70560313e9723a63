use std::collections::HashMap;
use std::time::Duration;

use proptest::prelude::*;
use tokio::time::Instant;

use super::Schedule;

#[derive(Clone, Debug)]
enum Act {
    Add(u8, u64),
    Take,
    Done(u8),
    Wait(u64),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        (0..4_u8, 0..20_u64).prop_map(|(key, after)| Act::Add(key, after)),
        Just(Act::Take),
        (0..4_u8).prop_map(Act::Done),
        (1..10_u64).prop_map(Act::Wait),
    ]
}

proptest! {
    /// Against the plainest model: for each key, the earliest time asked for since it was last taken, and whether it runs.
    #[test]
    fn nothing_is_lost_early_or_run_twice(acts in proptest::collection::vec(act(), 0..200)) {
        let start = Instant::now();
        let mut now = start;
        let mut schedule = Schedule::new();
        let mut asked: HashMap<u8, Instant> = HashMap::new();
        let mut running: Vec<u8> = Vec::new();
        for act in acts {
            match act {
                Act::Add(key, after) => {
                    let at = now + Duration::from_secs(after);
                    schedule.add(key, at);
                    let known = asked.entry(key).or_insert(at);
                    *known = at.min(*known);
                }
                Act::Take => {
                    let due = asked.iter().filter(|(key, at)| **at <= now && !running.contains(key)).map(|(_, at)| *at).min();
                    let taken = schedule.take(now);
                    prop_assert_eq!(taken.map(|(_, at)| at), due);
                    if let Some((key, at)) = taken {
                        prop_assert!(!running.contains(&key), "{} runs twice", key);
                        prop_assert_eq!(asked.remove(&key), Some(at));
                        running.push(key);
                    }
                }
                Act::Done(key) => {
                    schedule.done(&key);
                    running.retain(|known| *known != key);
                }
                Act::Wait(seconds) => now += Duration::from_secs(seconds),
            }
        }
        for key in running {
            schedule.done(&key);
        }
        let far = now + Duration::from_secs(1000);
        while let Some((key, _)) = schedule.take(far) {
            prop_assert!(asked.remove(&key).is_some());
        }
        prop_assert!(asked.is_empty(), "lost: {:?}", asked);
    }
}
