//! User data as it arrives: gzip'ed or not, Ignition, one part for cloud-init, or many in a MIME multipart.

use std::io::Read;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::read::MultiGzDecoder;
use serde_json::Value;

mod multipart;
#[cfg(test)]
mod tests;

/// The most that user data, or a file in it, may unpack to. A Secret holds 1 MiB.
pub const LIMIT: usize = 16 << 20;
/// The most parts that are looked at.
const PARTS: usize = 256;

/// What the user data is for.
#[derive(Clone, Debug, PartialEq)]
pub enum Format {
    /// cloud-init, in the order of its parts.
    CloudInit(Vec<Part>),
    /// Ignition's JSON.
    Ignition(Value),
}

/// One part of what cloud-init gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// What to do with it.
    pub kind: Kind,
    /// It, header included.
    pub text: String,
}

/// What cloud-init does with a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Reads it as cloud-config, after rendering if it is a template.
    CloudConfig {
        /// Whether its first line says `## template: jinja`.
        jinja: bool,
    },
    /// Runs it, at the end of the boot.
    Script,
    /// Runs it early.
    Boothook,
}

/// Why user data cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum UserDataError {
    /// There is none.
    #[error("it is empty; cloud-init and Ignition then do nothing, and no node comes up")]
    Empty,
    /// gzip gives up.
    #[error("it begins as gzip, but cannot be unpacked")]
    Gzip(#[source] std::io::Error),
    /// It does not end.
    #[error("it has more than {} MiB", LIMIT >> 20)]
    TooLarge,
    /// Bytes that are no text.
    #[error("it is not text in UTF-8 from byte {at} on")]
    NotText {
        /// The first byte that is not.
        at: usize,
    },
    /// It is JSON, but not Ignition's.
    #[error("it begins as Ignition's JSON, but cannot be read")]
    Json(#[source] serde_json::Error),
    /// Nobody on the machine knows what to do with it.
    #[error("its first line {line:?} is no header that cloud-init knows, such as #cloud-config or ## template: jinja")]
    UnknownHeader {
        /// The first line, cut short.
        line: String,
    },
    /// A template of another language.
    #[error("it is a template in {language:?}; cloud-init renders only jinja")]
    UnknownTemplate {
        /// What its first line says.
        language: String,
    },
    /// A multipart that is not one.
    #[error("the multipart cannot be read: {0}")]
    Multipart(&'static str),
}

/// Tells what user data is.
///
/// # Errors
///
/// When no machine could make anything of it.
pub fn read(data: &[u8]) -> Result<Format, UserDataError> {
    let text = text(data)?;
    if text.trim_start().starts_with('{') {
        return serde_json::from_str(&text).map(Format::Ignition).map_err(UserDataError::Json);
    }
    parts(text).map(Format::CloudInit)
}

/// Reads what only cloud-init can be meant by, as vendor data.
///
/// # Errors
///
/// When cloud-init could make nothing of it.
pub fn cloud_init(data: &[u8]) -> Result<Vec<Part>, UserDataError> {
    parts(text(data)?)
}

fn text(data: &[u8]) -> Result<String, UserDataError> {
    let unpacked;
    let data = if data.starts_with(&[0x1f, 0x8b]) {
        unpacked = gunzip(data)?;
        &unpacked
    } else {
        data
    };
    if data.len() > LIMIT {
        return Err(UserDataError::TooLarge);
    }
    let text = std::str::from_utf8(data).map_err(|error| UserDataError::NotText { at: error.valid_up_to() })?;
    if text.trim().is_empty() {
        return Err(UserDataError::Empty);
    }
    Ok(text.to_owned())
}

/// Unpacks gzip, up to [`LIMIT`].
pub(super) fn gunzip(data: &[u8]) -> Result<Vec<u8>, UserDataError> {
    let mut unpacked = Vec::new();
    MultiGzDecoder::new(data).take(LIMIT as u64 + 1).read_to_end(&mut unpacked).map_err(UserDataError::Gzip)?;
    if unpacked.len() > LIMIT { Err(UserDataError::TooLarge) } else { Ok(unpacked) }
}

/// Decodes base64 as people write it: with line breaks.
pub(super) fn base64(text: &[u8]) -> Result<Vec<u8>, base64::DecodeError> {
    STANDARD.decode(text.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect::<Vec<_>>())
}

fn parts(text: String) -> Result<Vec<Part>, UserDataError> {
    if !multipart::is(&text) {
        return part(text).map(|part| vec![part]);
    }
    let mut parts = Vec::new();
    for body in multipart::split(&text, PARTS)? {
        // A part that says nothing of itself is judged by its first line, like user data that is not multipart.
        match body.content_type.as_str() {
            "text/cloud-config" => parts.push(Part { kind: Kind::CloudConfig { jinja: is_jinja(&body.text)? }, text: body.text }),
            "text/jinja2" => parts.push(Part { kind: Kind::CloudConfig { jinja: true }, text: body.text }),
            "text/x-shellscript" => parts.push(Part { kind: Kind::Script, text: body.text }),
            "text/cloud-boothook" => parts.push(Part { kind: Kind::Boothook, text: body.text }),
            _ => parts.push(part(body.text)?),
        }
    }
    Ok(parts)
}

fn part(text: String) -> Result<Part, UserDataError> {
    let jinja = is_jinja(&text)?;
    let header = if jinja { second_line(&text) } else { text.as_str() };
    let kind = if header.starts_with("#cloud-config") {
        Kind::CloudConfig { jinja }
    } else if header.starts_with("#cloud-boothook") {
        Kind::Boothook
    } else if header.starts_with("#!") {
        Kind::Script
    } else {
        let line = header.lines().next().unwrap_or_default().chars().take(60).collect();
        return Err(UserDataError::UnknownHeader { line });
    };
    Ok(Part { kind, text })
}

fn second_line(text: &str) -> &str {
    text.split_once('\n').map_or("", |(_, rest)| rest.trim_start())
}

/// As cloud-init looks for it: `##`, spaces, `template:`, spaces, a name, on the first line.
fn is_jinja(text: &str) -> Result<bool, UserDataError> {
    let first = text.lines().next().unwrap_or_default();
    let Some(language) = first.strip_prefix("##").and_then(|rest| rest.trim_start().strip_prefix("template:")) else {
        return Ok(false);
    };
    match language.trim() {
        "jinja" => Ok(true),
        other => Err(UserDataError::UnknownTemplate { language: other.chars().take(60).collect() }),
    }
}
