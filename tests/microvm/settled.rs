//! A fleet where nothing happens costs next to nothing.

use std::collections::BTreeMap;
use std::time::Duration;
use std::time::Instant;

use capstead_lab::flintlock::Options;
use capstead_lab::flintlock::Settings;

use crate::support::random::setting;
use crate::support::within;
use crate::team::Team;
use crate::world::EVENT;
use crate::world::MANAGER;
use crate::world::MICROVM_CLUSTER;
use crate::world::MICROVM_MACHINE;
use crate::world::World;
use crate::world::counted;
use crate::world::is_ready;
use crate::world::name;
use crate::world::quick;
use crate::world::settles;

const NAMESPACE: &str = "fleet";
const HOSTS: usize = 2;
/// At most one listing of each host in so many seconds,
const LISTING: f64 = 30.0;
/// and beyond 50 microVMs on a host, in so many for each.
const LISTING_EACH: f64 = 0.6;
/// Machines are made by so many at once.
const MAKERS: usize = 8;
/// Without a write for so long, the fleet counts as settled.
const SETTLED: Duration = Duration::from_secs(5);

/// All that the provider ever wrote; leader election is off, so no Leases.
fn writes(world: &World) -> f64 {
    let metrics = world.metrics();
    ["POST", "PUT", "PATCH", "DELETE"]
        .iter()
        .map(|method| metrics.sum("rest_client_requests_total", &[&format!("method=\"{method}\"")]))
        .sum()
}

/// Resource versions of everything that the provider writes.
fn versions(world: &World) -> BTreeMap<String, String> {
    let kinds = [MICROVM_CLUSTER, MICROVM_MACHINE, EVENT];
    let of = |object: &serde_json::Value| {
        let version = object["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
        (format!("{}/{}", object["kind"].as_str().unwrap_or_default(), name(object)), version)
    };
    // Core tells events of its own.
    let own = |object: &serde_json::Value| object["reportingController"].as_str().is_none_or(|controller| controller == MANAGER);
    kinds.into_iter().flat_map(|kind| world.list(kind, NAMESPACE)).filter(own).map(|object| of(&object)).collect()
}

/// 20 machines for 40 s, or `CAPSTEAD_SOAK_FLEET` machines for `CAPSTEAD_SOAK_SECONDS`.
#[test]
fn a_settled_fleet_causes_no_write() {
    let count = usize::try_from(setting("CAPSTEAD_SOAK_FLEET").unwrap_or(20)).unwrap();
    let window = Duration::from_secs(setting("CAPSTEAD_SOAK_SECONDS").unwrap_or(40));
    let world = World::up("microvm-settled");
    let settings = Settings { boot_delay: Duration::ZERO, ..quick() };
    let simulator = world.simulator(Options { hosts: HOSTS, settings, ..Options::default() });
    let team = Team::with_cluster(&world, NAMESPACE, &simulator);
    std::thread::scope(|scope| {
        for first in 0..MAKERS {
            scope.spawn(move || (first..count).step_by(MAKERS).for_each(|n| team.machine(&format!("m-{n}"))));
        }
    });
    within(Duration::from_secs(120 + count as u64), "all are ready", || {
        let ready = world.list(MICROVM_MACHINE, NAMESPACE).iter().filter(|machine| is_ready(machine)).count();
        if ready == count { Ok(()) } else { Err(format!("{ready} are")) }
    });
    let mut known = writes(&world);
    settles("nothing is written any more", Duration::from_secs(120), SETTLED, || {
        let now = writes(&world);
        let before = std::mem::replace(&mut known, now);
        if now == before { Ok(()) } else { Err(format!("{now} after {before}")) }
    });

    let looks = |method: &str| -> Vec<f64> {
        let metrics = counted(&simulator);
        (1..=HOSTS).map(|host| metrics.sum("capstead_lab_flintlock_calls_total", &[&format!("host=\"{host}\""), method])).collect()
    };
    let cpu = || world.metrics().sum("process_cpu_seconds_total", &[]);
    let requests = || world.metrics().sum("rest_client_requests_total", &[]);
    let (objects, written, listed, got) = (versions(&world), writes(&world), looks("method=\"List"), looks("method=\"Get"));
    let (used, asked, pid) = (cpu(), requests(), world.plane.pids()[MANAGER]);
    let start = Instant::now();
    // Looked at seldom: a look costs the provider something, too.
    while start.elapsed() < window {
        std::thread::sleep(Duration::from_secs(1).min(window - start.elapsed().min(window)));
    }
    let seconds = start.elapsed().as_secs_f64();
    let (used, asked) = (cpu() - used, requests() - asked);
    assert_eq!(world.plane.pids()[MANAGER], pid, "the same process, or its counts tell nothing");
    assert_eq!(writes(&world), written, "writes");
    assert_eq!(versions(&world), objects, "resource versions");
    assert_eq!(looks("method=\"Get"), got, "looks at single microVMs");
    let listings: Vec<f64> = looks("method=\"List").iter().zip(&listed).map(|(now, before)| now - before).collect();
    for (host, listings) in simulator.hosts().iter().zip(&listings) {
        let expected = seconds / LISTING.max(LISTING_EACH * host.microvms().len() as f64);
        assert!(*listings <= expected.ceil() && *listings >= expected.floor() - 1.0, "{listings} in {seconds} s, not {expected:.1}");
    }
    eprintln!(
        "settled: {count} machines, {seconds:.0} s: 0 writes, {asked} requests to the API server in all, {listings:?} listings of the hosts, {used:.2} s CPU ({:.2} % of a core)",
        used / seconds * 100.0
    );
    crate::adopted::what_an_earlier_release_stored_is_stored_anew(&world);
}
