use std::collections::BTreeSet;

use capstead_engine::Name;
use capstead_reconcile::Timestamp;
use proptest::prelude::*;

use super::{Cache, Errand, Got, Held, Own};
use crate::machine::{Microvm, Observed, State};

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(1_000_000 + millis).expect("a time")
}

fn name(n: usize) -> Name {
    Name::new("default", format!("m{n}"))
}

fn microvm(n: usize, state: State) -> Microvm {
    Microvm { uid: format!("uid-{n}"), state, addresses: Vec::new(), cause: String::new() }
}

fn held(n: usize, state: State) -> Held {
    Held { token: format!("token-{n}"), microvm: microvm(n, state) }
}

fn all() -> BTreeSet<String> {
    BTreeSet::from(["default".to_owned()])
}

fn look(cache: &mut Cache, n: usize, not_before: Option<Timestamp>) -> Option<(Timestamp, Observed)> {
    cache.look(&name(n), by(&format!("token-{n}")), not_before)
}

fn by(token: &str) -> Own<'_> {
    Own { token, uid: None }
}

fn seen(n: usize, state: State) -> Observed {
    Observed::Seen(vec![held(n, state).microvm])
}

fn list(cache: &mut Cache, began: i64, listed: Vec<(Name, Held)>) -> Vec<Name> {
    let mut concerned = cache.listed(all(), at(began), at(began + 5), Ok(listed));
    concerned.sort_unstable();
    concerned
}

#[test]
fn a_microvm_without_a_token_belongs_to_whoever_is_known_by_its_uid() {
    let mut cache = Cache::default();
    assert_eq!(look(&mut cache, 1, None), None);
    let bare = Held { token: String::new(), ..held(1, State::Created) };
    list(&mut cache, 0, vec![(name(1), bare.clone())]);
    let shown = |cache: &mut Cache, own| cache.look(&name(1), own, None);
    assert_eq!(shown(&mut cache, by("")), Some((at(0), Observed::Seen(Vec::new()))), "nor does nobody's token claim it");
    assert_eq!(shown(&mut cache, Own { token: "t", uid: Some("uid-2") }), Some((at(0), Observed::Seen(Vec::new()))));
    assert_eq!(shown(&mut cache, Own { token: "t", uid: Some("uid-1") }), Some((at(0), Observed::Seen(vec![bare.microvm]))));
}

#[test]
fn of_a_host_that_nobody_asks_nothing_is_known() {
    let mut cache = Cache::default();
    assert_eq!(look(&mut cache, 1, None), None);
    cache.listed(all(), at(0), at(5), Err("no connection".into()));
    assert_eq!(cache.down(), Some("no connection"));
    cache.forget(&name(1));
    assert_eq!(cache.down(), None);
    assert_eq!(look(&mut cache, 2, None), None, "it may have come back: somebody looks first");
}

#[test]
fn the_first_look_is_a_listing_and_everybody_hears_of_it() {
    let mut cache = Cache::default();
    assert_eq!(cache.errand(at(0)), Errand::Rest(None), "nobody asks, nobody looks");
    assert_eq!(look(&mut cache, 1, None), None);
    assert_eq!(cache.errand(at(0)), Errand::List(all()));
    assert_eq!(list(&mut cache, 0, vec![(name(1), held(1, State::Created)), (name(2), held(2, State::Created))]), [name(1)]);
    assert_eq!(look(&mut cache, 1, None), Some((at(0), seen(1, State::Created))));
    assert_eq!(look(&mut cache, 2, None), Some((at(0), seen(2, State::Created))), "one nobody had asked for");
    assert_eq!(look(&mut cache, 3, None), Some((at(0), Observed::Seen(Vec::new()))));
    assert_eq!(
        cache.look(&name(1), by("another's"), None),
        Some((at(0), Observed::Seen(Vec::new()))),
        "another's microVM of the same name"
    );
    assert_eq!(cache.errand(at(100)), Errand::Rest(Some(at(30_000))), "a settled host is listed every 30 s");
    assert!(list(&mut cache, 30_000, vec![(name(1), held(1, State::Created)), (name(2), held(2, State::Created))]).is_empty(), "no news");
    assert_eq!(list(&mut cache, 60_000, vec![(name(2), held(2, State::Failed))]), [name(1), name(2)]);
}

#[test]
fn the_more_a_host_holds_the_more_seldom_it_is_listed() {
    for (microvms, seconds) in [(0, 30), (50, 30), (100, 60), (500, 300), (1000, 600), (3000, 600)] {
        let mut cache = Cache::default();
        look(&mut cache, 0, None);
        list(&mut cache, 0, (0..microvms).map(|n| (name(n), held(n, State::Created))).collect());
        // A long listing is followed by some peace, which is over by then.
        assert_eq!(cache.errand(at(29_999)), Errand::Rest(Some(at(seconds * 1000))), "{microvms}");
    }
}

#[test]
fn a_fleet_that_goes_is_not_listed_the_more_often_the_less_there_is_of_it() {
    let mut cache = Cache::default();
    look(&mut cache, 0, None);
    list(&mut cache, 0, Vec::new());
    for n in 0..500 {
        look(&mut cache, n, None);
        cache.created(&name(n), held(n, State::Created), at(10));
    }
    assert_eq!(cache.errand(at(100)), Errand::Rest(Some(at(300_000))), "as it grows it is listed the more seldom");
    (0..499).for_each(|n| cache.forget(&name(n)));
    assert_eq!(cache.errand(at(100)), Errand::Rest(Some(at(300_000))));
    list(&mut cache, 300_000, vec![(name(499), held(499, State::Created))]);
    assert_eq!(cache.errand(at(300_100)), Errand::Rest(Some(at(330_000))), "what the next listing brings is little");
}

#[test]
fn a_machine_of_unknown_microvms_is_looked_at_by_its_name() {
    let mut cache = Cache::default();
    look(&mut cache, 1, None);
    list(&mut cache, 0, vec![(name(1), held(1, State::Created))]);
    // A look that began before the delete was answered finds it gone already, and is too old for who deleted it.
    assert!(cache.got(&name(1), "uid-1", at(90), Got::Gone));
    assert_eq!(look(&mut cache, 1, Some(at(100))), None);
    assert_eq!(cache.errand(at(110)), Errand::Get(vec![(name(1), None)]));
    assert!(!cache.found(&name(1), at(110), None), "the host did not say");
    assert!(matches!(cache.errand(at(2000)), Errand::List(_)), "a listing tells whether the host fails or the call did");
    let mut cache = Cache::default();
    look(&mut cache, 1, None);
    list(&mut cache, 0, Vec::new());
    assert_eq!(look(&mut cache, 1, Some(at(100))), None);
    assert!(!cache.found(&name(1), at(50), Some(Vec::new())), "too old");
    assert!(cache.found(&name(1), at(110), Some(vec![held(1, State::Created)])));
    assert_eq!(look(&mut cache, 1, Some(at(100))), Some((at(110), seen(1, State::Created))));
    cache.forget(&name(1));
    assert!(!cache.found(&name(1), at(120), Some(vec![held(1, State::Created)])), "nobody wants to know");
    assert_eq!(cache.errand(at(130)), Errand::Rest(None));
}

#[test]
fn another_namespace_needs_another_listing() {
    let mut cache = Cache::default();
    look(&mut cache, 1, None);
    list(&mut cache, 0, Vec::new());
    let other = Name::new("other", "m1");
    assert_eq!(cache.look(&other, by("token-1"), None), None);
    let both = BTreeSet::from(["default".to_owned(), "other".to_owned()]);
    assert_eq!(cache.errand(at(50)), Errand::List(both.clone()));
    let concerned = cache.listed(both, at(50), at(51), Ok(Vec::new()));
    assert!(concerned.contains(&other));
    assert!(cache.look(&other, by("token-1"), None).is_some());
}

#[test]
fn few_that_move_are_looked_at_one_by_one_and_many_by_a_listing() {
    let mut cache = Cache::default();
    look(&mut cache, 0, None);
    list(&mut cache, 0, Vec::new());
    for n in 0..30 {
        look(&mut cache, n, None);
        cache.created(&name(n), held(n, State::Pending), at(100));
    }
    assert_eq!(cache.errand(at(200)), Errand::Rest(Some(at(350))));
    assert_eq!(cache.errand(at(350)), Errand::List(all()));
    for n in 0..25 {
        assert!(cache.got(&name(n), &format!("uid-{n}"), at(340), Got::There(microvm(n, State::Created))), "it is whole now");
    }
    let few: Vec<_> = match cache.errand(at(350)) {
        Errand::Get(few) => few.into_iter().map(|(name, _)| name).collect(),
        other => panic!("{other:?}"),
    };
    assert_eq!(BTreeSet::from_iter(few), (25..30).map(name).collect());
}

#[test]
fn a_newer_look_is_never_replaced_by_an_older_one() {
    let mut cache = Cache::default();
    look(&mut cache, 1, None);
    list(&mut cache, 0, Vec::new());
    // A listing is under way since 100 when the create is answered at 150.
    cache.created(&name(1), held(1, State::Pending), at(150));
    list(&mut cache, 100, Vec::new());
    assert_eq!(look(&mut cache, 1, None), Some((at(150), seen(1, State::Pending))));
    assert!(cache.got(&name(1), "uid-1", at(300), Got::There(microvm(1, State::Created))));
    assert!(!cache.got(&name(1), "uid-1", at(200), Got::There(microvm(1, State::Pending))), "an answer that was long on its way");
    assert_eq!(look(&mut cache, 1, None), Some((at(300), seen(1, State::Created))));
    assert!(cache.got(&name(1), "uid-1", at(400), Got::Gone));
    list(&mut cache, 350, vec![(name(1), held(1, State::Created))]);
    assert_eq!(look(&mut cache, 1, None), Some((at(400), Observed::Seen(Vec::new()))));
}

#[test]
fn whoever_needs_a_newer_look_gets_one() {
    let mut cache = Cache::default();
    look(&mut cache, 1, None);
    list(&mut cache, 0, Vec::new());
    assert_eq!(look(&mut cache, 1, Some(at(500))), None);
    assert_eq!(cache.errand(at(500)), Errand::Get(vec![(name(1), None)]), "its microVM is not known");
    assert!(list(&mut cache, 499, Vec::new()).is_empty(), "too early");
    assert_eq!(list(&mut cache, 600, Vec::new()), [name(1)]);
    assert_eq!(look(&mut cache, 1, Some(at(500))), Some((at(600), Observed::Seen(Vec::new()))));
}

#[test]
fn a_host_that_fails_once_is_not_down() {
    let mut cache = Cache::default();
    look(&mut cache, 1, None);
    list(&mut cache, 0, vec![(name(1), held(1, State::Created))]);
    let fail = |cache: &mut Cache, began: i64| cache.listed(all(), at(began), at(began), Err("no connection".into()));
    assert!(fail(&mut cache, 30_000).is_empty());
    assert_eq!(cache.errand(at(30_500)), Errand::Rest(Some(at(31_000))), "tried again after a second");
    assert_eq!(cache.errand(at(31_000)), Errand::List(all()));
    assert_eq!(look(&mut cache, 1, None), Some((at(0), seen(1, State::Created))), "what was seen still counts");
    fail(&mut cache, 32_000);
    assert_eq!(fail(&mut cache, 33_000), [name(1)], "now it is");
    let down = Observed::Unreachable { cause: "no connection".into() };
    assert_eq!(look(&mut cache, 1, None), Some((at(33_000), down)));
    assert!(fail(&mut cache, 34_000).is_empty(), "no news");
    assert_eq!(list(&mut cache, 35_000, vec![(name(1), held(1, State::Created))]), [name(1)], "it came back");
    assert_eq!(look(&mut cache, 1, None), Some((at(35_000), seen(1, State::Created))));
}

#[test]
fn a_host_never_seen_is_down_at_once() {
    let mut cache = Cache::default();
    assert_eq!(look(&mut cache, 1, None), None);
    assert_eq!(cache.listed(all(), at(0), at(1), Err("refused".into())), [name(1)]);
    assert_eq!(look(&mut cache, 1, None), Some((at(0), Observed::Unreachable { cause: "refused".into() })));
}

#[test]
fn a_single_look_that_fails_is_followed_by_a_listing() {
    let mut cache = Cache::default();
    look(&mut cache, 1, None);
    list(&mut cache, 0, Vec::new());
    cache.created(&name(1), held(1, State::Pending), at(10));
    assert!(!cache.got(&name(1), "uid-1", at(300), Got::Failed));
    assert_eq!(cache.errand(at(301)), Errand::Rest(Some(at(1300))));
    assert_eq!(cache.errand(at(1300)), Errand::List(all()));
}

#[test]
fn a_change_that_fails_is_followed_by_listings_until_the_host_is_told_as_down() {
    let mut cache = Cache::default();
    look(&mut cache, 1, None);
    list(&mut cache, 0, Vec::new());
    cache.doubted(at(10_000));
    assert_eq!(cache.errand(at(10_000)), Errand::Rest(Some(at(11_000))));
    let mut told = Vec::new();
    for began in [11_000, 12_000, 13_000, 14_000] {
        assert_eq!(cache.errand(at(began)), Errand::List(all()));
        told = cache.listed(all(), at(began), at(began), Err("refused".into()));
    }
    assert_eq!(told, [name(1)]);
    assert_eq!(look(&mut cache, 1, None), Some((at(14_000), Observed::Unreachable { cause: "refused".into() })));
}

#[test]
fn changes_that_keep_failing_do_not_put_the_listing_off() {
    let mut cache = Cache::default();
    look(&mut cache, 1, None);
    list(&mut cache, 0, Vec::new());
    for began in [10_000, 10_500, 10_900] {
        cache.doubted(at(began));
    }
    assert_eq!(cache.errand(at(11_000)), Errand::List(all()));
}

#[test]
fn a_delete_is_followed_until_it_is_gone() {
    let mut cache = Cache::default();
    look(&mut cache, 1, None);
    list(&mut cache, 0, vec![(name(1), held(1, State::Created))]);
    look(&mut cache, 1, None);
    cache.deleting(&name(1), "uid-1");
    assert_eq!(look(&mut cache, 1, None), Some((at(0), seen(1, State::Deleting))));
    assert_eq!(cache.errand(at(400)), Errand::Get(vec![(name(1), Some("uid-1".into()))]));
    assert!(cache.got(&name(1), "uid-1", at(400), Got::Gone));
    cache.forget(&name(1));
    assert_eq!(cache.errand(at(100_000)), Errand::Rest(None), "a host without machines is left alone");
}

proptest! {
    /// Whatever comes in whatever order, what is shown of a machine never gets older, and shows what the newest look saw.
    #[test]
    fn looks_never_go_back_in_time(events in proptest::collection::vec((0..3_u8, 0..2_usize, 0..2000_i64, any::<bool>()), 0..60)) {
        let mut cache = Cache::default();
        for n in 0..2 {
            look(&mut cache, n, None);
        }
        list(&mut cache, -1, Vec::new());
        let mut newest: [(i64, bool); 2] = [(-1, false); 2];
        for (what, n, began, there) in events {
            match what {
                0 => {
                    let listed = (0..2).filter(|_| there).map(|n| (name(n), held(n, State::Created))).collect();
                    list(&mut cache, began, listed);
                    for known in newest.iter_mut().filter(|known| began >= known.0) {
                        *known = (began, there);
                    }
                }
                1 if newest[n].1 => {
                    let got = if there { Got::There(microvm(n, State::Created)) } else { Got::Gone };
                    cache.got(&name(n), &format!("uid-{n}"), at(began), got);
                    if began >= newest[n].0 {
                        newest[n] = (began, there);
                    }
                }
                2 if began >= newest[n].0 => {
                    cache.created(&name(n), held(n, State::Created), at(began));
                    newest[n] = (began, true);
                }
                _ => (),
            }
            for (n, (began, there)) in newest.iter().enumerate() {
                let expected = if *there { seen(n, State::Created) } else { Observed::Seen(Vec::new()) };
                let (looked, shown) = look(&mut cache, n, None).expect("it was listed");
                prop_assert_eq!(shown, expected, "machine {}", n);
                prop_assert!(looked >= at(*began));
            }
        }
    }
}
