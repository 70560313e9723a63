//! The provider of microVMs on hosts that speak the flintlock protocol.
//!
//! What decides is pure: nothing in it waits, connects or reads a clock.
//!
//! - [`api`]: the kinds, in the version existing manifests use and in the one objects are stored in.
//! - [`convert`](mod@convert): between the two, without loss.
//! - [`validate`]: what a webhook refuses, and a reconcile waits for.
//! - [`machine`] and [`cluster`]: what this provider adds to Cluster API's life cycles.
//! - [`balancer`]: what load balancers are told that somebody else made.
//! - [`spec`](mod@spec): what a host is asked to make.
//! - [`crds`](mod@crds): the definitions.
//!
//! The rest reaches outside: [`runtimes`] looks at hosts, all machines of one at once, and carries out what was decided.

mod access;
pub mod api;
pub mod balancer;
mod balancers;
pub mod cluster;
pub mod convert;
pub mod crds;
mod endpoint;
mod hosts;
pub mod machine;
mod nodes;
mod placed;
mod placement;
mod runtime;
mod secrets;
pub mod spec;
pub mod template;
pub mod validate;
pub mod warnings;
mod watched;
mod webhooks;

pub use balancers::Balancers;
pub use runtime::{MicrovmClusters, MicrovmMachines, runtimes};
pub use webhooks::webhooks;

#[cfg(test)]
mod explored;
#[cfg(test)]
mod sample;
