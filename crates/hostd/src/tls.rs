//! TLS from files, which are followed: a certificate that was renewed is served without a restart.

use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum_server::tls_rustls::RustlsConfig;
use rustls::RootCertStore;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::server::WebPkiClientVerifier;
use tokio::task::JoinHandle;

/// Between looks at the files.
const FOLLOW: Duration = Duration::from_secs(10);

/// The files, all in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The server's certificate, and those above it.
    pub cert: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// Of whom clients must have a certificate; `None`: they need none.
    pub client_ca: Option<PathBuf>,
}

/// Why TLS cannot be had from the files.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file is out of reach.
    #[error("cannot read {path}")]
    Read {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file does not hold what it should.
    #[error("{path} holds no {what}: {cause}")]
    Content {
        /// Which one.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
        /// What is wrong.
        cause: String,
    },
    /// Certificate and key do not belong together, or are not fit for TLS.
    #[error("{cert} and {key} do not serve: {source}")]
    Pair {
        /// The certificate.
        cert: PathBuf,
        /// The key.
        key: PathBuf,
        /// What is wrong.
        source: rustls::Error,
    },
}

/// What the files hold.
#[derive(PartialEq, Eq)]
struct Contents {
    cert: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
}

impl TlsFiles {
    fn read(&self) -> Result<Contents, TlsError> {
        let read = |path: &Path| std::fs::read(path).map_err(|source| TlsError::Read { path: path.to_owned(), source });
        Ok(Contents { cert: read(&self.cert)?, key: read(&self.key)?, client_ca: self.client_ca.as_deref().map(read).transpose()? })
    }

    /// TLS 1.3 alone, as flintlock asks for.
    fn config(&self, contents: &Contents) -> Result<ServerConfig, TlsError> {
        let content = |path: &Path, what, cause: String| TlsError::Content { path: path.to_owned(), what, cause };
        let chain = certificates(&contents.cert).map_err(|cause| content(&self.cert, "certificate", cause))?;
        let key = PrivateKeyDer::from_pem_slice(&contents.key).map_err(|error| content(&self.key, "private key", error.to_string()))?;
        let pair = |source| TlsError::Pair { cert: self.cert.clone(), key: self.key.clone(), source };
        let builder = ServerConfig::builder_with_provider(Arc::new(default_provider()));
        let builder = builder.with_protocol_versions(&[&rustls::version::TLS13]).map_err(pair)?;
        let builder = match (&self.client_ca, &contents.client_ca) {
            (Some(path), Some(pem)) => {
                let bad = |cause| content(path, "authority for clients", cause);
                let mut roots = RootCertStore::empty();
                for certificate in certificates(pem).map_err(bad)? {
                    roots.add(certificate).map_err(|error| bad(error.to_string()))?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::new(default_provider())).build();
                builder.with_client_cert_verifier(verifier.map_err(|error| bad(error.to_string()))?)
            }
            _ => builder.with_no_client_auth(),
        };
        let mut config = builder.with_single_cert(chain, key).map_err(pair)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }

    /// What serves by these files, and the task that follows them.
    ///
    /// # Errors
    ///
    /// The files do not serve now. If they do not later, what served before goes on, and the log says why.
    pub fn follow(&self) -> Result<(RustlsConfig, JoinHandle<()>), TlsError> {
        let mut known = self.read()?;
        let serves = RustlsConfig::from_config(Arc::new(self.config(&known)?));
        let (files, follows) = (self.clone(), serves.clone());
        let task = tokio::spawn(async move {
            loop {
                tokio::time::sleep(FOLLOW).await;
                let renewed = files.read().and_then(|read| if read == known { Ok(None) } else { Ok(Some((files.config(&read)?, read))) });
                match renewed {
                    Ok(None) => (),
                    Ok(Some((config, read))) => {
                        follows.reload_from_config(Arc::new(config));
                        known = read;
                        tracing::info!(cert = %files.cert.display(), "serves a renewed certificate");
                    }
                    Err(error) => tracing::warn!(%error, "goes on with the certificate of before"),
                }
            }
        });
        Ok((serves, task))
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let certificates = certificates.map_err(|error| error.to_string())?;
    if certificates.is_empty() { Err("it is empty".to_owned()) } else { Ok(certificates) }
}
