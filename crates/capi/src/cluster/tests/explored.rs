//! The shipped life cycle and `Grounds`, explored in a small world: an API server with lagging caches, machines that come and go, and a cloud that makes a
//! second load balancer when asked twice.
//!
//! Each world below says which faults it has. All have crashes before and after each step, calls that fail and replies that are lost (of which a history has
//! up to the number of faults given), caches and listings of any age, and a cloud that was not listed yet.

mod world;

use capstead_reconcile::explore::{Broken, Explored, Limits, explore};

use world::{Bug, Has, PLAIN, lab};

fn sound(what: &str, has: Has, faults: u8) -> Explored {
    let explored = explore(lab(has), Limits { faults, states: 300_000, rounds: 40 }).unwrap_or_else(|found| panic!("{what}: {found}"));
    println!("{what}, {faults} faults: {explored}");
    explored
}

fn found(has: Has, faults: u8, why: &str) {
    let found = explore(lab(has), Limits { faults, states: 300_000, rounds: 40 }).expect_err("the planted bug is found");
    println!("{:?}: {found}", has.bug);
    assert_eq!((found.broken, found.why.as_str()), (Broken::Check, why), "{found}");
}

#[test]
fn one_load_balancer_whatever_crashes() {
    let explored = sound("made: crashes, late creates", Has { late: true, ..PLAIN }, 3);
    assert!(explored.states > 1_000, "{explored}");
}

#[test]
fn deleted_at_any_point() {
    sound("deleted: crashes, late creates", Has { deleted: true, late: true, ..PLAIN }, 3);
}

#[test]
fn machines_come_and_go_while_it_is_deleted() {
    sound("machines come and go", Has { deleted: true, machines: 2, ..PLAIN }, 2);
    sound("machines come and go, late creates", Has { deleted: true, machines: 1, late: true, ..PLAIN }, 2);
}

#[test]
fn conflicts_and_a_cache_that_goes_back_in_time() {
    sound("conflicts, cache going back", Has { conflict: true, rewind: true, deleted: true, ..PLAIN }, 2);
}

#[test]
fn the_endpoint_outlives_its_load_balancer() {
    sound("load balancers vanish", Has { vanish: true, late: true, ..PLAIN }, 2);
    sound("load balancers vanish, deleted", Has { vanish: true, deleted: true, ..PLAIN }, 2);
}

#[test]
fn a_cloud_that_is_gone_for_good_keeps_no_object_but_machines_do() {
    sound("cloud gone for good, forced", Has { lost: true, deleted: true, ..PLAIN }, 2);
    sound("cloud gone for good, forced, with a machine", Has { lost: true, deleted: true, machines: 1, ..PLAIN }, 1);
}

#[test]
fn finds_a_finalizer_let_go_while_a_machine_is_there() {
    let why = "let go while a machine is there";
    found(Has { bug: Bug::DoesNotCount, deleted: true, machines: 1, ..PLAIN }, 0, why);
    found(Has { bug: Bug::CountsByTheCache, deleted: true, machines: 1, ..PLAIN }, 0, why);
}

/// The limit of what a count can promise: nothing keeps a machine from being made between the count and the write that lets go. Such a machine is new, and
/// nothing was made for it yet when the count was taken.
#[test]
fn a_machine_that_comes_after_the_count_is_not_waited_for() {
    found(Has { deleted: true, machines: 1, after: true, ..PLAIN }, 0, "let go while a machine is there");
}

#[test]
fn finds_trust_in_a_stale_look() {
    found(Has { bug: Bug::MakeOnStaleLook, ..PLAIN }, 1, "two load balancers for one cluster");
    found(Has { bug: Bug::ReleaseOnStaleLook, deleted: true, ..PLAIN }, 1, "a load balancer is left behind");
}

#[test]
fn finds_a_load_balancer_made_before_its_claim_is_stored() {
    found(Has { bug: Bug::MakeBeforeClaim, deleted: true, ..PLAIN }, 1, "a load balancer is left behind");
}

#[test]
fn finds_that_the_past_is_forgotten() {
    found(Has { bug: Bug::ForgetsThePast, late: true, ..PLAIN }, 2, "two load balancers for one cluster");
}
