//! The shipped life cycle and [`Grounds`], explored in a small world: an API server with a lagging cache, and two hosts that make a twin when asked twice.
//!
//! Each world below says which faults it has. All have crashes before and after each step, calls that fail and replies that are lost (of which a history has
//! up to the number of faults given), caches and listings of any age, and hosts whose listing is not heard yet.

mod world;

use capstead_reconcile::explore::{Broken, Counterexample, Explored, Limits, World, explore};

use super::*;
use world::{Bug, Has, Lab, PLAIN, lab};

fn sound(what: &str, has: Has, faults: u8) -> Explored {
    let explored = explore(lab(has), Limits { faults, states: 900_000, rounds: 40 }).unwrap_or_else(|found| panic!("{what}: {found}"));
    println!("{what}, {faults} faults: {explored}");
    explored
}

fn found(has: Has, faults: u8, why: &str) -> Counterexample {
    let found = explore(lab(has), Limits { faults, states: 900_000, rounds: 40 }).expect_err("the planted bug is found");
    println!("{:?}: {found}", has.bug);
    assert_eq!((found.broken, found.why.as_str()), (Broken::Check, why), "{found}");
    *found
}

#[test]
fn two_crashes_in_a_row_and_late_creates() {
    let explored = sound("made: crashes, late creates", Has { late: true, ..PLAIN }, 3);
    assert!(explored.states > 1_000, "{explored}");
}

#[test]
fn deleted_at_any_point() {
    sound("deleted: crashes, late creates", Has { deleted: true, late: true, ..PLAIN }, 3);
}

#[test]
fn deleted_by_an_api_server_that_looks_at_finalizers_once() {
    sound("deleted, finalizers looked at once", Has { deleted: true, unguarded: true, late: true, conflict: true, ..PLAIN }, 2);
}

#[test]
fn deleted_and_made_again_under_the_same_name() {
    sound("made again: crashes, late creates", Has { deleted: true, again: true, late: true, ..PLAIN }, 2);
}

#[test]
fn conflicts_and_a_cache_that_goes_back_in_time() {
    sound("conflicts, cache going back", Has { conflict: true, rewind: true, deleted: true, ..PLAIN }, 2);
}

#[test]
fn hosts_go_down_and_come_back() {
    sound("hosts down and back", Has { down: true, late: true, ..PLAIN }, 2);
    sound("hosts down and back, deleted", Has { down: true, deleted: true, ..PLAIN }, 2);
}

#[test]
fn machines_vanish() {
    sound("machines vanish", Has { vanish: true, late: true, ..PLAIN }, 2);
    sound("machines vanish, deleted", Has { vanish: true, deleted: true, ..PLAIN }, 2);
}

#[test]
fn a_host_that_is_gone_for_good_keeps_no_object() {
    sound("host gone for good, forced", Has { lost: true, deleted: true, ..PLAIN }, 2);
}

#[test]
fn all_at_once() {
    let all = Has { deleted: true, again: true, late: true, conflict: true, rewind: true, down: true, vanish: true, ..PLAIN };
    sound("everything", all, 2);
}

#[test]
fn two_objects() {
    sound("two objects", Has { objects: 2, late: true, ..PLAIN }, 1);
    // With one fault 627,339 states are sound as well, but take a minute and a half.
    sound("two objects, deleted", Has { objects: 2, deleted: true, ..PLAIN }, 0);
}

#[test]
fn finds_a_machine_made_before_its_claim_is_stored() {
    found(Has { bug: Bug::MakeBeforeClaim, ..PLAIN }, 1, "two machines for one object");
}

#[test]
fn finds_trust_in_a_stale_look() {
    found(Has { bug: Bug::MakeOnStaleLook, ..PLAIN }, 1, "two machines for one object");
    found(Has { bug: Bug::ReleaseOnStaleLook, deleted: true, ..PLAIN }, 1, "a machine is left behind");
}

#[test]
fn finds_a_machine_made_for_an_object_that_is_gone() {
    found(Has { bug: Bug::NoConfirm, deleted: true, rewind: true, ..PLAIN }, 2, "a machine is left behind");
}

#[test]
fn finds_that_the_past_is_forgotten() {
    found(Has { bug: Bug::ForgetsThePast, late: true, ..PLAIN }, 2, "two machines for one object");
}

#[test]
fn finds_that_what_was_sent_counts_as_never_sent() {
    found(Has { bug: Bug::UnansweredIsUnsent, late: true, ..PLAIN }, 1, "two machines for one object");
    found(Has { bug: Bug::UnansweredIsUnsent, late: true, deleted: true, ..PLAIN }, 1, "a machine is left behind");
}

/// [kubernetes#77988](https://github.com/kubernetes/kubernetes/issues/77988)
#[test]
fn finds_a_finalizer_that_comes_with_the_claim() {
    found(Has { bug: Bug::BornWithoutFinalizer, deleted: true, unguarded: true, ..PLAIN }, 0, "a machine is left behind");
}

/// Lets an undisturbed world come to rest; what was done, without the status told.
fn undisturbed(lab: &mut Lab) -> Vec<&'static str> {
    let mut done = Vec::new();
    for _ in 0..10 {
        let mut base = None;
        for step in lab.plan(0, &mut base, 0).steps {
            assert_eq!(lab.apply(0, &mut base, &step), capstead_reconcile::Outcome::Done);
            done.push(match step {
                Step::Claim(_) => "write claim",
                Step::Hold => "write finalizer",
                Step::Confirm => "read",
                Step::Make(_) => "make",
                Step::Change(_) => "take away",
                Step::Store(_) => "write providerID",
                Step::Tell(_) => "write status",
                Step::Release { .. } => "write: finalizer off",
            });
        }
        for event in lab.events() {
            lab.happen(&event);
        }
    }
    done
}

#[test]
fn three_writes_make_a_machine_and_one_ends_it() {
    let mut made = lab(PLAIN);
    assert_eq!(undisturbed(&mut made), ["write claim", "make", "write providerID", "write status"]);
    made.crashed(0);
    assert_eq!(undisturbed(&mut made), [""; 0], "a restart writes nothing");
    made.has.deleted = true;
    assert_eq!(undisturbed(&mut made), ["take away", "write: finalizer off"]);
}
