use super::*;

fn encoded(text: &str) -> String {
    STANDARD.encode(text)
}

fn text(document: Option<String>) -> String {
    String::from_utf8(STANDARD.decode(document.unwrap()).unwrap()).unwrap()
}

#[test]
fn an_instance_id_is_added_where_there_is_none() {
    assert_eq!(text(with_instance_id("", "u").unwrap()), "instance_id: u\n");
    assert_eq!(text(with_instance_id(&encoded("local_hostname: m\n"), "u").unwrap()), "instance_id: u\nlocal_hostname: m\n");
    assert_eq!(text(with_instance_id(&encoded("instance_id: ''\n"), "u").unwrap()), "instance_id: u\n");
    assert_eq!(with_instance_id(&encoded("instance_id: mine\n"), "u"), Ok(None));
    assert!(matches!(with_instance_id(&encoded("a: [b]"), "u"), Err(DocumentError::NotAMap(_))));
    assert!(matches!(with_instance_id(&encoded("a: b: c"), "u"), Err(DocumentError::NotAMap(_))));
}

#[test]
fn mounts_are_added_and_unknown_keys_lost() {
    let mounts = [("vdb".to_owned(), "/data".to_owned()), ("vdd".to_owned(), "/more".to_owned())];
    let defaults = "mount_default_fields:\n- None\n- None\n- auto\n- defaults,nofail\n- '0'\n- '2'\n";
    let fresh = text(with_mounts(None, &mounts));
    assert_eq!(fresh, format!("{HEADER}mounts:\n- - vdb\n  - /data\n- - vdd\n  - /more\n{defaults}"));
    // What it wrote it reads again.
    assert_eq!(text(with_mounts(Some(&encoded(&fresh)), &mounts)), fresh);

    let theirs = "#cloud-config\nhostname: m\npackages: [vim]\nmounts: [[vdb, /theirs]]\n";
    let both = text(with_mounts(Some(&encoded(theirs)), &mounts));
    assert_eq!(both, format!("{HEADER}hostname: m\nmounts:\n- - vdb\n  - /theirs\n- - vdd\n  - /more\n{defaults}"));
    assert_eq!(with_mounts(Some("!"), &mounts), None);
    assert_eq!(with_mounts(Some(&encoded("runcmd: {a: b}")), &mounts), None);
}
