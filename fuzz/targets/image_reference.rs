//! Any text as an image reference gives an error, or a reference that reads back as the same and has no `..` in it.
#![no_main]

use capstead_image::Reference;

libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Ok(reference) = text.parse::<Reference>() {
        let printed = reference.to_string();
        assert_eq!(printed.parse(), Ok(reference));
        assert!(printed.split('/').all(|part| part != ".."));
    }
});
