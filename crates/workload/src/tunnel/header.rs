//! Header blocks: names and values in a zlib stream that is primed with SPDY's dictionary, one stream for each direction of a connection.
//!
//! SPDY draft 3.1, section 2.6.10.

use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::DecompressorOxide;
use miniz_oxide::inflate::core::decompress_with_limit;
use miniz_oxide::inflate::core::inflate_flags::TINFL_FLAG_HAS_MORE_INPUT;

use dictionary::DICTIONARY;

mod dictionary;
#[cfg(test)]
mod tests;

/// The most bytes one block may inflate to. Port-forward's blocks have about 60.
pub(crate) const MOST_BYTES: usize = 8 * 1024;
/// The most headers in a block. Port-forward's blocks have three.
pub(crate) const MOST_HEADERS: usize = 32;

/// What deflate may refer back to.
const WINDOW: usize = 32 * 1024;
/// What starts a stream: deflate with a window of 32 KiB and a dictionary, then that dictionary's Adler-32.
const START: [u8; 6] = [0x78, 0xbb, 0xe3, 0xc6, 0xa7, 0xc2];
/// The most bytes that deflate stores as they are in one go.
const STORED: usize = 0xffff;
/// An empty stored block: a reader hands out what it has when it sees one.
const FLUSH: [u8; 5] = [0, 0, 0, 0xff, 0xff];

/// Names, in lower case, and values.
pub(crate) type Headers = Vec<(String, String)>;

/// Why a header block cannot be read. The connection cannot go on after one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// The zlib stream begins otherwise, or asks for another dictionary.
    #[error("not a zlib stream with SPDY's dictionary")]
    Dictionary,
    /// Deflate cannot read it, or it ends.
    #[error("the compressed data is broken")]
    Deflate,
    /// More bytes than `8 KiB`.
    #[error("more than {MOST_BYTES} bytes of headers")]
    Long,
    /// More headers than 32.
    #[error("more than {MOST_HEADERS} headers")]
    Many,
    /// A length and what is there differ.
    #[error("lengths and content differ")]
    Lengths,
    /// An empty name, a name with upper case, or one that comes twice.
    #[error("a name that is empty, not in lower case, or there twice")]
    Name,
    /// Names and values are text.
    #[error("a header is not UTF-8")]
    Text,
}

/// The reading side.
pub(crate) struct Inflater {
    state: Box<DecompressorOxide>,
    window: Vec<u8>,
    at: usize,
    start: Vec<u8>,
}

impl Inflater {
    pub(crate) fn new() -> Self {
        Self { state: Box::default(), window: Vec::new(), at: 0, start: Vec::new() }
    }

    /// Reads a whole block.
    pub(crate) fn read(&mut self, block: &[u8]) -> Result<Headers, HeaderError> {
        parse(&self.inflate(block)?)
    }

    fn inflate(&mut self, mut block: &[u8]) -> Result<Vec<u8>, HeaderError> {
        if self.start.len() < START.len() {
            let (start, rest) = block.split_at((START.len() - self.start.len()).min(block.len()));
            self.start.extend_from_slice(start);
            block = rest;
            // The level of compression, in the first two bits of the second byte, and so its check bits are the writer's own.
            let whole = self.start.len() == START.len();
            let head =
                u16::from_be_bytes([self.start.first().copied().unwrap_or_default(), self.start.get(1).copied().unwrap_or_default()]);
            if !whole || head & 0xff20 != 0x7820 || head % 31 != 0 || self.start[2..] != START[2..] {
                return Err(HeaderError::Dictionary);
            }
            // Memory for it only now: most connections that fail do so before.
            self.window = DICTIONARY.to_vec();
            self.window.resize(WINDOW, 0);
            self.at = DICTIONARY.len();
        }
        let mut out = Vec::new();
        loop {
            let room = MOST_BYTES + 1 - out.len();
            let (status, read, written) =
                decompress_with_limit(&mut self.state, block, &mut self.window, self.at, room, TINFL_FLAG_HAS_MORE_INPUT);
            out.extend_from_slice(self.window.get(self.at..self.at + written).ok_or(HeaderError::Deflate)?);
            self.at = (self.at + written) % WINDOW;
            block = block.get(read..).ok_or(HeaderError::Deflate)?;
            match status {
                _ if out.len() > MOST_BYTES => return Err(HeaderError::Long),
                TINFLStatus::NeedsMoreInput => return Ok(out),
                TINFLStatus::HasMoreOutput => {}
                _ => return Err(HeaderError::Deflate),
            }
        }
    }
}

/// The writing side. Its blocks are stored, not compressed: they are tiny, and a compressor takes 260 KiB a connection.
#[derive(Default)]
pub(crate) struct Deflater {
    started: bool,
}

impl Deflater {
    /// Appends a block to `out`.
    pub(crate) fn write(&mut self, headers: &Headers, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.started, true) {
            out.extend_from_slice(&START);
        }
        for chunk in plain(headers).chunks(STORED) {
            let length = chunk.len() as u16;
            out.push(0);
            out.extend_from_slice(&length.to_le_bytes());
            out.extend_from_slice(&(!length).to_le_bytes());
            out.extend_from_slice(chunk);
        }
        out.extend_from_slice(&FLUSH);
    }
}

fn plain(headers: &Headers) -> Vec<u8> {
    let mut out = (headers.len() as u32).to_be_bytes().to_vec();
    for text in headers.iter().flat_map(|(name, value)| [name, value]) {
        out.extend_from_slice(&(text.len() as u32).to_be_bytes());
        out.extend_from_slice(text.as_bytes());
    }
    out
}

fn parse(mut rest: &[u8]) -> Result<Headers, HeaderError> {
    let count = number(&mut rest)?;
    if count > MOST_HEADERS {
        return Err(HeaderError::Many);
    }
    let mut headers = Headers::with_capacity(count);
    for _ in 0..count {
        let (name, value) = (text(&mut rest)?, text(&mut rest)?);
        if name.is_empty() || name.bytes().any(|byte| byte.is_ascii_uppercase()) || headers.iter().any(|(known, _)| *known == name) {
            return Err(HeaderError::Name);
        }
        headers.push((name, value));
    }
    if rest.is_empty() { Ok(headers) } else { Err(HeaderError::Lengths) }
}

fn number(rest: &mut &[u8]) -> Result<usize, HeaderError> {
    let (number, after) = rest.split_first_chunk().ok_or(HeaderError::Lengths)?;
    *rest = after;
    Ok(u32::from_be_bytes(*number) as usize)
}

fn text(rest: &mut &[u8]) -> Result<String, HeaderError> {
    let length = number(rest)?;
    let (text, after) = rest.split_at_checked(length).ok_or(HeaderError::Lengths)?;
    *rest = after;
    String::from_utf8(text.to_vec()).map_err(|_| HeaderError::Text)
}
