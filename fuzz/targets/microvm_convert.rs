//! Any object is refused or converted, and whatever was converted goes back and forth without losing anything.
#![no_main]

use capstead_microvm::convert::convert;
use serde_json::Value;

const VERSIONS: [&str; 2] = ["infrastructure.cluster.x-k8s.io/v1alpha1", "infrastructure.cluster.x-k8s.io/v1alpha2"];

libfuzzer_sys::fuzz_target!(|text: &str| {
    let Ok(object) = serde_json::from_str::<Value>(text) else { return };
    for (from, to) in [(VERSIONS[0], VERSIONS[1]), (VERSIONS[1], VERSIONS[0])] {
        if object["apiVersion"] != from {
            continue;
        }
        let Ok(there) = convert(object.clone(), to) else { continue };
        assert_eq!(there["metadata"]["name"], object["metadata"]["name"]);
        let back = convert(there.clone(), from).expect("what was made here is understood here");
        let again = convert(back.clone(), to).expect("what was made here is understood here");
        // The first time, what the schema does not know is dropped.
        assert_eq!(convert(again.clone(), from).expect("it is understood"), back, "back and forth");
        assert_eq!(again["spec"], there["spec"]);
    }
});
