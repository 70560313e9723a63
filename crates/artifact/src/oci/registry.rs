//! One image in one registry.

use std::io;
use std::time::Duration;

use futures::StreamExt;
use oci_client::client::{BlobResponse, ClientConfig, ClientProtocol};
use oci_client::errors::{DigestError, OciDistributionError, OciErrorCode};
use oci_client::manifest::{
    IMAGE_MANIFEST_LIST_MEDIA_TYPE, IMAGE_MANIFEST_MEDIA_TYPE, ImageIndexEntry, OCI_IMAGE_INDEX_MEDIA_TYPE, OCI_IMAGE_MEDIA_TYPE,
    OciDescriptor, OciImageManifest, OciManifest,
};
use oci_client::{Client, ParseError, Reference, RegistryOperation};
use sha2::{Digest, Sha256};
use thiserror::Error;
use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::{Mirrors, credentials};
use crate::cache::hex;
use crate::chain;
use crate::platform::Platform;

/// A registry that cannot be reached is given up soon: there are other sources.
const CONNECT_TIME: Duration = Duration::from_secs(5);
/// The first answer, the login included, may take this long.
const FIRST_ANSWER_TIME: Duration = Duration::from_secs(15);
/// A download that stands still this long is broken.
const STALL_TIME: Duration = Duration::from_secs(30);
/// How often a broken download is taken up again, and how long to wait before each time.
const RESUMES: [Duration; 3] = [Duration::from_millis(200), Duration::from_secs(1), Duration::from_secs(3)];
/// The largest blob taken: far above any binary or disk image layer, far below what fills a disk by surprise.
const LARGEST_BLOB: u64 = 16 << 30;

/// The manifests that are understood: OCI's and Docker's, of one image or of one for each platform.
const MANIFESTS: [&str; 4] = [OCI_IMAGE_MEDIA_TYPE, OCI_IMAGE_INDEX_MEDIA_TYPE, IMAGE_MANIFEST_MEDIA_TYPE, IMAGE_MANIFEST_LIST_MEDIA_TYPE];

/// Why something could not be had from a registry.
#[derive(Debug, Error)]
pub enum OciError {
    /// The text is no image reference.
    #[error("`{reference}` is not an image reference")]
    Reference {
        /// The text.
        reference: String,
        /// What is wrong with it.
        source: ParseError,
    },
    /// Nobody answers.
    #[error(
        "registry {registry} cannot be reached ({reason}): check the network and proxy, or name a mirror with CAPSTEAD_REGISTRY_MIRRORS"
    )]
    Unreachable {
        /// The host asked.
        registry: String,
        /// What happened.
        reason: String,
    },
    /// The registry wants other credentials.
    #[error("registry {registry} refuses {repository}: log in with `docker login {registry}`{note}")]
    Refused {
        /// The host asked.
        registry: String,
        /// The repository.
        repository: String,
        /// Why the credentials that are there were not used, or empty.
        note: String,
    },
    /// The registry answers, but has no such image or blob.
    #[error("{what} does not exist in registry {registry}")]
    NotFound {
        /// The host asked.
        registry: String,
        /// The reference or digest.
        what: String,
    },
    /// The image is not made for the platform.
    #[error("image {reference} is not made for {platform}, only for: {has}")]
    Platform {
        /// The image.
        reference: String,
        /// The platform wanted.
        platform: Platform,
        /// The platforms it is made for.
        has: String,
    },
    /// A push is to a tag: what a digest stands for is settled.
    #[error("cannot push to {reference}: name a tag, not a digest")]
    Pinned {
        /// The reference.
        reference: String,
    },
    /// What arrived is not what was asked for: a broken or a hostile registry or mirror.
    #[error("registry {registry} sent something else than {digest}: do not use it until that is explained")]
    Mismatch {
        /// The host asked.
        registry: String,
        /// The digest asked for.
        digest: String,
    },
    /// The descriptor asks for something not supported.
    #[error("cannot pull {digest} of {size} bytes: only sha256 digests and sizes up to {LARGEST_BLOB} bytes are supported")]
    Descriptor {
        /// The digest.
        digest: String,
        /// The size in bytes.
        size: i64,
    },
    /// The download broke off, also when taken up again.
    #[error("the download of {digest} from registry {registry} broke off at {got} of {size} bytes: {reason}")]
    Broken {
        /// The host asked.
        registry: String,
        /// The blob.
        digest: String,
        /// Bytes received.
        got: u64,
        /// Bytes wanted.
        size: u64,
        /// What happened last.
        reason: String,
    },
    /// The bytes arrived but could not be written.
    #[error("cannot write what was downloaded")]
    Write {
        /// What the system said.
        source: io::Error,
    },
    /// The registry answered in another way than expected.
    #[error("registry {registry} failed")]
    Registry {
        /// The host asked.
        registry: String,
        /// What it said.
        source: Box<OciDistributionError>,
    },
}

/// An image's manifest for one platform.
#[derive(Clone, Debug)]
pub struct Image {
    /// The digest of the manifest, `sha256:<hex>`.
    pub digest: String,
    /// The manifest: the configuration's descriptor and those of the layers, lowest first.
    pub manifest: OciImageManifest,
    /// The manifest as the registry has it, byte for byte: what the digest is of.
    pub bytes: Vec<u8>,
}

/// A connection to the registry of one image.
#[derive(Clone)]
pub struct Registry {
    pub(super) client: Client,
    auth: oci_client::secrets::RegistryAuth,
    /// The image as named by the caller.
    pub(super) named: Reference,
    /// The same where it is really asked for.
    pub(super) asked: Reference,
    pub(super) host: String,
    note: String,
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Without the credentials.
        f.debug_struct("Registry").field("named", &self.named).field("asked", &self.asked).finish_non_exhaustive()
    }
}

impl Registry {
    /// Reaches the registry of an image, through its mirror if it has one, and logs in with Docker's credentials if it asks for them.
    ///
    /// A registry on a loopback address is asked over plain HTTP.
    ///
    /// # Errors
    /// When the reference cannot be read, or the registry cannot be reached within some seconds or refuses the credentials.
    pub async fn connect(reference: &str, mirrors: &Mirrors) -> Result<Self, OciError> {
        Self::reach(reference, mirrors, RegistryOperation::Pull).await
    }

    pub(super) async fn reach(reference: &str, mirrors: &Mirrors, operation: RegistryOperation) -> Result<Self, OciError> {
        let named: Reference = reference.parse().map_err(|source| OciError::Reference { reference: reference.to_owned(), source })?;
        let (asked, endpoint) = mirrors.resolve(&named);
        let (auth, note) = credentials::find(&endpoint.host).await;
        let config = ClientConfig {
            protocol: if endpoint.plain_http { ClientProtocol::Http } else { ClientProtocol::Https },
            connect_timeout: Some(CONNECT_TIME),
            // It would count while a blob is being sent, when there is nothing to read.
            read_timeout: (operation == RegistryOperation::Pull).then_some(STALL_TIME),
            // As most registries want it; not all take a blob in pieces.
            use_monolithic_push: true,
            user_agent: concat!("capstead/", env!("CARGO_PKG_VERSION")),
            ..ClientConfig::default()
        };
        let failed = |source| OciError::Registry { registry: endpoint.host.clone(), source: Box::new(source) };
        let client = Client::try_from(config).map_err(failed)?;
        let note = note.map(|note| format!(" ({note})")).unwrap_or_default();
        let registry = Self { client, auth, named, asked, host: endpoint.host, note };
        let login = registry.client.auth(&registry.asked, &registry.auth, operation);
        match tokio::time::timeout(FIRST_ANSWER_TIME, login).await {
            Ok(answer) => answer.map_err(|error| registry.failed(error, reference))?,
            Err(_) => {
                let reason = format!("no answer within {} s", FIRST_ANSWER_TIME.as_secs());
                return Err(OciError::Unreachable { registry: registry.host, reason });
            }
        };
        Ok(registry)
    }

    /// The image's manifest for a platform. An image that is not split by platform is taken as it is.
    ///
    /// # Errors
    /// When the image does not exist, is not made for the platform, or is not what its digest says.
    pub async fn image(&self, platform: &Platform) -> Result<Image, OciError> {
        let (manifest, digest, bytes) = self.manifest(&self.asked).await?;
        let index = match manifest {
            OciManifest::Image(manifest) => return Ok(Image { digest, manifest, bytes }),
            OciManifest::ImageIndex(index) => index.manifests,
        };
        let missing = || OciError::Platform {
            reference: self.named.whole(),
            platform: platform.clone(),
            has: index.iter().filter_map(platform_of).map(|it| it.to_string()).collect::<Vec<_>>().join(", "),
        };
        let entry = index.iter().find(|entry| platform_of(entry).as_ref() == Some(platform)).ok_or_else(missing)?;
        match self.manifest(&self.asked.clone_with_digest(entry.digest.clone())).await? {
            (OciManifest::Image(manifest), digest, bytes) => Ok(Image { digest, manifest, bytes }),
            (OciManifest::ImageIndex(_), ..) => Err(missing()),
        }
    }

    async fn manifest(&self, reference: &Reference) -> Result<(OciManifest, String, Vec<u8>), OciError> {
        let what = reference.digest().map_or_else(|| self.named.whole(), str::to_owned);
        let failed = |error| self.failed(error, &what);
        let (bytes, digest) = self.client.pull_manifest_raw(reference, &self.auth, &MANIFESTS).await.map_err(failed)?;
        let unreadable = |error: serde_json::Error| failed(OciDistributionError::ManifestParsingError(error.to_string()));
        Ok((serde_json::from_slice(&bytes).map_err(unreadable)?, digest, bytes.to_vec()))
    }

    /// Writes a blob, and succeeds only when every byte is there and they are what the descriptor's digest says. Until then the
    /// bytes written must not be trusted. A download that breaks off is taken up again where it stopped.
    ///
    /// `advanced` is told the bytes that arrived since it was last called.
    ///
    /// # Errors
    /// When the blob does not exist, does not arrive, is not what its digest says, or cannot be written.
    pub async fn blob<W: AsyncWrite + Unpin>(
        &self,
        descriptor: &OciDescriptor,
        out: &mut W,
        mut advanced: impl FnMut(u64),
    ) -> Result<(), OciError> {
        let size = u64::try_from(descriptor.size).ok().filter(|size| *size <= LARGEST_BLOB);
        let (Some(size), true) = (size, descriptor.digest.starts_with("sha256:")) else {
            return Err(OciError::Descriptor { digest: descriptor.digest.clone(), size: descriptor.size });
        };
        let mismatch = || OciError::Mismatch { registry: self.host.clone(), digest: descriptor.digest.clone() };
        let mut hasher = Sha256::new();
        let mut got = 0;
        let mut resumes = RESUMES.iter();
        while got < size {
            let reason = match self.piece(descriptor, got).await {
                Err(error) if is_passing(&error) => chain(&error),
                Err(error) => return Err(self.failed(error, &descriptor.digest)),
                Ok((skip, mut stream)) => {
                    let mut skip = skip;
                    loop {
                        match stream.next().await {
                            None => break "the connection was closed".to_owned(),
                            Some(Err(error)) if error.get_ref().is_some_and(|inner| inner.is::<DigestError>()) => return Err(mismatch()),
                            Some(Err(error)) => break chain(&error),
                            Some(Ok(bytes)) => {
                                let known = skip.min(bytes.len() as u64);
                                skip -= known;
                                let fresh = &bytes[usize::try_from(known).unwrap_or(bytes.len())..];
                                got += fresh.len() as u64;
                                if got > size {
                                    return Err(mismatch());
                                }
                                hasher.update(fresh);
                                out.write_all(fresh).await.map_err(|source| OciError::Write { source })?;
                                advanced(fresh.len() as u64);
                            }
                        }
                    }
                }
            };
            if got < size {
                let broken = || OciError::Broken {
                    registry: self.host.clone(),
                    digest: descriptor.digest.clone(),
                    got,
                    size,
                    reason: reason.clone(),
                };
                let pause = resumes.next().ok_or_else(broken)?;
                tracing::debug!(digest = descriptor.digest, got, size, reason, "download broke off, taking it up again");
                tokio::time::sleep(*pause).await;
            }
        }
        out.flush().await.map_err(|source| OciError::Write { source })?;
        if format!("sha256:{}", hex(&hasher.finalize())) == descriptor.digest { Ok(()) } else { Err(mismatch()) }
    }

    /// The rest of a blob, and how many bytes to skip because the registry cannot start in the middle.
    async fn piece(&self, descriptor: &OciDescriptor, from: u64) -> Result<(u64, oci_client::client::SizedStream), OciDistributionError> {
        match self.client.pull_blob_stream_partial(&self.asked, descriptor, from, None).await? {
            BlobResponse::Partial(stream) => Ok((0, stream)),
            BlobResponse::Full(stream) => Ok((from, stream)),
        }
    }

    /// Sorts a failure by what the user can do about it.
    pub(super) fn failed(&self, error: OciDistributionError, what: &str) -> OciError {
        let registry = self.host.clone();
        let refused =
            || OciError::Refused { registry: self.host.clone(), repository: self.asked.repository().to_owned(), note: self.note.clone() };
        let not_found = || OciError::NotFound { registry: self.host.clone(), what: what.to_owned() };
        match error {
            OciDistributionError::RequestError(error) if error.status().is_some_and(|status| matches!(status.as_u16(), 401 | 403)) => {
                refused()
            }
            OciDistributionError::RequestError(error) => OciError::Unreachable { registry, reason: chain(&error) },
            OciDistributionError::UnauthorizedError { .. } | OciDistributionError::AuthenticationFailure(_) => refused(),
            OciDistributionError::ServerError { code: 401 | 403, .. } => refused(),
            OciDistributionError::ServerError { code: 404, .. } => not_found(),
            OciDistributionError::RegistryError { ref envelope, .. } => match envelope.errors.first().map(|first| &first.code) {
                Some(
                    OciErrorCode::ManifestUnknown
                    | OciErrorCode::NameUnknown
                    | OciErrorCode::NotFound
                    | OciErrorCode::BlobUnknown
                    | OciErrorCode::ManifestBlobUnknown,
                ) => not_found(),
                Some(OciErrorCode::Unauthorized | OciErrorCode::Denied) => refused(),
                _ => OciError::Registry { registry, source: Box::new(error) },
            },
            OciDistributionError::DigestError(_) => OciError::Mismatch { registry, digest: what.to_owned() },
            other => OciError::Registry { registry, source: Box::new(other) },
        }
    }
}

/// Whether a failure may pass by itself.
fn is_passing(error: &OciDistributionError) -> bool {
    match error {
        OciDistributionError::RequestError(_) => true,
        OciDistributionError::ServerError { code, .. } => *code == 429 || *code >= 500,
        _ => false,
    }
}

fn platform_of(entry: &ImageIndexEntry) -> Option<Platform> {
    let platform = entry.platform.as_ref()?;
    Some(Platform { os: platform.os.to_string(), architecture: platform.architecture.to_string() })
}
