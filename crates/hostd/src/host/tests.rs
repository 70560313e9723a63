//! The host over a world in memory, which outlives it as VMMs and disks do.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Instant;

use capstead_flintlock::types::MicroVmStatus;
use capstead_flintlock::types::micro_vm_status::MicroVmState;
use capstead_reconcile::Outcome;
use serde_json::json;
use tonic::Code;

use super::*;
use crate::accept::tests::Two;
use crate::accept::tests::spec;
use crate::effects::Facts;
use crate::effects::Seen;
use crate::life::End;
use crate::life::Part;

/// What is outside, and how it behaves.
#[derive(Debug, Default)]
pub(crate) struct Outside {
    parts: BTreeMap<String, BTreeSet<Part>>,
    running: BTreeMap<String, bool>,
    launches: usize,
    end: Option<End>,
    /// Why the guest in a process that runs is lost.
    lost: Option<String>,
    /// What becomes of a part that is made now.
    fails: BTreeMap<Part, Outcome>,
    /// Parts that take for ever.
    hangs: BTreeSet<Part>,
    listens: bool,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct World(Arc<Mutex<Outside>>, Arc<Notify>);

impl World {
    fn with<T>(&self, change: impl FnOnce(&mut Outside) -> T) -> T {
        let changed = change(&mut lock(&self.0));
        self.1.notify_waiters();
        changed
    }

    fn is_empty(&self) -> bool {
        self.with(|outside| outside.parts.values().all(BTreeSet::is_empty) && outside.running.values().all(|runs| !runs))
    }
}

impl Drivers for World {
    fn default_name(&self) -> &str {
        Two.default_name()
    }

    fn find(&self, name: &str) -> Option<&str> {
        ["qemu", "firecracker"].into_iter().find(|known| *known == name)
    }

    fn names(&self) -> Vec<&str> {
        vec!["firecracker", "qemu"]
    }

    fn lacking(&self, name: &str, spec: &MicroVmSpec) -> Vec<String> {
        Two.lacking(name, spec)
    }
}

impl Effects for World {
    async fn observe(&self, record: &Record) -> Result<Seen, String> {
        Ok(self.with(|outside| {
            let parts = outside.parts.get(&record.uid).cloned().unwrap_or_default();
            let running = outside.running.get(&record.uid).copied().unwrap_or_default();
            Seen { whole: parts.clone(), traces: parts, running, facts: Facts::default() }
        }))
    }

    async fn make(&self, record: &Record, part: Part) -> Outcome {
        let (outcome, hangs) = self.with(|outside| {
            let outcome = outside.fails.get(&part).cloned().unwrap_or(Outcome::Done);
            if outcome == Outcome::Done {
                outside.parts.entry(record.uid.clone()).or_default().insert(part);
            }
            (outcome, outside.hangs.contains(&part))
        });
        if hangs { std::future::pending().await } else { outcome }
    }

    async fn unmake(&self, record: &Record, part: Part) -> Outcome {
        self.with(|outside| outside.parts.entry(record.uid.clone()).or_default().remove(&part));
        Outcome::Done
    }

    async fn launch(&self, record: &Record) -> Outcome {
        self.with(|outside| {
            outside.launches += 1;
            outside.running.insert(record.uid.clone(), true);
        });
        Outcome::Done
    }

    async fn shutdown(&self, record: &Record) -> Outcome {
        self.with(|outside| outside.listens.then(|| outside.running.insert(record.uid.clone(), false)));
        Outcome::Done
    }

    async fn kill(&self, record: &Record) -> Outcome {
        self.with(|outside| {
            outside.running.insert(record.uid.clone(), false);
            outside.lost = None;
        });
        Outcome::Done
    }

    async fn ended(&self, record: &Record) -> End {
        loop {
            let changed = self.1.notified();
            let (runs, end, lost) = {
                let outside = lock(&self.0);
                (outside.running.get(&record.uid).copied().unwrap_or_default(), outside.end.clone(), outside.lost.clone())
            };
            if let Some(cause) = lost.filter(|_| runs) {
                return End::Lost(cause);
            }
            if !runs {
                return end.unwrap_or(End::Died("signal 9".into()));
            }
            changed.await;
        }
    }

    async fn clear(&self, _: &Record) -> Outcome {
        Outcome::Done
    }

    fn patience(&self, _: Part) -> Duration {
        Duration::from_secs(600)
    }
}

pub(crate) fn start(world: &World, dir: &Path) -> Arc<Host<World>> {
    let settings = Settings { grace: Duration::from_millis(200), ..Settings::default() };
    Host::start(world.clone(), settings, Records::open(dir).unwrap(), Metrics::default()).unwrap()
}

fn create(host: &Arc<Host<World>>) -> String {
    host.create(Some(spec(&[]))).unwrap().spec.unwrap().uid().to_owned()
}

fn status(host: &Host<World>, uid: &str) -> MicroVmStatus {
    host.get(uid).unwrap().status.unwrap()
}

/// Waits until it is so.
pub(crate) async fn until(what: &str, so: impl Fn() -> bool) {
    let start = Instant::now();
    while !so() {
        assert!(start.elapsed() < Duration::from_secs(30), "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn until_state(host: &Host<World>, uid: &str, state: MicroVmState) {
    until(&format!("{uid} is {state:?}"), || host.get(uid).is_ok_and(|microvm| microvm.status.unwrap().state() == state)).await;
}

async fn until_gone(host: &Host<World>, uid: &str) {
    until(&format!("{uid} is gone"), || host.get(uid).is_err_and(|refusal| refusal.code == Code::NotFound)).await;
}

#[tokio::test]
async fn a_microvm_comes_up_and_goes_and_leaves_nothing() {
    let (world, dir) = (World::default(), tempfile::tempdir().unwrap());
    let host = start(&world, dir.path());
    let made = host.create(Some(spec(&[("/labels", json!({"x": "y"}))]))).unwrap();
    let uid = made.spec.clone().unwrap().uid().to_owned();
    assert_eq!((made.version, made.status.unwrap().state(), made.spec.unwrap().labels["x"].as_str()), (1, MicroVmState::Pending, "y"));
    until_state(&host, &uid, MicroVmState::Created).await;
    assert_eq!(host.create(Some(spec(&[("/labels", json!({"x": "y"}))]))).unwrap().spec.unwrap().uid(), uid);
    host.delete(&uid).unwrap();
    assert_eq!(status(&host, &uid).state(), MicroVmState::Deleting);
    host.delete(&uid).unwrap();
    until_gone(&host, &uid).await;
    assert!(world.is_empty() && std::fs::read_dir(dir.path()).unwrap().next().is_none());
    assert_eq!(world.with(|outside| outside.launches), 1);
}

#[tokio::test]
async fn what_is_refused_leaves_nothing() {
    let (world, dir) = (World::default(), tempfile::tempdir().unwrap());
    let host = start(&world, dir.path());
    let changes = [
        ("/id", json!("..")),
        ("/id", json!("../../etc")),
        ("/namespace", json!("a/b")),
        ("/vcpu", json!(-1)),
        ("/memory_in_mb", json!(i32::MAX)),
        ("/kernel/filename", json!("../../etc/passwd")),
        ("/interfaces", json!([])),
        ("/root_volume/size_in_mb", json!(i32::MAX)),
        ("/metadata", json!({"../user-data": "eA=="})),
        ("/provider", json!("vmware")),
    ];
    for (at, value) in changes {
        let refusal = host.create(Some(spec(&[(at, value.clone())]))).expect_err(at);
        assert_eq!(refusal.code, Code::InvalidArgument, "{at} {value}: {refusal}");
    }
    assert!(host.create(None).is_err());
    assert_eq!(host.list("", ""), []);
    assert!(world.with(|outside| outside.parts.is_empty() && outside.launches == 0));
    assert!(std::fs::read_dir(dir.path()).unwrap().next().is_none());
    // Nor is the name taken.
    create(&host);
}

#[tokio::test]
async fn a_vmm_that_dies_is_told_and_started_again() {
    let (world, dir) = (World::default(), tempfile::tempdir().unwrap());
    let host = start(&world, dir.path());
    let uid = create(&host);
    until_state(&host, &uid, MicroVmState::Created).await;
    world.with(|outside| outside.running.insert(uid.clone(), false));
    until_state(&host, &uid, MicroVmState::Pending).await;
    until("the cause is told", || status(&host, &uid).cause.contains("the VMM's process ended: signal 9")).await;
    assert_eq!(status(&host, &uid).retry, 1);
    until_state(&host, &uid, MicroVmState::Created).await;
    assert_eq!((world.with(|outside| outside.launches), status(&host, &uid).cause), (2, String::new()));
}

#[tokio::test]
async fn a_guest_that_hangs_is_ended_and_started_again_and_told() {
    let (world, dir) = (World::default(), tempfile::tempdir().unwrap());
    let host = start(&world, dir.path());
    let uid = create(&host);
    until_state(&host, &uid, MicroVmState::Created).await;
    world.with(|outside| outside.lost = Some("its guest hung in early boot".into()));
    until("the cause is told", || status(&host, &uid).cause.contains("its guest hung in early boot")).await;
    assert_eq!((status(&host, &uid).state(), status(&host, &uid).retry), (MicroVmState::Pending, 1));
    until_state(&host, &uid, MicroVmState::Created).await;
    assert_eq!((world.with(|outside| outside.launches), status(&host, &uid).cause), (2, String::new()));
}

#[tokio::test]
async fn a_guest_that_panics_at_every_boot_is_given_up() {
    let (world, dir) = (World::default(), tempfile::tempdir().unwrap());
    let settings = Settings { most_failures: 0, ..Settings::default() };
    let host = Host::start(world.clone(), settings, Records::open(dir.path()).unwrap(), Metrics::default()).unwrap();
    let uid = create(&host);
    until_state(&host, &uid, MicroVmState::Created).await;
    world.with(|outside| outside.lost = Some("its guest's kernel panicked: no init".into()));
    until_state(&host, &uid, MicroVmState::Failed).await;
    assert!(status(&host, &uid).cause.contains("its guest's kernel panicked: no init"), "{:?}", status(&host, &uid));
    assert!(world.with(|outside| outside.launches == 1 && outside.running.values().all(|runs| !runs)));
}

#[tokio::test]
async fn a_guest_that_switched_itself_off_stays_off() {
    let (world, dir) = (World::default(), tempfile::tempdir().unwrap());
    let host = start(&world, dir.path());
    let uid = create(&host);
    until_state(&host, &uid, MicroVmState::Created).await;
    world.with(|outside| (outside.end, _) = (Some(End::PoweredOff), outside.running.insert(uid.clone(), false)));
    until_state(&host, &uid, MicroVmState::Failed).await;
    assert_eq!(status(&host, &uid).cause, "the guest switched itself off");
}

#[tokio::test]
async fn what_may_work_later_is_tried_again_and_what_cannot_fails_at_once() {
    let (world, dir) = (World::default(), tempfile::tempdir().unwrap());
    let host = start(&world, dir.path());
    world.with(|outside| outside.fails.insert(Part::Root, Outcome::transient("the registry does not answer")));
    let uid = create(&host);
    until("the cause is told", || status(&host, &uid).cause.contains("the registry does not answer")).await;
    assert_eq!(status(&host, &uid).state(), MicroVmState::Pending);
    world.with(|outside| outside.fails.clear());
    until_state(&host, &uid, MicroVmState::Created).await;

    world.with(|outside| outside.fails.insert(Part::Kernel, Outcome::terminal("kernel.filename: the image has no boot/vmlinux")));
    let hopeless = host.create(Some(spec(&[("/id", json!("b"))]))).unwrap().spec.unwrap().uid().to_owned();
    until_state(&host, &hopeless, MicroVmState::Failed).await;
    assert_eq!(status(&host, &hopeless).cause, "kernel.filename: the image has no boot/vmlinux");
    host.delete(&hopeless).unwrap();
    until_gone(&host, &hopeless).await;
}

#[tokio::test]
async fn a_host_that_is_killed_loses_nothing_and_starts_nothing_twice() {
    let (world, dir) = (World::default(), tempfile::tempdir().unwrap());
    let host = start(&world, dir.path());
    let (runs, hangs) = (create(&host), {
        world.with(|outside| outside.hangs.insert(Part::Interface(0)));
        host.create(Some(spec(&[("/id", json!("b"))]))).unwrap().spec.unwrap().uid().to_owned()
    });
    until("a part hangs", || world.with(|outside| outside.parts.get(&hangs).is_some_and(|parts| parts.contains(&Part::Interface(0)))))
        .await;
    host.stop();
    let before = world.with(|outside| {
        outside.hangs.clear();
        outside.launches
    });

    let host = start(&world, dir.path());
    until_state(&host, &runs, MicroVmState::Created).await;
    until_state(&host, &hangs, MicroVmState::Created).await;
    assert!(world.with(|outside| outside.launches) <= before + 2);
    assert_eq!(host.list("", "").len(), 2);

    // One that ended while nobody watched is told when somebody does again.
    host.stop();
    world.with(|outside| outside.running.insert(runs.clone(), false));
    let host = start(&world, dir.path());
    until("it is told", || status(&host, &runs).retry == 1).await;
    until_state(&host, &runs, MicroVmState::Created).await;
}

#[tokio::test]
async fn what_is_still_being_made_can_be_deleted() {
    let (world, dir) = (World::default(), tempfile::tempdir().unwrap());
    let host = start(&world, dir.path());
    world.with(|outside| outside.hangs.insert(Part::Root));
    let uid = create(&host);
    until("a part hangs", || world.with(|outside| outside.parts.get(&uid).is_some_and(|parts| parts.contains(&Part::Root)))).await;
    host.delete(&uid).unwrap();
    until_gone(&host, &uid).await;
    assert!(world.is_empty());
}

#[tokio::test]
async fn a_guest_that_does_not_listen_is_ended_when_the_grace_is_over() {
    let (world, dir) = (World::default(), tempfile::tempdir().unwrap());
    let host = start(&world, dir.path());
    let (deaf, listens) = (create(&host), host.create(Some(spec(&[("/id", json!("b"))]))).unwrap().spec.unwrap().uid().to_owned());
    until_state(&host, &deaf, MicroVmState::Created).await;
    until_state(&host, &listens, MicroVmState::Created).await;
    host.delete(&deaf).unwrap();
    until_gone(&host, &deaf).await;
    world.with(|outside| outside.listens = true);
    host.delete(&listens).unwrap();
    until_gone(&host, &listens).await;
    assert!(world.is_empty());
}
