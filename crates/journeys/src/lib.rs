//! Journeys that span several parts: a cluster of microVMs comes up, is used, and goes again. All of it is pure.
//!
//! ```text
//! plane, hosts, workload cluster ─► Seen ─► Stage::next ─► a step, what is missing, or the next stage
//! ```
//!
//! A [`Stage`] is level-triggered: what it does next follows from what is seen alone, so whoever drives it may look, fail and look again as it likes.
//! [`place`] puts hosts into a cluster's objects, [`upgrade`] makes what raises its version, and [`log`] tells how it went.

pub mod config;
pub mod log;
pub mod look;
pub mod patience;
pub mod place;
pub mod stage;
pub mod tree;
pub mod upgrade;
pub mod version;

pub use config::Config;
pub use look::Look;
pub use stage::Stage;
