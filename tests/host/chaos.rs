//! A host on which everything breaks, at random: the daemon and VMMs are killed, the disk fills up, the registry fails, the network goes down.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use std::time::Instant;

use capstead_vmm::guest;
use serde_json::Value;
use serde_json::json;

use crate::daemon::Daemon;
use crate::entries;
use crate::grpcurl;
use crate::kernel_devices;
use crate::namespace;
use crate::namespace::ip;
use crate::registry;
use crate::registry::Entry;
use crate::registry::TestRegistry;
use crate::support::kernel;
use crate::support::random::Random;
use crate::support::random::seed;
use crate::support::random::setting;
use crate::support::within;

/// A guest that does nothing, for ever: cli, hlt, and back.
const IDLE: &[u8] = &[0xfa, 0xf4, 0xeb, 0xfd];
/// No more at a time.
const MOST: usize = 6;
/// In the end.
const PATIENCE: Duration = Duration::from_secs(240);

/// What is broken now.
#[derive(Default)]
struct Broken {
    disk: bool,
    registry: bool,
    network: bool,
}

struct Stage<'a> {
    folder: &'a Path,
    registry: &'a TestRegistry,
    images: u64,
    broken: Broken,
}

impl Stage<'_> {
    fn disk(&mut self, full: bool) {
        let fill = self.folder.join("s/fill");
        if full {
            // Until nothing more fits.
            let mut file = fs::File::create(&fill).unwrap();
            let block = vec![1; 1 << 20];
            while file.write_all(&block).is_ok() {}
        } else {
            let _ = fs::remove_file(&fill);
        }
        self.broken.disk = full;
    }

    fn registry(&mut self, gone: bool) {
        if self.broken.registry != gone {
            let away = self.registry.storage.with_extension("away");
            let (from, to) = if gone { (&self.registry.storage, &away) } else { (&away, &self.registry.storage) };
            let _ = fs::remove_dir_all(to);
            fs::rename(from, to).unwrap();
        }
        self.broken.registry = gone;
    }

    fn network(&mut self, gone: bool) {
        if self.broken.network != gone {
            ip(if gone { "link del br0" } else { "link add br0 type bridge" });
            if !gone {
                ip("link set br0 up");
            }
        }
        self.broken.network = gone;
    }

    fn heal(&mut self) {
        self.disk(false);
        self.registry(false);
        self.network(false);
    }

    /// Of one of some images, so that most must be pulled.
    fn spec(&self, name: &str, random: &mut Random) -> Value {
        let image = format!("{}/idle-{}:1", self.registry.address, random.below(self.images));
        json!({
            "id": name, "namespace": "chaos", "vcpu": 1,
            "kernel": { "image": image, "filename": "vmlinux" },
            "root_volume": { "id": "root", "source": { "container_source": image } },
            "interfaces": [{ "device_id": "eth0", "type": "TAP" }],
        })
    }
}

/// A small file system of its own, in a mount namespace of its own, for as long as this value lives.
struct Small<'a>(&'a Path);

impl<'a> Small<'a> {
    fn mount(at: &'a Path) -> Self {
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=256m", "tmpfs"]).arg(at).status().unwrap();
        assert!(mounted.success());
        Self(at)
    }
}

impl Drop for Small<'_> {
    fn drop(&mut self) {
        // A folder with something mounted on it cannot be removed.
        let _ = Command::new("umount").arg("--lazy").arg(self.0).status();
    }
}

#[test]
fn whatever_breaks_the_wanted_run_in_the_end_and_nothing_is_left() {
    grpcurl::run(&["-version"]).ok();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    drop(runtime.block_on(TestRegistry::start(tempfile::tempdir().unwrap().path())));
    drop(runtime);
    namespace::in_namespace("chaos::whatever_breaks_the_wanted_run_in_the_end_and_nothing_is_left", || async {
        let folder = tempfile::Builder::new().prefix("chaos").tempdir().unwrap();
        let state = folder.path().join("s");
        fs::create_dir(&state).unwrap();
        let _small = Small::mount(&state);
        let registry = TestRegistry::start(folder.path()).await;
        let images = 4;
        for n in 0..images {
            let (kernel, which) = (guest::elf(IDLE), n.to_string());
            let layer = registry::tar(&[Entry::File("vmlinux", &kernel), Entry::File("which", which.as_bytes())]);
            registry.push(&format!("idle-{n}:1"), vec![registry::gzip(&layer)]).await;
        }
        let stage = Stage { folder: folder.path(), registry: &registry, images, broken: Broken::default() };
        let seconds = setting("CAPSTEAD_SOAK_HOST_SECONDS").unwrap_or(30);
        play(stage, &state, Duration::from_secs(seconds));
    });
}

fn play(mut stage: Stage<'_>, state: &Path, length: Duration) {
    let mut random = Random(seed());
    let before = kernel_devices();
    stage.broken.network = true;
    stage.network(false);
    let mut daemon = Daemon::start(state, &["--bridge-name", "br0", "--maximum-retry", "1000", "--deleteMicroVM-timeout", "50ms"]);
    // By name: what was asked for, and never taken back.
    let mut wanted: BTreeMap<String, Value> = BTreeMap::new();
    let mut played: BTreeMap<&str, u32> = BTreeMap::new();
    let start = Instant::now();
    let mut made = 0;
    while start.elapsed() < length {
        let action = match random.below(10) {
            0..3 if wanted.len() < MOST => {
                made += 1;
                let name = format!("m{made}");
                let spec = stage.spec(&name, &mut random);
                // A full disk takes no record: then it is refused, and not wanted.
                if daemon.call("CreateMicroVM", &json!({ "microvm": spec })).succeeded() {
                    wanted.insert(name, spec);
                }
                "create"
            }
            3..5 if !wanted.is_empty() => {
                let name = wanted.keys().nth(random.below(wanted.len() as u64) as usize).unwrap().clone();
                let found = daemon.list().into_iter().find(|microvm| microvm["spec"]["id"] == *name);
                let uid = found.unwrap_or_else(|| panic!("{name} is lost\n{}", daemon.log()))["spec"]["uid"].clone();
                if daemon.call("DeleteMicroVM", &json!({ "uid": uid })).succeeded() {
                    wanted.remove(&name);
                }
                "delete"
            }
            5 => {
                daemon.kill_and_start();
                "kill the daemon"
            }
            6 => {
                let running: Vec<u32> = entries(&state.join("run")).iter().filter_map(|uid| daemon.vmm(uid)).collect();
                if !running.is_empty() {
                    kernel::kill(running[random.below(running.len() as u64) as usize]);
                }
                "kill a VMM"
            }
            7 => {
                let full = !stage.broken.disk;
                stage.disk(full);
                "disk"
            }
            8 => {
                let gone = !stage.broken.registry;
                stage.registry(gone);
                "registry"
            }
            _ => {
                let gone = !stage.broken.network;
                stage.network(gone);
                "network"
            }
        };
        *played.entry(action).or_default() += 1;
        std::thread::sleep(Duration::from_millis(random.below(400)));
    }
    stage.heal();
    println!("{played:?}; wanted are {}", wanted.len());

    let names: Vec<&String> = wanted.keys().collect();
    within(PATIENCE, "the wanted run, and no others are there", || {
        let told = daemon.list();
        let mut running: Vec<String> = told
            .iter()
            .filter(|microvm| microvm["status"]["state"] == "CREATED")
            .map(|microvm| microvm["spec"]["id"].as_str().unwrap().to_owned())
            .collect();
        running.sort();
        let mut sorted: Vec<String> = names.iter().map(|name| (*name).clone()).collect();
        sorted.sort();
        if told.len() == wanted.len() && running == sorted { Ok(()) } else { Err(format!("{told:#?}\n{}", daemon.log())) }
    });
    let uids: Vec<String> = daemon.list().iter().map(|microvm| microvm["spec"]["uid"].as_str().unwrap().to_owned()).collect();
    let mut folders = entries(&state.join("vm"));
    let mut records: Vec<String> = entries(&state.join("records")).iter().map(|name| name.trim_end_matches(".json").to_owned()).collect();
    let mut expected = uids.clone();
    [&mut folders, &mut records, &mut expected].iter_mut().for_each(|names| names.sort());
    assert_eq!((folders, records), (expected.clone(), expected));
    assert_eq!(daemon.processes().len(), uids.len(), "{:#?}", daemon.processes());
    assert_eq!(kernel_devices().len(), before.len() + 1 + uids.len(), "{:?}", kernel_devices());

    for uid in &uids {
        daemon.call("DeleteMicroVM", &json!({ "uid": uid })).ok();
    }
    within(PATIENCE, "all are gone", || {
        if daemon.list().is_empty() { Ok(()) } else { Err(format!("{:#?}\n{}", daemon.list(), daemon.log())) }
    });
    for folder in ["vm", "records", "run", "net/records"] {
        assert_eq!(entries(&state.join(folder)), Vec::<String>::new(), "{folder}");
    }
    assert_eq!(daemon.processes(), Vec::<String>::new());
    assert_eq!(kernel_devices().len(), before.len() + 1);
}
