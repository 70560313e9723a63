//! The folder of records: a file for each microVM, written as a whole or not at all. Records hold bootstrap data, so only their owner may read them.

use std::fs;
use std::fs::File;
use std::io;
use std::io::Read;
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::path::PathBuf;

use serde::Deserialize;

use crate::record::FORMAT;
use crate::record::Record;

/// How a record's file ends.
const ENDING: &str = "json";
/// No record is longer: a spec comes in a message of at most 4 MiB, and what is not text in it is base64 already.
const LONGEST: u64 = 32 << 20;

/// Why a record cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// A file or the folder is out of reach.
    #[error("cannot {what} {path}")]
    Files {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A later program wrote it.
    #[error("{path} has format {format}, and this program knows {FORMAT}: run the program that wrote it, or a later one")]
    Later {
        /// Which file.
        path: PathBuf,
        /// Its format.
        format: u64,
    },
    /// It is no record.
    #[error("{path} is no record of a microVM: {cause}; move it away to go on without it")]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        cause: String,
    },
}

/// The folder.
#[derive(Clone, Debug)]
pub struct Records(PathBuf);

impl Records {
    /// The records in this folder, which is made if it is not there.
    ///
    /// # Errors
    ///
    /// It cannot be made.
    pub fn open(dir: &Path) -> Result<Self, RecordError> {
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
        made.map_err(failed("make", dir))?;
        Ok(Self(dir.to_owned()))
    }

    /// All records, the oldest first, and what is wrong with those that cannot be read: one that is damaged keeps no other from being read.
    ///
    /// # Errors
    ///
    /// The folder cannot be read.
    pub fn all(&self) -> Result<(Vec<Record>, Vec<RecordError>), RecordError> {
        let mut paths = Vec::new();
        for entry in fs::read_dir(&self.0).map_err(failed("read", &self.0))? {
            paths.push(entry.map_err(failed("read", &self.0))?.path());
        }
        paths.retain(|path| path.extension().is_some_and(|ending| ending == ENDING));
        // Uids begin with the time.
        paths.sort();
        let (mut records, mut errors) = (Vec::new(), Vec::new());
        for path in paths {
            match self.read(&path) {
                Ok(record) => records.push(record),
                Err(error) => errors.push(error),
            }
        }
        Ok((records, errors))
    }

    fn read(&self, path: &Path) -> Result<Record, RecordError> {
        let mut bytes = Vec::new();
        let file = File::open(path).map_err(failed("read", path))?;
        file.take(LONGEST + 1).read_to_end(&mut bytes).map_err(failed("read", path))?;
        let record = parse(&bytes, path)?;
        if self.path(&record.uid) == path {
            Ok(record)
        } else {
            Err(RecordError::Damaged { path: path.to_owned(), cause: format!("it is named otherwise than its uid, {}", record.uid) })
        }
    }

    /// Writes a record in place of the one before. It is on the disk when this returns.
    ///
    /// # Errors
    ///
    /// It cannot be written; the one before is there still.
    pub fn write(&self, record: &Record) -> Result<(), RecordError> {
        let path = self.path(&record.uid);
        let new = path.with_extension("new");
        let bytes = serde_json::to_vec_pretty(record).map_err(|source| failed("write", &path)(source.into()))?;
        let written = (|| {
            let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
            file.write_all(&bytes)?;
            file.sync_all()?;
            fs::rename(&new, &path)?;
            File::open(&self.0)?.sync_all()
        })();
        written.map_err(|source| {
            // What is left of it is in nobody's way, and the next one replaces it.
            let _ = fs::remove_file(&new);
            failed("write", &path)(source)
        })
    }

    /// Removes a record. One that is not there is removed.
    ///
    /// # Errors
    ///
    /// It cannot be removed.
    pub fn remove(&self, uid: &str) -> Result<(), RecordError> {
        let path = self.path(uid);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", &path)(error)),
            _ => File::open(&self.0).and_then(|dir| dir.sync_all()).map_err(failed("remove", &path)),
        }
    }

    fn path(&self, uid: &str) -> PathBuf {
        self.0.join(format!("{uid}.{ENDING}"))
    }
}

/// Reads a record from what a file holds.
///
/// # Errors
///
/// It is none, or one of a later form.
pub fn parse(bytes: &[u8], path: &Path) -> Result<Record, RecordError> {
    #[derive(Deserialize)]
    struct Format {
        format: u64,
    }
    let damaged = |cause: String| RecordError::Damaged { path: path.to_owned(), cause };
    if bytes.len() as u64 > LONGEST {
        return Err(damaged(format!("it is longer than {LONGEST} bytes")));
    }
    let Format { format } = serde_json::from_slice(bytes).map_err(|error| damaged(error.to_string()))?;
    if format > u64::from(FORMAT) {
        return Err(RecordError::Later { path: path.to_owned(), format });
    }
    let record: Record = serde_json::from_slice(bytes).map_err(|error| damaged(error.to_string()))?;
    // A uid becomes part of paths.
    let plain = record.uid.len() == 26 && record.uid.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase());
    if plain { Ok(record) } else { Err(damaged(format!("uid: {:?} is no ULID", record.uid))) }
}

fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> RecordError {
    let path = path.to_owned();
    move |source| RecordError::Files { what, path, source }
}

#[cfg(test)]
mod tests;
