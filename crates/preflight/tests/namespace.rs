//! Prepare and restore for real, in user, network and mount namespaces: a bridge, a setting of the kernel, files, and where there is `nft`, its table.

#![allow(clippy::unwrap_used, clippy::panic, reason = "clippy knows helpers of a test for tests in test modules only")]

#[allow(dead_code, reason = "the tests of the commands use all of it")]
mod support;

use std::time::Duration;

use capstead_preflight::Machine;
use capstead_preflight::Network;
use capstead_preflight::Shell;
use capstead_preflight::Wish;
use capstead_preflight::machine::Question;
use capstead_preflight::observe::Observed;
use capstead_preflight::observe::observe;
use capstead_preflight::prepare::Host;
use capstead_preflight::prepare::Prepare;
use capstead_preflight::prepare::Restore;
use capstead_preflight::prepare::Situation;
use capstead_preflight::prepare::Step;
use capstead_preflight::prepare::describe;
use capstead_preflight::prepare::goals;
use capstead_preflight::prepare::run;
use capstead_reconcile::Effects;
use capstead_reconcile::Outcome;
use capstead_reconcile::Reconciler;
use capstead_reconcile::Timestamp;
use capstead_reconcile::execute;
use support::Namespaces;
use support::has_nft;

const LONG: Duration = Duration::from_secs(60);

fn machine(namespaces: &Namespaces) -> Shell {
    Shell::by("namespaces", namespaces.enter().into_iter().chain(["sh".into(), "-s".into()]))
}

fn wish(namespaces: &Namespaces, nat: bool) -> Wish {
    Wish {
        network: Network::Bridge,
        bridge_name: "br-test".into(),
        subnet: "10.42.0.0/24".parse().ok(),
        dhcp: true,
        vip: "10.42.0.20".parse().ok(),
        nat_via: nat.then(|| "uplink0".into()),
        daemon: Some(namespaces.daemon()),
        daemon_flags: vec!["--insecure".into()],
        packages: capstead_preflight::wish::Packages::None,
        ..Wish::default()
    }
}

async fn out(machine: &Shell, text: &str) -> String {
    let answers = machine.ask(&[Question::shell("x", text).within(LONG)], LONG).await.unwrap();
    answers.out("x").unwrap_or_else(|why| panic!("{text}: {why}")).to_owned()
}

/// All that restore must bring back.
async fn everything(machine: &Shell) -> String {
    let text = "find /etc /var/lib /run -mindepth 1 -printf '%y %m %p\\n' | sort; find /etc /var/lib -type f ! -name '*-' -exec cksum {} + | sort
ip -br link; ip -4 -br addr; cat /proc/sys/net/ipv4/ip_forward; ls \"$ROOT/units\" 2>/dev/null; if command -v nft >/dev/null; then nft list ruleset; fi";
    // Addresses that the kernel gives a new bridge, and its number, are none of ours.
    out(machine, text).await
}

async fn seen(machine: &Shell, wish: &Wish) -> Observed {
    observe(machine, wish, None, LONG).await.unwrap()
}

async fn plan(machine: &Shell, wish: &Wish) -> (Vec<Step>, Situation) {
    let goals = goals(wish, &seen(machine, wish).await).unwrap();
    let now = Host::new(machine, wish).look(&goals).await.unwrap();
    (Prepare::plan(&goals, &now, Timestamp::UNIX_EPOCH).steps, now)
}

async fn prepare(machine: &Shell, wish: &Wish) -> usize {
    let goals = goals(wish, &seen(machine, wish).await).unwrap();
    run::<Prepare, _>(&mut Host::new(machine, wish), &goals, &goals, &mut |_| ()).await.unwrap()
}

async fn restore(machine: &Shell, wish: &Wish) -> usize {
    run::<Restore, _>(&mut Host::new(machine, wish), &(), &[], &mut |_| ()).await.unwrap()
}

#[tokio::test]
async fn a_bare_machine_is_prepared_once_and_restored_without_a_trace() {
    let namespaces = Namespaces::new();
    let (machine, wish) = (machine(&namespaces), wish(&namespaces, has_nft()));
    let before = everything(&machine).await;

    let (steps, now) = plan(&machine, &wish).await;
    let text = describe(&steps, &now);
    assert!(
        text.contains("+ /etc/systemd/system/capstead-link.service\n")
            && text.contains("~ capstead-link.service starts at boot, is started"),
        "{text}"
    );
    assert_eq!(everything(&machine).await, before, "a plan changes nothing");

    prepare(&machine, &wish).await;
    let observed = seen(&machine, &wish).await;
    let bridge = observed.links.unwrap().remove("br-test").expect("the bridge");
    assert_eq!((bridge.kind.as_str(), bridge.up), ("bridge", true));
    assert!(bridge.addresses.iter().any(|net| net.to_string() == "10.42.0.1/24"));
    let dhcp = out(&machine, "grep dhcp-range /etc/capstead/dhcp.conf").await;
    assert_eq!(dhcp, "dhcp-range=10.42.0.10,10.42.0.19,255.255.255.0,12h\ndhcp-range=10.42.0.21,10.42.0.254,255.255.255.0,12h\n");
    assert_eq!(
        out(&machine, "id -Gn capstead-vmm; getent passwd capstead-vmm | cut -d : -f 6,7").await,
        "capstead-vmm kvm\n/:/usr/sbin/nologin\n"
    );
    assert_eq!(observed.vmm_groups.unwrap(), Some(["capstead-vmm", "kvm"].map(str::to_owned).into()));
    if wish.nat_via.is_some() {
        assert_eq!(out(&machine, "cat /proc/sys/net/ipv4/ip_forward").await, "1\n");
        assert!(observed.filter.unwrap().masquerades.iter().any(|rule| rule.contains("10.42.0.0/24")));
    }
    let prepared = everything(&machine).await;
    assert_eq!(prepare(&machine, &wish).await, 0, "a second run changes nothing");
    assert_eq!(everything(&machine).await, prepared);

    assert!(restore(&machine, &wish).await > 0);
    assert_eq!(restore(&machine, &wish).await, 0);
    assert_eq!(everything(&machine).await, before);
}

/// Dies at its `left`-th step: before it, or after it without a word.
struct Dying<'a> {
    host: Host<'a, Shell>,
    left: usize,
    after: bool,
}

impl Effects<Step> for Dying<'_> {
    async fn apply(&mut self, step: &Step) -> Outcome {
        if self.left == 0 {
            if self.after {
                self.host.apply(step).await;
            }
            return Outcome::transient("dies");
        }
        self.left -= 1;
        self.host.apply(step).await
    }

    fn deadline(&self, step: &Step) -> Duration {
        self.host.deadline(step)
    }
}

#[tokio::test]
async fn a_prepare_that_dies_at_any_step_goes_on_and_goes_back() {
    let namespaces = Namespaces::new();
    let (machine, wish) = (machine(&namespaces), wish(&namespaces, false));
    let before = everything(&machine).await;
    let steps = plan(&machine, &wish).await.0.len();
    // Not every one, to keep it short: all are explored on the model.
    for left in (0..steps).step_by(5) {
        let after = left % 2 == 0;
        let first = plan(&machine, &wish).await.0;
        execute(first, &mut Dying { host: Host::new(&machine, &wish), left, after }).await;
        if after {
            prepare(&machine, &wish).await;
            assert_eq!(prepare(&machine, &wish).await, 0, "died at {left}");
        }
        restore(&machine, &wish).await;
        assert_eq!(everything(&machine).await, before, "died at {left}");
    }
}

#[tokio::test]
async fn another_wish_takes_away_what_it_does_not_name() {
    let namespaces = Namespaces::new();
    let machine = machine(&namespaces);
    let before = everything(&machine).await;
    let wish = wish(&namespaces, false);
    prepare(&machine, &wish).await;
    let other = Wish { bridge_name: "br-other".into(), dhcp: false, vip: None, ..wish };
    prepare(&machine, &other).await;
    let links = seen(&machine, &other).await.links.unwrap();
    assert!(links.contains_key("br-other") && !links.contains_key("br-test"), "{:?}", links.keys());
    assert_eq!(out(&machine, "ls /etc/capstead /etc/systemd/system | grep -c dhcp || true").await, "0\n");
    restore(&machine, &other).await;
    assert_eq!(everything(&machine).await, before);
}

#[tokio::test]
async fn files_and_settings_of_somebody_else_come_back_as_they_were() {
    let namespaces = Namespaces::new();
    let (machine, wish) = (machine(&namespaces), wish(&namespaces, has_nft()));
    out(&machine, "useradd --system --user-group capstead-vmm").await;
    out(&machine, "echo 1 >/proc/sys/net/ipv4/ip_forward; mkdir -p /etc/capstead; printf 'theirs' >/etc/capstead/dhcp.conf; chmod 600 /etc/capstead/dhcp.conf").await;
    let before = everything(&machine).await;
    prepare(&machine, &wish).await;
    assert!(out(&machine, "cat /etc/capstead/dhcp.conf").await.contains("dhcp-range"));
    restore(&machine, &wish).await;
    assert_eq!(everything(&machine).await, before);
    assert_eq!(out(&machine, "cat /etc/capstead/dhcp.conf").await, "theirs");
    assert_eq!(out(&machine, "id -Gn capstead-vmm").await, "capstead-vmm\n");
}
