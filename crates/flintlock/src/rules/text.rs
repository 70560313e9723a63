//! Texts as Go's packages read them.

use std::net::IpAddr;

/// Go's `net.ParseMAC`: 6, 8 or 20 bytes as pairs with `:` or `-`, or as groups of four with `.`.
pub(super) fn is_mac(text: &str) -> bool {
    let groups = |separator: char, digits: usize| {
        let groups: Vec<&str> = text.split(separator).collect();
        let whole = groups.iter().all(|group| group.len() == digits && group.bytes().all(|b| b.is_ascii_hexdigit()));
        whole && matches!(groups.len() * digits / 2, 6 | 8 | 20)
    };
    groups(':', 2) || groups('-', 2) || groups('.', 4)
}

/// Go's `net.ParseIP`.
pub(super) fn is_ip(text: &str) -> bool {
    text.parse::<IpAddr>().is_ok()
}

/// Go's `net.ParseCIDR`.
pub(super) fn is_cidr(text: &str) -> bool {
    let Some((address, bits)) = text.split_once('/') else { return false };
    let Ok(address) = address.parse::<IpAddr>() else { return false };
    let most = if address.is_ipv4() { 32 } else { 128 };
    !bits.is_empty() && bits.bytes().all(|b| b.is_ascii_digit()) && bits.parse::<u32>().is_ok_and(|bits| bits <= most)
}

/// containerd's `reference.Parse`: what follows a scheme in a URL, with a host. A name without a registry is one as well: `kernel:1`.
pub(super) fn is_image(text: &str) -> bool {
    if text.contains("://") {
        return false;
    }
    let end = text.find(['/', '?', '#']).unwrap_or(text.len());
    let (authority, path) = text.split_at(end);
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let (name, port) = match host.rfind(']') {
        Some(at) => host.split_at(at + 1),
        None => host.split_at(host.rfind(':').unwrap_or(host.len())),
    };
    let port = port.is_empty() || port.strip_prefix(':').is_some_and(|port| port.bytes().all(|b| b.is_ascii_digit()));
    let name_ok = name.chars().all(|c| !c.is_whitespace() && !"\"<>\\^`{|}%".contains(c)) && !(name.is_empty() && host.is_empty());
    name_ok && port && are_escapes_whole(path)
}

fn are_escapes_whole(path: &str) -> bool {
    path.split('%').skip(1).all(|rest| rest.len() >= 2 && rest.bytes().take(2).all(|b| b.is_ascii_hexdigit()))
}

/// An image's reference without what flintlock takes out of it: control characters, space around it. flintlock takes out the space first, and leaves it where a
/// control character stood outside of it: what is stored would not be what the same spec, sent again, is compared with.
#[must_use]
pub fn cleaned(reference: &str) -> String {
    let plain: String = reference.chars().filter(|c| !c.is_control()).collect();
    plain.trim().to_owned()
}
