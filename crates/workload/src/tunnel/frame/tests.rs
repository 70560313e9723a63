use proptest::prelude::*;

use super::*;

fn decode(chunks: impl IntoIterator<Item = Vec<u8>>) -> Result<Vec<Frame>, FrameError> {
    let mut decoder = Decoder::default();
    let mut frames = Vec::new();
    for chunk in chunks {
        decoder.push(chunk.into());
        while let Some(frame) = decoder.next_frame()? {
            frames.push(frame);
        }
    }
    Ok(frames)
}

/// Data in one piece, however it came.
fn joined(frames: Vec<Frame>) -> Vec<Frame> {
    let mut out: Vec<Frame> = Vec::new();
    for frame in frames {
        match (out.last_mut(), frame) {
            (Some(Frame::Data { stream, bytes, fin: ended @ false }), Frame::Data { stream: next, bytes: more, fin })
                if *stream == next =>
            {
                *bytes = [&bytes[..], &more[..]].concat().into();
                *ended = fin;
            }
            (_, frame) => out.push(frame),
        }
    }
    out
}

#[test]
fn what_is_broken_is_named() {
    let control = |kind: u16, length: u32, body: &[u8]| {
        [&(CONTROL | u32::from(VERSION) << 16 | u32::from(kind)).to_be_bytes()[..], &length.to_be_bytes(), body].concat()
    };
    let broken = [
        (b"\x80\x02\0\x06\0\0\0\x04\0\0\0\x01".to_vec(), FrameError::Version(2)),
        (control(PING, MOST_CONTROL as u32 + 1, &[]), FrameError::Long(MOST_CONTROL + 1)),
        (control(PING, 5, &[0; 5]), FrameError::Length(PING, 5)),
        (control(RST_STREAM, 7, &[0; 7]), FrameError::Length(RST_STREAM, 7)),
        (control(RST_STREAM, 8, &[0; 8]), FrameError::NoStream),
        (control(SYN_STREAM, 9, &[1; 9]), FrameError::Length(SYN_STREAM, 9)),
        (control(SYN_STREAM, 10, &[1; 10]), FrameError::Headers(HeaderError::Dictionary)),
        (vec![0; 8], FrameError::NoStream),
    ];
    for (bytes, error) in broken {
        assert_eq!(decode([bytes.clone()]), Err(error), "{bytes:x?}");
    }
}

#[test]
fn frames_without_meaning_are_skipped() {
    let settings = b"\x80\x03\0\x04\0\0\0\x0c\0\0\0\x01\0\0\0\x04\0\0\0\x64".to_vec();
    let window = b"\x80\x03\0\x09\0\0\0\x08\0\0\0\x01\0\0\0\x04".to_vec();
    let empty = b"\0\0\0\x01\0\0\0\0".to_vec();
    let ping = Encoder::default().encode(&Frame::Ping(1));
    assert_eq!(decode([[settings, window, empty, ping].concat()]), Ok(vec![Frame::Ping(1)]));
}

#[test]
fn data_is_handed_on_before_its_frame_is_whole() {
    let frame = Frame::Data { stream: 3, bytes: Bytes::from_static(b"hello"), fin: true };
    let bytes = Encoder::default().encode(&frame);
    let data = |bytes: &'static [u8], fin| Frame::Data { stream: 3, bytes: Bytes::from_static(bytes), fin };
    assert_eq!(decode([bytes[..10].to_vec(), bytes[10..].to_vec()]), Ok(vec![data(b"he", false), data(b"llo", true)]));
}

#[test]
fn more_data_than_a_frame_takes_goes_into_several() {
    let frame = Frame::Data { stream: 3, bytes: vec![7; MOST_DATA + 2].into(), fin: true };
    let bytes = Encoder::default().encode(&frame);
    assert_eq!(bytes.len(), MOST_DATA + 2 + 2 * HEAD);
    assert_eq!(decode([bytes]).map(joined), Ok(vec![frame]));
}

fn frames() -> impl Strategy<Value = Frame> {
    let stream = 1..0x8000_0000_u32;
    let headers = prop::collection::btree_map("[a-z-]{1,20}", ".{0,40}", 0..4).prop_map(|headers| headers.into_iter().collect::<Headers>());
    let bytes = prop::collection::vec(any::<u8>(), 0..64).prop_map(Bytes::from);
    prop_oneof![
        (stream.clone(), headers.clone(), any::<bool>()).prop_map(|(stream, headers, fin)| Frame::SynStream { stream, headers, fin }),
        (stream.clone(), headers.clone(), any::<bool>()).prop_map(|(stream, headers, fin)| Frame::SynReply { stream, headers, fin }),
        (stream.clone(), headers, any::<bool>()).prop_map(|(stream, headers, fin)| Frame::Headers { stream, headers, fin }),
        (stream.clone(), any::<u32>()).prop_map(|(stream, status)| Frame::Reset { stream, status }),
        any::<u32>().prop_map(Frame::Ping),
        (0..0x8000_0000_u32, any::<u32>()).prop_map(|(last, status)| Frame::GoAway { last, status }),
        (stream, bytes, any::<bool>())
            .prop_filter("says something", |(_, bytes, fin)| *fin || !bytes.is_empty())
            .prop_map(|(stream, bytes, fin)| Frame::Data { stream, bytes, fin }),
    ]
}

proptest! {
    #[test]
    fn frames_come_back_however_their_bytes_are_split(
        frames in prop::collection::vec(frames(), 0..12),
        sizes in prop::collection::vec(1..40_usize, 1..20),
    ) {
        let mut encoder = Encoder::default();
        let bytes: Vec<u8> = frames.iter().flat_map(|frame| encoder.encode(frame)).collect();
        let (mut rest, mut chunks) = (&bytes[..], Vec::new());
        for size in sizes.iter().cycle() {
            let (chunk, after) = rest.split_at((*size).min(rest.len()));
            chunks.push(chunk.to_vec());
            rest = after;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(decode(chunks).map(joined), Ok(joined(frames)));
    }

    #[test]
    fn anything_is_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = decode([bytes]);
    }

    #[test]
    fn control_frames_of_anything_are_read_or_refused(kind in 0..12_u16, body in prop::collection::vec(any::<u8>(), 0..80)) {
        let first = CONTROL | u32::from(VERSION) << 16 | u32::from(kind);
        let _ = decode([[&head(first, false, body.len())[..], &body].concat()]);
    }
}
