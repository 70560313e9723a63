//! What has to be done for an image, as values: which steps, in which order, and what each one's result is known by.
//!
//! A step's key is the hash of all that its result depends on: what the file says, digests of what is read from outside, and the keys of
//! the steps it builds upon. So a step whose key is in the cache need not be done, and a change is done anew together with what builds upon it.

use std::collections::BTreeMap;

use capstead_artifact::Platform;
use capstead_image::Digest;
use serde::Serialize;

use crate::debian;
use crate::file::{ContainerImage, Debian, FileEntry, ImageFile, KernelModules, Link, Preload, Units};

#[cfg(test)]
mod tests;

/// Counts up when the same step comes to give another result.
const FORMAT: u32 = 1;
/// The epoch of files that name none: 2026-01-01. Python's compiled files know the times of their sources, so those of packages should stay as they are.
pub const DEFAULT_EPOCH: u64 = 1_767_225_600;

/// What is known of the world outside before planning.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inputs {
    /// What the image is for.
    pub platform: Platform,
    /// Of the image that is the base, its manifest's digest.
    pub base: Option<Digest>,
    /// Of each binary, its content's digest.
    pub binaries: BTreeMap<String, Digest>,
    /// Of each file that is copied, its content's digest, by its path.
    pub sources: BTreeMap<String, Digest>,
}

/// A plan: steps in the order in which they can be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The steps.
    pub steps: Vec<Step>,
    /// No file is newer.
    pub epoch: u64,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What it is, for messages.
    pub what: String,
    /// What its result is known by.
    pub key: Digest,
    /// What to do.
    pub action: Action,
}

/// What a step does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "do", rename_all = "camelCase")]
pub enum Action {
    /// Makes a Debian root file system.
    Debian {
        /// Which.
        debian: Debian,
        /// Its packages, sorted.
        packages: Vec<String>,
        /// A kernel's modules besides.
        kernel: Option<KernelModules>,
    },
    /// Takes an image as the base.
    Image {
        /// Its reference.
        reference: String,
    },
    /// Makes a container image.
    Container {
        /// Which.
        image: ContainerImage,
    },
    /// Puts container images into the node.
    Preload {
        /// How.
        preload: Preload,
        /// Their names.
        images: Vec<String>,
    },
    /// Puts files, programs, links and units upon the base.
    Overlay {
        /// Folders.
        folders: Vec<String>,
        /// Files of the file.
        files: Vec<FileEntry>,
        /// Links.
        links: Vec<Link>,
        /// What is taken away.
        remove: Vec<String>,
        /// Units.
        units: Units,
        /// Programs: name and path.
        binaries: Vec<(String, String)>,
    },
}

/// What a key is the hash of.
#[derive(Serialize)]
struct Recipe<'a> {
    format: u32,
    platform: &'a Platform,
    epoch: u64,
    action: &'a Action,
    /// Digests of what comes from outside, by what it is called there.
    outside: Vec<(String, Option<Digest>)>,
    /// Keys of steps.
    upon: Vec<Digest>,
}

/// Plans an image from a file that breaks no rule.
#[must_use]
pub fn plan(file: &ImageFile, inputs: &Inputs) -> Plan {
    let epoch = file.epoch.unwrap_or(DEFAULT_EPOCH);
    let planner = Planner { inputs, epoch };
    let mut steps = Vec::new();
    let base = planner.base(file);
    let base_key = base.key.clone();
    steps.push(base);
    let preload = file.preload.unwrap_or_default();
    let mut containers = Vec::new();
    for image in &file.images {
        let step = planner.container(image, &base_key);
        containers.push(step.key.clone());
        steps.push(step);
    }
    steps.push(planner.overlay(file, &base_key));
    if !file.images.is_empty() {
        steps.push(planner.preload(preload, &file.images, containers));
    }
    Plan { steps, epoch }
}

struct Planner<'a> {
    inputs: &'a Inputs,
    epoch: u64,
}

impl Planner<'_> {
    fn step(&self, what: String, action: Action, outside: Vec<(String, Option<Digest>)>, upon: Vec<Digest>) -> Step {
        let recipe = Recipe { format: FORMAT, platform: &self.inputs.platform, epoch: self.epoch, action: &action, outside, upon };
        let text = serde_json::to_vec(&recipe).unwrap_or_default();
        Step { what, key: Digest::of(&text), action }
    }

    fn binary(&self, name: &str) -> (String, Option<Digest>) {
        (format!("binary {name}"), self.inputs.binaries.get(name).cloned())
    }

    fn base(&self, file: &ImageFile) -> Step {
        let base = file.base.clone().unwrap_or_default();
        if let Some(reference) = base.image {
            let outside = vec![("base".to_owned(), self.inputs.base.clone())];
            return self.step(format!("the base {reference}"), Action::Image { reference }, outside, Vec::new());
        }
        let debian = base.debian.unwrap_or_else(|| Debian {
            suite: String::new(),
            mirrors: Vec::new(),
            variant: String::new(),
            exclude: Vec::new(),
        });
        // Which order they are written in says nothing.
        let mut packages = file.packages.clone();
        packages.sort();
        packages.dedup();
        let what = format!("Debian {} with {} packages", debian.suite, packages.len());
        let outside = vec![("script".to_owned(), Some(Digest::of(debian::UNPACK.as_bytes())))];
        self.step(what, Action::Debian { debian, packages, kernel: file.kernel.clone() }, outside, Vec::new())
    }

    fn container(&self, image: &ContainerImage, base: &Digest) -> Step {
        let name = image.names.first().cloned().unwrap_or_default();
        let outside = image.files.iter().filter_map(|part| part.binary.as_deref()).map(|name| self.binary(name)).collect();
        // Only what takes from the base depends on it.
        let upon = if image.files.iter().any(|part| part.root.is_some()) { vec![base.clone()] } else { Vec::new() };
        self.step(format!("the container image {name}"), Action::Container { image: image.clone() }, outside, upon)
    }

    fn overlay(&self, file: &ImageFile, base: &Digest) -> Step {
        let placed = file.binaries.iter().filter_map(|binary| Some((binary.name.clone(), binary.path.clone()?)));
        let mut binaries: Vec<(String, String)> = placed.collect();
        binaries.sort();
        let mut files = file.files.clone();
        files.sort_by(|a, b| a.path.cmp(&b.path));
        let mut outside: Vec<_> = binaries.iter().map(|(name, _)| self.binary(name)).collect();
        for entry in &mut files {
            // What counts is what is in it, not where it lies here.
            if let Some(source) = &entry.source {
                outside.push((format!("source of {}", entry.path), self.inputs.sources.get(source).cloned()));
            }
        }
        let mut links = file.links.clone();
        links.sort_by(|a, b| a.path.cmp(&b.path));
        let (folders, remove, units) = (file.folders.clone(), file.remove.clone(), file.units.clone());
        let action = Action::Overlay { folders, files, links, remove, units, binaries };
        let mut step = self.step(String::new(), without_sources(&action), outside, vec![base.clone()]);
        step.what = "files, programs and units".to_owned();
        step.action = action;
        step
    }

    fn preload(&self, preload: Preload, images: &[ContainerImage], containers: Vec<Digest>) -> Step {
        let outside = match preload {
            Preload::Store => ["containerd", "ctr"].iter().map(|name| self.binary(name)).collect(),
            Preload::Archives => Vec::new(),
        };
        let names = images.iter().flat_map(|image| image.names.clone()).collect();
        let what = format!("{} container images into the node", images.len());
        self.step(what, Action::Preload { preload, images: names }, outside, containers)
    }
}

/// The same overlay, whatever folder its sources lie in.
fn without_sources(action: &Action) -> Action {
    let mut action = action.clone();
    if let Action::Overlay { files, .. } = &mut action {
        files.iter_mut().for_each(|file| file.source = file.source.as_ref().map(|_| String::new()));
    }
    action
}
