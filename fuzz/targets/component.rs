//! Any component file is read or refused, and what is read can be written and read again.
#![no_main]

use std::path::Path;

use capstead_plane::Component;

libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Ok(component) = Component::parse(text, Path::new("fuzz")) {
        let json = serde_json::to_string(&component).expect("writes");
        assert_eq!(Component::parse(&json, Path::new("fuzz")).expect("reads its own"), component);
    }
});
