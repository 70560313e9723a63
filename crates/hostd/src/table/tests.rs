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

#[test]
fn a_name_is_free_again_when_its_microvm_is_gone() {
    let mut table = Table::default();
    let Ok(Created::New(record)) = create(&mut table, &[]) else { panic!("not new") };
    table.put(record.deleted());
    let refusal = create(&mut table, &[]).unwrap_err();
    assert!(refusal.code == Code::AlreadyExists && refusal.message.contains("is being deleted"), "{refusal}");
    table.remove(&record.uid);
    assert!(matches!(create(&mut table, &[]), Ok(Created::New(_))));
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
