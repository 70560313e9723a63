use super::*;
use crate::machine::{CommandLine, Uid};
use crate::testing::{everything, machine};

fn qemu(accel: Accel) -> Qemu {
    Qemu { program: "qemu-system-x86_64".into(), accel, tsc_khz: Some(2_000_000), seccomp: true }
}

fn plan(accel: Accel, machine: &Machine) -> LaunchPlan {
    let folder = RunFolder::new(Path::new("/run/c"), &machine.uid).expect("folder");
    qemu(accel).plan(machine, &folder).expect("plan")
}

#[test]
fn everything_in_qemus_words() {
    let plan = plan(Accel::Tcg, &everything());
    let expected = r#"-name m-1
-M microvm,rtc=on,memory-backend=ram
-accel tcg,thread=multi,tb-size=512
-cpu qemu64,+ssse3,+sse4.1,+sse4.2,+popcnt,+cx16
-nodefaults -no-user-config
-display none
-sandbox on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny
-smp 2
-m 1024M
-object memory-backend-memfd,id=ram,size=1024M,share=on
-global virtio-mmio.force-legacy=off
-device pvpanic
-action panic=pause,reboot=reset,shutdown=poweroff
-chardev socket,id=console,path=/run/c/m-1/console.sock,server=on,wait=off,logfile=/run/c/m-1/serial.log,logappend=on
-serial chardev:console
-chardev socket,id=control,path=/run/c/m-1/control.sock,server=on,wait=off
-mon chardev=control,mode=control
-chardev socket,id=events,path=/run/c/m-1/events.sock,server=on,wait=off
-mon chardev=events,mode=control
-kernel /images/vmlinux
-initrd /images/initrd
-append
console=ttyS0 reboot=t panic=1 tsc_early_khz=2000000 lpj=8000000 tsc=reliable mitigations=off quiet root="LABEL=my root"
-device virtio-rng-device
-drive id=disk0,file=/vm/root.qcow2,format=qcow2,if=none,cache=unsafe,discard=unmap,readonly=off
-device virtio-blk-device,drive=disk0
-drive id=disk1,file=/vm/seed.img,format=raw,if=none,cache=writeback,discard=unmap,readonly=on
-device virtio-blk-device,drive=disk1
-drive id=disk2,file=/vm/data.raw,format=raw,if=none,cache=writeback,discard=unmap,readonly=off
-device virtio-blk-device,drive=disk2
-netdev tap,id=net0,ifname=tap0,script=no,downscript=no
-device virtio-net-device,netdev=net0,mac=02:00:00:00:00:00,host_mtu=1400
-netdev tap,id=net1,fd=3
-device virtio-net-device,netdev=net1,mac=02:00:00:00:00:01
-netdev user,id=net2,hostfwd=tcp:127.0.0.1:2222-:22,hostfwd=udp:127.0.0.1:5353-:53
-device virtio-net-device,netdev=net2,mac=02:00:00:00:00:02
-netdev stream,id=net3,server=off,addr.type=unix,addr.path=/net/gvproxy.sock
-device virtio-net-device,netdev=net3,mac=02:00:00:00:00:03
-netdev dgram,id=net4,local.type=unix,local.path=/net/a.sock,remote.type=unix,remote.path=/net/b.sock
-device virtio-net-device,netdev=net4,mac=02:00:00:00:00:04
-chardev socket,id=fs0,path=/run/c/m-1/fs0.sock
-device vhost-user-fs-device,chardev=fs0,tag=user"#;
    let line: Vec<String> = expected
        .lines()
        .flat_map(|line| if line.starts_with('-') { line.split(' ').map(str::to_owned).collect() } else { vec![line.to_owned()] })
        .collect();
    assert_eq!(plan.args, line);
    assert_eq!(plan.devices, [PathBuf::from("/dev/tap7")]);
    let paths = |list: &[&str]| list.iter().map(PathBuf::from).collect::<Vec<_>>();
    assert_eq!(plan.reads, paths(&["/images/vmlinux", "/images/initrd", "/images/base.raw", "/vm/seed.img"]));
    assert_eq!(plan.writes, paths(&["/vm/root.qcow2", "/vm/data.raw", "/dev/tap7", "/net", "/net", "/net"]));
}

#[test]
fn the_clock_is_set_under_tcg_only_and_the_user_wins() {
    let append = |plan: LaunchPlan| plan.args[plan.args.iter().position(|arg| arg == "-append").expect("there") + 1].clone();
    assert_eq!(append(plan(Accel::Kvm, &machine("m"))), "console=ttyS0 reboot=t panic=1 root=/dev/vda");
    assert!(plan(Accel::Kvm, &machine("m")).args.windows(2).any(|pair| pair == ["-cpu", "host"]));
    let own = Machine { cmdline: CommandLine::from_iter([("lpj", "1"), ("tsc", "unstable")]), ..machine("m") };
    assert_eq!(
        append(plan(Accel::Tcg, &own)),
        "console=ttyS0 reboot=t panic=1 root=/dev/vda tsc_early_khz=2000000 mitigations=off lpj=1 tsc=unstable"
    );
    let blind = Qemu { tsc_khz: None, ..qemu(Accel::Tcg) };
    let folder = RunFolder::new(Path::new("/run/c"), &"m".parse::<Uid>().expect("uid")).expect("folder");
    assert_eq!(append(blind.plan(&machine("m"), &folder).expect("plan")), "console=ttyS0 reboot=t panic=1 root=/dev/vda mitigations=off");
}

#[test]
fn names_that_qemu_would_split_are_refused() {
    let folder = RunFolder::new(Path::new("/run/c"), &"m".parse::<Uid>().expect("uid")).expect("folder");
    let refused = |machine: Machine| qemu(Accel::Tcg).plan(&machine, &folder).expect_err("refused");
    let mut disk = everything();
    disk.disks[0].path = "/vm/a,readonly=off".into();
    assert!(matches!(refused(disk), PlanError::Path(_)));
    let mut nic = everything();
    nic.nics[0].host = crate::HostNic::Tap("t,script=/bin/sh".into());
    assert!(matches!(refused(nic), PlanError::Path(_)));
    let mut label = everything();
    label.nics[0].id = "a b".into();
    assert!(matches!(refused(label), PlanError::Label(_)));
    let many = (0..8).map(|index| crate::testing::nic(index, crate::HostNic::Macvtap("/dev/tap1".into()))).collect();
    assert_eq!(refused(Machine { nics: many, ..machine("m") }), PlanError::Devices(8));
}

#[test]
fn qemus_words_for_states_and_events() {
    let known = |status: &str| state(&json!({"status": status, "running": false}));
    assert_eq!(known("running"), Some(GuestState::Running));
    assert_eq!(known("guest-panicked"), Some(GuestState::Panicked));
    assert_eq!(known("shutdown"), Some(GuestState::Down));
    assert_eq!(known("paused"), Some(GuestState::Paused));
    assert_eq!(known("new"), Some(GuestState::Unknown("QEMU says new".into())));
    assert_eq!(state(&json!({})), None);
    assert_eq!(event("SHUTDOWN", &json!({"guest": true, "reason": "guest-shutdown"})), GuestEvent::Shutdown("guest-shutdown".into()));
    assert_eq!(event("RESET", &Value::Null), GuestEvent::Reset("no reason told".into()));
}

#[test]
fn the_counter_is_measured() {
    if cfg!(target_arch = "x86_64") {
        let khz = tsc_khz().expect("there is one");
        assert!((500_000..10_000_000).contains(&khz), "{khz}");
        assert_eq!(tsc_khz(), Some(khz), "once");
    }
}
