//! A machine in QEMU's words.

use std::path::{Path, PathBuf};

use super::Qemu;
use crate::driver::{Accel, LaunchPlan, PlanError, plain_label, plain_path};
use crate::folder::RunFolder;
use crate::machine::{DiskFormat, HostNic, Machine, Nic, Protocol};

/// The processor under TCG: what is cheap to emulate, and enough for programs built for x86-64-v2.
const TCG_CPU: &str = "qemu64,+ssse3,+sse4.1,+sse4.2,+popcnt,+cx16";

/// Room for translated code under TCG, in MiB. Once it is full, all is translated anew: a node of Kubernetes, whose programs are large, then gets nothing else done.
/// What is not used takes no memory.
fn translated_mib(memory_mib: u32) -> u32 {
    (memory_mib / 2).clamp(64, 1024)
}

/// Memory of the guest of a few instructions.
const PROBE_MIB: u32 = 16;

/// The arguments as they are put together.
#[derive(Default)]
struct Args(Vec<String>);

impl Args {
    fn flag(&mut self, name: &str) {
        self.0.push(format!("-{name}"));
    }

    fn option(&mut self, name: &str, value: impl Into<String>) {
        self.flag(name);
        self.0.push(value.into());
    }

    /// What every machine has: no default devices, no window, a serial port.
    fn machine(&mut self, qemu: &Qemu, memory_mib: u32, memory: &str) {
        self.option("M", format!("microvm,rtc=on{memory}"));
        match qemu.accel {
            Accel::Kvm => {
                self.option("accel", "kvm");
                self.option("cpu", "host");
            }
            Accel::Tcg => {
                self.option("accel", format!("tcg,thread=multi,tb-size={}", translated_mib(memory_mib)));
                self.option("cpu", TCG_CPU);
            }
        }
        self.flag("nodefaults");
        self.flag("no-user-config");
        self.option("display", "none");
        if qemu.seccomp {
            self.option("sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny");
        }
    }

    fn monitor(&mut self, id: &str, socket: &Path) -> Result<(), PlanError> {
        self.option("chardev", format!("socket,id={id},path={},server=on,wait=off", plain_path(socket)?));
        self.option("mon", format!("chardev={id},mode=control"));
        Ok(())
    }

    fn nic(&mut self, index: usize, nic: &Nic, devices: &mut Vec<PathBuf>) -> Result<(), PlanError> {
        plain_label(&nic.id)?;
        let host = match &nic.host {
            HostNic::Tap(name) => format!("tap,id=net{index},ifname={},script=no,downscript=no", plain_path(Path::new(name))?),
            HostNic::Macvtap(device) => {
                devices.push(device.clone());
                format!("tap,id=net{index},fd={}", LaunchPlan::FIRST_FD + devices.len() - 1)
            }
            HostNic::User(forwards) => {
                let mut user = format!("user,id=net{index}");
                for forward in forwards {
                    let protocol = match forward.protocol {
                        Protocol::Tcp => "tcp",
                        Protocol::Udp => "udp",
                    };
                    user.push_str(&format!(",hostfwd={protocol}:{}:{}-:{}", forward.host.ip(), forward.host.port(), forward.guest_port));
                }
                user
            }
            HostNic::Stream(path) => format!("stream,id=net{index},server=off,addr.type=unix,addr.path={}", plain_path(path)?),
            HostNic::Dgram { local, remote } => format!(
                "dgram,id=net{index},local.type=unix,local.path={},remote.type=unix,remote.path={}",
                plain_path(local)?,
                plain_path(remote)?
            ),
        };
        self.option("netdev", host);
        let mtu = nic.mtu.map_or_else(String::new, |mtu| format!(",host_mtu={mtu}"));
        self.option("device", format!("virtio-net-device,netdev=net{index},mac={}{mtu}", nic.mac));
        Ok(())
    }
}

/// The driver's own kernel parameters.
fn parameters(qemu: &Qemu) -> Vec<(&'static str, String)> {
    // microvm has no keyboard controller to reset by; its ACPI has a reset register, and a triple fault always works.
    let mut defaults =
        vec![("console", "ttyS0".to_owned()), ("reboot", "t".to_owned()), ("panic", "1".to_owned()), ("root", "/dev/vda".to_owned())];
    if let (Accel::Tcg, Some(khz)) = (qemu.accel, qemu.tsc_khz) {
        // microvm has no clock to calibrate against, and its timer interrupt is late on a busy host: the guest would spin for ever in
        // early boot, or mark the counter unstable and lose time. `lpj` is for kernels of 250 ticks a second; at 1000 its delays are longer, which is safe.
        defaults.push(("tsc_early_khz", khz.to_string()));
        defaults.push(("lpj", (u64::from(khz) * 4).to_string()));
        defaults.push(("tsc", "reliable".to_owned()));
    }
    if qemu.accel == Accel::Tcg {
        // There is no processor that speculates, and avoiding it is slow.
        defaults.push(("mitigations", "off".to_owned()));
    }
    defaults
}

pub(super) fn plan(qemu: &Qemu, machine: &Machine, folder: &RunFolder) -> Result<LaunchPlan, PlanError> {
    let mut args = Args::default();
    args.option("name", machine.uid.as_ref());
    // virtiofsd reads and writes the guest's memory.
    let shared = !machine.shares.is_empty();
    args.machine(qemu, machine.memory_mib, if shared { ",memory-backend=ram" } else { "" });
    args.option("smp", machine.vcpus.to_string());
    args.option("m", format!("{}M", machine.memory_mib));
    if shared {
        args.option("object", format!("memory-backend-memfd,id=ram,size={}M,share=on", machine.memory_mib));
        // virtio-fs came with virtio 1.0, and microvm offers the older form by default.
        args.option("global", "virtio-mmio.force-legacy=off");
    }
    // A panic is told and stays to be seen by a daemon that was away; a guest that reboots itself comes up again.
    args.option("device", "pvpanic");
    args.option("action", "panic=pause,reboot=reset,shutdown=poweroff");
    args.option(
        "chardev",
        format!(
            "socket,id=console,path={},server=on,wait=off,logfile={},logappend=on",
            plain_path(&folder.console())?,
            plain_path(&folder.serial_log())?
        ),
    );
    args.option("serial", "chardev:console");
    args.monitor("control", &folder.control())?;
    args.monitor("events", &folder.events())?;
    args.option("kernel", plain_path(&machine.kernel)?);
    let mut reads = vec![machine.kernel.clone()];
    if let Some(initrd) = &machine.initrd {
        args.option("initrd", plain_path(initrd)?);
        reads.push(initrd.clone());
    }
    args.option("append", machine.cmdline.over(parameters(qemu)).render()?);
    args.option("device", "virtio-rng-device");
    let mut writes = Vec::new();
    for (index, disk) in machine.disks.iter().enumerate() {
        let format = match disk.format {
            DiskFormat::Raw => "raw",
            DiskFormat::Qcow2 => "qcow2",
        };
        let cache = if disk.durable { "writeback" } else { "unsafe" };
        let read_only = if disk.read_only { "on" } else { "off" };
        let path = plain_path(&disk.path)?;
        args.option(
            "drive",
            format!("id=disk{index},file={path},format={format},if=none,cache={cache},discard=unmap,readonly={read_only}"),
        );
        args.option("device", format!("virtio-blk-device,drive=disk{index}"));
        let reach = if disk.read_only { &mut reads } else { &mut writes };
        reach.push(disk.path.clone());
        reads.extend(disk.backing.iter().cloned());
    }
    let mut devices = Vec::new();
    for (index, nic) in machine.nics.iter().enumerate() {
        args.nic(index, nic, &mut devices)?;
        writes.extend(crate::driver::nic_files(&nic.host));
    }
    for (index, share) in machine.shares.iter().enumerate() {
        args.option("chardev", format!("socket,id=fs{index},path={}", plain_path(&folder.share(index))?));
        args.option("device", format!("vhost-user-fs-device,chardev=fs{index},tag={}", plain_label(&share.tag)?));
    }
    if devices.len() > LaunchPlan::MAX_DEVICES {
        return Err(PlanError::Devices(devices.len()));
    }
    Ok(LaunchPlan { program: qemu.program.clone(), args: args.0, files: Vec::new(), devices, stdout: None, reads, writes })
}

pub(super) fn probe(qemu: &Qemu, kernel: &Path, serial: &Path) -> LaunchPlan {
    let mut args = Args::default();
    args.machine(qemu, PROBE_MIB, "");
    args.option("m", format!("{PROBE_MIB}M"));
    args.flag("no-reboot");
    args.option("serial", format!("file:{}", serial.display()));
    args.option("device", "isa-debug-exit,iobase=0xf4,iosize=1");
    args.option("kernel", kernel.display().to_string());
    let program = qemu.program.clone();
    LaunchPlan { program, args: args.0, files: Vec::new(), devices: Vec::new(), stdout: None, reads: Vec::new(), writes: Vec::new() }
}
