//! What runs guests.

use super::Need;
use super::Rule;
use super::Unknown;
use super::fail;
use super::fail_and;
use super::must;
use super::pass;
use super::warn;
use crate::observe::Booted;
use crate::observe::Observed;
use crate::wish::Network;
use crate::wish::Runtime;
use crate::wish::Wish;

/// Emulation is enough for Capstead's own runtime.
fn hardware(wish: &Wish) -> Need {
    if wish.runtime == Runtime::Flintlock { Need::Required } else { Need::Advised }
}

/// The version in a program's first line: `Firecracker v1.12.0` is `(1, 12)`.
fn version(line: &str) -> Option<(u32, u32)> {
    line.split_whitespace().find_map(|word| {
        let mut numbers = word.trim_start_matches('v').split('.');
        Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
    })
}

fn program<'a>(seen: &'a Observed, name: &str) -> Option<&'a str> {
    seen.programs.get(name).map(String::as_str)
}

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "cpu-virtualization",
        title: "Processor's virtualisation",
        expected: "vmx or svm",
        why: "KVM needs it; without it guests are emulated, which is slow",
        fix: "switch it on in the firmware (VT-x, AMD-V), or in the hypervisor this machine runs on (nested virtualisation)",
        need: hardware,
        judge: |_, seen| match (seen.virtualization.clone()?, seen.machine.as_deref()) {
            (Some(flag), _) => pass(flag),
            (None, Ok("aarch64")) => pass("the processor does not tell; the kernel does, by /dev/kvm"),
            (None, _) => fail("neither"),
        },
    },
    Rule {
        id: "kvm",
        title: "KVM device",
        expected: "/dev/kvm, open to whoever runs the daemon",
        why: "VMMs run guests by it",
        fix: "`modprobe kvm_intel` or `modprobe kvm_amd`",
        need: hardware,
        judge: |_, seen| match seen.kvm.clone()? {
            None => fail("there is no /dev/kvm"),
            Some(device) if !device.character => fail("/dev/kvm is no device"),
            Some(device) if !device.open => {
                fail_and(format!("may not be opened ({})", device.rights), "`sudo usermod -aG kvm $USER`, and log in again")
            }
            Some(device) => pass(format!("open ({})", device.rights)),
        },
    },
    Rule {
        id: "vmm",
        title: "VMM",
        expected: "Firecracker, Cloud Hypervisor, or (for Capstead's runtime) QEMU",
        why: "it is what runs a microVM",
        fix: "Debian: `apt-get install qemu-system-x86`; Firecracker is a file of its releases in /usr/local/bin",
        need: super::required,
        judge: |wish, seen| {
            let qemu: &[_] = if wish.runtime == Runtime::Capstead { &["qemu-system-x86_64"] } else { &[] };
            let known = [&["firecracker", "cloud-hypervisor-static"], qemu].concat();
            let found: Vec<_> = known.iter().filter_map(|name| Some(format!("{name}: {}", program(seen, name)?))).collect();
            if found.is_empty() { fail("none is in PATH") } else { pass(found.join("; ")) }
        },
    },
    Rule {
        id: "vmm-version",
        title: "Versions of VMMs",
        expected: "QEMU 7.2, Firecracker 1.12 (1.11 for flintlockd), Cloud Hypervisor 41, or newer",
        why: "older ones lack devices or flags that they are started with",
        fix: "install a newer one",
        need: super::required,
        judge: |wish, seen| {
            let firecracker = if wish.runtime == Runtime::Flintlock { (1, 11) } else { (1, 12) };
            let least = [("qemu-system-x86_64", (7, 2)), ("firecracker", firecracker), ("cloud-hypervisor-static", (41, 0))];
            let own = least.iter().filter_map(|(name, least)| Some((name, least, version(program(seen, name)?)?)));
            let own: Vec<_> = own.filter(|(name, ..)| wish.runtime == Runtime::Capstead || **name != "qemu-system-x86_64").collect();
            let text = |(name, _, (major, minor)): &(&&str, _, (u32, u32))| format!("{name} {major}.{minor}");
            let old: Vec<_> = own.iter().filter(|(_, least, version)| version < *least).map(text).collect();
            match (own.len(), old.len()) {
                (0, _) => Err(Unknown("no VMM tells its version".into())),
                (_, 0) => pass(own.iter().map(text).collect::<Vec<_>>().join(", ")),
                (all, some) if some < all => warn(format!("too old: {}", old.join(", "))),
                _ => fail(format!("too old: {}", old.join(", "))),
            }
        },
    },
    Rule {
        id: "guest",
        title: "A guest runs",
        expected: "a guest of a few instructions comes to its end by KVM",
        why: "/dev/kvm may be there and hang, or be refused by what is around this machine; only a guest tells",
        fix: "try it: `qemu-system-x86_64 -M microvm -accel kvm`; look at `dmesg`",
        need: hardware,
        judge: |wish, seen| {
            let kvm = seen.guest_kvm.clone()?;
            let why = match &kvm {
                Booted::Ran => return pass("ran by KVM"),
                Booted::NoVmm => return Err(Unknown("it is tried with QEMU, which is not installed".into())),
                Booted::Hung => "by KVM a guest does not come to its end".to_owned(),
                Booted::Failed(said) => format!("by KVM: {said}"),
            };
            match seen.guest_tcg.clone() {
                Ok(Booted::Ran) if wish.runtime == Runtime::Capstead => warn(format!("{why}; ran by emulation, which is slow")),
                Ok(Booted::Ran) => fail_and(
                    format!("{why}; ran by emulation"),
                    "Firecracker needs KVM; Capstead's own runtime (--runtime capstead) can emulate",
                ),
                _ => fail(why),
            }
        },
    },
    Rule {
        id: "emulation",
        title: "A guest can be run at all",
        expected: "a guest comes to its end by KVM or by emulation",
        why: "without a VMM that works the daemon does not start",
        fix: "install QEMU 7.2 or newer",
        need: |wish| Need::required_if(wish.runtime == Runtime::Capstead, "flintlockd cannot emulate"),
        judge: |_, seen| match (&seen.guest_kvm, &seen.guest_tcg) {
            (Ok(Booted::Ran), _) => pass("by KVM"),
            (_, Ok(Booted::Ran)) => pass("by emulation"),
            (_, Err(unknown)) => Err(unknown.clone()),
            (_, Ok(Booted::NoVmm)) => Err(Unknown("it is tried with QEMU, which is not installed".into())),
            (_, Ok(Booted::Hung)) => fail("a guest does not come to its end"),
            (_, Ok(Booted::Failed(said))) => fail(said.clone()),
        },
    },
    Rule {
        id: "macvtap-support",
        title: "Macvtap and the VMM",
        expected: "a VMM that takes macvtaps: Cloud Hypervisor for flintlockd; QEMU or Cloud Hypervisor for Capstead",
        why: "flintlockd refuses macvtap for Firecracker: \"macvtap network interfaces not supported by the microvm provider\"",
        fix: "install Cloud Hypervisor and give flintlockd `--default-provider cloudhypervisor`; or use taps on a bridge (--network bridge)",
        need: |wish| Need::required_if(wish.network == Network::Macvtap, "no macvtap is wished"),
        judge: |wish, seen| {
            let cloud = program(seen, "cloud-hypervisor-static").is_some();
            let qemu = wish.runtime == Runtime::Capstead && program(seen, "qemu-system-x86_64").is_some();
            must(
                cloud || qemu,
                if cloud {
                    "Cloud Hypervisor"
                } else if qemu {
                    "QEMU"
                } else {
                    "no VMM here takes macvtaps"
                },
            )
        },
    },
];
