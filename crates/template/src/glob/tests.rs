use super::*;

/// The shortest and the longest matching prefix.
fn prefixes(pattern: &str, value: &str) -> (Option<usize>, Option<usize>) {
    let find = |longest| prefix(pattern.as_bytes(), value.as_bytes(), longest, &mut Meter::default()).unwrap();
    (find(false), find(true))
}

#[test]
fn stars_marks_and_classes() {
    assert_eq!(prefixes("a", "aab"), (Some(1), Some(1)));
    assert_eq!(prefixes("*", "a/b"), (Some(1), Some(3)));
    assert_eq!(prefixes("*b", "abab"), (Some(2), Some(4)));
    assert_eq!(prefixes("a*c", "abcbcd"), (Some(3), Some(5)));
    assert_eq!(prefixes("[a-c]?", "bxy"), (Some(2), Some(2)));
    assert_eq!(prefixes("[^a-c]", "bxy"), (None, None));
    assert_eq!(prefixes("a\\*", "a*b"), (Some(2), Some(2)));
    assert_eq!(prefixes("*[*]b", "a*b"), (Some(3), Some(3)));
    assert_eq!(prefixes("", "a"), (None, None));
    assert_eq!(prefixes("*", ""), (None, None));
}

#[test]
fn characters_of_several_bytes() {
    assert_eq!(prefixes("é", "éa"), (Some(2), Some(2)));
    // a mark takes a broken character for one, so the shortest prefix is half of é
    assert_eq!(prefixes("?", "éa"), (Some(1), Some(2)));
    assert_eq!(prefixes("[à-ü]", "éa"), (Some(2), Some(2)));
}

#[test]
fn malformed_patterns_match_nothing() {
    for pattern in ["[", "[a", "[]", "[]a]", "[a-]", "[-a]", "[a-", "[\\", "a\\", "[^]"] {
        assert_eq!(prefixes(pattern, "aab"), (None, None), "{pattern}");
    }
}
