//! Simulators of the machines that Capstead's providers talk to, with seeded faults.

pub mod flintlock;
mod guests;

pub use capstead_workload::fault;
pub use capstead_workload::workloads;
pub use guests::Nodes;
