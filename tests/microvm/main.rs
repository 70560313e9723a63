//! From manifests to microVMs and back to nothing, on a plane with the provider and simulated hosts; with what users get wrong, and with faults.

#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail the test")]

mod adopted;
#[path = "../support/collector.rs"]
mod collector;
mod doctor;
mod failures;
mod fates;
mod flavors;
mod hosts;
mod kills;
mod outage;
mod own_certificates;
mod pause;
mod placement;
#[allow(dead_code, reason = "the library's tests use all of it")]
#[path = "../../crates/artifact/tests/fetch/registry.rs"]
mod registry;
mod scale;
mod secured;
mod settled;
#[path = "../support/mod.rs"]
mod support;
mod team;
mod template;
mod world;

use std::time::Instant;

use world::World;

/// A part of the journey, in namespaces of its own.
type Case = (&'static str, fn(&World));

const CASES: [Case; 15] = [
    ("flavors", flavors::every_flavor_is_taken_by_the_servers),
    ("template", template::a_template_of_upstreams_shape_becomes_microvms),
    ("macvtap", template::what_a_host_refuses_is_told_and_can_be_deleted),
    ("refused", failures::what_is_wrong_in_a_manifest_is_refused),
    ("waiting", failures::what_is_missing_is_told_and_waited_for),
    ("references", failures::missing_clusters_are_told_and_waited_for),
    ("secrets", failures::bootstrap_data_may_be_as_large_as_a_secret),
    ("doctor", doctor::what_is_wrong_is_told_with_its_cause),
    ("outage", outage::a_host_that_is_down_is_told_and_waited_for),
    ("pause", pause::nothing_happens_while_paused),
    ("hosts", hosts::machines_are_processes_on_real_hosts),
    ("fates", fates::machines_that_fail_or_vanish_say_so_once),
    ("adopted", adopted::what_upstreams_manager_made_is_taken_over),
    ("placement", placement::machines_are_spread_and_a_host_that_is_down_is_avoided_and_told),
    ("secured", secured::a_host_is_reached_by_certificates_a_token_and_a_proxy_that_may_change),
];

/// All at once on one plane: each has namespaces and hosts of its own, and much of each is waiting.
#[test]
fn manifests_become_microvms_and_leave_nothing() {
    let world = World::up("microvm");
    std::thread::scope(|scope| {
        for (name, case) in CASES {
            let world = &world;
            let run = move || {
                let start = Instant::now();
                case(world);
                eprintln!("{name}: {:.1} s", start.elapsed().as_secs_f64());
            };
            std::thread::Builder::new().name(name.into()).spawn_scoped(scope, run).unwrap();
        }
    });
}
