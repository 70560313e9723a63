//! Images of Kubernetes nodes and of kernels for microVMs, from a small file that says what is in them.
//!
//! ```text
//! file ──► fetch ──► plan ──► build ──► output
//! ```
//!
//! - [`mod@file`]: what is in an image and where each part comes from; files build upon one another.
//! - [`plan`]: a pure function from a file and digests of what comes from outside to steps, each known by the hash of all it depends on.
//! - [`forecast`]: what a build would do, by what is here already.
//! - [`build`]: does the steps that are not in the cache, and nothing else: as an ordinary user, without mounting.
//! - [`mod@program`]: an image of one program and its libraries, by the same means.
//! - [`output`]: a folder of the OCI layout, an archive, or a registry, and beside it what is in the image (a manifest and an SBOM).
//!
//! The same inputs give the same digest. Nothing is taken from the clock, from the machine's name or from its users. What the outside world
//! changes (a package's newest version) is an input: name it exactly to get the same again. The one exception is said at [`file::Preload`].

pub mod build;
mod builtin;
mod cache;
mod command;
mod container;
mod debian;
mod elf;
pub mod file;
pub mod forecast;
pub mod kernel;
mod layer;
mod oci;
pub mod output;
pub mod plan;
mod preload;
pub mod program;
mod root;
pub mod sbom;
mod units;

pub use builtin::{VersionError, kubernetes_versions, modules, names as builtin_files, node_variables, text as builtin_file};
pub use cache::CacheError;
pub use command::CommandError;
pub use container::ContainerError;
pub use oci::Compression;
pub use preload::PreloadError;
pub use root::RootError;
pub use units::UnitError;
