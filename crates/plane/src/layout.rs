//! Where a plane keeps its files. Everything is private to the user.
//!
//! ```text
//! <root>/<name>/plane.json              what the plane is: identity, options, components, ports
//!               status.json             what it was doing last
//!               kubeconfig              for its administrator
//!               pki/                    authorities and the service-account key
//!               components/<component>/ certs/, kubeconfig, data/, log, lock
//! ```

use std::fs;
use std::io;
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

/// The folder of one plane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    dir: PathBuf,
    name: String,
}

/// A plane's name or folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    /// The name breaks the rule.
    #[error("the plane name {0:?} must be 1 to 40 lower-case letters, digits and '-', beginning with a letter or digit")]
    Name(String),
    /// A file or folder cannot be made, read or removed.
    #[error("cannot {what} {path}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Maps an I/O error to [`LayoutError::Io`].
pub(crate) fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> LayoutError {
    let path = path.to_owned();
    move |source| LayoutError::Io { what, path, source }
}

/// The default root of all planes: `$XDG_STATE_HOME/capstead/planes`, else `~/.local/state/capstead/planes`.
#[must_use]
pub fn default_root() -> PathBuf {
    let state = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || std::env::home_dir().unwrap_or_else(|| PathBuf::from("/"));
    state.unwrap_or_else(|| home().join(".local/state")).join("capstead/planes")
}

impl Layout {
    /// The folder of the plane `name` below `root`. Nothing is made yet.
    ///
    /// # Errors
    /// The name breaks the rule.
    pub fn new(root: &Path, name: &str) -> Result<Self, LayoutError> {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if name.is_empty() || name.len() > 40 || name.starts_with('-') || !name.bytes().all(plain) {
            return Err(LayoutError::Name(name.to_owned()));
        }
        let root = std::path::absolute(root).map_err(failed("find", root))?;
        Ok(Self { dir: root.join(name), name: name.to_owned() })
    }

    /// The planes below `root`, by name.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn all(root: &Path) -> Result<Vec<Self>, LayoutError> {
        let entries = match fs::read_dir(root) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(failed("read", root))?,
        };
        let mut names: Vec<String> = entries.filter_map(Result::ok).filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort();
        let planes = names.iter().filter_map(|name| Self::new(root, name).ok());
        Ok(planes.filter(|layout| layout.plane_file().exists()).collect())
    }

    /// The plane's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The plane's folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What the plane is.
    #[must_use]
    pub fn plane_file(&self) -> PathBuf {
        self.dir.join("plane.json")
    }

    /// What the plane was doing last.
    #[must_use]
    pub fn status_file(&self) -> PathBuf {
        self.dir.join("status.json")
    }

    /// The administrator's kubeconfig.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.dir.join("kubeconfig")
    }

    /// Held by the one supervisor.
    #[must_use]
    pub fn supervisor_lock(&self) -> PathBuf {
        self.dir.join("supervisor.lock")
    }

    /// What the supervisor says.
    #[must_use]
    pub fn supervisor_log(&self) -> PathBuf {
        self.dir.join("supervisor.log")
    }

    /// Authorities and the service-account key.
    #[must_use]
    pub fn pki(&self) -> PathBuf {
        self.dir.join("pki")
    }

    /// A component's folder.
    #[must_use]
    pub fn component(&self, component: &str) -> PathBuf {
        self.dir.join("components").join(component)
    }

    /// A component's certificates.
    #[must_use]
    pub fn certs(&self, component: &str) -> PathBuf {
        self.component(component).join("certs")
    }

    /// A component's kubeconfig.
    #[must_use]
    pub fn component_kubeconfig(&self, component: &str) -> PathBuf {
        self.component(component).join("kubeconfig")
    }

    /// A component's data.
    #[must_use]
    pub fn data(&self, component: &str) -> PathBuf {
        self.component(component).join("data")
    }

    /// A component's output.
    #[must_use]
    pub fn log(&self, component: &str) -> PathBuf {
        self.component(component).join("log")
    }

    /// Held open, and so locked, by a component's process for as long as it lives.
    #[must_use]
    pub fn component_lock(&self, component: &str) -> PathBuf {
        self.component(component).join("lock")
    }

    /// Removes every file of the plane.
    ///
    /// # Errors
    /// Something cannot be removed.
    pub fn purge(&self) -> Result<(), LayoutError> {
        match fs::remove_dir_all(&self.dir) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", &self.dir)(error)),
            _ => Ok(()),
        }
    }
}

/// Makes a folder and its parents, for this user only.
///
/// # Errors
/// It cannot be made.
pub fn private_dir(path: &Path) -> Result<(), LayoutError> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed("make the folder", path))?;
    // A folder that was there before may be open to others.
    fs::set_permissions(path, fs::Permissions::from_mode(0o700)).map_err(failed("protect the folder", path))
}

/// Writes a file for this user only, whole or not at all.
///
/// # Errors
/// It cannot be written.
pub fn write_private(path: &Path, content: &[u8]) -> Result<(), LayoutError> {
    let write = || {
        let dir = path.parent().unwrap_or(Path::new("."));
        let mut file = tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o600)).tempfile_in(dir)?;
        file.write_all(content)?;
        file.as_file().sync_data()?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    };
    write().map_err(failed("write", path))
}

/// Opens a file for appending, for this user only.
///
/// # Errors
/// It cannot be opened.
pub fn append_private(path: &Path) -> Result<fs::File, LayoutError> {
    fs::OpenOptions::new().create(true).append(true).mode(0o600).open(path).map_err(failed("open", path))
}

/// Takes the lock on a file, without waiting. `None` when somebody else holds it. The lock lasts as long as any copy of the file is open.
///
/// # Errors
/// The file cannot be opened or locked.
pub fn try_lock(path: &Path) -> Result<Option<fs::File>, LayoutError> {
    let open = || fs::OpenOptions::new().create(true).truncate(false).read(true).write(true).mode(0o600).open(path);
    let file = open().map_err(failed("open", path))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(fs::TryLockError::WouldBlock) => Ok(None),
        Err(fs::TryLockError::Error(source)) => Err(failed("lock", path)(source)),
    }
}

/// Takes the lock on a file, trying for half a second: commands that prepare a plane hold its lock for a moment.
///
/// # Errors
/// As [`try_lock`].
pub async fn lock_for_a_while(path: &Path) -> Result<Option<fs::File>, LayoutError> {
    for _ in 0..25 {
        if let Some(file) = try_lock(path)? {
            return Ok(Some(file));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(None)
}

#[cfg(test)]
mod tests;
