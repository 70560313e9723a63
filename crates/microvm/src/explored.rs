//! The shipped life cycle, executor's pass, [`Grounds`](capstead_capi::ownership::Grounds) and cache of hosts, explored in a small world of microVM hosts:
//! what must never be, and that every wait ends by a wake-up that somebody really sends.
//!
//! Each world below says which faults it has. All have crashes before and after each step, calls of passes and of the hosts' watches that fail, replies that
//! are lost (of which a history has up to the number of faults given), stores that lag, and listings and single looks that creates and deletes overtake.

mod clock;
mod world;

use capstead_reconcile::explore::{Broken, Counterexample, Explored, Limits, explore};

use world::{Bug, Has, PLAIN, lab};

const LIMITS: Limits = Limits { faults: 0, states: 300_000, rounds: 100 };

fn sound(what: &str, has: Has, faults: u8) -> Explored {
    let explored = explore(lab(has), Limits { faults, ..LIMITS }).unwrap_or_else(|found| panic!("{what}: {found}"));
    println!("{what}, {faults} faults: {explored}");
    explored
}

fn found(has: Has, faults: u8, broken: Broken, why: &str) -> Counterexample {
    let found = explore(lab(has), Limits { faults, ..LIMITS }).expect_err("the planted bug is found");
    println!("{:?}: {found}", has.bug);
    assert!(found.broken == broken && found.why.contains(why), "{found}");
    *found
}

#[test]
fn made() {
    let explored = sound("made", Has { gradual: true, late: true, ..PLAIN }, 2);
    assert!(explored.states > 10_000, "{explored}");
}

#[test]
fn deleted_at_any_point() {
    sound("deleted", Has { gradual: true, deleted: true, ..PLAIN }, 1);
    sound("deleted, conflicts", Has { deleted: true, conflict: true, late: true, ..PLAIN }, 2);
}

#[test]
fn deleted_and_made_again_under_the_same_name() {
    sound("made again", Has { gradual: true, deleted: true, again: true, ..PLAIN }, 1);
    sound("made again, late creates", Has { late: true, deleted: true, again: true, ..PLAIN }, 2);
}

#[test]
fn beside_another_management_clusters_microvm_of_the_same_name() {
    sound("another's", Has { foreign: true, late: true, deleted: true, again: true, ..PLAIN }, 2);
}

#[test]
fn hosts_go_down_and_come_back() {
    sound("hosts down and back", Has { down: true, late: true, gradual: true, ..PLAIN }, 2);
    sound("hosts down and back, deleted", Has { down: true, deleted: true, ..PLAIN }, 2);
}

#[test]
fn a_host_that_is_gone_for_good_keeps_no_object() {
    sound("host gone for good, forced", Has { lost: true, deleted: true, late: true, ..PLAIN }, 1);
}

#[test]
fn microvms_vanish() {
    sound("microVMs vanish", Has { vanish: true, gradual: true, ..PLAIN }, 2);
    sound("microVMs vanish, deleted", Has { vanish: true, deleted: true, ..PLAIN }, 2);
}

#[test]
fn two_objects() {
    sound("two objects on one host", Has { objects: 2, late: true, ..PLAIN }, 1);
    sound("two objects on one host, one deleted", Has { objects: 2, deleted: true, ..PLAIN }, 0);
}

#[test]
fn two_hosts() {
    sound("two hosts, down and back", Has { objects: 2, hosts: 2, down: true, ..PLAIN }, 1);
}

#[test]
fn all_at_once() {
    let all = Has { deleted: true, again: true, late: true, conflict: true, down: true, vanish: true, foreign: true, ..PLAIN };
    sound("everything", Has { gradual: true, ..all }, 1);
}

#[test]
fn finds_a_listing_that_counts_from_its_end() {
    found(Has { bug: Bug::ListingDatedByItsEnd, objects: 2, ..PLAIN }, 0, Broken::Check, "two machines for one object");
}

#[test]
fn finds_wake_ups_that_are_forgotten() {
    found(Has { bug: Bug::ListingWakesNobody, ..PLAIN }, 0, Broken::Goal, "object 0 rests");
    found(Has { bug: Bug::GetWakesNobody, gradual: true, ..PLAIN }, 0, Broken::Goal, "object 0 rests");
    found(Has { bug: Bug::NoNotice, ..PLAIN }, 0, Broken::Goal, "object 0 rests");
}

#[test]
fn finds_a_wait_for_a_newer_look_that_nobody_takes() {
    found(Has { bug: Bug::AnyLook, late: true, ..PLAIN }, 1, Broken::Goal, "PassBegins(0) happens for ever");
}

#[test]
fn finds_that_grounds_are_not_asked_for() {
    found(Has { bug: Bug::NoGrounds, late: true, ..PLAIN }, 1, Broken::Check, "two machines for one object");
    found(Has { bug: Bug::NoGrounds, late: true, deleted: true, ..PLAIN }, 1, Broken::Check, "");
}

#[test]
fn finds_that_the_past_is_forgotten() {
    found(Has { bug: Bug::ForgetsThePast, late: true, ..PLAIN }, 2, Broken::Check, "two machines for one object");
}

/// What would make it has no token to give before the claim is stored, and says so for ever.
#[test]
fn finds_a_microvm_made_before_its_claim_is_stored() {
    found(Has { bug: Bug::MakeBeforeClaim, ..PLAIN }, 0, Broken::Cycle, "never rests");
}
