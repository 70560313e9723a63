//! The host's network for microVMs: what an interface of a guest needs on the host is made, found again, listed and removed.
//!
//! [`HostNet`] is the whole. An interface is a tap on a bridge, a macvtap, or one of three that need no privileges: the VMM's own user networking,
//! passt, and a LAN that several microVMs share.
//!
//! Everything is found again by what it carries itself: a device by its alias, a process by a mark in its environment. Names follow from the
//! microVM's uid. So each call may be cut off anywhere, and the same call again, or [`HostNet::delete`], finds what there is.
//!
//! It knows nothing of VMMs: it hands out names, descriptors, sockets and ports.

pub mod agent;
pub mod check;
pub mod device;
mod host;
mod interface;
pub mod lan;
pub mod mac;
pub mod macvtap;
pub mod name;
pub mod netlink;
mod passt;
pub mod port;
pub mod process;
mod record;
pub mod slirp;
pub mod tap;
mod tun;

pub use host::Config;
pub use host::EnsureError;
pub use host::HostNet;
pub use host::OpenError;
pub use host::Owned;
pub use host::SweepError;
pub use interface::Attach;
pub use interface::Attached;
pub use interface::Interface;
pub use record::RecordError;
