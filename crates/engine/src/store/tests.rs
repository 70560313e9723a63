use std::collections::HashSet;
use std::sync::Arc;

use super::{Store, Version};
use crate::Name;

fn version(number: &str) -> Version {
    Version::read(Some(number))
}

#[test]
fn an_own_write_is_seen_at_once_and_its_echo_is_no_news() {
    let (store, name) = (Store::default(), Name::new("a", "b"));
    assert_eq!(store.seen(&name, version("5"), "u".into(), Arc::new("old")), Some(None));
    store.wrote(&name, version("7"), "u", Arc::new("new"));
    assert_eq!(store.get(&name).as_deref(), Some(&"new"));
    assert_eq!(store.seen(&name, version("7"), "u".into(), Arc::new("new")), None, "its echo");
    assert_eq!(store.seen(&name, version("6"), "u".into(), Arc::new("between")), None, "what came before it");
    assert_eq!(store.seen(&name, version("8"), "u".into(), Arc::new("newer")).flatten().as_deref(), Some(&"new"));
}

#[test]
fn a_late_reply_brings_nothing_back() {
    let (store, name) = (Store::default(), Name::new("a", "b"));
    store.seen(&name, version("5"), "u".into(), Arc::new(1));
    assert_eq!(store.gone(&name, "u").as_deref(), Some(&1));
    store.wrote(&name, version("9"), "u", Arc::new(2));
    assert_eq!(store.get(&name), None);
    store.seen(&name, version("6"), "again".into(), Arc::new(3));
    store.wrote(&name, version("9"), "u", Arc::new(2));
    assert_eq!(store.gone(&name, "u"), None, "the first one is gone, not the one made again");
    assert_eq!(store.get(&name).as_deref(), Some(&3));
}

#[test]
fn versions_that_are_no_numbers_are_always_news() {
    let (store, name) = (Store::default(), Name::new("a", "b"));
    store.seen(&name, version("x"), "u".into(), Arc::new(1));
    assert!(store.seen(&name, version("x"), "u".into(), Arc::new(2)).is_some());
}

#[test]
fn a_new_list_tells_what_is_gone() {
    let store = Store::default();
    for name in ["one", "two"] {
        store.seen(&Name::new("", name), version("1"), name.into(), Arc::new(name));
    }
    let gone = store.complete(&HashSet::from([Name::new("", "one")]));
    assert_eq!(gone, [(Name::new("", "two"), Arc::new("two"))]);
}
