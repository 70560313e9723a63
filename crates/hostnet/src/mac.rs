//! Ethernet addresses.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;
use serde::Serialize;
use sha2::Digest;
use sha2::Sha256;

/// The address of an Ethernet interface (EUI-48).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Mac(pub [u8; 6]);

/// The text is no Ethernet address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be six pairs of hexadecimal digits separated by ':' or '-'")]
pub struct NotAMac;

impl Mac {
    /// A unicast, locally administered address that follows from `seed` alone.
    #[must_use]
    pub fn derived(seed: &str) -> Self {
        let hash = Sha256::digest(seed);
        Self([0x02, hash[0], hash[1], hash[2], hash[3], hash[4]])
    }

    /// The same address with `fe` in front, for the host's end of a tap.
    ///
    /// A bridge without an address of its own takes the lowest among its ports. With `fe` in front a tap never is the lowest,
    /// so the bridge's address does not change when microVMs come and go.
    #[must_use]
    pub fn host_side(self) -> Self {
        let [_, b, c, d, e, f] = self.0;
        Self([0xfe, b, c, d, e, f])
    }

    /// Whether it stands for a group of interfaces.
    #[must_use]
    pub fn is_multicast(self) -> bool {
        self.0[0] & 1 == 1
    }
}

impl FromStr for Mac {
    type Err = NotAMac;

    fn from_str(text: &str) -> Result<Self, NotAMac> {
        let separator = if text.contains('-') { '-' } else { ':' };
        let pair = |pair: &str| match pair.as_bytes() {
            [a, b] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit() => u8::from_str_radix(pair, 16).map_err(|_| NotAMac),
            _ => Err(NotAMac),
        };
        let bytes = text.split(separator).map(pair).collect::<Result<Vec<u8>, NotAMac>>()?;
        Ok(Self(bytes.try_into().map_err(|_| NotAMac)?))
    }
}

impl TryFrom<String> for Mac {
    type Error = NotAMac;

    fn try_from(text: String) -> Result<Self, NotAMac> {
        text.parse()
    }
}

impl From<Mac> for String {
    fn from(mac: Mac) -> Self {
        mac.to_string()
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests;
