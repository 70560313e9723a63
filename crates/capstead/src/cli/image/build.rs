//! The command line of `capstead image build`.

use std::path::PathBuf;

use clap::Args;
use clap::Subcommand;
use clap::ValueEnum;

use super::Mirroring;
use crate::cli::Output;
use crate::cli::Sources;
use crate::cli::vm::Pair;

const NODE: &str = "Examples:
  capstead image build node                                       the default version, into the folder ./node
  capstead image build node --kubernetes v1.36.3 --output oci:$PWD/node --dry-run    what would be fetched and done
  capstead image build node --output docker-archive:node.tar
  capstead image build node --output registry.example/nodes:v1.36.3 --documents ./node
  capstead image build node -f edge.yaml --set DEBIAN_SUITE=trixie    with what a file of your own adds
  capstead image build node --no-cache                            with the packages that Debian has by now

An image goes to oci:DIR[:TAG], oci-archive:FILE[:TAG], docker-archive:FILE[:TAG] or HOST[:PORT]/REPOSITORY[:TAG]. Beside a folder or an archive lie its
manifest (.manifest.json) and SBOM (.spdx.json). The same inputs give the same digest, but for containerd's store (`preload: store`), which holds times.

It needs mmdebstrap; without root uidmap, too, and ranges in /etc/subuid and /etc/subgid. What was fetched and done is kept in the cache.";

const KERNEL: &str = "Examples:
  capstead image build kernel                                     into the folder ./kernel
  capstead image build kernel --output registry.example/kernel:6.1
  capstead image build kernel --package linux-image-6.1.0-44-cloud-amd64    exactly this one, as the node's kernel.package
  capstead image build kernel --module virtiofs -o json | jq -r .kernel

In the image are boot/vmlinuz for QEMU, boot/vmlinux for Firecracker and Cloud Hypervisor, and boot/initrd, which all of them need.";

/// `capstead image build`.
#[derive(Debug, Subcommand)]
pub enum ImageBuild {
    /// Build a Kubernetes node's root file system
    #[command(after_help = NODE)]
    Node(BuildNode),
    /// Build an image with Debian's kernel for nodes
    #[command(after_help = KERNEL)]
    Kernel(BuildKernel),
}

/// `capstead image build node`.
#[derive(Debug, Args)]
pub struct BuildNode {
    /// The Kubernetes version, as v1.36.3 [default: the newest built in]
    #[arg(long, visible_alias = "kubernetes-version", env = "CAPSTEAD_KUBERNETES", value_name = "V")]
    pub kubernetes: Option<String>,
    /// The file that says what is in the image [default: the built-in `node`, which files of your own extend]
    #[arg(long, short, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Set a variable of the file, whatever it says; can be given several times
    #[arg(long, value_name = "NAME=VALUE")]
    pub set: Vec<Pair>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub building: Building,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub sources: Sources,
}

/// `capstead image build kernel`.
#[derive(Debug, Args)]
pub struct BuildKernel {
    /// Debian's release [default: bookworm]
    #[arg(long, value_name = "SUITE")]
    pub suite: Option<String>,
    /// The kernel's package, or one that always depends on the newest [default: linux-image-cloud-amd64]
    #[arg(long, value_name = "PACKAGE")]
    pub package: Option<String>,
    /// A further module for the initial RAM disk, with those it needs; can be given several times
    #[arg(long, value_name = "MODULE")]
    pub module: Vec<String>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub building: Building,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub mirroring: Mirroring,
}

/// What building any image has in common.
#[derive(Debug, Args)]
pub struct Building {
    /// Where the image goes [default: oci:./node or oci:./kernel]; how the result is printed is -o
    #[arg(long, value_name = "IMAGE")]
    pub output: Option<String>,
    /// How its layers are packed [default: zstd for a registry, else none]
    #[arg(long, value_name = "HOW")]
    pub compression: Option<CompressionArg>,
    /// What the paths of manifest and SBOM begin with [default: the path of the folder or archive; for a registry there are none]
    #[arg(long, value_name = "PATH")]
    pub documents: Option<PathBuf>,
    /// Only tell what would be fetched and done
    #[arg(long)]
    pub dry_run: bool,
    /// Do every step again, as Debian's packages may be newer; binaries are taken from the cache all the same
    #[arg(long)]
    pub no_cache: bool,
    /// Where Debian's packages are.
    #[arg(
        long,
        help = "Where Debian's packages are, as http://mirror.example/debian; can be given several times [default: as the file says, else mmdebstrap's]",
        env = "CAPSTEAD_DEBIAN_MIRRORS",
        value_delimiter = ',',
        value_name = "URL"
    )]
    pub debian_mirror: Vec<String>,
    /// The folder that binaries and finished steps are kept in [default: $XDG_CACHE_HOME/capstead]
    #[arg(long, env = "CAPSTEAD_CACHE_DIR", value_name = "D")]
    pub cache_dir: Option<PathBuf>,
    /// How to print what was built, or would be
    #[arg(long, short = 'o', default_value = "table")]
    pub format: Output,
}

/// How layers are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CompressionArg {
    /// Not at all
    #[value(name = "none")]
    Plain,
    /// By zstd
    Zstd,
}
