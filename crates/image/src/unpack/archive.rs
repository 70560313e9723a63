//! Reading a tar archive of unknown origin, entry by entry: ustar, and the long names and attributes of PAX and GNU.
//!
//! The crate `tar` reads the headers. It is not asked to read the archive, because it takes any length of name into memory, and splits
//! extended attributes at line ends.

use std::io::{self, Read};

use super::Refusal;
use crate::Limits;

const BLOCK: usize = 512;

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EntryKind {
    Directory,
    File,
    Symlink,
    HardLink,
    Fifo,
    CharDevice { major: u32, minor: u32 },
    BlockDevice { major: u32, minor: u32 },
}

/// One entry, as the archive has it: nothing in it is trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) path: Vec<u8>,
    pub(crate) kind: EntryKind,
    /// Of symbolic and hard links.
    pub(crate) link: Vec<u8>,
    /// Bytes of content that follow.
    pub(crate) size: u64,
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Seconds and nanoseconds since the epoch.
    pub(crate) modified: (i64, u32),
    pub(crate) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

/// Why an archive cannot be read on.
#[derive(Debug)]
pub(crate) enum ArchiveError {
    /// The stream failed, or what it holds is not an archive.
    Read(io::Error),
    /// An entry breaks a rule.
    Refused { entry: Vec<u8>, why: Refusal },
}

impl From<io::Error> for ArchiveError {
    fn from(error: io::Error) -> Self {
        Self::Read(error)
    }
}

/// What headers before an entry's own said of it.
#[derive(Debug, Default)]
struct Said {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
    uid: Option<u64>,
    gid: Option<u64>,
    modified: Option<(i64, u32)>,
    xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    sparse: bool,
}

/// An archive being read.
#[derive(Debug)]
pub(crate) struct Archive<R> {
    stream: R,
    limits: Limits,
    /// Bytes of the current entry's content that are still to come.
    left: u64,
    /// Bytes that fill up its last block.
    padding: u64,
    /// Bytes read from the stream so far: after [`Archive::next`], where the entry's content begins.
    position: u64,
}

impl<R: Read> Archive<R> {
    pub(crate) fn new(stream: R, limits: Limits) -> Self {
        Self { stream, limits, left: 0, padding: 0, position: 0 }
    }

    /// The stream, wherever it has been read to.
    pub(crate) fn into_stream(self) -> R {
        self.stream
    }

    /// Where the current entry's content begins in the stream.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// The next entry. `None` at the archive's end, when the stream has been read to its end, too.
    pub(crate) fn next(&mut self) -> Result<Option<Entry>, ArchiveError> {
        let mut said = Said::default();
        let mut headers = 0;
        loop {
            self.skip()?;
            let Some(block) = self.header()? else {
                self.drain()?;
                return Ok(None);
            };
            let header = tar::Header::from_byte_slice(&block);
            let name = header.path_bytes().into_owned();
            let size = size_of(header).ok_or_else(|| number_of(&name, "size"))?;
            match header.entry_type().as_byte() {
                kind @ (b'x' | b'L' | b'K' | b'g') => {
                    headers = size.saturating_add(headers);
                    if headers > self.limits.header {
                        return Err(refused(said.path.unwrap_or(name), Refusal::Header { limit: self.limits.header }));
                    }
                    let text = self.text(size)?;
                    match kind {
                        b'x' => said.pax(&text).map_err(|why| refused(name, why))?,
                        b'L' => said.path = Some(until_nul(text)),
                        b'K' => said.link = Some(until_nul(text)),
                        // What holds for all entries is of no interest: comments, mostly.
                        _ => {}
                    }
                }
                _ => return self.entry(header, said).map(Some),
            }
        }
    }

    fn entry(&mut self, header: &tar::Header, said: Said) -> Result<Entry, ArchiveError> {
        let path = said.path.unwrap_or_else(|| header.path_bytes().into_owned());
        let size = said.size.or_else(|| size_of(header)).ok_or_else(|| number_of(&path, "size"))?;
        let device = || {
            let numbers = header.device_major().and_then(|major| Ok((major, header.device_minor()?)));
            let (major, minor) = numbers.map_err(|_| number_of(&path, "device number"))?;
            Ok::<_, ArchiveError>((major.unwrap_or_default(), minor.unwrap_or_default()))
        };
        if said.sparse {
            return Err(refused(path, Refusal::Kind { kind: 'S' }));
        }
        let kind = match header.entry_type().as_byte() {
            // Archives from before ustar tell a folder by its name's last character.
            b'0' | b'\0' | b'7' if path.ends_with(b"/") && size == 0 => EntryKind::Directory,
            b'0' | b'\0' | b'7' => EntryKind::File,
            b'1' => EntryKind::HardLink,
            b'2' => EntryKind::Symlink,
            b'3' => device().map(|(major, minor)| EntryKind::CharDevice { major, minor })?,
            b'4' => device().map(|(major, minor)| EntryKind::BlockDevice { major, minor })?,
            b'5' => EntryKind::Directory,
            b'6' => EntryKind::Fifo,
            other => return Err(refused(path, Refusal::Kind { kind: char::from(other) })),
        };
        // As Go's reader has it, so that no two readers see different entries: only files have content, whatever a header says.
        let follows = if kind == EntryKind::File { size } else { 0 };
        self.left = follows;
        self.padding = padding(follows);
        let old = header.as_old();
        let owner = |said: Option<u64>, field: &[u8], own: io::Result<u64>| {
            let id = said.or_else(|| or_blank(field, own)).and_then(|id| u32::try_from(id).ok());
            id.ok_or_else(|| number_of(&path, "owner"))
        };
        let uid = owner(said.uid, &old.uid, header.uid())?;
        let gid = owner(said.gid, &old.gid, header.gid())?;
        let mode = or_blank(&old.mode, header.mode()).ok_or_else(|| number_of(&path, "mode"))?;
        let seconds = i64::try_from(header.mtime().unwrap_or_default()).unwrap_or_default();
        Ok(Entry {
            kind,
            link: said.link.unwrap_or_else(|| header.link_name_bytes().unwrap_or_default().into_owned()),
            size: follows,
            mode: mode & 0o7777,
            uid,
            gid,
            modified: said.modified.unwrap_or((seconds, 0)),
            xattrs: said.xattrs,
            path,
        })
    }

    /// The next header, or `None` where the archive ends: at a block of zeros, or with the stream.
    fn header(&mut self) -> Result<Option<[u8; BLOCK]>, ArchiveError> {
        let mut block = [0; BLOCK];
        let mut filled = 0;
        while filled < BLOCK {
            match self.stream.read(&mut block[filled..]) {
                Ok(0) if filled == 0 => return Ok(None),
                Ok(0) => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.position += BLOCK as u64;
        if block.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        // The sum counts its own field as spaces.
        let sum: u32 = block.iter().enumerate().map(|(at, byte)| if (148..156).contains(&at) { 32 } else { u32::from(*byte) }).sum();
        match tar::Header::from_byte_slice(&block).cksum() {
            Ok(told) if told == sum => Ok(Some(block)),
            _ => Err(broken("a header's checksum is wrong").into()),
        }
    }

    /// A further header's content.
    fn text(&mut self, size: u64) -> io::Result<Vec<u8>> {
        self.left = size;
        self.padding = padding(size);
        let mut text = Vec::new();
        self.read_to_end(&mut text)?;
        Ok(text)
    }

    /// Passes over what is left of the current entry.
    fn skip(&mut self) -> io::Result<()> {
        io::copy(self, &mut io::sink())?;
        let padding = std::mem::take(&mut self.padding);
        let passed = io::copy(&mut (&mut self.stream).take(padding), &mut io::sink())?;
        self.position += passed;
        // The last block may be cut short where nothing follows.
        Ok(())
    }

    /// Reads the stream to its end, so that all of it has been checked by whoever watches it.
    fn drain(&mut self) -> io::Result<()> {
        io::copy(&mut self.stream, &mut io::sink()).map(drop)
    }
}

/// The current entry's content.
impl<R: Read> Read for Archive<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).map_or(out.len(), |left| left.min(out.len()));
        if most == 0 {
            return Ok(0);
        }
        match self.stream.read(&mut out[..most])? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            count => {
                self.left -= count as u64;
                self.position += count as u64;
                Ok(count)
            }
        }
    }
}

impl Said {
    /// Reads the records of a PAX header: `<length> <key>=<value>\n`, where the length counts all of it, and the value may hold anything.
    fn pax(&mut self, mut text: &[u8]) -> Result<(), Refusal> {
        while !text.is_empty() {
            let space = text.iter().position(|byte| *byte == b' ').ok_or(Refusal::Pax)?;
            let length = number::<usize>(&text[..space]).ok_or(Refusal::Pax)?;
            let record = text.get(space + 1..length).and_then(|record| record.strip_suffix(b"\n")).ok_or(Refusal::Pax)?;
            let equals = record.iter().position(|byte| *byte == b'=').ok_or(Refusal::Pax)?;
            let (key, value) = (&record[..equals], &record[equals + 1..]);
            match key {
                b"path" => self.path = Some(value.to_vec()),
                b"linkpath" => self.link = Some(value.to_vec()),
                b"size" => self.size = Some(number(value).ok_or(Refusal::Pax)?),
                b"uid" => self.uid = Some(number(value).ok_or(Refusal::Pax)?),
                b"gid" => self.gid = Some(number(value).ok_or(Refusal::Pax)?),
                b"mtime" => self.modified = Some(time(value).ok_or(Refusal::Pax)?),
                _ if key.starts_with(b"GNU.sparse.") => self.sparse = true,
                _ => {
                    if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
                        self.xattrs.push((name.to_vec(), value.to_vec()));
                    }
                }
            }
            text = &text[length..];
        }
        Ok(())
    }
}

/// The size a header tells. Written in binary it has twelve bytes, of which the crate `tar` reads the last eight.
fn size_of(header: &tar::Header) -> Option<u64> {
    let field = &header.as_old().size[..];
    let binary = field[0] & 0x80 != 0;
    if binary && field[..4] != [0x80, 0, 0, 0] { None } else { or_blank(field, header.entry_size()) }
}

/// A number, or the default where its field was left blank, as old archivers do.
fn or_blank<T: Default>(field: &[u8], number: io::Result<T>) -> Option<T> {
    let blank = field.iter().all(|byte| matches!(byte, 0 | b' '));
    if blank { Some(T::default()) } else { number.ok() }
}

fn number<T: std::str::FromStr>(text: &[u8]) -> Option<T> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// `[-]<seconds>[.<fraction>]`.
fn time(text: &[u8]) -> Option<(i64, u32)> {
    let text = std::str::from_utf8(text).ok()?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let seconds: i64 = whole.parse().ok()?;
    let digits: String = fraction.chars().chain(std::iter::repeat('0')).take(9).collect();
    let nanoseconds: u32 = digits.parse().ok()?;
    match (whole.starts_with('-'), nanoseconds) {
        (true, 1..) => Some((seconds.checked_sub(1)?, 1_000_000_000 - nanoseconds)),
        _ => Some((seconds, nanoseconds)),
    }
}

fn until_nul(mut text: Vec<u8>) -> Vec<u8> {
    text.truncate(text.iter().position(|byte| *byte == 0).unwrap_or(text.len()));
    text
}

fn padding(size: u64) -> u64 {
    (BLOCK as u64 - size % BLOCK as u64) % BLOCK as u64
}

fn broken(why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

fn number_of(entry: &[u8], field: &'static str) -> ArchiveError {
    refused(entry.to_vec(), Refusal::Number { field })
}

fn refused(entry: Vec<u8>, why: Refusal) -> ArchiveError {
    ArchiveError::Refused { entry, why }
}
