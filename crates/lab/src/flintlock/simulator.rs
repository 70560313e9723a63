//! Many hosts served over gRPC.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::RwLock;
use std::time::Duration;
use std::time::SystemTime;

use capstead_flintlock::FILE_DESCRIPTOR_SET;
use capstead_flintlock::api::micro_vm_server::MicroVmServer;
use capstead_flintlock::types::MicroVm;
use capstead_flintlock::types::MicroVmSpec;
use capstead_flintlock::types::micro_vm_status::MicroVmState;
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tonic::service::Routes;
use tonic_reflection::pb::v1;
use tonic_reflection::pb::v1alpha;

use super::Call;
use super::Faults;
use super::Host;
use super::MemoryError;
use super::MicroVmView;
use super::Refusal;
use super::Reply;
use super::Settings;
use super::Turn;
use super::control;
use super::host::uid;
use super::memory::Memory;
use super::metrics::FaultLabels;
use super::metrics::Metrics;
use super::metrics::StateLabels;
use super::service::HostService;

mod connections;

/// What to simulate.
#[derive(Clone, Debug)]
pub struct Options {
    /// First addresses of hosts; each further host has the next port. With port 0 each picks a free one.
    pub listen: Vec<SocketAddr>,
    /// How many from each first address on, at least 1.
    pub hosts: usize,
    /// Listen on an address that is not loopback, although anybody who reaches it may do anything.
    pub insecure: bool,
    /// Of every host.
    pub settings: Settings,
    /// The same seed and the same calls in the same order bring the same faults.
    pub seed: u64,
    /// To begin with.
    pub faults: Faults,
    /// Who lives in the microVMs; nobody, when `None`.
    pub guests: Option<Arc<dyn Guests>>,
    /// A folder in which microVMs outlive the simulator, each host's under its number. None: they end with it.
    pub state: Option<PathBuf>,
}

/// Who lives in simulated microVMs. Told while the host is held, so it must neither wait nor ask the host anything.
pub trait Guests: fmt::Debug + Send + Sync {
    /// A microVM runs, and its guest begins with what the metadata hold.
    fn boot(&self, microvm: &MicroVm);
    /// The microVM with this uid runs no more.
    fn end(&self, uid: &str);
    /// These ran when the simulator ended, and run again; the oldest first.
    fn resume(&self, microvms: &[MicroVm]);
}

impl Default for Options {
    /// One host on a free port of 127.0.0.1, without faults.
    fn default() -> Self {
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        let (settings, faults) = (Settings::default(), Faults::default());
        Self { listen: vec![listen], hosts: 1, insecure: false, settings, seed: 0, faults, guests: None, state: None }
    }
}

/// Why a simulator, a host or its control server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// There is no authentication, so consent is needed.
    #[error("{0} is not a loopback address; there is no authentication, so everyone who reaches it may do anything")]
    NotLoopback(SocketAddr),
    /// No host, or more than there are ports.
    #[error("{hosts} hosts do not fit on ports from {first} on")]
    Hosts {
        /// How many were wanted.
        hosts: usize,
        /// The first port.
        first: u16,
    },
    /// The address is taken, or not this machine's.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// What hosts held before is not to be had.
    #[error("cannot take up what the hosts held before")]
    Memory(#[from] MemoryError),
    /// The protocol's own descriptors cannot be served.
    #[error("cannot serve gRPC reflection")]
    Reflection(#[from] tonic_reflection::server::Error),
}

/// What the hosts share.
#[derive(Debug)]
struct Shared {
    faults: RwLock<Faults>,
    metrics: Metrics,
    epoch: Duration,
    started: Instant,
}

impl Shared {
    /// Since the Unix epoch, never going back.
    fn now(&self) -> Duration {
        self.epoch + self.started.elapsed()
    }
}

/// One host that is served.
#[derive(Debug)]
pub struct SimulatedHost {
    number: usize,
    address: SocketAddr,
    shared: Arc<Shared>,
    state: Mutex<(Host, StdRng)>,
    serving: Mutex<Option<JoinHandle<()>>>,
    guests: Option<Arc<dyn Guests>>,
    memory: Option<Memory>,
    /// Something was settled, so the next thing may happen sooner.
    settled: Notify,
}

impl SimulatedHost {
    /// 1 for the first.
    #[must_use]
    pub fn number(&self) -> usize {
        self.number
    }

    /// Where it listens, also while it is down.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its microVMs as a client would be shown them now, by uid.
    #[must_use]
    pub fn microvms(&self) -> Vec<MicroVm> {
        let mut state = self.state();
        state.0.advance(self.shared.now());
        self.tell(&mut state.0);
        state.0.microvms().cloned().collect()
    }

    /// Puts a `CREATED` microVM there, as if someone else had made it.
    ///
    /// # Errors
    ///
    /// When a create of it would be refused.
    pub fn put(&self, spec: MicroVmSpec) -> Result<MicroVm, Refusal> {
        let now = self.shared.now();
        let (host, random) = &mut *self.state();
        let put = host.put(spec, now, random);
        self.tell(host);
        put
    }

    /// Takes a microVM away without a word. `false` if there is none.
    pub fn vanish(&self, uid: &str) -> bool {
        let (host, _) = &mut *self.state();
        let vanished = host.vanish(uid);
        self.tell(host);
        vanished
    }

    /// Tells the guests what became of their microVMs, and remembers it.
    fn tell(&self, host: &mut Host) {
        for turn in host.turns() {
            let remembered = match (&self.memory, &turn) {
                (Some(memory), Turn::Changed(uid)) => host.remember(uid).map_or(Ok(()), |remembered| memory.keep(uid, &remembered)),
                (Some(memory), Turn::Ended(uid)) => memory.forget(uid),
                _ => Ok(()),
            };
            if let Err(error) = remembered {
                tracing::warn!(host = self.number, %error, "cannot write down what became of a microVM");
            }
            match (&self.guests, turn) {
                (Some(guests), Turn::Booted(microvm)) => guests.boot(&microvm),
                (Some(guests), Turn::Ended(uid)) => guests.end(&uid),
                _ => (),
            }
        }
    }

    /// Lets happen what happens by itself when it is time, for guests that wait for it.
    async fn keep_time(self: Arc<Self>) {
        loop {
            let next = {
                let (host, _) = &mut *self.state();
                host.advance(self.shared.now());
                self.tell(host);
                host.next()
            };
            let settled = self.settled.notified();
            match next {
                Some(at) => drop(tokio::time::timeout(at.saturating_sub(self.shared.now()), settled).await),
                None => settled.await,
            }
        }
    }

    /// Stops listening and breaks all connections. The microVMs live on.
    pub async fn down(&self) {
        let serving = lock(&self.serving).take();
        if let Some(serving) = serving {
            serving.abort();
            // An error only tells that it was aborted.
            let _ = serving.await;
        }
    }

    /// Listens again, on the same port. Nothing happens if it does. Must be called within a Tokio runtime.
    ///
    /// # Errors
    ///
    /// When somebody else has taken the port.
    pub fn up(self: &Arc<Self>) -> Result<(), StartError> {
        let mut serving = lock(&self.serving);
        if serving.is_none() {
            let listener = listen(self.address)?;
            *serving = Some(connections::serve(listener, self.routes()?));
        }
        Ok(())
    }

    fn routes(self: &Arc<Self>) -> Result<Routes, StartError> {
        // Each of the two tells of both, as grpc-go's do.
        let reflection = || {
            let sets = [FILE_DESCRIPTOR_SET, tonic_health::pb::FILE_DESCRIPTOR_SET, v1::FILE_DESCRIPTOR_SET, v1alpha::FILE_DESCRIPTOR_SET];
            let builder = tonic_reflection::server::Builder::configure().include_reflection_service(false);
            sets.into_iter().fold(builder, tonic_reflection::server::Builder::register_encoded_file_descriptor_set)
        };
        let service = MicroVmServer::new(HostService(Arc::clone(self)));
        let (health, health_service) = tonic_health::server::health_reporter();
        let routes = Routes::new(health_service).add_service(reflection().build_v1()?).add_service(reflection().build_v1alpha()?);
        // Never waits: nobody else knows of it yet.
        tokio::spawn(async move { health.set_serving::<MicroVmServer<HostService>>().await });
        Ok(routes.add_service(service).prepare())
    }

    pub(super) fn handle(&self, call: Call, deadline: Option<Duration>) -> Reply {
        let faults = read(&self.shared.faults);
        let reply = {
            let (host, random) = &mut *self.state();
            // Within the lock, so that time never goes back for the host.
            let reply = host.handle(call, &faults, self.shared.now(), deadline, random);
            self.tell(host);
            reply
        };
        self.settled.notify_one();
        for kind in &reply.faults {
            self.shared.metrics.faults.get_or_create(&FaultLabels { kind: kind.as_str() }).inc();
        }
        reply
    }

    pub(super) fn metrics(&self) -> &Metrics {
        &self.shared.metrics
    }

    fn state(&self) -> MutexGuard<'_, (Host, StdRng)> {
        lock(&self.state)
    }
}

/// Simulated hosts, served until this is dropped.
#[derive(Debug)]
pub struct Simulator {
    world: Arc<World>,
    insecure: bool,
    /// The control server, and what keeps the hosts' time.
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

/// What the control server sees.
#[derive(Debug)]
pub(super) struct World {
    shared: Arc<Shared>,
    hosts: Vec<Arc<SimulatedHost>>,
}

impl Simulator {
    /// Starts all hosts; they listen when this returns. Must be called within a Tokio runtime.
    ///
    /// # Errors
    ///
    /// When an address is not loopback and [`Options::insecure`] is not set, or cannot be listened on.
    pub fn start(options: Options) -> Result<Self, StartError> {
        let Options { listen: firsts, hosts: count, insecure, settings, seed, faults, guests, state } = options;
        let mut addresses = Vec::new();
        for first in firsts {
            check(first, insecure)?;
            addresses.extend(from(first, count)?);
        }
        let epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let shared = Arc::new(Shared { faults: RwLock::new(faults), metrics: Metrics::new(), epoch, started: Instant::now() });
        let (mut hosts, mut listeners, mut running) = (Vec::new(), Vec::new(), Vec::new());
        for (n, asked) in addresses.into_iter().enumerate() {
            let listener = listen(asked)?;
            let address = listener.local_addr().map_err(|source| StartError::Listen { address: asked, source })?;
            let random = StdRng::seed_from_u64(seed.wrapping_add(n as u64));
            let mut host = Host::new(settings.clone());
            let memory = state.as_ref().map(|state| Memory::of(state, n + 1)).transpose()?;
            for remembered in memory.as_ref().map_or(Ok(Vec::new()), Memory::all)? {
                let microvm = &remembered.microvm;
                if control::state(microvm) == MicroVmState::Created {
                    running.push(microvm.clone());
                }
                host.restore(remembered, shared.now());
            }
            hosts.push(Arc::new(SimulatedHost {
                number: n + 1,
                address,
                shared: Arc::clone(&shared),
                state: Mutex::new((host, random)),
                memory,
                serving: Mutex::default(),
                guests: guests.clone(),
                settled: Notify::new(),
            }));
            listeners.push(listener);
        }
        if let Some(guests) = guests.as_ref().filter(|_| !running.is_empty()) {
            running.sort_by(|one, other| uid(one).cmp(uid(other)));
            guests.resume(&running);
        }
        // From here on, dropping it stops what was started.
        let simulator = Self { world: Arc::new(World { shared, hosts }), insecure, tasks: Mutex::default() };
        for (host, listener) in simulator.hosts().iter().zip(listeners) {
            *lock(&host.serving) = Some(connections::serve(listener, host.routes()?));
            if guests.is_some() {
                lock(&simulator.tasks).push(tokio::spawn(Arc::clone(host).keep_time()));
            }
        }
        Ok(simulator)
    }

    /// The hosts, in the order of their numbers.
    #[must_use]
    pub fn hosts(&self) -> &[Arc<SimulatedHost>] {
        &self.world.hosts
    }

    /// Where the hosts listen, as `HOST:PORT`.
    #[must_use]
    pub fn addresses(&self) -> Vec<String> {
        self.hosts().iter().map(|host| host.address.to_string()).collect()
    }

    /// How often each fault happens now.
    #[must_use]
    pub fn faults(&self) -> Faults {
        self.world.faults()
    }

    /// From now on these faults happen, and no others.
    pub fn set_faults(&self, faults: Faults) {
        self.world.set_faults(faults);
    }

    /// All counters, in the text form of Prometheus.
    ///
    /// # Errors
    ///
    /// Never, unless there is no memory left.
    pub fn metrics(&self) -> Result<String, std::fmt::Error> {
        self.world.metrics()
    }

    /// Serves metrics and control over HTTP, and what else the guests' control is, until the simulator is dropped. Must be called within a Tokio runtime.
    ///
    /// # Errors
    ///
    /// As [`Simulator::start`].
    pub fn serve_control(&self, address: SocketAddr, guests: axum::Router) -> Result<SocketAddr, StartError> {
        check(address, self.insecure)?;
        let listener = listen(address)?;
        let bound = listener.local_addr().map_err(|source| StartError::Listen { address, source })?;
        lock(&self.tasks).push(control::serve(listener, Arc::clone(&self.world), guests));
        Ok(bound)
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        let hosts = self.hosts().iter().filter_map(|host| lock(&host.serving).take());
        for task in hosts.chain(lock(&self.tasks).drain(..)) {
            task.abort();
        }
    }
}

impl World {
    pub(super) fn faults(&self) -> Faults {
        read(&self.shared.faults)
    }

    pub(super) fn set_faults(&self, faults: Faults) {
        *self.shared.faults.write().unwrap_or_else(PoisonError::into_inner) = faults;
    }

    pub(super) fn host(&self, number: usize) -> Option<&Arc<SimulatedHost>> {
        self.hosts.get(number.checked_sub(1)?)
    }

    pub(super) fn vanish(&self, uid: &str) -> bool {
        self.hosts.iter().any(|host| host.vanish(uid))
    }

    pub(super) fn views(&self) -> Vec<MicroVmView> {
        let of = |host: &Arc<SimulatedHost>| {
            host.microvms().into_iter().map(|microvm| MicroVmView::new(host.number, microvm)).collect::<Vec<_>>()
        };
        self.hosts.iter().flat_map(of).collect()
    }

    pub(super) fn metrics(&self) -> Result<String, std::fmt::Error> {
        let gauges = &self.shared.metrics.microvms;
        for host in &self.hosts {
            let microvms = host.microvms();
            for state in control::STATES {
                let count = microvms.iter().filter(|microvm| control::state(microvm) == state).count();
                let labels = StateLabels { host: host.number as u64, state: state.as_str_name() };
                gauges.get_or_create(&labels).set(i64::try_from(count).unwrap_or(i64::MAX));
            }
        }
        self.shared.metrics.text()
    }
}

/// The addresses of `count` hosts from the first on.
fn from(first: SocketAddr, count: usize) -> Result<Vec<SocketAddr>, StartError> {
    let too_many = || StartError::Hosts { hosts: count, first: first.port() };
    let last = u16::try_from(count).ok().and_then(|count| count.checked_sub(1)).ok_or_else(too_many)?;
    if first.port() == 0 {
        return Ok(vec![first; count]);
    }
    let end = first.port().checked_add(last).ok_or_else(too_many)?;
    Ok((first.port()..=end).map(|port| SocketAddr::new(first.ip(), port)).collect())
}

fn check(address: SocketAddr, insecure: bool) -> Result<(), StartError> {
    if insecure || address.ip().is_loopback() { Ok(()) } else { Err(StartError::NotLoopback(address)) }
}

fn listen(address: SocketAddr) -> Result<tokio::net::TcpListener, StartError> {
    let listen = || {
        // It sets SO_REUSEADDR, so that a host can come back at once.
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        tokio::net::TcpListener::from_std(listener)
    };
    listen().map_err(|source| StartError::Listen { address, source })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn read(faults: &RwLock<Faults>) -> Faults {
    faults.read().unwrap_or_else(PoisonError::into_inner).clone()
}
