//! Any bytes, split anyhow, are SPDY frames or refused; what is read can be written and read again.
#![no_main]

use capstead_workload::tunnel::Decoder;
use capstead_workload::tunnel::Encoder;
use capstead_workload::tunnel::Frame;
use capstead_workload::tunnel::FrameError;

fn read(bytes: &[u8], size: usize) -> Result<Vec<Frame>, FrameError> {
    let mut decoder = Decoder::default();
    let mut frames = Vec::new();
    for chunk in bytes.chunks(size) {
        decoder.push(chunk.to_vec().into());
        while let Some(frame) = decoder.next_frame()? {
            frames.push(frame);
        }
    }
    Ok(frames)
}

libfuzzer_sys::fuzz_target!(|input: (u8, &[u8])| {
    let (size, bytes) = input;
    if let Ok(frames) = read(bytes, usize::from(size).max(1)) {
        let mut encoder = Encoder::default();
        let written: Vec<u8> = frames.iter().flat_map(|frame| encoder.encode(frame)).collect();
        assert_eq!(read(&written, written.len().max(1)), Ok(frames));
    }
});
