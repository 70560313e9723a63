//! What a microVM is made of, as plain data: no driver, no host, no wire format.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddrV4;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A microVM to run. The run folder, sockets and logs follow from its [`Uid`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Identity; everything on the host is named by it.
    pub uid: Uid,
    /// Virtual processors, at least 1.
    pub vcpus: u32,
    /// Memory in MiB.
    pub memory_mib: u32,
    /// An uncompressed ELF kernel (every driver), or a bzImage (QEMU and Cloud Hypervisor).
    pub kernel: PathBuf,
    /// Initial RAM disk.
    pub initrd: Option<PathBuf>,
    /// Kernel parameters. A driver adds its own where a name is not given here, see [`crate::Driver::plan`].
    pub cmdline: CommandLine,
    /// Disks, in the order in which the guest sees them: the first is `/dev/vda`.
    pub disks: Vec<Disk>,
    /// Network interfaces, in the order in which the guest sees them.
    pub nics: Vec<Nic>,
    /// Whether the guest gets a vsock device, which the host reaches by the Unix socket [`crate::RunFolder::vsock`]; the guest's CID is 3.
    pub vsock: bool,
    /// Host folders that the guest mounts by virtiofs.
    pub shares: Vec<Share>,
    /// Documents of the metadata service by name (`meta-data`, `user-data`…). Empty where the guest gets them another way.
    pub metadata: BTreeMap<String, String>,
    /// What is put before the VMM's command, so that it runs in the namespaces of a LAN: a program that becomes that command, as nsenter does. Mostly empty.
    pub enter: Vec<String>,
}

/// A microVM's identity: 1 to 64 ASCII letters, digits and hyphens, not beginning with a hyphen (what every VMM and file name takes).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Uid(String);

/// The text is no [`Uid`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no microVM uid: it takes 1 to 64 ASCII letters, digits and hyphens, and no hyphen first")]
pub struct UidError(String);

impl TryFrom<String> for Uid {
    type Error = UidError;

    fn try_from(text: String) -> Result<Self, UidError> {
        let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if plain && (1..=64).contains(&text.len()) && !text.starts_with('-') {
            Ok(Self(text))
        } else {
            Err(UidError(text.chars().take(80).collect()))
        }
    }
}

impl FromStr for Uid {
    type Err = UidError;

    fn from_str(text: &str) -> Result<Self, UidError> {
        Self::try_from(text.to_owned())
    }
}

impl From<Uid> for String {
    fn from(uid: Uid) -> Self {
        uid.0
    }
}

impl AsRef<str> for Uid {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Kernel parameters by name, in the order in which they were set. An empty value gives the bare name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommandLine(Vec<(String, String)>);

/// The kernel parameters cannot be written as one line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandLineError {
    /// A name or value holds what the kernel's line cannot.
    #[error("the kernel parameter `{name}` holds a quote or a control character, or white space in its name")]
    Character {
        /// The parameter.
        name: String,
    },
    /// Longer than kernels read (`COMMAND_LINE_SIZE` on x86, and Firecracker's and Cloud Hypervisor's own limit).
    #[error("the kernel parameters take {0} bytes; {max} are the most", max = CommandLine::MAX)]
    TooLong(usize),
}

impl CommandLine {
    /// Most bytes of a rendered line, without the NUL at its end.
    pub const MAX: usize = 2047;

    /// Sets a parameter; one that is there keeps its place.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        let (name, value) = (name.into(), value.into());
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name, value)),
        }
    }

    /// The value of a parameter; empty for a bare name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// These parameters, after those of `defaults` that are not among them.
    #[must_use]
    pub fn over<'a>(&self, defaults: impl IntoIterator<Item = (&'a str, String)>) -> Self {
        let mut all: Vec<(String, String)> =
            defaults.into_iter().filter(|(name, _)| self.get(name).is_none()).map(|(name, value)| (name.to_owned(), value)).collect();
        all.extend(self.0.iter().cloned());
        Self(all)
    }

    /// The line as the kernel reads it; a value with blanks is quoted.
    ///
    /// # Errors
    /// A character that cannot be written, or too many.
    pub fn render(&self) -> Result<String, CommandLineError> {
        let mut line = String::new();
        for (name, value) in &self.0 {
            let bad = |c: char| c == '"' || c.is_control();
            if name.is_empty() || name.contains(|c: char| bad(c) || c.is_whitespace() || c == '=') || value.contains(bad) {
                return Err(CommandLineError::Character { name: name.chars().filter(|c| !c.is_control()).collect() });
            }
            let gap = if line.is_empty() { "" } else { " " };
            let quote = if value.contains(char::is_whitespace) { "\"" } else { "" };
            let equals = if value.is_empty() { "" } else { "=" };
            line.push_str(&format!("{gap}{name}{equals}{quote}{value}{quote}"));
        }
        if line.len() > Self::MAX { Err(CommandLineError::TooLong(line.len())) } else { Ok(line) }
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for CommandLine {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        let mut line = Self::default();
        for (name, value) in pairs {
            line.set(name, value);
        }
        line
    }
}

/// A disk that exists already; what made it looks after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disk {
    /// The file or block device.
    pub path: PathBuf,
    /// How to read it. It is never guessed: a guest could write another format's header into its raw disk.
    pub format: DiskFormat,
    /// Whether the guest may only read it.
    pub read_only: bool,
    /// What the guest has it for.
    pub role: DiskRole,
    /// Files below this one (a qcow2 overlay's base), which the VMM reads too.
    pub backing: Vec<PathBuf>,
    /// Whether the guest's flushes reach the host's disk. Without, a host that loses power may lose the disk.
    pub durable: bool,
}

/// A disk's format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DiskFormat {
    /// The guest's bytes as they are.
    Raw,
    /// QEMU's copy-on-write format.
    Qcow2,
}

/// What a disk is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DiskRole {
    /// The root file system.
    Root,
    /// A further volume.
    Data,
    /// Guest data (NoCloud).
    Seed,
}

/// A network interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nic {
    /// Its label: ASCII letters, digits and underscores.
    pub id: String,
    /// The guest's address on the link.
    pub mac: Mac,
    /// The MTU told to the guest, 68 to 65535.
    pub mtu: Option<u16>,
    /// What it is joined to on the host.
    pub host: HostNic,
    /// Whether the metadata service answers on it.
    pub metadata: bool,
}

/// The host's side of a network interface. It exists already, but for `User`, which the VMM itself is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostNic {
    /// A tap device by name.
    Tap(String),
    /// A macvtap's character device (`/dev/tap7`), which is opened for the VMM.
    Macvtap(PathBuf),
    /// The VMM's own NAT: outward traffic, and these forwards inward.
    User(Vec<Forward>),
    /// Frames with a length before each, over a Unix stream socket that someone listens on (gvproxy, passt).
    Stream(PathBuf),
    /// Frames as datagrams between two Unix sockets.
    Dgram {
        /// The VMM's own, which it makes.
        local: PathBuf,
        /// The other's.
        remote: PathBuf,
    },
}

/// A port of the host that leads to a port of the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forward {
    /// The protocol.
    pub protocol: Protocol,
    /// Where the host listens.
    pub host: SocketAddrV4,
    /// The guest's port.
    pub guest_port: u16,
}

/// A forward's protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// An Ethernet address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mac(pub [u8; 6]);

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// A host folder for the guest. A virtiofsd of its own serves it, see [`crate::Virtiofsd`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// What the guest mounts it by: a label as a network interface has one.
    pub tag: String,
    /// The folder, an absolute path.
    pub folder: PathBuf,
    /// Whether the guest may only read.
    pub read_only: bool,
}

#[cfg(test)]
mod tests;
