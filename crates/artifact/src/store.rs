//! The way from an [`Artifact`] to a file.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::artifact::{Artifact, ArtifactError, Origin, Source};
use crate::cache::{Cache, CacheError, Look, Record, artifact_key};
use crate::chain;
use crate::go::{GoError, GoModules};
use crate::oci::layers::LayerError;
use crate::oci::{Mirrors, OciError};
use crate::platform::Platform;
use crate::probe::{self, PathError};
use crate::progress::{NoProgress, Progress, Reporter};

mod job;

use job::{Failed, Job, Route};

/// How to fetch.
#[derive(Clone, Debug, Default)]
pub struct FetchOptions {
    /// Which sources may be used.
    pub source: Source,
    /// A folder of the user's with binaries, looked into first.
    pub bin_dir: Option<PathBuf>,
    /// Where binaries, and `go`, are looked for: folders as in `PATH`. `None` is the environment's `PATH`.
    pub search_path: Option<OsString>,
    /// Binaries are not looked for on the search path: what happens to be installed here must make no difference.
    pub ignore_installed: bool,
    /// The pinned module sets that [`GoSource::module`](crate::GoSource) may name.
    pub modules: Cow<'static, [GoModules]>,
    /// What the file is for. Another platform than this one rules out the path, and the version of what is fetched is not checked.
    pub platform: Platform,
    /// Registries asked through another address.
    pub mirrors: Mirrors,
}

impl FetchOptions {
    fn searched(&self) -> OsString {
        self.search_path.clone().or_else(|| std::env::var_os("PATH")).unwrap_or_default()
    }
}

/// A file that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// The file: executable, and read-only if it is in the cache.
    pub path: PathBuf,
    /// The version wanted, which a probe confirmed when it was fetched.
    pub version: String,
    /// Where it came from, also when it was in the cache.
    pub source: Origin,
    /// Whether it was in the cache already.
    pub cached: bool,
    /// `sha256:<hex>` of the content. `None` for one found in a folder, whose content may change at any time.
    pub digest: Option<String>,
}

/// One source that was tried.
#[derive(Debug)]
pub struct Attempt {
    /// Which.
    pub source: Source,
    /// Why it did not work.
    pub error: AttemptError,
}

/// Why one source did not work.
#[derive(Debug, Error)]
pub enum AttemptError {
    /// Nothing fitting was there.
    #[error(transparent)]
    Path(#[from] PathError),
    /// A file found could not be run here.
    #[error("what is installed here is not for {platform}")]
    Foreign {
        /// The platform wanted.
        platform: Platform,
    },
    /// The artifact has no such source.
    #[error("nothing is known to get it from")]
    NotOffered,
    /// The registry.
    #[error(transparent)]
    Oci(#[from] OciError),
    /// The image's content.
    #[error("image {reference} cannot be used")]
    Image {
        /// The image.
        reference: String,
        /// What is wrong with it.
        source: LayerError,
    },
    /// Go.
    #[error(transparent)]
    Go(#[from] GoError),
    /// It was fetched, but is not what the artifact says.
    #[error("what was fetched is of no use: {reason}")]
    WrongVersion {
        /// What the probe found.
        reason: String,
    },
}

/// Why there is no file.
#[derive(Debug, Error)]
pub enum FetchError {
    /// The artifact is not usable as written.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// The cache does not work, so nothing can be fetched.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// The system does not say where the running program is.
    #[error("the running program cannot be found")]
    Itself(#[source] std::io::Error),
    /// Every permitted source was tried.
    #[error("cannot get {name} {version} ({platform}):{}", list(attempts))]
    Exhausted {
        /// The artifact's name.
        name: String,
        /// The version wanted.
        version: String,
        /// The platform wanted.
        platform: Platform,
        /// What was tried, in order.
        attempts: Vec<Attempt>,
    },
}

fn list(attempts: &[Attempt]) -> String {
    attempts.iter().map(|attempt| format!("\n  {}: {}", attempt.source, chain(&attempt.error).replace('\n', "\n    "))).collect()
}

/// Files by name. Cheap to clone; safe to use from several tasks and several processes at once.
#[derive(Clone, Debug)]
pub struct Store {
    cache: Cache,
}

impl Store {
    /// Opens the cache in a folder, making it if need be (private to the user), and clears what runs that were killed left.
    ///
    /// # Errors
    /// When the folder cannot be made, is not a folder, or belongs to another user.
    pub fn open(cache_root: &Path) -> Result<Self, CacheError> {
        Cache::open(cache_root).map(|cache| Self { cache })
    }

    /// Gets a file, from the first permitted source that has it.
    ///
    /// Two runs that want the same file at once share one fetch: the second waits, saying so, and takes the first's result.
    /// Dropping the future stops and clears everything.
    ///
    /// # Errors
    /// When the cache does not work ([`FetchError::Cache`]), or every source was tried in vain ([`FetchError::Exhausted`]).
    pub async fn fetch(&self, artifact: &Artifact, options: &FetchOptions, progress: &dyn Progress) -> Result<Fetched, FetchError> {
        let report = Reporter::new(&artifact.name, progress);
        let search_path = options.searched();
        let (routes, mut attempts) = match self.known(artifact, options, &search_path, report).await? {
            Known::Here(fetched) => return Ok(fetched),
            Known::Elsewhere { routes, attempts } => (routes, attempts),
        };
        if !routes.is_empty() {
            let key = artifact_key(artifact, &options.platform);
            let lock = self.cache.lock(&key, &format!("fetching {} {}", artifact.name, artifact.version), report).await?;
            if let Some(fetched) = self.examined(artifact, &routes, report)? {
                return Ok(fetched);
            }
            for route in &routes {
                let job = Job { cache: &self.cache, artifact, options, search_path: &search_path, report, key: &key, lock: &lock };
                match job.run(route).await {
                    Ok((path, record)) => return Ok(from_cache(artifact, path, record, false)),
                    Err(Failed::Cache(error)) => return Err(error.into()),
                    Err(Failed::Attempt(error)) => {
                        report.message(format!("{} did not work: {}", route.source(), chain(&error).lines().next().unwrap_or_default()));
                        attempts.push(Attempt { source: route.source(), error });
                    }
                }
            }
        }
        Err(FetchError::Exhausted {
            name: artifact.name.clone(),
            version: artifact.version.clone(),
            platform: options.platform.clone(),
            attempts,
        })
    }

    /// A file that is here already: in a folder, or in the cache and untouched. Nothing is fetched, and nothing is made, a cache neither.
    ///
    /// # Errors
    /// When the artifact is not usable as written.
    pub async fn find(cache_root: &Path, artifact: &Artifact, options: &FetchOptions) -> Result<Option<Fetched>, FetchError> {
        let store = Self { cache: Cache::at(cache_root) };
        match store.known(artifact, options, &options.searched(), Reporter::new(&artifact.name, &NoProgress)).await? {
            Known::Here(fetched) => Ok(Some(fetched)),
            Known::Elsewhere { .. } => Ok(None),
        }
    }

    /// The file, if it is here already; else the ways to it.
    async fn known<'a>(
        &self,
        artifact: &'a Artifact,
        options: &'a FetchOptions,
        search_path: &OsStr,
        report: Reporter<'_>,
    ) -> Result<Known<'a>, FetchError> {
        artifact.validate()?;
        if artifact.itself {
            let path = std::env::current_exe().map_err(FetchError::Itself)?;
            return Ok(Known::Here(Fetched {
                path,
                version: artifact.version.clone(),
                source: Origin::Itself,
                cached: false,
                digest: None,
            }));
        }
        let mut attempts = Vec::new();
        let mut tried = |source, error| attempts.push(Attempt { source, error });
        let installed = (!options.ignore_installed).then_some(search_path);
        let any_folder = installed.is_some() || options.bin_dir.is_some() || options.source == Source::Path;

        if matches!(options.source, Source::Auto | Source::Path) && any_folder {
            if options.platform.is_host() {
                match probe::find(artifact, options.bin_dir.as_deref(), installed, report).await {
                    Ok(path) => {
                        let version = artifact.version.clone();
                        return Ok(Known::Here(Fetched { path, version, source: Origin::Path, cached: false, digest: None }));
                    }
                    Err(error) => tried(Source::Path, error.into()),
                }
            } else {
                tried(Source::Path, AttemptError::Foreign { platform: options.platform.clone() });
            }
        }
        let mut routes = Vec::new();
        if matches!(options.source, Source::Auto | Source::Oci) {
            match &artifact.image {
                Some(image) => routes.push(Route::oci(artifact, &options.platform, image)),
                None => tried(Source::Oci, AttemptError::NotOffered),
            }
        }
        if matches!(options.source, Source::Auto | Source::Go) {
            match &artifact.go {
                Some(go) => match options.modules.iter().find(|modules| modules.name == go.module) {
                    Some(modules) => routes.push(Route::go(artifact, &options.platform, go, modules)),
                    None => tried(Source::Go, GoError::UnknownModules { name: go.module.clone() }.into()),
                },
                None => tried(Source::Go, AttemptError::NotOffered),
            }
        }
        Ok(match self.untouched(artifact, &routes) {
            Some(fetched) => Known::Here(fetched),
            None => Known::Elsewhere { routes, attempts },
        })
    }

    /// A file in the cache that nobody touched. Needs no lock: files and records appear whole.
    fn untouched(&self, artifact: &Artifact, routes: &[Route<'_>]) -> Option<Fetched> {
        routes.iter().find_map(|route| match self.cache.look(&route.recipe) {
            Look::Hit(path, record) => Some(from_cache(artifact, path, record, true)),
            Look::Suspect(_) | Look::Miss => None,
        })
    }

    /// A file in the cache, read whole if it was touched. The caller holds the artifact's lock.
    fn examined(&self, artifact: &Artifact, routes: &[Route<'_>], report: Reporter<'_>) -> Result<Option<Fetched>, CacheError> {
        for route in routes {
            match self.cache.look(&route.recipe) {
                Look::Miss => {}
                Look::Hit(path, record) => return Ok(Some(from_cache(artifact, path, record, true))),
                Look::Suspect(record) => match self.cache.examine(&route.recipe, record)? {
                    Ok((path, record)) => return Ok(Some(from_cache(artifact, path, record, true))),
                    Err(wrong) => report.message(format!("{wrong}: fetching it again")),
                },
            }
        }
        Ok(None)
    }
}

/// What is known of an artifact before anything is fetched.
enum Known<'a> {
    Here(Fetched),
    Elsewhere { routes: Vec<Route<'a>>, attempts: Vec<Attempt> },
}

fn from_cache(artifact: &Artifact, path: PathBuf, record: Record, cached: bool) -> Fetched {
    Fetched { path, version: artifact.version.clone(), source: record.origin, cached, digest: Some(record.digest) }
}
