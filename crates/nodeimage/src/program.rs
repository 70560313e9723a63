//! An image of one program, with the shared libraries that it needs from this machine: no base, no registry, no Docker.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use capstead_artifact::Platform;
use thiserror::Error;

use crate::elf;
use crate::layer::{Content, Entry, Kind, Layer, digest_file};
use crate::oci::{About, LayerFile, OciImage};
use crate::output::{Built, Report, ReportBinary, ReportLayer};
use crate::plan::DEFAULT_EPOCH;
use crate::sbom::{Contents, Program};

#[cfg(test)]
mod tests;

/// The program, and what the image says of itself.
#[derive(Clone, Debug)]
pub struct ProgramImage<'a> {
    /// The image's name, in full.
    pub name: &'a str,
    /// Its tag, which is the program's version.
    pub tag: &'a str,
    /// The program on this machine.
    pub program: &'a Path,
    /// Its absolute path in the image, which is the entry point.
    pub path: &'a str,
    /// Whom it runs as.
    pub user: &'a str,
    /// Labels.
    pub labels: BTreeMap<String, String>,
}

/// Why there is no image.
#[derive(Debug, Error)]
pub enum ProgramError {
    /// A file cannot be read or written.
    #[error("cannot use {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is no program.
    #[error("{} is no 64-bit program of Linux", .0.display())]
    Form(PathBuf),
    /// A library is in none of the folders where Debian has them.
    #[error("{} needs the library {library}, which is in none of {}", program.display(), elf::FOLDERS.join(", "))]
    Library {
        /// What needs it.
        program: PathBuf,
        /// Its name.
        library: String,
    },
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> ProgramError {
    let path = path.to_owned();
    move |source| ProgramError::Io { path, source }
}

/// Makes the image. Its layer is kept in `work`, which must be there until the image is written. The same program gives the same image on
/// machines with the same libraries.
///
/// # Errors
/// It is no program, or a library that it needs is not to be found.
pub fn program(image: &ProgramImage<'_>, work: &Path) -> Result<Built, ProgramError> {
    let mut layer = Layer::default();
    let inside = image.path.trim_start_matches('/');
    let mut left = vec![(inside.to_owned(), image.program.to_owned())];
    let mut taken = Vec::new();
    while let Some((inside, path)) = left.pop() {
        if taken.contains(&inside) {
            continue;
        }
        let bytes = fs::read(&path).map_err(at(&path))?;
        let needed = elf::needed(&bytes).ok_or_else(|| ProgramError::Form(path.clone()))?;
        for library in needed.libraries {
            let found = elf::FOLDERS.iter().map(|folder| format!("{folder}/{library}")).find(|file| Path::new("/").join(file).is_file());
            let found = found.ok_or_else(|| ProgramError::Library { program: path.clone(), library })?;
            left.push((found.clone(), Path::new("/").join(found)));
        }
        if let Some(loader) = needed.interpreter {
            left.push((loader.trim_start_matches('/').to_owned(), loader.into()));
        }
        // Links are followed: what is read is the file itself.
        let path = fs::canonicalize(&path).map_err(at(&path))?;
        layer.put(&inside, Entry::new(Kind::File(Content::Path(path)), 0o755));
        taken.push(inside);
    }
    let path = work.join("program.tar");
    let written = layer.write(&path, DEFAULT_EPOCH).map_err(at(&path))?;
    let platform = Platform::default();
    let about = About {
        platform: platform.clone(),
        epoch: DEFAULT_EPOCH,
        entrypoint: vec![image.path.to_owned()],
        user: image.user.to_owned(),
        labels: image.labels.clone(),
        ..About::default()
    };
    let oci = OciImage::new(&about, vec![LayerFile::plain(path, written.clone(), image.path)]);
    let file = image.path.rsplit('/').next().unwrap_or_default().to_owned();
    let digest = digest_file(image.program).map_err(at(image.program))?.digest;
    let binary = ReportBinary {
        name: file.clone(),
        version: image.tag.to_owned(),
        path: Some(image.path.to_owned()),
        digest: digest.clone(),
        from: "this workspace".into(),
    };
    let layers = vec![ReportLayer { diff_id: written.digest, size: written.size, what: image.path.to_owned() }];
    let report =
        Report { name: image.name.to_owned(), platform: platform.to_string(), binaries: vec![binary], layers, ..Report::default() };
    let own = Program { name: file, version: image.tag.to_owned(), digest, from: "this workspace".into(), go: None };
    let contents = Contents { name: image.name.to_owned(), programs: vec![own], ..Contents::default() };
    Ok(Built { image: oci, tag: Some(image.tag.to_owned()), report, contents, epoch: DEFAULT_EPOCH, cache: None })
}
