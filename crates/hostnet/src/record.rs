//! What was chosen for a microVM and no device shows: ports and addresses. One file each, written before what it speaks of is made.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::io::Read;
use std::io::Write;
use std::net::Ipv4Addr;
use std::path::Path;
use std::path::PathBuf;

use serde::Deserialize;
use serde::Serialize;

use crate::port::Forward;

/// The form of the files; another form is refused, not guessed at.
const VERSION: u32 = 1;
/// No record of ours is larger, in bytes.
const LARGEST: u64 = 1 << 20;

/// A file cannot be read, written or removed.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The file system refuses.
    #[error("cannot {what} {path}")]
    File {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is no record, or of another version.
    #[error("{path} is no record of version {version}: {why}", version = VERSION)]
    Broken {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
}

/// What was chosen for one microVM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    version: u32,
    /// By position.
    pub interfaces: BTreeMap<u8, Kept>,
}

/// What was chosen for one interface.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Kept {
    pub forwards: Vec<Forward>,
    pub lan: Option<KeptLan>,
}

/// A place in a LAN.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KeptLan {
    pub name: String,
    pub address: Ipv4Addr,
}

impl Default for Record {
    fn default() -> Self {
        Self { version: VERSION, interfaces: BTreeMap::new() }
    }
}

impl Record {
    /// The names of the LANs it has a place in.
    pub fn lans(&self) -> impl Iterator<Item = &str> {
        self.interfaces.values().filter_map(|kept| kept.lan.as_ref()).map(|lan| lan.name.as_str())
    }
}

/// Other microVMs' records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Others {
    pub records: Vec<Record>,
    /// How many cannot be read.
    pub broken: usize,
}

impl Others {
    /// Whether one of them has a place in this LAN, or may have.
    pub fn use_lan(&self, name: &str) -> bool {
        self.broken > 0 || self.records.iter().any(|record| record.lans().any(|lan| lan == name))
    }
}

/// The folder of records.
#[derive(Clone, Debug)]
pub(crate) struct Records(pub PathBuf);

fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> RecordError {
    let path = path.to_owned();
    move |source| RecordError::File { what, path, source }
}

impl Records {
    fn path(&self, uid: &str) -> PathBuf {
        self.0.join(format!("{uid}.json"))
    }

    /// A microVM's record; an empty one if there is none.
    pub fn read(&self, uid: &str) -> Result<Record, RecordError> {
        let path = self.path(uid);
        let file = match fs::File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Record::default()),
            other => other.map_err(failed("open", &path))?,
        };
        let mut bytes = Vec::new();
        file.take(LARGEST).read_to_end(&mut bytes).map_err(failed("read", &path))?;
        let record: Record =
            serde_json::from_slice(&bytes).map_err(|error| RecordError::Broken { path: path.clone(), why: error.to_string() })?;
        if record.version != VERSION {
            return Err(RecordError::Broken { path, why: format!("its version is {}", record.version) });
        }
        Ok(record)
    }

    /// Whose records there are.
    pub fn uids(&self) -> Result<Vec<String>, RecordError> {
        let entries = fs::read_dir(&self.0).map_err(failed("read", &self.0))?;
        let names = entries.filter_map(Result::ok).filter_map(|entry| entry.file_name().into_string().ok());
        let mut uids: Vec<String> = names.filter_map(|name| Some(name.strip_suffix(".json")?.to_owned())).collect();
        uids.sort();
        Ok(uids)
    }

    /// All other microVMs' records. One that cannot be read is told in the log and counted: it must not keep new microVMs from being made.
    pub fn others(&self, uid: &str) -> Result<Others, RecordError> {
        let mut others = Others::default();
        for other in self.uids()?.into_iter().filter(|other| other != uid) {
            match self.read(&other) {
                Ok(record) => others.records.push(record),
                Err(error) => {
                    tracing::warn!(%error, "a record is left out");
                    others.broken += 1;
                }
            }
        }
        Ok(others)
    }

    /// Writes a record, whole or not at all.
    pub fn write(&self, uid: &str, record: &Record) -> Result<(), RecordError> {
        let path = self.path(uid);
        let write = || {
            let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(&self.0)?;
            serde_json::to_writer(&mut file, record)?;
            file.flush()?;
            file.as_file().sync_all()?;
            file.persist(&path).map_err(|error| error.error)?;
            fs::File::open(&self.0)?.sync_all()
        };
        write().map_err(failed("write", &path))
    }

    /// Removes a record. One that is gone is no error.
    pub fn remove(&self, uid: &str) -> Result<(), RecordError> {
        let path = self.path(uid);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", &path)(error)),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
