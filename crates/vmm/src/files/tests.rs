use super::*;

#[test]
fn a_file_is_given_away_unless_it_has_other_names() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let path = |name: &str| dir.path().join(name);
    let own = rustix::process::geteuid().as_raw();
    // Who is not root can give to nobody else.
    let to = if own == 0 { 4242 } else { own };
    let user = User { uid: to, gid: if own == 0 { 4243 } else { rustix::process::getegid().as_raw() }, groups: Vec::new() };
    for name in ["mine", "shared"] {
        fs::write(path(name), name).expect("written");
    }
    fs::hard_link(path("shared"), path("elsewhere")).expect("linked");
    std::os::unix::fs::symlink(path("shared"), path("link")).expect("linked");
    let _listener = std::os::unix::net::UnixListener::bind(path("socket")).expect("bound");
    give(&path("mine"), &user).expect("given");
    give(&path("socket"), &user).expect("given");
    give(&path("shared"), &user).expect("left alone");
    give(&path("link"), &user).expect_err("a link that a VMM could have made");
    give(dir.path(), &user).expect_err("no file");
    let owner = |name: &str| fs::metadata(path(name)).expect("there").uid();
    assert_eq!((owner("mine"), owner("socket"), owner("shared")), (to, to, own));
}
