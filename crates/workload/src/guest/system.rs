use std::collections::BTreeMap;
use std::fmt;

/// Text that does not show in logs: a private key or a token.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides it.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// A file that the bootstrap data puts on a machine.
#[derive(Clone, PartialEq, Eq)]
pub struct File {
    /// What is in it.
    pub content: Vec<u8>,
    /// As `chmod` takes it.
    pub permissions: u32,
    /// `user:group`; empty for root.
    pub owner: String,
}

impl fmt::Debug for File {
    /// Without the content, which may be a key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("File")
            .field("bytes", &self.content.len())
            .field("permissions", &format_args!("{:o}", self.permissions))
            .field("owner", &self.owner)
            .finish()
    }
}

/// A script that runs when all files are there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// Its lines.
    pub text: String,
    /// Whether the first command that fails ends it (`set -e`).
    pub strict: bool,
}

/// A machine as its bootstrap data made it, before anything runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct System {
    /// The name it goes by.
    pub hostname: String,
    /// By absolute path.
    pub files: BTreeMap<String, File>,
    /// In the order they run.
    pub scripts: Vec<Script>,
    /// What was wrong but stopped nothing.
    pub warnings: Vec<String>,
}

impl System {
    /// A file as text, if it is there and text.
    #[must_use]
    pub fn text(&self, path: &str) -> Option<&str> {
        std::str::from_utf8(&self.files.get(path)?.content).ok()
    }

    /// Writes a file, or appends to it.
    pub(super) fn write(&mut self, path: String, file: File, append: bool) {
        match self.files.entry(path) {
            std::collections::btree_map::Entry::Occupied(mut there) if append => there.get_mut().content.extend(file.content),
            std::collections::btree_map::Entry::Occupied(mut there) => {
                there.insert(file);
            }
            std::collections::btree_map::Entry::Vacant(free) => {
                free.insert(file);
            }
        }
    }
}
