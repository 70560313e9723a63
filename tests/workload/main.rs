//! Whole clusters on simulated machines, as Cluster API's own controllers see them: scaled, mended, upgraded, rebased, deleted; and what goes wrong in them.

#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail the test")]

mod balanced;
mod contract;
mod faults;
mod journey;
mod life;
#[path = "../support/mod.rs"]
mod support;
mod topology;
mod upgrade;
#[path = "../microvm/world.rs"]
#[allow(dead_code, reason = "of another journey, which uses all of it")]
mod world;

use std::time::Instant;

use journey::Stage;

/// The journey of one cluster.
type Case = (&'static str, fn(&Stage));

const CASES: [Case; 3] = [
    ("life", life::a_cluster_is_scaled_and_mended),
    ("upgrade", upgrade::a_cluster_is_upgraded),
    ("topology", topology::a_cluster_of_a_class_is_rebased_and_upgraded),
];

/// All at once on one plane: each has a namespace and an endpoint of its own, and much of each is waiting.
#[test]
fn clusters_live_their_whole_lives_on_simulated_machines() {
    let stage = Stage::up();
    let began = Instant::now();
    std::thread::scope(|scope| {
        for (name, case) in CASES {
            let stage = &stage;
            std::thread::Builder::new().name(name.into()).spawn_scoped(scope, move || case(stage)).unwrap();
        }
    });
    eprintln!("{:6.1} s: all", began.elapsed().as_secs_f64());
}
