use super::*;

#[test]
fn paths_may_be_relative_and_other_references_are_left_alone() {
    let here = std::env::current_dir().expect("a folder");
    assert_eq!(reference("oci:layout:v1").expect("read").to_string(), format!("oci:{}/layout:v1", here.display()));
    assert_eq!(reference("file:/a/b").expect("read").to_string(), "file:/a/b");
    assert_eq!(reference("r.test/os:1").expect("read").to_string(), "r.test/os:1");
    for text in ["", "oci:", "os:1", "layout"] {
        assert!(reference(text).is_err(), "{text}");
    }
}

#[test]
fn what_went_is_told_with_what_it_freed() {
    let root = Path::new("/state/images");
    let pruned = Pruned { references: vec!["r.test/os:1".into()], files: vec![root.join("disks/a.ext4")], bytes: 5_260_000 };
    let told = Told::of(&pruned, root);
    let text = "r.test/os:1\ndisks/a.ext4\n1 images forgotten, 1 files removed; 5.3 MB are free again";
    assert_eq!(table::pruned(&told, false), text);
    assert!(table::pruned(&told, true).contains("would be free"));
    assert_eq!(table::pruned(&Told::of(&Pruned::default(), root), true), "there is nothing to remove");
}
