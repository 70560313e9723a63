//! Any bytes as a spec from the wire are refused, or accepted as something that is accepted again as it is, kept on disk as it is, and shown.
#![no_main]

use std::path::Path;

use capstead_flintlock::api::CreateMicroVmRequest;
use capstead_flintlock::json;
use capstead_flintlock::types::MicroVmSpec;
use capstead_hostd::accept::Drivers;
use capstead_hostd::accept::accept;
use capstead_hostd::records::parse;
use capstead_hostd::table::Created;
use capstead_hostd::table::Table;
use capstead_hostd::view::Shown;
use capstead_hostd::view::view;
use jiff::Timestamp;
use prost::Message;

/// One driver that can do all.
struct Qemu;

impl Drivers for Qemu {
    fn default_name(&self) -> &str {
        "qemu"
    }

    fn find(&self, name: &str) -> Option<&str> {
        (name == "qemu").then_some("qemu")
    }

    fn names(&self) -> Vec<&str> {
        vec!["qemu"]
    }

    fn lacking(&self, _: &str, _: &MicroVmSpec) -> Vec<String> {
        Vec::new()
    }
}

libfuzzer_sys::fuzz_target!(|message: &[u8]| {
    let Ok(CreateMicroVmRequest { microvm: Some(spec), .. }) = CreateMicroVmRequest::decode(message) else { return };
    let Ok(accepted) = accept(spec, &Qemu) else { return };
    assert_eq!(accept(accepted.spec.clone(), &Qemu), Ok(accepted.clone()));
    // What it is called becomes a name of files.
    assert!(!accepted.spec.id.contains('/') && !accepted.spec.namespace.contains('/'));
    let created = Table::default().create(accepted, Timestamp::UNIX_EPOCH, 1);
    let Ok(Created::New(record)) = created else { panic!("nothing else has its name: {created:?}") };
    let bytes = serde_json::to_vec(&record).expect("it can be written");
    assert_eq!(parse(&bytes, Path::new("record.json")).expect("it can be read again"), record);
    let shown = view(&record, &Shown::at_first(&record));
    json::write(&shown, json::Form::Gateway).expect("it can be shown");
    // No larger than what tonic takes by default, unless it came so.
    assert!(shown.encoded_len() <= message.len() + 1024);
});
