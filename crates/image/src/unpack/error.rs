//! Why a layer is not unpacked.

use std::io;

use thiserror::Error;

/// The rule an entry breaks.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// `..` in a name or a hard link's target.
    #[error("leads out of the image: `..` is not allowed")]
    LeavesRoot,
    /// The root folder cannot be anything else, nor be removed.
    #[error("would replace the root folder")]
    Root,
    /// A name or target has a zero byte.
    #[error("has a zero byte in its name or target")]
    ZeroByte,
    /// A name, target or attribute's name is not UTF-8.
    #[error("has a name, target or attribute that is not UTF-8")]
    NotUtf8,
    /// Too long a path or target.
    #[error("has a name or target of more than {limit} bytes")]
    Path {
        /// The most allowed.
        limit: usize,
    },
    /// Too many folders above it.
    #[error("is more than {limit} folders deep")]
    Depth {
        /// The most allowed.
        limit: usize,
    },
    /// Something that is not a folder is above it.
    #[error("is below something that is not a folder")]
    NotAFolder,
    /// The links above it have no end.
    #[error("is below a chain of links without end")]
    Links,
    /// A hard link to what is not there.
    #[error("is a hard link to `{target}`, which is not there")]
    NoTarget {
        /// The target.
        target: String,
    },
    /// A hard link to a folder.
    #[error("is a hard link to the folder `{target}`")]
    LinkToFolder {
        /// The target.
        target: String,
    },
    /// A symbolic link to nowhere.
    #[error("is a symbolic link without a target")]
    EmptyTarget,
    /// A whiteout of no name, or a name that only whiteouts have.
    #[error("is no valid whiteout")]
    Whiteout,
    /// A kind of entry that is not supported, such as GNU's sparse files.
    #[error("is of a kind that is not supported ({kind:?})")]
    Kind {
        /// The archive's own letter for it.
        kind: char,
    },
    /// A number that is none, or that does not fit.
    #[error("has a {field} that is no number, or too large")]
    Number {
        /// Which number.
        field: &'static str,
    },
    /// A PAX header that cannot be read.
    #[error("has a PAX header that cannot be read")]
    Pax,
    /// Its further headers are too large.
    #[error("has more than {limit} bytes of names and attributes")]
    Header {
        /// The most allowed.
        limit: u64,
    },
    /// Too large a file.
    #[error("is a file of {size} bytes: at most {limit} are allowed")]
    File {
        /// Its size.
        size: u64,
        /// The most allowed.
        limit: u64,
    },
    /// Too many entries.
    #[error("is one too many: at most {limit} entries are allowed")]
    Entries {
        /// The most allowed.
        limit: u64,
    },
    /// Too many bytes.
    #[error("exceeds the {limit} bytes that all layers together may unpack to")]
    Bytes {
        /// The most allowed.
        limit: u64,
    },
    /// A bomb.
    #[error("is in a layer that unpacks to more than {limit} times its size")]
    Ratio {
        /// The most allowed.
        limit: u64,
    },
    /// Too many names and attributes in all.
    #[error("exceeds the {limit} bytes that names and attributes may take")]
    Memory {
        /// The most allowed.
        limit: u64,
    },
}

/// Why a layer could not be unpacked.
#[derive(Debug, Error)]
pub enum UnpackError {
    /// It is no archive, or breaks off, or is not compressed as it says.
    #[error("layer {layer} cannot be read")]
    Read {
        /// Its place in the image, from 0.
        layer: usize,
        /// What went wrong.
        source: io::Error,
    },
    /// An entry breaks a rule.
    #[error("layer {layer}: `{entry}` {why}")]
    Refused {
        /// Its place in the image, from 0.
        layer: usize,
        /// The entry's name, with what cannot be shown escaped, and shortened.
        entry: String,
        /// The rule.
        why: Refusal,
    },
    /// The contents cannot be written.
    #[error("cannot write the contents of layer {layer}")]
    Write {
        /// Its place in the image, from 0.
        layer: usize,
        /// What the system said.
        source: io::Error,
    },
}
