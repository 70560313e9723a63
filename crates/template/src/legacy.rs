//! The old spellings `${ VAR }`, `${ VAR}` and `${VAR }`, which clusterctl rewrites to `${VAR}` before it parses.

use std::borrow::Cow;

/// A template text without the old spellings, and how its offsets map back to what the user wrote.
pub(crate) struct Modern<'a> {
    pub(crate) text: Cow<'a, str>,
    /// From this offset of `text` on, so many bytes of the original are gone; both rise.
    shifts: Vec<(usize, usize)>,
    next: usize,
}

impl Modern<'_> {
    /// The offset in the original of an offset in `text`; offsets must not fall from call to call.
    pub(crate) fn original(&mut self, offset: usize) -> usize {
        while self.shifts.get(self.next).is_some_and(|&(from, _)| from <= offset) {
            self.next += 1;
        }
        let removed = self.next.checked_sub(1).and_then(|i| self.shifts.get(i)).map_or(0, |&(_, removed)| removed);
        offset + removed
    }
}

/// Rewrites the old spellings, wherever they stand: `$${ A }` too becomes `$${A}`, as in clusterctl.
pub(crate) fn modernise(text: &str) -> Modern<'_> {
    let mut out = String::new();
    let mut shifts = Vec::new();
    let mut copied = 0;
    let mut from = 0;
    while let Some(found) = text.get(from..).and_then(|rest| rest.find("${")) {
        let inner = from + found + 2;
        from = inner;
        let Some(old) = OldSpelling::read(&text[inner..]) else { continue };
        out.push_str(&text[copied..inner]);
        let removed = inner - out.len();
        shifts.push((out.len(), removed + old.before));
        out.push_str(old.name);
        shifts.push((out.len(), removed + old.before + old.after));
        copied = inner + old.before + old.name.len() + old.after;
        from = copied;
    }
    if shifts.is_empty() {
        return Modern { text: Cow::Borrowed(text), shifts, next: 0 };
    }
    out.push_str(&text[copied..]);
    Modern { text: Cow::Owned(out), shifts, next: 0 }
}

struct OldSpelling<'a> {
    before: usize,
    name: &'a str,
    after: usize,
}

impl<'a> OldSpelling<'a> {
    /// Reads what follows `${`: white space, a name (which may hold `$`), white space, `}`, with white space on at least one side.
    fn read(rest: &'a str) -> Option<Self> {
        let white = |s: &str| s.bytes().take_while(|b| matches!(b, b'\t' | b'\n' | 0x0c | b'\r' | b' ')).count();
        let before = white(rest);
        let tail = &rest[before..];
        let length = tail.bytes().take_while(|&b| b.is_ascii_alphanumeric() || b == b'_' || b == b'$').count();
        let (name, tail) = tail.split_at(length);
        let after = white(tail);
        (length > 0 && before + after > 0 && tail[after..].starts_with('}')).then_some(Self { before, name, after })
    }
}

#[cfg(test)]
mod tests;
