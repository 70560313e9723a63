//! Access control lists: the form archives and system calls have, and the form on disk.

/// The version of an extended attribute's value, and of the value on disk.
const OUTSIDE: u32 = 2;
const INSIDE: u32 = 1;
/// The tags whose entries name a user or a group by number: on disk the others have no number.
const NAMED: [u16; 2] = [0x02, 0x08];

/// A list as ext4 stores it, from the value of `system.posix_acl_*`. `None` when that is no list.
pub(super) fn on_disk(value: &[u8]) -> Option<Vec<u8>> {
    let (version, entries) = value.split_first_chunk::<4>()?;
    let (entries, rest) = entries.as_chunks::<8>();
    if u32::from_le_bytes(*version) != OUTSIDE || !rest.is_empty() {
        return None;
    }
    let mut out = INSIDE.to_le_bytes().to_vec();
    for entry in entries {
        let named = NAMED.contains(&u16::from_le_bytes([entry[0], entry[1]]));
        out.extend_from_slice(if named { entry } else { &entry[..4] });
    }
    Some(out)
}
