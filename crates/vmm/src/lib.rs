//! VMM drivers behind one trait: QEMU, Firecracker and Cloud Hypervisor.
//!
//! A [`Machine`] says what is wanted, [`Capabilities`] what a driver can do, and [`check`] whether they fit. A [`Driver`] turns a machine into a
//! [`LaunchPlan`] by a pure function, and talks to the VMM's control socket. Everything else is the same for all of them and is the [`Runner`]'s:
//!
//! - VMM processes outlive the daemon. Each carries a [`Mark`] in its environment and holds a lock file as its standard input; a process is found by
//!   its record or by its mark, and held by a pidfd.
//! - [`Runner::launch`], [`Runner::observe`], [`Runner::shutdown`], [`Runner::remove`] are idempotent and meant for a planner that observes first.
//! - [`Runner::lost`] tells a guest that hung in early boot or panicked while its VMM lives on.
//! - A folder of the host that a machine shares is served by a [`Virtiofsd`] of its own, which lives as long as its VMM, and neither longer than the other.
//! - [`Runner::list`] tells everything that exists, for a sweep that compares it with what should be.
//!
//! [`probe()`] finds out whether a driver works by running a guest of a few instructions. This crate knows nothing of gRPC, images or host networks.
//!
//! Firecracker and Cloud Hypervisor are tested against fakes that check every argument, file and call against the VMMs' published schemas; QEMU is
//! tested for real.

mod boot;
mod capability;
mod cloudhypervisor;
mod confine;
mod driver;
mod files;
mod firecracker;
mod folder;
pub mod guest;
mod http;
mod logs;
mod machine;
mod probe;
mod process;
mod qemu;
mod runner;
mod spawn;
mod stop;
mod sys;
#[cfg(test)]
mod testing;
mod user;
mod virtiofsd;
mod watch;

pub use boot::{Boot, BootWatch, Loss, Sample};
pub use capability::{Capabilities, Lacking, Need, check, needs};
pub use cloudhypervisor::CloudHypervisor;
pub use confine::Confinement;
pub use driver::{Accel, ControlError, Driver, DriverKind, DriverKindError, GuestEvent, GuestState, LaunchPlan, PlanError};
pub use firecracker::Firecracker;
pub use folder::{FolderError, RunFolder};
pub use logs::{tail, trim};
pub use machine::{
    CommandLine, CommandLineError, Disk, DiskFormat, DiskRole, Forward, HostNic, Mac, Machine, Nic, Protocol, Share, Uid, UidError,
};
pub use probe::{KVM_DEADLINE, Probe, ProbeError, TCG_DEADLINE, best, probe, probe_as, probe_within};
pub use process::{ExitStatus, Found, Mark, Process};
pub use qemu::{Qemu, Qmp, tsc_khz};
pub use runner::{Ended, FindError, LaunchError, Launched, Observation, RemoveError, RootError, Runner, ShareError};
pub use stop::{Means, StopError, Stopped};
pub use user::{User, UserError};
pub use virtiofsd::{NoVirtiofsd, Unservable, Virtiofsd};
