//! A simulator of flintlock hosts: the gRPC service of flintlock v0.11.0, without any microVM behind it.
//!
//! [`Host`] is the state machine of one host, synchronous and pure: it is given each call with the time and the randomness.
//! [`Simulator`] serves many of them on loopback, each with gRPC reflection and health, and can be told at run time to inject faults.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use capstead_lab::flintlock::{FaultKind, Faults, Options, Simulator};
//!
//! let simulator = Simulator::start(Options { hosts: 2, ..Options::default() })?;
//! let client = capstead_flintlock::Client::new(&simulator.hosts()[0].address().to_string(), Default::default())?;
//! simulator.set_faults(Faults::default().with(FaultKind::Unavailable, 1.0)?);
//! assert!(client.get("01HAAAAAAAAAAAAAAAAAAAAAAA").await.is_err());
//! # Ok(()) }
//! ```

mod control;
mod documents;
mod fault;
mod host;
mod memory;
mod metrics;
mod service;
mod simulator;
mod spec;

pub use control::MicroVmView;
pub(crate) use documents::decoded;
pub use fault::{Fault, FaultError, FaultKind, Faults, rate};
pub use host::{Answer, Call, Host, Refusal, Remembered, Reply, Settings, Turn};
pub use memory::MemoryError;
pub use simulator::{Guests, Options, SimulatedHost, Simulator, StartError};
pub use spec::Provider;
