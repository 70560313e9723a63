use super::*;
use crate::port::Protocol;

#[test]
fn what_was_kept_is_found_again() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let records = Records(dir.path().to_owned());
    assert_eq!(records.read("uid1").expect("none"), Record::default());
    let forwards = vec![Forward { protocol: Protocol::Tcp, host_port: 24_000, guest_port: 22 }];
    let lan = Some(KeptLan { name: "default".into(), address: Ipv4Addr::new(10, 87, 0, 10) });
    let record = Record { interfaces: BTreeMap::from([(1, Kept { forwards, lan })]), ..Record::default() };
    records.write("uid1", &record).expect("written");
    records.write("uid2", &Record::default()).expect("written");
    assert_eq!(records.read("uid1").expect("read"), record);
    assert_eq!(record.lans().collect::<Vec<_>>(), ["default"]);
    assert_eq!(records.uids().expect("listed"), ["uid1", "uid2"]);
    let others = records.others("uid2").expect("read");
    assert!(others.use_lan("default") && !others.use_lan("other"));
    assert_eq!(others, Others { records: vec![record], broken: 0 });
    records.remove("uid1").expect("removed");
    records.remove("uid1").expect("still removed");
    assert_eq!(records.uids().expect("listed"), ["uid2"]);
}

#[test]
fn a_broken_record_is_named_and_stops_nobody_else() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let records = Records(dir.path().to_owned());
    for broken in ["", "{", "{\"version\":2,\"interfaces\":{}}", "{\"version\":1,\"interfaces\":{\"300\":{}}}"] {
        fs::write(dir.path().join("uid1.json"), broken).expect("written");
        let told = records.read("uid1").expect_err("refused").to_string();
        assert!(told.contains("uid1.json is no record of version 1: "), "{told}");
        let others = records.others("uid2").expect("read");
        assert_eq!(others, Others { records: vec![], broken: 1 });
        assert!(others.use_lan("any"), "who knows");
    }
}
