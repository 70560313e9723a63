//! OCI images to disks and files for microVMs: without root, without mounting, without containerd.

pub mod clone;
mod digest;
pub mod ext4;
pub mod guest_data;
mod limits;
pub mod part;
pub mod pull;
pub mod push;
pub mod reference;
pub mod seed;
pub mod store;
#[cfg(test)]
mod testing;
pub mod tree;
pub mod unpack;

pub use digest::{Digest, ParseDigestError};
pub use limits::Limits;
pub use reference::Reference;
