//! The daemon dies at every step of a microVM's life, before and after its effect, with all that is real outside: images, QEMU, devices of the network.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail the test")]

#[path = "../../image/tests/support/layout.rs"]
mod layout;
#[path = "../../hostnet/tests/support/mod.rs"]
mod namespace;

use std::fs;
use std::future::Future;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use capstead_flintlock::json;
use capstead_flintlock::types::MicroVmSpec;
use capstead_flintlock::types::micro_vm_status::MicroVmState;
use capstead_hostd::Host;
use capstead_hostd::HostOptions;
use capstead_hostd::Settings;
use capstead_hostd::World;
use capstead_hostd::accept::Drivers;
use capstead_hostd::effects::Effects;
use capstead_hostd::effects::Seen;
use capstead_hostd::life::End;
use capstead_hostd::life::Part;
use capstead_hostd::metrics::Metrics;
use capstead_hostd::record::Record;
use capstead_hostd::records::Records;
use capstead_hostnet::Config;
use capstead_hostnet::HostNet;
use capstead_hostnet::Owned;
use capstead_image::pull::PullOptions;
use capstead_image::store::Store;
use capstead_reconcile::Outcome;
use capstead_vmm::Accel;
use capstead_vmm::Confinement;
use capstead_vmm::DriverKind;
use capstead_vmm::NoVirtiofsd;
use capstead_vmm::Qemu;
use capstead_vmm::Runner;
use capstead_vmm::Virtiofsd;
use capstead_vmm::guest;
use serde_json::json;

const DEADLINE: Duration = Duration::from_secs(60);

/// The real outside, behind a daemon that dies: after so many effects, nothing happens any more.
struct Mortal {
    world: World,
    left: AtomicUsize,
    dead: tokio::sync::Notify,
}

impl Mortal {
    /// A moment at which the daemon may die.
    async fn moment(&self) {
        let left = self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if left.is_err() {
            self.dead.notify_one();
            std::future::pending::<()>().await;
        }
    }

    async fn around(&self, effect: impl Future<Output = Outcome> + Send) -> Outcome {
        self.moment().await;
        let outcome = effect.await;
        self.moment().await;
        outcome
    }
}

impl Effects for Mortal {
    async fn observe(&self, record: &Record) -> Result<Seen, String> {
        self.world.observe(record).await
    }

    async fn make(&self, record: &Record, part: Part) -> Outcome {
        self.around(self.world.make(record, part)).await
    }

    async fn unmake(&self, record: &Record, part: Part) -> Outcome {
        self.around(self.world.unmake(record, part)).await
    }

    async fn launch(&self, record: &Record) -> Outcome {
        self.around(self.world.launch(record)).await
    }

    async fn shutdown(&self, record: &Record) -> Outcome {
        self.around(self.world.shutdown(record)).await
    }

    async fn kill(&self, record: &Record) -> Outcome {
        self.around(self.world.kill(record)).await
    }

    async fn ended(&self, record: &Record) -> End {
        self.world.ended(record).await
    }

    async fn clear(&self, record: &Record) -> Outcome {
        self.around(self.world.clear(record)).await
    }

    fn patience(&self, part: Part) -> Duration {
        self.world.patience(part)
    }
}

impl Drivers for Mortal {
    fn default_name(&self) -> &str {
        self.world.default_name()
    }

    fn find(&self, name: &str) -> Option<&str> {
        self.world.find(name)
    }

    fn names(&self) -> Vec<&str> {
        self.world.names()
    }

    fn lacking(&self, name: &str, spec: &MicroVmSpec) -> Vec<String> {
        self.world.lacking(name, spec)
    }
}

/// A host's folders, and what is looked at without its daemon.
struct Stage {
    dir: tempfile::TempDir,
    virtiofsd: Result<Virtiofsd, NoVirtiofsd>,
}

impl Stage {
    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn runner(&self) -> Runner {
        let qemu = Arc::new(Qemu::new("qemu-system-x86_64", Accel::Tcg));
        let runner = Runner::new(&self.path("run"), vec![qemu], Confinement { landlock: true, ..Confinement::default() }).unwrap();
        runner.with_virtiofsd(self.virtiofsd.clone())
    }

    fn net(&self) -> HostNet {
        let lan_network = "10.77.0.0/24".parse().unwrap();
        HostNet::open(Config { instance: "sweep".into(), dir: self.path("net"), owner: None, agent: Vec::new(), lan_network }).unwrap()
    }

    /// A daemon that dies after so many moments.
    fn daemon(&self, moments: usize) -> Arc<Host<Mortal>> {
        let options = HostOptions {
            bridge: Some("br0".into()),
            local_images: Some(self.path("image")),
            shared_folders: vec![self.path("shared")],
            ..HostOptions::default()
        };
        let store = Store::open(&self.path("images")).unwrap();
        let world = World::new(self.path("vm"), self.runner(), store, self.net(), PullOptions::default(), options, DriverKind::Qemu);
        let mortal = Mortal { world, left: AtomicUsize::new(moments), dead: tokio::sync::Notify::new() };
        let settings = Settings { grace: Duration::from_millis(50), ..Settings::default() };
        Host::start(mortal, settings, Records::open(&self.path("records")).unwrap(), Metrics::default()).unwrap()
    }

    /// Nothing is left of any microVM.
    async fn is_empty(&self) {
        assert_eq!(self.runner().list().into_iter().collect::<Vec<_>>(), []);
        assert_eq!(self.net().list().await.unwrap(), Owned::default());
        for folder in ["records", "vm", "run", "net/records"] {
            let left: Vec<String> = fs::read_dir(self.path(folder))
                .into_iter()
                .flatten()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .filter(|name| !name.starts_with('.'))
                .collect();
            assert_eq!(left, Vec::<String>::new(), "{folder}");
        }
    }
}

/// A layer with a kernel and a file.
fn layer() -> Vec<u8> {
    let mut layer = tar::Builder::new(Vec::new());
    for (name, content) in [("vmlinux", guest::elf(guest::IDLE)), ("hello", b"hello\n".to_vec())] {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(content.len() as u64);
        layer.append_data(&mut header, name, &content[..]).unwrap();
    }
    layer.into_inner().unwrap()
}

fn spec(image: &Path, shared: &Path) -> MicroVmSpec {
    let image = format!("oci:{}", image.display());
    let spec = json!({
        "id": "a", "namespace": "sweep", "vcpu": 1,
        "kernel": {"image": image, "filename": "vmlinux", "add_network_config": true},
        "root_volume": {"id": "root", "source": {"container_source": image}},
        "additional_volumes": [
            {"id": "data", "size_in_mb": 20, "source": {"container_source": image}},
            {"id": "shared", "source": {"virtiofs_source": shared}},
        ],
        "interfaces": [
            {"device_id": "eth1", "type": "TAP"},
            {"device_id": "eth2", "type": "TAP", "overrides": {"bridge_name": "user"}},
        ],
    });
    json::read(spec, true).unwrap()
}

/// Waits until it is so, or the daemon has died.
async fn until(host: &Host<Mortal>, what: &str, so: impl Fn() -> bool) -> bool {
    let start = Instant::now();
    while !so() {
        assert!(start.elapsed() < DEADLINE, "{what}: {:#?}", host.list("", ""));
        tokio::select! {
            () = host.effects().dead.notified() => return false,
            () = tokio::time::sleep(Duration::from_millis(5)) => (),
        }
    }
    true
}

fn runs(host: &Host<Mortal>, uid: &str) -> bool {
    host.get(uid).is_ok_and(|microvm| microvm.status.unwrap().state() == MicroVmState::Created)
}

/// One life whose daemon dies after so many moments, and is started again. Whether it died at all.
async fn life(stage: &Stage, spec: &MicroVmSpec, moments: usize) -> bool {
    let first = stage.daemon(moments);
    let uid = first.create(Some(spec.clone())).unwrap().spec.unwrap().uid.unwrap();
    let mut died = !until(&first, "it runs", || runs(&first, &uid)).await;
    if !died {
        first.delete(&uid).unwrap();
        died = !until(&first, "it is gone", || first.list("", "").is_empty()).await;
    }
    first.stop();
    drop(first);

    let second = stage.daemon(usize::MAX);
    if died && second.get(&uid).is_ok() {
        // Whoever asked asks again: it is the same one, or another, since the name of one that goes is free.
        let again = second.create(Some(spec.clone())).unwrap().spec.unwrap().uid.unwrap();
        until(&second, "it runs after all", || runs(&second, &again) && second.list("", "").len() == 1).await;
        assert_eq!(stage.runner().scan().len(), 1, "one process, after {moments} moments");
        second.delete(&again).unwrap();
        until(&second, "it is gone after all", || second.list("", "").is_empty()).await;
    }
    second.stop();
    stage.is_empty().await;
    died
}

#[test]
fn a_daemon_that_dies_at_any_step_loses_and_leaves_nothing() {
    namespace::in_namespace("a_daemon_that_dies_at_any_step_loses_and_leaves_nothing", || async {
        namespace::ip("link add br0 type bridge");
        namespace::ip("link set br0 up");
        let virtiofsd = Virtiofsd::find(Path::new("virtiofsd")).await;
        let stage = Stage { dir: tempfile::Builder::new().prefix("hostd").tempdir().unwrap(), virtiofsd };
        layout::write(&stage.path("image"), &[layer()]);
        fs::create_dir(stage.path("shared")).unwrap();
        let spec = spec(&stage.path("image"), &stage.path("shared"));
        let mut moments = 0;
        while life(&stage, &spec, moments).await {
            moments += 1;
        }
        println!("{moments} moments to die at");
        // Each of kernel, root, volume, seed, two interfaces, launch, shutdown, kill, five or more to unmake, clear; before and after.
        assert!(moments >= 2 * 15, "{moments}");
    });
}
