//! The small shapes of the contract: what a provider's spec and status are made of.
//!
//! Each type knows its limits, so an illegal value is an error where it is made or read, and its JSON schema carries the same limits.

mod address;
mod capacity;
mod endpoint;
mod failure_domain;
mod provider_id;

pub use address::{MachineAddress, MachineAddressType};
pub use capacity::{Architecture, Capacity, NodeInfo};
pub use endpoint::{ApiEndpoint, EndpointError};
pub use failure_domain::{FailureDomain, FailureDomains, FailureDomainsError};
pub use provider_id::{ProviderId, ProviderIdError};

#[cfg(test)]
mod tests;
