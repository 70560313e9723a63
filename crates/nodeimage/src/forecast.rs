//! What a build would do, by what is here: nothing is fetched, and nothing is made.

use std::collections::BTreeMap;

use capstead_artifact::{FetchOptions, Source, Store as Artifacts};
use capstead_image::store::{Store, Stored};
use capstead_image::{Digest, Reference};
use serde::Serialize;

use crate::build::outside::{digest_of, fetching, sources};
use crate::build::{BuildError, Options, kernel_step};
use crate::cache::Cache;
use crate::file::{Binary, ImageFile, Loaded};
use crate::kernel::KernelSpec;
use crate::plan::{Action, Inputs, plan};

#[cfg(test)]
mod tests;

/// What a build would do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Forecast {
    /// The image's name.
    pub name: String,
    /// What it is for, as `linux/amd64`.
    pub platform: String,
    /// The files it is built from.
    pub from: Vec<String>,
    /// The values of their variables.
    pub variables: BTreeMap<String, String>,
    /// Its programs.
    pub binaries: Vec<ForecastBinary>,
    /// Its steps, in the order in which they are done.
    pub steps: Vec<ForecastStep>,
}

/// A program of an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ForecastBinary {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its content's digest, if it is here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// Where it came from if it is here, else what is tried, in this order.
    pub from: Vec<String>,
}

/// A step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ForecastStep {
    /// What it is.
    pub what: String,
    /// What its result is known by, unless that depends on what is not here yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<Digest>,
    /// Whether its result is here, and taken.
    pub done: bool,
}

/// What building a node would do.
///
/// # Errors
/// When a file that is named cannot be read.
pub async fn node(loaded: &Loaded, name: &str, options: &Options) -> Result<Forecast, BuildError> {
    let file = &loaded.file;
    let fetching = fetching(file, options)?;
    let platform = options.fetch.platform.clone();
    let mut inputs = Inputs { platform, base: base(file, options)?, sources: sources(file).await?, ..Inputs::default() };
    let mut binaries = Vec::new();
    for binary in &file.binaries {
        let found = Artifacts::find(&options.cache_root, &binary.artifact(), &fetching).await?;
        let digest = match &found {
            Some(found) => Some(digest_of(found).await?),
            None => None,
        };
        if let Some(digest) = &digest {
            inputs.binaries.insert(binary.name.clone(), digest.clone());
        }
        let from = found.map_or_else(|| ways(binary, &fetching), |found| vec![found.source.to_string()]);
        binaries.push(ForecastBinary { name: binary.name.clone(), version: binary.version.clone(), digest, from });
    }
    Ok(Forecast {
        name: name.to_owned(),
        platform: inputs.platform.to_string(),
        from: loaded.from.clone(),
        variables: file.variables.clone(),
        binaries,
        steps: steps(file, &inputs, options),
    })
}

/// What building a kernel would do.
///
/// # Errors
/// When a field breaks a rule.
pub fn kernel(spec: &KernelSpec, name: &str, options: &Options) -> Result<Forecast, BuildError> {
    let platform = &options.fetch.platform;
    let (key, what) = kernel_step(spec, platform)?;
    let done = !options.anew && Cache::at(&options.steps()).get(&key).is_some();
    let steps = vec![ForecastStep { what, key: Some(key), done }];
    Ok(Forecast { name: name.to_owned(), platform: platform.to_string(), steps, ..Forecast::default() })
}

fn steps(file: &ImageFile, inputs: &Inputs, options: &Options) -> Vec<ForecastStep> {
    let cache = Cache::at(&options.steps());
    // Whatever depends on what is not here yet has another key when that is something else, and so none that is known.
    let to_come = || Digest::of(b"to come");
    let mut others = inputs.clone();
    others.base.get_or_insert_with(to_come);
    for binary in &file.binaries {
        others.binaries.entry(binary.name.clone()).or_insert_with(to_come);
    }
    let both = plan(file, inputs).steps.into_iter().zip(plan(file, &others).steps);
    both.map(|(step, other)| {
        let key = Some(step.key).filter(|key| *key == other.key);
        let here = |key: &Digest| matches!(step.action, Action::Image { .. }) || cache.get(key).is_some();
        let done = !options.anew && key.as_ref().is_some_and(here);
        ForecastStep { what: step.what, key, done }
    })
    .collect()
}

/// The digest of the image that is the base, if it was pulled before. One in a file is read each time.
fn base(file: &ImageFile, options: &Options) -> Result<Option<Digest>, BuildError> {
    let root = options.cache_root.join("images");
    let Some(text) = file.base.as_ref().and_then(|base| base.image.as_deref()) else { return Ok(None) };
    let reference: Reference = text.parse()?;
    if reference.is_local() || !root.is_dir() {
        return Ok(None);
    }
    let image = Store::open(&root)?.get(&reference.to_string())?;
    Ok(image.and_then(|image| match image.stored {
        Stored::Image { manifest } => Some(manifest),
        Stored::File { .. } => None,
    }))
}

/// Where a program may come from.
fn ways(binary: &Binary, options: &FetchOptions) -> Vec<String> {
    let artifact = binary.artifact();
    let image = artifact.image.as_ref().filter(|_| matches!(options.source, Source::Auto | Source::Oci));
    let go = artifact.go.as_ref().filter(|_| matches!(options.source, Source::Auto | Source::Go));
    let image = image.map(|image| format!("OCI image {}", artifact.expand(&image.reference)));
    image.into_iter().chain(go.map(|go| format!("Go build of {}", go.package))).collect()
}
