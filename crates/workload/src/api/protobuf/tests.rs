use proptest::prelude::*;
use serde_json::Value;

use super::DecodeError;
use super::decode;

/// Objects as client-go 0.36 sends them in protobuf (hex), each followed by what it sends in JSON.
const GOLDEN: &str = include_str!("golden.txt");

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

/// Without the nulls that Go writes for times that are not set.
fn pruned(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            Value::Object(map.into_iter().filter(|(_, value)| !value.is_null()).map(|(key, value)| (key, pruned(value))).collect())
        }
        Value::Array(list) => Value::Array(list.into_iter().map(pruned).collect()),
        other => other,
    }
}

#[test]
fn both_forms_of_an_object_are_the_same() {
    let lines: Vec<_> = GOLDEN.lines().collect();
    assert!(lines.len() >= 16);
    for pair in lines.chunks(2) {
        let json: Value = serde_json::from_str(pair[1]).unwrap();
        assert_eq!(decode(&bytes(pair[0])).unwrap(), pruned(json));
    }
}

#[test]
fn what_is_no_object_is_refused() {
    assert_eq!(decode(b"{}"), Err(DecodeError::Magic));
    assert!(matches!(decode(b"k8s\0"), Err(DecodeError::Kind { .. })));
    let secret = bytes(GOLDEN.lines().next().unwrap());
    for length in 4..secret.len() - 1 {
        // Cut off, it may be a shorter object, but never a panic.
        let _ = decode(&secret[..length]);
    }
}

proptest! {
    #[test]
    fn damage_does_no_harm(line in 0..8_usize, at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = bytes(GOLDEN.lines().nth(line * 2).unwrap());
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let _ = decode(&bytes);
    }
}
