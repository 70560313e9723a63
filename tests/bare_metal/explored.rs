//! The provider's decisions in Cluster API's life cycle, explored: both are the shipped ones, and so is the pool; only the API server is a model.
//!
//! Every history has crashes before and after each step, calls that fail, and replies that are lost; and looks at the pool as it was before its last
//! change. Of all these a history has up to the number of faults given.

mod world;

use capstead_reconcile::explore::{Broken, Explored, Limits, explore};

use world::{Bug, Has, PLAIN, lab};

fn sound(what: &str, has: Has, faults: u8) -> Explored {
    let explored = explore(lab(has), Limits { faults, states: 300_000, rounds: 60 }).unwrap_or_else(|found| panic!("{what}: {found}"));
    println!("{what}, {faults} faults: {explored}");
    explored
}

fn found(has: Has, faults: u8, why: &str) {
    let found = explore(lab(has), Limits { faults, states: 300_000, rounds: 60 }).expect_err("the planted bug is found");
    println!("{:?}: {found}", has.bug);
    assert_eq!((found.broken, found.why.as_str()), (Broken::Check, why), "{found}");
}

#[test]
fn a_machine_gets_one_host_and_gives_it_back() {
    let explored = sound("made", Has { late: true, ..PLAIN }, 3);
    assert!(explored.states > 1_000, "{explored}");
    sound("deleted at any point", Has { late: true, deleted: 1, ..PLAIN }, 3);
}

#[test]
fn another_image_at_any_point() {
    sound("another image", Has { update: true, ..PLAIN }, 2);
    sound("another image, deleted at any point", Has { update: true, deleted: 1, ..PLAIN }, 1);
}

#[test]
fn two_machines_and_one_host() {
    sound("two machines, one host", Has { machines: 2, hosts: 1, late: true, ..PLAIN }, 1);
    sound("two machines, one host, the first deleted at any point", Has { machines: 2, hosts: 1, deleted: 1, ..PLAIN }, 0);
}

#[test]
fn two_machines_and_two_hosts() {
    // With one fault 88,861 states are sound as well, and 75,822 above where one is deleted, but take half a minute.
    sound("two machines, two hosts", Has { machines: 2, ..PLAIN }, 0);
}

#[test]
fn finds_a_pool_that_does_not_compare() {
    let bug = Bug::PoolDoesNotCompare;
    found(Has { bug, machines: 2, hosts: 1, ..PLAIN }, 0, "a host was taken from its machine");
    found(Has { bug, deleted: 1, ..PLAIN }, 1, "a host was let go with something on it");
}

#[test]
fn finds_that_a_late_request_is_forgotten() {
    found(Has { bug: Bug::ForgetsWhatMayLand, late: true, deleted: 1, ..PLAIN }, 1, "a host is left taken by nobody");
}
