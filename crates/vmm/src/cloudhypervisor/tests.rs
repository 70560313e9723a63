use super::*;
use crate::machine::HostNic;
use crate::testing::{everything, machine, nic};

fn plan(machine: &Machine) -> Result<LaunchPlan, PlanError> {
    CloudHypervisor::new("cloud-hypervisor").plan(machine, &RunFolder::new(Path::new("/run/c"), &machine.uid).expect("folder"))
}

#[test]
fn everything_it_can_do_in_its_words() {
    let mut able = Machine { metadata: Default::default(), ..everything() };
    able.nics.retain(|nic| matches!(nic.host, HostNic::Tap(_) | HostNic::Macvtap(_)));
    able.nics[0].metadata = false;
    let plan = plan(&able).expect("plan");
    let expected = r#"--api-socket
path=/run/c/m-1/control.sock
--kernel
/images/vmlinux
--initramfs
/images/initrd
--cmdline
console=ttyS0 reboot=k panic=1 rw quiet root="LABEL=my root"
--cpus
boot=2
--memory
size=1024M,shared=on
--disk
path=/vm/root.qcow2,readonly=off,image_type=qcow2,backing_files=on,id=disk0
path=/vm/seed.img,readonly=on,image_type=raw,id=disk1
path=/vm/data.raw,readonly=off,image_type=raw,id=disk2
--net
tap=tap0,mac=02:00:00:00:00:00,id=eth0,mtu=1400
fd=[3],mac=02:00:00:00:00:01,id=eth1
--fs
tag=user,socket=/run/c/m-1/fs0.sock,num_queues=1,queue_size=1024
--vsock
cid=3,socket=/run/c/m-1/vsock.sock
--serial
file=/run/c/m-1/serial.log
--console
off"#;
    assert_eq!(plan.args, expected.lines().collect::<Vec<_>>());
    assert_eq!(plan.devices, [PathBuf::from("/dev/tap7")]);
}

#[test]
fn what_it_cannot_do_is_refused() {
    let metadata = Machine { metadata: [("user-data".to_owned(), String::new())].into(), ..machine("m") };
    let user = Machine { nics: vec![nic(0, HostNic::User(Vec::new()))], ..machine("m") };
    for machine in [metadata, user] {
        assert!(matches!(plan(&machine), Err(PlanError::Unsupported(_, DriverKind::CloudHypervisor))));
    }
}
