//! Installing a component's objects: run as a process of its own, so that the supervisor stays small.

use std::borrow::Cow;
use std::io::Read;
use std::path::PathBuf;
use std::time::Duration;

use flate2::read::GzDecoder;
use sha2::Digest;
use sha2::Sha256;

use crate::Layout;
use crate::Plane;
use crate::PlaneError;
use crate::api;
use crate::api::ApiError;
use crate::builtin;
use crate::component::Authority;
use crate::component::Component;
use crate::manifest;
use crate::manifest::ManifestError;
use crate::manifest::Webhooks;
use crate::pki::Pki;
use crate::pki::PkiError;
use crate::supervisor::SupervisorError;
use crate::supervisor::administrator_client;

/// What is installed when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Before the component starts: namespaces, CRDs, roles.
    Objects,
    /// Once it is ready: webhook configurations, the inventory entry.
    Webhooks,
}

impl Part {
    /// Its name, in marks and on command lines.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Objects => "objects",
            Self::Webhooks => "webhooks",
        }
    }
}

/// What the supervisor has done by a process of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Job<'a> {
    /// [`install`] of a component's part.
    Install(&'a str, Part),
    /// [`crate::deployments::pass::pass`]: processes are read from standard input, what was found is printed, both as JSON.
    Deployments,
}

/// Objects cannot be installed.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// The plane cannot be read.
    #[error(transparent)]
    Plane(#[from] PlaneError),
    /// No such component.
    #[error("the plane has no component {0:?}")]
    NoComponent(String),
    /// A file of objects cannot be read.
    #[error("cannot read the objects in {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file of objects is wrong.
    #[error("the objects in {path} cannot be used")]
    Manifest {
        /// The file.
        path: PathBuf,
        /// Why.
        source: ManifestError,
    },
    /// Certificates cannot be read.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// No client can be made.
    #[error(transparent)]
    Client(#[from] SupervisorError),
    /// The API server refuses or does not answer.
    #[error(transparent)]
    Api(#[from] ApiError),
}

/// What tells one content of a component's objects from another.
///
/// # Errors
/// They cannot be read.
pub fn digest(plane: &Plane, component: &Component, pki: &Pki) -> Result<String, InstallError> {
    let mut digest = Sha256::new();
    digest.update(kept(component)?);
    digest.update(format!("{:?} {:?}", webhook_port(plane, component), component.provider));
    digest.update(&component.binary.version);
    digest.update(pki.read(Authority::Cluster)?);
    Ok(digest.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect())
}

/// Installs a part of a component and marks it as installed. Installing again is safe.
///
/// # Errors
/// The objects cannot be read, or the API server refuses them.
pub async fn install(layout: &Layout, component: &str, part: Part) -> Result<(), InstallError> {
    let plane = Plane::load(layout)?;
    let named = plane.components.iter().find(|other| other.name == component);
    let component = named.ok_or_else(|| InstallError::NoComponent(component.into()))?;
    let pki = Pki::open(layout.pki())?;
    let authority = pki.read(Authority::Cluster)?;
    let webhooks = webhook_port(&plane, component).map(|port| Webhooks { port, authority: &authority });
    let provider = component.provider.as_ref().map(|provider| (provider, component.binary.version.as_str()));
    let path = || component.objects.clone().unwrap_or_default().into();
    let objects =
        manifest::prepare(&text(component)?, webhooks, provider).map_err(|source| InstallError::Manifest { path: path(), source })?;
    let client = administrator_client(layout, &plane, &pki)?;
    match part {
        Part::Webhooks => api::apply(&client, &objects.after).await?,
        Part::Objects => {
            api::apply(&client, &objects.before).await?;
            // The supervisor has a deadline for all of this.
            while let Err(error) = api::served(&client, &objects.before).await {
                tracing::debug!("{error}");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    Ok(api::mark_installed(&client, &component.name, part.name(), &digest(&plane, component, &pki)?).await?)
}

/// A component's objects as they are kept: gzipped if they are built in.
fn kept(component: &Component) -> Result<Cow<'static, [u8]>, InstallError> {
    match &component.objects {
        None => Ok(Cow::Owned(Vec::new())),
        Some(file) => match builtin::packed_objects(file) {
            Some(packed) => Ok(Cow::Borrowed(packed)),
            None => Ok(Cow::Owned(std::fs::read(file).map_err(|source| InstallError::Read { path: file.into(), source })?)),
        },
    }
}

fn text(component: &Component) -> Result<String, InstallError> {
    let kept = kept(component)?;
    let mut text = String::new();
    let read = match kept {
        Cow::Borrowed(packed) => GzDecoder::new(packed).read_to_string(&mut text),
        Cow::Owned(plain) => (&plain[..]).read_to_string(&mut text),
    };
    read.map(|_| text).map_err(|source| InstallError::Read { path: component.objects.clone().unwrap_or_default().into(), source })
}

fn webhook_port(plane: &Plane, component: &Component) -> Option<u16> {
    plane.port(&component.name, component.webhook_port.as_deref()?)
}
