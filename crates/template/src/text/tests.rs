use super::*;

#[test]
fn broken_bytes_are_replacement_characters_of_width_one() {
    assert_eq!(decode("é".as_bytes()), ('é', 2));
    assert_eq!(decode("\u{fffd}".as_bytes()), ('\u{fffd}', 3));
    assert_eq!(decode(b"\xc3"), ('\u{fffd}', 1));
    assert_eq!(decode(b"\xe2\x82a"), ('\u{fffd}', 1));
    assert_eq!(decode(b""), ('\u{fffd}', 0));
    assert_eq!(chars(b"a\xe2\x82\xf0\x9f\x98\x80").collect::<String>(), "a\u{fffd}\u{fffd}😀");
}

#[test]
fn case_maps_one_character_to_one() {
    assert_eq!(upper_text("straße ﬁ ŉ ᾀᾏ ᾳ ῃ ῳ ǆ"), "STRAßE ﬁ ŉ ᾈᾏ ᾼ ῌ ῼ Ǆ");
    assert_eq!(lower_text("ÄÖ İI ΑΣ ǅ ᾈ"), "äö ii ας ǆ ᾀ".replace('ς', "σ"));
}
