use serde_json::json;
use tonic::Code;

use super::*;
use crate::accept::accept;
use crate::accept::tests::Two;
use crate::accept::tests::spec;

fn create(table: &mut Table, changes: &[(&str, serde_json::Value)]) -> Result<Created, Refusal> {
    let random = table.records.len() as u128;
    let created = table.create(accept(spec(changes), &Two)?, Timestamp::UNIX_EPOCH, random);
    if let Ok(Created::New(record)) = &created {
        table.put(record.clone());
    }
    created
}

#[test]
fn the_same_create_twice_is_one_microvm_and_another_is_refused() {
    let mut table = Table::default();
    let Ok(Created::New(record)) = create(&mut table, &[]) else { panic!("not new") };
    assert_eq!((record.uid.len(), record.spec.uid(), record.version), (26, record.uid.as_str(), 1));
    assert_eq!(create(&mut table, &[("/uid", json!("x"))]), Ok(Created::Existing(record.uid.clone())));
    assert_eq!(create(&mut table, &[("/provider", json!("qemu"))]), Ok(Created::Existing(record.uid.clone())), "as the default is");
    for other in [("/vcpu", json!(4)), ("/labels", json!({"a": "b"})), ("/provider", json!("firecracker"))] {
        let refusal = create(&mut table, std::slice::from_ref(&other)).unwrap_err();
        assert_eq!(refusal.code, Code::AlreadyExists, "{other:?}");
        assert!(refusal.message.contains(&record.uid), "{refusal}");
    }
    assert!(matches!(create(&mut table, &[("/namespace", json!("c"))]), Ok(Created::New(_))));
}

/// As upstream's CAPMVM asks when it has not heard the first answer.
#[test]
fn addresses_that_a_client_makes_up_anew_are_no_other_spec() {
    let with = |mac: &str| ("/interfaces", json!([{"device_id": "eth1", "type": "TAP", "guest_mac": mac}]));
    let mut table = Table::default();
    let Ok(Created::New(record)) = create(&mut table, &[with("AA:FF:00:00:00:01")]) else { panic!("not new") };
    assert_eq!(create(&mut table, &[with("AE:FF:00:00:00:02")]), Ok(Created::Existing(record.uid.clone())));
    assert_eq!(table.get(&record.uid, "").unwrap().spec.interfaces[0].guest_mac(), "AA:FF:00:00:00:01");
    // A vendor's address is nobody's invention.
    assert_eq!(create(&mut table, &[with("00:16:3E:00:00:02")]).unwrap_err().code, Code::AlreadyExists);
}

/// As in flintlock, whose clients make one anew while the one before still shuts down.
#[test]
fn a_name_is_free_again_once_its_microvm_is_being_deleted() {
    let mut table = Table::default();
    let Ok(Created::New(first)) = create(&mut table, &[]) else { panic!("not new") };
    table.put(first.deleted());
    let Ok(Created::New(second)) = create(&mut table, &[("/vcpu", json!(4))]) else { panic!("not new") };
    assert_ne!(first.uid, second.uid);
    assert_eq!(table.list("", "").count(), 2);
    // That the first goes, and is written once more before, is nothing to the second.
    table.put(first.deleted());
    table.remove(&first.uid);
    assert_eq!(create(&mut table, &[("/vcpu", json!(4))]), Ok(Created::Existing(second.uid)));
}

#[test]
fn what_is_not_there_is_not_found() {
    let mut table = Table::default();
    create(&mut table, &[]).unwrap();
    create(&mut table, &[("/id", json!("c"))]).unwrap();
    assert_eq!(table.get("", "getting microvm").unwrap_err(), Refusal::nameless());
    let refusal = table.get("01HAAAAAAAAAAAAAAAAAAAAAAA", "getting microvm").unwrap_err();
    assert!(refusal.code == Code::NotFound && refusal.message.contains("not found"), "{refusal}");
    let names = |namespace, name| table.list(namespace, name).map(|record| record.spec.id.as_str()).collect::<Vec<_>>();
    assert_eq!((names("", ""), names("b", "c"), names("b", "x")), (vec!["a", "c"], vec!["c"], vec![]));
}
