//! Any CRD and any object are judged, and any conditions are read or refused, without a panic.
#![no_main]

use capstead_capi::rules::Role;
use capstead_capi::rules::Subject;
use capstead_capi::rules::rules;
use serde_json::Value;

libfuzzer_sys::fuzz_target!(|text: &str| {
    let Ok(value) = serde_json::from_str::<Value>(text) else { return };
    let _ = capstead_capi::condition::read(&value, jiff::Timestamp::UNIX_EPOCH);
    for role in Role::ALL {
        let objects = [value.clone()];
        let subject = Subject { role, crd: &value, objects: &objects };
        rules().for_each(|rule| drop(rule.judge(&subject)));
    }
});
