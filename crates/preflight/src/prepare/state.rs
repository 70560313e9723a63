//! What there is on a machine that may be changed.

use serde::Deserialize;
use serde::Serialize;

/// One thing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Key {
    /// A package of the distribution. It stays when the rest is undone.
    Package(String),
    /// All `.deb` files of a folder, installed. They stay, too.
    Packages(String),
    /// A kernel module, loaded. It stays until the next boot.
    Module(String),
    /// A system user without a home, of the group `kvm` where there is one.
    User(String),
    /// A folder.
    Folder(String),
    /// A file.
    File(String),
    /// A setting of the kernel, as it is now: `net.ipv4.ip_forward`.
    Sysctl(String),
    /// The uplink as a port of a bridge.
    Uplink(Uplink),
    /// A systemd unit.
    Unit(String),
    /// An image in the runtime's own store. It stays.
    Image(String),
}

impl Key {
    /// It stays when the rest is undone, so nothing is recorded of it.
    #[must_use]
    pub fn lasting(&self) -> bool {
        matches!(self, Self::Package(_) | Self::Packages(_) | Self::Module(_) | Self::Image(_))
    }
}

/// How the uplink joins a bridge: by files of systemd-networkd.
///
/// They lie in /run at first, so a machine that is not reached any more comes back as it was even by switching it off.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Uplink {
    /// The uplink.
    pub link: String,
    /// The bridge.
    pub bridge: String,
    /// Names and contents.
    pub files: Vec<(String, String)>,
}

/// How it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It is not there.
    Absent,
    /// It is there, and there is no more to say.
    Present,
    /// A file.
    File(Plain),
    /// A file that was being written when everything ended; what is below that.
    Torn(Box<State>),
    /// A setting's value.
    Value(String),
    /// A unit. One that is not there is neither.
    Unit {
        /// It starts at boot.
        enabled: bool,
        /// It runs.
        active: bool,
    },
    /// Something else has its name, and is left alone.
    Odd(String),
}

/// A plain file.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Plain {
    /// What is in it.
    #[serde(with = "encoded")]
    pub content: Vec<u8>,
    /// Its mode.
    pub mode: u32,
    /// Its owner and group.
    pub owner: (u32, u32),
}

impl State {
    /// A file of root's that all may read.
    #[must_use]
    pub fn text(content: impl Into<String>) -> Self {
        Self::File(Plain { content: content.into().into_bytes(), mode: 0o644, owner: (0, 0) })
    }

    /// As it was before a write was cut off.
    #[must_use]
    pub fn whole(&self) -> &Self {
        match self {
            Self::Torn(below) => below,
            other => other,
        }
    }
}

mod encoded {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use serde::Deserialize;
    use serde::Deserializer;
    use serde::Serializer;
    use serde::de::Error;

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        STANDARD.decode(String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}
