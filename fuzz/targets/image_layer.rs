//! Any bytes as an image layer give a tree or an error, and a tree never has more in it than the limits allow.
#![no_main]

use capstead_image::Limits;
use capstead_image::unpack::check_layer;

libfuzzer_sys::fuzz_target!(|layer: &[u8]| {
    let limits = Limits { entries: 1000, bytes: 16 << 20, memory: 1 << 20, ..Limits::default() };
    if let Ok(tree) = check_layer(layer, limits) {
        let totals = tree.totals();
        // Each entry may bring the folders above it.
        assert!(totals.inodes <= 1 + limits.entries * (limits.depth as u64 + 1));
        assert!(totals.bytes <= limits.bytes);
        let _ = tree.file("boot/vmlinux");
    }
});
