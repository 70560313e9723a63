//! The commands with which people work on a host: `capstead vm` against simulated and real ones, `capstead image` on a store and a real registry.

#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail the test")]

#[path = "../support/collector.rs"]
mod collector;
mod here;
mod images;
mod lab;
#[path = "../../crates/image/tests/support/layout.rs"]
mod layout;
mod microvms;
mod real;
#[allow(dead_code, reason = "the library's tests use all of it")]
#[path = "../../crates/artifact/tests/fetch/registry.rs"]
mod registry;
#[allow(unused_imports, reason = "these tests need no plane")]
#[path = "../support/mod.rs"]
mod support;
