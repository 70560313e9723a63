//! Any text is rendered or refused, and what is rendered stays within its bound.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| {
    let value = |name: &str| (name.len() % 2 == 0).then(|| format!("<{name}>"));
    if let Ok(rendered) = capstead_template::render(text, &value) {
        assert!(rendered.len() <= capstead_template::MAX_OUTPUT);
    }
});
