//! The shell patterns of `#`, `##`, `%` and `%%`: Go's `path.Match`, in which `*` matches `/` too.
//!
//! Works on bytes, as Go does: a literal matches one byte, `?` and a class one character.

use crate::eval::{Fault, Meter};
use crate::text::decode;

/// A malformed pattern; the operators then leave the value as it is.
struct BadPattern;

/// The length of the shortest (or longest) prefix of `value`, not empty, that matches; `None` also for a malformed pattern.
pub(crate) fn prefix(pattern: &[u8], value: &[u8], longest: bool, meter: &mut Meter) -> Result<Option<usize>, Fault> {
    let mut shortest = None;
    for end in (1..=value.len()).rev() {
        match matches(pattern, &value[..end], meter)? {
            Err(BadPattern) => return Ok(None),
            Ok(true) if longest => return Ok(Some(end)),
            Ok(true) => shortest = Some(end),
            Ok(false) => {}
        }
    }
    Ok(shortest)
}

fn matches(mut pattern: &[u8], mut name: &[u8], meter: &mut Meter) -> Result<Result<bool, BadPattern>, Fault> {
    'pattern: while !pattern.is_empty() {
        let (star, chunk, rest) = next_chunk(pattern);
        pattern = rest;
        meter.spend(1 + chunk.len())?;
        if star && chunk.is_empty() {
            return Ok(Ok(true));
        }
        // with a star, try every later start in turn; the first that fits is taken, without going back
        let starts = if star { name.len() } else { 0 };
        for start in 0..=starts {
            let (rest, spent) = match_chunk(chunk, &name[start..]);
            meter.spend(spent)?;
            match rest {
                Err(BadPattern) => return Ok(Err(BadPattern)),
                // the last chunk must use up the name
                Ok(Some(rest)) if rest.is_empty() || !pattern.is_empty() => {
                    name = rest;
                    continue 'pattern;
                }
                Ok(_) => {}
            }
        }
        return Ok(Ok(false));
    }
    Ok(Ok(name.is_empty()))
}

/// Splits off leading stars and the operators up to the next star outside brackets.
fn next_chunk(pattern: &[u8]) -> (bool, &[u8], &[u8]) {
    let stars = pattern.iter().take_while(|&&b| b == b'*').count();
    let pattern = &pattern[stars..];
    let mut bracket = false;
    let mut i = 0;
    while let Some(&b) = pattern.get(i) {
        match b {
            b'\\' if i + 1 < pattern.len() => i += 1,
            b'[' => bracket = true,
            b']' => bracket = false,
            b'*' if !bracket => break,
            _ => {}
        }
        i += 1;
    }
    let (chunk, rest) = pattern.split_at(i);
    (stars > 0, chunk, rest)
}

/// Matches a chunk without stars at the front of `name`: what is left of `name`, and how many steps it took.
fn match_chunk<'a>(mut chunk: &[u8], mut name: &'a [u8]) -> (Result<Option<&'a [u8]>, BadPattern>, usize) {
    let mut steps = 1;
    while let Some((&operator, after)) = chunk.split_first() {
        steps += 1;
        let Some((&byte, name_after)) = name.split_first() else { return (Ok(None), steps) };
        match operator {
            b'[' => {
                let (c, width) = decode(name);
                name = &name[width..];
                steps += after.len();
                match class(after, c) {
                    Ok((true, rest)) => chunk = rest,
                    Ok((false, _)) => return (Ok(None), steps),
                    Err(bad) => return (Err(bad), steps),
                }
            }
            b'?' => {
                name = &name[decode(name).1..];
                chunk = after;
            }
            _ => {
                let (literal, after) = match (operator, after.split_first()) {
                    (b'\\', Some((&literal, after))) => (literal, after),
                    (b'\\', None) => return (Err(BadPattern), steps),
                    _ => (operator, after),
                };
                if literal != byte {
                    return (Ok(None), steps);
                }
                name = name_after;
                chunk = after;
            }
        }
    }
    (Ok(Some(name)), steps)
}

/// Whether `c` is in the class whose `[` was just read, and what follows its `]`.
fn class(mut chunk: &[u8], c: char) -> Result<(bool, &[u8]), BadPattern> {
    let negated = chunk.first() == Some(&b'^');
    if negated {
        chunk = &chunk[1..];
    }
    let mut found = false;
    let mut ranges = 0;
    loop {
        if chunk.first() == Some(&b']') && ranges > 0 {
            return Ok((found != negated, &chunk[1..]));
        }
        let (low, rest) = class_char(chunk)?;
        chunk = rest;
        let mut high = low;
        if chunk.first() == Some(&b'-') {
            (high, chunk) = class_char(&chunk[1..])?;
        }
        found |= low <= c && c <= high;
        ranges += 1;
    }
}

/// One character of a class, possibly escaped; something must follow it.
fn class_char(chunk: &[u8]) -> Result<(char, &[u8]), BadPattern> {
    let chunk = match chunk {
        [] | [b'-' | b']', ..] => return Err(BadPattern),
        [b'\\', rest @ ..] => rest,
        _ => chunk,
    };
    let (c, width) = decode(chunk);
    let rest = &chunk[width..];
    if rest.is_empty() || (c == char::REPLACEMENT_CHARACTER && width == 1) {
        return Err(BadPattern);
    }
    Ok((c, rest))
}

#[cfg(test)]
mod tests;
