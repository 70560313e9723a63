use proptest::prelude::*;

use super::*;

fn own(headers: &[(&str, &str)]) -> Headers {
    headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn block(plain: &[u8]) -> Vec<u8> {
    let length = plain.len() as u16;
    [&START[..], &[0], &length.to_le_bytes(), &(!length).to_le_bytes(), plain, &FLUSH].concat()
}

#[test]
fn the_dictionary_is_the_one_of_the_stream_s_start() {
    let (mut a, mut b) = (1_u32, 0_u32);
    for byte in DICTIONARY {
        a = (a + u32::from(*byte)) % 65521;
        b = (b + a) % 65521;
    }
    assert_eq!((b << 16 | a).to_be_bytes(), START[2..]);
}

#[test]
fn an_empty_block_is_what_go_s_reader_wants() {
    let mut out = Vec::new();
    let mut deflater = Deflater::default();
    deflater.write(&Vec::new(), &mut out);
    assert_eq!(out, [0x78, 0xbb, 0xe3, 0xc6, 0xa7, 0xc2, 0, 4, 0, 0xfb, 0xff, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff]);
    out.clear();
    deflater.write(&Vec::new(), &mut out);
    assert_eq!(out, [0, 4, 0, 0xfb, 0xff, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff]);
}

#[test]
fn what_is_broken_is_named() {
    let broken = [
        (b"\x78\x9c\xe3\xc6\xa7\xc2".to_vec(), HeaderError::Dictionary),
        (b"\x78\xbb\xe3\xc6\xa7\xc3".to_vec(), HeaderError::Dictionary),
        (b"\x78\xbb\xe3".to_vec(), HeaderError::Dictionary),
        (Vec::new(), HeaderError::Dictionary),
        ([&START[..], &[0xff; 9]].concat(), HeaderError::Deflate),
        // A last block.
        ([&START[..], &[1, 0, 0, 0xff, 0xff]].concat(), HeaderError::Deflate),
        (block(&[0, 0, 0]), HeaderError::Lengths),
        (block(&[0, 0, 0, 0, 9]), HeaderError::Lengths),
        (block(&[0, 0, 0, 33]), HeaderError::Many),
        (block(&[0xff; 4]), HeaderError::Many),
        (block(b"\0\0\0\x01\xff\xff\xff\xffa"), HeaderError::Lengths),
        (block(b"\0\0\0\x01\0\0\0\x01A\0\0\0\0"), HeaderError::Name),
        (block(b"\0\0\0\x01\0\0\0\0\0\0\0\0"), HeaderError::Name),
        (block(b"\0\0\0\x02\0\0\0\x01a\0\0\0\0\0\0\0\x01a\0\0\0\0"), HeaderError::Name),
        (block(b"\0\0\0\x01\0\0\0\x01a\0\0\0\x01\xff"), HeaderError::Text),
        (block(&[0; MOST_BYTES + 1]), HeaderError::Long),
    ];
    for (bytes, error) in broken {
        assert_eq!(Inflater::new().read(&bytes), Err(error), "{bytes:x?}");
    }
}

#[test]
fn a_small_block_does_not_grow_beyond_the_limit() {
    // As much as deflate can pack: a mebibyte of zeros.
    let bomb = miniz_oxide::deflate::compress_to_vec(&vec![0; 1024 * 1024], 9);
    assert!(bomb.len() < 2048);
    assert_eq!(Inflater::new().read(&[&START[..], &bomb].concat()), Err(HeaderError::Long));
}

#[test]
fn a_stream_s_window_goes_around() {
    // Ten times the window, so that it wraps at every place within a block.
    let (mut deflater, mut inflater) = (Deflater::default(), Inflater::new());
    for length in 0..64 {
        let headers = own(&[("streamtype", "data"), ("long", &"x".repeat(5000 + length))]);
        let mut out = Vec::new();
        deflater.write(&headers, &mut out);
        assert_eq!(inflater.read(&out), Ok(headers));
    }
}

proptest! {
    #[test]
    fn blocks_come_back(blocks in prop::collection::vec(prop::collection::btree_map("[a-z-]{1,20}", ".{0,80}", 0..8), 0..8)) {
        let (mut deflater, mut inflater) = (Deflater::default(), Inflater::new());
        for headers in blocks {
            let headers: Headers = headers.into_iter().collect();
            let mut out = Vec::new();
            deflater.write(&headers, &mut out);
            prop_assert_eq!(inflater.read(&out), Ok(headers));
        }
    }

    #[test]
    fn anything_is_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200), good in any::<bool>()) {
        let bytes = if good { block(&bytes) } else { bytes };
        let _ = Inflater::new().read(&bytes);
    }
}
