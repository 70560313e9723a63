//! The crate as its callers use it: real Go builds, a real registry on loopback, several processes on one cache.

#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail the test")]

mod faults;
mod go;
mod oci;
mod path;
mod registry;
mod support;
