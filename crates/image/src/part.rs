//! A part of a file as a stream.

use std::fs::File;
use std::io;
use std::io::Read;
use std::os::unix::fs::FileExt;

/// Reads a part of a file without moving its position, which others share.
#[derive(Debug)]
pub struct Part<'a> {
    /// The file.
    pub file: &'a File,
    /// Where the part begins, in bytes.
    pub at: u64,
    /// How long it is, in bytes. A file that ends before is read to its end.
    pub left: u64,
}

impl Read for Part<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).map_or(out.len(), |left| left.min(out.len()));
        let count = self.file.read_at(&mut out[..most], self.at)?;
        self.at += count as u64;
        self.left -= count as u64;
        Ok(count)
    }
}
