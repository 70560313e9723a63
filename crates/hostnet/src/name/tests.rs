use super::*;

const UID: &str = "01JD8Z7M4QK3W8T2V5X9Y6B1NC";

#[test]
fn names_fit_and_follow_from_what_they_are_for() {
    for prefix in [Prefix::Tap, Prefix::Macvtap] {
        let names: Vec<String> = candidates(prefix, "a", UID, 0).collect();
        assert_eq!(names, candidates(prefix, "a", UID, 0).collect::<Vec<_>>());
        assert!(names.iter().all(|name| name.len() == prefix.text().len() + 7 && name.len() <= LONGEST), "{names:?}");
        let mut all: Vec<String> = (0..POSITIONS).flat_map(|position| candidates(prefix, "a", UID, position)).collect();
        all.extend(candidates(prefix, "b", UID, 0));
        let count = all.len();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), count, "each position, try and daemon has names of its own");
    }
    // What a device is called must not change with a new release, as devices outlive it: `printf a/u/0/0 | sha256sum`.
    assert_eq!(candidates(Prefix::Tap, "a", "u", 0).next().as_deref(), Some("fltapb877d0a"));
}

#[test]
fn an_alias_tells_its_mark_and_nothing_else_does() {
    let mark = Mark { instance: "host".into(), uid: UID.into(), device_id: "eth1".into() };
    assert_eq!(Mark::parse(&mark.alias()), Some(mark));
    for alias in ["", "uplink", "capstead", "capstead/a/b", "capstead/a/b/c/d", "capstead/a//c", "other/a/b/c", "Capstead/a/b/c"] {
        assert_eq!(Mark::parse(alias), None, "{alias}");
    }
}
