//! What an image is asked for by.
//!
//! | form | means |
//! |---|---|
//! | `HOST[:PORT]/REPOSITORY[:TAG][@sha256:HEX]` | an image in a registry. The host is needed, as containerd has it: no `docker.io` is guessed |
//! | `oci:DIR[:TAG]` | an image in a folder of the OCI layout |
//! | `oci-archive:FILE[:TAG]` | the same in a tar archive |
//! | `docker-archive:FILE[:TAG]` | what `docker save` writes |
//! | `file:PATH` | a raw file: a disk, a kernel or an initrd |
//!
//! All but the first name files of the host, which must be absolute paths: whether clients may do that is up to whoever runs the host.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::Digest;

#[cfg(test)]
mod tests;

/// The longest reference read, in bytes.
const LONGEST: usize = 4096;
/// As registries have it.
const LONGEST_REPOSITORY: usize = 255;
const LONGEST_TAG: usize = 128;

/// An image reference. Printing one gives its plain form, which reads back as the same.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Reference {
    /// An image in a registry.
    Registry(RegistryReference),
    /// An image in a folder of the OCI layout.
    OciLayout {
        /// The folder.
        path: PathBuf,
        /// Which image, where there are several.
        tag: Option<String>,
    },
    /// The same in a tar archive.
    OciArchive {
        /// The archive.
        path: PathBuf,
        /// Which image, where there are several.
        tag: Option<String>,
    },
    /// An archive written by `docker save`.
    DockerArchive {
        /// The archive.
        path: PathBuf,
        /// The tag of the image, where there are several.
        tag: Option<String>,
    },
    /// A raw file.
    File {
        /// The file.
        path: PathBuf,
    },
}

/// An image in a registry.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RegistryReference {
    /// The registry's host, with its port if it was given.
    pub host: String,
    /// The image's name there.
    pub repository: String,
    /// Its version. `latest` is meant where there is neither tag nor digest.
    pub tag: Option<String>,
    /// Exactly which.
    pub digest: Option<Digest>,
}

/// A text that is no reference.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ParseReferenceError {
    /// Nothing at all.
    #[error("an image reference is empty")]
    Empty,
    /// Too long.
    #[error("an image reference has {length} bytes: at most {LONGEST} are read")]
    Long {
        /// Its length.
        length: usize,
    },
    /// A URL.
    #[error("`{reference}` is not an image reference: leave out `://` and what is before it")]
    Url {
        /// The text.
        reference: String,
    },
    /// No registry.
    #[error("`{reference}` does not name its registry: write HOST/REPOSITORY, such as docker.io/library/ubuntu:24.04 or registry:5000/os")]
    Host {
        /// The text.
        reference: String,
    },
    /// A part is not as registries have it.
    #[error("`{reference}` is not an image reference: {part} may not be `{found}`")]
    Part {
        /// The text.
        reference: String,
        /// Which part.
        part: &'static str,
        /// What it is.
        found: String,
    },
    /// A path that is not absolute, or not plain.
    #[error("`{reference}` is not an image reference: the path must be absolute, without `..`, `:` and control characters")]
    Path {
        /// The text.
        reference: String,
    },
}

impl Reference {
    /// Whether it names files of this host.
    #[must_use]
    pub fn is_local(&self) -> bool {
        !matches!(self, Self::Registry(_))
    }
}

impl FromStr for Reference {
    type Err = ParseReferenceError;

    /// Reads a reference. White space and control characters around it are passed over, as flintlock does.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > LONGEST {
            return Err(ParseReferenceError::Long { length: text.len() });
        }
        let text = text.trim_matches(|c: char| c.is_whitespace() || c.is_control());
        if text.is_empty() {
            return Err(ParseReferenceError::Empty);
        }
        let error = |text: &str| text.chars().flat_map(char::escape_debug).take(200).collect::<String>();
        if text.contains("://") {
            return Err(ParseReferenceError::Url { reference: error(text) });
        }
        let path = |path: &str| plain_path(path).ok_or_else(|| ParseReferenceError::Path { reference: error(text) });
        let tagged = |rest: &str| {
            let (file, tag) = match rest.rsplit_once(':') {
                Some((file, tag)) if is_tag(tag) => (file, Some(tag.to_owned())),
                _ => (rest, None),
            };
            path(file).map(|path| (path, tag))
        };
        match text.split_once(':') {
            Some(("oci", rest)) => tagged(rest).map(|(path, tag)| Self::OciLayout { path, tag }),
            Some(("oci-archive", rest)) => tagged(rest).map(|(path, tag)| Self::OciArchive { path, tag }),
            Some(("docker-archive", rest)) => tagged(rest).map(|(path, tag)| Self::DockerArchive { path, tag }),
            Some(("file", rest)) => path(rest).map(|path| Self::File { path }),
            _ => registry(text).map(Self::Registry).map_err(|wrong| match wrong {
                Wrong::Host => ParseReferenceError::Host { reference: error(text) },
                Wrong::Part(part, found) => ParseReferenceError::Part { reference: error(text), part, found: error(found) },
            }),
        }
    }
}

enum Wrong<'a> {
    Host,
    Part(&'static str, &'a str),
}

fn registry(text: &str) -> Result<RegistryReference, Wrong<'_>> {
    let (host, rest) = text.split_once('/').ok_or(Wrong::Host)?;
    // A name without a dot or a port is more often the first part of a name at Docker's registry than a host.
    if host.is_empty() || !(host.contains(['.', ':', '[']) || host == "localhost") {
        return Err(Wrong::Host);
    }
    if !is_host(host) {
        return Err(Wrong::Part("the host", host));
    }
    let (rest, digest) = match rest.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest.parse().map_err(|_| Wrong::Part("the digest", digest))?)),
        None => (rest, None),
    };
    let (repository, tag) = match rest.split_once(':') {
        Some((_, tag)) if !is_tag(tag) => return Err(Wrong::Part("the tag", tag)),
        Some((repository, tag)) => (repository, Some(tag.to_owned())),
        None => (rest, None),
    };
    if repository.len() > LONGEST_REPOSITORY || !repository.split('/').all(is_repository_part) {
        return Err(Wrong::Part("the repository", repository));
    }
    Ok(RegistryReference { host: host.to_owned(), repository: repository.to_owned(), tag, digest })
}

fn is_host(text: &str) -> bool {
    let (name, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, rest)) if address.parse::<std::net::Ipv6Addr>().is_ok() => match rest.strip_prefix(':') {
            Some(port) => (None, Some(port)),
            None if rest.is_empty() => (None, None),
            None => return false,
        },
        Some(_) => return false,
        None => text.split_once(':').map_or((Some(text), None), |(name, port)| (Some(name), Some(port))),
    };
    let label = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let port_is_one = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0);
    name.is_none_or(|name| name.len() <= 253 && name.split('.').all(label)) && port.is_none_or(port_is_one)
}

/// Lower-case letters and digits, with `.`, `_`, `__` or dashes between them.
fn is_repository_part(text: &str) -> bool {
    let alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let separators = text.split(alphanumeric).filter(|separator| !separator.is_empty());
    let ends = text.starts_with(alphanumeric) && text.ends_with(alphanumeric);
    ends && separators.into_iter().all(|separator| matches!(separator, "." | "_" | "__") || separator.bytes().all(|byte| byte == b'-'))
}

fn is_tag(text: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    text.len() <= LONGEST_TAG
        && text.bytes().next().is_some_and(word)
        && text.bytes().all(|byte| word(byte) || byte == b'.' || byte == b'-')
}

/// An absolute path that means what it says. A colon would make its end look like a tag.
fn plain_path(text: &str) -> Option<PathBuf> {
    let plain = text.starts_with('/') && !text.contains(|c: char| c == ':' || c.is_control()) && text.split('/').all(|part| part != "..");
    // White space at its end would not be read back.
    let read_back = |path: &PathBuf| path.parent().is_some() && !path.to_string_lossy().ends_with(char::is_whitespace);
    plain.then(|| Path::new(text).components().collect()).filter(read_back)
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut local = |form: &str, path: &Path, tag: Option<&String>| {
            write!(f, "{form}:{}", path.display())?;
            tag.map_or(Ok(()), |tag| write!(f, ":{tag}"))
        };
        match self {
            Self::Registry(reference) => reference.fmt(f),
            Self::OciLayout { path, tag } => local("oci", path, tag.as_ref()),
            Self::OciArchive { path, tag } => local("oci-archive", path, tag.as_ref()),
            Self::DockerArchive { path, tag } => local("docker-archive", path, tag.as_ref()),
            Self::File { path } => local("file", path, None),
        }
    }
}

impl fmt::Display for RegistryReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.host, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

impl TryFrom<String> for Reference {
    type Error = ParseReferenceError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Reference> for String {
    fn from(reference: Reference) -> Self {
        reference.to_string()
    }
}
