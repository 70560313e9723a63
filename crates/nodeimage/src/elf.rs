//! What a program is linked with.

use object::elf::FileHeader64;
use object::read::elf::{Dyn, FileHeader, ProgramHeader};
use object::{Endianness, elf};

/// Where Debian has libraries.
pub(crate) const FOLDERS: [&str; 6] =
    ["usr/lib/x86_64-linux-gnu", "usr/lib/aarch64-linux-gnu", "lib/x86_64-linux-gnu", "lib/aarch64-linux-gnu", "usr/lib", "lib"];

/// What a program needs to run.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Needed {
    /// The loader's path.
    pub(crate) interpreter: Option<String>,
    /// Names of shared libraries.
    pub(crate) libraries: Vec<String>,
}

/// Reads a program's headers. `None` for what is no 64-bit ELF file.
pub(crate) fn needed(bytes: &[u8]) -> Option<Needed> {
    let header = FileHeader64::<Endianness>::parse(bytes).ok()?;
    let endian = header.endian().ok()?;
    let segments = header.program_headers(endian, bytes).ok()?;
    let mut needed = Needed::default();
    for segment in segments {
        if let Ok(Some(path)) = segment.interpreter(endian, bytes) {
            needed.interpreter = Some(String::from_utf8_lossy(path).into_owned());
        }
        let Ok(Some(entries)) = segment.dynamic(endian, bytes) else { continue };
        let value = |tag: i64| entries.iter().find(|entry| entry.d_tag(endian) == tag).map(|entry| entry.d_val(endian));
        let strings = value(elf::DT_STRTAB)?;
        let table = segments.iter().find_map(|segment| {
            let start = segment.p_vaddr(endian);
            let inside = strings.checked_sub(start).filter(|inside| *inside < segment.p_filesz(endian))?;
            bytes.get(usize::try_from(segment.p_offset(endian).checked_add(inside)?).ok()?..)
        })?;
        for entry in entries.iter().filter(|entry| entry.d_tag(endian) == elf::DT_NEEDED) {
            let name = table.get(usize::try_from(entry.d_val(endian)).ok()?..)?;
            let end = memchr::memchr(0, name)?;
            needed.libraries.push(String::from_utf8_lossy(&name[..end]).into_owned());
        }
    }
    Some(needed)
}
