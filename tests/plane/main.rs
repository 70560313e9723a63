//! The local plane from `up` to `down --purge`, as its users meet it.

#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail the test")]

mod alone;
mod life;
mod looks;
mod provider;
#[path = "../support/mod.rs"]
mod support;
