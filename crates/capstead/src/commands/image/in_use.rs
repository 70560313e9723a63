//! Which images microVMs name, by their host's records.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context;
use capstead_flintlock::types::MicroVmSpec;
use capstead_hostd::records::Records;
use capstead_image::Reference;
use capstead_image::store::InUse;

/// Who names which image.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Users(BTreeMap<String, Vec<String>>);

impl Users {
    /// By the records of the host with this state folder; one that never ran has none.
    ///
    /// A record that cannot be read keeps everything: nobody knows what its microVM uses.
    pub fn read(state: &Path) -> anyhow::Result<Self> {
        let folder = state.join("records");
        match std::fs::metadata(&folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            found => found.with_context(|| format!("cannot look at {}", folder.display()))?,
        };
        let (records, errors) = Records::open(&folder)?.all()?;
        if let Some(error) = errors.into_iter().next() {
            return Err(anyhow::Error::new(error).context("it is not known which images are in use"));
        }
        Ok(Self::of(records.iter().map(|record| &record.spec)))
    }

    fn of<'a>(specs: impl Iterator<Item = &'a MicroVmSpec>) -> Self {
        let mut users: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for spec in specs {
            let name = format!("{}/{}", spec.namespace, spec.id);
            for image in images(spec) {
                // As the store calls it.
                let Ok(reference) = image.parse::<Reference>() else { continue };
                let users = users.entry(reference.to_string()).or_default();
                if users.last() != Some(&name) {
                    users.push(name.clone());
                }
            }
        }
        Self(users)
    }

    /// The microVMs that name an image.
    pub fn of_image(&self, reference: &str) -> Vec<String> {
        self.0.get(reference).cloned().unwrap_or_default()
    }

    /// As the store asks.
    pub fn in_use(&self) -> InUse {
        InUse { references: self.0.keys().cloned().collect(), ..InUse::default() }
    }
}

/// Every image that a spec names.
fn images(spec: &MicroVmSpec) -> impl Iterator<Item = &str> {
    let kernel = spec.kernel.iter().map(|kernel| kernel.image.as_str());
    let initrd = spec.initrd.iter().map(|initrd| initrd.image.as_str());
    let volumes = spec.root_volume.iter().chain(&spec.additional_volumes);
    let disks = volumes.filter_map(|volume| volume.source.as_ref()?.container_source.as_deref());
    kernel.chain(initrd).chain(disks)
}

#[cfg(test)]
mod tests;
