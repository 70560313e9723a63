use std::io::Write;

use super::*;

const KERNEL: &[u8] = b"\x7fELF kernel kernel kernel kernel";
/// The same packed by `xz --check=crc32 --x86`, as Linux's build does it.
const XZ: &str = "fd377a585a0000016922de3602010400210110008b216f49e0001f00125d003f914584694d8dbb7deb1fa660c76b4a00000000006a3b5bab00012a20cb5983749042990d010000000001595a";

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn xz() -> Vec<u8> {
    (0..XZ.len()).step_by(2).map(|at| u8::from_str_radix(&XZ[at..at + 2], 16).unwrap()).collect()
}

/// Literals only: a token for 15 and more, and how many more.
fn lz4(bytes: &[u8]) -> Vec<u8> {
    let mut block = vec![0xf0, u8::try_from(bytes.len() - 15).unwrap()];
    block.extend_from_slice(bytes);
    let mut packed = b"\x02\x21\x4c\x18".to_vec();
    packed.extend(u32::try_from(block.len()).unwrap().to_le_bytes());
    packed.extend(block);
    packed
}

/// A bootable kernel: boot sector, one sector of set-up, code, payload.
fn bz_image(payload: &[u8]) -> Vec<u8> {
    let mut image = vec![0; 1024];
    image[0x1f1] = 1;
    image[0x202..0x206].copy_from_slice(b"HdrS");
    image[0x206..0x208].copy_from_slice(&0x20f_u16.to_le_bytes());
    let code = [0x90; 100];
    image[0x248..0x24c].copy_from_slice(&u32::try_from(code.len()).unwrap().to_le_bytes());
    image[0x24c..0x250].copy_from_slice(&u32::try_from(payload.len() + 4).unwrap().to_le_bytes());
    image.extend(code);
    image.extend(payload);
    image.extend(u32::try_from(KERNEL.len()).unwrap().to_le_bytes());
    image.extend([0; 64]);
    image
}

#[test]
fn every_packing_is_unpacked() {
    let zstd = zstd::stream::encode_all(KERNEL, 3).unwrap();
    for (name, packed) in [("gzip", gzip(KERNEL)), ("xz", xz()), ("zstd", zstd), ("lz4", lz4(KERNEL)), ("plain", KERNEL.to_vec())] {
        assert_eq!(extract(&bz_image(&packed)).unwrap(), KERNEL, "{name}");
    }
    assert_eq!(extract(KERNEL).unwrap(), KERNEL);
}

#[test]
fn without_a_header_it_is_looked_for() {
    for packed in [gzip(KERNEL), xz(), zstd::stream::encode_all(KERNEL, 3).unwrap(), lz4(KERNEL)] {
        // What only looks like packed data comes first.
        let mut image = b"some code \x1f\x8b\x08 \x28\xb5\x2f\xfd and more".to_vec();
        image.extend(gzip(b"not a kernel"));
        image.extend(&packed);
        image.extend([0; 100]);
        assert_eq!(extract(&image).unwrap(), KERNEL);
    }
}

#[test]
fn what_is_no_kernel_is_refused() {
    assert!(matches!(extract(b"not a kernel"), Err(VmlinuxError::NotFound)));
    assert!(matches!(extract(&bz_image(&gzip(b"no ELF file, but an Image of arm64"))), Err(VmlinuxError::NotElf)));
    assert!(matches!(extract(&bz_image(b"BZh91AY&SY")), Err(VmlinuxError::Packing { how: "bzip2" })));
    let mut cut = bz_image(&gzip(KERNEL));
    // The header promises more than there is.
    cut.truncate(1130);
    assert!(matches!(extract(&cut), Err(VmlinuxError::NotFound)));
    let mut damaged = gzip(KERNEL);
    damaged[12] ^= 0xff;
    assert!(matches!(extract(&bz_image(&damaged)), Err(VmlinuxError::Unpack(_))));
}
