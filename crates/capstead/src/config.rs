//! Defaults from the configuration file.

use std::collections::BTreeMap;
use std::path::Path;
use std::path::PathBuf;

use anyhow::Context;
use capstead_artifact::Source;
use serde::Deserialize;

use crate::cli::Binaries;
use crate::cli::SourceArg;
use crate::cli::Sources;
use crate::cli::Which;

/// The configuration file.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Config {
    name: Option<String>,
    data_dir: Option<PathBuf>,
    cache_dir: Option<PathBuf>,
    source: Option<Source>,
    bin_dir: Option<PathBuf>,
    capi_version: Option<String>,
    registry_mirrors: Option<Vec<String>>,
    kubernetes: Option<String>,
    debian_mirrors: Option<Vec<String>>,
}

impl Config {
    /// Reads `$XDG_CONFIG_HOME/capstead/config.yaml`. None is the same as an empty one.
    pub fn load() -> anyhow::Result<Self> {
        let base = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
        let base = base.or_else(|| Some(std::env::home_dir()?.join(".config")));
        base.map_or_else(|| Ok(Self::default()), |base| Self::read(&base.join("capstead/config.yaml")))
    }

    fn read(path: &Path) -> anyhow::Result<Self> {
        match std::fs::read_to_string(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            text => {
                let text = text.with_context(|| format!("cannot read {}", path.display()))?;
                let config: Option<Self> =
                    yaml_serde::from_str(&text).with_context(|| format!("{} is not a configuration of capstead", path.display()))?;
                Ok(config.unwrap_or_default())
            }
        }
    }

    /// The plane's name.
    pub fn name(&self, which: &Which) -> String {
        which.name.clone().or_else(|| self.name.clone()).unwrap_or_else(|| "default".into())
    }

    /// Where planes are kept.
    pub fn data_dir(&self, flag: Option<&PathBuf>) -> PathBuf {
        flag.or(self.data_dir.as_ref()).cloned().unwrap_or_else(capstead_plane::layout::default_root)
    }

    /// Where binaries are kept.
    pub fn cache_dir(&self, flag: Option<&PathBuf>) -> anyhow::Result<PathBuf> {
        let dir = flag.or(self.cache_dir.as_ref()).cloned().or_else(capstead_artifact::default_cache_root);
        let dir = dir.context("there is no home folder for the cache; name one with --cache-dir")?;
        std::path::absolute(&dir).with_context(|| format!("cannot find {}", dir.display()))
    }

    /// Where binaries come from.
    pub fn source(&self, sources: &Sources) -> Option<Source> {
        let flag = sources.source.map(|source| match source {
            SourceArg::Auto => Source::Auto,
            SourceArg::Path => Source::Path,
            SourceArg::Oci => Source::Oci,
            SourceArg::Go => Source::Go,
        });
        flag.or(self.source)
    }

    /// Registries asked through another address.
    pub fn registry_mirrors(&self, sources: &Sources) -> Option<String> {
        self.mirrors(&sources.registry_mirror)
    }

    /// The same, whichever command has the flag.
    pub fn mirrors(&self, flag: &[String]) -> Option<String> {
        let flags = (!flag.is_empty()).then(|| flag.join(","));
        flags.or_else(|| self.registry_mirrors.as_ref().map(|mirrors| mirrors.join(",")))
    }

    /// The folder of binaries, absolute: the supervisor has another working folder.
    pub fn bin_dir(&self, sources: &Sources) -> anyhow::Result<Option<PathBuf>> {
        let dir = sources.bin_dir.as_ref().or(self.bin_dir.as_ref());
        dir.map(|dir| std::fs::canonicalize(dir).with_context(|| format!("--bin-dir {}: no such folder", dir.display()))).transpose()
    }

    /// The Cluster API version.
    pub fn capi_version(&self, binaries: &Binaries) -> Option<String> {
        binaries.capi_version.clone().or_else(|| self.capi_version.clone())
    }

    /// The Kubernetes version of node images.
    pub fn kubernetes(&self, flag: Option<&String>) -> Option<String> {
        flag.or(self.kubernetes.as_ref()).cloned()
    }

    /// Where Debian's packages are; none is wherever its tools look.
    pub fn debian_mirrors(&self, flag: &[String]) -> Vec<String> {
        if flag.is_empty() { self.debian_mirrors.clone().unwrap_or_default() } else { flag.to_vec() }
    }
}

/// What stands in flintlockd's configuration file, by the flags' names, and where it is; nothing if there is none.
pub fn flintlockd() -> anyhow::Result<(PathBuf, BTreeMap<String, String>)> {
    let own = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let own = own.or_else(|| Some(std::env::home_dir()?.join(".config"))).map(|base| base.join("flintlockd"));
    let folders = std::iter::once(PathBuf::from("/etc/opt/flintlockd")).chain(own);
    for path in folders.map(|folder| folder.join("config.yaml")) {
        match std::fs::read_to_string(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => (),
            text => {
                let text = text.with_context(|| format!("cannot read {}", path.display()))?;
                let values: Option<BTreeMap<String, yaml_serde::Value>> =
                    yaml_serde::from_str(&text).with_context(|| format!("{} is not YAML of flags and values", path.display()))?;
                let values = crate::cli::layered::plain(values.unwrap_or_default()).with_context(|| path.display().to_string())?;
                return Ok((path, values));
            }
        }
    }
    Ok((PathBuf::new(), BTreeMap::new()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_strictly() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let path = dir.path().join("config.yaml");
        assert_eq!(Config::read(&path).expect("none"), Config::default());
        std::fs::write(&path, "# nothing yet\n").expect("written");
        assert_eq!(Config::read(&path).expect("empty"), Config::default());
        std::fs::write(&path, "name: mine\nsource: go\n").expect("written");
        let config = Config::read(&path).expect("read");
        assert_eq!((config.name.as_deref(), config.source), (Some("mine"), Some(Source::Go)));
        std::fs::write(&path, "nmae: mine\n").expect("written");
        let error = format!("{:#}", Config::read(&path).expect_err("refused"));
        assert!(error.contains("config.yaml is not a configuration of capstead") && error.contains("nmae"), "{error}");
    }
}
