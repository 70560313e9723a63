use capstead_flintlock::types::MicroVmSpec;

use super::*;
use crate::life::End;
use capstead_reconcile::Timestamp;

const UID: &str = "01HAAAAAAAAAAAAAAAAAAAAAAA";

fn record(uid: &str) -> Record {
    let spec = MicroVmSpec { id: "a".into(), namespace: "b".into(), labels: [("x".into(), "y".into())].into(), ..MicroVmSpec::default() };
    Record::new(uid.into(), "qemu".into(), spec)
}

#[test]
fn what_is_written_is_read_again_and_only_the_owner_may() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let records = Records::open(&dir.path().join("records")).unwrap();
    let failed = record(UID).failed("no space", false, Timestamp::UNIX_EPOCH).adopted(Timestamp::UNIX_EPOCH);
    records.write(&record(UID)).unwrap();
    records.write(&failed).unwrap();
    records.write(&record("01HBAAAAAAAAAAAAAAAAAAAAAA")).unwrap();
    let (read, errors) = records.all().unwrap();
    assert_eq!((read, errors.len()), (vec![failed, record("01HBAAAAAAAAAAAAAAAAAAAAAA")], 0));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&records.0), mode(&records.path(UID))), (0o700, 0o600));
    records.remove(UID).unwrap();
    records.remove(UID).unwrap();
    assert_eq!(records.all().unwrap().0.len(), 1);
}

#[test]
fn what_cannot_be_read_is_told_and_keeps_nobody_else_from_being_read() {
    let dir = tempfile::tempdir().unwrap();
    let records = Records::open(dir.path()).unwrap();
    records.write(&record(UID)).unwrap();
    let whole = fs::read_to_string(records.path(UID)).unwrap();
    for (name, text, says) in [
        ("half", whole[..whole.len() / 2].to_owned(), "no record of a microVM"),
        ("later", whole.replace("\"format\": 1", "\"format\": 2"), "has format 2"),
        ("named", whole.clone(), "named otherwise"),
        ("path", whole.replace(UID, "../../../../../../../etc/pw"), "no ULID"),
        ("field", whole.replace("\"driver\"", "\"drivel\""), "drivel"),
    ] {
        let path = dir.path().join(format!("{name}.json"));
        fs::write(&path, text).unwrap();
        let (read, errors) = records.all().unwrap();
        assert_eq!(read, [record(UID)], "{name}");
        let [error] = &errors[..] else { panic!("{name}: {errors:?}") };
        assert!(error.to_string().contains(says) && error.to_string().contains(name), "{name}: {error}");
        fs::remove_file(path).unwrap();
    }
}

#[test]
fn a_record_that_cannot_be_written_leaves_the_one_before() {
    let dir = tempfile::tempdir().unwrap();
    let records = Records::open(dir.path()).unwrap();
    records.write(&record(UID)).unwrap();
    // In the way of the new file, and root may not write to a folder either.
    fs::create_dir(dir.path().join(format!("{UID}.new"))).unwrap();
    let error = records.write(&record(UID).deleted()).unwrap_err();
    assert!(error.to_string().contains("cannot write"), "{error}");
    assert_eq!(records.all().unwrap().0, [record(UID)]);
}

#[test]
fn only_a_change_has_a_new_version() {
    let now = Timestamp::UNIX_EPOCH;
    let launched = record(UID).adopted(now);
    assert_eq!((launched.version, launched.adopted(now).version), (2, 2));
    let buried = launched.buried(Some(&End::Rebooted), now);
    assert_eq!((buried.version, buried.launched), (3, None));
    let deleted = buried.failed("x", true, now).deleted();
    assert_eq!((deleted.version, deleted.trouble.hopeless, deleted.deleted().version), (5, false, 5));
}
