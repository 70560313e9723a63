//! From expressions and values to text, byte for byte as drone/envsubst v2 computes it.

use memchr::memmem;

use crate::limits::{MAX_OUTPUT, MAX_WORK};
use crate::parse::{Expression, Node, Operator};
use crate::text::{chars, decode, lower, upper};
use crate::{Lookup, RenderError, glob};

/// What stops a single function; the expression's name and place are added on the way out.
#[derive(Debug)]
pub(crate) enum Fault {
    TooLong,
    TooMuchWork,
    NegativeLength(i64),
}

impl Fault {
    fn at(self, expression: &Expression) -> RenderError {
        let position = expression.position;
        let variable = expression.name.clone();
        match self {
            Self::TooLong => RenderError::TooLong { position, variable },
            Self::TooMuchWork => RenderError::TooMuchWork { position, variable },
            Self::NegativeLength(length) => RenderError::NegativeLength { position, variable, length },
        }
    }
}

/// Counts the work of one rendering against [`MAX_WORK`].
#[derive(Debug, Default)]
pub(crate) struct Meter {
    spent: usize,
}

impl Meter {
    /// Adds so many bytes read, written or compared.
    pub(crate) fn spend(&mut self, work: usize) -> Result<(), Fault> {
        self.spent = self.spent.saturating_add(work);
        if self.spent > MAX_WORK { Err(Fault::TooMuchWork) } else { Ok(()) }
    }

    /// Appends, within [`MAX_OUTPUT`].
    fn append(&mut self, out: &mut Vec<u8>, piece: &[u8]) -> Result<(), Fault> {
        if out.len() + piece.len() > MAX_OUTPUT {
            return Err(Fault::TooLong);
        }
        self.spend(piece.len())?;
        out.extend_from_slice(piece);
        Ok(())
    }
}

/// Renders the nodes of a whole template.
pub(crate) fn render(nodes: &[Node], lookup: &(impl Lookup + ?Sized)) -> Result<String, RenderError> {
    let mut meter = Meter::default();
    let mut out = Vec::new();
    // where each expression's part of the result begins, to tell whose bytes are not text
    let mut parts: Vec<(usize, &Expression)> = Vec::new();
    for node in nodes {
        match node {
            // texts alone are within the limits, so when one breaks them an expression came before it
            Node::Text(text) => {
                if let (Err(fault), Some((_, expression))) = (meter.append(&mut out, text.as_bytes()), parts.last()) {
                    return Err(fault.at(expression));
                }
            }
            Node::Expression(expression) => {
                parts.push((out.len(), expression));
                let piece = evaluate(expression, lookup, &mut meter)?;
                meter.append(&mut out, &piece).map_err(|fault| fault.at(expression))?;
            }
        }
    }
    String::from_utf8(out).map_err(|error| {
        let bad = error.utf8_error().valid_up_to();
        let culprit = parts.iter().rev().find(|(start, _)| *start <= bad).map(|(_, expression)| *expression);
        split_character(culprit)
    })
}

fn split_character(culprit: Option<&Expression>) -> RenderError {
    // texts are valid, so there always is an expression to blame
    let (position, variable) = culprit.map_or_else(
        || (crate::Position { line: 1, column: 1 }, String::new()),
        |expression| (expression.position, expression.name.clone()),
    );
    RenderError::SplitCharacter { position, variable }
}

fn evaluate(expression: &Expression, lookup: &(impl Lookup + ?Sized), meter: &mut Meter) -> Result<Vec<u8>, RenderError> {
    let mut arguments = Vec::with_capacity(expression.arguments.len());
    for node in &expression.arguments {
        arguments.push(match node {
            Node::Text(text) => text.clone().into_bytes(),
            Node::Expression(inner) => evaluate(inner, lookup, meter)?,
        });
    }
    let value = lookup.get(&expression.name).unwrap_or_default().into_bytes();
    apply(expression.operator, value, &arguments, meter).map_err(|fault| fault.at(expression))
}

fn apply(operator: Operator, value: Vec<u8>, arguments: &[Vec<u8>], meter: &mut Meter) -> Result<Vec<u8>, Fault> {
    meter.spend(1 + value.len() + arguments.iter().map(Vec::len).sum::<usize>())?;
    let first = arguments.first().map(Vec::as_slice).unwrap_or_default();
    let second = arguments.get(1).map(Vec::as_slice);
    match operator {
        Operator::Default if value.is_empty() => {
            let mut out = Vec::new();
            arguments.iter().try_for_each(|argument| meter.append(&mut out, argument))?;
            Ok(out)
        }
        Operator::Default => Ok(value),
        Operator::Length => Ok(value.len().to_string().into_bytes()),
        Operator::Substring => substring(value, first, second),
        Operator::UpperFirst => first_char(&value, upper, meter),
        Operator::LowerFirst => first_char(&value, lower, meter),
        Operator::UpperAll => all_chars(&value, upper, meter),
        Operator::LowerAll => all_chars(&value, lower, meter),
        Operator::ReplaceFirst => replace(&value, first, second.unwrap_or_default(), false, meter),
        Operator::ReplaceAll => replace(&value, first, second.unwrap_or_default(), true, meter),
        Operator::ReplacePrefix => match (second, value.strip_prefix(first)) {
            (Some(new), Some(rest)) => joined(&[new, rest], meter),
            // without a replacement, not even an empty one, envsubst leaves the value as it is
            _ => Ok(value),
        },
        Operator::ReplaceSuffix => match (second, value.strip_suffix(first)) {
            (Some(new), Some(rest)) => joined(&[rest, new], meter),
            _ => Ok(value),
        },
        Operator::TrimFrontShortest => trim(value, first, false, meter),
        Operator::TrimFrontLongest => trim(value, first, true, meter),
        Operator::TrimBackShortest => Ok(reversed(&trim(reversed(&value), &reversed(first), false, meter)?)),
        Operator::TrimBackLongest => Ok(reversed(&trim(reversed(&value), &reversed(first), true, meter)?)),
    }
}

/// `${V:start}` and `${V:start:length}`, in bytes. What is not a number leaves the value as it is.
fn substring(value: Vec<u8>, start: &[u8], length: Option<&[u8]>) -> Result<Vec<u8>, Fault> {
    let Some(start) = number(start) else { return Ok(value) };
    // a template's value is far below the range of i64
    let size = i64::try_from(value.len()).unwrap_or(i64::MAX);
    let start = if start < 0 { (size + start).max(0) } else { start };
    let mut end = size;
    if let Some(length) = length {
        let Some(length) = number(length) else { return Ok(value) };
        let asked = start.saturating_add(length);
        if asked < size {
            if length < 0 {
                return Err(Fault::NegativeLength(length));
            }
            end = asked;
        }
    }
    let range = usize::try_from(start).ok().zip(usize::try_from(end).ok());
    Ok(range.and_then(|(start, end)| value.get(start..end)).map(<[u8]>::to_vec).unwrap_or_default())
}

/// Go's `strconv.Atoi`.
fn number(text: &[u8]) -> Option<i64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

fn first_char(value: &[u8], map: fn(char) -> char, meter: &mut Meter) -> Result<Vec<u8>, Fault> {
    if value.is_empty() {
        return Ok(Vec::new());
    }
    let (c, width) = decode(value);
    joined(&[map(c).encode_utf8(&mut [0; 4]).as_bytes(), &value[width..]], meter)
}

fn all_chars(value: &[u8], map: fn(char) -> char, meter: &mut Meter) -> Result<Vec<u8>, Fault> {
    let mut out = Vec::with_capacity(value.len());
    for c in chars(value) {
        meter.append(&mut out, map(c).encode_utf8(&mut [0; 4]).as_bytes())?;
    }
    Ok(out)
}

/// Go's `strings.Replace`: an empty `old` stands before each character and at the end.
fn replace(value: &[u8], old: &[u8], new: &[u8], all: bool, meter: &mut Meter) -> Result<Vec<u8>, Fault> {
    let mut out = Vec::new();
    let mut copied = 0;
    if old.is_empty() {
        meter.append(&mut out, new)?;
        while all && copied < value.len() {
            let (_, width) = decode(&value[copied..]);
            meter.append(&mut out, &value[copied..copied + width])?;
            meter.append(&mut out, new)?;
            copied += width;
        }
    } else {
        for start in memmem::find_iter(value, old).take(if all { usize::MAX } else { 1 }) {
            meter.append(&mut out, &value[copied..start])?;
            meter.append(&mut out, new)?;
            copied = start + old.len();
        }
    }
    meter.append(&mut out, &value[copied..])?;
    Ok(out)
}

fn trim(value: Vec<u8>, pattern: &[u8], longest: bool, meter: &mut Meter) -> Result<Vec<u8>, Fault> {
    Ok(match glob::prefix(pattern, &value, longest, meter)? {
        Some(end) => value[end..].to_vec(),
        None => value,
    })
}

/// The characters from last to first. A reversed pattern is a different pattern where it has classes or escapes: that is envsubst's way.
fn reversed(value: &[u8]) -> Vec<u8> {
    let mut chars: Vec<char> = chars(value).collect();
    chars.reverse();
    String::from_iter(chars).into_bytes()
}

fn joined(pieces: &[&[u8]], meter: &mut Meter) -> Result<Vec<u8>, Fault> {
    let mut out = Vec::new();
    pieces.iter().try_for_each(|piece| meter.append(&mut out, piece))?;
    Ok(out)
}

#[cfg(test)]
mod tests;
