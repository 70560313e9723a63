//! Names of host interfaces, and the mark by which they are found again.
//!
//! A name follows from the microVM's uid and the interface's position, so that a second call finds what the first made. Names are short and can
//! collide; what a device is for stands in its alias (`ip link show` prints it), and only a device with our alias is ours.

use serde::Deserialize;
use serde::Serialize;
use sha2::Digest;
use sha2::Sha256;

/// Longest interface name in bytes (`IFNAMSIZ` without the closing zero).
pub const LONGEST: usize = 15;
/// The most interfaces a microVM may have.
pub const POSITIONS: u8 = 16;
/// How many names are tried when others have the first.
const TRIES: u8 = 5;
/// What each alias of ours begins with.
const MARK: &str = "capstead";
/// Device group of macvtaps, set in the very call that creates them: an alias can only be set afterwards.
pub(crate) const GROUP: u32 = 0x6361_7073;

/// The kinds of devices that are made for microVMs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prefix {
    /// `fltap`
    Tap,
    /// `flvtap`
    Macvtap,
}

impl Prefix {
    /// The text, as flintlock has it.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Tap => "fltap",
            Self::Macvtap => "flvtap",
        }
    }
}

/// Whose device it is: written into the device's alias.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Which daemon on this host.
    pub instance: String,
    /// The microVM's uid.
    pub uid: String,
    /// The interface's name in the microVM's spec.
    pub device_id: String,
}

impl Mark {
    /// The alias: `capstead/<instance>/<uid>/<device id>`.
    #[must_use]
    pub fn alias(&self) -> String {
        format!("{MARK}/{}/{}/{}", self.instance, self.uid, self.device_id)
    }

    /// The mark that an alias holds, if it is one of ours.
    #[must_use]
    pub fn parse(alias: &str) -> Option<Self> {
        let parts: Vec<&str> = alias.split('/').collect();
        let [MARK, instance, uid, device_id] = parts[..] else { return None };
        let all = [instance, uid, device_id];
        all.iter().all(|part| !part.is_empty()).then(|| Self { instance: instance.into(), uid: uid.into(), device_id: device_id.into() })
    }
}

/// The names a device may have, best first: the prefix and 7 hexadecimal digits that follow from all the rest.
pub fn candidates(prefix: Prefix, instance: &str, uid: &str, position: u8) -> impl Iterator<Item = String> {
    let seed = format!("{instance}/{uid}/{position}");
    (0..TRIES).map(move |attempt| format!("{}{}", prefix.text(), digits(&format!("{seed}/{attempt}"), 7)))
}

/// The first hexadecimal digits of a hash.
pub(crate) fn digits(seed: &str, count: usize) -> String {
    let hash = Sha256::digest(seed);
    hash.iter().flat_map(|byte| [byte >> 4, byte & 15]).take(count).filter_map(|digit| char::from_digit(digit.into(), 16)).collect()
}

#[cfg(test)]
mod tests;
