//! An empty qcow2 image over a raw one, as `qemu-img create -b` makes it. QEMU's `docs/interop/qcow2.txt` describes the format.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use thiserror::Error;

pub(super) const MAGIC: [u8; 4] = *b"QFI\xfb";
const CLUSTER_BITS: u32 = 16;
const CLUSTER: u64 = 1 << CLUSTER_BITS;
/// Bytes of the disk that one entry of the first-level table stands for: a cluster of entries of the second, each for a cluster.
const SPAN: u64 = CLUSTER / 8 * CLUSTER;
const HEADER_LENGTH: u32 = 104;
/// A header extension that names the base's format, so that nobody guesses it from bytes that a guest wrote.
const BACKING_FORMAT: u32 = 0xe279_2aca;
/// The longest name of a base.
const LONGEST_NAME: usize = 1023;
/// The clusters before the first-level table: header, reference count table, and one block of counts.
const TABLE_AT: u64 = 3;

/// Why an overlay cannot be described.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum QcowError {
    /// The base's name does not fit.
    #[error("the path {} is longer than the {LONGEST_NAME} bytes that qcow2 has for it", base.display())]
    Name {
        /// The base.
        base: PathBuf,
    },
    /// The disk is too large.
    #[error("a disk of {size} bytes is too large for qcow2")]
    Size {
        /// Its size.
        size: u64,
    },
}

/// The whole image: what is not in it is read from `base`, and reads as zeros beyond its end.
pub(super) fn overlay(base: &Path, size: u64) -> Result<Vec<u8>, QcowError> {
    let name = base.as_os_str().as_bytes();
    if name.len() > LONGEST_NAME {
        return Err(QcowError::Name { base: base.to_path_buf() });
    }
    // The format counts in sectors, and its tables have a largest size: 32 MiB, far more than one block of counts here covers.
    let sectors = size.checked_next_multiple_of(512).ok_or(QcowError::Size { size })?;
    let entries = u32::try_from(sectors.div_ceil(SPAN)).ok().filter(|entries| u64::from(*entries) * 8 <= 32 << 20);
    let entries = entries.ok_or(QcowError::Size { size })?;
    let clusters = TABLE_AT + (u64::from(entries) * 8).div_ceil(CLUSTER);

    let mut header = Vec::with_capacity(CLUSTER as usize);
    let mut extensions = Vec::new();
    // Filled up to 8 bytes, and followed by an empty one that ends them.
    for part in [BACKING_FORMAT.to_be_bytes(), 3_u32.to_be_bytes(), *b"raw\0", [0; 4], [0; 4], [0; 4]] {
        extensions.extend_from_slice(&part);
    }
    let name_at = HEADER_LENGTH as usize + extensions.len();
    header.extend_from_slice(&MAGIC);
    let number = |header: &mut Vec<u8>, value: u32| header.extend_from_slice(&value.to_be_bytes());
    let long = |header: &mut Vec<u8>, value: u64| header.extend_from_slice(&value.to_be_bytes());
    number(&mut header, 3); // version
    long(&mut header, name_at as u64);
    number(&mut header, u32::try_from(name.len()).unwrap_or_default());
    number(&mut header, CLUSTER_BITS);
    long(&mut header, sectors);
    number(&mut header, 0); // not encrypted
    number(&mut header, entries);
    long(&mut header, TABLE_AT * CLUSTER);
    long(&mut header, CLUSTER); // the reference count table
    number(&mut header, 1); // its clusters
    number(&mut header, 0); // no snapshots
    long(&mut header, 0);
    long(&mut header, 0); // no incompatible features
    long(&mut header, 0); // nor compatible ones
    long(&mut header, 0); // nor any that clear themselves
    number(&mut header, 4); // reference counts of 16 bits
    number(&mut header, HEADER_LENGTH);
    header.extend_from_slice(&extensions);
    header.extend_from_slice(name);

    let mut image = header;
    image.resize((clusters * CLUSTER) as usize, 0);
    // The table's one block of counts, and a count for each cluster there is.
    let (table, counts) = (CLUSTER as usize, 2 * CLUSTER as usize);
    image[table..table + 8].copy_from_slice(&(2 * CLUSTER).to_be_bytes());
    for cluster in 0..clusters as usize {
        image[counts + 2 * cluster..counts + 2 * cluster + 2].copy_from_slice(&1_u16.to_be_bytes());
    }
    Ok(image)
}
