//! What Go writes into each program: its own version, and the modules it is made of. `go version -m` prints the same; no Go is needed for it.

use serde::{Deserialize, Serialize};

/// What begins the place, at a multiple of 16 bytes.
const MAGIC: &[u8] = b"\xff Go buildinf:";
/// Go 1.18 and later: two texts follow, each with its length before it.
const INLINE: u8 = 2;
/// The text is between marks of this length.
const MARK: usize = 16;

/// What a program was built of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GoBuild {
    /// Go's version, such as `go1.26.8`.
    pub go: String,
    /// The main package's path.
    pub package: String,
    /// Its modules, by path; what replaces one is named, not what it replaces.
    pub modules: Vec<GoModule>,
}

/// A module.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GoModule {
    /// Its path.
    pub path: String,
    /// Its version.
    pub version: String,
    /// Its sum, as `go.sum` has it; empty for the main module.
    pub sum: String,
}

/// Reads it out of a program's bytes. `None` for what Go has not built, or a Go older than 1.18.
#[must_use]
pub fn build_info(program: &[u8]) -> Option<GoBuild> {
    let found = memchr::memmem::find_iter(program, MAGIC).filter(|at| at % 16 == 0);
    found.into_iter().find_map(|at| parse(program.get(at..)?))
}

fn parse(bytes: &[u8]) -> Option<GoBuild> {
    if bytes.get(15)? & INLINE == 0 {
        return None;
    }
    let mut rest = bytes.get(32..)?;
    let go = text(&mut rest)?;
    let info = text(&mut rest)?;
    let info = info.get(MARK..info.len().checked_sub(MARK)?)?;
    let go = std::str::from_utf8(go).ok().filter(|go| !go.is_empty())?.to_owned();
    let mut build = GoBuild { go, ..GoBuild::default() };
    for line in String::from_utf8_lossy(info).lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        match fields[..] {
            ["path", path] => path.clone_into(&mut build.package),
            ["mod" | "dep", path, version, ref sum @ ..] => build.modules.push(module(path, version, sum)),
            // In place of the one above.
            ["=>", path, version, ref sum @ ..] => {
                build.modules.pop();
                build.modules.push(module(path, version, sum));
            }
            _ => {}
        }
    }
    build.modules.sort();
    Some(build)
}

fn module(path: &str, version: &str, sum: &[&str]) -> GoModule {
    GoModule { path: path.to_owned(), version: version.to_owned(), sum: sum.first().copied().unwrap_or_default().to_owned() }
}

/// A text with its length before it, seven bits to a byte.
fn text<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let mut length = 0_usize;
    for shift in (0..35).step_by(7) {
        let (first, others) = rest.split_first()?;
        *rest = others;
        length |= usize::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            let (text, others) = rest.split_at_checked(length)?;
            *rest = others;
            return Some(text);
        }
    }
    None
}
