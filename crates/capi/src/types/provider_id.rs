use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The name of a machine's infrastructure, 1 to 512 characters, usually `scheme://id`.
///
/// Core compares it with `Node.spec.providerID` byte for byte, so it is opaque: nothing is trimmed, folded or decoded.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(extend("minLength" = 1, "maxLength" = 512))]
pub struct ProviderId(String);

/// Why a text is no provider id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProviderIdError {
    /// Core reads an empty provider id as none.
    #[error("provider id is empty")]
    Empty,
    /// Longer than the 512 characters of the contract.
    #[error("provider id has {characters} characters, more than 512")]
    TooLong {
        /// The text's length in characters.
        characters: usize,
    },
}

impl ProviderId {
    /// The id as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part before `://`, when there is one.
    #[must_use]
    pub fn scheme(&self) -> Option<&str> {
        self.0.split_once("://").map(|(scheme, _)| scheme)
    }

    /// The part after `scheme://`, when the id has this scheme.
    #[must_use]
    pub fn strip_scheme(&self, scheme: &str) -> Option<&str> {
        self.0.strip_prefix(scheme)?.strip_prefix("://")
    }
}

impl FromStr for ProviderId {
    type Err = ProviderIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::try_from(text.to_owned())
    }
}

impl TryFrom<String> for ProviderId {
    type Error = ProviderIdError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        match text.chars().count() {
            0 => Err(ProviderIdError::Empty),
            1..=512 => Ok(Self(text)),
            characters => Err(ProviderIdError::TooLong { characters }),
        }
    }
}

impl From<ProviderId> for String {
    fn from(id: ProviderId) -> Self {
        id.0
    }
}

impl fmt::Display for ProviderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
