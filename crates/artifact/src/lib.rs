//! A file by name: from a folder or the search path, a cache, an OCI image, or a Go build.
//!
//! The caller says *what* it needs as an [`Artifact`], and [`Store::fetch`] finds the cheapest way to it:
//!
//! 1. **path**: the `bin_dir` given by the user, then the search path, when the binary tells the wanted version;
//! 2. **cache**: a file fetched before, keyed by everything that went into it and verified at each use;
//! 3. **oci**: the one file out of the layers of an OCI image;
//! 4. **go**: `go build` from a pinned pair of `go.mod` and `go.sum`.
//!
//! [`Source`] narrows the choice. When nothing works the error lists every source tried, why it failed, and what to do.
//!
//! The registry half ([`oci`]) knows nothing of artifacts and can be used alone.
//!
//! Dropping the future of a fetch stops everything it started (a Go build with all of its compilers, a download), so a caller
//! that handles Ctrl-C only has to stop polling.

mod artifact;
mod cache;
mod child;
mod go;
pub mod oci;
mod platform;
mod probe;
mod progress;
mod store;

pub use artifact::{Artifact, ArtifactError, GoSource, ImageSource, Origin, ParseSourceError, Probe, Source};
pub use cache::{CacheError, default_cache_root};
pub use go::{GoError, GoModules, go_module_dir};
pub use platform::Platform;
pub use probe::PathError;
pub use progress::{Event, NoProgress, Progress};
pub use store::{Attempt, AttemptError, FetchError, FetchOptions, Fetched, Store};

/// An error and everything below it on one line, outermost first.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        let said = source.to_string();
        if !text.ends_with(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        next = source.source();
    }
    text
}
