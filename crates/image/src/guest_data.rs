//! The documents that cloud-init reads in a guest, composed as flintlock composes them. Pure.
//!
//! Where upstream's users suffered it is done better: what is not understood in a given vendor-data is kept, a guest has an instance id and host
//! name under the names that cloud-init itself reads, and whoever knows how the VMM orders its disks names the devices to mount.

use std::collections::BTreeMap;

use thiserror::Error;
use yaml_serde::{Mapping, Value};

mod network;
#[cfg(test)]
mod tests;

pub use network::{Interface, StaticAddress, network_config};

/// The largest document that is read and changed, in bytes. What is only passed on is bounded by [`crate::seed::LARGEST`].
const LARGEST_READ: usize = 1 << 20;
/// The most brackets open at once: no more are read anyway, but it takes minutes to find that out, as all of them are looked at again for every word.
const DEEPEST: usize = 128;
const CLOUD_CONFIG: &str = "#cloud-config";
const JINJA: &str = "## template: jinja";

/// What a guest is told besides what its owner gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The microVM's own id, for cloud-init to tell a new machine by.
    pub uid: String,
    /// Volumes that have a mount point.
    pub mounts: Vec<Mount>,
    /// The interfaces to configure; `None` leaves the network to the guest.
    pub interfaces: Option<Vec<Interface>>,
}

/// A volume to mount in the guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// The device's name in the guest, such as `vdc`.
    pub device: String,
    /// The folder.
    pub point: String,
}

/// What cloud-init finds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Documents {
    /// About the machine (YAML).
    pub meta_data: String,
    /// What its owner wants, as given.
    pub user_data: Vec<u8>,
    /// What its host wants.
    pub vendor_data: Vec<u8>,
    /// Its network (cloud-init's version 2); `None` leaves that to the guest.
    pub network_config: Option<String>,
}

/// Why documents cannot be composed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum GuestDataError {
    /// Too large to be read.
    #[error("metadata `{key}` has {size} bytes: at most {LARGEST_READ} are supported")]
    TooLarge {
        /// Which.
        key: &'static str,
        /// Its size.
        size: usize,
    },
    /// Not what it should be.
    #[error("metadata `{key}` is not a YAML mapping ({reason})")]
    NotAMapping {
        /// Which.
        key: &'static str,
        /// Why.
        reason: String,
    },
    /// Mounts cannot be added to a script.
    #[error("volumes with a mount point need vendor-data to be cloud-config, or absent: it begins with `{begins}`")]
    NotCloudConfig {
        /// Its first line, shortened.
        begins: String,
    },
    /// A list of mounts that is no list.
    #[error("`mounts` in vendor-data is not a list")]
    Mounts,
    /// An address that is none.
    #[error("interface {interface}: `{address}` is not {expected}")]
    Address {
        /// The interface's name.
        interface: String,
        /// The address.
        address: String,
        /// What it should be.
        expected: &'static str,
    },
    /// Two interfaces of one name.
    #[error("two interfaces are called {interface}")]
    Duplicate {
        /// The name.
        interface: String,
    },
}

impl Documents {
    /// The files of a NoCloud disk.
    #[must_use]
    pub fn files(&self) -> Vec<(&'static str, &[u8])> {
        let mut files = vec![("meta-data", self.meta_data.as_bytes()), ("user-data", &self.user_data)];
        if !self.vendor_data.is_empty() {
            files.push(("vendor-data", &self.vendor_data));
        }
        files.extend(self.network_config.as_ref().map(|text| ("network-config", text.as_bytes())));
        files
    }
}

/// Composes a guest's documents from what its owner gave, by flintlock's keys (`meta-data`, `user-data`, `vendor-data`, `network-config`),
/// already decoded. A network configuration that was given is taken as it is.
///
/// # Errors
/// When what was given and must be added to cannot be read, or an address is none.
pub fn compose(given: &BTreeMap<String, Vec<u8>>, facts: &Facts) -> Result<Documents, GuestDataError> {
    let document = |key: &str| given.get(key).map(Vec::as_slice).unwrap_or_default();
    let network_config = match (given.get("network-config"), &facts.interfaces) {
        (Some(text), _) => Some(String::from_utf8_lossy(text).into_owned()),
        (None, Some(interfaces)) => Some(network_config(interfaces)?),
        (None, None) => None,
    };
    Ok(Documents {
        meta_data: meta_data(document("meta-data"), &facts.uid)?,
        user_data: document("user-data").to_vec(),
        vendor_data: vendor_data(document("vendor-data"), &facts.mounts)?,
        network_config,
    })
}

/// Adds what is missing: an instance id, and under the names cloud-init reads what upstream's clients write with underscores.
fn meta_data(given: &[u8], uid: &str) -> Result<String, GuestDataError> {
    let mut data = mapping("meta-data", given)?;
    let id = data.get("instance_id").or_else(|| data.get("instance-id")).cloned().unwrap_or_else(|| uid.into());
    let mut missing = vec![("instance_id", id.clone()), ("instance-id", id)];
    missing.extend(data.get("local_hostname").cloned().map(|name| ("local-hostname", name)));
    for (key, value) in missing {
        if !data.contains_key(key) {
            data.insert(key.into(), value);
        }
    }
    Ok(print(&data))
}

/// Adds mounts to what is there. Without mounts it is passed on as it is.
fn vendor_data(given: &[u8], mounts: &[Mount]) -> Result<Vec<u8>, GuestDataError> {
    if mounts.is_empty() {
        return Ok(given.to_vec());
    }
    let text = String::from_utf8_lossy(given);
    let mut lines = text.lines().map(str::trim_end).skip_while(|line| line.is_empty());
    let first = lines.next();
    let header = match (first, lines.next()) {
        // As upstream has it, so that mounts may be templates, too.
        (None, _) => format!("{JINJA}\n{CLOUD_CONFIG}\n"),
        (Some(JINJA), Some(CLOUD_CONFIG)) => format!("{JINJA}\n{CLOUD_CONFIG}\n"),
        (Some(CLOUD_CONFIG), _) => format!("{CLOUD_CONFIG}\n"),
        (Some(other), _) => return Err(GuestDataError::NotCloudConfig { begins: other.chars().take(80).collect() }),
    };
    let mut data = mapping("vendor-data", given)?;
    let list = data.entry("mounts".into()).or_insert_with(|| Value::Sequence(Vec::new()));
    let Value::Sequence(list) = list else { return Err(GuestDataError::Mounts) };
    list.extend(mounts.iter().map(|mount| Value::Sequence(vec![mount.device.as_str().into(), mount.point.as_str().into()])));
    if !data.contains_key("mount_default_fields") {
        // The form of a line in fstab. A guest starts without a disk that is not there.
        let fields = ["None", "None", "auto", "defaults,nofail", "0", "2"];
        let fields = fields.iter().map(|field| if *field == "None" { Value::Null } else { (*field).into() });
        data.insert("mount_default_fields".into(), Value::Sequence(fields.collect()));
    }
    Ok((header + &print(&data)).into_bytes())
}

fn mapping(key: &'static str, given: &[u8]) -> Result<Mapping, GuestDataError> {
    if given.len() > LARGEST_READ {
        return Err(GuestDataError::TooLarge { key, size: given.len() });
    }
    if depth(given) > DEEPEST {
        return Err(GuestDataError::NotAMapping { key, reason: format!("it is more than {DEEPEST} brackets deep") });
    }
    match yaml_serde::from_slice(given) {
        Ok(Value::Mapping(mapping)) => Ok(mapping),
        Ok(Value::Null) => Ok(Mapping::new()),
        Ok(_) => Err(GuestDataError::NotAMapping { key, reason: "it is something else".to_owned() }),
        Err(error) => Err(GuestDataError::NotAMapping { key, reason: error.to_string() }),
    }
}

/// How many brackets are open at once at most. Those within texts count, too: more than allowed has nobody.
fn depth(text: &[u8]) -> usize {
    let (mut open, mut most) = (0_usize, 0);
    for byte in text {
        match byte {
            b'[' | b'{' => open += 1,
            b']' | b'}' => open = open.saturating_sub(1),
            _ => {}
        }
        most = most.max(open);
    }
    most
}

fn print(data: &Mapping) -> String {
    // Whatever was read from YAML can be written as YAML.
    yaml_serde::to_string(data).unwrap_or_default()
}
