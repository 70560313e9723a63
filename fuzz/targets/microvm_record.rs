//! Any bytes as a record from disk are refused, or read as a record that is written as it was read, shown, planned for, and changed into records that are read again.
#![no_main]

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use capstead_flintlock::json;
use capstead_hostd::life::End;
use capstead_hostd::life::Life;
use capstead_hostd::life::Observed;
use capstead_hostd::life::Process;
use capstead_hostd::life::Wish;
use capstead_hostd::record::Record;
use capstead_hostd::records::parse;
use capstead_hostd::view::Shown;
use capstead_hostd::view::view;
use capstead_reconcile::Reconciler;
use jiff::Timestamp;

fn again(record: &Record) {
    let bytes = serde_json::to_vec_pretty(record).expect("it can be written");
    assert_eq!(parse(&bytes, Path::new("record.json")).expect("it can be read again"), *record);
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(record) = parse(bytes, Path::new("record.json")) else { return };
    assert!(record.uid.len() == 26 && record.uid.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    again(&record);
    json::write(&view(&record, &Shown::at_first(&record)), json::Form::Gateway).expect("it can be shown");
    for now in [Timestamp::MIN, Timestamp::UNIX_EPOCH, Timestamp::MAX] {
        for process in [Process::None, Process::Running, Process::Ended(End::PoweredOff)] {
            let (launched, trouble) = (record.launched, record.trouble.clone());
            let (whole, traces) = (BTreeSet::new(), BTreeSet::new());
            let seen = Observed { whole, traces, process, launched, asked: launched, trouble };
            let _ = Life::plan(&Wish::Run { parts: BTreeSet::new(), most: 10 }, &seen, now);
            let _ = Life::plan(&Wish::Gone { grace: Duration::MAX }, &seen, now);
        }
        again(&record.adopted(now));
        again(&record.failed("it failed", true, now));
        again(&record.buried(None, now));
        again(&record.deleted());
    }
});
