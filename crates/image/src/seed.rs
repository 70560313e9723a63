//! A disk for cloud-init's data source NoCloud: a FAT file system labelled `cidata`, with the documents as files in its root.
//!
//! The same documents give the same bytes.

use std::fs;
use std::io::{self, Cursor, Write};
use std::path::{Path, PathBuf};

use fatfs::{FileSystem, FormatVolumeOptions, FsOptions};
use thiserror::Error;

use crate::guest_data::Documents;
use crate::store::sync_folder_of;

#[cfg(test)]
mod tests;

/// The most that all documents together may have, in bytes.
pub const LARGEST: usize = 16 << 20;
/// cloud-init looks for this label, in lower or upper case.
const LABEL: [u8; 11] = *b"cidata     ";
/// Any number does; a fixed one keeps the bytes the same.
const VOLUME_ID: u32 = 0x6369_6461;
/// The least that the image grows by, in bytes, and a bound on the file system's own part for small images.
const STEP: usize = 1 << 20;

/// Why a seed disk could not be made.
#[derive(Debug, Error)]
pub enum SeedError {
    /// The documents are too large.
    #[error("the documents for cloud-init have {size} bytes: at most {LARGEST} are supported")]
    TooLarge {
        /// Their size.
        size: usize,
    },
    /// The file system cannot be laid out.
    #[error("cannot lay out the seed disk")]
    Layout {
        /// Why.
        source: io::Error,
    },
    /// The disk cannot be written.
    #[error("cannot write the seed disk {}", path.display())]
    Write {
        /// Its path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// The image's bytes.
///
/// # Errors
/// When the documents are too large.
pub fn image(documents: &Documents) -> Result<Vec<u8>, SeedError> {
    let files = documents.files();
    let size: usize = files.iter().map(|(_, content)| content.len()).sum();
    if size > LARGEST {
        return Err(SeedError::TooLarge { size });
    }
    // A cluster for each file's end, the tables (at most 1.6 %), and the root folder fit in the step.
    let length = (size + size / 32).next_multiple_of(STEP) + STEP;
    let mut disk = Cursor::new(vec![0; length]);
    let layout = |source| SeedError::Layout { source };
    let options = FormatVolumeOptions::new().volume_label(LABEL).volume_id(VOLUME_ID);
    fatfs::format_volume(&mut disk, options).map_err(layout)?;
    let fill = |disk: &mut Cursor<Vec<u8>>| -> io::Result<()> {
        let fs = FileSystem::new(disk, FsOptions::new())?;
        for (name, content) in files {
            let mut file = fs.root_dir().create_file(name)?;
            file.truncate()?;
            file.write_all(content)?;
            file.flush()?;
        }
        fs.unmount()
    };
    fill(&mut disk).map_err(layout)?;
    Ok(disk.into_inner())
}

/// Writes the image to a file, in place of one that is there. The name only ever stands for a whole image; a call that dies leaves
/// `path` with `.part` appended, which the next one replaces and [`crate::clone::remove`] removes.
///
/// # Errors
/// When the documents are too large, or the file cannot be written.
pub fn write(documents: &Documents, path: &Path) -> Result<(), SeedError> {
    let bytes = image(documents)?;
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".part");
    let unfinished = PathBuf::from(unfinished);
    let make = || -> io::Result<()> {
        let _ = fs::remove_file(&unfinished);
        let mut options = fs::OpenOptions::new();
        // It may hold secrets: join tokens, keys.
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.write(true).create_new(true).open(&unfinished)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        fs::rename(&unfinished, path)?;
        sync_folder_of(path)
    };
    make().map_err(|source| SeedError::Write { path: path.to_path_buf(), source })
}
