use super::*;
use crate::driver::{Accel, Driver};
use crate::testing::{everything, machine};
use crate::{CloudHypervisor, Firecracker, Qemu};

fn all() -> Vec<(DriverKind, Capabilities)> {
    let qemu = Qemu { program: "q".into(), accel: Accel::Kvm, tsc_khz: None, seccomp: false };
    let (fire, cloud) = (Firecracker::new("f"), CloudHypervisor::new("c"));
    let drivers: [&dyn Driver; 3] = [&fire, &cloud, &qemu];
    drivers.iter().map(|driver| (driver.kind(), driver.capabilities())).collect()
}

#[test]
fn a_plain_machine_fits_every_driver() {
    for (kind, _) in all() {
        assert_eq!(check(&machine("m"), kind, &all()), Ok(()));
    }
}

#[test]
fn what_is_lacking_is_named_with_who_has_it() {
    let macvtap = everything().nics.into_iter().filter(|nic| matches!(nic.host, HostNic::Macvtap(_)) && nic.mtu.is_none()).collect();
    let lacking = check(&Machine { nics: macvtap, ..machine("m") }, DriverKind::Firecracker, &all()).expect_err("no macvtap there");
    assert_eq!(
        lacking.to_string(),
        "macvtap network interfaces not supported by the microvm provider firecracker; supported by cloudhypervisor, qemu"
    );
    let big = Machine { vcpus: 1000, ..machine("m") };
    let lacking = check(&big, DriverKind::Qemu, &all()).expect_err("too many");
    assert_eq!(lacking.to_string(), "1000 vCPUs not supported by the microvm provider qemu, nor by another here");
}

#[test]
fn every_need_is_seen_and_no_driver_has_them_all() {
    let needs = needs(&everything());
    assert_eq!(needs.len(), 13, "{needs:?}");
    for (kind, capabilities) in all() {
        assert!(!needs.iter().all(|need| capabilities.has(need)), "{kind}");
    }
    for need in needs {
        assert!(all().iter().any(|(_, capabilities)| capabilities.has(&need)), "nobody has {need}");
    }
}

#[test]
fn a_driver_that_is_not_here_lacks_everything() {
    let here: Vec<_> = all().into_iter().filter(|(kind, _)| *kind == DriverKind::Qemu).collect();
    let lacking = check(&machine("m"), DriverKind::Firecracker, &here).expect_err("not here");
    assert_eq!(lacking.lacks.len(), 3);
    assert!(lacking.lacks.iter().all(|(_, elsewhere)| elsewhere == &[DriverKind::Qemu]));
}
