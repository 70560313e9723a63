//! Cluster API's contract as pure types and data.
//!
//! Everything here is a value or a function of values: no I/O, no clock. The crate reads and writes what contract `v1beta2` (core v1.11 and
//! later) says about clusters, machines and the infrastructure kinds a provider brings, and it holds the contract's rules themselves:
//!
//! - [`views`]: core's own kinds, with the fields a provider reads typed and all other fields kept.
//! - [`condition`]: metav1 conditions: setting without flapping, stable order, summary, tolerant reading.
//! - [`types`]: the small shapes of the contract: provider ids, endpoints, failure domains, addresses, capacity.
//! - [`meta`]: well-known labels, annotations and names, and the questions asked of them.
//! - [`provider`]: typed access to a provider's own kinds, and the status fields to compose them from.
//! - [`machine`] and [`cluster`]: the pure life cycles of InfraMachine and InfraCluster, around the provider's own plan.
//! - [`lifecycle`]: what both share, and what a provider answers to them.
//! - [`ownership`]: the token by which an object owns what is outside, and when a look at the outside may be acted on.
//! - [`crd`]: a CustomResourceDefinition from a Rust type.
//! - [`rules`]: the contract as data, to judge any provider's CRDs and objects.
//! - [`plural`]: the plural rule by which core finds a provider's CRD.

pub mod cluster;
pub mod condition;
pub mod contract;
pub mod crd;
pub mod lifecycle;
pub mod machine;
pub mod meta;
pub mod ownership;
pub mod plural;
pub mod provider;
pub mod rules;
pub mod types;
pub mod views;

pub use contract::Contract;

#[cfg(test)]
mod sample;
