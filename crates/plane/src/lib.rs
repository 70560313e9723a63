//! A real Cluster API management plane as plain processes: etcd, kube-apiserver, kube-controller-manager and the Cluster API managers,
//! without Docker and without root.
//!
//! ```text
//! component (data) ─► plane (identity, ports) ─► supervisor ─► one actor for each component
//!                                                               observe ─► lifecycle (pure) ─► apply
//! ```
//!
//! - [`component`] and [`builtin`]: what the components are. A further provider is one more file.
//! - [`plane`], [`layout`], [`status`]: what is kept on disk, and where.
//! - [`lifecycle`]: every decision about a component, explored over crashes in its tests.
//! - [`process`], [`ports`], [`pki`], [`kubeconfig`], [`manifest`], [`install`], [`api`]: effects, each on its own.
//! - [`deployments`]: Deployments of providers become components, while the plane runs.
//! - [`supervisor`]: wiring; [`operate`]: what commands do from outside.

mod actor;
pub mod api;
mod board;
pub mod builtin;
pub mod command;
pub mod component;
pub mod deployments;
pub mod install;
pub mod kubeconfig;
pub mod layout;
pub mod lifecycle;
pub mod manifest;
pub mod operate;
mod pidfd;
pub mod pki;
pub mod plane;
pub mod ports;
pub mod process;
pub mod status;
pub mod supervisor;

pub use component::Component;
pub use layout::Layout;
pub use plane::Choices;
pub use plane::Options;
pub use plane::Plane;
pub use plane::PlaneError;
pub use status::Status;
pub use supervisor::supervise;
