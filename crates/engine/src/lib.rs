//! The Kubernetes runtime for any reconciler: watches, queue, patches, events, webhooks, leases, metrics. It knows no kind by name.
//!
//! ```text
//! watches ─► store ─► queue ─► controller: observe ─► plan ─► apply ─► status ─► events, metrics
//! ```
//!
//! - [`watch::keep`] holds a [`Store`] as the API server has it, and tells who asked of each change.
//! - [`Queue`] hands out names when they are due, none twice at once; [`controller::run`] works on it.
//! - [`Object`] writes, each time under a precondition on uid and resourceVersion; status goes by server-side apply.
//! - [`Events`] and [`metrics`] tell people and machines what happened.

pub mod certificates;
pub mod client;
pub mod controller;
mod event;
pub mod leader;
pub mod metrics;
mod name;
mod object;
mod queue;
pub mod serve;
pub mod storage;
mod store;
mod violation;
pub mod watch;
pub mod webhook;

use std::error::Error;

pub use controller::{Controller, Passed};
pub use event::{Events, News};
pub use name::Name;
pub use object::{Kind, Object, outcome};
pub use queue::Queue;
pub use store::Store;
pub use violation::Violation;

/// An error with its sources, each text once.
#[must_use]
pub fn error_chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        let said = source.to_string();
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        next = source.source();
    }
    text
}
