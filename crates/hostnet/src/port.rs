//! Ports of the host that lead to ports of guests.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::net::TcpListener;
use std::net::UdpSocket;
use std::ops::Range;

use serde::Deserialize;
use serde::Serialize;
use sha2::Digest;
use sha2::Sha256;

/// Where ports are looked for: below those that Linux gives to outgoing connections by default, and above those of planes.
const RANGE: Range<u16> = 24_000..32_000;

/// A transport protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP
    Tcp,
    /// UDP
    Udp,
}

impl Protocol {
    /// `tcp` or `udp`.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

/// A port of the guest that is wanted on the host's loopback address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct WantedForward {
    /// Which protocol.
    pub protocol: Protocol,
    /// The guest's port, from 1.
    pub guest_port: u16,
    /// The host's port; without one a free one is chosen.
    pub host_port: Option<u16>,
}

/// A port of the host's loopback address (127.0.0.1) that leads to a guest's port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Forward {
    /// Which protocol.
    pub protocol: Protocol,
    /// The host's port.
    pub host_port: u16,
    /// The guest's port.
    pub guest_port: u16,
}

/// A port cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PortError {
    /// The port that was asked for is another's.
    #[error("the port {port} ({}) of 127.0.0.1 is in use, or another microVM's", .protocol.text())]
    Taken {
        /// The port.
        port: u16,
        /// Which protocol.
        protocol: Protocol,
    },
    /// Port 0 was asked for, or one port twice.
    #[error("the guest's port {0} is no port, or is wanted twice")]
    Guest(u16),
    /// None is free.
    #[error("no port between {} and {} of 127.0.0.1 is free", RANGE.start, RANGE.end - 1)]
    NoneFree,
}

/// Chooses a port for each wish. Those in `before` stay as they are, without a look whether they are free: by now they are in use by us.
/// Those in `claimed` are others', in use or not. `seed` spreads microVMs over the range, so that two seldom want the same.
///
/// # Errors
/// A port that was asked for is another's, or none is free.
pub fn choose(
    wanted: &[WantedForward],
    before: &[Forward],
    claimed: &BTreeSet<(Protocol, u16)>,
    seed: &str,
) -> Result<Vec<Forward>, PortError> {
    let mut used = claimed.clone();
    let mut chosen = Vec::new();
    let hash = Sha256::digest(seed);
    let start = RANGE.start + u16::from_be_bytes([hash[0], hash[1]]) % (RANGE.end - RANGE.start);
    let mut candidates = (start..RANGE.end).chain(RANGE.start..start);
    for (n, wish) in wanted.iter().enumerate() {
        let WantedForward { protocol, guest_port, host_port } = *wish;
        let twice = wanted[..n].iter().any(|other| (other.protocol, other.guest_port) == (protocol, guest_port));
        if guest_port == 0 || twice {
            return Err(PortError::Guest(guest_port));
        }
        let same = |kept: &&Forward| {
            (kept.protocol, kept.guest_port) == (protocol, guest_port) && host_port.is_none_or(|port| port == kept.host_port)
        };
        let host_port = match (before.iter().find(same), host_port) {
            (Some(kept), _) => kept.host_port,
            (None, Some(port)) if port == 0 || used.contains(&(protocol, port)) || !free(protocol, port) => {
                return Err(PortError::Taken { port, protocol });
            }
            (None, Some(port)) => port,
            (None, None) => {
                candidates.find(|port| !used.contains(&(protocol, *port)) && free(protocol, *port)).ok_or(PortError::NoneFree)?
            }
        };
        if !used.insert((protocol, host_port)) {
            return Err(PortError::Taken { port: host_port, protocol });
        }
        chosen.push(Forward { protocol, host_port, guest_port });
    }
    Ok(chosen)
}

/// Whether the port of the loopback address could be listened on now.
fn free(protocol: Protocol, port: u16) -> bool {
    match protocol {
        Protocol::Tcp => TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok(),
        Protocol::Udp => UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).is_ok(),
    }
}

#[cfg(test)]
mod tests;
