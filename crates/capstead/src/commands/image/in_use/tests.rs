use capstead_hostd::record::Record;

use super::*;

#[test]
fn what_records_name_is_in_use_and_one_that_cannot_be_read_stops_all() {
    let dir = tempfile::tempdir().expect("temporary folder");
    assert_eq!(Users::read(dir.path()).expect("no host yet"), Users::default());
    assert!(!dir.path().join("records").exists(), "looking makes nothing");

    let spec = |name: &str, kernel: &str| {
        let text = format!(
            "{{\"id\": \"{name}\", \"namespace\": \"team\", \"kernel\": {{\"image\": \" {kernel} \"}},
              \"initrd\": {{\"image\": \"r.test/initrd:1\"}},
              \"root_volume\": {{\"id\": \"root\", \"source\": {{\"container_source\": \"r.test/os:1\"}}}},
              \"additional_volumes\": [{{\"id\": \"a\", \"source\": {{\"virtiofs_source\": \"/srv\"}}}}]}}"
        );
        capstead_flintlock::json::read(&mut serde_json::Deserializer::from_str(&text), true).expect("a spec")
    };
    let records = Records::open(&dir.path().join("records")).expect("opened");
    for (uid, name, kernel) in [("01ARZ3NDEKTSV4RRFFQ69G5FAV", "m1", "r.test/k:1"), ("01ARZ3NDEKTSV4RRFFQ69G5FAW", "m2", "r.test/os:1")] {
        records.write(&Record::new(uid.to_owned(), "qemu".to_owned(), spec(name, kernel))).expect("written");
    }
    let users = Users::read(dir.path()).expect("read");
    assert_eq!(users.of_image("r.test/os:1"), ["team/m1", "team/m2"]);
    assert_eq!(users.of_image("r.test/k:1"), ["team/m1"]);
    assert_eq!(users.of_image("r.test/other:1"), Vec::<String>::new());
    assert_eq!(users.in_use().references.len(), 3);

    std::fs::write(dir.path().join("records/01ARZ3NDEKTSV4RRFFQ69G5FAX.json"), "{").expect("written");
    let error = format!("{:#}", Users::read(dir.path()).expect_err("refused"));
    assert!(error.contains("not known which images are in use"), "{error}");
}
