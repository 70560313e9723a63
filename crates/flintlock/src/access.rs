//! How a host is reached that does not take everybody: TLS, and flintlock's token.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tonic::metadata::AsciiMetadataValue;
use tonic::transport::Certificate;
use tonic::transport::ClientTlsConfig;
use tonic::transport::Endpoint;
use tonic::transport::Identity;

use crate::AddressError;
use crate::address;

/// How a host is reached.
#[derive(Clone, Default)]
pub struct Access {
    /// By TLS; `None` is for plain HTTP/2.
    pub tls: Option<Tls>,
    /// Sent with each call as `authorization: Basic <base64 of it>`, as flintlock has it.
    pub token: Option<String>,
}

/// TLS to a host. All in PEM.
#[derive(Clone, Default)]
pub struct Tls {
    /// Who vouches for the host; `None`: whom this system trusts.
    pub ca: Option<Vec<u8>>,
    /// The client's own certificate and its key, for hosts that ask for one.
    pub identity: Option<(Vec<u8>, Vec<u8>)>,
    /// The name in the host's certificate, where that is not the one in its address.
    pub server_name: Option<String>,
}

/// Why a host cannot be reached that way.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// The address cannot be one.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// What there is for TLS is not fit for it.
    #[error("no TLS to {address}")]
    Tls {
        /// The host's address.
        address: String,
        /// What is wrong.
        source: tonic::transport::Error,
    },
    /// A token that cannot be sent.
    #[error("the token is too long to be sent")]
    Token,
}

impl Access {
    pub(crate) fn endpoint(&self, address: &str) -> Result<Endpoint, AccessError> {
        let Some(tls) = &self.tls else { return Ok(address::endpoint(address)?) };
        let endpoint = address::endpoint_by("https", address)?;
        endpoint.tls_config(tls.config()).map_err(|source| AccessError::Tls { address: address.to_owned(), source })
    }

    pub(crate) fn authorization(&self) -> Result<Option<AsciiMetadataValue>, AccessError> {
        let Some(token) = &self.token else { return Ok(None) };
        let mut value = AsciiMetadataValue::try_from(format!("Basic {}", STANDARD.encode(token))).map_err(|_| AccessError::Token)?;
        value.set_sensitive(true);
        Ok(Some(value))
    }
}

impl Tls {
    fn config(&self) -> ClientTlsConfig {
        let config = ClientTlsConfig::new();
        let config = match &self.ca {
            Some(ca) => config.ca_certificate(Certificate::from_pem(ca)),
            None => config.with_native_roots(),
        };
        let config = match &self.identity {
            Some((cert, key)) => config.identity(Identity::from_pem(cert, key)),
            None => config,
        };
        match &self.server_name {
            Some(name) => config.domain_name(name),
            None => config,
        }
    }
}

// Neither tells what is secret.
impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access").field("tls", &self.tls).field("token", &self.token.is_some()).finish()
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { ca, identity, server_name } = self;
        f.debug_struct("Tls").field("ca", &ca.is_some()).field("identity", &identity.is_some()).field("server_name", server_name).finish()
    }
}
