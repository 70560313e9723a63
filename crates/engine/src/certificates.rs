//! Serving certificates: read from files, or made and rotated in process; and the trust in them given to the API server.

mod inject;
mod material;
mod secret;

use std::fmt;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use capstead_reconcile::Timestamp;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem;
use rustls::pki_types::pem::PemObject;
use rustls::server::ClientHello;
use rustls::server::ResolvesServerCert;
use rustls::sign::CertifiedKey;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tracing::info;
use tracing::warn;

pub use inject::InjectError;
pub use inject::Injector;
pub use inject::Target;
pub use material::Lifetimes;
pub use material::MakeError;
pub use secret::SecretStore;
pub use secret::StoreError;

use material::Material;
use material::Wish;

/// How often files and Secrets are looked at. Mounted Secrets change by renamed links, which file notification misses.
const POLL: Duration = Duration::from_secs(10);

/// Where a serving certificate comes from.
#[derive(Clone, Debug)]
pub enum Source {
    /// `tls.crt`, `tls.key` and, if the API server is to be told whom to trust, `ca.crt` (all PEM) in this directory.
    Directory(PathBuf),
    /// Made in this process and kept in memory; every start makes new ones.
    Memory {
        /// DNS names and IP addresses that clients use.
        names: Vec<String>,
        /// When to make new ones.
        lifetimes: Lifetimes,
    },
    /// Made by whichever replica comes first and shared through a Secret.
    Secret {
        /// DNS names and IP addresses that clients use.
        names: Vec<String>,
        /// When to make new ones.
        lifetimes: Lifetimes,
        /// The Secret.
        store: SecretStore,
    },
}

/// Why there is no certificate to serve with.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file of [`Source::Directory`] cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Certificate and key are not a pair that TLS can use.
    #[error("the certificate in {place} cannot be used")]
    Pair {
        /// The directory or Secret.
        place: String,
        /// Why.
        source: PairError,
    },
    /// Making one failed.
    #[error("cannot make a certificate")]
    Make(#[from] MakeError),
    /// The Secret cannot be read or written.
    #[error("cannot share the certificate")]
    Store(#[from] StoreError),
    /// The TLS library refuses its own defaults.
    #[error("cannot set up TLS")]
    Tls(#[from] rustls::Error),
}

/// Why a certificate and a key are not a pair.
#[derive(Debug, thiserror::Error)]
pub enum PairError {
    /// The certificate is not PEM.
    #[error("no certificate in PEM")]
    Certificate(#[source] pem::Error),
    /// The key is not PEM.
    #[error("no private key in PEM")]
    Key(#[source] pem::Error),
    /// They do not belong together, or the algorithm is not supported.
    #[error("certificate and key do not fit")]
    Unfit(#[source] rustls::Error),
}

/// A chain and its key, as TLS serves them.
fn certified(chain: &[u8], key: &[u8]) -> Result<CertifiedKey, PairError> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(chain).collect::<Result<_, _>>().map_err(PairError::Certificate)?;
    if chain.is_empty() {
        return Err(PairError::Certificate(pem::Error::NoItemsFound));
    }
    let key = PrivateKeyDer::from_pem_slice(key).map_err(PairError::Key)?;
    CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider()).map_err(PairError::Unfit)
}

/// What new connections are answered with.
#[derive(Debug)]
struct Presented(ArcSwap<CertifiedKey>);

impl ResolvesServerCert for Presented {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

/// What a look at the source gave.
struct Loaded {
    key: CertifiedKey,
    trust: Option<String>,
    /// When to look again.
    again: Duration,
}

/// A serving certificate that follows its source. Clones share it; the source is followed until the last is dropped.
#[derive(Clone, Debug)]
pub struct Certificates {
    presented: Arc<Presented>,
    trust: watch::Receiver<Option<String>>,
    _keeper: Arc<Keeper>,
}

#[derive(Debug)]
struct Keeper(AbortHandle);

impl Drop for Keeper {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Certificates {
    /// Loads or makes the first certificate and follows the source from then on.
    ///
    /// Later trouble is logged, and the last good certificate is kept.
    ///
    /// # Errors
    /// When the first certificate cannot be had.
    pub async fn start(source: Source) -> Result<Self, CertificateError> {
        Self::start_polled(source, POLL).await
    }

    /// As [`Certificates::start`], looking at files and Secrets this often.
    pub(crate) async fn start_polled(source: Source, poll: Duration) -> Result<Self, CertificateError> {
        let mut follower = Follower { source, poll, files: None, material: Material::default() };
        let Some(first) = follower.look(Timestamp::now()).await? else {
            return Err(CertificateError::Tls(rustls::Error::NoCertificatesPresented));
        };
        let presented = Arc::new(Presented(ArcSwap::from_pointee(first.key)));
        let (sender, trust) = watch::channel(first.trust);
        let task = tokio::spawn(follower.follow(Arc::clone(&presented), sender, first.again));
        Ok(Self { presented, trust, _keeper: Arc::new(Keeper(task.abort_handle())) })
    }

    /// The certificates (PEM) that clients must trust, now and later; `None` when the source does not tell.
    #[must_use]
    pub fn trust(&self) -> watch::Receiver<Option<String>> {
        self.trust.clone()
    }

    /// TLS 1.2 and 1.3, HTTP/1.1; each new connection gets the certificate of that moment.
    ///
    /// # Errors
    /// When the TLS library refuses its own defaults.
    pub fn server_config(&self) -> Result<Arc<ServerConfig>, CertificateError> {
        let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&self.presented) as Arc<dyn ResolvesServerCert>);
        // As controller-runtime: no HTTP/2, whose many streams on one connection are easily abused.
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

/// Follows a source.
struct Follower {
    source: Source,
    poll: Duration,
    /// What the files held at the last look, good or not.
    files: Option<Files>,
    material: Material,
}

impl Follower {
    async fn follow(mut self, presented: Arc<Presented>, trust: watch::Sender<Option<String>>, mut again: Duration) {
        loop {
            tokio::time::sleep(again).await;
            match self.look(Timestamp::now()).await {
                Ok(None) => again = self.poll,
                Ok(Some(loaded)) => {
                    if presented.0.load().cert != loaded.key.cert {
                        presented.0.store(Arc::new(loaded.key));
                        info!("serving with a new certificate");
                    }
                    trust.send_if_modified(|old| std::mem::replace(old, loaded.trust.clone()) != loaded.trust);
                    again = loaded.again;
                }
                Err(error) => {
                    warn!(error = &error as &dyn std::error::Error, "keeping the old certificate");
                    again = self.poll;
                }
            }
        }
    }

    /// `None` when files are as at the last look.
    async fn look(&mut self, now: Timestamp) -> Result<Option<Loaded>, CertificateError> {
        match &self.source {
            Source::Directory(directory) => {
                let files = Files::read(directory).await?;
                if self.files.as_ref() == Some(&files) {
                    return Ok(None);
                }
                // Kept before it is judged, so that a broken pair is logged once.
                let files = self.files.insert(files);
                let key = certified(&files.certificate, &files.key)
                    .map_err(|source| CertificateError::Pair { place: directory.display().to_string(), source })?;
                let trust = files.trust.as_ref().map(|pem| String::from_utf8_lossy(pem).into_owned());
                Ok(Some(Loaded { key, trust, again: self.poll }))
            }
            Source::Memory { names, lifetimes } => {
                let wish = Wish { names: names.iter().cloned().collect(), lifetimes: *lifetimes };
                let (material, again) = material::advance(&wish, self.material.clone(), now)?;
                self.material = material;
                let wait = again.map_or(Duration::from_secs(3600), |at| Duration::try_from(at.duration_since(now)).unwrap_or_default());
                self.made("memory", wait.max(Duration::from_secs(1))).map(Some)
            }
            Source::Secret { names, lifetimes, store } => {
                let wish = Wish { names: names.iter().cloned().collect(), lifetimes: *lifetimes };
                let place = store.to_string();
                self.material = store.advance(&wish, now).await?;
                self.made(&place, self.poll).map(Some)
            }
        }
    }

    fn made(&self, place: &str, again: Duration) -> Result<Loaded, CertificateError> {
        let (chain, key) = self.material.pair();
        let key =
            certified(chain.as_bytes(), key.as_bytes()).map_err(|source| CertificateError::Pair { place: place.to_owned(), source })?;
        Ok(Loaded { key, trust: Some(self.material.bundle()), again })
    }
}

/// The files of a directory.
#[derive(PartialEq, Eq)]
struct Files {
    certificate: Vec<u8>,
    key: Vec<u8>,
    trust: Option<Vec<u8>>,
}

impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Files").finish_non_exhaustive()
    }
}

impl Files {
    async fn read(directory: &Path) -> Result<Self, CertificateError> {
        let read = async |name: &str| {
            let path = directory.join(name);
            tokio::fs::read(&path).await.map_err(|source| CertificateError::Read { path, source })
        };
        let trust = match read("ca.crt").await {
            Ok(pem) => Some(pem),
            Err(CertificateError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        Ok(Self { certificate: read("tls.crt").await?, key: read("tls.key").await?, trust })
    }
}

#[cfg(test)]
mod tests;
