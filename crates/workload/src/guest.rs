//! What a machine makes of its bootstrap data: what cloud-init or Ignition would do on a real node, and then kubeadm.
//!
//! ```text
//! user data ─► cloud-config │ Ignition ─► System: files, hostname, scripts ─► script ─► kubeadm ─► Boot
//! ```
//!
//! Nothing here does I/O or reads a clock. What a real node refuses is refused, with what, where and the rule; what a real node shrugs off is a
//! warning. A shell is not simulated: of the scripts only what decides about the node is understood (see [`script`]).
//!
//! A further bootstrap provider is a further arm where [`script`] tells what runs: it gets the same [`System`], and makes the same [`Boot`].

use std::collections::BTreeMap;

use semver::Version;
use serde_json::Map;
use serde_json::Value;

pub mod cloud_config;
pub mod discovery;
mod document;
pub mod ignition;
mod jinja;
pub mod kubeadm;
mod pem;
pub mod script;
mod system;
pub mod user_data;

#[cfg(test)]
pub(crate) mod tests;

pub use kubeadm::Boot;
pub use system::File;
pub use system::Secret;
pub use system::System;

/// What a machine has when it boots.
#[derive(Clone, Copy, Debug)]
pub struct Machine<'a> {
    /// The bootstrap data, as it is: plain, gzip'ed or multipart.
    pub user_data: &'a [u8],
    /// What the maker of the machine adds to the user data (cloud-init only). May be empty; the user data wins.
    pub vendor_data: &'a [u8],
    /// What the datasource tells of the machine: `ds.meta_data` of cloud-init's templates.
    pub meta_data: &'a Map<String, Value>,
    /// What `envsubst` in a script sees (on Flatcar: what the metadata agent found).
    pub environment: &'a BTreeMap<String, String>,
    /// The version of the kubeadm and kubelet in the image. Unknown: whatever fits the bootstrap data.
    pub kubernetes: Option<&'a Version>,
}

/// Why a machine never becomes a node.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    /// It is not what cloud-init or Ignition reads.
    #[error("the user data cannot be read")]
    UserData(#[from] user_data::UserDataError),
    /// cloud-init gives up.
    #[error("cloud-init fails")]
    CloudConfig(#[from] cloud_config::CloudConfigError),
    /// Ignition gives up.
    #[error("Ignition fails")]
    Ignition(#[from] ignition::IgnitionError),
    /// The scripts never come to kubeadm.
    #[error("the machine does not run kubeadm")]
    Script(#[from] script::ScriptError),
    /// kubeadm gives up.
    #[error("kubeadm fails")]
    Kubeadm(#[from] Box<kubeadm::KubeadmError>),
}

/// Boots a machine as far as it gets by itself. Whether a cluster lets it join is [`discovery::check`]'s to say.
///
/// # Errors
///
/// Whatever keeps a real machine from running kubeadm, or kubeadm from getting as far as the network.
pub fn boot(machine: &Machine<'_>) -> Result<Boot, BootError> {
    let mut system = match user_data::read(machine.user_data)? {
        user_data::Format::CloudInit(parts) => {
            let vendor = if machine.vendor_data.is_empty() { Vec::new() } else { user_data::cloud_init(machine.vendor_data)? };
            cloud_config::provision(&parts, &vendor, machine.meta_data)?
        }
        user_data::Format::Ignition(config) => ignition::provision(&config, machine.meta_data)?,
    };
    let invocation = script::run(&mut system, machine.environment)?;
    Ok(kubeadm::run(&invocation, system, machine.kubernetes).map_err(Box::new)?)
}

/// A version as Kubernetes writes it, with or without the `v`.
#[must_use]
pub fn version(text: &str) -> Option<Version> {
    Version::parse(text.trim().trim_start_matches('v')).ok()
}
