use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use super::*;

const USERS: &str = "root:x:0:0:root:/root:/bin/bash\ncapstead-vmm:x:997:996::/:/usr/sbin/nologin\nbroken\n107:x:1007:1007::/:\n";
const GROUPS: &str = "root:x:0:\nkvm:x:104:qemu,capstead-vmm\nother:x:105:capstead-vmm2\n";

fn find(text: &str) -> Result<User, String> {
    User::among(text, USERS, GROUPS).map_err(|error| error.to_string())
}

#[test]
fn a_user_is_found_by_name_and_by_number_with_its_groups() {
    let user = User { uid: 997, gid: 996, groups: vec![104] };
    assert_eq!((find("capstead-vmm"), find("997")), (Ok(user.clone()), Ok(user.clone())));
    assert_eq!(find("capstead-vmm:104"), Ok(User { gid: 104, ..user }));
    // Nobody of that number is known, so nothing else can be.
    assert_eq!(find("4242:17"), Ok(User { uid: 4242, gid: 17, groups: Vec::new() }));
}

#[test]
fn who_is_unknown_or_root_is_refused() {
    for (text, why) in [
        ("nobody-here", "no such user"),
        ("4242", "UID:GID"),
        ("", "no such user"),
        ("capstead-vmm:kvm", "GID is a number"),
        ("4242:-1", "GID is a number"),
        ("root", "is root"),
        ("0:5", "is root"),
    ] {
        let said = find(text).expect_err(text);
        assert!(said.contains(why), "{text}: {said}");
    }
}

#[test]
fn a_command_runs_as_it_with_its_groups_alone() {
    let user = User { uid: 997, gid: 996, groups: Vec::new() };
    assert_eq!(user.become_it().join(" "), "setpriv --reuid=997 --regid=996 --clear-groups --no-new-privs --");
    let user = User { groups: vec![104, 105], ..user };
    assert_eq!(user.become_it().join(" "), "setpriv --reuid=997 --regid=996 --groups=104,105 --no-new-privs --");
    if !rustix::process::geteuid().is_root() {
        return;
    }
    assert!(user.enters(Path::new("/")).expect("tried"));
    let closed = tempfile::Builder::new().permissions(Permissions::from_mode(0o700)).tempdir().expect("temporary folder");
    assert!(!user.enters(closed.path()).expect("tried"), "a folder of root's alone");
    assert!(user.writes(Path::new("/dev/null")).expect("tried"));
}
