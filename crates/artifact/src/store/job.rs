//! Making one file that is not in the cache, by one route, and taking it in.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::{AttemptError, FetchOptions};
use crate::artifact::{Artifact, GoSource, ImageSource, Origin, Source};
use crate::cache::{Cache, CacheError, Lock, Made, Recipe, Record, Work, digest_of, digest_of_text};
use crate::go::{Build, GoError, GoModules};
use crate::oci::layers::{self, LayerError, View};
use crate::oci::{Image, OciError, Registry};
use crate::platform::Platform;
use crate::probe;
use crate::progress::Reporter;

/// The lock of the cache's one Go build: Go uses every core by itself.
const GO_LOCK: &str = "go-build";

/// An attempt that failed: for a reason of its own, or because the cache does not work and the next would fail alike.
pub(super) enum Failed {
    Attempt(AttemptError),
    Cache(CacheError),
}

impl<E: Into<AttemptError>> From<E> for Failed {
    fn from(error: E) -> Self {
        Self::Attempt(error.into())
    }
}

/// One way to make a file, and the recipe that names the result.
pub(super) struct Route<'a> {
    pub(super) recipe: Recipe,
    how: How<'a>,
}

enum How<'a> {
    Oci(&'a ImageSource),
    Go(&'a GoSource, &'a GoModules),
}

impl<'a> Route<'a> {
    pub(super) fn oci(artifact: &Artifact, platform: &Platform, image: &'a ImageSource) -> Self {
        let made = Made::Oci { reference: artifact.expand(&image.reference), file: artifact.expand(&image.file) };
        Self { recipe: recipe(artifact, platform, made), how: How::Oci(image) }
    }

    pub(super) fn go(artifact: &Artifact, platform: &Platform, go: &'a GoSource, modules: &'a GoModules) -> Self {
        let made = Made::Go {
            package: go.package.clone(),
            ldflags: artifact.expand(&go.ldflags),
            cgo: go.cgo,
            go_mod: digest_of_text(&modules.go_mod),
            go_sum: digest_of_text(&modules.go_sum),
        };
        Self { recipe: recipe(artifact, platform, made), how: How::Go(go, modules) }
    }

    pub(super) fn source(&self) -> Source {
        match self.how {
            How::Oci(_) => Source::Oci,
            How::Go(..) => Source::Go,
        }
    }
}

fn recipe(artifact: &Artifact, platform: &Platform, made: Made) -> Recipe {
    Recipe { name: artifact.name.clone(), version: artifact.version.clone(), platform: platform.clone(), made }
}

/// What making a file needs.
pub(super) struct Job<'a> {
    pub(super) cache: &'a Cache,
    pub(super) artifact: &'a Artifact,
    pub(super) options: &'a FetchOptions,
    pub(super) search_path: &'a OsStr,
    pub(super) report: Reporter<'a>,
    pub(super) key: &'a str,
    pub(super) lock: &'a Lock,
}

impl Job<'_> {
    /// Makes the file, asks it for its version, and takes it into the cache.
    pub(super) async fn run(&self, route: &Route<'_>) -> Result<(PathBuf, Record), Failed> {
        let work = self.cache.work(self.key, self.lock).map_err(Failed::Cache)?;
        let (file, origin) = match route.how {
            How::Oci(image) => self.pull(image, &work).await?,
            How::Go(go, modules) => self.build(go, modules, &work).await?,
        };
        fs::set_permissions(&file, Permissions::from_mode(0o700)).map_err(|error| Failed::Cache(CacheError::at(&file, error)))?;
        if self.options.platform.is_host() {
            probe::check(self.artifact, &file).await.map_err(|reason| AttemptError::WrongVersion { reason })?;
        }
        let hashed = file.clone();
        let digest = blocking(move || digest_of(&hashed)).await.map_err(|error| Failed::Cache(CacheError::at(&file, error)))?;
        self.cache.put(&route.recipe, &file, digest, origin).map_err(Failed::Cache)
    }

    async fn build(&self, go: &GoSource, modules: &GoModules, work: &Work) -> Result<(PathBuf, Origin), Failed> {
        let _one = self.cache.lock(GO_LOCK, "another Go build", self.report).await.map_err(Failed::Cache)?;
        let ldflags = self.artifact.expand(&go.ldflags);
        let (package, platform) = (&go.package, &self.options.platform);
        let build = Build { modules, package, ldflags: &ldflags, cgo: go.cgo, platform, search_path: self.search_path };
        let file = build.run(work.path(), self.report).await.map_err(|error| match error {
            GoError::Write { path, source } => Failed::Cache(CacheError::at(&path, source)),
            other => other.into(),
        })?;
        Ok((file, Origin::Go { module: go.module.clone(), package: go.package.clone() }))
    }

    async fn pull(&self, image: &ImageSource, work: &Work) -> Result<(PathBuf, Origin), Failed> {
        let reference = self.artifact.expand(&image.reference);
        let registry = Registry::connect(&reference, &self.options.mirrors).await?;
        let found = registry.image(&self.options.platform).await?;
        let layers = self.pull_layers(&registry, &found, &reference, work.path()).await?;
        let (wanted, output) = (PathBuf::from(self.artifact.expand(&image.file)), work.path().join("found"));
        let into = output.clone();
        blocking(move || take_out(&layers, &wanted, &into)).await.map_err(|error| match error {
            LayerError::Write { source } => Failed::Cache(CacheError::at(&output, source)),
            source => AttemptError::Image { reference: reference.clone(), source }.into(),
        })?;
        Ok((output, Origin::Oci { reference, digest: found.digest }))
    }

    /// Every layer into a file of its own, verified, lowest first.
    async fn pull_layers(&self, registry: &Registry, image: &Image, reference: &str, folder: &Path) -> Result<Vec<PathBuf>, Failed> {
        let layers = &image.manifest.layers;
        let total = layers.iter().filter_map(|layer| u64::try_from(layer.size).ok()).fold(0, u64::saturating_add);
        let progress = self.report.start(format!("pulling {reference}"), Some(total));
        let mut files = Vec::with_capacity(layers.len());
        for (number, layer) in layers.iter().enumerate() {
            let path = folder.join(format!("layer-{number}"));
            let refused = |source| Failed::Cache(CacheError::at(&path, source));
            let mut file = tokio::fs::File::from_std(create(&path).map_err(refused)?);
            registry.blob(layer, &mut file, |amount| progress.advance(amount)).await.map_err(|error| match error {
                OciError::Write { source } => refused(source),
                other => other.into(),
            })?;
            files.push(path);
        }
        Ok(files)
    }
}

/// Finds a file in layers, lowest first, and copies it out.
fn take_out(layers: &[PathBuf], wanted: &Path, output: &Path) -> Result<(), LayerError> {
    let open =
        |number: usize, path: &Path| File::open(path).and_then(layers::open).map_err(|source| LayerError::Read { layer: number, source });
    let mut view = View::default();
    for (number, path) in layers.iter().enumerate() {
        view.add(open(number, path)?)?;
    }
    let place = view.find(wanted)?;
    let layer = layers.get(place.layer).ok_or_else(|| LayerError::NotFound { path: wanted.to_path_buf() })?;
    let mut file = create(output).map_err(|source| LayerError::Write { source })?;
    layers::copy(open(place.layer, layer)?, place, &mut file)
}

fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// Runs what blocks beside the runtime's own threads.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        // The runtime is shutting down, and drops this future next.
        Err(_) => std::future::pending().await,
    }
}
