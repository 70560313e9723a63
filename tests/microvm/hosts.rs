//! Real hosts: what the provider makes on them are processes of QEMU.

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Stdio;

use capstead_vmm::guest;
use serde_json::Value;
use serde_json::json;
use tokio::runtime::Handle;

use crate::registry;
use crate::registry::Entry;
use crate::registry::TestRegistry;
use crate::support::Capstead;
use crate::support::kernel;
use crate::support::until;
use crate::team::Team;
use crate::world::CLUSTER;
use crate::world::World;

/// A guest that does nothing, for ever: cli, hlt, and back.
const IDLE: &[u8] = &[0xfa, 0xf4, 0xeb, 0xfd];
const MACHINES: [&str; 4] = ["a", "b", "c", "d"];

/// A running `capstead host run`. Dropped, it is killed, and its microVMs with it.
struct RealHost {
    process: Child,
    folder: tempfile::TempDir,
    address: String,
}

impl RealHost {
    fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("host").tempdir().unwrap();
        let (state, log) = (folder.path().to_str().unwrap(), folder.path().join("log.json"));
        let words = ["host", "run", "--grpc-endpoint", "127.0.0.1:0", "--state-dir", state, "--log-format", "json", "--log-output"];
        let mut command = Capstead::new(folder.path(), words.into_iter().chain([log.to_str().unwrap()])).command;
        let process = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let address = until("the host serves", || {
            let text = fs::read_to_string(&log).unwrap_or_default();
            let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            lines.into_iter().find_map(|line| Some(line["grpc"].as_str()?.to_owned())).ok_or(text.clone())
        });
        Self { process, folder, address }
    }

    /// The folder of its VMMs' cgroups, where there is one.
    fn cgroups(&self) -> Option<PathBuf> {
        let instance = fs::read_to_string(self.folder.path().join("instance")).ok()?;
        let roots = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].map(|root| Path::new(root).join("capstead").join(instance.trim()));
        roots.into_iter().find(|folder| folder.exists())
    }

    /// The uids of its microVMs.
    fn microvms(&self) -> Vec<String> {
        names(&self.folder.path().join("records")).iter().filter_map(|name| Some(name.strip_suffix(".json")?.to_owned())).collect()
    }
}

impl Drop for RealHost {
    fn drop(&mut self) {
        let cgroups = self.cgroups();
        let _ = self.process.kill();
        let _ = self.process.wait();
        for uid in self.microvms() {
            kernel::running_with(&uid).into_iter().for_each(kernel::kill);
        }
        // Empty by now, if all went well.
        cgroups.iter().for_each(|folder| _ = fs::remove_dir(folder));
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    entries.filter_map(|entry| entry.file_name().into_string().ok()).filter(|name| !name.starts_with('.')).collect()
}

pub fn machines_are_processes_on_real_hosts(world: &World) {
    let folder = tempfile::tempdir().unwrap();
    let registry = world.inside(|| {
        Handle::current().block_on(async {
            let registry = TestRegistry::start(folder.path()).await;
            let kernel = guest::elf(IDLE);
            let layer = registry::tar(&[Entry::Folder("boot"), Entry::File("boot/vmlinux", &kernel), Entry::File("hello", b"hello\n")]);
            registry.push("guest:1", vec![registry::gzip(&layer)]).await;
            registry
        })
    });
    let hosts = [RealHost::start(), RealHost::start()];
    let team = Team::new(world, "hosts");
    team.microvm_cluster(&hosts.each_ref().map(|host| host.address.clone()));
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
    let cgroups: Vec<PathBuf> = hosts.iter().filter_map(RealHost::cgroups).collect();
    for folder in &cgroups {
        let pids = |uid: &String| fs::read_to_string(folder.join(uid).join("cgroup.procs")).unwrap_or_default();
        let grouped: Vec<String> = uids.iter().map(pids).filter(|pids| !pids.is_empty()).collect();
        assert_eq!(grouped.len(), hosts.iter().find(|host| host.cgroups().as_ref() == Some(folder)).unwrap().microvms().len());
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
            assert_eq!(names(&host.folder.path().join(folder)), Vec::<String>::new(), "{folder} of {}", host.address);
        }
    }
}
