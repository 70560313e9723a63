//! The real outside: images, host networks and VMMs, brought together for one microVM. It decides nothing.
//!
//! ```text
//! <state-dir>/records/<uid>.json   what is wanted
//!             vm/<uid>/            kernel, initrd, disks and seed of one microVM
//!             images/              what images were pulled, and what was made of them
//!             net/                 chosen ports and addresses
//! <run-dir>/<uid>/                 sockets and logs of its VMM
//! ```
//!
//! Kernel, initrd and the disks that overlays rest on are hard links into the store of images, so nothing that is pruned there is missed here.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use capstead_artifact::NoProgress;
use capstead_flintlock::types::MicroVmSpec;
use capstead_hostnet::Attached;
use capstead_hostnet::EnsureError;
use capstead_hostnet::HostNet;
use capstead_image::clone;
use capstead_image::guest_data;
use capstead_image::guest_data::Documents;
use capstead_image::pull;
use capstead_image::pull::PullOptions;
use capstead_image::seed;
use capstead_image::store::Image;
use capstead_image::store::Store;
use capstead_image::store::StoreError;
use capstead_image::store::Stored;
use capstead_reconcile::Outcome;
use capstead_vmm::BootWatch;
use capstead_vmm::DriverKind;
use capstead_vmm::Ended;
use capstead_vmm::ExitStatus;
use capstead_vmm::LaunchError;
use capstead_vmm::Observation;
use capstead_vmm::Runner;
use capstead_vmm::Uid;

use crate::accept::Drivers;
use crate::effects::Effects;
use crate::effects::Facts;
use crate::effects::Interface;
use crate::effects::Seen;
use crate::host::chain;
use crate::life::End;
use crate::life::Part;
use crate::record::Record;

mod plan;
mod shares;

pub use plan::HostOptions;
pub(crate) use plan::expanded;
pub(crate) use plan::parts;

/// How long an image may take to come, be unpacked and become a disk.
const IMAGE: Duration = Duration::from_secs(30 * 60);
/// How long all else may take.
const SHORT: Duration = Duration::from_secs(60);

/// Why a step failed.
struct Failure {
    cause: String,
    /// Trying again cannot help.
    hopeless: bool,
}

impl Failure {
    fn transient(error: &dyn std::error::Error) -> Self {
        Self { cause: chain(error), hopeless: false }
    }

    fn hopeless(cause: String) -> Self {
        Self { cause, hopeless: true }
    }
}

/// The outside.
#[derive(Debug)]
pub struct World {
    dir: PathBuf,
    runner: Runner,
    store: Store,
    net: HostNet,
    pull: PullOptions,
    options: HostOptions,
    default: DriverKind,
    /// What was made of interfaces, by uid and place; made again after a restart.
    attached: Mutex<HashMap<(String, usize), Attached>>,
}

impl World {
    /// `dir` is where microVMs have their files; it must be on the store's file system. `default` runs those whose spec names no driver.
    #[must_use]
    pub fn new(
        dir: PathBuf,
        runner: Runner,
        store: Store,
        net: HostNet,
        pull: PullOptions,
        options: HostOptions,
        default: DriverKind,
    ) -> Self {
        Self { dir, runner, store, net, pull, options, default, attached: Mutex::default() }
    }

    fn folder(&self, record: &Record) -> PathBuf {
        self.dir.join(&record.uid)
    }

    fn path(&self, record: &Record, part: Part) -> Option<PathBuf> {
        plan::file(part).map(|name| self.folder(record).join(name))
    }

    /// The image of this reference, pulled if it is not there.
    async fn image(&self, reference: &str) -> Result<Image, Failure> {
        let reference = plan::reference(reference, &self.options).map_err(Failure::hopeless)?;
        pull::pull(&self.store, &reference, &self.pull, &NoProgress).await.map_err(|error| Failure::transient(&error))
    }

    /// A file out of an image, under a name of the microVM's own.
    async fn file(&self, reference: &str, path: &str, target: PathBuf) -> Result<(), Failure> {
        let image = self.image(reference).await?;
        let (store, limits) = (self.store.clone(), self.pull.limits);
        // A raw file is the kernel itself.
        let path = if matches!(image.stored, Stored::File { .. }) { String::new() } else { path.to_owned() };
        blocking(move || {
            let file = store.file(&image, &path, limits).map_err(refused)?;
            link(&file, &target)
        })
        .await
    }

    /// A disk of the microVM's own, which begins as the image says.
    async fn disk(&self, reference: &str, size_mib: i32, qcow2: bool, target: PathBuf) -> Result<(), Failure> {
        let image = self.image(reference).await?;
        let (store, limits) = (self.store.clone(), self.pull.limits);
        blocking(move || {
            let size = u32::try_from(size_mib).ok().filter(|size| *size > 0);
            let disk = store.disk(&image, size, limits).map_err(refused)?;
            let base = plan::base(&target);
            link(&disk.path, &base)?;
            let bytes = size.map_or(disk.size, |size| u64::from(size) << 20);
            let cloned = clone::clone_disk(&base, &target, bytes, qcow2).map_err(|error| Failure::transient(&error))?;
            if cloned.format == clone::Format::Raw {
                // It rests on nothing.
                clone::remove(&base).map_err(|error| Failure::transient(&error))?;
            }
            Ok(())
        })
        .await
    }

    /// What the guest's cloud-init finds.
    async fn documents(&self, record: &Record) -> Result<Documents, Failure> {
        let spec = &plan::expanded(record);
        let mut chosen = BTreeMap::new();
        for n in plan::in_lan(spec, &self.options).map_err(Failure::hopeless)? {
            chosen.extend(plan::chosen(&self.attach(record, n).await?).map(|address| (n, address)));
        }
        let facts = plan::guest_facts(spec, &record.uid, &chosen);
        guest_data::compose(&plan::given(spec), &facts).map_err(|error| Failure::hopeless(error.to_string()))
    }

    async fn attach(&self, record: &Record, n: usize) -> Result<Attached, Failure> {
        let interface = plan::interface(&plan::expanded(record), &record.uid, n, &self.options).map_err(Failure::hopeless)?;
        let attached = self.net.ensure(&interface).await.map_err(|error| match error {
            EnsureError::Invalid(error) => Failure::hopeless(chain(&error)),
            error => Failure::transient(&error),
        })?;
        self.attached.lock().unwrap_or_else(PoisonError::into_inner).insert((record.uid.clone(), n), attached.clone());
        Ok(attached)
    }

    async fn try_make(&self, record: &Record, part: Part) -> Result<(), Failure> {
        let folder = self.folder(record);
        fs::create_dir_all(&folder).map_err(|error| Failure::transient(&error))?;
        let spec = &record.spec;
        let qcow2 = kind(record).is_some_and(|kind| self.runner.driver(kind).is_some_and(|driver| driver.capabilities().qcow2));
        let volume = match part {
            Part::Root => spec.root_volume.as_ref(),
            Part::Volume(n) => spec.additional_volumes.get(n),
            _ => None,
        };
        match (part, self.path(record, part)) {
            (Part::Kernel, Some(path)) => {
                let kernel = spec.kernel.clone().unwrap_or_default();
                self.file(&kernel.image, kernel.filename(), path).await
            }
            (Part::Initrd, Some(path)) => {
                let initrd = spec.initrd.clone().unwrap_or_default();
                self.file(&initrd.image, initrd.filename(), path).await
            }
            (Part::Root | Part::Volume(_), Some(path)) => {
                let volume = volume.cloned().unwrap_or_default();
                self.disk(plan::image(&volume), volume.size_in_mb(), qcow2, path).await
            }
            (Part::Seed, Some(path)) => {
                let documents = self.documents(record).await?;
                seed::write(&documents, &path).map_err(|error| Failure::transient(&error))
            }
            (Part::Interface(n), _) => self.attach(record, n).await.map(drop),
            (_, None) => Ok(()),
        }
    }

    async fn try_launch(&self, record: &Record) -> Result<(), Failure> {
        let kind = kind(record).ok_or_else(|| Failure::hopeless(format!("there is no driver {}", record.driver)))?;
        let mut nics = Vec::new();
        let spec = plan::expanded(record);
        for n in 0..spec.interfaces.len() {
            // Anew, since what it leads to may have died with whatever killed the VMM before.
            nics.push(self.attach(record, n).await?);
        }
        let folder = self.folder(record);
        let mut machine = plan::machine(&spec, &record.uid, &folder, &nics, &self.documents(record).await?).map_err(Failure::hopeless)?;
        // A folder that is missing may come back.
        machine.shares = shares::shares(&spec, &self.options).map_err(|cause| Failure { cause, hopeless: false })?;
        let launched = self.runner.launch(&machine, kind).await.map_err(|error| match error {
            LaunchError::Lacking(_) | LaunchError::Plan(_) | LaunchError::Folder(_) => Failure::hopeless(chain(&error)),
            error => Failure::transient(&error),
        })?;
        for unconfined in launched.unconfined {
            tracing::warn!(uid = record.uid, unconfined, "a VMM is not confined in every way");
        }
        Ok(())
    }

    async fn attached(&self, record: &Record, n: usize) -> Result<Attached, Failure> {
        let known = self.attached.lock().unwrap_or_else(PoisonError::into_inner).get(&(record.uid.clone(), n)).cloned();
        match known {
            Some(attached) => Ok(attached),
            None => self.attach(record, n).await,
        }
    }

    async fn facts(&self, record: &Record, running: bool) -> Facts {
        let text = |path: PathBuf| path.display().to_string();
        let folder = self.folder(record);
        let volumes = plan::volumes(&record.spec).filter_map(|(part, volume)| {
            let path = self.path(record, part).filter(|path| path.exists())?;
            Some((volume.id.clone(), text(path)))
        });
        let there = |part| self.path(record, part).filter(|path| path.exists()).map(|_| text(folder.clone()));
        let mut facts = Facts { volumes: volumes.collect(), kernel: there(Part::Kernel), initrd: there(Part::Initrd), ..Facts::default() };
        if running {
            facts.vsock = self.vsock(record);
            let folder = uid(record).and_then(|uid| self.runner.folder(&uid).ok());
            let shared = shares::volumes(&record.spec).enumerate();
            facts.volumes.extend(shared.filter_map(|(n, (_, volume))| Some((volume.id.clone(), text(folder.as_ref()?.share(n))))));
            for (n, interface) in plan::expanded(record).interfaces.iter().enumerate() {
                if let Ok(attached) = self.attached(record, n).await {
                    facts.interfaces.insert(interface.device_id.clone(), told(&attached));
                }
            }
        }
        facts
    }

    /// The socket of a guest's agent, where the driver has such a device.
    fn vsock(&self, record: &Record) -> Option<String> {
        let has = record.spec.allow_guest_agent && self.runner.driver(kind(record)?)?.capabilities().vsock;
        if !has {
            return None;
        }
        let folder = self.runner.folder(&uid(record)?).ok()?;
        Some(folder.vsock().display().to_string())
    }

    async fn try_clear(&self, record: &Record) -> Result<(), Failure> {
        let uid = uid(record).ok_or_else(|| Failure::hopeless(format!("{} is no uid", record.uid)))?;
        self.net.delete(&record.uid).await.map_err(|error| Failure::transient(&error))?;
        self.attached.lock().unwrap_or_else(PoisonError::into_inner).retain(|(uid, _), _| *uid != record.uid);
        self.runner.remove(&uid).await.map_err(|error| Failure::transient(&error))?;
        match fs::remove_dir_all(self.folder(record)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Failure::transient(&error)),
            _ => Ok(()),
        }
    }
}

impl Drivers for World {
    fn default_name(&self) -> &str {
        self.default.name()
    }

    fn find(&self, name: &str) -> Option<&str> {
        let kind: DriverKind = name.parse().ok()?;
        self.runner.driver(kind).map(|driver| driver.kind().name())
    }

    fn names(&self) -> Vec<&str> {
        self.runner.capabilities().into_iter().map(|(kind, _)| kind.name()).collect()
    }

    fn lacking(&self, name: &str, spec: &MicroVmSpec) -> Vec<String> {
        let Ok(kind) = name.parse::<DriverKind>() else { return vec![format!("there is no driver {name}")] };
        match plan::sketch(spec, &self.options) {
            Err(cause) => vec![cause],
            Ok(machine) => {
                let lacking = capstead_vmm::check(&machine, kind, &self.runner.capabilities()).err().map(|lacking| lacking.to_string());
                lacking.into_iter().chain(shares::unservable(spec, &machine.shares, &self.runner)).collect()
            }
        }
    }
}

impl Effects for World {
    async fn observe(&self, record: &Record) -> Result<Seen, String> {
        let uid = uid(record).ok_or_else(|| format!("{} is no uid", record.uid))?;
        let observed = self.runner.observe(&uid).await.map_err(|error| chain(&error))?;
        let running = matches!(observed, Observation::Running { .. });
        let mut seen = Seen { running, facts: self.facts(record, running).await, ..Seen::default() };
        for part in plan::parts(&plan::expanded(record)) {
            match self.path(record, part) {
                Some(path) => {
                    if path.exists() {
                        seen.whole.insert(part);
                    }
                    if path.exists() || plan::traces(&path).iter().any(|path| path.exists()) {
                        seen.traces.insert(part);
                    }
                }
                // To find out costs as much as to do it again.
                None => _ = seen.traces.insert(part),
            }
        }
        Ok(seen)
    }

    async fn make(&self, record: &Record, part: Part) -> Outcome {
        outcome(self.try_make(record, part).await)
    }

    async fn unmake(&self, record: &Record, part: Part) -> Outcome {
        let removed = match (part, self.path(record, part)) {
            (_, Some(path)) => {
                let mut all = plan::traces(&path).into_iter().chain([path]);
                all.try_for_each(|path| clone::remove(&path)).map_err(|error| Failure::transient(&error))
            }
            // All of them at once.
            (Part::Interface(0), None) => self.net.delete(&record.uid).await.map_err(|error| Failure::transient(&error)),
            (_, None) => Ok(()),
        };
        outcome(removed)
    }

    async fn launch(&self, record: &Record) -> Outcome {
        outcome(self.try_launch(record).await)
    }

    async fn shutdown(&self, record: &Record) -> Outcome {
        if let Some(uid) = uid(record)
            && let Err(error) = self.runner.press_power(&uid).await
        {
            // It is killed when the grace is over.
            tracing::warn!(uid = record.uid, error = chain(&error), "a guest cannot be asked to shut down");
        }
        Outcome::Done
    }

    async fn kill(&self, record: &Record) -> Outcome {
        let Some(uid) = uid(record) else { return Outcome::Done };
        outcome(self.runner.kill(&uid).await.map(drop).map_err(|error| Failure::transient(&error)))
    }

    async fn ended(&self, record: &Record) -> End {
        let Some(uid) = uid(record) else { return End::Died("it has no uid".to_owned()) };
        let process = match self.runner.find(&uid).await {
            Ok(Some(process)) => process,
            Ok(None) => return End::Died("it was gone already".to_owned()),
            Err(error) => return End::Died(chain(&error)),
        };
        let reboots = self.runner.driver(process.driver()).is_some_and(|driver| driver.capabilities().reboot);
        let ended = tokio::select! {
            ended = self.runner.ended(&process) => ended,
            loss = self.runner.lost(&process, Some(BootWatch::new(BootWatch::LIMIT))) => return End::Lost(loss.to_string()),
        };
        match ended {
            Ok(Ended { unserved: Some(why), .. }) => End::Died(why),
            Ok(Ended { status: ExitStatus::Code(0), .. }) if reboots => End::PoweredOff,
            // Such a VMM ends with its guest, which has nothing but that to start anew, be it after a panic.
            Ok(Ended { status: ExitStatus::Code(0), .. }) => {
                self.runner.panicked(&uid).map_or(End::Rebooted, |loss| End::Lost(loss.to_string()))
            }
            Ok(Ended { status, .. }) => End::Died(status.to_string()),
            Err(error) => End::Died(error.to_string()),
        }
    }

    async fn clear(&self, record: &Record) -> Outcome {
        outcome(self.try_clear(record).await)
    }

    fn patience(&self, part: Part) -> Duration {
        match part {
            Part::Kernel | Part::Initrd | Part::Root | Part::Volume(_) => IMAGE,
            Part::Seed | Part::Interface(_) => SHORT,
        }
    }
}

fn outcome(done: Result<(), Failure>) -> Outcome {
    match done {
        Ok(()) => Outcome::Done,
        Err(Failure { cause, hopeless: true }) => Outcome::terminal(cause),
        Err(Failure { cause, hopeless: false }) => Outcome::transient(cause),
    }
}

/// What trying again cannot mend, and what it may.
fn refused(error: StoreError) -> Failure {
    match error {
        StoreError::Unpack { .. } | StoreError::Find { .. } | StoreError::NoTree { .. } | StoreError::Disk { .. } => {
            Failure::hopeless(chain(&error))
        }
        error => Failure::transient(&error),
    }
}

async fn blocking(work: impl FnOnce() -> Result<(), Failure> + Send + 'static) -> Result<(), Failure> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(Failure::transient(&error)))
}

/// Another name for a file of the store's.
fn link(file: &Path, target: &Path) -> Result<(), Failure> {
    match fs::hard_link(file, target) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(Failure::transient(&error)),
        _ => Ok(()),
    }
}

fn uid(record: &Record) -> Option<Uid> {
    record.uid.parse().ok()
}

fn kind(record: &Record) -> Option<DriverKind> {
    record.driver.parse().ok()
}

/// An interface as clients are told of it.
fn told(attached: &Attached) -> Interface {
    match attached {
        Attached::Tap(link) | Attached::Macvtap(link) => Interface {
            name: link.name.clone(),
            index: i32::try_from(link.index).unwrap_or_default(),
            mac: link.mac.map(|mac| mac.to_string().to_uppercase()).unwrap_or_default(),
            address: None,
        },
        // A device in another namespace is of no use to whoever asks; the ports that lead there are.
        Attached::User { forwards } | Attached::Passt { forwards, .. } | Attached::UserLan { forwards, .. } => {
            let forwards: Vec<String> =
                forwards.iter().map(|forward| format!("127.0.0.1:{}->{}", forward.host_port, forward.guest_port)).collect();
            let address = plan::chosen(attached).map(|chosen| chosen.address);
            Interface { name: forwards.join(","), address, ..Interface::default() }
        }
    }
}

#[cfg(test)]
mod tests;
