//! Any components YAML is made ready or refused, and no Service is left in what is made ready.
#![no_main]

use capstead_plane::manifest::Webhooks;
use capstead_plane::manifest::prepare;

libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Ok(objects) = prepare(text, Some(Webhooks { port: 1, authority: "ca" }), None) {
        for object in objects.before.iter().chain(&objects.after) {
            assert!(object.pointer("/spec/conversion/webhook/clientConfig/service").is_none() || object["kind"] != "CustomResourceDefinition");
        }
    }
});
