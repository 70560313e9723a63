use super::*;

const RUST: &str =
    "Usage: virtiofsd --shared-dir <SHARED_DIR> --socket-path <SOCKET_PATH> [OPTIONS]\n  --sandbox <SANDBOX>\n  --readonly\n  -o <O>";
const OLD_RUST: &str = "Usage: virtiofsd --shared-dir <SHARED_DIR>";
const QEMU: &str = "usage: virtiofsd [options]\n    -o source=PATH             shared directory tree\n    --fd=FDNUM";

fn share(read_only: bool) -> Share {
    Share { tag: "user".into(), folder: "/srv/a".into(), read_only }
}

fn told(help: &str, sandbox: Sandbox) -> Result<Virtiofsd, NoVirtiofsd> {
    Virtiofsd::told("/v".into(), help, sandbox)
}

#[test]
fn each_make_is_called_in_its_own_words() {
    let line = |help, sandbox, read_only| told(help, sandbox).unwrap().plan(&share(read_only)).map(|plan| plan.args.join(" "));
    assert_eq!(
        line(RUST, Sandbox::Namespace, false).unwrap(),
        "--fd=0 --shared-dir=/srv/a --sandbox=namespace --cache=never --announce-submounts --allow-direct-io"
    );
    assert!(
        line(RUST, Sandbox::None, true)
            .unwrap()
            .ends_with("--sandbox=none --cache=never --announce-submounts --allow-direct-io --readonly")
    );
    assert_eq!(
        line(QEMU, Sandbox::Chroot, false).unwrap(),
        "--fd=0 -o source=/srv/a,sandbox=chroot,cache=none,announce_submounts,allow_direct_io"
    );
    for old in [OLD_RUST, QEMU] {
        assert_eq!(line(old, Sandbox::Chroot, true), Err(Unservable::ReadOnly { program: "/v".into() }), "it would let the guest write");
    }
    assert_eq!(told(QEMU, Sandbox::None), Err(NoVirtiofsd::Privileges { program: "/v".into() }));
    assert!(matches!(told("usage: cat FILE", Sandbox::None), Err(NoVirtiofsd::Broken { .. })));
}

#[test]
fn a_folder_that_would_be_read_as_options_is_refused() {
    let virtiofsd = told(QEMU, Sandbox::Namespace).unwrap();
    let sly = Share { folder: "/srv/a,sandbox=none".into(), ..share(false) };
    assert!(matches!(virtiofsd.plan(&sly), Err(Unservable::Path(_))));
}

#[test]
fn landlock_lets_it_write_only_where_the_guest_may() {
    let plan = |read_only| told(RUST, Sandbox::None).unwrap().plan(&share(read_only)).unwrap();
    assert_eq!((plan(false).writes, plan(true).writes), (vec![PathBuf::from("/srv/a")], Vec::new()));
    assert!(plan(true).reads.contains(&PathBuf::from("/srv/a")));
}

#[test]
fn the_sandbox_is_the_best_that_may_be_set_up() {
    assert_eq!(Sandbox::of(true, u64::MAX), Sandbox::Namespace);
    assert_eq!(Sandbox::of(true, SYS_CHROOT), Sandbox::Chroot, "root in a container");
    assert_eq!(Sandbox::of(true, 0), Sandbox::None);
    assert_eq!(Sandbox::of(false, u64::MAX), Sandbox::None);
}

#[tokio::test]
async fn what_is_not_there_is_told_with_what_to_install() {
    let missing = Virtiofsd::find(Path::new("/nowhere/virtiofsd")).await.unwrap_err();
    assert!(missing.to_string().contains("install virtiofsd"), "{missing}");
    assert_eq!(Virtiofsd::find(Path::new("")).await, Err(NoVirtiofsd::Off));
    assert!(matches!(Virtiofsd::find(Path::new("/bin/true")).await, Err(NoVirtiofsd::Broken { .. })));
}
