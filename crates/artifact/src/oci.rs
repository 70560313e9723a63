//! OCI registries and images: connect, read the manifest for a platform, pull blobs that are what they claim to be, look into layers, push.
//!
//! ```no_run
//! # async fn example() -> Result<(), capstead_artifact::oci::OciError> {
//! use capstead_artifact::{Platform, oci::{Mirrors, Registry}};
//!
//! let registry = Registry::connect("registry.k8s.io/etcd:3.6.14-0", &Mirrors::default()).await?;
//! let image = registry.image(&Platform::host()).await?;
//! for layer in &image.manifest.layers {
//!     let mut bytes = Vec::new();
//!     registry.blob(layer, &mut bytes, |_| {}).await?;
//! }
//! # Ok(())
//! # }
//! ```

mod credentials;
pub mod layers;
mod mirrors;
mod push;
mod registry;

pub use mirrors::{Mirrors, ParseMirrorsError};
pub use oci_client::manifest::{OciDescriptor, OciImageManifest};
pub use registry::{Image, OciError, Registry};
