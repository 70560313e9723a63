//! What goes wrong in simulated clusters, as Cluster API tells it: while a fault lasts a condition names it, and when it ends all is well again.

mod fleet;
mod schedule;
mod table;

use crate::support::random::Random;
use crate::support::random::seed;
use crate::support::random::setting;

use fleet::Fleet;
use table::ROWS;

/// Schedules of a run of the tests; `make soak` asks for more.
const SCHEDULES: u64 = 5;

#[test]
fn each_fault_is_told_and_passes() {
    table::is_in_the_docs();
    let sizes: Vec<_> = ROWS.iter().map(|row| (row.fault.kind.as_str(), row.control_plane)).collect();
    let mut fleet = Fleet::begin(&sizes);
    std::thread::scope(|scope| {
        for row in &ROWS {
            scope.spawn(|| row.plays(&fleet));
        }
    });
    eprintln!("{:6.1} s: {} faults were told, and passed", fleet.seconds(), ROWS.len());

    let names: Vec<&str> = sizes.iter().map(|(name, _)| *name).collect();
    // On a busy machine a boot takes its time.
    names.iter().for_each(|name| fleet.heals_itself(name, 90));
    let mut random = Random(seed());
    let count = setting("CAPSTEAD_SOAK_SCHEDULES").unwrap_or(SCHEDULES);
    let schedules = schedule::draw(&mut random, &names, usize::try_from(count).unwrap());
    for (turn, of_turn) in schedules.chunks(names.len()).enumerate() {
        std::thread::scope(|scope| {
            for schedule in of_turn {
                scope.spawn(|| schedule.plays(&fleet));
            }
        });
        eprintln!("{:6.1} s: {} of {count} schedules ended with all available", fleet.seconds(), turn * names.len() + of_turn.len());
    }

    fleet.restart();
    names.iter().for_each(|name| fleet.scale(name, 3));
    names.iter().for_each(|name| fleet.is_available(name));
    eprintln!("{:6.1} s: all are available after a restart of the simulator, and grow", fleet.seconds());
}
