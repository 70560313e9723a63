//! What comes from outside: binaries, Go modules, files that are copied.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use capstead_artifact::{FetchOptions, GoModules, Progress, Source, Store as Artifacts};
use capstead_image::Digest;

use super::{BuildError, Fetched, Options, at, blocking};
use crate::file::ImageFile;
use crate::layer::{self, Written};
use crate::sbom::{Program, build_info};

/// Every binary, from the cheapest source that has it.
pub(crate) async fn fetch(file: &ImageFile, options: &Options, progress: &dyn Progress) -> Result<BTreeMap<String, Fetched>, BuildError> {
    let fetching = fetching(file, options)?;
    let artifacts = Artifacts::open(&options.cache_root)?;
    let mut fetched = BTreeMap::new();
    for binary in &file.binaries {
        let got = artifacts.fetch(&binary.artifact(), &fetching, progress).await?;
        let digest = digest_of(&got).await?;
        fetched.insert(binary.name.clone(), Fetched { path: got.path, digest, from: got.source.to_string() });
    }
    Ok(fetched)
}

/// How binaries of a file are fetched.
pub(crate) fn fetching(file: &ImageFile, options: &Options) -> Result<FetchOptions, BuildError> {
    let mut modules = own_modules(file)?;
    modules.extend(options.fetch.modules.iter().cloned());
    // What happens to be installed on this machine must not get into an image, unless it was asked for.
    let ignore_installed = options.fetch.source == Source::Auto;
    Ok(FetchOptions { modules: modules.into(), ignore_installed, ..options.fetch.clone() })
}

/// The digest of a binary's content, read where the cache does not tell it.
pub(crate) async fn digest_of(got: &capstead_artifact::Fetched) -> Result<Digest, BuildError> {
    match got.digest.as_deref().and_then(|digest| digest.parse().ok()) {
        Some(digest) => Ok(digest),
        None => {
            let path = got.path.clone();
            Ok(blocking(move || layer::digest_file(&path)).await?.map_err(at(&got.path))?.digest)
        }
    }
}

/// The sets of modules that the file brings.
fn own_modules(file: &ImageFile) -> Result<Vec<GoModules>, BuildError> {
    let read = |name: &str, folder: &str, part: &str| {
        let path = Path::new(folder).join(part);
        std::fs::read_to_string(&path).map_err(|source| BuildError::Source { field: format!("modules.{name}"), path, source })
    };
    file.modules
        .iter()
        .map(|(name, folder)| {
            let (go_mod, go_sum) = (read(name, folder, "go.mod")?, read(name, folder, "go.sum")?);
            Ok(GoModules { name: name.clone().into(), go_mod: go_mod.into(), go_sum: go_sum.into() })
        })
        .collect()
}

/// Digests of the files that are copied.
pub(crate) async fn sources(file: &ImageFile) -> Result<BTreeMap<String, Digest>, BuildError> {
    let mut digests = BTreeMap::new();
    for (at, entry) in file.files.iter().enumerate() {
        let Some(source) = &entry.source else { continue };
        let path = PathBuf::from(source);
        let reading = path.clone();
        let written: Written = blocking(move || layer::digest_file(&reading)).await?.map_err(|source| BuildError::Source {
            field: format!("files[{at}].source"),
            path,
            source,
        })?;
        digests.insert(source.clone(), written.digest);
    }
    Ok(digests)
}

/// What Go says of each binary.
pub(crate) async fn programs(file: &ImageFile, binaries: &BTreeMap<String, Fetched>) -> Result<Vec<Program>, BuildError> {
    let mut programs = Vec::new();
    for binary in &file.binaries {
        let Some(fetched) = binaries.get(&binary.name) else { continue };
        let path = fetched.path.clone();
        let go = blocking(move || std::fs::read(&path).map(|bytes| build_info(&bytes))).await?.map_err(at(&fetched.path))?;
        programs.push(Program {
            name: binary.name.clone(),
            version: binary.version.clone(),
            digest: fetched.digest.clone(),
            from: fetched.from.clone(),
            go,
        });
    }
    Ok(programs)
}
