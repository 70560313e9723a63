//! The microVM host: the flintlock protocol, served by a daemon that keeps one record and one task for each microVM.
//!
//! What is decided is pure: [`accept`] says what a spec comes to, [`table`] what a call does to the host's records, [`life`] what is done next for one microVM,
//! and [`view`] what clients are shown. [`Host`] runs the tasks; what they reach outside is behind [`effects::Effects`].

pub mod accept;
pub mod auth;
mod diagnostics;
pub mod effects;
mod gateway;
mod host;
pub mod life;
mod machine;
pub mod metrics;
pub mod record;
pub mod records;
pub mod refusal;
pub mod serve;
mod service;
pub mod table;
pub mod tls;
mod trace;
pub mod view;
mod world;

pub use host::Host;
pub use host::Settings;
pub use world::HostOptions;
pub use world::World;
