//! Versions of Kubernetes that clusters of the suite can have.

use semver::Version;

/// The oldest that Cluster API 1.14 supports in a workload cluster. Its kubeadm API is v1beta4, too.
pub const OLDEST: Version = Version::new(1, 31, 0);

/// Why a version cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VersionError {
    /// It is none.
    #[error("{0:?} is no version of Kubernetes; one as v1.36.3 or 1.36.3 is expected, v{OLDEST} at least")]
    Malformed(String),
    /// Cluster API does not support it.
    #[error("Kubernetes v{0} is too old: Cluster API supports v{OLDEST} at least")]
    TooOld(Version),
}

/// The version as objects have it, `v1.36.3`, from one with or without `v`.
///
/// # Errors
/// When it is none, or older than [`OLDEST`].
pub fn checked(text: &str) -> Result<String, VersionError> {
    let version = Version::parse(text.strip_prefix('v').unwrap_or(text)).map_err(|_| VersionError::Malformed(text.to_owned()))?;
    if version < OLDEST { Err(VersionError::TooOld(version)) } else { Ok(format!("v{version}")) }
}

/// Whether one version is older than another. What is none is not.
#[must_use]
pub fn is_older(one: &str, other: &str) -> bool {
    let parse = |text: &str| Version::parse(text.strip_prefix('v').unwrap_or(text)).ok();
    parse(one).zip(parse(other)).is_some_and(|(one, other)| one < other)
}

#[cfg(test)]
mod tests {
    use super::checked;
    use super::is_older;

    #[test]
    fn versions_are_compared_by_their_numbers() {
        assert!(is_older("v1.35.4", "v1.36.3") && is_older("v1.35.9", "1.35.10"));
        assert!(!is_older("v1.36.3", "v1.36.3") && !is_older("v1.37.0", "v1.36.3") && !is_older("", "v1.36.3"));
    }

    #[test]
    fn versions_are_those_that_cluster_api_supports() {
        for (text, version) in [("1.36.3", "v1.36.3"), ("v1.31.0", "v1.31.0"), ("1.37.0-rc.1", "v1.37.0-rc.1")] {
            assert_eq!(checked(text).unwrap(), version);
        }
        let error = checked("1.23.10").unwrap_err().to_string();
        assert_eq!(error, "Kubernetes v1.23.10 is too old: Cluster API supports v1.31.0 at least");
        for text in ["", "1.36", "latest", "vv1.36.3"] {
            let error = checked(text).unwrap_err().to_string();
            assert!(error.contains("v1.31.0 at least"), "{error}");
        }
    }
}
