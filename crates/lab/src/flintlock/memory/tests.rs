use std::os::unix::fs::PermissionsExt;

use capstead_flintlock::types::MicroVm;
use capstead_flintlock::types::MicroVmSpec;

use super::Memory;
use super::MemoryError;
use super::Remembered;

fn remembered(uid: &str, version: i32) -> Remembered {
    let spec = MicroVmSpec { uid: Some(uid.into()), id: format!("m-{uid}"), ..MicroVmSpec::default() };
    let microvm = MicroVm { version, spec: Some(spec), status: None };
    Remembered { microvm, mounts: vec![("data".into(), "/data".into())] }
}

#[test]
fn what_is_kept_is_there_until_it_is_forgotten() {
    let state = tempfile::tempdir().unwrap();
    let memory = Memory::of(state.path(), 1).unwrap();
    for (uid, version) in [("b", 1), ("a", 1), ("b", 2)] {
        memory.keep(uid, &remembered(uid, version)).unwrap();
    }
    assert!(Memory::of(state.path(), 2).unwrap().all().unwrap().is_empty(), "another host's");
    let memory = Memory::of(state.path(), 1).unwrap();
    assert_eq!(memory.all().unwrap(), [remembered("a", 1), remembered("b", 2)]);
    let mode = |path: &str| std::fs::metadata(state.path().join(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("host-1"), mode("host-1/a.json")), (0o700, 0o600), "it holds secrets");
    memory.forget("a").unwrap();
    memory.forget("a").unwrap();
    assert_eq!(memory.all().unwrap(), [remembered("b", 2)]);
}

#[test]
fn a_file_of_somebody_else_is_named() {
    let state = tempfile::tempdir().unwrap();
    let memory = Memory::of(state.path(), 1).unwrap();
    std::fs::write(state.path().join("host-1/x.new"), "half written").unwrap();
    assert_eq!(memory.all().unwrap(), []);
    for text in ["", "{}", r#"{"microvm": "?", "mounts": []}"#, r#"{"microvm": "/////w==", "mounts": []}"#] {
        std::fs::write(state.path().join("host-1/x.json"), text).unwrap();
        let error = memory.all().unwrap_err();
        assert!(matches!(&error, MemoryError::Damaged { path } if path.ends_with("host-1/x.json")), "{text:?}: {error}");
    }
    std::fs::write(state.path().join("file"), "").unwrap();
    assert!(matches!(Memory::of(&state.path().join("file"), 1), Err(MemoryError::Read { .. })));
}
