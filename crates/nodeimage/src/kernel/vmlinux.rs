//! The uncompressed kernel out of a bootable one: what Firecracker and Cloud Hypervisor start.
//!
//! A bzImage's header says where its payload is. Where it says nothing of use, the payload is looked for by what compressed data begins with.

use std::io::{self, Read};

use thiserror::Error;

#[cfg(test)]
mod tests;

const ELF: &[u8] = b"\x7fELF";
/// Far more than any kernel is.
const LARGEST: u64 = 1 << 30;
/// How many places are tried in a file without a header.
const MOST_TRIES: usize = 64;

/// Why there is no uncompressed kernel.
#[derive(Debug, Error)]
pub enum VmlinuxError {
    /// Nothing that is a kernel can be found.
    #[error("no kernel is found in it: neither ELF, nor packed by gzip, xz, zstd or lz4")]
    NotFound,
    /// It is packed in a way that is not supported.
    #[error("the kernel in it is packed by {how}, which is not supported")]
    Packing {
        /// How.
        how: &'static str,
    },
    /// Unpacked, it is no ELF file: a kernel of another architecture.
    #[error("what is packed in it is no ELF file")]
    NotElf,
    /// It cannot be unpacked.
    #[error("the kernel in it cannot be unpacked")]
    Unpack(#[source] io::Error),
}

/// A way of packing, and what it begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Packing {
    Gzip,
    Xz,
    Zstd,
    Lz4,
    Bzip2,
    Lzma,
    Lzo,
}

impl Packing {
    const ALL: [(Self, &'static [u8]); 7] = [
        (Self::Gzip, b"\x1f\x8b\x08"),
        (Self::Xz, b"\xfd7zXZ\0"),
        (Self::Zstd, b"\x28\xb5\x2f\xfd"),
        (Self::Lz4, b"\x02\x21\x4c\x18"),
        (Self::Bzip2, b"BZh"),
        (Self::Lzma, b"\x5d\0\0\0"),
        (Self::Lzo, b"\x89LZO\0"),
    ];

    fn of(bytes: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|(_, magic)| bytes.starts_with(magic)).map(|(packing, _)| packing)
    }

    /// The first that is packed so; what follows is of no interest.
    fn unpack(self, bytes: &[u8]) -> Result<Vec<u8>, VmlinuxError> {
        let unsupported = |how| Err(VmlinuxError::Packing { how });
        let unpacked = match self {
            Self::Gzip => all(flate2::read::GzDecoder::new(bytes)),
            Self::Xz => all(lzma_rust2::XzReader::new(bytes, false)),
            Self::Zstd => zstd::stream::read::Decoder::with_buffer(bytes).and_then(|decoder| all(decoder.single_frame())),
            Self::Lz4 => lz4(bytes),
            Self::Bzip2 => return unsupported("bzip2"),
            Self::Lzma => return unsupported("lzma"),
            Self::Lzo => return unsupported("lzo"),
        };
        unpacked.map_err(VmlinuxError::Unpack)
    }
}

/// The uncompressed kernel in a bootable one, or the same if it is not compressed.
///
/// # Errors
/// When there is none in it, or it cannot be unpacked.
pub fn extract(image: &[u8]) -> Result<Vec<u8>, VmlinuxError> {
    if image.starts_with(ELF) {
        return Ok(image.to_vec());
    }
    if let Some(payload) = payload(image) {
        if payload.starts_with(ELF) {
            return Ok(payload.to_vec());
        }
        if let Some(packing) = Packing::of(payload) {
            return elf(packing.unpack(payload)?);
        }
    }
    search(image)
}

/// What a bzImage's header says is its payload (boot protocol 2.08 and later).
fn payload(image: &[u8]) -> Option<&[u8]> {
    let word = |at: usize| image.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map(u32::from_le_bytes);
    if image.get(0x202..0x206)? != b"HdrS" || u16::from_le_bytes([*image.get(0x206)?, *image.get(0x207)?]) < 0x208 {
        return None;
    }
    // Zero sectors of the part that real mode runs mean four, for reasons of history.
    let sectors = match *image.get(0x1f1)? {
        0 => 4,
        sectors => usize::from(sectors),
    };
    let start = (sectors + 1) * 512 + word(0x248)? as usize;
    let length = word(0x24c)? as usize;
    // Its last four bytes are the unpacked size.
    image.get(start..start.checked_add(length)?.checked_sub(4)?)
}

/// Tries every place that looks like packed data.
fn search(image: &[u8]) -> Result<Vec<u8>, VmlinuxError> {
    let mut places: Vec<(usize, Packing)> = Vec::new();
    // What begins with few bytes is found everywhere; such packings are only believed where a header points to them.
    for (packing, magic) in Packing::ALL.into_iter().take(4) {
        places.extend(memchr::memmem::find_iter(image, magic).take(MOST_TRIES).map(|at| (at, packing)));
    }
    places.sort_by_key(|(at, _)| *at);
    let found = places.into_iter().take(MOST_TRIES).find_map(|(at, packing)| elf(packing.unpack(&image[at..]).ok()?).ok());
    found.ok_or(VmlinuxError::NotFound)
}

fn elf(bytes: Vec<u8>) -> Result<Vec<u8>, VmlinuxError> {
    if bytes.starts_with(ELF) { Ok(bytes) } else { Err(VmlinuxError::NotElf) }
}

fn all(stream: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    stream.take(LARGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST { Err(io::Error::other("it unpacks to more than a gigabyte")) } else { Ok(bytes) }
}

/// The old format of lz4, which kernels have: blocks of eight megabytes, each with its packed size before it.
fn lz4(bytes: &[u8]) -> io::Result<Vec<u8>> {
    const BLOCK: usize = 8 << 20;
    let mut rest = &bytes[4..];
    let mut unpacked = Vec::new();
    while let Some((size, following)) = rest.split_first_chunk::<4>() {
        let size = u32::from_le_bytes(*size) as usize;
        let Some((block, following)) = following.split_at_checked(size).filter(|_| size > 0) else { break };
        let block = lz4_flex::block::decompress(block, BLOCK).map_err(io::Error::other)?;
        let last = block.len() < BLOCK;
        unpacked.extend(block);
        if unpacked.len() as u64 > LARGEST {
            return Err(io::Error::other("it unpacks to more than a gigabyte"));
        }
        if last {
            break;
        }
        rest = following;
    }
    Ok(unpacked)
}

/// What xz packed.
pub(crate) fn unxz(bytes: &[u8]) -> Result<Vec<u8>, VmlinuxError> {
    Packing::Xz.unpack(bytes)
}
