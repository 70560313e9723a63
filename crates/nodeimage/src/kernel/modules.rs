//! Which kernel modules an initrd needs, and in which order they are loaded.

use thiserror::Error;

/// Why modules cannot be put in order.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ModuleError {
    /// It is neither a module nor part of the kernel.
    #[error("the kernel has no module `{name}`, nor is it built in")]
    NotFound {
        /// The module.
        name: String,
    },
    /// It is packed in a way that is not supported.
    #[error("the module `{name}` is packed ({file}): only uncompressed ones and .xz are supported")]
    Packed {
        /// The module.
        name: String,
        /// Its file.
        file: String,
    },
}

/// The names a module depends on, as it says itself.
pub(crate) fn depends(module: &[u8]) -> Vec<String> {
    // In its section .modinfo are texts, each ended by a zero.
    let Some(at) = memchr::memmem::find(module, b"\0depends=").map(|at| at + 9) else { return Vec::new() };
    let end = memchr::memchr(0, &module[at..]).map_or(module.len(), |end| at + end);
    let text = String::from_utf8_lossy(&module[at..end]).into_owned();
    text.split(',').map(plain).filter(|name| !name.is_empty()).collect()
}

/// Gives a module's bytes by its name; nothing for what is built in.
type Look<'a> = dyn FnMut(&str) -> Result<Option<Vec<u8>>, ModuleError> + 'a;

/// Modules in the order in which they can be loaded: what they depend on before them.
pub(crate) fn ordered(wanted: &[String], look: &mut Look<'_>) -> Result<Vec<(String, Vec<u8>)>, ModuleError> {
    let mut done: Vec<(String, Vec<u8>)> = Vec::new();
    let mut passed: Vec<String> = Vec::new();
    for name in wanted {
        add(&plain(name), look, &mut done, &mut passed)?;
    }
    Ok(done)
}

fn add(name: &str, look: &mut Look<'_>, done: &mut Vec<(String, Vec<u8>)>, passed: &mut Vec<String>) -> Result<(), ModuleError> {
    // Passed once is enough, and ends circles that no sound kernel has.
    if passed.iter().any(|there| there == name) {
        return Ok(());
    }
    passed.push(name.to_owned());
    if let Some(bytes) = look(name)? {
        for other in depends(&bytes) {
            add(&other, look, done, passed)?;
        }
        done.push((name.to_owned(), bytes));
    }
    Ok(())
}

/// A module's name: files have `-` where names have `_`.
pub(crate) fn plain(name: &str) -> String {
    name.trim().replace('-', "_")
}
