//! Ten faults put in on purpose, into clusters of real microVMs that come up without them: each is told by a condition, or by `capstead debug`.
//! They take most of an hour, so they run by themselves: `make e2e-faults`.

#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail the test")]

mod cluster;
mod place;
#[allow(dead_code, reason = "the library's tests use all of it")]
#[path = "../../crates/artifact/tests/fetch/registry.rs"]
mod registry;
#[allow(unused_imports, reason = "these tests need one plane")]
#[path = "../support/mod.rs"]
mod support;

use std::time::Duration;
use std::time::Instant;

use serde_json::json;

use cluster::Cluster;
use place::Place;

/// What a fault in a guest may take to show: it boots, and kubeadm gives up.
const GUEST: Duration = Duration::from_secs(900);
/// What a host's or a server's fault may take.
const HOST: Duration = Duration::from_secs(180);
/// In nobody's network (RFC 5737).
const NOWHERE: &str = "192.0.2.7";

/// Those that were told, and the others with what was told in their place.
#[derive(Default)]
struct Faults {
    told: u32,
    untold: Vec<String>,
}

impl Faults {
    fn look(&mut self, fault: &str, told: impl FnOnce() -> Result<String, String>) {
        let begun = Instant::now();
        match told() {
            Ok(text) => {
                self.told += 1;
                eprintln!("{fault}: told after {} s: {text}", begun.elapsed().as_secs());
            }
            Err(why) => {
                eprintln!("{fault}: NOT told within {} s: {why}", begun.elapsed().as_secs());
                self.untold.push(fault.to_owned());
            }
        }
    }
}

#[test]
fn ten_faults_are_told() {
    let place = Place::up();
    let mut faults = Faults::default();

    let good = place.good();
    good.run(&place, "mv /etc/kubernetes/manifests/kube-apiserver.yaml /root/ && pkill -KILL kube-apiserver");
    faults.look("API server killed", || {
        place.condition(
            &good.namespace,
            "microvmclusters",
            "LoadBalancerAvailable",
            &["control plane load balancer isn't available"],
            HOST,
        )?;
        place.debug(&good, "node-static-pod", "there is no manifest of kube-apiserver", HOST)
    });
    good.delete(&place);

    let registry = place.registry();
    let image = format!("{}/none:v1", registry.address);
    Cluster::new(&place, "no-image").root_image(&image).apply(&place);
    faults.look("image missing", || place.machine("no-image", &[&image, "does not exist in registry"], HOST));
    drop(registry);
    Cluster::new(&place, "no-registry").root_image(&image).apply(&place);
    faults.look("registry down", || place.machine("no-registry", &[&image, "Connection refused"], HOST));
    Cluster::new(&place, "no-kernel").kernel_file("boot/none").apply(&place);
    faults.look("kernel missing", || place.machine("no-kernel", &["boot/none"], HOST));

    let mut quiet = place.host_without_dhcp();
    let silent = Cluster::new(&place, "no-dhcp").hosts(&json!([{"endpoint": quiet.address, "controlplaneAllowed": true}])).apply(&place);
    let garbled = Cluster::new(&place, "bad-data").apply_with_data(&place, "#cloud-config\nwrite_files: [unclosed\n");
    faults.look("bad cloud-init", || place.debug(&garbled, "node-user-data", "cannot read its user-data", GUEST));
    garbled.delete(&place);
    faults.look("no DHCP", || {
        let run = quiet.state.join("run");
        place.debug_with(&silent, &["--run-dir", run.to_str().unwrap()], "guest-address", "nobody on its network answers DHCP", GUEST)
    });
    quiet.kill();
    faults.look("host killed", || place.condition("no-dhcp", "microvmclusters", "HostsAvailable", &[&quiet.address], HOST));

    let full =
        Cluster::new(&place, "disk-full").before_kubeadm("fallocate -l $(( $(stat -f -c '%f*%S' /) - 4194304 )) /filled").apply(&place);
    let late = Cluster::new(&place, "clock-off").before_kubeadm("date -s 2020-01-01").apply(&place);
    faults.look("disk full", || place.debug(&full, "node-disk", "hardly any room is left on /", GUEST));
    full.delete(&place);
    faults.look("clock off", || place.debug(&late, "node-clock", "behind the one here", GUEST));
    late.delete(&place);

    // Nobody shall be asked for it outside.
    place.within("ip", &["route", "add", "unreachable", NOWHERE]);
    let lost = Cluster::new(&place, "wrong-vip").vip(NOWHERE).apply(&place);
    faults.look("wrong VIP", || {
        place.debug(&lost, "node-vip", "which is in none of its networks", GUEST)?;
        place.condition("wrong-vip", "microvmclusters", "LoadBalancerAvailable", &[NOWHERE], HOST)
    });
    lost.delete(&place);

    assert!(faults.untold.is_empty() && faults.told == 10, "{} of 10 faults are told; these are not: {:?}", faults.told, faults.untold);
}
