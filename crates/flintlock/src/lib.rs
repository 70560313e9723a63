//! The flintlock protocol: microVMs of one host, made, looked at and deleted over gRPC.
//!
//! [`api`] and [`types`] are generated from the crate's own `.proto` files, which are wire-compatible with flintlock v0.11.0:
//! messages, the server trait, and a bare client. [`Client`] is what a provider uses: deadlines, sorted errors, lean listings.

mod access;
mod address;
mod client;
mod error;
pub mod json;
mod listing;
pub mod rules;

pub use access::{Access, AccessError, Tls, check_proxy};
pub use address::{AddressError, check_address};
pub use client::{Client, Limits};
pub use error::{Call, CallError, Cause};
pub use listing::Listed;

/// Messages and service of package `microvm.services.api.v1alpha1`.
#[allow(missing_docs, missing_debug_implementations, clippy::all)]
pub mod api {
    tonic::include_proto!("microvm.services.api.v1alpha1");
}

/// Messages of package `flintlock.types`.
#[allow(missing_docs, clippy::all)]
pub mod types {
    tonic::include_proto!("flintlock.types");
}

/// The encoded `FileDescriptorSet` of both packages and what they import, for gRPC reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
