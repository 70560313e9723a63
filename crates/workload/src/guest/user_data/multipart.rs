//! As much of MIME as cloud-init's tools and `cloud-init devel make-mime` write: one level of parts, each plain, base64 or gzip'ed base64.

use super::UserDataError;

/// One part, decoded.
pub struct Body {
    /// Without parameters, in lower case; empty if the part says nothing.
    pub content_type: String,
    pub text: String,
}

/// Whether it begins with MIME headers that say multipart.
pub fn is(text: &str) -> bool {
    let (headers, _) = head(text);
    header(&headers, "content-type").is_some_and(|value| value.trim_start().to_ascii_lowercase().starts_with("multipart/"))
}

/// The parts between the boundaries; at most `most`.
pub fn split(text: &str, most: usize) -> Result<Vec<Body>, UserDataError> {
    let (headers, body) = head(text);
    let kind = header(&headers, "content-type").unwrap_or_default();
    let boundary = parameter(kind, "boundary").ok_or(UserDataError::Multipart("its Content-Type names no boundary"))?;
    let (open, close) = (format!("--{boundary}"), format!("--{boundary}--"));
    let mut parts: Vec<String> = Vec::new();
    let mut within = false;
    let mut closed = false;
    for line in body.lines() {
        if line.trim_end() == close {
            closed = true;
            break;
        }
        if line.trim_end() == open {
            if parts.len() == most {
                return Err(UserDataError::Multipart("it has too many parts"));
            }
            parts.push(String::new());
            within = true;
        } else if within && let Some(part) = parts.last_mut() {
            part.push_str(line);
            part.push('\n');
        }
    }
    if !closed {
        return Err(UserDataError::Multipart("its last boundary is missing"));
    }
    parts.iter().map(|part| decode(part)).collect()
}

fn decode(part: &str) -> Result<Body, UserDataError> {
    let (headers, body) = head(part);
    let content_type = header(&headers, "content-type").and_then(|value| value.split(';').next()).unwrap_or_default();
    let encoding = header(&headers, "content-transfer-encoding").unwrap_or_default().trim().to_ascii_lowercase();
    let text = match encoding.as_str() {
        "" | "7bit" | "8bit" | "binary" => body.to_owned(),
        "base64" => {
            let bytes = super::base64(body.as_bytes()).map_err(|_| UserDataError::Multipart("a part says base64, but is not"))?;
            super::text(&bytes)?
        }
        _ => return Err(UserDataError::Multipart("a part is neither plain nor base64")),
    };
    Ok(Body { content_type: content_type.trim().to_ascii_lowercase(), text })
}

/// Headers, with continued lines joined, and what comes after the empty line.
fn head(text: &str) -> (Vec<(String, String)>, &str) {
    let mut headers: Vec<(String, String)> = Vec::new();
    let mut rest = text;
    while let Some((line, after)) = rest.split_once('\n') {
        let line = line.trim_end_matches('\r');
        if line.is_empty() {
            return (headers, after);
        }
        if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = headers.last_mut() {
                value.push(' ');
                value.push_str(line.trim());
            }
        } else if let Some((name, value)) = line.split_once(':').filter(|(name, _)| !name.is_empty() && !name.contains(' ')) {
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        } else {
            // Not a header: the text has none, or they end here.
            return (headers, rest);
        }
        rest = after;
    }
    (headers, rest)
}

fn header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

fn parameter<'a>(value: &'a str, name: &str) -> Option<&'a str> {
    value.split(';').skip(1).find_map(|part| {
        let (key, value) = part.split_once('=')?;
        (key.trim().eq_ignore_ascii_case(name)).then(|| value.trim().trim_matches('"')).filter(|value| !value.is_empty())
    })
}
