//! Real hosts: what the provider makes on them are processes of QEMU.

use std::fs;
use std::path::PathBuf;

use capstead_vmm::guest;
use serde_json::json;
use tokio::runtime::Handle;

use crate::registry;
use crate::registry::Entry;
use crate::registry::TestRegistry;
use crate::support::entries;
use crate::support::host::HostDaemon;
use crate::support::kernel;
use crate::team::Team;
use crate::world::CLUSTER;
use crate::world::World;

const MACHINES: [&str; 4] = ["a", "b", "c", "d"];

/// A host, and its folder.
struct RealHost {
    daemon: HostDaemon,
    _folder: tempfile::TempDir,
}

impl RealHost {
    fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("host").tempdir().unwrap();
        Self { daemon: HostDaemon::start(&folder.path().join("s"), &[]), _folder: folder }
    }

    /// The uids of its microVMs.
    fn microvms(&self) -> Vec<String> {
        entries(&self.daemon.state.join("records")).iter().filter_map(|name| Some(name.strip_suffix(".json")?.to_owned())).collect()
    }
}

pub fn machines_are_processes_on_real_hosts(world: &World) {
    let folder = tempfile::tempdir().unwrap();
    let registry = world.inside(|| {
        Handle::current().block_on(async {
            let registry = TestRegistry::start(folder.path()).await;
            let kernel = guest::elf(guest::IDLE);
            let layer = registry::tar(&[Entry::Folder("boot"), Entry::File("boot/vmlinux", &kernel), Entry::File("hello", b"hello\n")]);
            registry.push("guest:1", vec![registry::gzip(&layer)]).await;
            registry
        })
    });
    let hosts = [RealHost::start(), RealHost::start()];
    let team = Team::new(world, "hosts");
    team.microvm_cluster(&hosts.each_ref().map(|host| host.daemon.address.clone()));
    team.cluster();
    team.wait(CLUSTER, crate::team::ONE, "its infrastructure is there", |cluster| {
        cluster["status"]["initialization"]["infrastructureProvisioned"] == true
    });
    for name in MACHINES {
        team.secret(name, &json!({"value": format!("#cloud-config\n# of {name}\n")}));
        let mut machine = team.microvm_machine(name);
        let image = format!("{}/guest:1", registry.address);
        machine["spec"]["vcpu"] = json!(1);
        machine["spec"]["rootVolume"]["image"] = json!(image);
        machine["spec"]["kernel"]["image"] = json!(image);
        world.create(&machine);
        world.create(&team.core_machine(name));
    }
    let mut uids: Vec<String> =
        MACHINES.map(|name| team.ready(name)["spec"]["providerID"].as_str().unwrap().rsplit('/').next().unwrap().to_owned()).into();
    for uid in &uids {
        assert_eq!(kernel::running_with(uid).len(), 1, "{uid}");
    }
    let cgroups: Vec<PathBuf> = hosts.iter().filter_map(|host| host.daemon.cgroups()).collect();
    for folder in &cgroups {
        let pids = |uid: &String| fs::read_to_string(folder.join(uid).join("cgroup.procs")).unwrap_or_default();
        let grouped: Vec<String> = uids.iter().map(pids).filter(|pids| !pids.is_empty()).collect();
        assert_eq!(grouped.len(), hosts.iter().find(|host| host.daemon.cgroups().as_ref() == Some(folder)).unwrap().microvms().len());
    }
    let mut held: Vec<String> = hosts.iter().flat_map(RealHost::microvms).collect();
    uids.sort();
    held.sort();
    assert_eq!(held, uids);

    team.clear();
    for uid in &uids {
        assert_eq!(kernel::running_with(uid), Vec::<u32>::new(), "{uid}");
    }
    for folder in &cgroups {
        let left: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect();
        assert_eq!(left, Vec::<PathBuf>::new());
    }
    for host in &hosts {
        for folder in ["records", "vm", "run"] {
            assert_eq!(entries(&host.daemon.state.join(folder)), Vec::<String>::new(), "{folder} of {}", host.daemon.address);
        }
    }
}
