//! Calls in any order, with faults: nothing is lost, nothing is there twice, and metadata stays what it was.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Act {
    Create(u8),
    Delete(prop::sample::Index),
    Put(u8),
    Vanish(prop::sample::Index),
    Wait(u16),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (0..4_u8).prop_map(Act::Create),
        2 => any::<prop::sample::Index>().prop_map(Act::Delete),
        1 => (0..4_u8).prop_map(Act::Put),
        1 => any::<prop::sample::Index>().prop_map(Act::Vanish),
        3 => (0..5_000_u16).prop_map(Act::Wait),
    ]
}

fn named(name: u8, token: usize) -> MicroVmSpec {
    let metadata = [("token".to_owned(), token.to_string()), ("user-data".to_owned(), "x".repeat(token))].into();
    MicroVmSpec { metadata, ..valid("team", &format!("m{name}")) }
}

fn token(microvm: &MicroVm) -> usize {
    microvm.spec.as_ref().unwrap().metadata["token"].parse().unwrap()
}

proptest! {
    #[test]
    fn nothing_is_lost_or_doubled(acts in prop::collection::vec(act(), 1..60), rates in prop::array::uniform4(prop::sample::select(&[0.0, 0.3, 1.0]))) {
        let mut world = World::new(Settings::default(), &[]);
        let kinds = [FaultKind::Unavailable, FaultKind::LostReply, FaultKind::LateCreate, FaultKind::Failed];
        world.faults = kinds.into_iter().zip(rates).fold(Faults::default(), |faults, (kind, rate)| faults.with(kind, rate).unwrap());
        // By token: which were carried out and not taken away since, as the replies tell.
        let mut alive: BTreeMap<usize, bool> = BTreeMap::new();
        let mut known: Vec<(String, usize)> = Vec::new();
        for (next, act) in acts.into_iter().enumerate() {
            match act {
                Act::Create(name) => {
                    let reply = world.reply(creating(named(name, next)));
                    alive.insert(next, !reply.faults.contains(&FaultKind::Unavailable));
                    known.extend(reply.answer.map(one).ok().map(|microvm| (uid(&microvm).to_owned(), next)));
                }
                Act::Put(name) => {
                    let microvm = world.host.put(named(name, next), world.now, &mut world.random).unwrap();
                    alive.insert(next, true);
                    known.push((uid(&microvm).to_owned(), next));
                }
                Act::Delete(index) if !known.is_empty() => {
                    let (uid, token) = index.get(&known).clone();
                    let reply = world.reply(Call::Delete(DeleteMicroVmRequest { uid }));
                    if reply.answer.is_ok() || reply.faults.contains(&FaultKind::LostReply) {
                        alive.insert(token, false);
                    }
                }
                Act::Vanish(index) if !known.is_empty() => {
                    let (uid, token) = index.get(&known);
                    world.host.vanish(uid);
                    alive.insert(*token, false);
                }
                Act::Wait(milliseconds) => world.now += Duration::from_millis(milliseconds.into()),
                Act::Delete(_) | Act::Vanish(_) => {}
            }
            world.host.advance(world.now);
            for microvm in world.host.microvms() {
                let spec = microvm.spec.as_ref().unwrap();
                prop_assert_eq!(spec.metadata["user-data"].len(), token(microvm));
            }
        }
        // When everything has landed, booted and gone, what is there is what the replies told.
        world.now += Duration::from_secs(20);
        world.faults = Faults::default();
        let answer = world.reply(Call::List(ListMicroVMsRequest { namespace: "team".into(), name: None })).answer.unwrap();
        let Answer::Listed(listed) = answer else { panic!("{answer:?}") };
        let mut found: Vec<usize> = listed.iter().map(token).collect();
        found.sort_unstable();
        let expected: Vec<usize> = alive.into_iter().filter(|(_, alive)| *alive).map(|(token, _)| token).collect();
        prop_assert_eq!(found, expected);
        prop_assert!(listed.iter().all(|microvm| matches!(state(microvm).1, MicroVmState::Created | MicroVmState::Failed)));
        for microvm in &listed {
            prop_assert_eq!(&world.get(uid(microvm)).unwrap(), microvm);
        }
    }
}
