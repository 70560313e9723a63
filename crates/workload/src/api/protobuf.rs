//! Objects as Go programs send them: controller-runtime writes built-in kinds in protobuf, whatever the server says.
//!
//! Answers are JSON all the same, which every client accepts.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::Map;
use serde_json::Value;

use super::types;
use super::types::Field;
use super::types::Holds;
use super::types::Shape;

/// Before the envelope.
const MAGIC: &[u8] = b"k8s\0";
/// Deeper than any built-in type.
const DEPTH: usize = 32;

/// Why bytes are not an object.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum DecodeError {
    /// They do not begin as Kubernetes' do.
    #[error("it does not begin with Kubernetes' magic number")]
    Magic,
    /// A length or number goes beyond the end, or a wire type is not known.
    #[error("it is cut off or damaged")]
    Damaged,
    /// A text is not UTF-8.
    #[error("a text is not UTF-8")]
    Text,
    /// There is no such built-in kind.
    #[error("{api_version} {kind} has no protobuf form here")]
    Kind {
        /// As it says.
        api_version: String,
        /// As it says.
        kind: String,
    },
}

/// One field of a message.
enum Wire<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// The fields of a message, in order.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn varint(&mut self) -> Result<u64, DecodeError> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first().ok_or(DecodeError::Damaged)?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(DecodeError::Damaged)
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8], DecodeError> {
        let length = usize::try_from(length).map_err(|_| DecodeError::Damaged)?;
        let (taken, rest) = self.0.split_at_checked(length).ok_or(DecodeError::Damaged)?;
        self.0 = rest;
        Ok(taken)
    }

    /// The next field's number and value; `None` at the end.
    fn next(&mut self) -> Result<Option<(u64, Wire<'a>)>, DecodeError> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let key = self.varint()?;
        let wire = match key & 7 {
            0 => Wire::Number(self.varint()?),
            1 => Wire::Bytes(self.take(8)?),
            2 => {
                let length = self.varint()?;
                Wire::Bytes(self.take(length)?)
            }
            5 => Wire::Bytes(self.take(4)?),
            _ => return Err(DecodeError::Damaged),
        };
        Ok(Some((key >> 3, wire)))
    }

    /// The last value of each of the first fields of a message.
    fn small<const N: usize>(bytes: &'a [u8]) -> Result<[Option<Wire<'a>>; N], DecodeError> {
        let mut found = [const { None }; N];
        let mut reader = Self(bytes);
        while let Some((number, wire)) = reader.next()? {
            let slot = usize::try_from(number).ok().and_then(|number| found.get_mut(number.checked_sub(1)?));
            if let Some(slot) = slot {
                *slot = Some(wire);
            }
        }
        Ok(found)
    }
}

/// Reads an object in its envelope.
pub(super) fn decode(bytes: &[u8]) -> Result<Value, DecodeError> {
    let envelope = bytes.strip_prefix(MAGIC).ok_or(DecodeError::Magic)?;
    let [head, raw] = Reader::small(envelope)?;
    let [api_version, kind] = Reader::small(head.as_ref().map_or(&[], bytes_of))?;
    let (api_version, kind) = (text(api_version.as_ref())?, text(kind.as_ref())?);
    // Options are sent in the version of the resource they go with.
    let of = if kind == "DeleteOptions" { types::of_kind("meta", &kind) } else { types::of_kind(&api_version, &kind) };
    let Some(of) = of else { return Err(DecodeError::Kind { api_version, kind }) };
    let mut object = message(of, raw.as_ref().map_or(&[], bytes_of), DEPTH)?;
    object.insert("apiVersion".to_owned(), Value::String(api_version));
    object.insert("kind".to_owned(), Value::String(kind));
    Ok(Value::Object(object))
}

fn bytes_of<'a>(wire: &Wire<'a>) -> &'a [u8] {
    match wire {
        Wire::Bytes(bytes) => bytes,
        Wire::Number(_) => &[],
    }
}

fn number(wire: Option<&Wire<'_>>) -> i64 {
    match wire {
        // Negative numbers are sent as their two's complement.
        Some(Wire::Number(number)) => number.cast_signed(),
        _ => 0,
    }
}

fn text(wire: Option<&Wire<'_>>) -> Result<String, DecodeError> {
    std::str::from_utf8(wire.map_or(&[], bytes_of)).map(ToOwned::to_owned).map_err(|_| DecodeError::Text)
}

/// Reads a message of a type.
fn message(of: &str, bytes: &[u8], depth: usize) -> Result<Map<String, Value>, DecodeError> {
    let depth = depth.checked_sub(1).ok_or(DecodeError::Damaged)?;
    let mut object = Map::new();
    let mut reader = Reader(bytes);
    while let Some((number, wire)) = reader.next()? {
        // Newer clients may know more fields; as upstream, they are dropped.
        let Some(field) = types::fields(of).iter().find(|field| field.number == number) else { continue };
        if let (true, Shape::Of(inner)) = (field.inline, field.shape) {
            object.extend(message(inner, bytes_of(&wire), depth)?);
            continue;
        }
        match field.holds {
            Holds::List => {
                let value = value(field.shape, &wire, depth)?;
                if let Some(list) = object.entry(field.name).or_insert_with(|| Value::Array(Vec::new())).as_array_mut() {
                    list.push(value);
                }
            }
            Holds::Map => {
                let [key, entry] = Reader::small(bytes_of(&wire))?;
                let value = value(field.shape, &entry.unwrap_or(Wire::Bytes(&[])), depth)?;
                let key = text(key.as_ref())?;
                if let Some(map) = object.entry(field.name).or_insert_with(|| Value::Object(Map::new())).as_object_mut() {
                    map.insert(key, value);
                }
            }
            Holds::One => {
                let value = value(field.shape, &wire, depth)?;
                if !omitted(field, &value) {
                    object.insert(field.name.to_owned(), value);
                }
            }
        }
    }
    Ok(object)
}

/// Go sends the zero of every field that is not a pointer.
fn omitted(field: &Field, value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty() && !field.zero,
        Value::Number(number) => number.as_i64() == Some(0) && !field.zero,
        Value::Bool(value) => !value && !field.zero,
        Value::Object(_) | Value::Array(_) => false,
    }
}

fn value(shape: Shape, wire: &Wire<'_>, depth: usize) -> Result<Value, DecodeError> {
    let bytes = bytes_of(wire);
    Ok(match shape {
        Shape::Text => Value::String(text(Some(wire))?),
        Shape::Integer => Value::from(number(Some(wire))),
        Shape::Boolean => Value::Bool(number(Some(wire)) != 0),
        Shape::Bytes => Value::String(STANDARD.encode(bytes)),
        Shape::Of(inner) => Value::Object(message(inner, bytes, depth)?),
        Shape::Time | Shape::MicroTime => {
            let [seconds, nanoseconds] = Reader::small(bytes)?;
            time(shape, number(seconds.as_ref()), number(nanoseconds.as_ref()), bytes.is_empty())
        }
        Shape::Quantity => {
            let [quantity] = Reader::small::<1>(bytes)?;
            Value::String(text(quantity.as_ref())?)
        }
        Shape::IntOrString => {
            let [kind, integer, string] = Reader::small(bytes)?;
            if number(kind.as_ref()) == 0 { Value::from(number(integer.as_ref())) } else { Value::String(text(string.as_ref())?) }
        }
        Shape::Raw => {
            let [raw] = Reader::small::<1>(bytes)?;
            let raw = raw.as_ref().map_or(&[] as &[u8], bytes_of);
            if raw.is_empty() { Value::Null } else { serde_json::from_slice(raw).map_err(|_| DecodeError::Damaged)? }
        }
        Shape::Items => {
            let mut items = Vec::new();
            let mut reader = Reader(bytes);
            while let Some((_, item)) = reader.next()? {
                items.push(Value::String(text(Some(&item))?));
            }
            Value::Array(items)
        }
    })
}

/// A time; `null` is none.
fn time(shape: Shape, seconds: i64, nanoseconds: i64, empty: bool) -> Value {
    let nanoseconds = i32::try_from(nanoseconds).unwrap_or(0);
    match Timestamp::new(seconds, nanoseconds) {
        Ok(at) if !empty => {
            let format = if shape == Shape::Time { "%Y-%m-%dT%H:%M:%SZ" } else { "%Y-%m-%dT%H:%M:%S.%6fZ" };
            Value::String(at.strftime(format).to_string())
        }
        _ => Value::Null,
    }
}

#[cfg(test)]
mod tests;
