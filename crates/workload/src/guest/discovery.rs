//! Whether a cluster lets a machine join: what `kubeadm join` checks against what the cluster tells it, and the other way round.

use jiff::Timestamp;
use semver::Version;

use super::kubeadm;
use super::kubeadm::ControlPlane;
use super::kubeadm::Discovery;
use super::kubeadm::Etcd;
use super::kubeadm::Join;
use super::kubeadm::Token;
use super::pem;
use super::system::Secret;

#[cfg(test)]
mod tests;

/// A bootstrap token as the cluster has it, in a Secret of type `bootstrap.kubernetes.io/token`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownToken {
    /// What it is known by.
    pub id: String,
    /// What proves it.
    pub secret: Secret,
    /// Not valid from then on.
    pub expires: Option<Timestamp>,
    /// Whether it signs ConfigMap cluster-info, which is how a machine knows the cluster.
    pub signing: bool,
    /// Whether its bearer is let in.
    pub authentication: bool,
}

/// What a cluster tells a machine that joins.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    /// Its authority's certificate, in PEM.
    pub authority: &'a str,
    /// Its etcd's authority in PEM, if etcd runs on its own machines.
    pub etcd_authority: Option<&'a str>,
    /// Its tokens.
    pub tokens: &'a [KnownToken],
    /// The version in ConfigMap kubeadm-config.
    pub kubernetes: &'a Version,
    /// Whether it has an address that does not depend on one machine.
    pub stable_endpoint: bool,
}

/// Why a machine cannot join.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum JoinError {
    /// No such token, or no longer. kubeadm keeps asking for some minutes.
    #[error(
        "could not find a JWS signature in the cluster-info ConfigMap for token ID {id:?}: the token is not the cluster's, or has expired"
    )]
    UnknownToken {
        /// Which one.
        id: String,
    },
    /// The token's id is known, but not its secret.
    #[error("failed to verify JWS signature of received cluster info object for token ID {id:?}: the token's secret is wrong")]
    WrongSecret {
        /// Which one.
        id: String,
    },
    /// The token is good for discovery, but lets nobody in.
    #[error("the token {id:?} is not for authentication")]
    NotForAuthentication {
        /// Which one.
        id: String,
    },
    /// Another cluster answers at the endpoint.
    #[error("cluster CA found in cluster-info ConfigMap is invalid: none of the public keys {found:?} are pinned")]
    WrongAuthority {
        /// What the cluster has.
        found: Vec<String>,
    },
    /// The files of a control plane machine are another cluster's.
    #[error("the machine's {0} is not the cluster's, so its members would not trust each other")]
    ForeignAuthority(&'static str),
    /// The cluster's etcd is on its own machines, but this one did not get its authority.
    #[error("/etc/kubernetes/pki/etcd/ca.crt is not among the machine's files, but the cluster runs its own etcd")]
    NoEtcdAuthority,
    /// kubeadm does not deploy so old a version.
    #[error("this version of kubeadm only supports control planes >= {least}. Current version: v{cluster}")]
    ClusterTooOld {
        /// The oldest it joins.
        least: String,
        /// Of the cluster.
        cluster: Version,
    },
    /// The cluster was made without an endpoint of its own.
    #[error("unable to add a new control plane instance to a cluster that doesn't have a stable controlPlaneEndpoint address")]
    NoStableEndpoint,
}

impl JoinError {
    /// Whether it may pass while kubeadm waits.
    #[must_use]
    pub const fn may_pass(&self) -> bool {
        matches!(self, Self::UnknownToken { .. })
    }
}

/// Checks whether a machine whose kubeadm is of version `image` can join, at this time.
///
/// # Errors
///
/// The first thing in kubeadm's own order that keeps it out.
pub fn check(join: &Join, image: Option<&Version>, told: &Told<'_>, now: Timestamp) -> Result<(), JoinError> {
    let found: Vec<String> = pins(told.authority);
    match &join.discovery {
        Discovery::Token { token, pins, .. } => {
            known(token, told.tokens, now, |known| known.signing)?;
            if !pins.is_empty() && !found.iter().any(|pin| pins.contains(pin)) {
                return Err(JoinError::WrongAuthority { found });
            }
        }
        Discovery::File { authority: Some(authority), .. } => {
            if !self::pins(authority).iter().any(|pin| found.contains(pin)) {
                return Err(JoinError::WrongAuthority { found });
            }
        }
        Discovery::File { authority: None, .. } => {}
    }
    if let Some(token) = &join.tls_bootstrap {
        known(token, told.tokens, now, |_| true)?;
        known(token, told.tokens, now, |known| known.authentication)
            .map_err(|_| JoinError::NotForAuthentication { id: token.id.clone() })?;
    }
    if let Err(kubeadm::KubeadmError::ControlPlaneTooOld { least, wanted }) = kubeadm::deployable(image, told.kubernetes) {
        return Err(JoinError::ClusterTooOld { least, cluster: wanted });
    }
    join.control_plane.as_ref().map_or(Ok(()), |control_plane| check_control_plane(control_plane, &found, told))
}

fn check_control_plane(control_plane: &ControlPlane, found: &[String], told: &Told<'_>) -> Result<(), JoinError> {
    if !told.stable_endpoint {
        return Err(JoinError::NoStableEndpoint);
    }
    let same = |pem: &str, found: &[String]| self::pins(pem).iter().any(|pin| found.contains(pin));
    if !same(&control_plane.certificates.authority.certificate, found) {
        return Err(JoinError::ForeignAuthority("/etc/kubernetes/pki/ca.crt"));
    }
    match (&control_plane.certificates.etcd, told.etcd_authority) {
        (Etcd::Local(pair), Some(etcd)) if !same(&pair.certificate, &pins(etcd)) => {
            Err(JoinError::ForeignAuthority("/etc/kubernetes/pki/etcd/ca.crt"))
        }
        (Etcd::External, Some(_)) => Err(JoinError::NoEtcdAuthority),
        _ => Ok(()),
    }
}

fn pins(pem: &str) -> Vec<String> {
    pem::certificates(pem).unwrap_or_default().into_iter().map(|certificate| certificate.pin).collect()
}

fn known(token: &Token, tokens: &[KnownToken], now: Timestamp, fits: impl Fn(&KnownToken) -> bool) -> Result<(), JoinError> {
    let alive = |known: &&KnownToken| known.id == token.id && fits(known) && known.expires.is_none_or(|expires| now < expires);
    let found = tokens.iter().find(alive).ok_or_else(|| JoinError::UnknownToken { id: token.id.clone() })?;
    if found.secret == token.secret { Ok(()) } else { Err(JoinError::WrongSecret { id: token.id.clone() }) }
}
