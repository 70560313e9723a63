//! Building: what comes from outside is fetched, the rest is planned, and the steps that are not in the cache are done.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use capstead_artifact::{CacheError as FetchCacheError, Event, FetchError, FetchOptions, Platform, Progress};
use capstead_image::Digest;
use capstead_image::pull::{PullError, PullOptions};
use capstead_image::reference::ParseReferenceError;
use capstead_image::store::StoreError;
use thiserror::Error;

use crate::cache::{Cache, CacheError, Taken};
use crate::command::CommandError;
use crate::container::ContainerError;
use crate::debian;
use crate::file::{ImageFile, Loaded};
use crate::kernel::{KernelError, KernelSpec};
use crate::oci::{About, LayerFile, OciImage};
use crate::output::{Built, Report, ReportBinary, ReportImage, ReportLayer, ReportStep};
use crate::plan::{self, Action, Inputs};
use crate::preload::PreloadError;
use crate::root::{Root, RootError};
use crate::sbom::{Contents, packages};
use crate::units::UnitError;
use outside::{fetch, programs, sources};
use steps::{Done, Steps};

mod base;
pub(crate) mod outside;
mod overlay;
mod steps;
#[cfg(test)]
mod tests;

/// How to build.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Where results of steps are kept, and all else that is fetched: the same cache as other commands have.
    pub cache_root: PathBuf,
    /// How binaries are fetched, for which platform, and which sets of Go modules there are besides the file's.
    pub fetch: FetchOptions,
    /// How an image that is the base is pulled.
    pub pull: PullOptions,
    /// Do every step again, and keep the results in place of those there are: Debian's packages may be newer by now.
    pub anew: bool,
}

impl Options {
    /// Where results of steps are.
    pub(crate) fn steps(&self) -> PathBuf {
        self.cache_root.join("node-image")
    }
}

/// Why there is no image.
#[derive(Debug, Error)]
pub enum BuildError {
    /// The cache.
    #[error("the cache of steps cannot be used")]
    Cache(#[from] CacheError),
    /// The cache of binaries.
    #[error("the cache of binaries cannot be used")]
    Artifacts(#[from] FetchCacheError),
    /// A binary cannot be had.
    #[error("a binary of the image cannot be had")]
    Fetch(#[from] FetchError),
    /// A file named in the image's file cannot be read.
    #[error("{field} names {}, which cannot be read", path.display())]
    Source {
        /// Where it is named.
        field: String,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The base's reference.
    #[error("the base cannot be used")]
    Reference(#[from] ParseReferenceError),
    /// The base cannot be pulled.
    #[error("the base cannot be used")]
    Pull(#[from] PullError),
    /// The store of pulled images.
    #[error("the base cannot be used")]
    Store(#[from] StoreError),
    /// The base is no image of layers.
    #[error("{reference} cannot be the base: {reason}")]
    Base {
        /// The reference.
        reference: String,
        /// Why.
        reason: String,
    },
    /// Debian cannot be made.
    #[error("cannot make {what}")]
    Command {
        /// What.
        what: String,
        /// Why.
        source: CommandError,
    },
    /// The root file system.
    #[error("the root file system cannot be used")]
    Root(#[from] RootError),
    /// A unit.
    #[error("a unit cannot be enabled")]
    Unit(#[from] UnitError),
    /// A container image.
    #[error("cannot make the container image {name}")]
    Container {
        /// Its name.
        name: String,
        /// Why.
        source: Box<ContainerError>,
    },
    /// The container images in the node.
    #[error("cannot put the container images into the node")]
    Preload(#[from] PreloadError),
    /// The kernel.
    #[error("cannot make the image of the kernel")]
    Kernel(#[from] KernelError),
    /// A file of ours.
    #[error("cannot write {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The work was given up: the process is ending.
    #[error("the build was stopped")]
    Stopped,
}

pub(crate) fn at(path: &Path) -> impl FnOnce(io::Error) -> BuildError {
    let path = path.to_path_buf();
    move |source| BuildError::Io { path, source }
}

/// A binary that is here.
#[derive(Clone, Debug)]
pub(crate) struct Fetched {
    pub(crate) path: PathBuf,
    pub(crate) digest: Digest,
    pub(crate) from: String,
}

/// Builds the image that a file says.
///
/// `progress` hears of binaries under their names, and of steps under `name`.
///
/// # Errors
/// When a part cannot be had or a step fails. What was done by then is in the cache.
pub async fn node(loaded: &Loaded, name: &str, options: &Options, progress: &dyn Progress) -> Result<Built, BuildError> {
    let file = &loaded.file;
    let cache = Cache::open(&options.steps())?.build(options.anew, others(progress, name)).await?;
    let mut inputs = Inputs { platform: options.fetch.platform.clone(), ..Inputs::default() };
    inputs.sources = sources(file).await?;
    // Binaries may take long, so what else can be missing comes first.
    can_make_base(file, &inputs, &cache)?;
    let pulled = match file.base.as_ref().and_then(|base| base.image.as_deref()) {
        Some(reference) => Some(base::pull(reference, options, progress).await?),
        None => None,
    };
    inputs.base = pulled.as_ref().map(|base| base.digest.clone());
    let binaries = fetch(file, options, progress).await?;
    inputs.binaries = binaries.iter().map(|(name, fetched)| (name.clone(), fetched.digest.clone())).collect();
    let plan = plan::plan(file, &inputs);
    let mut steps = Steps::new(&cache, &inputs, plan.epoch, &binaries, pulled);
    for step in &plan.steps {
        let _telling = Telling::start(progress, name, step.what.clone());
        steps.run(step, || progress.event(name, Event::Message { text: format!("waiting for another build of {}", step.what) })).await?;
    }
    let Done { base, layers, images } = steps.finish().await?;

    let _telling = Telling::start(progress, name, "manifest and SBOM".to_owned());
    let about = About { platform: inputs.platform.clone(), epoch: plan.epoch, labels: file.labels.clone(), ..About::default() };
    let image = OciImage::new(&about, layers);
    let contents = Contents {
        name: name.to_owned(),
        suite: file.base.as_ref().and_then(|base| base.debian.as_ref()).map(|debian| debian.suite.clone()).unwrap_or_default(),
        packages: base.packages,
        programs: programs(file, &binaries).await?,
        images: images.iter().flat_map(|image| image.names.iter().map(|name| (name.clone(), image.digest.clone()))).collect(),
    };
    let binary = |binary: &crate::file::Binary| {
        let fetched = binaries.get(&binary.name)?;
        Some(ReportBinary {
            name: binary.name.clone(),
            version: binary.version.clone(),
            path: binary.path.clone(),
            digest: fetched.digest.clone(),
            from: fetched.from.clone(),
        })
    };
    let report = Report {
        name: name.to_owned(),
        platform: inputs.platform.to_string(),
        kernel: base.kernel,
        from: loaded.from.clone(),
        variables: file.variables.clone(),
        packages: contents.packages.clone(),
        binaries: file.binaries.iter().filter_map(binary).collect(),
        images,
        layers: report_layers(&image),
        steps: plan.steps.iter().map(|step| ReportStep { what: step.what.clone(), key: step.key.clone() }).collect(),
    };
    let tag = file.variables.get("KUBERNETES_VERSION").cloned();
    Ok(Built { image, tag, report, contents, epoch: plan.epoch, cache: Some(cache) })
}

/// Refuses where the base has to be made, and what makes it is not here.
fn can_make_base(file: &ImageFile, inputs: &Inputs, cache: &Cache) -> Result<(), BuildError> {
    // What it is known by depends on no binary.
    let steps = plan::plan(file, inputs).steps;
    let Some(base) = steps.first().filter(|step| matches!(step.action, Action::Debian { .. })) else { return Ok(()) };
    if !cache.lacks(&base.key) {
        return Ok(());
    }
    debian::installed().map_err(|source| BuildError::Command { what: base.what.clone(), source })
}

/// Tells that other builds have to end first.
fn others(progress: &dyn Progress, name: &str) -> impl FnMut() {
    move || {
        progress.event(name, Event::Message { text: "waiting for other builds to end, as one of them does all its steps anew".to_owned() })
    }
}

/// The one step of an image with a kernel: what its result is known by, and what it is.
pub(crate) fn kernel_step(spec: &KernelSpec, platform: &Platform) -> Result<(Digest, String), KernelError> {
    if platform.os != "linux" || platform.architecture != "amd64" {
        return Err(KernelError::Platform { platform: platform.clone() });
    }
    let problems = spec.problems();
    if !problems.is_empty() {
        return Err(KernelError::Rules { problems });
    }
    let script = Digest::of(debian::UNPACK.as_bytes());
    let recipe = serde_json::to_vec(&("kernel", plan::DEFAULT_EPOCH, spec, platform, script)).unwrap_or_default();
    Ok((Digest::of(&recipe), format!("the kernel {} of Debian {}", spec.package, spec.suite)))
}

/// Builds an image with a kernel.
///
/// # Errors
/// When a field breaks a rule, or the packages cannot be had, or have no kernel that can be used.
pub async fn kernel(spec: &KernelSpec, name: &str, options: &Options, progress: &dyn Progress) -> Result<Built, BuildError> {
    let platform = options.fetch.platform.clone();
    let (key, what) = kernel_step(spec, &platform)?;
    let cache = Cache::open(&options.steps())?.build(options.anew, others(progress, name)).await?;
    let waiting = || progress.event(name, Event::Message { text: format!("waiting for another build of {what}") });
    let folder = match cache.take(&key, waiting).await? {
        Taken::There(folder) => folder,
        Taken::ToMake(making) => {
            let _telling = Telling::start(progress, name, what.clone());
            steps::kernel(spec, &platform, &making, &what).await?;
            making.finish()?
        }
    };
    let layer = steps::layer_of(&folder, &what)?;
    let (status, release) = (folder.join("status"), folder.join("release"));
    let packages = packages(&std::fs::read_to_string(&status).map_err(at(&status))?);
    let release = std::fs::read_to_string(&release).map_err(at(&release))?;
    let mut about = About { platform: platform.clone(), epoch: spec.epoch, ..About::default() };
    about.labels.insert("dev.capstead.kernel".to_owned(), release.clone());
    let image = OciImage::new(&about, vec![layer]);
    let report = Report {
        name: name.to_owned(),
        platform: platform.to_string(),
        kernel: Some(release.clone()),
        packages: packages.clone(),
        layers: report_layers(&image),
        steps: vec![ReportStep { what, key }],
        ..Report::default()
    };
    let contents = Contents { name: name.to_owned(), suite: spec.suite.clone(), packages, ..Contents::default() };
    Ok(Built { image, tag: Some(release), report, contents, epoch: spec.epoch, cache: Some(cache) })
}

fn report_layers(image: &OciImage) -> Vec<ReportLayer> {
    let of = |layer: &LayerFile| ReportLayer { diff_id: layer.diff_id.clone(), size: layer.written.size, what: layer.made_by.clone() };
    image.layers.iter().map(of).collect()
}

/// What is known of a base.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct AboutBase {
    pub(crate) packages: Vec<crate::sbom::DebianPackage>,
    /// The release of the kernel whose modules are there.
    pub(crate) kernel: Option<String>,
}

impl AboutBase {
    pub(crate) fn of(root: &Root) -> Self {
        let packages = root.text("var/lib/dpkg/status").map(|status| packages(&status)).unwrap_or_default();
        // One kernel's modules; of several none is the kernel.
        let mut releases = root.names("lib/modules");
        let kernel = if releases.len() == 1 { releases.pop() } else { None };
        Self { packages, kernel }
    }
}

/// Runs what blocks beside the runtime's own threads.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, BuildError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => Ok(done),
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => Err(BuildError::Stopped),
    }
}

/// A piece of work that is told of, until it is dropped.
struct Telling<'a> {
    progress: &'a dyn Progress,
    name: &'a str,
    began: Instant,
}

impl<'a> Telling<'a> {
    fn start(progress: &'a dyn Progress, name: &'a str, what: String) -> Self {
        progress.event(name, Event::Started { what, total: None });
        Self { progress, name, began: Instant::now() }
    }
}

impl Drop for Telling<'_> {
    fn drop(&mut self) {
        self.progress.event(self.name, Event::Finished { elapsed: self.began.elapsed() });
    }
}

/// So that a report's list of images is made in one place.
pub(crate) fn report_image(names: &[String], digest: Digest) -> ReportImage {
    ReportImage { names: names.to_vec(), digest }
}
