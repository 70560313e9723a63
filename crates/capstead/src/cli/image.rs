//! The command line of `capstead image`.

pub mod build;

use clap::Args;
use clap::Subcommand;

use super::Output;
use super::vm::HostFolders;

const FORMS: &str =
    "An image is named as HOST[:PORT]/REPOSITORY[:TAG][@sha256:HEX], as in a microVM's spec. Credentials come from Docker's configuration
(`docker login`), and a registry on a loopback address is asked by plain HTTP.";

const IMPORT: &str = "Examples:
  capstead image import oci:./layout --as registry.example/os:1    a folder of the OCI layout; microVMs name it registry.example/os:1
  capstead image import oci-archive:os.tar:v1 --as registry.example/os:1
  capstead image import docker-archive:saved.tar --as registry.example/os:1
  capstead image import file:./vmlinux --as registry.example/kernel:6    a raw file: a kernel, an initial RAM disk or a disk";

const PRUNE: &str = "Examples:
  capstead image prune --dry-run     what would go
  capstead image prune               what no image is made of any more
  capstead image prune --all         images, too, that no microVM uses

What a microVM uses stays: images that its spec names, and those its disks and kernel were made from.";

/// `capstead image`.
#[derive(Debug, Subcommand)]
pub enum Image {
    /// Get an image out of its registry, so that microVMs need not wait for it
    #[command(after_help = FORMS)]
    Pull(ImagePull),
    /// Take an image in from a folder, an archive or a file
    #[command(after_help = IMPORT)]
    Import(ImageImport),
    /// List images
    #[command(after_help = "Examples:
  capstead image ls
  capstead image ls -o json | jq '.[].reference'")]
    Ls(ImageLs),
    /// Forget images, and remove what only they were made of
    #[command(after_help = "Examples:
  capstead image rm registry.example/os:1 registry.example/os:2")]
    Rm(ImageRm),
    /// Remove what nothing uses
    #[command(after_help = PRUNE)]
    Prune(ImagePrune),
    /// Show what an image is, and what was made of it
    #[command(after_help = "Examples:
  capstead image inspect registry.example/os:1 -o yaml")]
    Inspect(ImageInspect),
    /// Send an image to a registry
    #[command(after_help = "Examples:
  capstead image push registry.example/os:1
  capstead image push oci:/images/layout registry.example/os:1    under another name")]
    Push(ImagePush),
    /// Build images of Kubernetes nodes and of their kernel
    #[command(subcommand)]
    Build(build::ImageBuild),
}

/// Where registries are really asked.
#[derive(Debug, Clone, Args)]
pub struct Mirroring {
    /// Ask a registry through another address, as ghcr.io=http://127.0.0.1:5000; can be given several times
    #[arg(long, env = "CAPSTEAD_REGISTRY_MIRRORS", value_delimiter = ',', value_name = "REGISTRY=ADDRESS")]
    pub registry_mirror: Vec<String>,
}

/// `capstead image pull`.
#[derive(Debug, Args)]
pub struct ImagePull {
    /// Which
    #[arg(value_name = "IMAGE", required = true)]
    pub images: Vec<String>,
    /// Do not ask the registry for one that is there: its tag may stand for something else by now
    #[arg(long)]
    pub if_missing: bool,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub mirroring: Mirroring,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub folders: HostFolders,
    /// How to print what was pulled
    #[arg(long, short, default_value = "table")]
    pub output: Output,
}

/// `capstead image import`.
#[derive(Debug, Args)]
pub struct ImageImport {
    /// `oci:DIR[:TAG]`, `oci-archive:FILE[:TAG]`, `docker-archive:FILE[:TAG]` or `file:FILE`
    pub source: String,
    /// What microVMs call it [default: the source, which hosts take only with --local-images]
    #[arg(long = "as", value_name = "IMAGE")]
    pub name: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub folders: HostFolders,
    /// How to print what was taken in
    #[arg(long, short, default_value = "table")]
    pub output: Output,
}

/// `capstead image ls`.
#[derive(Debug, Args)]
pub struct ImageLs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub folders: HostFolders,
    /// How to print them
    #[arg(long, short, default_value = "table")]
    pub output: Output,
}

/// `capstead image rm`.
#[derive(Debug, Args)]
pub struct ImageRm {
    /// Which
    #[arg(value_name = "IMAGE", required = true)]
    pub images: Vec<String>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub folders: HostFolders,
}

/// `capstead image prune`.
#[derive(Debug, Args)]
pub struct ImagePrune {
    /// Images, too, that no microVM uses
    #[arg(long, short)]
    pub all: bool,
    /// Only tell what would go
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub folders: HostFolders,
    /// How to print what went
    #[arg(long, short, default_value = "table")]
    pub output: Output,
}

/// `capstead image inspect`.
#[derive(Debug, Args)]
pub struct ImageInspect {
    /// Which
    pub image: String,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub folders: HostFolders,
    /// How to print it
    #[arg(long, short, default_value = "table")]
    pub output: Output,
}

/// `capstead image push`.
#[derive(Debug, Args)]
pub struct ImagePush {
    /// Which
    pub image: String,
    /// Where to [default: the image's own name]
    pub target: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub mirroring: Mirroring,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub folders: HostFolders,
}
