use serde_json::json;

use crate::Picture;
use crate::Severity;
use crate::sample::api;
use crate::sample::condition;
use crate::sample::evidence;
use crate::sample::found;
use crate::sample::guest;
use crate::sample::host;
use crate::sample::machine;
use crate::sample::now;
use crate::sample::picture;
use crate::sample::seen_from_outside;
use crate::sample::the_one;

fn console(text: &str) -> Picture {
    Picture { hosts: vec![host(seen_from_outside(api()), vec![guest(text)])], ..Picture::new(now()) }
}

#[test]
fn a_guest_that_gives_up_is_told_with_its_words() {
    let panic = "[    1.234567] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)";
    let finding = the_one(&console(&format!("[    0.000000] Linux version 6.1.0\n{panic}\n")), "guest-boot");
    assert_eq!((finding.severity, finding.about.as_str()), (Severity::Error, "microVM team/a"));
    assert_eq!(evidence(&finding), [("console of team/a", panic)]);
}

#[test]
fn a_guest_in_which_kubeadm_fails_is_told() {
    let said = "[   61.0] cloud-init[412]: [ERROR Port-6443]: Port 6443 is in use";
    let text = format!("{said}\n[   61.1] cloud-init[412]: error execution phase preflight: [preflight] Some fatal errors occurred:\n");
    let finding = the_one(&console(&text), "guest-kubeadm");
    assert_eq!((finding.evidence.len(), finding.evidence[0].said.as_str()), (2, said));
}

#[test]
fn what_a_guest_wrote_that_is_a_node_by_now_has_passed() {
    let (kind, mut core) = machine("a", &json!({"dataSecretName": "a"}));
    core["status"]["conditions"] = json!([condition("NodeReady", "True", "NodeReady", "")]);
    let mut picture = picture(vec![(kind, core)]);
    picture.hosts = console("Kernel panic - not syncing: VFS\nlater: it runs\n").hosts;
    assert_eq!(found(&picture, "guest-boot"), []);
    picture.management = crate::picture::Management::NotAsked;
    assert_eq!(found(&picture, "guest-boot").len(), 1);
}

/// What cloud-init shows of its interfaces.
fn table(rows: &[&str]) -> String {
    let begin = "[   12.1] cloud-init[301]: ci-info: +++++++++++++++++++++++++++++++Net device info++++++++++++++++++++++++++++++++";
    let end = "[   12.2] cloud-init[301]: ci-info: ++++++++++++++++++++++++++++Route IPv4 info+++++++++++++++++++++++++++++";
    let rule = "[   12.1] cloud-init[301]: ci-info: +--------+------+-----------+-----------+-------+-------------------+";
    let head = "[   12.1] cloud-init[301]: ci-info: | Device |  Up  |  Address  |    Mask   | Scope |     Hw-Address    |";
    let row = |row: &&str| format!("[   12.1] cloud-init[301]: ci-info: {row}");
    let rows: Vec<String> = rows.iter().map(row).collect();
    [begin, rule, head, rule, &rows.join("\n"), rule, end].join("\n")
}

const LO: &str = "|   lo   | True | 127.0.0.1 | 255.0.0.0 |  host |         .         |";
const MMDS: &str = "|  eth0  | True | 169.254.0.1 | 255.255.0.0 | link | aa:ff:00:00:00:01 |";
const BARE: &str = "|  eth1  | True |     .     |     .     |   .   | 02:00:00:00:00:01 |";
const SIX: &str = "|  eth1  | True | fe80::1/64 |     .     |  link | 02:00:00:00:00:01 |";
const GOOD: &str = "|  eth1  | True | 10.42.0.17 | 255.255.255.0 | global | 02:00:00:00:00:01 |";

#[test]
fn a_guest_without_an_address_is_told() {
    for (rows, wrong) in [
        (vec![LO, BARE], true),
        (vec![LO, MMDS, BARE], true),
        (vec![LO, SIX], true),
        (vec![LO, GOOD], false),
        (vec![LO, MMDS, GOOD, SIX], false),
        (vec![LO], false),
    ] {
        assert_eq!(found(&console(&table(&rows)), "guest-address").len(), usize::from(wrong), "{rows:?}");
    }
    // It had none at the first boot, and has one now.
    assert_eq!(found(&console(&format!("{}\n{}", table(&[LO, BARE]), table(&[LO, GOOD]))), "guest-address"), []);
    let finding = the_one(&console("dhclient[300]: No DHCPOFFERS received.\n"), "guest-address");
    assert_eq!(evidence(&finding), [("console of team/a", "dhclient[300]: No DHCPOFFERS received.")]);
}

#[test]
fn nothing_that_a_guest_writes_makes_it_panic() {
    for text in [
        "",
        "ci-info:",
        "ci-info: Net device info",
        "ci-info: Net device info\nci-info: |",
        "ci-info: Net device info\nci-info: |||||||\n\u{0}\u{fffd}",
    ] {
        assert_eq!(found(&console(text), "guest-address"), []);
    }
}
