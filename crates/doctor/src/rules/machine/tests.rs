use crate::Picture;
use crate::Severity;
use crate::picture::MicroVm;
use crate::sample::ago;
use crate::sample::api;
use crate::sample::cluster;
use crate::sample::evidence;
use crate::sample::found;
use crate::sample::guest;
use crate::sample::host;
use crate::sample::log;
use crate::sample::microvm;
use crate::sample::microvm_machine;
use crate::sample::now;
use crate::sample::picture;
use crate::sample::seen_from_outside;
use crate::sample::the_one;

const REFUSED: &str =
    "creating a microVM on 10.0.0.5:9090 was refused: macvtap network interfaces not supported by the microvm provider (Unknown)";

fn with_microvm(mut picture: Picture, microvm: MicroVm) -> Picture {
    picture.hosts.push(host(seen_from_outside(api()), vec![microvm]));
    picture
}

#[test]
fn macvtaps_that_no_vmm_takes_are_told_once_for_all_machines() {
    let machines =
        vec![microvm_machine("a", "False", "ProvisioningFailed", REFUSED), microvm_machine("b", "False", "ProvisioningFailed", REFUSED)];
    let finding = the_one(&picture(machines.clone()), "macvtap");
    assert_eq!(evidence(&finding), [("MicrovmMachine team/a", REFUSED), ("MicrovmMachine team/b", REFUSED)]);
    assert!(finding.fix.contains("type: tap"), "{}", finding.fix);
    assert_eq!(found(&picture(machines), "refused"), []);

    let mut logged = Picture::new(now());
    logged.logs.push(log("capmvm", "creating microvm: macvtap network interfaces not supported by the microvm provider"));
    assert_eq!(the_one(&logged, "macvtap").evidence[0].source, "capmvm, line 1");
}

#[test]
fn what_a_host_refuses_for_another_reason_is_told_in_its_words() {
    let said = "creating a microVM on 10.0.0.5:9090 was refused: validation failures found: vcpu must be 1 to 64";
    let finding = the_one(&picture(vec![microvm_machine("a", "False", "ProvisioningFailed", said)]), "refused");
    assert_eq!(evidence(&finding), [("MicrovmMachine team/a", said)]);
    assert_eq!(finding.severity, Severity::Error);
}

#[test]
fn a_microvm_that_is_not_done_is_told_with_what_its_host_says() {
    let told = "microVM 01ARZ3NDEKTSV4RRFFQ69G5FAV on host 10.0.0.5:9090 is being made by the host";
    let provisioning = || picture(vec![microvm_machine("a", "False", "Provisioning", told)]);
    let pending = || MicroVm { state: "PENDING".into(), ..microvm("a") };
    let cause = "waiting for its disk: no room left to write";
    let cases = [
        (provisioning(), "its host says that it is at it, and was not asked", vec![told]),
        (with_microvm(provisioning(), pending()), "host 10.0.0.5:9090 is at it: an image is pulled", vec![told, "PENDING"]),
        (
            with_microvm(provisioning(), MicroVm { cause: cause.into(), retry: 3, ..pending() }),
            "host 10.0.0.5:9090 cannot make it: waiting for its disk",
            vec![told, "PENDING, failed 3 times in a row: waiting for its disk: no room left to write"],
        ),
        (
            with_microvm(provisioning(), MicroVm { retry: 7, version: 18, ..pending() }),
            "host 10.0.0.5:9090 fails at making it",
            vec![told, "PENDING, failed 7 times in a row, stored 18 times"],
        ),
    ];
    for (picture, cause, said) in cases {
        let finding = the_one(&picture, "provisioning");
        assert!(finding.cause.starts_with(cause), "{finding:#?}");
        assert_eq!(finding.evidence.iter().map(|evidence| evidence.said.as_str()).collect::<Vec<_>>(), said);
        assert_eq!(finding.severity, Severity::Error);
    }
    let (kind, mut young) = microvm_machine("a", "False", "Provisioning", told);
    young["status"]["conditions"][0]["lastTransitionTime"] = ago(15).into();
    assert_eq!(the_one(&picture(vec![(kind, young)]), "provisioning").severity, Severity::Note);
    // As upstream's manager tells it.
    assert_eq!(found(&picture(vec![microvm_machine("a", "False", "MicrovmPending", "")]), "provisioning").len(), 1);
}

#[test]
fn a_microvm_that_is_lost_is_told_with_its_last_words() {
    let failed = "microVM 01ARZ3NDEKTSV4RRFFQ69G5FAV on host 10.0.0.5:9090 failed; the protocol tells no cause, the host's log may";
    let lost = MicroVm {
        state: "FAILED".into(),
        cause: "its guest's kernel panicked".into(),
        ..guest("[ 1.0] Kernel panic - not syncing: VFS\n\n")
    };
    let picture = with_microvm(picture(vec![microvm_machine("a", "False", "MachineFailed", failed)]), lost);
    let finding = the_one(&picture, "machine-lost");
    let expected = [
        ("MicrovmMachine team/a", failed),
        ("microVM 01ARZ3NDEKTSV4RRFFQ69G5FAV on host 10.0.0.5:9090", "FAILED: its guest's kernel panicked"),
        ("console of team/a, at its end", "[ 1.0] Kernel panic - not syncing: VFS"),
    ];
    assert_eq!(evidence(&finding), expected);
    for reason in ["MachineVanished", "ProviderIDMismatch"] {
        assert_eq!(found(&crate::sample::picture(vec![microvm_machine("a", "False", reason, "x")]), "machine-lost").len(), 1, "{reason}");
    }
}

#[test]
fn a_machine_that_waits_for_what_is_there_is_told() {
    let waiting = || microvm_machine("a", "False", "WaitingForClusterInfrastructureReady", "is not true yet");
    for (provisioned, wrong) in [(true, 1), (false, 0)] {
        let (kind, mut cluster) = cluster(("True", ""), "True");
        cluster["status"]["initialization"] = serde_json::json!({"infrastructureProvisioned": provisioned});
        let found = found(&picture(vec![(kind, cluster), waiting()]), "not-ready");
        assert_eq!(found.len(), wrong, "{found:#?}");
        assert!(found.iter().all(|finding| finding.cause.contains("its provider's last step failed")), "{found:#?}");
    }
}

#[test]
fn what_no_rule_knows_is_told_all_the_same() {
    let finding = the_one(&picture(vec![microvm_machine("a", "False", "SomethingNew", "is odd")]), "not-ready");
    assert_eq!((finding.cause.as_str(), evidence(&finding)), ("it says SomethingNew", vec![("MicrovmMachine team/a", "is odd")]));
    for reason in ["WaitingForBootstrapData", "WaitingForBoostrapData", "HostUnreachable", "NoHost", "Deleting", "ProvisioningFailed"] {
        assert_eq!(found(&picture(vec![microvm_machine("a", "False", reason, "x")]), "not-ready"), [], "{reason}");
    }
}
