//! Where a registry is really asked, for networks that cannot reach it.

use std::collections::BTreeMap;
use std::str::FromStr;

use oci_client::Reference;
use thiserror::Error;

#[cfg(test)]
mod tests;

/// Registries that are asked through another address. Written as `registry.k8s.io=http://127.0.0.1:5000,docker.io=mirror.example/docker`,
/// the form of the environment variable `CAPSTEAD_REGISTRY_MIRRORS`.
///
/// A registry with a mirror is asked nowhere else, so a closed network sees no stray attempts and a wrong mirror is noticed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mirrors(BTreeMap<String, Endpoint>);

/// A text that is no list of mirrors.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{entry}` is not a registry mirror: write REGISTRY=[http://|https://]HOST[:PORT][/PREFIX]; several are separated by commas")]
pub struct ParseMirrorsError {
    entry: String,
}

/// An address a registry answers at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    pub(crate) host: String,
    /// Put before the repository's name, without slashes at its ends; often empty.
    prefix: String,
    pub(crate) plain_http: bool,
}

impl Mirrors {
    /// The reference to ask for, and how.
    pub(crate) fn resolve(&self, named: &Reference) -> (Reference, Endpoint) {
        let endpoint = self.0.get(named.registry()).cloned().unwrap_or_else(|| Endpoint {
            host: named.registry().to_owned(),
            prefix: String::new(),
            plain_http: is_loopback(named.registry()),
        });
        let repository = match endpoint.prefix.as_str() {
            "" => named.repository().to_owned(),
            prefix => format!("{prefix}/{}", named.repository()),
        };
        let host = endpoint.host.clone();
        // A digest says all there is to say, and a tag beside it would only be one more thing to be wrong.
        let asked = match (named.digest(), named.tag()) {
            (Some(digest), _) => Reference::with_digest(host, repository, digest.to_owned()),
            (None, tag) => Reference::with_tag(host, repository, tag.unwrap_or("latest").to_owned()),
        };
        (asked, endpoint)
    }
}

impl FromStr for Mirrors {
    type Err = ParseMirrorsError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut mirrors = BTreeMap::new();
        for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
            let wrong = || ParseMirrorsError { entry: entry.to_owned() };
            let (registry, address) = entry.split_once('=').ok_or_else(wrong)?;
            let endpoint = Endpoint::parse(address.trim()).ok_or_else(wrong)?;
            let registry = registry.trim();
            if !is_host(registry) || mirrors.insert(registry.to_owned(), endpoint).is_some() {
                return Err(wrong());
            }
        }
        Ok(Self(mirrors))
    }
}

impl Endpoint {
    fn parse(address: &str) -> Option<Self> {
        let (scheme, rest) = address.split_once("://").map_or((None, address), |(scheme, rest)| (Some(scheme), rest));
        let (host, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let prefix = prefix.trim_matches('/').to_owned();
        let plain_http = match scheme {
            Some("http") => true,
            Some("https") => false,
            Some(_) => return None,
            None => is_loopback(host),
        };
        let sane = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
        (is_host(host) && prefix.chars().all(sane)).then(|| Self { host: host.to_owned(), prefix, plain_http })
    }
}

/// A host name or address, with or without a port.
fn is_host(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || ".-_:[]".contains(c))
}

/// A registry on this very machine speaks plain HTTP, as Docker has it.
fn is_loopback(host: &str) -> bool {
    // The name without its port, if it has one: the colons in brackets are an address's own.
    let name = match host.rsplit_once(':') {
        Some((name, _)) if !host.ends_with(']') => name,
        _ => host,
    };
    name == "localhost" || name.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}
