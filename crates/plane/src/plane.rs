//! What a plane is: identity, options, components and ports, kept in `plane.json`.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use capstead_artifact::FetchOptions;
use capstead_artifact::Source;
use capstead_artifact::oci::ParseMirrorsError;
use serde::Deserialize;
use serde::Serialize;

use crate::builtin;
use crate::builtin::BuiltinError;
use crate::component::Component;
use crate::component::ComponentError;
use crate::deployments;
use crate::layout::Layout;
use crate::layout::LayoutError;
use crate::layout::failed;
use crate::layout::private_dir;
use crate::layout::write_private;
use crate::ports;
use crate::ports::NoFreePort;
use crate::ports::Ports;
use crate::ports::Want;

/// The format of `plane.json`.
const FORMAT: u32 = 1;

/// What a user can choose.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Options {
    /// Cluster API version or series; the newest built in if not given.
    #[serde(default)]
    pub capi_version: Option<String>,
    /// Trade durability for speed: etcd does not wait for the disk.
    #[serde(default)]
    pub ephemeral: bool,
    /// Where binaries come from.
    #[serde(default)]
    pub source: Source,
    /// A folder of binaries, looked at first.
    #[serde(default)]
    pub bin_dir: Option<PathBuf>,
    /// Registries asked through another address, as `registry.k8s.io=http://127.0.0.1:5000`, separated by commas.
    #[serde(default)]
    pub registry_mirrors: String,
    /// Components to leave out.
    #[serde(default)]
    pub without: Vec<String>,
    /// Capstead's own providers, by name.
    #[serde(default)]
    pub providers: Vec<String>,
    /// Files of further components.
    #[serde(default)]
    pub components: Vec<PathBuf>,
    /// Run Deployments of known providers as processes.
    #[serde(default)]
    pub deployments: bool,
}

/// A plane.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Plane {
    format: u32,
    /// Identity: stored before anything starts, and carried by every process.
    pub id: String,
    /// Name.
    pub name: String,
    /// What was chosen.
    pub options: Options,
    /// Its components, in order of need.
    pub components: Vec<Component>,
    /// Those of its components that run for Deployments.
    #[serde(default)]
    pub deployed: BTreeSet<String>,
    /// Ports by component and name.
    pub ports: BTreeMap<String, Ports>,
}

/// A plane cannot be made or read.
#[derive(Debug, thiserror::Error)]
pub enum PlaneError {
    /// Nothing is there.
    #[error("there is no plane named {0:?}; `capstead ls` lists those there are, `capstead up --name {0}` makes one")]
    NotFound(String),
    /// Its file is damaged.
    #[error("{path} is damaged; take the plane down with `capstead down --purge`, which loses its objects, or restore the file")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
    /// It was written by another release.
    #[error("{path} has format {format}, this release of capstead knows format {FORMAT}")]
    Format {
        /// The file.
        path: PathBuf,
        /// Its format.
        format: u32,
    },
    /// A component's name stands twice.
    #[error("two components are named {0:?}")]
    Twice(String),
    /// A component needs one that is not there.
    #[error("{component} needs {needs}, which is not part of the plane; leave out both (--without {component}), or neither")]
    Needs {
        /// The component.
        component: String,
        /// What it needs.
        needs: String,
    },
    /// Something to leave out that is not there.
    #[error("--without {name}: there is no such component; there are {}", known.join(", "))]
    NoSuchComponent {
        /// What was asked for.
        name: String,
        /// What there is.
        known: Vec<String>,
    },
    /// Components need one another in a circle.
    #[error("{} need one another in a circle", .0.join(", "))]
    Circle(Vec<String>),
    /// The mirrors are not in their form.
    #[error("--registry-mirror")]
    Mirrors(#[from] ParseMirrorsError),
    /// The built-in set has no such version.
    #[error(transparent)]
    Builtin(#[from] BuiltinError),
    /// A component's file is wrong.
    #[error(transparent)]
    Component(#[from] ComponentError),
    /// A file cannot be read or written.
    #[error(transparent)]
    Files(#[from] LayoutError),
    /// No port is free.
    #[error(transparent)]
    Ports(#[from] NoFreePort),
}

/// What a user asks for this time. What is not said stays as the plane has it.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs)]
pub struct Choices {
    pub capi_version: Option<String>,
    pub ephemeral: Option<bool>,
    pub source: Option<Source>,
    pub bin_dir: Option<PathBuf>,
    pub registry_mirrors: Option<String>,
    pub without: Option<Vec<String>>,
    pub providers: Option<Vec<String>>,
    pub components: Option<Vec<PathBuf>>,
    pub deployments: Option<bool>,
}

impl Choices {
    /// These choices over what a plane has.
    #[must_use]
    pub fn over(self, kept: Options) -> Options {
        Options {
            capi_version: self.capi_version.or(kept.capi_version),
            ephemeral: self.ephemeral.unwrap_or(kept.ephemeral),
            source: self.source.unwrap_or(kept.source),
            bin_dir: self.bin_dir.or(kept.bin_dir),
            registry_mirrors: self.registry_mirrors.unwrap_or(kept.registry_mirrors),
            without: self.without.unwrap_or(kept.without),
            providers: self.providers.unwrap_or(kept.providers),
            components: self.components.unwrap_or(kept.components),
            deployments: self.deployments.unwrap_or(kept.deployments),
        }
    }
}

impl Options {
    /// How binaries are fetched.
    ///
    /// # Errors
    /// The mirrors are not in their form.
    pub fn fetch(&self) -> Result<FetchOptions, PlaneError> {
        Ok(FetchOptions {
            source: self.source,
            bin_dir: self.bin_dir.clone(),
            modules: builtin::modules().into(),
            mirrors: self.registry_mirrors.parse()?,
            ..FetchOptions::default()
        })
    }

    /// The components that are asked for, each after those it needs.
    ///
    /// # Errors
    /// The options do not fit together, or a component's file cannot be used.
    pub fn components(&self) -> Result<Vec<Component>, PlaneError> {
        let mut all = builtin::components(self.capi_version.as_deref())?;
        for name in &self.providers {
            all.push(builtin::provider(name)?);
        }
        for path in &self.components {
            all.push(Component::load(path)?);
        }
        for name in &self.without {
            if !all.iter().any(|component| component.name == *name) {
                let known = all.into_iter().map(|component| component.name).collect();
                return Err(PlaneError::NoSuchComponent { name: name.clone(), known });
            }
        }
        all.retain(|component| !self.without.contains(&component.name));
        // Kinds are components' objects, and this is the component that nothing else waits for.
        if let Some(first) = all.iter_mut().find(|component| self.deployments && component.name == deployments::FIRST) {
            first.objects = Some(builtin::CERTIFICATES.into());
        }
        let mut names = BTreeSet::new();
        if let Some(twice) = all.iter().find(|component| !names.insert(component.name.clone())) {
            return Err(PlaneError::Twice(twice.name.clone()));
        }
        for component in &all {
            if let Some(needs) = component.needs().find(|name| !names.contains(*name)) {
                return Err(PlaneError::Needs { component: component.name.clone(), needs: needs.to_owned() });
            }
        }
        in_order(all)
    }
}

impl Plane {
    /// Reads a plane.
    ///
    /// # Errors
    /// There is none, or its file is damaged.
    pub fn load(layout: &Layout) -> Result<Self, PlaneError> {
        let path = layout.plane_file();
        let text = match fs::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(PlaneError::NotFound(layout.name().into())),
            text => text.map_err(failed("read", &path))?,
        };
        let damaged = |source| PlaneError::Damaged { path: path.clone(), source };
        // The format first: the rest may have another shape.
        let value: serde_json::Value = serde_json::from_slice(&text).map_err(damaged)?;
        match value["format"].as_u64() {
            Some(format) if format != u64::from(FORMAT) => {
                Err(PlaneError::Format { path, format: u32::try_from(format).unwrap_or(u32::MAX) })
            }
            _ => serde_json::from_value(value).map_err(damaged),
        }
    }

    /// Makes a plane, or brings one that is down up to date with `options`: identity stays, and ports where they are still free. Stores it.
    ///
    /// # Errors
    /// The options do not fit together, no port is free, or the file cannot be written.
    pub fn make(layout: &Layout, options: Options) -> Result<Self, PlaneError> {
        let before = match Self::load(layout) {
            Ok(plane) => Some(plane),
            Err(PlaneError::NotFound(_)) => None,
            Err(error) => return Err(error),
        };
        let mut components = options.components()?;
        let named = |name: &String| components.iter().any(|component| component.name == *name);
        let kept = before.iter().filter(|_| options.deployments).flat_map(|plane| plane.deployed());
        let kept: Vec<Component> = kept.filter(|component| !named(&component.name)).cloned().collect();
        let deployed = kept.iter().map(|component| component.name.clone()).collect();
        components.extend(kept);
        let ports = assign(layout, &components, before.as_ref().map(|plane| &plane.ports), BTreeSet::new())?;
        let id = before.map_or_else(|| uuid::Uuid::new_v4().to_string(), |plane| plane.id);
        let plane = Self { format: FORMAT, id, name: layout.name().into(), options, components, deployed, ports };
        plane.store(layout)?;
        Ok(plane)
    }

    /// Those of its components that run for Deployments.
    pub fn deployed(&self) -> impl Iterator<Item = &Component> {
        self.components.iter().filter(|component| self.deployed.contains(&component.name))
    }

    /// The same plane with these components for Deployments. Those that it has keep their ports. Stores it.
    ///
    /// # Errors
    /// No port is free, or the file cannot be written.
    pub fn deploy(&self, layout: &Layout, deployed: Vec<Component>) -> Result<Self, PlaneError> {
        let mut plane = self.clone();
        plane.components.retain(|component| !self.deployed.contains(&component.name));
        plane.deployed = deployed.iter().map(|component| component.name.clone()).collect();
        plane.ports.retain(|name, _| !self.deployed.contains(name) || plane.deployed.contains(name));
        let fresh: Vec<Component> = deployed.iter().filter(|component| !plane.ports.contains_key(&component.name)).cloned().collect();
        let own = plane.ports.values().flat_map(|ports| ports.values().copied()).collect();
        plane.ports.extend(assign(layout, &fresh, None, own)?);
        plane.components.extend(deployed);
        plane.store(layout)?;
        Ok(plane)
    }

    fn store(&self, layout: &Layout) -> Result<(), PlaneError> {
        private_dir(layout.dir())?;
        let text = serde_json::to_vec_pretty(self).map_err(|source| PlaneError::Damaged { path: layout.plane_file(), source })?;
        Ok(write_private(&layout.plane_file(), &text)?)
    }

    /// A component's ports and whether each is listened on at all addresses.
    pub fn listeners<'a>(&'a self, component: &'a Component) -> impl Iterator<Item = (&'a str, u16, bool)> + 'a {
        let ports = self.ports.get(&component.name).into_iter().flatten();
        ports.map(|(name, port)| (name.as_str(), *port, component.ports.get(name).is_some_and(|port| port.all_addresses)))
    }

    /// A port's number.
    #[must_use]
    pub fn port(&self, component: &str, name: &str) -> Option<u16> {
        self.ports.get(component)?.get(name).copied()
    }

    /// The API server's address, if the plane has one.
    #[must_use]
    pub fn server(&self) -> Option<String> {
        self.port("kube-apiserver", "api").map(|port| format!("https://127.0.0.1:{port}"))
    }
}

fn in_order(mut left: Vec<Component>) -> Result<Vec<Component>, PlaneError> {
    let mut done: Vec<Component> = Vec::with_capacity(left.len());
    while !left.is_empty() {
        let free = left.iter().position(|component| component.needs().all(|name| done.iter().any(|other| other.name == name)));
        match free {
            Some(n) => done.push(left.remove(n)),
            None => return Err(PlaneError::Circle(left.into_iter().map(|component| component.name).collect())),
        }
    }
    Ok(done)
}

fn assign(
    layout: &Layout,
    components: &[Component],
    before: Option<&BTreeMap<String, Ports>>,
    mut claimed: BTreeSet<u16>,
) -> Result<BTreeMap<String, Ports>, PlaneError> {
    let root = layout.dir().parent().unwrap_or(layout.dir());
    let others = Layout::all(root)?.into_iter().filter(|other| other != layout).filter_map(|other| Plane::load(&other).ok());
    claimed.extend(others.flat_map(|plane| plane.ports.into_values().flat_map(Ports::into_values)));
    // Names such as `etcd/client` keep the choice of all ports in one go.
    let wants = components.iter().flat_map(|component| {
        component.ports.iter().map(move |(name, port)| {
            let number = before.and_then(|ports| ports.get(&component.name)?.get(name).copied());
            (format!("{}/{name}", component.name), Want { all_addresses: port.all_addresses, before: number })
        })
    });
    let seed = layout.name().bytes().fold(7_u64, |seed, byte| seed.wrapping_mul(31).wrapping_add(u64::from(byte)));
    let chosen = ports::choose(&wants.collect(), &claimed, seed.wrapping_mul(101))?;
    let mut ports: BTreeMap<String, Ports> = components.iter().map(|component| (component.name.clone(), Ports::new())).collect();
    for (name, port) in chosen {
        if let Some((component, name)) = name.split_once('/') {
            ports.entry(component.to_owned()).or_default().insert(name.to_owned(), port);
        }
    }
    Ok(ports)
}

#[cfg(test)]
mod tests;
