use super::*;

#[test]
fn every_socket_fits_or_the_root_is_refused_by_so_many_bytes() {
    let uid: Uid = "01J0000000000000000000000A".parse().expect("uid");
    // <root> + "/" + 26 + "/vsock.sock" + "_4294967295" = 107
    let fits = format!("/{}", "r".repeat(57));
    let folder = RunFolder::new(Path::new(&fits), &uid).expect("fits");
    assert_eq!(folder.vsock().as_os_str().len() + "_4294967295".len(), 107);
    let error = RunFolder::new(Path::new(&format!("{fits}rrr")), &uid).expect_err("too long");
    assert!(matches!(error, FolderError::TooLong { over: 3, .. }), "{error}");
}

#[test]
fn a_root_that_vmms_would_misread_is_refused() {
    let uid: Uid = "a".parse().expect("uid");
    for bad in ["run", "./run", "/a,b", "/a b", "/a\"b", "/a\nb"] {
        assert!(matches!(RunFolder::new(Path::new(bad), &uid), Err(FolderError::Path(_))), "{bad}");
    }
}
