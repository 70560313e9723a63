//! Making a machine into a host, and back.
//!
//! ```text
//! wish + observed ─► goals ─► Prepare::plan ─► steps ─► Host::apply     each change recorded before it is made
//!                 journal ─► Restore::plan ─► steps ─► Host::apply     back to what was recorded
//! ```
//!
//! A [`Key`] names one thing of the machine, a [`State`] says how it is, and both directions are one function that leads from states to states.
//!
//! A unit is stopped before what it rests on changes, and started after. So a crash leaves it stopped, which is seen, and never running with what it had read before, which is not.

mod contents;
mod converge;
mod diff;
mod goals;
mod host;
mod journal;
mod run;
mod scripts;
mod state;

use std::collections::BTreeMap;

pub use converge::Guard;
pub use converge::Prepare;
pub use converge::Restore;
pub use converge::Situation;
pub use converge::Step;
pub use diff::describe;
pub use goals::Goal;
pub use goals::Refused;
pub use goals::goals;
pub use host::Host;
pub use host::LookError;
pub use journal::Entry;
pub use journal::JOURNAL;
pub use journal::JournalError;
pub use run::Ahead;
pub use run::RunError;
pub use run::ahead;
pub use run::changes;
pub use run::run;
pub use run::words;
pub use state::Key;
pub use state::Plain;
pub use state::State;
pub use state::Uplink;

/// The alias of an interface that prepare made.
pub const ALIAS: &str = "capstead-prepare";
/// How long a change of the uplink waits for its confirmation before it is undone, in seconds.
pub const CONFIRM: u64 = 60;

/// The package manager, of those that are known.
#[must_use]
pub fn manager(programs: &BTreeMap<String, String>) -> Option<&'static str> {
    ["apt-get", "dnf", "zypper", "pacman", "apk"].into_iter().find(|name| programs.contains_key(*name))
}
