//! Runs the life cycles of Cluster API infrastructure objects on the engine, for any provider.
//!
//! A provider brings its kinds, its decisions (`capstead_capi`'s [`MachineProvider`] and [`ClusterProvider`], pure), and the half that reaches outside
//! ([`MachineRuntime`], [`ClusterRuntime`]); [`run`] does the rest: watches, gates, ownership, deletion, status, events.
//!
//! [`MachineProvider`]: capstead_capi::machine::MachineProvider
//! [`ClusterProvider`]: capstead_capi::cluster::ClusterProvider

mod bootstrap;
mod cluster;
mod core;
mod facts;
mod keeper;
mod machine;
mod manager;
mod teller;
mod templates;

pub use bootstrap::BootstrapData;
pub use cluster::{Cluster, ClusterRuntime};
pub use facts::{ClusterFacts, MachineFacts, Reference};
pub use machine::{Machine, MachineRuntime};
pub use manager::{Clients, ManagerError, Options, Runtimes, Wake, run};
pub use teller::{Objects, Teller, Write, tell};
pub use templates::templates;
