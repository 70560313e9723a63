//! How the hosts of a cluster are reached: the proxy, TLS and tokens that its MicrovmCluster names.

use std::collections::BTreeMap;

use capstead_flintlock::{Access, Tls};
use k8s_openapi::ByteString;
use kube::ResourceExt;

use crate::api::v1alpha2::MicrovmCluster;

/// What a MicrovmCluster says of it. Clusters that say the same share a connection to each host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Reach {
    /// Where its Secrets are; empty if it names none.
    pub(crate) namespace: String,
    /// The Secret with certificates.
    pub(crate) tls: Option<String>,
    /// The Secret with tokens.
    pub(crate) tokens: Option<String>,
    proxy: Option<String>,
}

/// What a Secret holds.
pub(crate) type Data = BTreeMap<String, ByteString>;

/// Keys of the Secret with certificates.
const CA: &str = "ca.crt";
const CERT: &str = "tls.crt";
const KEY: &str = "tls.key";

impl Reach {
    /// What this cluster says; of none: straight, and plain.
    pub(crate) fn of(cluster: Option<&MicrovmCluster>) -> Self {
        let Some(cluster) = cluster else { return Self::default() };
        let set = |text: Option<&String>| text.filter(|text| !text.is_empty()).cloned();
        let tls = set(cluster.spec.tls_secret_ref.as_ref());
        let tokens = set(cluster.spec.placement.static_pool.as_ref().and_then(|pool| pool.basic_auth_secret.as_ref()));
        let namespace = if tls.is_some() || tokens.is_some() { cluster.namespace().unwrap_or_default() } else { String::new() };
        Self { namespace, tls, tokens, proxy: set(cluster.spec.microvm_proxy.as_ref().map(|proxy| &proxy.endpoint)) }
    }

    /// How the host at `address` is reached, by what the two Secrets hold.
    ///
    /// Without a token of its own a host is asked without one, as upstream has it: not every host of a pool need want one.
    ///
    /// # Errors
    /// What is missing, and where.
    pub(crate) fn access(&self, address: &str, tls: Option<&Data>, tokens: Option<&Data>) -> Result<Access, String> {
        let token = tokens.and_then(|tokens| tokens.get(&token_key(address))).and_then(|token| String::from_utf8(token.0.clone()).ok());
        let token = token.map(|token| token.trim_end_matches(['\r', '\n']).to_owned()).filter(|token| !token.is_empty());
        let tls = match (&self.tls, tls) {
            (Some(name), Some(data)) => Some(certificates(name, data)?),
            _ => None,
        };
        Ok(Access { tls, token, proxy: self.proxy.clone() })
    }
}

/// Without a certificate of its own, the client is nobody in particular; without an authority, it trusts whom the system trusts.
fn certificates(secret: &str, data: &Data) -> Result<Tls, String> {
    let part = |key: &str| data.get(key).map(|value| value.0.clone()).filter(|value| !value.is_empty());
    let identity = match (part(CERT), part(KEY)) {
        (Some(cert), Some(key)) => Some((cert, key)),
        (None, None) => None,
        (Some(_), None) => return Err(format!("Secret {secret}, which spec.tlsSecretRef names, has {CERT} but nothing under key {KEY}")),
        (None, Some(_)) => return Err(format!("Secret {secret}, which spec.tlsSecretRef names, has {KEY} but nothing under key {CERT}")),
    };
    let ca = part(CA);
    if ca.is_none() && identity.is_none() {
        return Err(format!("Secret {secret}, which spec.tlsSecretRef names, has nothing under the keys {CA}, {CERT} and {KEY}"));
    }
    Ok(Tls { ca, identity, server_name: None })
}

/// The key of a host's token: its name or address without port. A Secret takes no colons, so those of an IPv6 address are dashes there.
fn token_key(address: &str) -> String {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    host.trim_start_matches('[').trim_end_matches(']').replace(':', "-")
}

#[cfg(test)]
mod tests;
