//! What machines are handed as bootstrap data: nothing of it makes a guest panic.
#![no_main]

use std::collections::BTreeMap;

use capstead_workload::guest;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let (user_data, vendor_data) = data.split_at(data.iter().position(|byte| *byte == 0).unwrap_or(data.len()));
    let (meta_data, environment) = (serde_json::Map::new(), BTreeMap::new());
    let machine = guest::Machine { user_data, vendor_data, meta_data: &meta_data, environment: &environment, kubernetes: None };
    let _ = guest::boot(&machine);
});
