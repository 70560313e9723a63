//! Why clusters of microVMs do not come up: from what is seen of the management cluster, hosts and guests to causes. All of it is pure.
//!
//! ```text
//! objects, reports of hosts, consoles, logs, insides of guests ─► Picture ─► rules ─► Diagnosis
//! ```
//!
//! A rule stands for one symptom as people meet it. It looks for the symptom's cause in the picture, and says what speaks for it and what to do.
//! Whoever takes the picture decides nothing: [`picture::to_reach`] and [`picture::pools`] say where it has to look.

mod finding;
pub mod node;
mod object;
pub mod picture;
mod redact;
mod rules;
#[cfg(test)]
mod sample;

pub use finding::Diagnosis;
pub use finding::Evidence;
pub use finding::Finding;
pub use finding::Severity;
pub use node::Node;
pub use object::Object;
pub use picture::Picture;
pub use redact::redact;
pub use rules::Rule;
pub use rules::diagnose;
pub use rules::rules;
