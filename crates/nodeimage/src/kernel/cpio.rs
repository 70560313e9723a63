//! The archive that a kernel unpacks into its first file system: cpio's `newc`, with nothing in it that depends on where it was made.

use std::io::{self, Write};

/// What an entry is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Node<'a> {
    Folder,
    File { bytes: &'a [u8], mode: u32 },
    CharDevice { major: u32, minor: u32 },
}

/// Writes an archive, entry by entry.
pub(crate) struct Cpio<W> {
    stream: W,
    inode: u32,
    position: usize,
}

impl<W: Write> Cpio<W> {
    pub(crate) fn new(stream: W) -> Self {
        Self { stream, inode: 0, position: 0 }
    }

    pub(crate) fn put(&mut self, name: &str, node: Node<'_>) -> io::Result<()> {
        self.inode += 1;
        let (mode, bytes, device) = match node {
            Node::Folder => (0o040_755, &[][..], (0, 0)),
            Node::File { bytes, mode } => (0o100_000 | mode, bytes, (0, 0)),
            Node::CharDevice { major, minor } => (0o020_600, &[][..], (major, minor)),
        };
        self.entry(name, self.inode, mode, bytes, device)
    }

    /// Ends the archive.
    pub(crate) fn finish(mut self) -> io::Result<W> {
        self.entry("TRAILER!!!", 0, 0, &[], (0, 0))?;
        Ok(self.stream)
    }

    fn entry(&mut self, name: &str, inode: u32, mode: u32, bytes: &[u8], device: (u32, u32)) -> io::Result<()> {
        let size = u32::try_from(bytes.len()).map_err(|_| io::Error::other("a file of 4 GiB and more has no place in an initrd"))?;
        let links = if mode & 0o170_000 == 0o040_000 { 2 } else { 1 };
        let length = u32::try_from(name.len() + 1).unwrap_or(u32::MAX);
        // inode, mode, uid, gid, links, time, size, device, of what device, the name's length, no checksum
        let fields = [inode, mode, 0, 0, links, 0, size, 0, 0, device.0, device.1, length, 0];
        let mut header = String::from("070701");
        for field in fields {
            use std::fmt::Write;
            let _ = write!(header, "{field:08x}");
        }
        self.write(header.as_bytes())?;
        self.write(name.as_bytes())?;
        self.write(&[0])?;
        self.fill()?;
        self.write(bytes)?;
        self.fill()
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.position += bytes.len();
        self.stream.write_all(bytes)
    }

    fn fill(&mut self) -> io::Result<()> {
        let rest = (4 - self.position % 4) % 4;
        self.write(&[0; 3][..rest])
    }
}
