//! A Linux machine becomes a host of microVMs, and is one: what must be true of it, what is, what to do, and back.
//!
//! ```text
//! wish ─► questions ─► Machine ─► Observed ─► check::judge ─► Report
//!                                    └──────► prepare::goals ─► plan ─► steps
//! ```
//!
//! Only [`Machine`] reaches outside: this machine's shell, another's by ssh, or answers that were recorded. All decisions are pure.

pub mod check;
pub mod machine;
pub mod observe;
pub mod prepare;
pub mod wish;

pub use check::Check;
pub use check::Report;
pub use check::Status;
pub use check::judge;
pub use check::judge_from_outside;
pub use machine::Machine;
pub use machine::Shell;
pub use observe::observe;
pub use wish::Network;
pub use wish::Runtime;
pub use wish::Wish;
