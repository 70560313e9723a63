//! SPDY/3.1 frames: bytes in, frames out, and back. Nothing here waits or allocates more than a control frame's size.

use axum::body::Bytes;

use super::header::Deflater;
use super::header::HeaderError;
use super::header::Headers;
use super::header::Inflater;

#[cfg(test)]
mod tests;

/// The longest control frame without its head. Port-forward's have about 60 bytes.
pub(crate) const MOST_CONTROL: usize = 16 * 1024;
/// The longest data frame: its length has 24 bits.
const MOST_DATA: usize = 0xff_ffff;

const HEAD: usize = 8;
const CONTROL: u32 = 0x8000_0000;
const VERSION: u16 = 3;
const FIN: u8 = 1;

const SYN_STREAM: u16 = 1;
const SYN_REPLY: u16 = 2;
const RST_STREAM: u16 = 3;
const PING: u16 = 6;
const GOAWAY: u16 = 7;
const HEADERS: u16 = 8;

/// Why a stream is reset, of those that are used here.
pub(crate) mod status {
    /// What was sent does not make sense.
    pub(crate) const PROTOCOL_ERROR: u32 = 1;
    /// It was not looked at: there are too many.
    pub(crate) const REFUSED: u32 = 3;
    /// The other side does not read.
    pub(crate) const CANCEL: u32 = 5;
}

/// A frame, of those that mean something here. Others (SETTINGS, WINDOW_UPDATE, CREDENTIAL) are skipped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// A new stream.
    SynStream {
        /// Odd from clients, growing.
        stream: u32,
        /// Names in lower case, and values.
        headers: Headers,
        /// The sender sends nothing more on it.
        fin: bool,
    },
    /// A new stream was taken.
    SynReply {
        /// Which.
        stream: u32,
        /// As above.
        headers: Headers,
        /// As above.
        fin: bool,
    },
    /// A stream ends at once, both ways.
    Reset {
        /// Which.
        stream: u32,
        /// Why.
        status: u32,
    },
    /// To be sent back by who did not make the number: clients make odd ones.
    Ping(u32),
    /// No more streams are taken.
    GoAway {
        /// The last one that was.
        last: u32,
        /// 0 is fine, 1 a protocol error.
        status: u32,
    },
    /// More headers of a stream.
    Headers {
        /// Which.
        stream: u32,
        /// As above.
        headers: Headers,
        /// As above.
        fin: bool,
    },
    /// Bytes of a stream. One frame on the wire may come in several of these.
    Data {
        /// Which.
        stream: u32,
        /// Some of the frame.
        bytes: Bytes,
        /// As above.
        fin: bool,
    },
}

/// Why bytes are no frames. The connection cannot go on after one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Another version of SPDY, or no SPDY at all.
    #[error("SPDY version {0}, not 3")]
    Version(u16),
    /// Longer than 16 KiB.
    #[error("a control frame of {0} bytes, more than {MOST_CONTROL}")]
    Long(usize),
    /// Its length is wrong for its type.
    #[error("a control frame of type {0} with {1} bytes")]
    Length(u16, usize),
    /// Streams begin with 1.
    #[error("a frame for stream 0")]
    NoStream,
    /// Its headers.
    #[error("the header block cannot be read")]
    Headers(#[from] HeaderError),
}

/// A data frame that has begun.
struct Begun {
    stream: u32,
    left: usize,
    fin: bool,
}

/// The reading side of one connection.
pub struct Decoder {
    input: Bytes,
    /// The head of a frame, and a control frame's body.
    partial: Vec<u8>,
    data: Option<Begun>,
    inflater: Inflater,
}

impl Default for Decoder {
    fn default() -> Self {
        Self { input: Bytes::new(), partial: Vec::new(), data: None, inflater: Inflater::new() }
    }
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decoder").finish_non_exhaustive()
    }
}

impl Decoder {
    /// Takes bytes, split anyhow. Ask for [`Decoder::next_frame`] until there is none before giving more.
    pub fn push(&mut self, bytes: Bytes) {
        self.input = if self.input.is_empty() { bytes } else { [&self.input[..], &bytes[..]].concat().into() };
    }

    /// The next frame, if there are bytes enough.
    ///
    /// # Errors
    /// When the bytes are no frames. Call it no more then.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        loop {
            if let Some(begun) = &mut self.data {
                let bytes = self.input.split_to(begun.left.min(self.input.len()));
                begun.left -= bytes.len();
                let (stream, whole) = (begun.stream, begun.left == 0);
                let fin = whole && begun.fin;
                if whole {
                    self.data = None;
                }
                if bytes.is_empty() && !fin {
                    if whole {
                        continue;
                    }
                    return Ok(None);
                }
                return Ok(Some(Frame::Data { stream, bytes, fin }));
            }
            if !self.fill(HEAD) {
                return Ok(None);
            }
            let (word, length) = (self.word(0), self.word(4));
            let (flags, length) = ((length >> 24) as u8, (length & 0xff_ffff) as usize);
            if word & CONTROL == 0 {
                self.partial.clear();
                self.data = Some(Begun { stream: named(word)?, left: length, fin: flags & FIN != 0 });
                continue;
            }
            let (version, kind) = ((word >> 16) as u16 & 0x7fff, word as u16);
            if version != VERSION {
                return Err(FrameError::Version(version));
            }
            if length > MOST_CONTROL {
                return Err(FrameError::Long(length));
            }
            if !self.fill(HEAD + length) {
                return Ok(None);
            }
            let frame = self.control(kind, flags & FIN != 0)?;
            self.partial.clear();
            if frame.is_some() {
                return Ok(frame);
            }
        }
    }

    /// Moves bytes until there are `length` in `partial`.
    fn fill(&mut self, length: usize) -> bool {
        let missing = length.saturating_sub(self.partial.len()).min(self.input.len());
        self.partial.extend_from_slice(&self.input.split_to(missing));
        self.partial.len() >= length
    }

    /// Four bytes of `partial`, which has them.
    fn word(&self, at: usize) -> u32 {
        self.partial.get(at..).and_then(|bytes| bytes.first_chunk()).map_or(0, |bytes| u32::from_be_bytes(*bytes))
    }

    /// The control frame in `partial`.
    fn control(&mut self, kind: u16, fin: bool) -> Result<Option<Frame>, FrameError> {
        let length = self.partial.len() - HEAD;
        let exactly = |expected: usize| if length == expected { Ok(()) } else { Err(FrameError::Length(kind, length)) };
        let frame = match kind {
            SYN_STREAM => {
                // Which stream it belongs to, its priority and slot mean nothing here.
                let (stream, headers) = self.block(kind, HEAD + 10)?;
                Frame::SynStream { stream, headers, fin }
            }
            SYN_REPLY => {
                let (stream, headers) = self.block(kind, HEAD + 4)?;
                Frame::SynReply { stream, headers, fin }
            }
            HEADERS => {
                let (stream, headers) = self.block(kind, HEAD + 4)?;
                Frame::Headers { stream, headers, fin }
            }
            RST_STREAM => {
                exactly(8)?;
                Frame::Reset { stream: named(self.word(8))?, status: self.word(12) }
            }
            PING => {
                exactly(4)?;
                Frame::Ping(self.word(8))
            }
            GOAWAY => {
                exactly(8)?;
                Frame::GoAway { last: self.word(8) & !CONTROL, status: self.word(12) }
            }
            _ => return Ok(None),
        };
        Ok(Some(frame))
    }

    /// A control frame with a header block that begins `at`.
    fn block(&mut self, kind: u16, at: usize) -> Result<(u32, Headers), FrameError> {
        let block = self.partial.get(at..).ok_or(FrameError::Length(kind, self.partial.len() - HEAD))?;
        let headers = self.inflater.read(block)?;
        Ok((named(self.word(8))?, headers))
    }
}

fn named(word: u32) -> Result<u32, FrameError> {
    match word & !CONTROL {
        0 => Err(FrameError::NoStream),
        stream => Ok(stream),
    }
}

/// The writing side of one connection.
#[derive(Default)]
pub struct Encoder {
    deflater: Deflater,
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Encoder").finish_non_exhaustive()
    }
}

impl Encoder {
    /// The bytes of a frame; of several if there is more data than fits into one.
    pub fn encode(&mut self, frame: &Frame) -> Vec<u8> {
        let (kind, fin, body) = match frame {
            Frame::Data { stream, bytes, fin } => return data(*stream, bytes, *fin),
            Frame::SynStream { stream, headers, fin } => {
                // No stream it belongs to, the highest priority, no slot.
                (SYN_STREAM, *fin, self.with_block(&[&stream.to_be_bytes()[..], &[0; 6]].concat(), headers))
            }
            Frame::SynReply { stream, headers, fin } => (SYN_REPLY, *fin, self.with_block(&stream.to_be_bytes(), headers)),
            Frame::Headers { stream, headers, fin } => (HEADERS, *fin, self.with_block(&stream.to_be_bytes(), headers)),
            Frame::Reset { stream, status } => (RST_STREAM, false, [stream.to_be_bytes(), status.to_be_bytes()].concat()),
            Frame::Ping(number) => (PING, false, number.to_be_bytes().to_vec()),
            Frame::GoAway { last, status } => (GOAWAY, false, [last.to_be_bytes(), status.to_be_bytes()].concat()),
        };
        let first = CONTROL | u32::from(VERSION) << 16 | u32::from(kind);
        [&head(first, fin, body.len())[..], &body[..]].concat()
    }

    fn with_block(&mut self, before: &[u8], headers: &Headers) -> Vec<u8> {
        let mut body = before.to_vec();
        self.deflater.write(headers, &mut body);
        body
    }
}

fn head(word: u32, fin: bool, length: usize) -> [u8; HEAD] {
    let flags = if fin { FIN } else { 0 };
    (u64::from(word) << 32 | u64::from(flags) << 24 | length as u64).to_be_bytes()
}

fn data(stream: u32, bytes: &Bytes, fin: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEAD + bytes.len());
    let mut rest = &bytes[..];
    loop {
        let (chunk, after) = rest.split_at(rest.len().min(MOST_DATA));
        out.extend_from_slice(&head(stream, fin && after.is_empty(), chunk.len()));
        out.extend_from_slice(chunk);
        rest = after;
        if rest.is_empty() {
            return out;
        }
    }
}
