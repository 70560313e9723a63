//! The seam to the outside: disks, network, processes. Whoever implements it decides nothing.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::future::Future;
use std::time::Duration;

use capstead_reconcile::Outcome;

use crate::life::End;
use crate::life::Part;
use crate::record::Record;

/// What is done outside for one microVM. Every name follows from the record, so whatever was begun before is found again.
pub trait Effects: Send + Sync + 'static {
    /// What is there of a microVM. `Err` when that cannot be told, with the reason.
    fn observe(&self, record: &Record) -> impl Future<Output = Result<Seen, String>> + Send;

    /// Makes a part with all it needs. One that is there is done.
    fn make(&self, record: &Record, part: Part) -> impl Future<Output = Outcome> + Send;

    /// Takes a part away. One that is not there is done.
    fn unmake(&self, record: &Record, part: Part) -> impl Future<Output = Outcome> + Send;

    /// Starts the VMM's process. One that runs is done.
    fn launch(&self, record: &Record) -> impl Future<Output = Outcome> + Send;

    /// Asks the guest to shut down, without waiting for it. A guest that does not listen is done.
    fn shutdown(&self, record: &Record) -> impl Future<Output = Outcome> + Send;

    /// Ends the process, and waits until it has ended. None is done.
    fn kill(&self, record: &Record) -> impl Future<Output = Outcome> + Send;

    /// Waits until the process has ended, at once if there is none, and tells how; or until its guest is lost, whose process is there to be killed.
    fn ended(&self, record: &Record) -> impl Future<Output = End> + Send;

    /// Takes away what remains once all parts are gone: the microVM's folder.
    fn clear(&self, record: &Record) -> impl Future<Output = Outcome> + Send;

    /// How long to wait for a part. A pull of a large image takes its time.
    fn patience(&self, part: Part) -> Duration;
}

/// What is there of a microVM.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Parts that are there, and whole.
    pub whole: BTreeSet<Part>,
    /// Parts of which anything is there.
    pub traces: BTreeSet<Part>,
    /// Its process runs.
    pub running: bool,
    /// What clients are told of it.
    pub facts: Facts,
}

/// Where the host keeps what a microVM has, as clients are told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The path of each volume's disk, by the volume's id.
    pub volumes: BTreeMap<String, String>,
    /// The folder with the kernel.
    pub kernel: Option<String>,
    /// The folder with the initrd.
    pub initrd: Option<String>,
    /// The host's side of each interface, by the device's id.
    pub interfaces: BTreeMap<String, Interface>,
    /// The guest agent's socket.
    pub vsock: Option<String>,
}

/// The host's side of an interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interface {
    /// Its name on the host.
    pub name: String,
    /// Its index on the host; 0 where it has none.
    pub index: i32,
    /// Its hardware address.
    pub mac: String,
    /// The guest's address, in CIDR notation, where the host chose it.
    pub address: Option<String>,
}
