//! A layer's bytes, decompressed, and never more of them than allowed.

use std::cell::Cell;
use std::io::{self, BufRead, BufReader, Read};
use std::rc::Rc;

/// What a layer may become beyond its ratio: small layers of zeros are nobody's attack.
const FREE: u64 = 256 << 20;

/// Which limit a stream ran into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Excess {
    Bytes,
    Ratio,
}

/// Counts what is read.
struct Counted<R> {
    stream: R,
    count: Rc<Cell<u64>>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.stream.read(out)?;
        self.count.set(self.count.get() + count as u64);
        Ok(count)
    }
}

/// A decompressed stream that ends with an error where it becomes too much. The reason is in `excess` then.
pub(crate) struct Bounded<'a> {
    stream: Box<dyn Read + 'a>,
    packed: Rc<Cell<u64>>,
    unpacked: u64,
    /// Bytes that may come at most.
    most: u64,
    ratio: u64,
    excess: Rc<Cell<Option<Excess>>>,
}

impl<'a> Bounded<'a> {
    /// Opens a layer, whichever way it is compressed: gzip, zstd or not at all. Its first bytes tell, because media types are sometimes wrong.
    pub(crate) fn open(layer: impl Read + 'a, most: u64, ratio: u64, excess: Rc<Cell<Option<Excess>>>) -> io::Result<Self> {
        let packed = Rc::new(Cell::new(0));
        let mut reader = BufReader::with_capacity(128 * 1024, Counted { stream: layer, count: packed.clone() });
        let start = reader.fill_buf()?;
        let stream: Box<dyn Read + 'a> = if start.starts_with(&[0x1f, 0x8b]) {
            Box::new(flate2::bufread::MultiGzDecoder::new(reader))
        } else if start.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
            Box::new(zstd::stream::read::Decoder::with_buffer(reader)?)
        } else {
            Box::new(reader)
        };
        Ok(Self { stream, packed, unpacked: 0, most, ratio, excess })
    }

    /// Bytes that came so far.
    pub(crate) fn unpacked(&self) -> u64 {
        self.unpacked
    }
}

impl Read for Bounded<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.stream.read(out)?;
        self.unpacked += count as u64;
        let excess = if self.unpacked > self.most {
            Excess::Bytes
        } else if self.unpacked.saturating_sub(FREE) > self.packed.get().saturating_mul(self.ratio) {
            Excess::Ratio
        } else {
            return Ok(count);
        };
        self.excess.set(Some(excess));
        Err(io::Error::other("the layer is larger than allowed"))
    }
}
