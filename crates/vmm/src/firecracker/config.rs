//! A machine in Firecracker's words: its arguments, its configuration file, its metadata.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::driver::{DriverKind, LaunchPlan, PlanError, plain_label, plain_path};
use crate::folder::RunFolder;
use crate::machine::{DiskFormat, HostNic, Machine};

/// The kernel parameters that Firecracker's own guide and flintlock give, with the root disk, which is not named as such to Firecracker
/// (it would put it first and name it last).
const PARAMETERS: [(&str, &str); 10] = [
    ("console", "ttyS0"),
    ("reboot", "k"),
    ("panic", "1"),
    ("pci", "off"),
    ("i8042.noaux", ""),
    ("i8042.nomux", ""),
    ("i8042.nopnp", ""),
    ("i8042.dumbkbd", ""),
    ("root", "/dev/vda"),
    ("rw", ""),
];
/// Where a guest without another source of data looks for it.
const DATA_SOURCE: (&str, &str) = ("ds", "nocloud-net;s=http://169.254.169.254/latest/");
/// The metadata service's document limit is 51,200 bytes unless it is raised; room for the JSON around.
const METADATA_LIMIT: usize = 51_200;

fn text(path: &Path) -> Result<&str, PlanError> {
    plain_path(path)
}

/// The configuration file.
fn config(machine: &Machine, folder: &RunFolder) -> Result<Value, PlanError> {
    let unsupported = |what| Err(PlanError::Unsupported(what, DriverKind::Firecracker));
    let data_source = (!machine.metadata.is_empty()).then_some(DATA_SOURCE);
    let parameters = PARAMETERS.into_iter().chain(data_source).map(|(name, value)| (name, value.to_owned()));
    let mut boot = json!({
        "kernel_image_path": text(&machine.kernel)?,
        "boot_args": machine.cmdline.over(parameters).render()?,
    });
    if let Some(initrd) = &machine.initrd {
        boot["initrd_path"] = text(initrd)?.into();
    }
    let mut drives = Vec::new();
    for (index, disk) in machine.disks.iter().enumerate() {
        if disk.format != DiskFormat::Raw {
            return unsupported("a qcow2 disk");
        }
        drives.push(json!({
            "drive_id": format!("disk{index}"),
            "path_on_host": text(&disk.path)?,
            "is_root_device": false,
            "is_read_only": disk.read_only,
            "cache_type": if disk.durable { "Writeback" } else { "Unsafe" },
        }));
    }
    let mut nics = Vec::new();
    for nic in &machine.nics {
        let HostNic::Tap(tap) = &nic.host else { return unsupported("a network interface that is no tap") };
        let mut fields = json!({"iface_id": plain_label(&nic.id)?, "host_dev_name": tap, "guest_mac": nic.mac.to_string()});
        if let Some(mtu) = nic.mtu {
            fields["mtu"] = mtu.into();
        }
        nics.push(fields);
    }
    let mut config = json!({
        "boot-source": boot,
        "drives": drives,
        "machine-config": {"vcpu_count": machine.vcpus, "mem_size_mib": machine.memory_mib, "smt": false, "track_dirty_pages": false},
        "network-interfaces": nics,
        // A file of its own: Firecracker does not append.
        "logger": {"log_path": text(&folder.file("firecracker.log"))?, "level": "Info", "show_level": true},
        "entropy": {},
    });
    let served: Vec<&str> = machine.nics.iter().filter(|nic| nic.metadata).map(|nic| nic.id.as_str()).collect();
    if !served.is_empty() {
        // Version 1, since cloud-init's NoCloud asks without a token.
        config["mmds-config"] = json!({"version": "V1", "network_interfaces": served});
    }
    if machine.vsock {
        config["vsock"] = json!({"guest_cid": 3, "uds_path": text(&folder.vsock())?});
    }
    if !machine.shares.is_empty() {
        return unsupported("virtiofs");
    }
    Ok(config)
}

/// The documents as the metadata service gives them below `/latest/`.
fn metadata(machine: &Machine) -> Value {
    let documents: Map<String, Value> = machine.metadata.iter().map(|(name, text)| (name.clone(), text.clone().into())).collect();
    json!({"latest": documents})
}

pub(super) fn plan(program: &Path, machine: &Machine, folder: &RunFolder) -> Result<LaunchPlan, PlanError> {
    let file = folder.file("firecracker.json");
    let mut args: Vec<String> = vec!["--id".into(), machine.uid.to_string(), "--api-sock".into(), text(&folder.control())?.into()];
    args.extend(["--config-file".into(), text(&file)?.into()]);
    let mut files = vec![(file, config(machine, folder)?.to_string().into_bytes())];
    if !machine.metadata.is_empty() {
        let bytes = metadata(machine).to_string().into_bytes();
        if bytes.len() > METADATA_LIMIT {
            args.extend(["--mmds-size-limit".into(), bytes.len().to_string()]);
        }
        let file = folder.file("metadata.json");
        args.extend(["--metadata".into(), text(&file)?.into()]);
        files.push((file, bytes));
    }
    let mut reads = vec![machine.kernel.clone()];
    reads.extend(machine.initrd.clone());
    let (read_only, writes): (Vec<_>, Vec<_>) = machine.disks.iter().partition(|disk| disk.read_only);
    let paths = |disks: Vec<&crate::Disk>| disks.into_iter().map(|disk| disk.path.clone()).collect::<Vec<PathBuf>>();
    reads.extend(paths(read_only));
    Ok(LaunchPlan {
        program: program.to_owned(),
        args,
        files,
        devices: Vec::new(),
        // The guest's serial console.
        stdout: Some(folder.serial_log()),
        reads,
        writes: paths(writes),
    })
}

pub(super) fn probe(program: &Path, kernel: &Path, serial: &Path, dir: &Path) -> LaunchPlan {
    let file = dir.join("firecracker.json");
    let config = json!({
        "boot-source": {"kernel_image_path": kernel.display().to_string(), "boot_args": "console=ttyS0"},
        "drives": [],
        "machine-config": {"vcpu_count": 1, "mem_size_mib": 16, "smt": false, "track_dirty_pages": false},
        "logger": {"log_path": dir.join("firecracker.log").display().to_string(), "level": "Warning", "show_level": true},
    });
    LaunchPlan {
        program: program.to_owned(),
        args: ["--id", "probe", "--no-api", "--config-file"].map(str::to_owned).into_iter().chain([file.display().to_string()]).collect(),
        files: vec![(file, config.to_string().into_bytes())],
        devices: Vec::new(),
        stdout: Some(serial.to_owned()),
        reads: Vec::new(),
        writes: Vec::new(),
    }
}
