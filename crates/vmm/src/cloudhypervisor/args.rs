//! A machine in Cloud Hypervisor's words.

use std::path::{Path, PathBuf};

use crate::driver::{DriverKind, LaunchPlan, PlanError, plain_label, plain_path};
use crate::folder::RunFolder;
use crate::machine::{DiskFormat, HostNic, Machine};

/// The driver's own kernel parameters.
const PARAMETERS: [(&str, &str); 5] = [("console", "ttyS0"), ("reboot", "k"), ("panic", "1"), ("root", "/dev/vda"), ("rw", "")];

/// A path where options are split at commas and quotes.
fn text(path: &Path) -> Result<&str, PlanError> {
    plain_path(path)
}

pub(super) fn plan(program: &Path, machine: &Machine, folder: &RunFolder) -> Result<LaunchPlan, PlanError> {
    let unsupported = |what| Err(PlanError::Unsupported(what, DriverKind::CloudHypervisor));
    let mut args: Vec<String> = Vec::new();
    // Each option is named once with all of its values behind it, so that none is taken for another's.
    let mut option = |name: &str, values: Vec<String>| {
        if !values.is_empty() {
            args.push(format!("--{name}"));
            args.extend(values);
        }
    };
    option("api-socket", vec![format!("path={}", text(&folder.control())?)]);
    option("kernel", vec![text(&machine.kernel)?.to_owned()]);
    let mut reads = vec![machine.kernel.clone()];
    if let Some(initrd) = &machine.initrd {
        option("initramfs", vec![text(initrd)?.to_owned()]);
        reads.push(initrd.clone());
    }
    option("cmdline", vec![machine.cmdline.over(PARAMETERS.map(|(name, value)| (name, value.to_owned()))).render()?]);
    option("cpus", vec![format!("boot={}", machine.vcpus)]);
    // virtiofsd reads and writes the guest's memory.
    let shared = if machine.shares.is_empty() { "" } else { ",shared=on" };
    option("memory", vec![format!("size={}M{shared}", machine.memory_mib)]);
    let (mut disks, mut writes) = (Vec::new(), Vec::new());
    for (index, disk) in machine.disks.iter().enumerate() {
        let read_only = if disk.read_only { "on" } else { "off" };
        let format = match disk.format {
            DiskFormat::Raw => "image_type=raw".to_owned(),
            // A qcow2 file's own header names further files; they are read only where the machine has them.
            DiskFormat::Qcow2 => format!("image_type=qcow2,backing_files={}", if disk.backing.is_empty() { "off" } else { "on" }),
        };
        disks.push(format!("path={},readonly={read_only},{format},id=disk{index}", text(&disk.path)?));
        let reach = if disk.read_only { &mut reads } else { &mut writes };
        reach.push(disk.path.clone());
        reads.extend(disk.backing.iter().cloned());
    }
    option("disk", disks);
    let (mut nics, mut devices) = (Vec::new(), Vec::new());
    for nic in &machine.nics {
        let host = match &nic.host {
            HostNic::Tap(tap) => format!("tap={}", text(Path::new(tap))?),
            HostNic::Macvtap(device) => {
                devices.push(device.clone());
                format!("fd=[{}]", LaunchPlan::FIRST_FD + devices.len() - 1)
            }
            HostNic::User(_) => return unsupported("user networking"),
            HostNic::Stream(_) | HostNic::Dgram { .. } => return unsupported("a network over a socket"),
        };
        let mtu = nic.mtu.map_or_else(String::new, |mtu| format!(",mtu={mtu}"));
        nics.push(format!("{host},mac={},id={}{mtu}", nic.mac, plain_label(&nic.id)?));
    }
    if devices.len() > LaunchPlan::MAX_DEVICES {
        return Err(PlanError::Devices(devices.len()));
    }
    option("net", nics);
    let mut shares = Vec::new();
    for (index, share) in machine.shares.iter().enumerate() {
        let socket = folder.share(index);
        shares.push(format!("tag={},socket={},num_queues=1,queue_size=1024", plain_label(&share.tag)?, text(&socket)?));
    }
    option("fs", shares);
    if machine.vsock {
        option("vsock", vec![format!("cid=3,socket={}", text(&folder.vsock())?)]);
    }
    if !machine.metadata.is_empty() || machine.nics.iter().any(|nic| nic.metadata) {
        return unsupported("a metadata service");
    }
    option("serial", vec![format!("file={}", text(&folder.serial_log())?)]);
    option("console", vec!["off".to_owned()]);
    Ok(LaunchPlan { program: program.to_owned(), args, files: Vec::new(), devices, stdout: None, reads, writes })
}

pub(super) fn probe(program: &Path, kernel: &Path, serial: &Path, dir: &Path) -> LaunchPlan {
    let path = |path: &Path| path.display().to_string();
    let socket: PathBuf = dir.join("s");
    let words = [
        ("--api-socket", format!("path={}", path(&socket))),
        ("--kernel", path(kernel)),
        ("--cmdline", "console=ttyS0".to_owned()),
        ("--cpus", "boot=1".to_owned()),
        ("--memory", "size=64M".to_owned()),
        ("--serial", format!("file={}", path(serial))),
        ("--console", "off".to_owned()),
    ];
    let args = words.into_iter().flat_map(|(name, value)| [name.to_owned(), value]).collect();
    LaunchPlan {
        program: program.to_owned(),
        args,
        files: Vec::new(),
        devices: Vec::new(),
        stdout: None,
        reads: Vec::new(),
        writes: Vec::new(),
    }
}
