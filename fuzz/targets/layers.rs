//! Any bytes as an image layer give a view or an error, and a file taken out of it is no longer than the layer.
#![no_main]

use std::path::Path;

use capstead_artifact::oci::layers::View;
use capstead_artifact::oci::layers::copy;

libfuzzer_sys::fuzz_target!(|layer: &[u8]| {
    let mut view = View::default();
    if view.add(layer).is_err() {
        return;
    }
    for path in ["a", "bin/sh", "usr/local/bin/etcd"] {
        if let Ok(place) = view.find(Path::new(path)) {
            let mut out = Vec::new();
            if copy(layer, place, &mut out).is_ok() {
                assert!(out.len() <= layer.len());
            }
        }
    }
});
