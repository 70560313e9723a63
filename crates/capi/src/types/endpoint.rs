use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where a cluster's API server is reached.
///
/// Both parts are optional in contract `v1beta2` and left out while unknown (here: empty and 0); in `v1beta1` they are always written, as `""` and 0. Both
/// forms are read; only the first is written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("minProperties" = 1))]
pub struct ApiEndpoint {
    /// Host name or address, 1 to 512 characters.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(min = 1, max = 512))]
    pub host: String,
    /// Port, 1 to 65535.
    #[serde(default, skip_serializing_if = "is_zero")]
    #[schemars(schema_with = "port_schema")]
    pub port: u16,
}

/// Why host and port make no endpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// The host is empty.
    #[error("endpoint host is empty")]
    NoHost,
    /// The host is longer than 512 characters.
    #[error("endpoint host has {characters} characters, more than 512")]
    HostTooLong {
        /// The host's length in characters.
        characters: usize,
    },
    /// The port is 0.
    #[error("endpoint port is 0")]
    NoPort,
}

impl ApiEndpoint {
    /// A whole endpoint.
    ///
    /// # Errors
    /// When host or port is missing or out of its limits.
    pub fn new(host: impl Into<String>, port: u16) -> Result<Self, EndpointError> {
        let host = host.into();
        match host.chars().count() {
            0 => return Err(EndpointError::NoHost),
            1..=512 => {}
            characters => return Err(EndpointError::HostTooLong { characters }),
        }
        if port == 0 {
            return Err(EndpointError::NoPort);
        }
        Ok(Self { host, port })
    }

    /// Whether both host and port are known; core copies an endpoint only then.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        !self.host.is_empty() && self.port != 0
    }

    /// Whether neither host nor port is known.
    #[must_use]
    pub fn is_unset(&self) -> bool {
        self.host.is_empty() && self.port == 0
    }
}

/// `host:port`, with IPv6 addresses in brackets.
impl fmt::Display for ApiEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') { write!(f, "[{}]:{}", self.host, self.port) } else { write!(f, "{}:{}", self.host, self.port) }
    }
}

fn is_zero(port: &u16) -> bool {
    *port == 0
}

fn port_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({"type": "integer", "format": "int32", "minimum": 1, "maximum": 65535})
}
