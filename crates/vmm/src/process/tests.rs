use super::*;

#[test]
fn a_stat_line_is_read_behind_a_hostile_name() {
    let line = "42 (a) S 1 (b)) R 1 42 42 0 -1 4194560 100 0 0 0 7 3 0 0 20 0 4 0 123456 1000 2 3";
    assert_eq!(Stat::parse(line), Some(Stat { state: 'R', cpu_ticks: 10, start: 123_456 }));
    for short in ["", "42 (a)", "42 (a) S 1 2", "42 (a) S 1 42 42 0 -1 4194560 100 0 0 0 x 3 0 0 20 0 4 0 123456"] {
        assert_eq!(Stat::parse(short), None, "{short}");
    }
    assert!(Stat::of(std::process::id()).expect("we live").start > 0);
}

#[test]
fn a_mark_is_whole_or_none() {
    let vmm = Mark { root: "/run/c".into(), uid: "u1".parse().expect("uid"), driver: DriverKind::Qemu, share: None };
    let mark = Mark { share: Some(2), ..vmm.clone() };
    let text = |entries: &[(&str, String)]| entries.iter().map(|(name, value)| format!("{name}={value}\0")).collect::<String>();
    let whole = mark.variables();
    assert_eq!(Mark::parse(format!("PATH=/bin\0{}", text(&whole)).as_bytes()), Some(mark.clone()));
    for missing in 0..3 {
        let rest: Vec<_> = whole.iter().enumerate().filter(|(index, _)| *index != missing).map(|(_, entry)| entry.clone()).collect();
        assert_eq!(Mark::parse(text(&rest).as_bytes()), None);
    }
    assert_eq!(Mark::parse(text(&whole[..3]).as_bytes()), Some(vmm), "a VMM serves no share");
    assert_eq!(Mark::parse(format!("{}CAPSTEAD_VMM_SHARE=x\0", text(&whole[..3])).as_bytes()), None);
    assert_eq!(Mark::parse(b"CAPSTEAD_VMM_ROOT=/r\0CAPSTEAD_VMM_UID=../x\0CAPSTEAD_VMM_DRIVER=qemu\0"), None);
}

#[test]
fn a_record_is_read_whole_or_not_at_all() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let path = dir.path().join("process.json");
    assert_eq!(Record::read(&path), None);
    let record = Record {
        version: 1,
        driver: DriverKind::Qemu,
        boot: boot_id(),
        pid: Some(7),
        start: Some(9),
        exit: Some(ExitStatus::Signal(9)),
        console: 5,
    };
    record.write(&path).expect("written");
    assert_eq!(Record::read(&path), Some(record));
    let whole = fs::read(&path).expect("read");
    for cut in 0..whole.len() {
        fs::write(&path, &whole[..cut]).expect("written");
        assert_eq!(Record::read(&path), None, "cut at {cut}");
    }
    fs::write(&path, r#"{"version":1,"driver":"qemu","boot":"","pid":null,"start":null,"exit":null}"#).expect("written");
    assert_eq!(Record::read(&path).expect("of an earlier program").console, 0);
    fs::write(&path, r#"{"version":2,"driver":"qemu","boot":"","pid":null,"start":null,"exit":null}"#).expect("written");
    assert_eq!(Record::read(&path), None, "another format");
}

#[tokio::test]
async fn another_process_with_the_same_id_is_not_adopted() {
    let mark = Mark { root: "/nowhere".into(), uid: "u1".parse().expect("uid"), driver: DriverKind::Qemu, share: None };
    assert!(Process::adopt(Found { pid: std::process::id(), start: 1, mark }).is_none());
}
