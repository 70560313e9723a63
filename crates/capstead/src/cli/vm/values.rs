//! Values of flags of `capstead vm create` that hold several things.

use std::net::IpAddr;
use std::str::FromStr;

/// A network interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// What it is attached to.
    pub attachment: Attachment,
    /// The guest's name for it.
    pub name: Option<String>,
    /// Its address on the wire.
    pub mac: Option<String>,
    /// A static address, in CIDR notation.
    pub ip: Option<String>,
    /// The gateway, in CIDR notation as the protocol wants it.
    pub gateway: Option<String>,
    /// Name servers.
    pub dns: Vec<String>,
}

/// What an interface is attached to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attachment {
    /// Whatever the host does by default.
    Default,
    /// A bridge of this name, or what the host takes the name for.
    Bridge(String),
    /// The host's parent interface.
    Macvtap,
}

/// A further volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeArg {
    /// What it is called.
    pub id: String,
    /// What is on it.
    pub source: VolumeSource,
    /// Where the guest mounts it.
    pub mount: Option<String>,
    /// Its size in MiB.
    pub size: Option<i32>,
    /// The guest may not write to it.
    pub read_only: bool,
}

/// What is on a volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VolumeSource {
    /// An image.
    Image(String),
    /// A folder of the host.
    Virtiofs(String),
}

/// `KEY=VALUE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// Before the first `=`.
    pub key: String,
    /// After it.
    pub value: String,
}

impl FromStr for Pair {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (key, value) = text.split_once('=').filter(|(key, _)| !key.is_empty()).ok_or("KEY=VALUE is expected")?;
        Ok(Self { key: key.to_owned(), value: value.to_owned() })
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut words = text.split(',');
        let place = words.next().unwrap_or_default();
        let attachment = match place.split_once(':') {
            None if place == "tap" => Attachment::Default,
            None if place == "macvtap" => Attachment::Macvtap,
            None if ["user", "passt", "user-lan"].contains(&place) => Attachment::Bridge(place.to_owned()),
            Some(("user-lan", lan)) if !lan.is_empty() => Attachment::Bridge(place.to_owned()),
            Some(("tap", bridge)) if !bridge.is_empty() => Attachment::Bridge(bridge.to_owned()),
            _ => return Err(format!("`{place}` is none of tap, tap:BRIDGE, user, passt, user-lan, user-lan:NAME, macvtap")),
        };
        let mut network = Self { attachment, name: None, mac: None, ip: None, gateway: None, dns: Vec::new() };
        for word in words {
            let Pair { key, value } = word.parse().map_err(|_| format!("`{word}`: name=, mac=, ip=, gateway= or dns= is expected"))?;
            let field = match key.as_str() {
                "name" => &mut network.name,
                "mac" => &mut network.mac,
                "ip" => &mut network.ip,
                "gateway" => &mut network.gateway,
                "dns" => {
                    network.dns.push(value);
                    continue;
                }
                _ => return Err(format!("`{key}` is none of name, mac, ip, gateway, dns")),
            };
            if field.replace(value).is_some() {
                return Err(format!("{key} is there twice"));
            }
        }
        network.checked()
    }
}

impl Network {
    /// A mistake here is told here: what the host would say of it names fields that nobody has written.
    fn checked(mut self) -> Result<Self, String> {
        let Some(ip) = self.ip.clone() else {
            return if self.gateway.is_none() && self.dns.is_empty() {
                Ok(self)
            } else {
                Err("gateway and dns need an ip: without one, the guest asks by DHCP".to_owned())
            };
        };
        let Some(bits) = length(&ip) else {
            return Err(format!("ip={ip}: an address with its network's length is expected, as 10.0.0.5/24"));
        };
        if let Some(gateway) = &mut self.gateway
            && !gateway.contains('/')
        {
            *gateway = format!("{gateway}/{bits}");
        }
        let gateway = self.gateway.iter().filter_map(|gateway| gateway.split('/').next());
        let wrong = gateway.chain(self.dns.iter().map(String::as_str)).find(|text| text.parse::<IpAddr>().is_err()).map(str::to_owned);
        wrong.map_or(Ok(self), |wrong| Err(format!("`{wrong}` is no IP address")))
    }
}

/// The length of a network in CIDR notation; `None` where it is none.
fn length(cidr: &str) -> Option<u8> {
    let (address, bits) = cidr.split_once('/')?;
    let most = if address.parse::<IpAddr>().ok()?.is_ipv4() { 32 } else { 128 };
    bits.parse().ok().filter(|bits| *bits <= most)
}

impl FromStr for VolumeArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut words = text.split(',');
        let Pair { key: id, value: source } =
            words.next().unwrap_or_default().parse().map_err(|_| "ID=IMAGE or ID=virtiofs:FOLDER is expected")?;
        let source = match source.strip_prefix("virtiofs:") {
            _ if source.is_empty() => return Err(format!("{id}: an image is expected behind =")),
            Some(folder) => VolumeSource::Virtiofs(folder.to_owned()),
            None => VolumeSource::Image(source),
        };
        let mut volume = Self { id, source, mount: None, size: None, read_only: false };
        for word in words {
            match word.split_once('=') {
                Some(("mount", folder)) if folder.starts_with('/') => volume.mount = Some(folder.to_owned()),
                Some(("mount", folder)) => return Err(format!("mount={folder}: an absolute path is expected")),
                Some(("size", size)) => volume.size = Some(mebibytes(size)?),
                None if word == "ro" => volume.read_only = true,
                _ => return Err(format!("`{word}` is none of mount=, size=, ro")),
            }
        }
        Ok(volume)
    }
}

/// A size in MiB: `512`, `512M`, `10G`, `1T`, in powers of 1024.
///
/// # Errors
/// It is none, or none that the protocol can carry.
pub fn mebibytes(text: &str) -> Result<i32, String> {
    let wrong = || format!("`{text}` is no size: MiB, or 512M, 10G, 1T, are expected");
    let plain = text.strip_suffix("iB").or_else(|| text.strip_suffix('i')).or_else(|| text.strip_suffix('B')).unwrap_or(text);
    let (digits, factor) = match plain.char_indices().last().ok_or_else(wrong)? {
        (at, 'M' | 'm') => (&plain[..at], 1),
        (at, 'G' | 'g') => (&plain[..at], 1 << 10),
        (at, 'T' | 't') => (&plain[..at], 1 << 20),
        _ => (text, 1),
    };
    let number: i32 = digits.parse().map_err(|_| wrong())?;
    number.checked_mul(factor).filter(|size| *size > 0).ok_or_else(wrong)
}

/// Reads a microVM's memory, in MiB.
///
/// # Errors
/// It is no size, or one that flintlock's rules refuse.
pub fn memory(text: &str) -> Result<i32, String> {
    mebibytes(text).and_then(|size| if (1024..=32_768).contains(&size) { Ok(size) } else { Err("1G to 32G are possible".to_owned()) })
}

#[cfg(test)]
mod tests;
