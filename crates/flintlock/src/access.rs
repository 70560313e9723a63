//! How a host is reached that does not take everybody, or is not reached straight: TLS, flintlock's token, an HTTP proxy.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use tonic::codegen::http::Uri;
use tonic::codegen::http::uri::Authority;
use tonic::metadata::AsciiMetadataValue;
use tonic::transport::Certificate;
use tonic::transport::Channel;
use tonic::transport::ClientTlsConfig;
use tonic::transport::Endpoint;
use tonic::transport::Identity;

use crate::AddressError;
use crate::address;

/// How a host is reached.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Access {
    /// By TLS; `None` is for plain HTTP/2.
    pub tls: Option<Tls>,
    /// Sent with each call as `authorization: Basic <base64 of it>`, as flintlock has it.
    pub token: Option<String>,
    /// The HTTP proxy that CONNECTs to the host, as a URL of which host and port count, or `HOST:PORT`; `None`: straight.
    pub proxy: Option<String>,
}

/// TLS to a host. All in PEM.
#[derive(Clone, Default, PartialEq, Eq)]
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
    /// The proxy cannot be one.
    #[error("{proxy:?} is no HTTP proxy; a URL or HOST:PORT is expected")]
    Proxy {
        /// What should be one.
        proxy: String,
    },
    /// A token that cannot be sent.
    #[error("the token is too long to be sent")]
    Token,
}

/// Whether this can be an HTTP proxy: a URL of which host and port count (80 where it names none), or `HOST:PORT`.
///
/// # Errors
///
/// When it cannot.
pub fn check_proxy(proxy: &str) -> Result<(), AccessError> {
    proxy_uri(proxy).map(drop)
}

fn proxy_uri(proxy: &str) -> Result<Uri, AccessError> {
    let wrong = || AccessError::Proxy { proxy: proxy.to_owned() };
    let text = match proxy.split_once("://") {
        Some(("http", rest)) => rest.split(['/', '?', '#']).next().unwrap_or_default(),
        // Nothing but plain HTTP is spoken to a proxy.
        Some(_) => return Err(wrong()),
        None => proxy,
    };
    let authority: Authority = text.parse().map_err(|_| wrong())?;
    let is_one = !authority.host().is_empty() && !text.contains('@') && authority.port_u16().is_none_or(|port| port != 0);
    if !is_one || text.ends_with(':') {
        return Err(wrong());
    }
    Uri::builder().scheme("http").authority(authority).path_and_query("/").build().map_err(|_| wrong())
}

impl Access {
    /// A channel that connects when it is first used, straight or through the proxy.
    pub(crate) fn connect(&self, endpoint: &Endpoint) -> Result<Channel, AccessError> {
        let Some(proxy) = &self.proxy else { return Ok(endpoint.connect_lazy()) };
        let mut tcp = HttpConnector::new();
        tcp.set_nodelay(true);
        // TLS, if any, is the endpoint's, and goes through the tunnel.
        Ok(endpoint.connect_with_connector_lazy(Tunnel::new(proxy_uri(proxy)?, tcp)))
    }

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
        f.debug_struct("Access").field("tls", &self.tls).field("token", &self.token.is_some()).field("proxy", &self.proxy).finish()
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { ca, identity, server_name } = self;
        f.debug_struct("Tls").field("ca", &ca.is_some()).field("identity", &identity.is_some()).field("server_name", server_name).finish()
    }
}
