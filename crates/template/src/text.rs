//! Go's view of text: bytes that are read as UTF-8 and need not be valid.

/// The first character and its width in bytes, as Go's `utf8.DecodeRune`: a byte that begins no character is U+FFFD of width 1.
///
/// An empty slice gives U+FFFD of width 0.
pub(crate) fn decode(bytes: &[u8]) -> (char, usize) {
    for width in 1..=bytes.len().min(4) {
        if let Some(c) = bytes.get(..width).and_then(|b| std::str::from_utf8(b).ok()).and_then(|s| s.chars().next()) {
            return (c, width);
        }
    }
    (char::REPLACEMENT_CHARACTER, bytes.len().min(1))
}

/// All characters in turn, as ranging over a Go string.
pub(crate) fn chars(mut bytes: &[u8]) -> impl Iterator<Item = char> {
    std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let (c, width) = decode(bytes);
        bytes = &bytes[width..];
        Some(c)
    })
}

/// Go's `unicode.ToUpper`: one character to one, unlike [`char::to_uppercase`].
pub(crate) fn upper(c: char) -> char {
    single(c.to_uppercase()).unwrap_or_else(|| match c {
        '\u{1f80}'..='\u{1faf}' => offset(c, 8 - (u32::from(c) & 8)),
        '\u{1fb3}' | '\u{1fc3}' | '\u{1ff3}' => offset(c, 9),
        _ => c,
    })
}

/// Go's `unicode.ToLower`: one character to one, unlike [`char::to_lowercase`].
pub(crate) fn lower(c: char) -> char {
    // the only character whose full lower case has more than one character is İ
    single(c.to_lowercase()).unwrap_or(if c == '\u{130}' { 'i' } else { c })
}

/// Go's `strings.ToUpper` of a whole text.
pub(crate) fn upper_text(text: &str) -> String {
    text.chars().map(upper).collect()
}

/// Go's `strings.ToLower` of a whole text.
pub(crate) fn lower_text(text: &str) -> String {
    text.chars().map(lower).collect()
}

fn single(mut chars: impl Iterator<Item = char>) -> Option<char> {
    let first = chars.next();
    if chars.next().is_some() { None } else { first }
}

fn offset(c: char, by: u32) -> char {
    char::from_u32(u32::from(c) + by).unwrap_or(c)
}

#[cfg(test)]
mod tests;
