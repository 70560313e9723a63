//! To a registry: blobs first, then the manifest that names them.

use std::time::Duration;

use bytes::Bytes;
use futures::stream;
use oci_client::RegistryOperation;
use oci_client::errors::OciDistributionError;
use oci_client::manifest::OCI_IMAGE_MEDIA_TYPE;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::mpsc;

use super::{Mirrors, OciError, Registry};

/// An upload that stands still this long is broken. A registry reads through a large blob before it answers, and says nothing meanwhile.
const STALL_TIME: Duration = Duration::from_secs(300);
/// How much is sent at a time.
const PIECE: usize = 256 * 1024;

impl Registry {
    /// As [`Registry::connect`], with the right to push if there are credentials that give it.
    ///
    /// # Errors
    /// Those of [`Registry::connect`], and when the reference has a digest.
    pub async fn connect_to_push(reference: &str, mirrors: &Mirrors) -> Result<Self, OciError> {
        let registry = Self::reach(reference, mirrors, RegistryOperation::Push).await?;
        match registry.named.digest() {
            Some(_) => Err(OciError::Pinned { reference: reference.to_owned() }),
            None => Ok(registry),
        }
    }

    /// Whether the image's repository has a blob.
    ///
    /// # Errors
    /// When the registry does not say.
    pub async fn has_blob(&self, digest: &str) -> Result<bool, OciError> {
        let asked = self.client.blob_exists(&self.asked, digest);
        self.in_time(asked, digest).await
    }

    /// Sends a blob. The registry takes it only if it is what its digest says.
    ///
    /// `advanced` is told the bytes that were sent since it was last called.
    ///
    /// # Errors
    /// When the blob cannot be read or sent, or the registry refuses it.
    pub async fn push_blob<R: AsyncRead + Send + Unpin + 'static>(
        &self,
        digest: &str,
        size: u64,
        bytes: R,
        mut advanced: impl FnMut(u64),
    ) -> Result<(), OciError> {
        let (tell, mut told) = mpsc::unbounded_channel();
        let pieces = stream::try_unfold((bytes, tell), |(mut bytes, tell)| async move {
            let mut piece = vec![0; PIECE];
            let got = bytes.read(&mut piece).await?;
            if got == 0 {
                return Ok(None);
            }
            piece.truncate(got);
            // Nobody listens only when the upload is over.
            let _ = tell.send(got as u64);
            Ok::<_, OciDistributionError>(Some((Bytes::from(piece), (bytes, tell))))
        });
        let push = self.client.push_blob_stream(&self.asked, pieces, digest, Some(size));
        tokio::pin!(push);
        loop {
            tokio::select! {
                pushed = &mut push => {
                    while let Ok(amount) = told.try_recv() {
                        advanced(amount);
                    }
                    return pushed.map(drop).map_err(|error| self.failed(error, digest));
                }
                Some(amount) = told.recv() => advanced(amount),
                () = tokio::time::sleep(STALL_TIME) => return Err(self.stalled(digest)),
            }
        }
    }

    /// Makes the image's tag stand for a manifest, all of whose parts the registry has.
    ///
    /// # Errors
    /// When the registry refuses it.
    pub async fn push_manifest(&self, manifest: Vec<u8>, media_type: &str) -> Result<(), OciError> {
        let what = self.named.whole();
        let media_type = if media_type.is_empty() { OCI_IMAGE_MEDIA_TYPE } else { media_type };
        let unfit = |_| OciDistributionError::GenericError(Some(format!("{media_type:?} is no media type")));
        let media_type = media_type.parse().map_err(unfit).map_err(|error| self.failed(error, &what))?;
        let push = self.client.push_manifest_raw(&self.asked, manifest, media_type);
        self.in_time(push, &what).await.map(drop)
    }

    async fn in_time<T>(&self, work: impl Future<Output = Result<T, OciDistributionError>>, what: &str) -> Result<T, OciError> {
        match tokio::time::timeout(STALL_TIME, work).await {
            Ok(answer) => answer.map_err(|error| self.failed(error, what)),
            Err(_) => Err(self.stalled(what)),
        }
    }

    fn stalled(&self, what: &str) -> OciError {
        let reason = format!("pushing {what} stood still for {} s", STALL_TIME.as_secs());
        OciError::Unreachable { registry: self.host.clone(), reason }
    }
}
